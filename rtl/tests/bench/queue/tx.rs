//! The transmit queue against a host and a transmit path that follow the design's words.
use super::host::{drive_reader, sample_reader, sample_writer, Memory, Reader, Rng, Writer};
use crate::common::verilator_lint;
use ferrule_abi::counter;
use ferrule_abi::regs::queue_error;
use ferrule_abi::ring::{cqe_status as cs, sqe_flags as sf, Cqe, Sqe, INDEX_MODULUS};
use ferrule_rtl::{native::Native, queue::tx::TxQueue};
use proptest::prelude::*;
use std::collections::VecDeque;

const SQ: u64 = 0x1_0000_0000 - 0x800;
const CQ: u64 = 0x2_0000_0040;
const DATA: u64 = 0x40_0000;

/// What the transmit path says of a packet.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Sent,
    Miss(u32),
    Bad,
}

/// A frame as the design says it must come out of its SQEs.
#[derive(Debug, Clone)]
struct Frame {
    last: u32,
    bad: bool,
    report: bool,
    dma: bool,
    flags: u16,
    bytes: Vec<u8>,
}

/// The rules of the design on SQEs, frame by frame: the independent reading that the hardware is held against.
fn frames(
    sqes: &[Sqe],
    memory: &Memory,
    poison: &[std::ops::Range<u64>],
    block: u64,
) -> Vec<Frame> {
    let mut out = vec![];
    let mut open: Option<Frame> = None;
    for (i, s) in sqes.iter().enumerate() {
        if s.flags & sf::SOP != 0 {
            if let Some(mut f) = open.take() {
                f.bad = true;
                out.push(f);
            }
        }
        let unsupported = sf::TSO | sf::VLAN_INS | sf::INLINE;
        let f = open.get_or_insert_with(|| Frame {
            last: 0,
            bad: s.flags & sf::SOP == 0 || s.flags & unsupported != 0,
            report: s.flags & sf::TS_REQ != 0,
            dma: false,
            flags: s.flags,
            bytes: vec![],
        });
        f.last = i as u32;
        f.bad |= s.len == 0 || f.bytes.len() + s.len as usize > 65_535;
        if !f.bad {
            let (start, end) = (s.iova, s.iova + u64::from(s.len));
            // A read that touches a refused page fails; reads are whole DWs and end at `block` borders.
            let mut at = start;
            while at < end {
                let stop = ((at / block + 1) * block).min(end);
                let (lo, hi) = (at & !3, (stop + 3) & !3);
                f.dma |= poison.iter().any(|p| p.start < hi && lo < p.end);
                at = stop;
            }
            f.bytes.extend((start..end).map(|a| memory.byte(a)));
        }
        if s.flags & sf::EOP != 0 {
            f.report |= s.flags & sf::CPL_REQ != 0;
            out.extend(open.take());
        }
    }
    out
}

struct Bench {
    dut: Native<TxQueue>,
    memory: Memory,
    sq: Reader,
    pay: Reader,
    cq: Writer,
    rng: Rng,
    now: u64,
    sq_log2: u32,
    cq_log2: u32,
    /// Doorbell to write in the next cycle.
    bell: Option<u32>,
    barrier: bool,
    /// The transmit path: packet under way, verdicts to give.
    current: Vec<u8>,
    current_flags: Option<u16>,
    packets: Vec<(Vec<u8>, u16)>,
    aborted: u32,
    verdicts: VecDeque<(u64, Verdict)>,
    given: Vec<Verdict>,
    verdict_delay: u64,
    answer: fn(&[u8]) -> Verdict,
    packet_ready: u64,
    /// The host: completions read, index of the next.
    cqes: Vec<Cqe>,
    cq_read: u32,
    irqs: u32,
    failures: u32,
    counts: [u32; 32],
}

impl Bench {
    fn new(seed: u64, sq_log2: u32, cq_log2: u32) -> Self {
        let mut rng = Rng(seed);
        let (accept, offer) = (30 + rng.below(71), 30 + rng.below(71));
        let latency = rng.below(200);
        let mut cq = Writer::new(20 + rng.below(81));
        cq.max_payload = 64;
        cq.allowed.push(CQ..CQ + (16 << cq_log2));
        let mut sq = Reader::new(accept, offer, latency);
        sq.max_read = 128;
        let mut b = Self {
            dut: Native::default(),
            memory: Memory::default(),
            sq,
            pay: Reader::new(accept, offer, latency),
            cq,
            now: 0,
            sq_log2,
            cq_log2,
            bell: None,
            barrier: false,
            current: vec![],
            current_flags: None,
            packets: vec![],
            aborted: 0,
            verdicts: VecDeque::new(),
            given: vec![],
            verdict_delay: rng.below(100),
            answer: |_| Verdict::Sent,
            packet_ready: 30 + rng.below(71),
            cqes: vec![],
            cq_read: 0,
            irqs: 0,
            failures: 0,
            counts: [0; 32],
            rng,
        };
        let u = &mut b.dut.u;
        u.ctl.ring_lo.next = u64::from(SQ as u32).into();
        u.ctl.ring_hi.next = (SQ >> 32).into();
        u.ctl.cq_lo.next = u64::from(CQ as u32).into();
        u.ctl.cq_hi.next = (CQ >> 32).into();
        u.ctl.setup.next = u64::from(sq_log2 | cq_log2 << 8 | 2 << 16).into();
        u.max_read.next = 2.into();
        u.reset.next = true;
        b.cycle();
        b.dut.u.reset.next = false;
        b
    }
    fn enable(&mut self, on: bool) {
        self.dut.u.ctl.enable.next = on;
        self.cycle();
        self.cycle();
    }
    fn doorbell(&mut self, producer: u32, consumer: u32, arm: bool) {
        let (p, c) = (producer % INDEX_MODULUS, consumer % INDEX_MODULUS);
        self.bell = Some(p | c << 16 | u32::from(arm) << 31);
        self.cycle();
    }
    fn post(&mut self, index: u32, sqe: Sqe) {
        let at = SQ + 16 * u64::from(index % (1 << self.sq_log2));
        self.memory.set_entry(at, sqe.to_words());
    }
    fn running(&self) -> bool {
        self.dut.u.ctl.running.val()
    }
    fn error(&self) -> u32 {
        self.dut.u.ctl.error.val().to_u32()
    }
    fn cycle(&mut self) {
        self.now += 1;
        let u = &mut self.dut.u;
        u.clock.next = false.into();
        drive_reader!(
            u.sq_req,
            u.sq_data,
            self.sq,
            self.now,
            &mut self.rng,
            &self.memory
        );
        drive_reader!(
            u.pay_req,
            u.pay_data,
            self.pay,
            self.now,
            &mut self.rng,
            &self.memory
        );
        self.cq.before(&mut self.rng);
        u.cq.ready.next = self.cq.ready;
        u.ctl.ring.next = self.bell.is_some();
        u.ctl.doorbell.next = u64::from(self.bell.take().unwrap_or(0)).into();
        u.barrier.next = self.barrier;
        let ready = self.rng.percent(self.packet_ready);
        u.packet.ready.next = ready;
        let verdict = self
            .verdicts
            .front()
            .filter(|v| v.0 <= self.now)
            .map(|v| v.1);
        u.verdict.valid.next = verdict.is_some();
        u.verdict.arp_miss.next = matches!(verdict, Some(Verdict::Miss(_)));
        u.verdict.bad.next = matches!(verdict, Some(Verdict::Bad));
        u.verdict.address.next = if let Some(Verdict::Miss(a)) = verdict {
            u64::from(a).into()
        } else {
            0.into()
        };
        self.dut.settle();
        let u = &self.dut.u;
        sample_reader!(u.sq_req, u.sq_data, self.sq, self.now, &mut self.rng);
        sample_reader!(u.pay_req, u.pay_data, self.pay, self.now, &mut self.rng);
        sample_writer!(u.cq, self.cq, &mut self.memory);
        let p = &u.packet;
        if p.valid.val() && ready {
            let flags = (u16::from(p.raw.val()) * sf::RAW)
                | (u16::from(p.ipcs.val()) * sf::IPCS)
                | (u16::from(p.l4cs.val()) * sf::L4CS)
                | (p.next_hop.val().to_u32() as u16) << sf::NEXT_HOP_SHIFT;
            assert_eq!(
                *self.current_flags.get_or_insert(flags),
                flags,
                "flags change in a packet"
            );
            let keep = p.keep.val().to_u32();
            let n = keep.trailing_ones();
            assert_eq!(keep, (1 << n) - 1, "keep has holes");
            assert!(n == 8 || (p.last.val() && n > 0), "a gap inside a packet");
            let word = u64::from(p.d0.val().to_u32()) | u64::from(p.d1.val().to_u32()) << 32;
            self.current.extend(&word.to_le_bytes()[..n as usize]);
            if p.last.val() {
                let bytes = std::mem::take(&mut self.current);
                let flags = self.current_flags.take().expect("flags");
                if p.abort.val() {
                    self.aborted += 1;
                } else {
                    let due = self.now + 1 + self.rng.below(self.verdict_delay + 1);
                    self.verdicts.push_back((due, (self.answer)(&bytes)));
                    self.packets.push((bytes, flags));
                }
            } else {
                assert!(!p.abort.val(), "abort comes with last");
            }
        }
        if let (Some(v), true) = (verdict, u.verdict.ready.val()) {
            self.verdicts.pop_front();
            self.given.push(v);
        }
        let irq = u.irq.val().to_u32();
        assert!(irq == 0 || irq == 1 << 2, "the queue's own vector");
        self.irqs += u32::from(irq != 0);
        self.failures += u32::from(u.failed.val());
        for (i, n) in self.counts.iter_mut().enumerate() {
            *n += u32::from(u.events.val().get_bit(i));
        }
        self.dut.u.clock.next = true.into();
        self.dut.settle();
    }
    /// The host reads completions by their phase.
    fn poll(&mut self) {
        loop {
            let at = CQ + 16 * u64::from(self.cq_read % (1 << self.cq_log2));
            let e = Cqe::from_words(self.memory.entry(at));
            if e.phase != ((self.cq_read >> self.cq_log2) & 1 == 0) {
                return;
            }
            self.cqes.push(e);
            self.cq_read += 1;
        }
    }
    /// Cycles until the device says that it is idle and the world has nothing for it.
    fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..200_000 {
            self.cycle();
            let world = self.sq.outstanding()
                + self.pay.outstanding()
                + self.verdicts.len()
                + usize::from(self.dut.u.packet.valid.val());
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
}

/// What the host must read for `frames` whose packets get `verdicts`, in order.
fn completions(frames: &[Frame], verdicts: &[Verdict], sq_log2: u32) -> Vec<Cqe> {
    let mut verdicts = verdicts.iter();
    let mut out = vec![];
    for f in frames {
        let mut c = Cqe {
            index: (f.last % (1 << sq_log2)) as u16,
            ..Cqe::default()
        };
        if f.bad || f.dma {
            c.status = (u16::from(f.bad) * cs::BAD_DESC) | (u16::from(f.dma) * cs::DMA_ERR);
        } else {
            match verdicts.next().expect("a verdict for every whole frame") {
                Verdict::Sent => {}
                Verdict::Bad => c.status = cs::BAD_DESC,
                Verdict::Miss(a) => (c.status, c.hash) = (cs::ARP_MISS, *a),
            }
        }
        if c.status != 0 || f.report {
            out.push(c);
        }
    }
    out
}

fn random_sqes(rng: &mut Rng, n: usize, longest: u64, wrong: u64) -> Vec<Sqe> {
    let mut out: Vec<Sqe> = vec![];
    while out.len() < n {
        let parts = 1 + if rng.percent(50) { 0 } else { rng.below(5) };
        for i in 0..parts {
            let mut s = Sqe {
                iova: DATA + rng.below(0x8000),
                len: 1 + rng.below(longest) as u16,
                flags: (rng.next() as u16)
                    & (sf::RAW | sf::IPCS | sf::L4CS | 7 << sf::NEXT_HOP_SHIFT),
                vlan_tci: rng.next() as u16,
                mss: rng.next() as u16,
            };
            if rng.percent(30) {
                s.iova |= 0xFF0;
            }
            if i == 0 {
                s.flags |= sf::SOP;
            }
            if i + 1 == parts {
                s.flags |= sf::EOP;
            }
            if rng.percent(25) {
                s.flags |= sf::CPL_REQ;
            }
            if rng.percent(3) {
                s.flags |= sf::TS_REQ;
            }
            if rng.percent(wrong) {
                match rng.below(5) {
                    0 => s.len = 0,
                    1 => s.flags ^= sf::SOP,
                    2 => s.flags ^= sf::EOP,
                    3 => s.flags |= [sf::TSO, sf::VLAN_INS, sf::INLINE][rng.below(3) as usize],
                    _ => s.flags &= !(sf::SOP | sf::EOP),
                }
            }
            out.push(s);
        }
    }
    // The last frame is whole, so that everything has an end.
    out.truncate(n);
    out[n - 1].flags |= sf::EOP;
    out
}

/// Sends `sqes` through a ring and checks every packet and completion.
fn run(mut b: Bench, sqes: &[Sqe], arm: bool) -> Bench {
    for at in DATA..DATA + 0x20_000 {
        let v = b.rng.next() as u8;
        b.memory.set(at, v);
    }
    b.enable(true);
    let size = 1u32 << b.sq_log2;
    let (mut posted, mut retired, mut cq_told, mut armed) = (0u32, 0u32, 0u32, false);
    let expected = frames(sqes, &b.memory, &b.pay.poison, 256);
    // The host may write over SQEs when a later completion is read; the last SQE that each completion covers, in order.
    let mut covers: VecDeque<u32> = VecDeque::new();
    let mut verdicts_seen = 0;
    let mut next_frame = 0;
    let mut idle = 0;
    while next_frame < expected.len() || !covers.is_empty() {
        idle += 1;
        assert!(
            idle < 60_000,
            "stuck: posted {posted}, retired {retired}, frame {next_frame}"
        );
        // Which completions are due, by the verdicts given so far.
        while next_frame < expected.len() && expected[next_frame].last < posted {
            let f = &expected[next_frame];
            let due = if f.bad || f.dma {
                true
            } else if verdicts_seen < b.given.len() {
                verdicts_seen += 1;
                f.report || b.given[verdicts_seen - 1] != Verdict::Sent
            } else {
                break;
            };
            if due {
                covers.push_back(f.last);
            }
            next_frame += 1;
        }
        if b.rng.percent(3) {
            let before = b.cqes.len();
            b.poll();
            for _ in before..b.cqes.len() {
                retired = covers.pop_front().expect("a completion that is due") + 1;
                idle = 0;
            }
            let room = retired + size - posted;
            let left = sqes.len() as u32 - posted;
            let n = (b.rng.below(u64::from(room) + 1) as u32).min(left);
            for i in 0..n {
                b.post(posted + i, sqes[(posted + i) as usize]);
            }
            posted += n;
            cq_told += b.rng.below(u64::from(b.cq_read - cq_told) + 1) as u32;
            let arm = arm && b.rng.percent(20);
            armed |= arm;
            b.doorbell(posted, cq_told, arm);
        } else {
            b.cycle();
            // Without a completion the host could never tell that SQEs are free: it would use CPL_REQ. Here it may peek.
            if covers.is_empty() && posted < sqes.len() as u32 && posted == retired + size {
                retired = match next_frame {
                    0 => retired,
                    n => retired.max(expected[n - 1].last + 1),
                };
            }
        }
        assert!(b.cq_read - cq_told <= 1 << b.cq_log2);
    }
    b.settle();
    b.poll();
    assert_eq!(b.error(), 0);
    assert!(b.running());
    let sent: Vec<_> = expected.iter().filter(|f| !f.bad && !f.dma).collect();
    assert_eq!(b.packets.len(), sent.len(), "each whole frame once");
    let kept = sf::RAW | sf::IPCS | sf::L4CS | 7 << sf::NEXT_HOP_SHIFT;
    for (i, (got, want)) in b.packets.iter().zip(&sent).enumerate() {
        assert_eq!(got.0, want.bytes, "bytes of packet {i}");
        assert_eq!(got.1, want.flags & kept, "flags of packet {i}");
    }
    let want = completions(&expected, &b.given, b.sq_log2);
    let got: Vec<Cqe> = b.cqes.iter().map(|c| Cqe { phase: false, ..*c }).collect();
    assert_eq!(got, want, "completions");
    let bad = want.iter().filter(|c| c.status & cs::BAD_DESC != 0).count() as u32;
    let dma = want.iter().filter(|c| c.status & cs::DMA_ERR != 0).count() as u32;
    assert_eq!(b.counts[counter::TX_BAD_DESC as usize], bad);
    assert_eq!(b.counts[counter::TX_DMA_ERR as usize], dma);
    assert!(!arm || !armed || want.is_empty() || b.irqs > 0);
    assert!(arm || b.irqs == 0);
    b
}

/// A third of the packets sent, a third missed, a third refused, by their bytes.
fn mixed(bytes: &[u8]) -> Verdict {
    match bytes[0] % 3 {
        0 => Verdict::Sent,
        1 => Verdict::Miss(0x0A00_0000 | u32::from(bytes[0])),
        _ => Verdict::Bad,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 4, ..ProptestConfig::default() })]
    #[test]
    fn every_frame_is_sent_once_or_reported_once(seed: u64, sq_log2 in 4u32..7, cq_log2 in 4u32..6, wrong in prop_oneof![Just(0u64), Just(5), Just(25)]) {
        let mut b = Bench::new(seed, sq_log2, cq_log2);
        b.answer = mixed;
        if b.rng.percent(50) {
            b.pay.poison = vec![DATA + 0x1F00..DATA + 0x2010, DATA + 0x5003..DATA + 0x5004];
        }
        let longest = if b.rng.percent(50) { 2000 } else { 90 };
        let n = if longest > 100 { 80 } else { 250 };
        let sqes = random_sqes(&mut b.rng, n, longest, wrong);
        run(b, &sqes, seed % 2 == 0);
    }
}

#[test]
fn every_alignment_and_length_up_to_twenty() {
    let mut sqes = vec![];
    for at in 0..8 {
        for len in 1..=20u16 {
            // Two parts, so that the second begins at every place in a beat.
            let first = Sqe {
                iova: DATA + 256 + at,
                len,
                flags: sf::SOP,
                ..Sqe::default()
            };
            let second = Sqe {
                iova: DATA + 512 + (at * 3) % 8,
                len: 21 - len,
                flags: sf::EOP | sf::CPL_REQ,
                ..Sqe::default()
            };
            sqes.extend([first, second]);
        }
    }
    run(Bench::new(5, 6, 6), &sqes, false);
}

#[test]
fn reads_are_split_at_256_bytes_or_the_read_size_and_several_are_in_flight() {
    for (mrrs, block) in [(2u64, 256u64), (1, 256), (0, 128)] {
        let mut b = Bench::new(11, 4, 4);
        (b.pay.accept, b.pay.offer, b.pay.latency) = (100, 100, 0);
        b.dut.u.max_read.next = mrrs.into();
        b.pay.max_read = block as u32;
        b.enable(true);
        b.pay.latency = 400;
        b.post(
            0,
            Sqe {
                iova: DATA + 0xFB1,
                len: 1500,
                flags: sf::SOP | sf::EOP,
                ..Sqe::default()
            },
        );
        b.doorbell(1, 0, false);
        b.settle();
        let (start, end) = (DATA + 0xFB1, DATA + 0xFB1 + 1500);
        let mut want = vec![];
        let mut at = start;
        while at < end {
            let stop = ((at / block + 1) * block).min(end);
            want.push((at & !3, (stop.div_ceil(4) - at / 4) as u32));
            at = stop;
        }
        assert_eq!(b.pay.log, want);
        assert!(b.pay.deepest >= 4, "{} reads in flight", b.pay.deepest);
        assert_eq!(b.packets[0].0.len(), 1500);
    }
}

#[test]
fn the_ring_is_fetched_eight_sqes_a_read_with_two_in_flight() {
    let mut b = Bench::new(12, 5, 5);
    b.sq.latency = 300;
    b.enable(true);
    for i in 0..20 {
        b.post(
            i,
            Sqe {
                iova: DATA,
                len: 64,
                flags: sf::SOP | sf::EOP,
                ..Sqe::default()
            },
        );
    }
    b.doorbell(20, 0, false);
    b.settle();
    assert_eq!(b.sq.log, [(SQ, 32), (SQ + 128, 32), (SQ + 256, 16)]);
    assert_eq!(b.sq.deepest, 2);
    assert_eq!(b.packets.len(), 20);
}

#[test]
fn a_frame_may_total_65_535_bytes_and_not_one_more() {
    for (over, status) in [(0, 0), (1, cs::BAD_DESC)] {
        let mut b = Bench::new(13, 4, 4);
        (b.pay.accept, b.pay.offer, b.pay.latency, b.packet_ready) = (100, 100, 20, 100);
        b.enable(true);
        let lens = [20_000u16, 20_000, 20_000, 5_535 + over];
        for (i, &len) in lens.iter().enumerate() {
            let mut flags = if i == 0 { sf::SOP } else { 0 };
            if i + 1 == lens.len() {
                flags |= sf::EOP | sf::CPL_REQ;
            }
            b.post(
                i as u32,
                Sqe {
                    iova: DATA + 3,
                    len,
                    flags,
                    ..Sqe::default()
                },
            );
        }
        b.doorbell(4, 0, false);
        b.settle();
        b.poll();
        assert_eq!(b.cqes.len(), 1);
        assert_eq!((b.cqes[0].status, b.cqes[0].index), (status, 3));
        assert_eq!(b.packets.len(), usize::from(status == 0));
        assert_eq!(b.aborted, u32::from(status != 0));
    }
}

#[test]
fn indices_survive_the_wrap_of_the_index_space() {
    let mut b = Bench::new(14, 4, 4);
    (b.sq.accept, b.sq.offer, b.sq.latency) = (100, 100, 1);
    (b.pay.accept, b.pay.offer, b.pay.latency) = (100, 100, 1);
    (b.packet_ready, b.cq.accept, b.verdict_delay) = (100, 100, 1);
    for i in 0..64 {
        b.memory.set(DATA + i, i as u8);
    }
    b.enable(true);
    let total = INDEX_MODULUS + 100;
    let mut posted = 0;
    while posted < total {
        let n = (16).min(total - posted);
        for i in 0..n {
            let mut flags = sf::SOP | sf::EOP;
            if i + 1 == n {
                flags |= sf::CPL_REQ;
            }
            let sqe = Sqe {
                iova: DATA + u64::from(posted + i) % 8,
                len: 8,
                flags,
                ..Sqe::default()
            };
            b.post(posted + i, sqe);
        }
        posted += n;
        b.doorbell(posted, b.cq_read, false);
        let mut patience = 0;
        let before = b.cq_read;
        while b.cq_read == before {
            b.cycle();
            b.poll();
            patience += 1;
            assert!(patience < 2000, "no completion for {posted}");
        }
        assert_eq!(
            u32::from(b.cqes.last().expect("one").index),
            (posted - 1) % 16
        );
    }
    assert_eq!(b.error(), 0);
    assert_eq!(b.packets.len() as u32, total);
    for (i, p) in b.packets.iter().enumerate() {
        let want: Vec<u8> = (0..8).map(|k| (i % 8 + k) as u8).collect();
        assert_eq!(p.0, want, "packet {i}");
    }
}

#[test]
fn an_impossible_index_stops_the_queue_and_enabling_again_starts_it() {
    // (producer, consumer): a ring is 16 entries, 4 are posted, 4 completions written, 2 of them read.
    for (p, c) in [
        (21u32, 2u32),
        (3, 2),
        (4, 5),
        (4, 1),
        (INDEX_MODULUS - 1, 2),
        (20 + 1, 3),
    ] {
        let mut b = Bench::new(15, 4, 4);
        b.enable(true);
        let sqe = Sqe {
            iova: DATA,
            len: 60,
            flags: sf::SOP | sf::EOP | sf::CPL_REQ,
            ..Sqe::default()
        };
        for i in 0..4 {
            b.post(i, sqe);
        }
        b.doorbell(4, 0, false);
        b.settle();
        b.doorbell(4, 2, false);
        b.settle();
        assert_eq!((b.error(), b.failures), (queue_error::NONE, 0));
        b.doorbell(p, c, false);
        b.settle();
        assert_eq!(
            (b.error(), b.failures),
            (queue_error::BAD_INDEX, 1),
            "{p} {c}"
        );
        assert!(!b.running());
        b.doorbell(5, 2, false);
        b.settle();
        assert_eq!(b.packets.len(), 4, "a stopped queue ignores doorbells");
        b.enable(false);
        assert_eq!(
            b.error(),
            queue_error::BAD_INDEX,
            "the error stays until the queue is enabled"
        );
        b.enable(true);
        assert_eq!(b.error(), 0);
        for i in 0..16 {
            b.memory.set_entry(CQ + 16 * i, [0; 4]);
        }
        (b.cq_read, b.cqes) = (0, vec![]);
        b.doorbell(4, 0, false);
        b.settle();
        b.poll();
        assert_eq!((b.packets.len(), b.cqes.len()), (8, 4));
    }
    // The most that is allowed: a whole ring.
    let mut b = Bench::new(16, 4, 4);
    b.enable(true);
    for i in 0..16 {
        b.post(
            i,
            Sqe {
                iova: DATA,
                len: 60,
                flags: sf::SOP | sf::EOP,
                ..Sqe::default()
            },
        );
    }
    b.doorbell(16, 0, false);
    b.settle();
    b.doorbell(32, 0, false);
    b.settle();
    assert_eq!((b.error(), b.packets.len()), (0, 32));
}

#[test]
fn a_refused_ring_read_stops_the_queue() {
    let mut b = Bench::new(17, 4, 4);
    b.sq.poison.push(SQ + 128..SQ + 256);
    b.enable(true);
    for i in 0..10 {
        b.post(
            i,
            Sqe {
                iova: DATA,
                len: 60,
                flags: sf::SOP | sf::EOP | sf::CPL_REQ,
                ..Sqe::default()
            },
        );
    }
    b.doorbell(10, 0, false);
    b.settle();
    b.poll();
    assert_eq!((b.error(), b.failures), (queue_error::DMA, 1));
    assert!(!b.running());
    assert!(b.packets.len() <= 8 && b.packets.len() == b.cqes.len());
}

#[test]
fn a_wrong_setup_is_refused() {
    for (sq, cq, sq_lo, cq_lo) in [
        (3u64, 4u64, 0u64, 0u64),
        (15, 4, 0, 0),
        (4, 3, 0, 0),
        (4, 15, 0, 0),
        (4, 4, 64, 0),
        (4, 4, 0, 32),
    ] {
        let mut b = Bench::new(18, 4, 4);
        b.dut.u.ctl.setup.next = (sq | cq << 8).into();
        b.dut.u.ctl.ring_lo.next = sq_lo.into();
        b.dut.u.ctl.cq_lo.next = cq_lo.into();
        b.enable(true);
        b.settle();
        assert_eq!(
            (b.error(), b.failures, b.running()),
            (queue_error::BAD_SETUP, 1, false)
        );
        b.enable(false);
        b.dut.u.ctl.setup.next = (14 | 14u64 << 8).into();
        b.dut.u.ctl.ring_lo.next = 0.into();
        b.dut.u.ctl.cq_lo.next = 0.into();
        b.enable(true);
        assert_eq!((b.error(), b.running()), (0, true));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 4, ..ProptestConfig::default() })]
    #[test]
    fn disabling_at_any_time_comes_to_rest_and_a_new_start_is_clean(seed: u64, cycles in 0u64..1500) {
        let mut b = Bench::new(seed, 4, 4);
        b.answer = mixed;
        b.sq.errors = if seed % 3 == 0 { 100 } else { 0 };
        b.pay.errors = if seed % 5 == 0 { 100 } else { 0 };
        let sqes = random_sqes(&mut b.rng, 16, 700, 10);
        b.enable(true);
        for (i, s) in sqes.iter().enumerate() {
            b.post(i as u32, *s);
        }
        // The host reads nothing: the completion ring may be full as well.
        b.doorbell(16, 0, true);
        for _ in 0..cycles {
            b.cycle();
        }
        b.enable(false);
        b.settle();
        prop_assert!(!b.running());
        prop_assert_eq!(b.current_flags, None, "no packet is left open");
        prop_assert_eq!(b.given.len(), b.packets.len());
        b.poll();
        let status: Vec<u16> = b.cqes.iter().map(|c| c.status).collect();
        prop_assert!(status.len() <= 16);
        // Again, from index 0 and phase 1.
        for i in 0..16 {
            b.memory.set_entry(CQ + 16 * i, [0; 4]);
        }
        (b.sq.errors, b.pay.errors) = (0, 0);
        (b.cq_read, b.cqes, b.packets, b.given) = (0, vec![], vec![], vec![]);
        b.counts = [0; 32];
        b.irqs = 0;
        run(b, &sqes, false);
    }
}

#[test]
fn the_barrier_waits_for_verdicts_and_written_completions() {
    let mut b = Bench::new(19, 4, 4);
    (b.verdict_delay, b.packet_ready, b.cq.accept) = (0, 100, 5);
    b.answer = |_| Verdict::Miss(0x0A00_0001);
    b.enable(true);
    for round in 0..40u32 {
        b.post(
            round,
            Sqe {
                iova: DATA,
                len: 60,
                flags: sf::SOP | sf::EOP,
                ..Sqe::default()
            },
        );
        b.verdict_delay = u64::from(round * 5);
        b.doorbell(round + 1, b.cq_read, false);
        while b.packets.len() as u32 <= round {
            b.cycle();
        }
        b.barrier = true;
        let mut patience = 0;
        while !b.dut.u.barrier_done.val() {
            b.cycle();
            patience += 1;
            assert!(patience < 5000, "the barrier never ends");
        }
        b.poll();
        assert_eq!(
            b.cqes.len() as u32,
            round + 1,
            "the completion is in memory before the barrier ends"
        );
        b.barrier = false;
        b.cycle();
        b.cycle();
        assert!(!b.dut.u.barrier_done.val());
    }
}

#[test]
fn exports_to_clean_verilog() {
    let text = ferrule_rtl::verilog::emit::<TxQueue>("tx_queue").expect("emits");
    verilator_lint("tx_queue", &text);
}
