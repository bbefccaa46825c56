//! The driver on a failing device, by seed, with the model below it and a cable from its transmitter to its receiver.
//!
//! Some lies nobody can tell from the truth: a length or a slot that could be, a completion that comes twice when its slot is lent again.
//! As long as none of these was told, each received frame must be one that was sent, byte for byte. Whatever was told: no panic, no access
//! beyond the memory (which would be one), no frame longer than its slot, no token reported twice; and after the last fault the NIC recovers,
//! every frame handed over is reported once, and what is sent arrives.
use std::collections::BTreeSet;
use std::sync::Arc;

use etherparse::{IpNumber, Ipv4Header};
use ferrule_driver::nic::{
    InPlace, InPlaceFrame, NicConfig, NicError, QueuePair, RxFrame, TxBuffer, TxCompletion,
    TxFrame, TxMode, Verdict,
};
use ferrule_driver::{Clock, Nic};
use ferrule_sim::fault_device::{FaultHandle, Faults};
use ferrule_sim::local::LocalClock;
use ferrule_sim::wire::loopback::Loopback;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::World;

/// Steps of one seed.
const STEPS: u64 = 4_000;
/// Bytes of a slot.
const SLOT: usize = 2_048;
/// Where a frame's number is: behind the headers of Ethernet and IPv4.
const NUMBER_AT: usize = 14 + 20;
/// An IP protocol for experimentation (RFC 3692 section 2.1): the hardware looks no further than the addresses.
const PROTOCOL: u8 = 253;

/// A frame of at least 60 bytes whose bytes tell its number, its length and their place. An IPv4 packet, so that it has a hash, from an address of
/// its own, so that this is any.
fn frame(number: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2];
    let source = [10, (number >> 16) as u8, (number >> 8) as u8, number as u8];
    let payload = (len - NUMBER_AT) as u16;
    let header = Ipv4Header::new(payload, 64, IpNumber(PROTOCOL), source, [10, 0, 0, 1]);
    let mut header = header.expect("it fits");
    header.header_checksum = header.calc_header_checksum();
    bytes.extend([0x08, 0x00]);
    bytes.extend(header.to_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend((len as u16).to_le_bytes());
    let place = |i: usize| (number.wrapping_mul(31) ^ (i as u64 * 7) ^ (i >> 8) as u64) as u8;
    bytes.extend((bytes.len()..len).map(place));
    bytes
}

/// The number of a frame, if it is one, byte for byte.
fn number(bytes: &[u8]) -> Option<u64> {
    let bytes_of = |at: usize| bytes.get(NUMBER_AT + at..);
    let number = u64::from_le_bytes(bytes_of(0)?.get(..8)?.try_into().ok()?);
    let len = u16::from_le_bytes(bytes_of(8)?.get(..2)?.try_into().ok()?);
    let is_one = usize::from(len) == bytes.len() && frame(number, len.into()) == bytes;
    is_one.then_some(number)
}

/// Has the pair of this number do something, if it is away, or else the NIC itself.
macro_rules! of_pair {
    ($run:ident, $pair:expr, $call:ident($($argument:expr),*)) => {
        match $pair.checked_sub(1).and_then(|n: usize| $run.pairs[n].as_mut()) {
            Some(pair) => pair.$call($($argument),*),
            None => $run.nic.$call($($argument),*),
        }
    };
}

struct Run {
    seed: u64,
    random: StdRng,
    clock: LocalClock,
    handle: FaultHandle,
    nic: Nic,
    /// Those of pair 1 and the others that are not at home.
    pairs: [Option<QueuePair>; 3],
    handed: u64,
    reported: BTreeSet<u64>,
    held: Vec<RxFrame>,
    received: BTreeSet<u64>,
    recoveries: u64,
}

impl Run {
    fn wait(&self, ns: u64) {
        let until = self.clock.now() + ns;
        self.clock.wait(&[], Some(until)).expect("time passes");
    }

    /// What a caller of the driver does about an error: a NIC that has stopped or is stuck is recovered.
    fn mend<T>(&mut self, result: Result<T, NicError>) -> Option<T> {
        let mut error = match result {
            Ok(value) => return Some(value),
            Err(e) => e,
        };
        self.bring_home();
        for _ in 0..100 {
            match error {
                NicError::Stopped { .. } | NicError::Stuck { .. } => {}
                NicError::Gone => {
                    assert!(self.handle.is_gone(), "seed {}: not gone", self.seed);
                    self.handle.revive();
                }
                other => panic!("seed {}: {other}", self.seed),
            }
            self.recoveries += 1;
            match self.nic.recover() {
                Ok(_) => return None,
                Err(e) => error = e,
            }
        }
        panic!("seed {}: it does not recover: {error}", self.seed);
    }

    /// All pairs come home, as a NIC wants it that is to be recovered.
    fn bring_home(&mut self) {
        let away = self.pairs.iter().flatten().count();
        assert_eq!(self.nic.pairs_away(), away, "seed {}", self.seed);
        if away > 0 {
            let refused = self.nic.recover();
            assert!(
                matches!(refused, Err(NicError::PairsAway(n)) if n == away),
                "seed {}: {refused:?}",
                self.seed
            );
        }
        self.nic.recall();
        for pair in self.pairs.iter_mut().flatten() {
            let recalled = pair.rx_batch(1, &mut Vec::new());
            assert!(
                matches!(recalled, Err(NicError::Recalled)),
                "seed {}: {recalled:?}",
                self.seed
            );
        }
        self.pairs.fill_with(|| None);
    }

    fn report(&mut self, done: Vec<TxCompletion>) {
        for TxCompletion { token, .. } in done {
            assert!(token < self.handed, "seed {}: token {token}", self.seed);
            assert!(
                self.reported.insert(token),
                "seed {}: token {token} is reported twice",
                self.seed
            );
        }
    }

    fn check(&mut self, frame: RxFrame) {
        let bytes = frame.to_vec();
        assert!(bytes.len() <= SLOT, "seed {}", self.seed);
        let number = number(&bytes).filter(|n| *n < self.handed);
        if self.handle.injected().deceptions == 0 {
            assert!(number.is_some(), "seed {}: {bytes:02x?}", self.seed);
        }
        self.received.extend(number);
        self.held.push(frame);
    }

    fn step(&mut self) {
        let pair: usize = self.random.random_range(0..4);
        match self.random.random_range(0..17) {
            0..4 => {
                let count = self.random.random_range(1..9);
                let lens: Vec<usize> = (0..count)
                    .map(|_| self.random.random_range(60..1_515))
                    .collect();
                let bytes: Vec<_> = (self.handed..)
                    .zip(&lens)
                    .map(|(n, len)| frame(n, *len))
                    .collect();
                let parts: Vec<[&[u8]; 1]> = bytes.iter().map(|b| [&b[..]]).collect();
                let frames: Vec<_> = (self.handed..)
                    .zip(&parts)
                    .map(|(token, parts)| TxFrame {
                        parts,
                        mode: TxMode::Raw,
                        token,
                        report: true,
                        ..TxFrame::default()
                    })
                    .collect();
                let taken = match self.random.random() {
                    true => of_pair!(self, pair, tx_batch(&frames)),
                    false => {
                        let build = |n: usize, buffer: &mut TxBuffer<'_>| {
                            buffer.write(0, &bytes[n]);
                            Some(InPlaceFrame {
                                token: frames[n].token,
                                report: true,
                                ..InPlaceFrame::raw(0..bytes[n].len())
                            })
                        };
                        of_pair!(self, pair, tx_in_place(frames.len(), build))
                    }
                };
                self.handed += self.mend(taken).unwrap_or(0) as u64;
            }
            4..8 => {
                let mut frames = Vec::new();
                let max = self.random.random_range(1..20);
                let result = match self.random.random() {
                    true => of_pair!(self, pair, rx_batch(max, &mut frames)),
                    false => {
                        let keep = |_: &mut InPlace<'_>| Verdict::Keep;
                        let done = of_pair!(self, pair, forward(max, &mut frames, keep));
                        done.map(|done| done.kept)
                    }
                };
                frames.into_iter().for_each(|frame| self.check(frame));
                self.mend(result);
            }
            8 => {
                let done = of_pair!(self, pair, tx_completions());
                let done = self.mend(done).unwrap_or_default();
                self.report(done);
            }
            9 => {
                let events = self.nic.events();
                self.mend(events);
            }
            10 => {
                let armed = of_pair!(self, pair, arm());
                self.mend(armed);
                of_pair!(self, pair, has_work());
                let drained = self.nic.drain_irqs();
                self.mend(drained);
            }
            11 => {
                let watched = of_pair!(self, pair, watchdog());
                self.mend(watched);
            }
            12 => self.held.clear(),
            13 => {
                let link = self.nic.link();
                self.mend(link);
            }
            14 => match pair.checked_sub(1) {
                None => {}
                Some(n) if self.pairs[n].is_some() => self.pairs[n] = None,
                Some(n) => self.pairs[n] = self.nic.take_pair(pair as u8),
            },
            15 => self.handle.pump().expect("the device below works"),
            _ => {
                let ns = self.random.random_range(1..50_000);
                self.wait(ns);
            }
        }
    }

    /// No more faults: all that was handed over is done, and the NIC works as if nothing had been.
    fn end(&mut self) {
        self.handle.set(Faults::default());
        self.handle.revive();
        self.bring_home();
        let recovered = self.nic.recover();
        recovered.unwrap_or_else(|e| panic!("seed {}: {e}", self.seed));
        self.held.clear();
        for (n, pair) in (1..).zip(&mut self.pairs) {
            *pair = self.nic.take_pair(n);
        }
        let last = self.handed;
        let bytes = frame(last, 1_000);
        for _ in 0..1_000 {
            // Pairs lose what they have no slot for: it comes when nothing else does.
            if self.handed == last && self.reported.len() as u64 == last {
                let sent = self.nic.send(&TxFrame {
                    parts: &[&bytes],
                    mode: TxMode::Raw,
                    token: last,
                    report: true,
                    ..TxFrame::default()
                });
                self.handed += u64::from(sent.expect("it sends"));
            }
            self.wait(10_000);
            self.handle.pump().expect("the device below works");
            for pair in 0..4_usize {
                let mut frames = Vec::new();
                of_pair!(self, pair, rx_batch(64, &mut frames)).expect("it receives");
                frames.into_iter().for_each(|frame| self.check(frame));
                self.held.clear();
                let done = of_pair!(self, pair, tx_completions());
                self.report(done.expect("it completes"));
            }
            if self.reported.len() as u64 == self.handed && self.received.contains(&last) {
                return;
            }
        }
        panic!(
            "seed {}: {} of {} frames are reported, the last one came: {}",
            self.seed,
            self.reported.len(),
            self.handed,
            self.received.contains(&last)
        );
    }
}

/// Faults of some kinds, now and then or often.
fn faults(random: &mut StdRng) -> Faults {
    let mut rate = || match random.random_range(0..8) {
        0 => 0.1,
        1 => 0.01,
        2 => 0.001,
        _ => 0.0,
    };
    Faults {
        lose: rate(),
        delay: rate(),
        double: rate(),
        corrupt: rate(),
        flip_phase: rate(),
        bad_length: rate(),
        bad_index: rate(),
        hang: rate(),
        lose_interrupt: rate(),
        false_interrupt: rate(),
        flap: rate(),
        late_write: rate(),
        vanish: rate() / 10.0,
    }
}

/// Faults injected and recoveries.
fn run(seed: u64) -> (u64, u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let (world, device) = World::new(seed, Box::new(Loopback::new(1_000)));
    let config = NicConfig {
        // Every other run is with one pair, as ever.
        queue_pairs: 1 + (seed % 2 * random.random_range(1..4)) as u8,
        hash_key: random.random(),
        sq_log2: random.random_range(4..8),
        txcq_log2: 7,
        rxq_log2: random.random_range(4..7),
        rxcq_log2: random.random_range(4..7),
        event_log2: 4,
        slots: 16,
        promiscuous: true,
        ..NicConfig::default()
    };
    let clock = Arc::new(world.clock.clone());
    let nic = Nic::open(device, clock, &config).expect("opens");
    world.handle.set(faults(&mut random));
    let mut run = Run {
        seed,
        random,
        clock: world.clock.clone(),
        handle: world.handle.clone(),
        nic,
        pairs: [const { None }; 3],
        handed: 0,
        reported: BTreeSet::new(),
        held: Vec::new(),
        received: BTreeSet::new(),
        recoveries: 0,
    };
    for _ in 0..STEPS {
        run.step();
    }
    run.end();
    let recoveries = run.recoveries;
    run.pairs.fill_with(|| None);
    run.nic.close().expect("it closes");
    (world.handle.injected().faults, recoveries)
}

/// FERRULE_FAULT_STEPS steps, from FERRULE_FIRST_SEED on.
#[test]
fn a_failing_device_harms_nobody() {
    let number = |name: &str, default: u64| {
        let value = std::env::var(name).ok();
        value.map_or(default, |v| v.parse().expect("a number"))
    };
    let seeds = number("FERRULE_FAULT_STEPS", 1_000_000).div_ceil(STEPS);
    let first = number("FERRULE_FIRST_SEED", 0);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let totals = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                let mine = (first + worker..first + seeds).step_by(threads as usize);
                scope.spawn(move || {
                    mine.map(run)
                        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
                })
            })
            .collect();
        let ended = workers.into_iter().map(|w| w.join());
        ended
            .map(|totals| totals.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    });
    // The run is worth something only if things went wrong in it.
    assert!(totals.0 > seeds && totals.1 > seeds / 10, "{totals:?}");
}
