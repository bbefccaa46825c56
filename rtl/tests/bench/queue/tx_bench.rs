//! `TxQueues` in a host and before a transmit path, and what the design says must come of its SQEs.
use super::host::{
    drive_bus, drive_reader, sample_reader, sample_writer, Bus, Memory, Reader, Rng, Writer,
};
use ferrule_abi::counter;
use ferrule_abi::regs;
use ferrule_abi::ring::{cqe_status as cs, sqe_flags as sf, Cqe, Sqe, INDEX_MODULUS};
use ferrule_rtl::{native::Native, queue::tx::TxQueues};
use std::collections::VecDeque;

pub(super) const SQ: u64 = 0x1_0000_0000 - 0x800;
pub(super) const CQ: u64 = 0x2_0000_0040;
/// The queue's vector.
pub(super) const VECTOR: u32 = 6;
pub(super) const DATA: u64 = 0x40_0000;

/// What the transmit path says of a packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    Sent,
    /// With the clock when it left.
    Left(u32),
    Miss(u32),
    Bad,
}

/// A frame as the design says it must come out of its SQEs.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) last: u32,
    pub(super) bad: bool,
    pub(super) report: bool,
    pub(super) dma: bool,
    pub(super) flags: u16,
    pub(super) tci: u16,
    pub(super) bytes: Vec<u8>,
}

/// The rules of the design on SQEs, frame by frame: the independent reading that the hardware is held against.
pub(super) fn frames(
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
        // No segments here: a frame with TSO has an MSS of 0.
        let unsupported = sf::TSO | sf::INLINE;
        let f = open.get_or_insert_with(|| Frame {
            last: 0,
            bad: s.flags & sf::SOP == 0 || s.flags & unsupported != 0,
            report: s.flags & sf::TS_REQ != 0,
            dma: false,
            flags: s.flags,
            tci: s.vlan_tci,
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

/// A packet's flags, and the tag that it is to get.
type Flags = (u16, Option<u16>);

/// A transmit queue with everything around it. A segment has TSO among its flags, the first of a packet SOP.
pub(super) struct Bench {
    pub(super) dut: Native<TxQueues>,
    pub(super) memory: Memory,
    pub(super) sq: Reader,
    pub(super) pay: Reader,
    pub(super) cq: Writer,
    pub(super) rng: Rng,
    pub(super) now: u64,
    pub(super) sq_log2: u32,
    pub(super) cq_log2: u32,
    pub(super) bus: Bus,
    pub(super) barrier: bool,
    /// The transmit path: packet under way, verdicts to give.
    pub(super) current: Vec<u8>,
    pub(super) current_flags: Option<Flags>,
    pub(super) packets: Vec<(Vec<u8>, Flags)>,
    pub(super) aborted: u32,
    pub(super) verdicts: VecDeque<(u64, Verdict)>,
    pub(super) given: Vec<Verdict>,
    pub(super) verdict_delay: u64,
    pub(super) answer: fn(&[u8]) -> Verdict,
    pub(super) packet_ready: u64,
    /// The host: completions read, index of the next.
    pub(super) cqes: Vec<Cqe>,
    pub(super) cq_read: u32,
    pub(super) irqs: u32,
    pub(super) failures: u32,
    pub(super) counts: [u32; 32],
}

impl Bench {
    pub(super) fn new(seed: u64, sq_log2: u32, cq_log2: u32) -> Self {
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
            bus: Bus::of(seed as u32 % 4),
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
        u.max_read.next = 2.into();
        u.reset.next = true;
        b.cycle();
        b.dut.u.reset.next = false;
        b.setup(sq_log2 | cq_log2 << 8 | VECTOR << 16);
        b
    }
    /// Writes all that a queue is set up with: CFG as given.
    pub(super) fn setup(&mut self, cfg: u32) {
        for (offset, value) in [
            (regs::tx_cfg::OFFSET, cfg),
            (regs::tx_sq_base_lo::OFFSET, SQ as u32),
            (regs::tx_sq_base_hi::OFFSET, (SQ >> 32) as u32),
            (regs::tx_cq_base_lo::OFFSET, CQ as u32),
            (regs::tx_cq_base_hi::OFFSET, (CQ >> 32) as u32),
        ] {
            self.bus.write(offset, value);
        }
        self.write_all();
    }
    /// Lets the host write what it has to.
    pub(super) fn write_all(&mut self) {
        while !self.bus.is_empty() {
            self.cycle();
        }
    }
    pub(super) fn enable(&mut self, on: bool) {
        self.bus.write(regs::tx_ctrl::OFFSET, u32::from(on));
        self.write_all();
        self.cycle();
        self.cycle();
    }
    pub(super) fn doorbell(&mut self, producer: u32, consumer: u32, arm: bool) {
        let (p, c) = (producer % INDEX_MODULUS, consumer % INDEX_MODULUS);
        let bell = p | c << 16 | u32::from(arm) << 31;
        self.bus.write(regs::tx_doorbell::OFFSET, bell);
        self.write_all();
    }
    pub(super) fn post(&mut self, index: u32, sqe: Sqe) {
        let at = SQ + 16 * u64::from(index % (1 << self.sq_log2));
        self.memory.set_entry(at, sqe.to_words());
    }
    pub(super) fn running(&self) -> bool {
        self.dut.u.bus.status.val().get_bit(4)
    }
    pub(super) fn error(&self) -> u32 {
        self.dut.u.bus.status.val().to_u32() & 15
    }
    pub(super) fn cycle(&mut self) {
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
        drive_bus!(u.bus, self.bus);
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
        u.verdict.stamped.next = matches!(verdict, Some(Verdict::Left(_)));
        u.verdict.address.next = if let Some(Verdict::Miss(a) | Verdict::Left(a)) = verdict {
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
                | (u16::from(p.stamp.val()) * sf::TS_REQ)
                | (u16::from(p.segment.val()) * sf::TSO)
                | (u16::from(p.segment.val() & !p.follows.val()) * sf::SOP)
                | (p.next_hop.val().to_u32() as u16) << sf::NEXT_HOP_SHIFT;
            let tag = p.tag.val().then_some(p.tci.val().to_u32() as u16);
            assert_eq!(
                *self.current_flags.get_or_insert((flags, tag)),
                (flags, tag),
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
                    let verdict = match (self.answer)(&bytes) {
                        Verdict::Sent if p.stamp.val() => Verdict::Left(self.rng.next() as u32),
                        verdict => verdict,
                    };
                    self.verdicts.push_back((due, verdict));
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
        assert!(irq == 0 || irq == 1 << VECTOR, "the queue's own vector");
        self.irqs += u32::from(irq != 0);
        let failed = u.failed.val().to_u32();
        assert!(failed == 0 || failed == 1 << self.bus.queue);
        self.failures += u32::from(failed != 0);
        for (i, n) in self.counts.iter_mut().enumerate() {
            *n += u32::from(u.events.val().get_bit(i));
        }
        self.dut.u.clock.next = true.into();
        self.dut.settle();
    }
    /// The host reads completions by their phase.
    pub(super) fn poll(&mut self) {
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
    pub(super) fn settle(&mut self) {
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
pub(super) fn completions(frames: &[Frame], verdicts: &[Verdict], sq_log2: u32) -> Vec<Cqe> {
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
                Verdict::Left(at) => (c.status, c.timestamp) = (cs::TS_VALID, *at),
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

pub(super) fn random_sqes(rng: &mut Rng, n: usize, longest: u64, wrong: u64) -> Vec<Sqe> {
    let mut out: Vec<Sqe> = vec![];
    while out.len() < n {
        let parts = 1 + if rng.percent(50) { 0 } else { rng.below(5) };
        for i in 0..parts {
            let mut s = Sqe {
                iova: DATA + rng.below(0x8000),
                len: 1 + rng.below(longest) as u16,
                flags: (rng.next() as u16)
                    & (sf::RAW | sf::IPCS | sf::L4CS | sf::VLAN_INS | 7 << sf::NEXT_HOP_SHIFT),
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
                    // Segments of no bytes.
                    3 if rng.percent(50) => (s.flags, s.mss) = (s.flags | sf::TSO, 0),
                    3 => s.flags |= sf::INLINE,
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
pub(super) fn run(mut b: Bench, sqes: &[Sqe], arm: bool) -> Bench {
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
    let kept = sf::RAW | sf::IPCS | sf::L4CS | sf::TS_REQ | 7 << sf::NEXT_HOP_SHIFT;
    for (i, (got, want)) in b.packets.iter().zip(&sent).enumerate() {
        assert_eq!(got.0, want.bytes, "bytes of packet {i}");
        let tag = (want.flags & sf::VLAN_INS != 0).then_some(want.tci);
        assert_eq!(got.1, (want.flags & kept, tag), "flags of packet {i}");
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
pub(super) fn mixed(bytes: &[u8]) -> Verdict {
    match bytes[0] % 3 {
        0 => Verdict::Sent,
        1 => Verdict::Miss(0x0A00_0000 | u32::from(bytes[0])),
        _ => Verdict::Bad,
    }
}
