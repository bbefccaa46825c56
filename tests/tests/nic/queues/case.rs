//! One case: a host with some queues, a few rounds of doorbells and frames, and what must have come of each.
use std::collections::VecDeque;

use ferrule_abi::ring::Cqe;
use ferrule_abi::{counter, regs};
use ferrule_sim::root_complex::{Settings, Split};
use ferrule_tests::bench::memory::{HostMemory, IOVA, PAGE};
use ferrule_tests::bench::rings::CompletionRing;
use ferrule_tests::bench::{ADDRESS, MAC};
use ferrule_tests::differential::subject::{HostSetup, Left};
use ferrule_tests::differential::traffic::{ipv4, ipv6, Line, PEERS};
use ferrule_tests::differential::Subject;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use super::receive::{Fate, RxQueue};
use super::steering::Steering;
use super::transmit::TxQueue;
use super::Writes;

/// Rounds of a case.
const ROUNDS: std::ops::Range<usize> = 4..12;
/// Frames that wait for slots take no more bytes: the receive buffer must not overflow, which depends on how fast it is emptied.
const MOST_WAITING: usize = 16_000;
const NOW_NS: u64 = 1_000_000_000;
const PAIRS: usize = regs::QUEUE_PAIRS as usize;

/// What cases have led to.
#[derive(Default)]
pub(super) struct Seen {
    taken: [u32; PAIRS],
    sent: [u32; PAIRS],
    forgotten: u32,
    waited: u32,
    lost: u32,
    held: u32,
    interrupts: u32,
}

impl Seen {
    pub(super) fn add(&mut self, other: &Self) {
        for (n, more) in self.taken.iter_mut().zip(other.taken) {
            *n += more;
        }
        for (n, more) in self.sent.iter_mut().zip(other.sent) {
            *n += more;
        }
        self.forgotten += other.forgotten;
        self.waited += other.waited;
        self.lost += other.lost;
        self.held += other.held;
        self.interrupts += other.interrupts;
    }

    /// # Panics
    /// If something never happened.
    pub(super) fn check(&self) {
        let some = [
            self.forgotten,
            self.waited,
            self.lost,
            self.held,
            self.interrupts,
        ];
        let all = self.taken.iter().chain(&self.sent).chain(&some);
        assert!(
            all.clone().all(|n| *n > 0),
            "taken and sent by each queue; forgotten, waited, lost before, held up, interrupts: {:?}",
            all.collect::<Vec<_>>()
        );
    }
}

/// A case under way.
pub(super) struct Case<'a> {
    subjects: &'a mut [Box<dyn Subject>],
    random: StdRng,
    /// What was done so far, to be read by a human.
    pub(super) steps: Vec<String>,
    pub(super) seen: Seen,
    steering: Steering,
    rx: Vec<RxQueue>,
    tx: Vec<TxQueue>,
    events: CompletionRing,
    /// Frames in the receive buffer, and the queue of the first, once that has been looked up.
    waiting: VecDeque<Vec<u8>>,
    first: Option<u32>,
    received: u64,
    forgotten: u64,
    sent: u64,
}

impl<'a> Case<'a> {
    /// Resets all subjects, and gives them hosts with rings for all queues.
    pub(super) fn new(subjects: &'a mut [Box<dyn Subject>], seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let pairs = PAIRS as u64;
        let memory = pairs * (RxQueue::BYTES + TxQueue::BYTES) + 64 * PAGE;
        let mut layout = HostMemory::new(memory);
        let rx = (0..regs::QUEUE_PAIRS)
            .map(|n| RxQueue::new(n, &mut layout, &mut random))
            .collect();
        let tx = (0..regs::QUEUE_PAIRS)
            .map(|n| TxQueue::new(n, &mut layout, &mut random))
            .collect();
        let setup = HostSetup {
            settings: Settings {
                split: match random.random_bool(0.5) {
                    true => Split::Cacheline,
                    false => Split::Random { seed },
                },
                read_latency_ns: random.random_range(50..1_500),
                ports: 1,
            },
            stalls: (random.random_range(0.0..0.4), random.random_range(0.0..0.4)),
            sizes: (0, random.random_range(0..3)),
            memory,
            iova: IOVA,
        };
        for subject in &mut *subjects {
            subject.begin(&setup);
            subject.set_time(NOW_NS);
            subject.set_link(true, 2);
        }
        Self {
            subjects,
            steps: vec![],
            seen: Seen::default(),
            steering: Steering::new(&mut random),
            rx,
            tx,
            events: CompletionRing::new(&mut layout, 4),
            waiting: VecDeque::new(),
            first: None,
            received: 0,
            forgotten: 0,
            sent: 0,
            random,
        }
    }

    /// # Errors
    /// If a subject does something else than it must.
    pub(super) fn run(&mut self) -> Result<(), String> {
        self.settle()?;
        self.set_up()?;
        for _ in 0..self.random.random_range(ROUNDS) {
            match self.random.random_range(0..10) {
                0..3 => self.ring_receivers()?,
                3..6 => self.receive(),
                6..8 => self.transmit(),
                8 => self.hold()?,
                _ => self.change(),
            }
            self.settle()?;
            self.look()?;
        }
        self.finish()
    }

    fn set_up(&mut self) -> Result<(), String> {
        use regs::{ctrl, event_cfg, rxctl};
        let mut writes = self.steering.registers();
        // Whatever its checksums are.
        let keep = rxctl::KEEP_BAD_IP.mask() | rxctl::KEEP_BAD_L4.mask();
        let page = regs::event_page();
        let cfg = event_cfg::CQ_LOG2.of(self.events.log2);
        let [lo, hi] = [self.events.iova as u32, (self.events.iova >> 32) as u32];
        writes.extend([
            (rxctl::OFFSET, rxctl::REGISTER.reset | keep),
            (page + event_cfg::OFFSET, cfg),
            (page + regs::event_cq_base_lo::OFFSET, lo),
            (page + regs::event_cq_base_hi::OFFSET, hi),
            (page + regs::event_ctrl::OFFSET, 1),
            (ctrl::OFFSET, ctrl::RX_EN.of(1) | ctrl::TX_EN.of(1)),
        ]);
        let mut queues: Vec<usize> = (0..PAIRS).collect();
        queues.shuffle(&mut self.random);
        queues.truncate(self.random.random_range(1..=PAIRS));
        self.log(format!("pairs {queues:?}, table {:?}", self.steering.table));
        for (offset, value) in writes {
            self.write(offset, value);
        }
        for queue in queues {
            self.start_receiver(queue);
            self.start_sender(queue);
        }
        self.settle()
    }

    fn log(&mut self, step: String) {
        self.steps.push(step);
    }

    fn write(&mut self, offset: u32, value: u32) {
        for subject in &mut *self.subjects {
            subject.host().write(offset, value);
        }
    }

    fn store(&mut self, writes: Writes) {
        for (at, bytes) in writes {
            for subject in &mut *self.subjects {
                subject.host().memory.write(at, &bytes);
            }
        }
    }

    fn clear(&mut self, ring: &CompletionRing) {
        self.store(vec![(ring.iova, vec![0; 16 << ring.log2])]);
    }

    fn start_receiver(&mut self, queue: usize) {
        self.log(format!("start receive queue {queue}"));
        let writes = self.rx[queue].start(&mut self.random);
        self.clear(&self.rx[queue].cq.clone());
        for (offset, value) in writes {
            self.write(offset, value);
        }
    }

    fn start_sender(&mut self, queue: usize) {
        self.log(format!("start transmit queue {queue}"));
        let writes = self.tx[queue].start();
        self.clear(&self.tx[queue].cq.clone());
        for (offset, value) in writes {
            self.write(offset, value);
        }
    }

    fn settle(&mut self) -> Result<(), String> {
        for subject in &mut *self.subjects {
            let name = subject.name();
            subject.settle().map_err(|e| format!("{name}: {e}"))?;
        }
        Ok(())
    }

    /// Doorbells of some receive queues, in any order; frames that one lets go may be another one's.
    fn ring_receivers(&mut self) -> Result<(), String> {
        for queue in self.some_of(|case, queue| case.rx[queue].runs) {
            let (writes, (offset, value)) = self.rx[queue].ring(&mut self.random);
            self.log(format!(
                "receive queue {queue}: {} new slots in memory, doorbell {value:#x}",
                writes.len()
            ));
            self.store(writes);
            self.write(offset, value);
            self.empty();
            self.settle()?;
        }
        Ok(())
    }

    /// Some of the queues that are `fit`.
    fn some_of(&mut self, fit: impl Fn(&Self, usize) -> bool) -> Vec<usize> {
        let mut queues: Vec<usize> = (0..PAIRS).filter(|queue| fit(self, *queue)).collect();
        queues.shuffle(&mut self.random);
        let count = self.random.random_range(0..=queues.len());
        queues.truncate(count);
        queues
    }

    /// Frames from the wire.
    fn receive(&mut self) {
        for _ in 0..self.random.random_range(1..12) {
            let frame = self.frame();
            let waiting: usize = self.waiting.iter().map(|f| f.len() + 16).sum();
            if waiting + frame.len() > MOST_WAITING {
                return;
            }
            let line = Line::clean("a frame", frame);
            let Some(frame) = line.clean.clone() else {
                return;
            };
            let queue = self.steering.queue(&frame);
            self.log(format!("receive {} bytes for queue {queue}", frame.len()));
            for subject in &mut *self.subjects {
                subject.receive(&line);
            }
            self.received += 1;
            self.waiting.push_back(frame);
            self.empty();
        }
    }

    /// A frame to the NIC with right headers, or of a type that it knows nothing of.
    fn frame(&mut self) -> Vec<u8> {
        let r = &mut self.random;
        let most = if r.random_bool(0.1) { 1_400 } else { 200 };
        let (peer_mac, peer) = *PEERS.choose(r).unwrap_or(&PEERS[0]);
        let (ether_type, payload): (u16, Vec<u8>) = match r.random_range(0..10) {
            0..6 => (0x0800, ipv4(r, peer, ADDRESS, most)),
            6..9 => (0x86DD, ipv6(r, most)),
            _ => (0x88B5, (0..most).map(|_| r.random()).collect()),
        };
        let tag: &[u8] = match r.random_bool(0.1) {
            true => &[0x81, 0x00, 0x20, 0x05],
            false => &[],
        };
        let ether_type = ether_type.to_be_bytes();
        [&MAC[..], &peer_mac, tag, &ether_type, &payload].concat()
    }

    /// Works out what becomes of the frames in the receive buffer.
    fn empty(&mut self) {
        while let Some(frame) = self.waiting.pop_front() {
            let steering = &self.steering;
            let queue = *self.first.get_or_insert_with(|| steering.queue(&frame)) as usize;
            let fate = self.rx[queue].offer(&frame, steering.hash(&frame));
            match fate {
                Fate::Waits => {
                    self.seen.waited += 1;
                    self.waiting.push_front(frame);
                    return;
                }
                Fate::Taken => self.seen.taken[queue] += 1,
                Fate::Forgotten => {
                    self.seen.forgotten += 1;
                    self.forgotten += 1;
                }
            }
            self.first = None;
        }
    }

    /// Frames of some transmit queues, whose doorbells ring without waiting for each other.
    fn transmit(&mut self) {
        for queue in self.some_of(|case, queue| case.tx[queue].runs) {
            for _ in 0..self.random.random_range(1..12) {
                let writes = self.tx[queue].send(&mut self.random);
                self.store(writes);
            }
            self.ring_sender(queue);
        }
    }

    fn ring_sender(&mut self, queue: usize) {
        let (offset, value) = self.tx[queue].ring(&mut self.random);
        self.log(format!(
            "transmit queue {queue}: {} frames in all, doorbell {value:#x}",
            self.tx[queue].frames.len()
        ));
        self.write(offset, value);
    }

    /// A frame of which the second half comes late, or never: the other queues wait for it.
    fn hold(&mut self) -> Result<(), String> {
        let Some(holder) = self.some_of(|case, queue| case.tx[queue].runs).pop() else {
            return Ok(());
        };
        let writes = self.tx[holder].begin(&mut self.random);
        self.log(format!("transmit queue {holder} begins a frame"));
        self.store(writes);
        self.ring_sender(holder);
        self.settle()?;
        for queue in self.some_of(|case, queue| queue != holder && case.tx[queue].runs) {
            let writes = self.tx[queue].send(&mut self.random);
            self.store(writes);
            self.ring_sender(queue);
            self.seen.held += 1;
        }
        self.settle()?;
        for subject in &mut *self.subjects {
            let name = subject.name();
            let sent = subject.take_sent().len();
            if sent > 0 {
                return Err(format!("{name}: {sent} frames sent inside another one"));
            }
        }
        if self.random.random_bool(0.3) {
            self.log(format!("transmit queue {holder} stops"));
            self.tx[holder].abandon();
            let (offset, value) = self.tx[holder].stop();
            self.write(offset, value);
            self.settle()?;
            self.check_senders()?;
            self.start_sender(holder);
        } else {
            let writes = self.tx[holder].end(&mut self.random);
            self.store(writes);
            self.ring_sender(holder);
        }
        Ok(())
    }

    /// A queue starts or stops, or the table becomes another one while no frame waits.
    fn change(&mut self) {
        let queue = self.random.random_range(0..PAIRS);
        match self.random.random_range(0..3) {
            0 if self.rx[queue].runs => {
                self.log(format!("stop receive queue {queue}"));
                let (offset, value) = self.rx[queue].stop();
                self.write(offset, value);
                self.empty();
            }
            0 => self.start_receiver(queue),
            1 if self.tx[queue].runs => {
                self.log(format!("stop transmit queue {queue}"));
                let (offset, value) = self.tx[queue].stop();
                self.write(offset, value);
            }
            1 => self.start_sender(queue),
            _ if self.waiting.is_empty() => {
                self.steering.table = Steering::table(&mut self.random);
                self.log(format!("table {:?}", self.steering.table));
                let writes: Vec<_> = self.steering.table_registers().collect();
                for (offset, value) in writes {
                    self.write(offset, value);
                }
            }
            _ => {}
        }
    }

    /// Compares what each subject has done with what it must have done, and with what the first one has.
    fn look(&mut self) -> Result<(), String> {
        self.check_receivers()?;
        self.check_senders()?;
        for subject in &mut *self.subjects {
            let name = subject.name();
            let interrupts = subject.host().interrupts();
            let mut expected = [0; 2 * PAIRS];
            for queue in &self.rx {
                expected[queue.vector()] = queue.interrupts;
            }
            for queue in &self.tx {
                expected[queue.vector()] = queue.interrupts;
            }
            if interrupts != expected {
                return Err(format!(
                    "{name}: interrupts {interrupts:?}, not {expected:?}"
                ));
            }
            let mut events = self.events.clone();
            if let Some(event) = events.pop(&subject.host().memory) {
                return Err(format!("{name}: an event {event:x?}"));
            }
            let stats = subject.host().root_complex.stats();
            if (stats.violations, stats.register_timeouts) != (0, 0) {
                let last = subject.host().root_complex.last_violation();
                return Err(format!("{name}: {last:?}, {stats:?}"));
            }
        }
        Ok(())
    }

    fn check_receivers(&mut self) -> Result<(), String> {
        for (number, queue) in self.rx.iter_mut().enumerate() {
            let mut of_first = None;
            for subject in &mut *self.subjects {
                let name = subject.name();
                let wrong = |what| format!("{name}: receive queue {number}: {what}");
                let memory = &subject.host().memory;
                let (cqes, ring) = read(&queue.cq, memory);
                for (n, cqe) in cqes.iter().enumerate() {
                    queue.check(n, *cqe, memory).map_err(wrong)?;
                }
                let (got, want) = (cqes.len(), queue.expected.len());
                if got != want {
                    return Err(wrong(format!("{got} completions, not {want}")));
                }
                let (first, _) = of_first.get_or_insert_with(|| (cqes.clone(), ring));
                if *first != cqes {
                    return Err(wrong(format!("{cqes:x?}, not {first:x?}")));
                }
            }
            self.seen.lost += queue
                .expected
                .iter()
                .map(|e| u32::from(e.lost))
                .sum::<u32>();
            queue.taken();
            if let Some((_, ring)) = of_first {
                queue.cq = ring;
            }
        }
        Ok(())
    }

    /// Everything sent has left and is told, each queue's in its order.
    fn check_senders(&mut self) -> Result<(), String> {
        let mut of_first: Option<Vec<CompletionRing>> = None;
        for subject in &mut *self.subjects {
            let name = subject.name();
            let mut frames: [Vec<Vec<u8>>; PAIRS] = Default::default();
            for left in subject.take_sent() {
                match left {
                    Left::Frame(frame) => match frames.get_mut(TxQueue::sender(&frame)) {
                        Some(of_queue) => of_queue.push(frame),
                        None => return Err(format!("{name} sent {frame:02x?}")),
                    },
                    Left::Faulty(frame) => return Err(format!("{name} sent {frame}")),
                }
            }
            let mut rings = vec![];
            for ((number, queue), sent) in self.tx.iter().enumerate().zip(&frames) {
                let wrong = |what| format!("{name}: transmit queue {number}: {what}");
                let padded = queue.frames.iter().map(|frame| {
                    let mut padded = frame.clone();
                    padded.resize(frame.len().max(60), 0);
                    padded
                });
                if !padded.clone().eq(sent.iter().cloned()) {
                    let lens = |f: Vec<Vec<u8>>| f.iter().map(Vec::len).collect::<Vec<_>>();
                    let (got, want) = (lens(sent.clone()), lens(padded.collect()));
                    return Err(wrong(format!("sent frames of {got:?}, not {want:?} bytes")));
                }
                let (cqes, ring) = read(&queue.cq, &subject.host().memory);
                for (n, cqe) in cqes.iter().enumerate() {
                    queue.check(n, *cqe).map_err(wrong)?;
                }
                let (got, want) = (cqes.len(), queue.completions.len());
                if got != want {
                    return Err(wrong(format!("{got} completions, not {want}")));
                }
                rings.push(ring);
            }
            of_first.get_or_insert(rings);
        }
        for ((queue, ring), seen) in self
            .tx
            .iter_mut()
            .zip(of_first.into_iter().flatten())
            .zip(&mut self.seen.sent)
        {
            *seen += queue.frames.len() as u32;
            self.sent += queue.frames.len() as u64;
            queue.taken();
            queue.cq = ring;
        }
        Ok(())
    }

    /// Compares the counters.
    fn finish(&mut self) -> Result<(), String> {
        let interrupts = self.rx.iter().map(|q| q.interrupts);
        let interrupts = interrupts.chain(self.tx.iter().map(|q| q.interrupts));
        self.seen.interrupts += interrupts.sum::<u32>();
        self.write(regs::snapshot::OFFSET, 1);
        self.settle()?;
        for subject in &mut *self.subjects {
            let name = subject.name();
            for (index, expected) in [
                (counter::RX_FRAMES, self.received),
                (counter::RX_DROP_NO_SLOT, self.forgotten),
                (counter::RX_DROP_OVERFLOW, 0),
                (counter::TX_FRAMES, self.sent),
            ] {
                let offset = regs::counters::REGISTER.offset_of(2 * index);
                let id = subject.host().read(ferrule_abi::BAR_REGS, offset, 0xF);
                subject.settle().map_err(|e| format!("{name}: {e}"))?;
                let value = subject.host().root_complex.take_read(id);
                if value.map(u64::from) != Some(expected) {
                    return Err(format!(
                        "{name}: counter {index} is {value:?}, not {expected}"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// New completions, and the ring behind them.
fn read(ring: &CompletionRing, memory: &HostMemory) -> (Vec<Cqe>, CompletionRing) {
    let mut ring = ring.clone();
    let cqes = std::iter::from_fn(|| ring.pop(memory)).map(Cqe::from_words);
    (cqes.collect(), ring)
}
