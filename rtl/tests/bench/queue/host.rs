//! Host memory for the queue testbenches: answers reads, applies writes, and refuses what a device must not do.
use std::collections::{HashMap, VecDeque};

/// A small reproducible generator (splitmix64), so that a seed alone names a run.
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    /// A number below `n`.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    /// True `p` times in a hundred.
    pub(super) fn percent(&mut self, p: u64) -> bool {
        self.below(100) < p
    }
}

/// What the host writes to the pages of the queues of one kind: the queue's number, the register's offset, the word.
#[derive(Default)]
pub(super) struct Bus {
    /// The queue that [`Bus::write`] writes to, and whose STATUS is looked at.
    pub(super) queue: u32,
    writes: VecDeque<(u32, u32, u32)>,
    rests: bool,
}

impl Bus {
    pub(super) fn of(queue: u32) -> Self {
        Self {
            queue,
            ..Default::default()
        }
    }
    pub(super) fn write(&mut self, offset: u32, value: u32) {
        self.writes.push_back((self.queue, offset, value));
    }
    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
    /// What is written in the next cycle: nothing in two cycles running, as a write TLP has two beats.
    pub(super) fn next(&mut self) -> Option<(u32, u32, u32)> {
        self.rests = !self.rests && !self.writes.is_empty();
        self.rests.then(|| self.writes.pop_front()).flatten()
    }
}

/// Memory in 4 KiB pages; untouched bytes are 0.
#[derive(Default)]
pub(super) struct Memory(HashMap<u64, Box<[u8; 4096]>>);

impl Memory {
    pub(super) fn byte(&self, at: u64) -> u8 {
        self.0
            .get(&(at >> 12))
            .map_or(0, |p| p[at as usize & 0xFFF])
    }
    pub(super) fn set(&mut self, at: u64, v: u8) {
        self.0
            .entry(at >> 12)
            .or_insert_with(|| Box::new([0; 4096]))[at as usize & 0xFFF] = v;
    }
    pub(super) fn word(&self, at: u64) -> u32 {
        u32::from_le_bytes(std::array::from_fn(|i| self.byte(at + i as u64)))
    }
    pub(super) fn set_word(&mut self, at: u64, v: u32) {
        for (i, b) in v.to_le_bytes().into_iter().enumerate() {
            self.set(at + i as u64, b);
        }
    }
    pub(super) fn entry(&self, at: u64) -> [u32; 4] {
        std::array::from_fn(|i| self.word(at + 4 * i as u64))
    }
    pub(super) fn set_entry(&mut self, at: u64, w: [u32; 4]) {
        for (i, w) in w.into_iter().enumerate() {
            self.set_word(at + 4 * i as u64, w);
        }
    }
}

struct Read {
    addr: u64,
    dwords: u32,
    due: u64,
    err: bool,
}

/// One read client: takes requests, answers them in order after a random time.
pub(super) struct Reader {
    pending: VecDeque<Read>,
    beat: u32,
    held: Option<(u64, u32)>,
    /// Longest read allowed, in bytes.
    pub(super) max_read: u32,
    /// A request is accepted this often, in percent of the cycles.
    pub(super) accept: u64,
    /// A beat is offered this often.
    pub(super) offer: u64,
    /// Longest latency in cycles.
    pub(super) latency: u64,
    /// A read fails this often, in thousandths.
    pub(super) errors: u64,
    /// Addresses whose reads fail.
    pub(super) poison: Vec<std::ops::Range<u64>>,
    /// All reads so far: address and DWs.
    pub(super) log: Vec<(u64, u32)>,
    /// Most reads in flight at once.
    pub(super) deepest: usize,
    /// Reads answered with an error.
    pub(super) failed: u32,
    /// What is driven in this cycle.
    pub(super) req_ready: bool,
    /// A beat is offered in this cycle.
    pub(super) valid: bool,
}

/// The beat a [`Reader`] offers.
pub(super) struct Beat {
    pub(super) d0: u32,
    pub(super) d1: u32,
    pub(super) last: bool,
    pub(super) err: bool,
}

impl Reader {
    pub(super) fn new(accept: u64, offer: u64, latency: u64) -> Self {
        Self {
            pending: VecDeque::new(),
            beat: 0,
            held: None,
            max_read: 256,
            accept,
            offer,
            latency,
            errors: 0,
            poison: vec![],
            log: vec![],
            deepest: 0,
            failed: 0,
            req_ready: false,
            valid: false,
        }
    }
    /// Reads asked for or under way.
    pub(super) fn outstanding(&self) -> usize {
        self.pending.len() + usize::from(self.held.is_some())
    }
    /// Decides what to drive in this cycle.
    pub(super) fn before(&mut self, now: u64, rng: &mut Rng, memory: &Memory) -> Beat {
        self.req_ready = rng.percent(self.accept);
        // Once offered, a beat stays.
        let stays = self.valid;
        let mut beat = Beat {
            d0: 0xDEAD_0000,
            d1: 0xDEAD_0001,
            last: false,
            err: false,
        };
        self.valid = false;
        if let Some(r) = self.pending.front() {
            if r.due <= now && (stays || rng.percent(self.offer)) {
                self.valid = true;
                beat.d0 = memory.word(r.addr + 8 * u64::from(self.beat));
                let left = r.dwords - 2 * self.beat;
                if left > 1 {
                    beat.d1 = memory.word(r.addr + 8 * u64::from(self.beat) + 4);
                }
                beat.last = left <= 2;
                beat.err = beat.last && r.err;
            }
        }
        beat
    }
    /// Notes what the device did in this cycle.
    pub(super) fn after(&mut self, now: u64, rng: &mut Rng, req: Option<(u64, u32)>, took: bool) {
        if let Some(held) = self.held {
            assert_eq!(
                req,
                Some(held),
                "a read request changed before it was taken"
            );
        }
        self.held = if self.req_ready { None } else { req };
        if self.valid && took {
            self.valid = false;
            self.beat += 1;
            let r = self.pending.front().expect("a read");
            if 2 * self.beat >= r.dwords {
                self.failed += u32::from(r.err);
                self.pending.pop_front();
                self.beat = 0;
            }
        }
        if let (true, Some((addr, dwords))) = (self.req_ready, req) {
            assert_eq!(addr % 4, 0, "read of {addr:#x}");
            assert!(
                (1..=64).contains(&dwords) && 4 * dwords <= self.max_read,
                "{dwords} DWs"
            );
            let end = addr + 4 * u64::from(dwords) - 1;
            assert_eq!(addr >> 12, end >> 12, "a read across a 4 KiB border");
            let err = rng.below(1000) < self.errors
                || self.poison.iter().any(|p| p.start <= end && addr < p.end);
            self.log.push((addr, dwords));
            self.pending.push_back(Read {
                addr,
                dwords,
                due: now + 1 + rng.below(self.latency + 1),
                err,
            });
            self.deepest = self.deepest.max(self.pending.len());
        }
    }
}

/// One write client: checks each TLP and applies it.
pub(super) struct Writer {
    beats: Vec<(u32, u32)>,
    held: Option<Offer>,
    /// Longest write allowed, in bytes.
    pub(super) max_payload: u32,
    /// A beat is accepted this often, in percent of the cycles.
    pub(super) accept: u64,
    /// Where writes may go.
    pub(super) allowed: Vec<std::ops::Range<u64>>,
    /// TLPs so far: address and bytes.
    pub(super) log: Vec<(u64, u32)>,
    /// What is driven in this cycle.
    pub(super) ready: bool,
}

/// What the device offers on a write port.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Offer {
    pub(super) addr: u64,
    pub(super) dwords: u32,
    pub(super) last_be: u32,
    pub(super) d0: u32,
    pub(super) d1: u32,
    pub(super) last: bool,
}

impl Writer {
    pub(super) fn new(accept: u64) -> Self {
        Self {
            beats: vec![],
            held: None,
            max_payload: 128,
            accept,
            allowed: vec![],
            log: vec![],
            ready: false,
        }
    }
    pub(super) fn before(&mut self, rng: &mut Rng) {
        self.ready = rng.percent(self.accept);
    }
    /// Notes what the device offers; returns address and length of a TLP that was completed and applied.
    pub(super) fn after(
        &mut self,
        memory: &mut Memory,
        offer: Option<Offer>,
    ) -> Option<(u64, u32)> {
        if let Some(held) = self.held {
            assert_eq!(offer, Some(held), "a write changed before it was taken");
        }
        self.held = if self.ready { None } else { offer };
        let o = offer.filter(|_| self.ready)?;
        self.beats.push((o.d0, o.d1));
        let beats = o.dwords.div_ceil(2);
        assert_eq!(
            o.last,
            self.beats.len() as u32 == beats,
            "last beat of {} DWs",
            o.dwords
        );
        if !o.last {
            return None;
        }
        assert!(
            o.dwords >= 1 && 4 * o.dwords <= self.max_payload,
            "{} DWs",
            o.dwords
        );
        assert_eq!(o.addr % 4, 0);
        let tail = match o.last_be {
            1 => 1,
            3 => 2,
            7 => 3,
            15 => 4,
            be => panic!("byte enables {be:#x}"),
        };
        let bytes = 4 * (o.dwords - 1) + tail;
        let end = o.addr + u64::from(bytes);
        assert_eq!(
            o.addr >> 12,
            (end - 1) >> 12,
            "a write across a 4 KiB border"
        );
        assert!(
            self.allowed
                .iter()
                .any(|a| a.start <= o.addr && end <= a.end),
            "a write of {bytes} bytes to {:#x}, outside what was programmed",
            o.addr
        );
        for i in 0..bytes {
            let (d0, d1) = self.beats[i as usize / 8];
            let d = if i % 8 < 4 { d0 } else { d1 };
            memory.set(o.addr + u64::from(i), d.to_le_bytes()[i as usize % 4]);
        }
        self.beats.clear();
        self.log.push((o.addr, bytes));
        Some((o.addr, bytes))
    }
}

/// Drives a read client's inputs for this cycle.
macro_rules! drive_bus {
    ($bus:expr, $host:expr) => {{
        let write = $host.next();
        $bus.write.next = write.is_some();
        let (place, offset, value) = write.unwrap_or_default();
        $bus.place.next = u64::from(place).into();
        $bus.word.next = u64::from(offset / 4).into();
        $bus.data.next = u64::from(value).into();
        $bus.look.next = u64::from($host.queue).into();
    }};
}
macro_rules! drive_reader {
    ($req:expr, $data:expr, $reader:expr, $now:expr, $rng:expr, $memory:expr) => {{
        let beat = $reader.before($now, $rng, $memory);
        $req.ready.next = $reader.req_ready;
        $data.d0.next = u64::from(beat.d0).into();
        $data.d1.next = u64::from(beat.d1).into();
        $data.last.next = beat.last;
        $data.err.next = beat.err;
        $data.valid.next = $reader.valid;
    }};
}
/// Samples a read client's outputs of this cycle.
macro_rules! sample_reader {
    ($req:expr, $data:expr, $reader:expr, $now:expr, $rng:expr) => {{
        let req = $req.valid.val().then(|| {
            (
                u64::from($req.addr_lo.val().to_u32())
                    | u64::from($req.addr_hi.val().to_u32()) << 32,
                $req.dwords.val().to_u32(),
            )
        });
        let took = $data.ready.val();
        $reader.after($now, $rng, req, took);
    }};
}
/// Samples a write client's outputs of this cycle.
macro_rules! sample_writer {
    ($m:expr, $writer:expr, $memory:expr) => {{
        let offer = $m.valid.val().then(|| $crate::queue::host::Offer {
            addr: u64::from($m.addr_lo.val().to_u32()) | u64::from($m.addr_hi.val().to_u32()) << 32,
            dwords: $m.dwords.val().to_u32(),
            last_be: $m.last_be.val().to_u32(),
            d0: $m.d0.val().to_u32(),
            d1: $m.d1.val().to_u32(),
            last: $m.last.val(),
        });
        $writer.after($memory, offer)
    }};
}
pub(super) use {drive_bus, drive_reader, sample_reader, sample_writer};
