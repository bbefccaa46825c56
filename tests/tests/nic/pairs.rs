//! Several queue pairs of one NIC, each with a thread of its own: every frame arrives where its hash and the indirection table say, in the order of its flow.
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use etherparse::PacketBuilder;
use ferrule_abi::counter;
use ferrule_driver::nic::{QueuePair, RxFrame, TxFrame, TxMode, INDIRECTION_ENTRIES};
use ferrule_driver::vfio_user::VfioUser;
use ferrule_driver::{Clock, Device, Nic, NicConfig, NicError, WallClock};
use ferrule_sim::engine::{Kind, Options};
use ferrule_sim::local::{LocalSimulator, NicSetup};
use ferrule_sim::simulator::Simulator;
use ferrule_sim::station::Core;
use ferrule_sim::wire::loopback::Loopback;
use ferrule_test_tools::toeplitz::toeplitz;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const PAIRS: u8 = 4;
/// Frames under way at most: a pair has room for all of them.
const UNDER_WAY: usize = 32;
/// Nothing takes longer, on the slowest machine.
const LIMIT: Duration = Duration::from_secs(120);

type Table = [u8; INDIRECTION_ENTRIES];

/// Who sends and receives: the NIC itself as pair 0, or another pair.
trait Port: Send {
    fn receive(&mut self, frames: &mut Vec<RxFrame>) -> Result<usize, NicError>;
    fn send(&mut self, frames: &[TxFrame<'_>]) -> Result<usize, NicError>;
    /// How many frames were sent.
    fn completed(&mut self) -> Result<usize, NicError>;
    fn arm(&mut self) -> Result<(), NicError>;
    fn has_work(&self) -> bool;
    fn fds(&self) -> Vec<BorrowedFd<'_>>;
    fn drain(&mut self) -> Result<(), NicError>;
}

macro_rules! port {
    ($kind:ty, |$it:ident| $fds:expr, $drain:ident) => {
        impl Port for $kind {
            fn receive(&mut self, frames: &mut Vec<RxFrame>) -> Result<usize, NicError> {
                self.rx_batch(8, frames)
            }
            fn send(&mut self, frames: &[TxFrame<'_>]) -> Result<usize, NicError> {
                self.tx_batch(frames)
            }
            fn completed(&mut self) -> Result<usize, NicError> {
                Ok(self.tx_completions()?.len())
            }
            fn arm(&mut self) -> Result<(), NicError> {
                self.arm()
            }
            fn has_work(&self) -> bool {
                self.has_work()
            }
            fn fds(&self) -> Vec<BorrowedFd<'_>> {
                let $it = self;
                $fds
            }
            fn drain(&mut self) -> Result<(), NicError> {
                self.$drain()
            }
        }
    };
}

port!(Nic, |nic| nic.irq_fds().to_vec(), drain_irqs);
port!(QueuePair, |pair| vec![pair.irq_fd()], drain_irq);

/// Packets between two ports of two hosts, one way.
struct Flow {
    addresses: Addresses,
    ports: [u16; 2],
    is_tcp: bool,
    /// Bytes of payload of its frames, in turn.
    lens: Vec<usize>,
}

/// Flow and number that a frame's payload tells.
fn named(frame: &[u8]) -> Option<(usize, u32)> {
    let (protocol, l4) = match frame.get(12..14)? {
        [0x08, 0x00] => (frame.get(23)?, 34),
        _ => (frame.get(20)?, 54),
    };
    let at = l4 + if *protocol == 6 { 20 } else { 8 };
    let word = |at: usize| Some(u32::from_be_bytes(frame.get(at..at + 4)?.try_into().ok()?));
    Some((word(at)? as usize, word(at + 4)?))
}

enum Addresses {
    V4([[u8; 4]; 2]),
    V6([[u8; 16]; 2]),
}

impl Flow {
    fn new(random: &mut StdRng) -> Self {
        let addresses = match random.random() {
            true => Addresses::V4(random.random()),
            false => Addresses::V6(random.random()),
        };
        let lens = (0..random.random_range(1..5)).map(|_| random.random_range(26..1_400));
        Self {
            addresses,
            lens: lens.collect(),
            ports: random.random(),
            is_tcp: random.random(),
        }
    }

    /// Its frame with this number, of which the payload tells the flow and the number.
    fn frame(&self, flow: usize, number: u32) -> Vec<u8> {
        let len = self.lens[number as usize % self.lens.len()];
        let mut payload = (flow as u32).to_be_bytes().to_vec();
        payload.extend(number.to_be_bytes());
        payload.extend((8..len).map(|at| (at as u32 ^ number.wrapping_mul(7)) as u8));
        let link = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let ip = match self.addresses {
            Addresses::V4([from, to]) => link.ipv4(from, to, 64),
            Addresses::V6([from, to]) => link.ipv6(from, to, 64),
        };
        let [from, to] = self.ports;
        let mut frame = vec![];
        let written = match self.is_tcp {
            true => ip.tcp(from, to, number, 4_096).write(&mut frame, &payload),
            false => ip.udp(from, to).write(&mut frame, &payload),
        };
        written.expect("a frame");
        frame
    }

    /// The hash of all its frames: addresses, then ports, as on the wire.
    fn hash(&self, key: &[u8; 40]) -> u32 {
        let mut input = match self.addresses {
            Addresses::V4(both) => both.concat(),
            Addresses::V6(both) => both.concat(),
        };
        input.extend(self.ports.map(u16::to_be_bytes).concat());
        toeplitz(key, &input)
    }
}

/// What the threads of a round share.
struct Round {
    seed: u64,
    clock: Arc<dyn Clock>,
    flows: Vec<Flow>,
    key: [u8; 40],
    table: Table,
    /// Frames of each flow.
    frames: u32,
    under_way: AtomicUsize,
    arrived: AtomicU64,
    /// A thread has failed, so that nothing more will come.
    has_failed: AtomicBool,
    began: Instant,
}

/// Notes that a thread panics.
struct Watch<'a>(&'a AtomicBool);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

impl Round {
    fn total(&self) -> u64 {
        self.flows.len() as u64 * u64::from(self.frames)
    }

    /// Takes leave to send up to `most` frames.
    fn leave(&self, most: usize) -> usize {
        let mut leave = 0;
        let take = |under_way: usize| {
            leave = most.min(UNDER_WAY - under_way);
            Some(under_way + leave)
        };
        let (get, set) = (Ordering::Relaxed, Ordering::Relaxed);
        let _ = self.under_way.fetch_update(set, get, take);
        leave
    }

    /// What the thread of a pair does: it sends its share of the flows, each in its order, and checks what comes.
    fn run(&self, pair: u8, port: &mut dyn Port) {
        let (seed, _watch) = (self.seed, Watch(&self.has_failed));
        let mut random = StdRng::seed_from_u64(seed ^ u64::from(pair) << 32);
        let mine = (pair.into()..self.flows.len()).step_by(PAIRS.into());
        let mut to_send: Vec<(usize, u32)> = mine.map(|flow| (flow, 0)).collect();
        let mut next: BTreeMap<usize, u32> = BTreeMap::new();
        let (mut handed, mut completed) = (0, 0);
        let mut frames = Vec::new();
        while self.arrived.load(Ordering::Relaxed) < self.total() || completed < handed {
            if self.has_failed.load(Ordering::Relaxed) {
                return;
            }
            let (arrived, total) = (&self.arrived, self.total());
            assert!(
                self.began.elapsed() < LIMIT,
                "seed {seed}, pair {pair}: {arrived:?} of {total} frames have come"
            );
            let came = port.receive(&mut frames).expect("receives");
            for frame in frames.drain(..) {
                self.check(pair, &frame, &mut next);
            }
            let sent = self.send(port, &mut to_send, &mut random);
            handed += sent;
            completed += port.completed().expect("completes");
            if came + sent == 0 {
                port.arm().expect("arms");
                if !port.has_work() {
                    let soon = self.clock.now() + 50_000;
                    self.clock.wait(&port.fds(), Some(soon)).expect("waits");
                    port.drain().expect("drains");
                }
            }
        }
    }

    fn send(
        &self,
        port: &mut dyn Port,
        to_send: &mut Vec<(usize, u32)>,
        random: &mut StdRng,
    ) -> usize {
        let leave = self.leave(random.random_range(1..6));
        let mut batch = Vec::new();
        let mut chosen = Vec::new();
        while chosen.len() < leave && !to_send.is_empty() {
            let place = random.random_range(0..to_send.len());
            let (flow, number) = &mut to_send[place];
            batch.push(self.flows[*flow].frame(*flow, *number));
            chosen.push(*flow);
            *number += 1;
            if *number == self.frames {
                to_send.swap_remove(place);
            }
        }
        self.under_way
            .fetch_sub(leave - chosen.len(), Ordering::Relaxed);
        let parts: Vec<[&[u8]; 1]> = batch.iter().map(|bytes| [&bytes[..]]).collect();
        let mut frames: Vec<_> = parts
            .iter()
            .map(|parts| TxFrame {
                parts,
                mode: TxMode::Raw,
                report: true,
                ..TxFrame::default()
            })
            .collect();
        let count = frames.len();
        while !frames.is_empty() {
            let taken = port.send(&frames).expect("sends");
            frames.drain(..taken);
            if taken == 0 {
                let soon = self.clock.now() + 10_000;
                self.clock.wait(&[], Some(soon)).expect("waits");
            }
        }
        count
    }

    fn check(&self, pair: u8, frame: &RxFrame, next: &mut BTreeMap<usize, u32>) {
        let seed = self.seed;
        let bytes = frame.to_vec();
        let sent = named(&bytes).filter(|(flow, number)| {
            let flows = self.flows.get(*flow);
            flows.is_some_and(|f| f.frame(*flow, *number) == bytes)
        });
        let Some((flow, number)) = sent else {
            panic!("seed {seed}, pair {pair}: {bytes:02x?}");
        };
        let hash = self.flows[flow].hash(&self.key);
        assert_eq!(frame.hash, hash, "seed {seed}, flow {flow}");
        let wanted = self.table[hash as usize % INDIRECTION_ENTRIES];
        assert_eq!(pair, wanted, "seed {seed}, flow {flow}, hash {hash:#010x}");
        let next = next.entry(flow).or_default();
        assert_eq!(number, *next, "seed {seed}, flow {flow}");
        *next += 1;
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        self.arrived.fetch_add(1, Ordering::Relaxed);
    }
}

/// Entries of all pairs, of few, or of one.
fn some_table(random: &mut StdRng) -> Table {
    let some: [u8; 4] = std::array::from_fn(|_| random.random_range(0..PAIRS));
    let choice = random.random_range(1..=4);
    std::array::from_fn(|_| some[random.random_range(0..choice)])
}

/// A NIC in this process, with a cable from its transmitter to its receiver.
fn in_process(kind: Kind) -> LocalSimulator {
    let core = Core::open(kind, &Options::default()).expect("an engine");
    let setup = NicSetup::new(core, Box::new(Loopback::new(500)));
    let simulator = LocalSimulator::builder().nic(setup).start();
    simulator.expect("starts")
}

/// Rounds of traffic with the NIC of a simulator in this process.
fn run(kind: Kind, seed: u64, rounds: u64, flows: usize, frames: u32) {
    let simulator = in_process(kind);
    let clock = Arc::new(simulator.clock());
    let device = Box::new(simulator.device(0).expect("a device"));
    run_on(device, clock, seed, rounds, flows, frames);
}

/// Rounds of traffic with one NIC, each with other flows and another table: the first with the one that it has when it is opened.
fn run_on(
    device: Box<dyn Device>,
    clock: Arc<dyn Clock>,
    seed: u64,
    rounds: u64,
    flows: usize,
    frames: u32,
) {
    let mut random = StdRng::seed_from_u64(seed);
    let key = random.random();
    let config = NicConfig {
        queue_pairs: PAIRS,
        hash_key: key,
        promiscuous: true,
        // Few slots, which are used many times over.
        sq_log2: 5,
        txcq_log2: 5,
        rxq_log2: 6,
        rxcq_log2: 6,
        slots: 64,
        ..NicConfig::default()
    };
    let mut nic = Nic::open(device, Arc::clone(&clock), &config).expect("opens");
    let mut all = 0;
    for n in 0..rounds {
        if n > 0 {
            nic.set_indirection(&some_table(&mut random)).expect("set");
        }
        let round = Round {
            seed,
            clock: Arc::clone(&clock),
            flows: (0..flows).map(|_| Flow::new(&mut random)).collect(),
            key,
            table: *nic.indirection(),
            frames,
            under_way: AtomicUsize::new(0),
            arrived: AtomicU64::new(0),
            has_failed: AtomicBool::new(false),
            began: Instant::now(),
        };
        let mut pairs: Vec<_> = (1..PAIRS).filter_map(|n| nic.take_pair(n)).collect();
        assert_eq!(pairs.len() + 1, usize::from(PAIRS), "all are at home");
        std::thread::scope(|scope| {
            let round = &round;
            for pair in &mut pairs {
                scope.spawn(move || round.run(pair.number(), pair));
            }
            round.run(0, &mut nic);
        });
        all += round.total();
    }
    let stats = nic.stats().expect("counters");
    assert_eq!(stats.get(counter::RX_FRAMES), all, "seed {seed}");
    assert_eq!(stats.get(counter::RX_DROP_NO_SLOT), 0, "seed {seed}");
    nic.close().expect("it closes");
}

#[test]
fn four_threads_get_what_the_hash_and_the_table_have_for_them_from_the_model() {
    for seed in 0..8 {
        run(Kind::Model, seed, 3, 40, 50);
    }
}

#[test]
fn four_threads_get_what_the_hash_and_the_table_have_for_them_from_the_hardware_description() {
    run(Kind::Compiled, 100, 2, 16, 4);
}

#[test]
fn four_threads_share_one_connection_to_a_nic_on_wall_time() {
    let core = Core::open(Kind::Model, &Options::default()).expect("an engine");
    let (ours, theirs) = UnixStream::pair().expect("sockets");
    let wire = Box::new(Loopback::new(500));
    let simulator = Simulator::builder(wire).client(ours).wall_time();
    let simulator = simulator.start(core).expect("starts");
    let device = VfioUser::over(theirs, LIMIT).expect("connects");
    let clock = Arc::new(WallClock);
    run_on(Box::new(device), clock, 200, 3, 40, 50);
    simulator.stop().expect("it ends well");
}

/// A NIC is closed under threads that send and receive all the time: they end by that, and whoever opens the device next has it for himself.
#[test]
fn a_nic_that_is_closed_under_its_threads_leaves_the_next_one_alone() {
    let simulator = in_process(Kind::Model);
    let clock: Arc<dyn Clock> = Arc::new(simulator.clock());
    let config = NicConfig {
        queue_pairs: PAIRS,
        hash_key: [0x6D; 40],
        promiscuous: true,
        ..NicConfig::default()
    };
    for round in 0..40 {
        let device = Box::new(simulator.device(0).expect("nobody has it"));
        let mut nic = Nic::open(device, Arc::clone(&clock), &config).expect("opens");
        let (sends, done) = (AtomicU64::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let pairs = (1..PAIRS).filter_map(|n| nic.take_pair(n));
            for (n, mut pair) in pairs.enumerate().collect::<Vec<_>>() {
                let (sends, done) = (&sends, &done);
                scope.spawn(move || {
                    let bytes = Flow::new(&mut StdRng::seed_from_u64(round)).frame(n, 0);
                    let parts: &[&[u8]] = &[&bytes];
                    let frame = TxFrame {
                        parts,
                        mode: TxMode::Raw,
                        ..TxFrame::default()
                    };
                    let error = loop {
                        let sent = pair.send(&frame).map(drop);
                        let received = pair.rx_batch(8, &mut Vec::new()).map(drop);
                        let armed = pair.arm();
                        if let Err(e) = sent.and(received).and(armed) {
                            break e;
                        }
                        sends.fetch_add(1, Ordering::Relaxed);
                    };
                    assert!(matches!(error, NicError::Recalled), "{error}");
                    // The device is held as long as this pair is.
                    while !done.load(Ordering::Relaxed) {
                        std::thread::yield_now();
                    }
                });
            }
            while sends.load(Ordering::Relaxed) < 20 {
                std::thread::yield_now();
            }
            let closed = nic.close();
            let taken = simulator.device(0).err();
            done.store(true, Ordering::Relaxed);
            closed.expect("it closes");
            assert!(taken.is_some(), "it was opened while pairs were away");
        });
    }
}
