//! `TxPath` with a transmit queue before it, and a neighbour block and a MAC around it.
use crate::lockstep::Trace;
use crate::rx::frames::{mac_words, tagged, Rng, OWN};
use crate::rx::harness::{beats, drive, Beat};
use ferrule_abi::counter;
use ferrule_rtl::{native::Native, tx::TxPath};
use std::collections::VecDeque;

/// What the host sends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packet {
    pub(crate) bytes: Vec<u8>,
    pub(crate) raw: bool,
    pub(crate) ipcs: bool,
    pub(crate) l4cs: bool,
    pub(crate) next_hop: u8,
    /// Tag control information of the tag to be inserted.
    pub(crate) tag: Option<u16>,
    pub(crate) abort: bool,
    /// Its time is wanted.
    pub(crate) stamp: bool,
}

/// A verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Sent,
    /// With the time at which the frame left.
    Left,
    Bad,
    Miss(u32),
}

/// The neighbour block of the test: what it answers for a destination and a next hop.
pub(crate) fn neighbour(ip: u32, next_hop: u8) -> Result<[u8; 6], u32> {
    let hop = ip ^ u32::from(next_hop) << 28;
    if hop.is_multiple_of(5) {
        return Err(hop);
    }
    let b = hop.to_be_bytes();
    Ok([0x02, next_hop, b[0], b[1], b[2], b[3]])
}

/// The frame with the tag that it is to get, if any.
pub(crate) fn with_tag(frame: Vec<u8>, tag: Option<u16>) -> Vec<u8> {
    match tag {
        Some(tci) => tagged(frame, tci),
        None => frame,
    }
}

pub(crate) struct Bench {
    pub(crate) dut: Native<TxPath>,
    pub(crate) rng: Rng,
    pub(crate) enable: bool,
    /// Of a hundred cycles, those in which the MAC is ready.
    pub(crate) ready_percent: usize,
    /// Of a hundred cycles, those in which the host has no beat.
    pub(crate) gap_percent: usize,
    pub(crate) frames: Vec<Vec<u8>>,
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) counts: [u64; 32],
    pub(crate) bytes: u64,
    pub(crate) trace: Option<Trace>,
    input: VecDeque<(Beat, Packet)>,
    arp: VecDeque<Beat>,
    offered: bool,
    lookup_wait: usize,
    partial: Vec<u8>,
    /// The clock's lower half.
    pub(crate) now: u32,
    /// When the MAC sends the marked frame's SFD; and what the clock showed then.
    leaves_in: Option<usize>,
    left_at: Option<u32>,
    held: Option<(u32, u32, u8, bool)>,
}

impl Bench {
    pub(crate) fn new(seed: u64) -> Self {
        let mut bench = Self {
            dut: Native::default(),
            rng: Rng(seed),
            enable: true,
            ready_percent: 100,
            gap_percent: 0,
            frames: vec![],
            verdicts: vec![],
            counts: [0; 32],
            bytes: 0,
            trace: None,
            input: VecDeque::new(),
            arp: VecDeque::new(),
            offered: false,
            lookup_wait: 0,
            partial: vec![],
            now: 0xFFFF_0000,
            leaves_in: None,
            left_at: None,
            held: None,
        };
        bench.reset();
        bench
    }

    /// One cycle of reset; whatever was on its way is forgotten.
    pub(crate) fn reset(&mut self) {
        self.input.clear();
        self.arp.clear();
        self.offered = false;
        self.dut.u.reset.next = true;
        self.cycle();
        self.dut.u.reset.next = false;
        self.partial.clear();
        self.held = None;
        (self.leaves_in, self.left_at) = (None, None);
    }

    /// Queues a packet.
    pub(crate) fn send(&mut self, packet: &Packet) {
        let flags = Packet {
            bytes: vec![],
            ..packet.clone()
        };
        for beat in beats(&packet.bytes) {
            self.input.push_back((beat, flags.clone()));
        }
    }

    /// Queues an ARP frame.
    pub(crate) fn send_arp(&mut self, frame: &[u8]) {
        self.arp.extend(beats(frame));
    }

    pub(crate) fn cycle(&mut self) {
        let (mac_lo, mac_hi) = mac_words(OWN);
        let ready = self.rng.percent(self.ready_percent);
        let take_verdict = self.rng.percent(60);
        // Once offered, a beat stays.
        self.offered |= !self.rng.percent(self.gap_percent);
        let reset = self.dut.u.reset.next;
        let offer = self.offered && !self.input.is_empty() && !reset;
        let ((d0, d1, keep, last), flags) = self.input.front().cloned().unwrap_or_default();
        let arp = self.arp.front().copied();
        let u = &mut self.dut.u;
        u.clock.next = false.into();
        u.enable.next = self.enable;
        u.mac_lo.next = u64::from(mac_lo).into();
        u.mac_hi.next = u64::from(mac_hi).into();
        u.packet.d0.next = u64::from(d0).into();
        u.packet.d1.next = u64::from(d1).into();
        u.packet.keep.next = u64::from(keep).into();
        u.packet.last.next = last;
        u.packet.abort.next = flags.abort && last;
        u.packet.raw.next = flags.raw;
        u.packet.ipcs.next = flags.ipcs;
        u.packet.l4cs.next = flags.l4cs;
        u.packet.next_hop.next = u64::from(flags.next_hop).into();
        u.packet.stamp.next = flags.stamp;
        u.now_lo.next = u64::from(self.now).into();
        u.left.next = self.leaves_in == Some(0);
        if self.leaves_in == Some(0) {
            self.left_at = Some(self.now);
        }
        self.leaves_in = self.leaves_in.and_then(|n| n.checked_sub(1));
        self.now = self.now.wrapping_add(8);
        u.packet.tag.next = flags.tag.is_some();
        u.packet.tci.next = u64::from(flags.tag.unwrap_or(0x5555)).into();
        u.packet.valid.next = offer;
        u.verdict.ready.next = take_verdict;
        u.frame.ready.next = ready;
        drive(&mut u.arp, arp);
        self.lookup();
        self.dut.settle();
        if let Some(trace) = &mut self.trace {
            trace.record(&*self.dut.u);
        }
        if !reset {
            self.observe(offer, ready, take_verdict);
        }
        self.dut.u.clock.next = true.into();
        self.dut.settle();
    }

    /// The question was put in an earlier cycle; the answer comes some cycles later.
    fn lookup(&mut self) {
        let u = &mut self.dut.u;
        u.lookup.done.next = false;
        if !u.lookup.valid.val() {
            self.lookup_wait = self.rng.below(8);
            return;
        }
        if self.lookup_wait > 0 {
            self.lookup_wait -= 1;
            return;
        }
        u.lookup.done.next = true;
        match neighbour(u.lookup.ip.val().to_u32(), u.lookup.next_hop.val().to_u8()) {
            Ok(mac) => {
                let (lo, hi) = mac_words(mac);
                u.lookup.hit.next = true;
                u.lookup.mac_lo.next = u64::from(lo).into();
                u.lookup.mac_hi.next = u64::from(hi).into();
                u.lookup.address.next = 0xDEAD_BEEF_u64.into();
            }
            Err(address) => {
                u.lookup.hit.next = false;
                u.lookup.address.next = u64::from(address).into();
            }
        }
    }

    fn observe(&mut self, offer: bool, ready: bool, take_verdict: bool) {
        let u = &self.dut.u;
        if offer && u.packet.ready.val() {
            self.input.pop_front();
            self.offered = false;
        }
        if u.arp.valid.val() && u.arp.ready.val() {
            self.arp.pop_front();
        }
        if u.verdict.valid.val() && take_verdict {
            self.verdicts
                .push(match (u.verdict.bad.val(), u.verdict.arp_miss.val()) {
                    (false, false) if u.verdict.stamped.val() => {
                        let at = u.verdict.address.val().to_u32();
                        assert_eq!(Some(at), self.left_at.take(), "the time of the SFD");
                        Verdict::Left
                    }
                    (false, false) => Verdict::Sent,
                    (true, false) => Verdict::Bad,
                    (false, true) => Verdict::Miss(u.verdict.address.val().to_u32()),
                    both => panic!("bad and miss: {both:?}"),
                });
        }
        let events = u.events.val().to_u32();
        for (i, count) in self.counts.iter_mut().enumerate() {
            *count += u64::from(events >> i & 1);
        }
        if events >> counter::TX_FRAMES & 1 == 1 {
            self.bytes += u64::from(u.tx_bytes.val().to_u16());
        }
        let f = &u.frame;
        if !f.valid.val() {
            assert!(
                self.partial.is_empty() && self.held.is_none(),
                "a gap in a frame"
            );
            return;
        }
        let beat = (
            f.d0.val().to_u32(),
            f.d1.val().to_u32(),
            f.keep.val().to_u8(),
            f.last.val(),
        );
        if let Some(held) = self.held {
            assert_eq!(held, beat, "a beat changed before it was taken");
        }
        self.held = (!ready).then_some(beat);
        if !ready {
            return;
        }
        if self.partial.is_empty() && u.mark.val() {
            assert_eq!(
                (self.leaves_in, self.left_at),
                (None, None),
                "one at a time"
            );
            self.leaves_in = Some(self.rng.below(30));
        }
        let (d0, d1, keep, last) = beat;
        assert!(last || keep == 0xFF);
        assert!(keep != 0 && keep & keep.wrapping_add(1) == 0);
        let bytes = [d0.to_le_bytes(), d1.to_le_bytes()].concat();
        self.partial.extend(&bytes[..keep.count_ones() as usize]);
        if last {
            self.frames.push(std::mem::take(&mut self.partial));
        }
    }

    pub(crate) fn idle(&mut self, n: usize) {
        for _ in 0..n {
            self.cycle();
        }
    }

    /// Runs until nothing is under way or waiting.
    pub(crate) fn drain(&mut self) {
        for _ in 0..400_000 {
            self.cycle();
            if self.input.is_empty() && self.arp.is_empty() && !self.dut.u.busy.val() {
                return;
            }
        }
        panic!("still busy");
    }
}
