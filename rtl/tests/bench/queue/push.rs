//! The push window and its list: whatever a host writes, each frame comes out once and whole, or its failure is told.
use super::host::Rng;
use crate::common::verilator_lint;
use ferrule_abi::regs::{PUSH_BUFFER_BYTES, PUSH_WINDOW_BYTES};
use ferrule_abi::ring::sqe_flags as sf;
use ferrule_rtl::native::Native;
use ferrule_rtl::queue::push::Push;
use proptest::prelude::*;
use std::collections::VecDeque;

/// Longest packet.
const MOST: u64 = PUSH_WINDOW_BYTES as u64 - 16;
const NEEDED: u16 = sf::SOP | sf::EOP;

/// Bits of the word about a frame.
const BAD: u32 = 1 << 15;
const REPORT: u32 = 1 << 16;

/// A beat of a write: DWs, how many, first, last, bad.
#[derive(Clone, Copy, Debug, Default)]
struct Beat {
    offset: u32,
    d: [u32; 2],
    count: u32,
    first: bool,
    last: bool,
    bad: bool,
}

/// A write of `dws` at `offset`, with a header of three or four DWs.
fn write(offset: usize, dws: &[u32], short_header: bool, bad: bool) -> Vec<Beat> {
    let (head, rest) = dws.split_at(usize::from(short_header));
    let mut beats = vec![Beat {
        offset: offset as u32,
        d: [head.first().copied().unwrap_or(0xDEAD), 0xBEEF],
        count: head.len() as u32,
        first: true,
        ..Beat::default()
    }];
    beats.extend(rest.chunks(2).map(|c| Beat {
        offset: offset as u32,
        d: [c[0], c.get(1).copied().unwrap_or(0xBEEF)],
        count: c.len() as u32,
        ..Beat::default()
    }));
    let last = beats.last_mut().expect("a beat");
    (last.last, last.bad) = (true, bad);
    beats
}

/// Tag control information in each SQE.
const TCI: u32 = 0x5A3C;

/// SQE and packet as the host writes them.
fn image(flags: u16, len: u16, bytes: &[u8]) -> Vec<u32> {
    let mut dws = vec![
        0xAAAA_AAAA,
        0xBBBB_BBBB,
        u32::from(len) | u32::from(flags) << 16,
        TCI | 0xCCCC_0000,
    ];
    let padded = bytes.chunks(8).flat_map(|c| {
        let mut pair = [0x77; 8];
        pair[..c.len()].copy_from_slice(c);
        pair
    });
    let padded: Vec<u8> = padded.collect();
    dws.extend(
        padded
            .chunks(4)
            .map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]])),
    );
    dws
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Packet {
    bytes: Vec<u8>,
    /// RAW, IPCS, L4CS, NEXT_HOP, VLAN_INS.
    flags: u32,
}

/// The module with a host before it and a transmit path behind it.
struct Bench {
    n: Native<Push>,
    rng: Rng,
    run: bool,
    /// Beats that the host has still to write.
    beats: VecDeque<Beat>,
    stall: u64,
    take: u64,
    full: u64,
    partial: Option<Packet>,
    packets: Vec<Packet>,
    aborts: usize,
    dones: Vec<u32>,
    strays: usize,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let mut bench = Self {
            n: Native::default(),
            rng: Rng(seed),
            run: false,
            beats: VecDeque::new(),
            stall: 0,
            take: 100,
            full: 0,
            partial: None,
            packets: vec![],
            aborts: 0,
            dones: vec![],
            strays: 0,
        };
        bench.n.u.reset.next = true;
        bench.cycle();
        bench.n.u.reset.next = false;
        bench.start();
        bench
    }

    fn start(&mut self) {
        self.n.u.start.next = true;
        self.cycle();
        self.n.u.start.next = false;
        self.run = true;
    }

    fn cycle(&mut self) {
        let take = self.rng.percent(self.take);
        let full = self.rng.percent(self.full);
        let beat = if self.rng.percent(self.stall) {
            None
        } else {
            self.beats.pop_front()
        };
        let u = &mut self.n.u;
        u.clock.next = false.into();
        u.run.next = self.run;
        u.m.ready.next = take;
        u.done_full.next = full;
        let b = beat.unwrap_or_default();
        u.writes.offset.next = u64::from(b.offset).into();
        u.writes.d0.next = u64::from(b.d[0]).into();
        u.writes.d1.next = u64::from(b.d[1]).into();
        u.writes.count.next = u64::from(b.count).into();
        u.writes.first.next = b.first;
        u.writes.last.next = b.last;
        u.writes.bad.next = b.bad;
        u.writes.valid.next = beat.is_some();
        self.n.settle();
        let u = &self.n.u;
        self.strays += usize::from(u.stray.val());
        if u.done_push.val() {
            assert!(!full, "a word for which there is no room");
            self.dones.push(u.done.val().to_u32());
        }
        if u.m.valid.val() && take {
            let flags = u32::from(u.m.raw.val())
                | u32::from(u.m.ipcs.val()) << 1
                | u32::from(u.m.l4cs.val()) << 2
                | u.m.next_hop.val().to_u32() << 3
                | u32::from(u.m.tag.val()) << 6
                | u32::from(u.m.stamp.val()) << 7;
            assert_eq!(u.m.tci.val().to_u32(), TCI);
            let packet = self.partial.get_or_insert(Packet {
                bytes: vec![],
                flags,
            });
            assert_eq!(packet.flags, flags, "flags change within a packet");
            let keep = u.m.keep.val().to_u32();
            let bytes = [u.m.d0.val().to_u32(), u.m.d1.val().to_u32()]
                .map(u32::to_le_bytes)
                .concat();
            let n = keep.trailing_ones() as usize;
            assert_eq!(keep >> n, 0, "bytes with a hole");
            packet.bytes.extend(&bytes[..n]);
            if u.m.last.val() {
                let packet = self.partial.take().expect("a packet");
                match u.m.abort.val() {
                    true => self.aborts += 1,
                    false => self.packets.push(packet),
                }
            } else {
                assert_eq!(n, 8, "a short beat that is not the last");
            }
        }
        self.n.u.clock.next = true.into();
        self.n.settle();
    }

    /// Until everything written has come out.
    fn settle(&mut self) {
        // The other side may be slow: quiet is what stays so.
        let mut quiet = 0;
        for _ in 0..50_000 {
            self.cycle();
            let u = &self.n.u;
            quiet += 1;
            if !self.beats.is_empty() || u.busy.val() || u.m.valid.val() {
                quiet = 0;
            }
            if quiet > 30 {
                return;
            }
        }
        panic!("stuck");
    }

    /// Writes `dws` in pieces.
    fn pieces(&mut self, dws: &[u32]) {
        let mut at = 0;
        while at < dws.len() {
            let n = 1 + self.rng.below((dws.len() - at) as u64) as usize;
            let n = if self.rng.percent(30) { n.min(3) } else { n };
            let short = self.rng.percent(50);
            self.beats.extend(write(at, &dws[at..at + n], short, false));
            at += n;
        }
    }
}

proptest! {
    #![proptest_config(crate::common::cases(10))]
    #[test]
    fn frames_come_out_as_they_were_written_and_broken_ones_are_told(seed: u64) {
        let mut b = Bench::new(seed);
        b.stall = b.rng.below(60);
        b.take = 30 + b.rng.below(71);
        b.full = b.rng.below(50);
        let (mut packets, mut dones, mut strays, mut in_flight) = (vec![], vec![], 0, 0);
        for _ in 0..60 {
            let len = match b.rng.below(4) {
                0 => 1 + b.rng.below(24),
                1 => MOST - b.rng.below(10),
                _ => 1 + b.rng.below(200),
            };
            let bytes: Vec<u8> = (0..len).map(|_| b.rng.next() as u8).collect();
            let random = b.rng.next() as u16 & (0x1F1C | sf::VLAN_INS);
            let flags = random | NEEDED;
            let kept = u32::from(flags >> 2 & 7 | (flags >> 10 & 7) << 3 | (flags >> 6 & 1) << 6 | (flags >> 8 & 1) << 7);
            let report = flags & (sf::CPL_REQ | sf::TS_REQ) != 0;
            let index = dones.len() as u32;
            let dws = image(flags, len as u16, &bytes);
            // As much as the host may have in flight.
            in_flight += 8 + len.next_multiple_of(8);
            if in_flight > u64::from(PUSH_BUFFER_BYTES) || b.rng.percent(20) {
                b.settle();
                in_flight = 8 + len.next_multiple_of(8);
            }
            match b.rng.below(10) {
                // The SQE asks for what cannot be.
                0 => {
                    let wrong = [sf::TSO, sf::INLINE][b.rng.below(2) as usize];
                    let (flags, len) = match b.rng.below(4) {
                        0 => (flags & !sf::SOP, len as u16),
                        1 => (flags & !sf::EOP, len as u16),
                        2 => (flags | wrong, len as u16),
                        _ => (flags, [0, MOST as u16 + 1, 2048, u16::MAX][b.rng.below(4) as usize]),
                    };
                    let dws = image(flags, len, &bytes);
                    b.beats.extend(write(0, &dws, true, false));
                    dones.push(index | BAD);
                }
                // Another one begins before it is whole.
                1 => {
                    let n = 1 + b.rng.below(dws.len() as u64 - 1) as usize;
                    b.pieces(&dws[..n]);
                    dones.push(index | BAD);
                }
                // A piece is missing; what comes then is for nothing, each write of it.
                2 => {
                    let n = 1 + b.rng.below(dws.len() as u64 - 3) as usize;
                    b.pieces(&dws[..n]);
                    b.beats.extend(write(n + 1, &dws[n + 1..n + 2], false, false));
                    b.beats.extend(write(n + 2, &dws[n + 2..], true, false));
                    dones.push(index | BAD);
                    strays += 1;
                }
                // A malformed TLP ends it.
                3 => {
                    let n = b.rng.below(dws.len() as u64 - 1) as usize;
                    b.pieces(&dws[..n]);
                    b.beats.extend(write(n, &dws[n..], b.rng.percent(50), true));
                    dones.push(index | BAD);
                }
                // Nothing has begun.
                4 => {
                    b.settle();
                    if b.n.u.idle.val() {
                        b.beats.extend(write(5, &dws[5..], true, false));
                        strays += 1;
                    }
                }
                _ => {
                    b.pieces(&dws);
                    packets.push(Packet { bytes, flags: kept });
                    dones.push(index | if report { REPORT } else { 0 });
                }
            }
        }
        // Ends what may still be open.
        b.settle();
        let (bytes, index) = ([9; 9], dones.len() as u32);
        b.pieces(&image(NEEDED | sf::RAW, 9, &bytes));
        packets.push(Packet { bytes: bytes.into(), flags: 1 });
        dones.push(index);
        b.settle();
        prop_assert_eq!(b.dones, dones);
        prop_assert_eq!(b.packets, packets);
        prop_assert_eq!(b.strays, strays);
        prop_assert!(b.n.u.idle.val() && b.partial.is_none());
    }
}

#[test]
fn as_many_frames_fit_as_is_promised_and_the_next_one_is_told() {
    for len in [1u64, 8, 60, MOST] {
        let mut b = Bench::new(len);
        b.take = 0;
        let each = 8 + len.next_multiple_of(8);
        let fit = u64::from(PUSH_BUFFER_BYTES) / each;
        let bytes: Vec<u8> = (0..len).map(|n| n as u8).collect();
        let dws = image(NEEDED | sf::RAW | sf::CPL_REQ, len as u16, &bytes);
        for _ in 0..fit {
            b.beats.extend(write(0, &dws, true, false));
        }
        while !b.beats.is_empty() {
            b.cycle();
        }
        // The reader holds a beat and a header, so that more may fit than is promised: write until something is told.
        let mut more = 0;
        while b.strays == 0 && more < 600 {
            b.beats.extend(write(0, &dws, true, false));
            more += 1;
            while !b.beats.is_empty() {
                b.cycle();
            }
        }
        b.take = 100;
        b.settle();
        let good = b.dones.iter().filter(|d| **d & BAD == 0).count() as u64;
        let bad = b.dones.iter().filter(|d| **d & BAD != 0).count() as u64;
        assert!(good >= fit, "{good} frames of {len} bytes, {fit} promised");
        assert_eq!(b.packets.len() as u64, good);
        assert!(b.packets.iter().all(|p| p.bytes == bytes));
        assert_eq!(
            good + bad + b.strays as u64,
            fit + more,
            "each frame is told"
        );
        assert!(bad > 0);
        // And it goes on.
        b.beats.extend(write(0, &dws, true, false));
        b.settle();
        assert_eq!(b.packets.len() as u64, good + 1);
    }
}

#[test]
fn a_frame_under_way_is_forgotten_when_the_queue_stops() {
    let bytes = [5; 400];
    let dws = image(NEEDED | sf::RAW, 400, &bytes);
    for written in [1, 3, 4, 6, 50] {
        let mut b = Bench::new(written as u64);
        b.beats.extend(write(0, &dws, true, false));
        b.settle();
        b.beats.extend(write(0, &dws[..written], true, false));
        while !b.beats.is_empty() {
            b.cycle();
        }
        b.run = false;
        b.settle();
        assert!(b.n.u.idle.val(), "{written} DWs");
        assert_eq!(b.dones, [0], "{written} DWs");
        // What is written then is not taken.
        assert!(!b.n.u.writes.open.val());
        b.start();
        b.beats.extend(write(0, &dws, false, false));
        b.settle();
        assert_eq!((b.packets.len(), b.dones.len()), (2, 2));
        assert_eq!(b.dones[1], 0, "indices begin anew");
    }
}

#[test]
fn a_frame_is_handed_on_while_it_is_written() {
    let bytes = [7; 1514];
    let dws = image(NEEDED | sf::RAW, 1514, &bytes);
    let mut b = Bench::new(1);
    b.beats.extend(write(0, &dws, true, false));
    while !b.beats.is_empty() {
        b.cycle();
    }
    let mut cycles = 0;
    while b.packets.is_empty() {
        b.cycle();
        cycles += 1;
    }
    assert!(cycles <= 4, "{cycles} cycles after its last beat");
}

#[test]
fn exports_to_clean_verilog() {
    let text = ferrule_rtl::verilog::emit::<Push>("push").expect("emits");
    verilator_lint("push", &text);
}
