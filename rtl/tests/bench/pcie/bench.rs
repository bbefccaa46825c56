//! The host side under test, cycle by cycle, with a root complex and clients of its DMA around it.
use super::tlp::{beats, split, word_at, Completion, Request, Rng, Tlp, SUCCESS};
use crate::lockstep::Trace;
use ferrule_abi::{regs, BAR_REGS};
use ferrule_rtl::{native::Native, pcie::HostSide, pins::TlpBeat};
use std::collections::{BTreeMap, VecDeque};

pub(crate) const DEVICE: u16 = 0x0310;
pub(crate) const HOST: u16 = 0x0008;
/// The longest anything here may take, in cycles.
const PATIENCE: u64 = 20_000;

/// A write of a client.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) addr: u64,
    pub(crate) data: Vec<u32>,
    pub(crate) last_be: u8,
}

/// The answer to a client's read: its data, or none if it failed.
pub(crate) type Answer = Option<Vec<u32>>;

pub(crate) struct Bench {
    pub(crate) n: Native<HostSide>,
    pub(crate) rng: Rng,
    /// Random gaps and stalls everywhere; otherwise everybody is always ready.
    pub(crate) stalls: bool,
    pub(crate) time_ns: u64,
    pub(crate) to_device: VecDeque<TlpBeat>,
    offered: bool,
    partial: Vec<u32>,
    /// TLPs from the device but reads, in order.
    pub(crate) seen: Vec<Tlp>,
    /// Reads that the root complex has not answered.
    pub(crate) reads: Vec<Request>,
    /// The root complex answers reads by itself.
    pub(crate) answering: bool,
    /// Completions under way, per read: what is left of it.
    splits: Vec<VecDeque<Completion>>,
    pub(crate) memory: BTreeMap<u64, u8>,
    pub(crate) jobs: [VecDeque<Job>; 4],
    job_beat: [usize; 4],
    job_offered: [bool; 4],
    /// Writes whose last beat was taken.
    pub(crate) jobs_taken: usize,
    pub(crate) requests: [VecDeque<(u64, u32)>; 3],
    pub(crate) answers: [Vec<Answer>; 3],
    answer_partial: [Vec<u32>; 3],
    /// Clients that take their answers.
    pub(crate) listening: [bool; 3],
    pub(crate) irq: u64,
    pub(crate) inc: u64,
    pub(crate) soft_resets: u32,
    next_tag: u8,
    /// Every cycle's ports, where a test asks for it.
    pub(crate) trace: Option<Trace>,
}

impl Bench {
    pub(crate) fn new(seed: u64, stalls: bool) -> Self {
        Self::with(seed, stalls, None)
    }

    /// Like `new`, with all cycles recorded.
    pub(crate) fn traced(seed: u64, stalls: bool) -> Self {
        Self::with(seed, stalls, Some(Trace::default()))
    }

    fn with(seed: u64, stalls: bool, trace: Option<Trace>) -> Self {
        let mut b = Self {
            n: Native::default(),
            rng: Rng(seed),
            stalls,
            time_ns: 0,
            to_device: VecDeque::new(),
            offered: false,
            partial: vec![],
            seen: vec![],
            reads: vec![],
            answering: true,
            splits: vec![],
            memory: BTreeMap::new(),
            jobs: Default::default(),
            job_beat: [0; 4],
            job_offered: [false; 4],
            jobs_taken: 0,
            requests: Default::default(),
            answers: Default::default(),
            answer_partial: Default::default(),
            listening: [true; 3],
            irq: 0,
            inc: 0,
            soft_resets: 0,
            next_tag: 0,
            trace,
        };
        let u = &mut b.n.u;
        u.completer_id.next = u64::from(DEVICE).into();
        u.bus_master.next = true;
        u.msix_enable.next = true;
        u.board_mac_lo.next = 0x3322_1102_u64.into();
        u.board_mac_hi.next = 0x5544_u64.into();
        u.link_up.next = true;
        u.link_speed.next = 2_u64.into();
        u.mdio.done.next = true;
        u.mdio.rdata.next = 0xFFFF_u64.into();
        u.reset.next = true;
        b.cycle();
        b.cycle();
        b.n.u.reset.next = false;
        b.cycle();
        b.until("the end of reset", |b| !b.busy());
        b
    }

    /// The clients forget what they wanted, as they do when they are reset.
    pub(crate) fn forget(&mut self) {
        self.jobs = Default::default();
        self.job_beat = [0; 4];
        self.job_offered = [false; 4];
        self.requests = Default::default();
    }

    fn go(&mut self, often: u64) -> bool {
        !self.stalls || self.rng.chance(often, 4)
    }

    pub(crate) fn busy(&self) -> bool {
        self.n.u.busy.val()
    }

    pub(crate) fn cycle(&mut self) {
        self.answer_reads();
        self.drive();
        self.n.settle();
        if let Some(trace) = &mut self.trace {
            trace.record(&*self.n.u);
        }
        self.observe();
        self.n.u.clock.next = true.into();
        self.n.settle();
        self.time_ns += 8;
    }

    fn drive(&mut self) {
        let offer = self.offered || (!self.to_device.is_empty() && self.go(3));
        self.offered = offer;
        let ready = self.go(3);
        let beat = self.to_device.front().copied().unwrap_or_default();
        let (ns, irq, inc) = (self.time_ns, self.irq, self.inc);
        let u = &mut self.n.u;
        u.clock.next = false.into();
        u.time_lo.next = (ns & 0xFFFF_FFFF).into();
        u.time_hi.next = (ns >> 32).into();
        u.now_lo.next = (ns & 0xFFFF_FFFF).into();
        u.now_hi.next = (ns >> 32).into();
        u.tlp_rx.d0.next = u64::from(beat.d0).into();
        u.tlp_rx.d1.next = u64::from(beat.d1).into();
        u.tlp_rx.half.next = beat.half;
        u.tlp_rx.last.next = beat.last;
        u.tlp_rx.bar.next = u64::from(beat.bar).into();
        u.tlp_rx.valid.next = offer;
        u.tlp_tx.ready.next = ready;
        u.irq.next = irq.into();
        u.inc.next = inc.into();
        self.irq = 0;
        self.inc = 0;
        for i in 0..4 {
            let offer = self.job_offered[i] || (!self.jobs[i].is_empty() && self.go(2));
            self.job_offered[i] = offer;
            let w = &mut self.n.u.writes[i];
            w.valid.next = offer;
            if let Some(job) = self.jobs[i].front() {
                let at = self.job_beat[i] * 2;
                w.addr_lo.next = (job.addr & 0xFFFF_FFFF).into();
                w.addr_hi.next = (job.addr >> 32).into();
                w.dwords.next = (job.data.len() as u64).into();
                w.last_be.next = u64::from(job.last_be).into();
                w.d0.next = u64::from(job.data[at]).into();
                w.d1.next = u64::from(job.data.get(at + 1).copied().unwrap_or(0x5A5A_5A5A)).into();
                w.last.next = at + 2 >= job.data.len();
            }
        }
        for i in 0..3 {
            let listen = self.listening[i] && self.go(2);
            self.n.u.read_data[i].ready.next = listen;
            let r = &mut self.n.u.read_req[i];
            r.valid.next = !self.requests[i].is_empty();
            if let Some((addr, dwords)) = self.requests[i].front() {
                r.addr_lo.next = (addr & 0xFFFF_FFFF).into();
                r.addr_hi.next = (addr >> 32).into();
                r.dwords.next = u64::from(*dwords).into();
            }
        }
    }

    fn observe(&mut self) {
        if self.offered && self.n.u.tlp_rx.ready.val() {
            self.to_device.pop_front();
            self.offered = false;
        }
        let tx = &self.n.u.tlp_tx;
        if tx.valid.val() && tx.ready.val() {
            self.partial.push(tx.d0.val().to_u32());
            let (half, last) = (tx.half.val(), tx.last.val());
            assert!(last || !half, "half without last");
            if !half {
                self.partial.push(tx.d1.val().to_u32());
            }
            if last {
                let whole = std::mem::take(&mut self.partial);
                self.take(Tlp::decode(&whole));
            }
        }
        for i in 0..4 {
            if self.job_offered[i] && self.n.u.writes[i].ready.val() {
                self.job_offered[i] = false;
                self.job_beat[i] += 1;
                if self.n.u.writes[i].last.val() {
                    self.jobs[i].pop_front();
                    self.job_beat[i] = 0;
                    self.jobs_taken += 1;
                }
            }
        }
        for i in 0..3 {
            if self.n.u.read_req[i].valid.val() && self.n.u.read_req[i].ready.val() {
                self.requests[i].pop_front();
            }
            let a = &self.n.u.read_data[i];
            if a.valid.val() && a.ready.val() {
                self.answer_partial[i].push(a.d0.val().to_u32());
                self.answer_partial[i].push(a.d1.val().to_u32());
                if a.last.val() {
                    let data = std::mem::take(&mut self.answer_partial[i]);
                    self.answers[i].push((!a.err.val()).then_some(data));
                }
            }
        }
        self.soft_resets += u32::from(self.n.u.soft_reset.val());
    }

    /// A TLP of the device has come whole.
    fn take(&mut self, tlp: Tlp) {
        match tlp {
            Tlp::Request(r) => {
                assert_eq!(r.requester, DEVICE);
                assert!(!r.poisoned && r.tc == 0 && r.attr == 0, "{r:?}");
                if r.write {
                    for (i, w) in r.data.iter().enumerate() {
                        let be = match i {
                            0 => r.first_be,
                            i if i + 1 == r.data.len() => r.last_be,
                            _ => 0xF,
                        };
                        for b in 0..4 {
                            if be >> b & 1 == 1 {
                                self.memory
                                    .insert(r.addr + 4 * i as u64 + b, (w >> (8 * b)) as u8);
                            }
                        }
                    }
                    self.seen.push(Tlp::Request(r));
                } else {
                    assert!((r.first_be, r.last_be) == (0xF, if r.dwords == 1 { 0 } else { 0xF }));
                    assert!(
                        self.reads.iter().all(|o| o.tag != r.tag),
                        "tag {} is in use",
                        r.tag
                    );
                    self.reads.push(r);
                }
            }
            c => self.seen.push(c),
        }
    }

    /// Completions for `r`, split as `cut` likes.
    pub(crate) fn completions(r: &Request, cut: impl FnMut() -> bool) -> VecDeque<Completion> {
        let mut left = r.dwords * 4;
        split(r.addr, r.dwords, cut)
            .into_iter()
            .map(|(addr, dwords)| {
                let c = Completion {
                    completer: HOST,
                    status: SUCCESS,
                    bytes: left,
                    requester: r.requester,
                    tag: r.tag,
                    lower: (addr & 0x7F) as u8,
                    tc: 0,
                    attr: 0,
                    poisoned: false,
                    data: (0..dwords)
                        .map(|i| word_at(addr + 4 * u64::from(i)))
                        .collect(),
                };
                left -= dwords * 4;
                c
            })
            .collect()
    }

    fn answer_reads(&mut self) {
        if !self.answering {
            return;
        }
        for r in std::mem::take(&mut self.reads) {
            let mut rng = self.rng.clone();
            self.splits.push(Self::completions(&r, || rng.chance(1, 2)));
            self.rng = rng;
        }
        if !self.splits.is_empty() && self.to_device.len() < 8 && self.go(1) {
            let i = self.rng.below(self.splits.len() as u64) as usize;
            if let Some(c) = self.splits[i].pop_front() {
                self.send(&c.encode(), 0);
            }
            if self.splits[i].is_empty() {
                self.splits.swap_remove(i);
            }
        }
    }

    pub(crate) fn send(&mut self, dws: &[u32], bar: u8) {
        self.to_device.extend(beats(dws, bar));
    }

    /// Runs until `done`.
    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        for _ in 0..PATIENCE {
            if done(self) {
                return;
            }
            self.cycle();
        }
        panic!("{what} does not happen");
    }

    /// Runs until nothing moves.
    pub(crate) fn settle(&mut self) {
        self.cycle();
        self.until("quiet", |b| {
            !b.busy()
                && b.to_device.is_empty()
                && b.splits.is_empty()
                && b.jobs.iter().all(VecDeque::is_empty)
                && b.requests.iter().all(VecDeque::is_empty)
        });
    }

    /// Posts a register write.
    pub(crate) fn post(&mut self, bar: u8, offset: u32, value: u32) {
        let four = self.rng.chance(1, 2);
        let base = if four { 0xA_FE00_0000 } else { 0xFE00_0000 };
        let r = Request::write(base + u64::from(offset), vec![value], HOST);
        self.send(&r.encode(four), bar);
    }

    /// Writes a register and waits until nothing moves.
    pub(crate) fn write(&mut self, bar: u8, offset: u32, value: u32) {
        self.post(bar, offset, value);
        self.until("the write", |b| b.to_device.is_empty());
        for _ in 0..12 {
            self.cycle();
        }
    }

    /// Sends a request and waits for its completion.
    pub(crate) fn ask(&mut self, r: &Request, bar: u8) -> Completion {
        let four = self.rng.chance(1, 2);
        self.send(&r.encode(four), bar);
        let from = self.seen.len();
        let is_it = |t: &Tlp| matches!(t, Tlp::Completion(c) if c.tag == r.tag);
        self.until("the completion", |b| b.seen[from..].iter().any(is_it));
        match self
            .seen
            .remove(from + self.seen[from..].iter().position(is_it).unwrap_or(0))
        {
            Tlp::Completion(c) => c,
            Tlp::Request(_) => unreachable!("only a completion matches"),
        }
    }

    /// Reads a register.
    pub(crate) fn read(&mut self, bar: u8, offset: u32) -> u32 {
        self.next_tag = self.next_tag.wrapping_add(37);
        let mut r = Request::read(0xFE00_0000 + u64::from(offset), 1, HOST, self.next_tag);
        (r.tc, r.attr) = (self.rng.below(8) as u8, self.rng.below(4) as u8);
        let c = self.ask(&r, bar);
        let want = Completion {
            completer: DEVICE,
            status: SUCCESS,
            bytes: 4,
            requester: HOST,
            tag: r.tag,
            lower: (offset & 0x7C) as u8,
            tc: r.tc,
            attr: r.attr,
            poisoned: false,
            data: c.data.clone(),
        };
        assert_eq!((&c, c.data.len()), (&want, 1));
        c.data[0]
    }

    pub(crate) fn reg(&mut self, offset: u32) -> u32 {
        self.read(BAR_REGS, offset)
    }

    pub(crate) fn set_reg(&mut self, offset: u32, value: u32) {
        self.write(BAR_REGS, offset, value);
    }

    /// How often accesses were refused so far.
    pub(crate) fn refused(&mut self) -> u32 {
        self.reg(regs::bad_access::OFFSET)
    }

    /// Counter `index` now.
    pub(crate) fn counter(&mut self, index: u32) -> u64 {
        self.set_reg(regs::snapshot::OFFSET, 1);
        let at = regs::counters::OFFSET + 8 * index;
        u64::from(self.reg(at)) | u64::from(self.reg(at + 4)) << 32
    }
}
