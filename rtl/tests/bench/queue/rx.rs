//! The receive queue against a host that gives slots back in any order.
use super::host::{drive_reader, sample_reader, sample_writer, Memory, Reader, Rng, Writer};
use crate::common::verilator_lint;
use ferrule_abi::counter;
use ferrule_abi::regs::queue_error;
use ferrule_abi::ring::{cqe_status as cs, Cqe, INDEX_MODULUS};
use ferrule_rtl::{native::Native, queue::rx::RxQueue};
use proptest::prelude::*;
use std::collections::VecDeque;

const RQ: u64 = 0x1_0000_0000 - 0x80;
const CQ: u64 = 0x2_0000_0040;
const SLOTS: u64 = 0x3_0000_0000 - 0x800;
/// What slots hold before a frame comes.
const BLANK: u8 = 0xA5;

/// A frame as the receive path describes it.
#[derive(Clone, Debug)]
struct Frame {
    bytes: Vec<u8>,
    status: u16,
    offsets: u16,
    hash: u32,
    timestamp: u32,
}

fn frame(rng: &mut Rng, len: usize) -> Frame {
    Frame {
        bytes: (0..len).map(|_| rng.next() as u8).collect(),
        status: (rng.next() as u16) & 0x1FF,
        offsets: rng.next() as u16,
        hash: rng.next() as u32,
        timestamp: rng.next() as u32,
    }
}

struct Bench {
    dut: Native<RxQueue>,
    memory: Memory,
    rq: Reader,
    payload: Writer,
    cq: Writer,
    rng: Rng,
    now: u64,
    rq_log2: u32,
    cq_log2: u32,
    stride: u64,
    bell: Option<u32>,
    overflow: bool,
    /// Frames in the receive buffer, beats sent of the first, and how often a beat is there.
    frames: VecDeque<Frame>,
    beat: usize,
    offer: u64,
    offered: bool,
    /// Frames handed over whole.
    handed: Vec<Frame>,
    /// Slots in the order in which the host gave them; those up to `completed` have come back.
    given: Vec<u16>,
    cq_read: u32,
    cqes: Vec<Cqe>,
    contents: Vec<Vec<u8>>,
    irqs: u32,
    failures: u32,
    counts: [u32; 32],
}

impl Bench {
    fn new(seed: u64, rq_log2: u32, cq_log2: u32, stride_log2: u32, slots: u32) -> Self {
        let mut rng = Rng(seed);
        let mut rq = Reader::new(30 + rng.below(71), 30 + rng.below(71), rng.below(200));
        rq.max_read = 128;
        let mut cq = Writer::new(20 + rng.below(81));
        cq.max_payload = 64;
        cq.allowed.push(CQ..CQ + (16 << cq_log2));
        let mut b = Self {
            dut: Native::default(),
            memory: Memory::default(),
            rq,
            payload: Writer::new(20 + rng.below(81)),
            cq,
            now: 0,
            rq_log2,
            cq_log2,
            stride: 1 << stride_log2,
            bell: None,
            overflow: false,
            frames: VecDeque::new(),
            beat: 0,
            offer: 30 + rng.below(71),
            offered: false,
            handed: vec![],
            given: vec![],
            cq_read: 0,
            cqes: vec![],
            contents: vec![],
            irqs: 0,
            failures: 0,
            counts: [0; 32],
            rng,
        };
        let u = &mut b.dut.u;
        u.ctl.ring_lo.next = u64::from(RQ as u32).into();
        u.ctl.ring_hi.next = (RQ >> 32).into();
        u.ctl.cq_lo.next = u64::from(CQ as u32).into();
        u.ctl.cq_hi.next = (CQ >> 32).into();
        u.ctl.slot_lo.next = u64::from(SLOTS as u32).into();
        u.ctl.slot_hi.next = (SLOTS >> 32).into();
        u.ctl.slots.next = u64::from(stride_log2 | slots << 16).into();
        u.ctl.setup.next = u64::from(rq_log2 | cq_log2 << 8 | 1 << 16).into();
        u.reset.next = true;
        b.cycle();
        b.dut.u.reset.next = false;
        b
    }
    fn max_payload(&mut self, code: u64) {
        self.dut.u.max_payload.next = code.into();
        self.payload.max_payload = 128 << code;
    }
    fn enable(&mut self, on: bool) {
        self.dut.u.ctl.enable.next = on;
        self.cycle();
        self.cycle();
        self.cycle();
    }
    fn doorbell(&mut self, producer: u32, consumer: u32, arm: bool) {
        let (p, c) = (producer % INDEX_MODULUS, consumer % INDEX_MODULUS);
        self.bell = Some(p | c << 16 | u32::from(arm) << 31);
        self.cycle();
        self.cycle();
    }
    /// Gives a slot without telling the device yet.
    fn give(&mut self, slot: u16) {
        let at = RQ + 2 * (self.given.len() as u64 % (1 << self.rq_log2));
        for (i, b) in slot.to_le_bytes().into_iter().enumerate() {
            self.memory.set(at + i as u64, b);
        }
        let base = SLOTS + u64::from(slot) * self.stride;
        for i in 0..64 {
            self.memory.set(base + i, BLANK);
        }
        self.payload.allowed.push(base..base + self.stride);
        self.given.push(slot);
    }
    fn error(&self) -> u32 {
        self.dut.u.ctl.error.val().to_u32()
    }
    fn running(&self) -> bool {
        self.dut.u.ctl.running.val()
    }
    fn cycle(&mut self) {
        self.now += 1;
        let u = &mut self.dut.u;
        u.clock.next = false.into();
        drive_reader!(
            u.rq_req,
            u.rq_data,
            self.rq,
            self.now,
            &mut self.rng,
            &self.memory
        );
        self.payload.before(&mut self.rng);
        self.cq.before(&mut self.rng);
        u.payload.ready.next = self.payload.ready;
        u.cq.ready.next = self.cq.ready;
        u.ctl.ring.next = self.bell.is_some();
        u.ctl.doorbell.next = u64::from(self.bell.take().unwrap_or(0)).into();
        u.overflow.next = std::mem::take(&mut self.overflow);
        // The receive buffer: the description stands with the beats and is something else in between.
        let noise = self.rng.next() as u32;
        self.offered = match self.frames.front() {
            Some(_) => self.offered || self.rng.percent(self.offer),
            None => false,
        };
        if let (Some(f), true) = (self.frames.front(), self.offered || self.beat > 0) {
            u.packet.len.next = (f.bytes.len() as u64).into();
            u.packet.status.next = u64::from(f.status).into();
            u.packet.offsets.next = u64::from(f.offsets).into();
            u.packet.hash.next = u64::from(f.hash).into();
            u.packet.timestamp.next = u64::from(f.timestamp).into();
        } else {
            u.packet.len.next = u64::from(noise & 0xFFFF).into();
            u.packet.status.next = u64::from(noise >> 16).into();
            u.packet.hash.next = u64::from(!noise).into();
        }
        u.packet.valid.next = self.offered;
        u.packet.d0.next = u64::from(noise).into();
        u.packet.last.next = false;
        if let (Some(f), true) = (self.frames.front(), self.offered) {
            let rest = &f.bytes[8 * self.beat..];
            let mut beat = [0x77; 8];
            let n = rest.len().min(8);
            beat[..n].copy_from_slice(&rest[..n]);
            let word = u64::from_le_bytes(beat);
            u.packet.d0.next = (word & 0xFFFF_FFFF).into();
            u.packet.d1.next = (word >> 32).into();
            u.packet.keep.next = ((1u64 << n) - 1).into();
            u.packet.last.next = rest.len() <= 8;
        }
        self.dut.settle();
        let u = &self.dut.u;
        sample_reader!(u.rq_req, u.rq_data, self.rq, self.now, &mut self.rng);
        sample_writer!(u.payload, self.payload, &mut self.memory);
        let written = sample_writer!(u.cq, self.cq, &mut self.memory).is_some();
        if self.offered && u.packet.ready.val() {
            self.offered = false;
            self.beat += 1;
            if u.packet.last.val() {
                self.handed.extend(self.frames.pop_front());
                self.beat = 0;
            }
        }
        let irq = u.irq.val().to_u32();
        assert!(irq == 0 || irq == 1 << 1, "the queue's own vector");
        self.irqs += u32::from(irq != 0);
        self.failures += u32::from(u.failed.val());
        for (i, n) in self.counts.iter_mut().enumerate() {
            *n += u32::from(u.events.val().get_bit(i));
        }
        self.dut.u.clock.next = true.into();
        self.dut.settle();
        if written {
            self.poll();
        }
    }
    /// The host reads completions, and at once what their slots hold: it must all be there.
    fn poll(&mut self) {
        loop {
            let at = CQ + 16 * u64::from(self.cq_read % (1 << self.cq_log2));
            let e = Cqe::from_words(self.memory.entry(at));
            if e.phase != ((self.cq_read >> self.cq_log2) & 1 == 0) {
                return;
            }
            assert_eq!(
                e.index, self.given[self.cq_read as usize],
                "slots are used in the order given"
            );
            let base = SLOTS + u64::from(e.index) * self.stride;
            let n = u64::from(e.len).min(self.stride);
            self.contents
                .push((base..base + n).map(|a| self.memory.byte(a)).collect());
            if e.len < 64 {
                assert_eq!(
                    self.memory.byte(base + n),
                    BLANK,
                    "a byte beyond the frame is written"
                );
            }
            self.cqes.push(e);
            self.cq_read += 1;
            self.payload.allowed.retain(|r| r.start != base);
        }
    }
    fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..200_000 {
            self.cycle();
            let world = self.rq.outstanding();
            quiet = if self.dut.u.busy.val() || world > 0 {
                0
            } else {
                quiet + 1
            };
            if quiet > 20 {
                return;
            }
        }
        panic!("never idle");
    }
    /// Every completion against the frames handed over, in order.
    fn check(&self, skipped: usize) {
        assert_eq!(
            self.handed.len() - skipped,
            self.cqes.len(),
            "one completion a frame"
        );
        for (i, (c, f)) in self.cqes.iter().zip(&self.handed[skipped..]).enumerate() {
            let cut = f.bytes.len() as u64 > self.stride;
            let status = f.status | if cut { cs::TRUNC } else { 0 };
            assert_eq!(
                c.status & !cs::DROPPED_BEFORE,
                status,
                "status of frame {i}"
            );
            assert_eq!(usize::from(c.len), f.bytes.len(), "length of frame {i}");
            assert_eq!(
                (c.hash, c.timestamp, c.offsets),
                (f.hash, f.timestamp, f.offsets)
            );
            let n = f.bytes.len().min(self.stride as usize);
            assert_eq!(self.contents[i], f.bytes[..n], "bytes of frame {i}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 14, max_shrink_iters: 4, ..ProptestConfig::default() })]
    #[test]
    fn every_frame_lands_once_in_the_next_slot(seed: u64, rq_log2 in 4u32..9, cq_log2 in 4u32..6, payload in 0u64..5, jumbo: bool) {
        let (stride_log2, slots) = (11 + seed as u32 % 4, 300);
        let mut b = Bench::new(seed, rq_log2, cq_log2, stride_log2, slots);
        b.max_payload(payload);
        b.enable(true);
        let mut free: Vec<u16> = (0..slots as u16).collect();
        let total = if jumbo { 12 } else { 150 };
        let (mut made, mut told, mut pulses, mut armed) = (0, 0, 0u32, false);
        let (mut idle, mut seen) = (0, 0);
        while b.cqes.len() < total {
            idle = if seen == b.cqes.len() { idle + 1 } else { 0 };
            seen = b.cqes.len();
            prop_assert!(idle < 100_000, "stuck at {} of {}", b.cqes.len(), total);
            if made < total && b.frames.len() < 6 && b.rng.percent(10) {
                // Around the size of a slot, or short.
                let len = if jumbo && b.rng.percent(50) {
                    b.stride - 20 + b.rng.below(60)
                } else {
                    1 + b.rng.below(300)
                };
                let f = frame(&mut b.rng, len as usize);
                b.frames.push_back(f);
                made += 1;
            }
            if b.rng.percent(2) {
                b.overflow = true;
                pulses += 1;
            }
            if b.rng.percent(4) {
                // Slots come back, in any order, as many as the ring takes.
                let read = b.cqes.len();
                let room = (1usize << rq_log2) - (b.given.len() - read);
                for _ in 0..b.rng.below(room as u64 + 1) {
                    if free.is_empty() {
                        break;
                    }
                    let k = b.rng.below(free.len() as u64) as usize;
                    let slot = free.swap_remove(k);
                    b.give(slot);
                }
                let producer = b.given.len() as u32;
                let consumer = told + b.rng.below((read as u32 - told) as u64 + 1) as u32;
                free.extend(b.cqes[told as usize..consumer as usize].iter().map(|c| c.index));
                told = consumer;
                let arm = b.rng.percent(20);
                armed |= arm;
                b.doorbell(producer, consumer, arm);
            } else {
                b.cycle();
            }
            prop_assert!(b.cq_read - told <= 1 << cq_log2, "the ring is overrun");
        }
        b.settle();
        prop_assert_eq!((b.error(), b.failures), (0, 0));
        b.check(0);
        prop_assert!(!armed || b.irqs > 0);
        let marked = b.cqes.iter().filter(|c| c.status & cs::DROPPED_BEFORE != 0).count() as u32;
        prop_assert!(marked <= pulses);
        let cut = b.handed.iter().filter(|f| f.bytes.len() as u64 > b.stride).count() as u32;
        prop_assert_eq!(b.counts[counter::RX_TRUNCATED as usize], cut);
        prop_assert_eq!(b.counts[counter::RX_DROP_NO_SLOT as usize], 0);
    }
}

#[test]
fn writes_are_as_long_as_the_payload_size_allows() {
    for (code, max) in [
        (0u64, 128u32),
        (1, 256),
        (2, 512),
        (3, 1024),
        (4, 2048),
        (5, 2048),
    ] {
        let mut b = Bench::new(3, 4, 4, 11, 16);
        b.max_payload(code.min(4));
        b.dut.u.max_payload.next = code.into();
        b.enable(true);
        b.give(1);
        b.doorbell(1, 0, false);
        let f = frame(&mut b.rng, 1517);
        b.frames.push_back(f);
        b.settle();
        let base = SLOTS + 2048;
        let want: Vec<(u64, u32)> = (0..1517u32.div_ceil(max))
            .map(|i| (base + u64::from(i * max), max.min(1517 - i * max)))
            .collect();
        assert_eq!(b.payload.log, want);
        b.check(0);
    }
}

#[test]
fn slots_are_fetched_sixty_four_a_read() {
    let mut b = Bench::new(4, 8, 8, 11, 256);
    b.enable(true);
    for slot in 0..200 {
        b.give(slot);
    }
    b.doorbell(200, 0, false);
    for _ in 0..190 {
        let f = frame(&mut b.rng, 60);
        b.frames.push_back(f);
    }
    b.settle();
    b.check(0);
    assert_eq!(
        b.rq.log,
        [(RQ, 32), (RQ + 128, 32), (RQ + 256, 32), (RQ + 384, 4)]
    );
}

#[test]
fn frames_wait_for_slots_and_for_room_in_the_ring() {
    let mut b = Bench::new(5, 5, 4, 11, 64);
    b.enable(true);
    for _ in 0..40 {
        let f = frame(&mut b.rng, 60);
        b.frames.push_back(f);
    }
    b.settle();
    assert_eq!((b.cqes.len(), b.frames.len()), (0, 40), "no slot yet");
    for slot in 0..32 {
        b.give(slot);
    }
    b.doorbell(32, 0, true);
    b.settle();
    assert_eq!(b.cqes.len(), 16, "the completion ring is full");
    assert_eq!(b.irqs, 1);
    b.doorbell(32, 5, false);
    b.settle();
    assert_eq!(b.cqes.len(), 21);
    assert!(
        !b.dut.u.busy.val(),
        "waiting for the host is not being busy"
    );
    assert_eq!(
        (b.error(), b.counts[counter::RX_DROP_NO_SLOT as usize]),
        (0, 0)
    );
}

#[test]
fn a_drop_in_the_buffer_marks_the_next_completion_only() {
    let mut b = Bench::new(6, 4, 4, 11, 16);
    b.enable(true);
    for slot in 0..8 {
        b.give(slot);
    }
    b.doorbell(8, 0, false);
    for (i, drop) in [false, true, false, true, true, false]
        .into_iter()
        .enumerate()
    {
        b.overflow = drop;
        b.cycle();
        let f = frame(&mut b.rng, 60);
        b.frames.push_back(f);
        b.settle();
        assert_eq!(
            b.cqes[i].status & cs::DROPPED_BEFORE != 0,
            drop,
            "frame {i}"
        );
    }
}

#[test]
fn completions_of_a_burst_share_a_write() {
    let mut b = Bench::new(7, 4, 4, 11, 16);
    (b.payload.accept, b.cq.accept, b.offer) = (100, 100, 100);
    b.enable(true);
    for slot in 0..12 {
        b.give(slot);
    }
    for _ in 0..10 {
        let f = frame(&mut b.rng, 60);
        b.frames.push_back(f);
    }
    b.doorbell(12, 0, false);
    b.settle();
    assert_eq!(b.cq.log, [(CQ, 64), (CQ + 64, 64), (CQ + 128, 32)]);
}

#[test]
fn a_slot_number_out_of_range_stops_the_queue() {
    for bad in [16u16, 0x7FFF, 0x8000, 0xFFFF] {
        let mut b = Bench::new(8, 4, 4, 11, 16);
        b.enable(true);
        for slot in [3, 15, bad] {
            b.give(slot);
        }
        b.payload.allowed.truncate(2);
        b.doorbell(3, 0, false);
        for _ in 0..5 {
            let f = frame(&mut b.rng, 90);
            b.frames.push_back(f);
        }
        b.settle();
        assert_eq!(
            (b.error(), b.failures, b.running()),
            (queue_error::BAD_SLOT, 1, false)
        );
        assert!(b.cqes.len() <= 2);
        assert_eq!(b.handed.len(), 5, "the buffer empties all the same");
        assert_eq!(
            b.counts[counter::RX_DROP_NO_SLOT as usize] as usize,
            5 - b.cqes.len()
        );
    }
}

#[test]
fn an_impossible_index_stops_the_queue() {
    for (p, c) in [
        (19u32, 2u32),
        (3, 2),
        (INDEX_MODULUS - 1, 2),
        (6, 3),
        (6, INDEX_MODULUS - 1),
    ] {
        let mut b = Bench::new(9, 4, 4, 11, 64);
        b.enable(true);
        for slot in 0..6 {
            b.give(slot);
        }
        b.doorbell(6, 0, false);
        for _ in 0..2 {
            let f = frame(&mut b.rng, 60);
            b.frames.push_back(f);
        }
        b.settle();
        b.doorbell(6, 1, false);
        b.settle();
        assert_eq!(b.error(), queue_error::NONE);
        b.doorbell(p, c, false);
        b.settle();
        assert_eq!(
            (b.error(), b.failures),
            (queue_error::BAD_INDEX, 1),
            "{p} {c}"
        );
    }
    // A whole ring is fine: 2 came back, 16 beyond them.
    let mut b = Bench::new(9, 4, 4, 11, 64);
    b.enable(true);
    (0..16).for_each(|s| b.give(s));
    b.doorbell(16, 0, false);
    for _ in 0..2 {
        let f = frame(&mut b.rng, 60);
        b.frames.push_back(f);
    }
    b.settle();
    (16..18).for_each(|s| b.give(s));
    b.doorbell(18, 2, false);
    b.settle();
    assert_eq!(b.error(), 0);
}

#[test]
fn a_refused_ring_read_stops_the_queue() {
    let mut b = Bench::new(10, 8, 4, 11, 256);
    b.rq.poison.push(RQ + 128..RQ + 256);
    b.enable(true);
    (0..64).for_each(|s| b.give(s));
    b.doorbell(64, 0, false);
    b.settle();
    assert_eq!(
        (b.error(), b.failures, b.running()),
        (queue_error::NONE, 0, true),
        "not read yet"
    );
    b.give(64);
    b.doorbell(65, 0, false);
    b.settle();
    assert_eq!(
        (b.error(), b.failures, b.running()),
        (queue_error::DMA, 1, false)
    );
}

#[test]
fn a_wrong_setup_is_refused() {
    let good = [4u64, 4, 11, 0, 0, 0];
    for (k, v) in [
        (0, 3u64),
        (0, 15),
        (1, 3),
        (1, 15),
        (2, 10),
        (2, 15),
        (3, 64),
        (4, 32),
        (5, 1024),
    ] {
        let mut c = good;
        c[k] = v;
        let mut b = Bench::new(11, 4, 4, 11, 16);
        let set = |b: &mut Bench, c: [u64; 6]| {
            b.dut.u.ctl.setup.next = (c[0] | c[1] << 8).into();
            b.dut.u.ctl.slots.next = (c[2] | 16 << 16).into();
            b.dut.u.ctl.ring_lo.next = c[3].into();
            b.dut.u.ctl.cq_lo.next = c[4].into();
            b.dut.u.ctl.slot_lo.next = c[5].into();
        };
        set(&mut b, c);
        b.enable(true);
        b.settle();
        assert_eq!(
            (b.error(), b.failures, b.running()),
            (queue_error::BAD_SETUP, 1, false)
        );
        b.enable(false);
        set(&mut b, good);
        b.enable(true);
        assert_eq!((b.error(), b.running()), (0, true));
    }
}

#[test]
fn indices_survive_the_wrap_of_the_index_space() {
    let mut b = Bench::new(12, 4, 4, 11, 64);
    (b.rq.accept, b.rq.offer, b.rq.latency) = (100, 100, 1);
    (b.payload.accept, b.cq.accept, b.offer) = (100, 100, 100);
    b.enable(true);
    let total = INDEX_MODULUS as usize + 50;
    while b.cqes.len() < total {
        while b.given.len() < b.cqes.len() + 16 {
            let slot = b.given.len() as u16 % 64;
            b.give(slot);
        }
        let (p, c) = (b.given.len() as u32, b.cq_read);
        b.doorbell(p, c, false);
        let before = b.cqes.len();
        for _ in 0..13 {
            let f = frame(&mut b.rng, 9);
            b.frames.push_back(f);
        }
        let mut patience = 0;
        while b.cqes.len() < before + 13 {
            b.cycle();
            patience += 1;
            assert!(
                patience < 3000,
                "stuck at {}, error {}",
                b.cqes.len(),
                b.error()
            );
        }
    }
    b.check(0);
    assert_eq!(b.error(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 4, ..ProptestConfig::default() })]
    #[test]
    fn disabling_at_any_time_comes_to_rest_and_a_new_start_is_clean(seed: u64, cycles in 0u64..1200) {
        let mut b = Bench::new(seed, 5, 4, 11, 64);
        b.enable(true);
        (0..32).for_each(|s| b.give(s));
        b.doorbell(32, 0, true);
        for _ in 0..40 {
            let len = 1 + b.rng.below(200) as usize;
            let f = frame(&mut b.rng, len);
            b.frames.push_back(f);
        }
        for _ in 0..cycles {
            b.cycle();
        }
        b.enable(false);
        b.settle();
        prop_assert!(!b.running());
        prop_assert_eq!(b.handed.len(), 40, "the buffer empties");
        let done = b.cqes.len();
        let dropped = b.counts[counter::RX_DROP_NO_SLOT as usize] as usize;
        // The frame that was under way may have found no room for its completion.
        prop_assert!(done + dropped == 40 || (done == 16 && done + dropped == 39), "{} {}", done, dropped);
        for i in 0..16 {
            b.memory.set_entry(CQ + 16 * i, [0; 4]);
        }
        (b.cq_read, b.given, b.cqes, b.contents, b.handed) = (0, vec![], vec![], vec![], vec![]);
        b.payload.allowed.clear();
        b.enable(true);
        (10..20).for_each(|s| b.give(s));
        b.doorbell(10, 0, false);
        for _ in 0..10 {
            let len = 1 + b.rng.below(200) as usize;
            let f = frame(&mut b.rng, len);
            b.frames.push_back(f);
        }
        b.settle();
        b.check(0);
        prop_assert_eq!(b.cqes.len(), 10);
    }
}

#[test]
fn exports_to_clean_verilog() {
    let text = ferrule_rtl::verilog::emit::<RxQueue>("rx_queue").expect("emits");
    verilator_lint("rx_queue", &text);
}
