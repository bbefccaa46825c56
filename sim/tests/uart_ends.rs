//! Two ends on a line that damages bytes: everything arrives once and in order, or the session is said to be broken.
use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use ferrule_sim::uart::unit::{Deframer, Heard, Unit};
use ferrule_sim::uart::{Broken, Endpoint, Noise, Role, State};

/// One direction of the line.
struct Wire {
    /// Bytes and when each has come.
    bytes: VecDeque<(u64, u8)>,
    free_ns: u64,
    byte_ns: u64,
    /// From the end of a byte to its receiver: the USB adapter's.
    latency_ns: u64,
    noise: Noise,
}

impl Wire {
    fn new(baud: u32, latency_ns: u64, noise: Noise) -> Self {
        Self {
            bytes: VecDeque::new(),
            free_ns: 0,
            byte_ns: 10_000_000_000 / u64::from(baud),
            latency_ns,
            noise,
        }
    }

    fn carry(&mut self, now_ns: u64, bytes: &[u8]) {
        for byte in bytes {
            self.free_ns = self.free_ns.max(now_ns) + self.byte_ns;
            let at = self.free_ns + self.latency_ns;
            let come = self.noise.carry(&[*byte]);
            self.bytes.extend(come.into_iter().map(|byte| (at, byte)));
        }
    }

    fn due(&mut self, now_ns: u64) -> Vec<u8> {
        let mut bytes = vec![];
        while let Some((_, byte)) = self.bytes.pop_front_if(|(at, _)| *at <= now_ns) {
            bytes.push(byte);
        }
        bytes
    }
}

/// A write of some DWs, its number in its address.
fn tlp(number: u32, random: &mut StdRng) -> Vec<u32> {
    let length = if random.random_bool(0.1) {
        379
    } else {
        random.random_range(1..20)
    };
    let mut dwords = vec![0x4000_0000 | length, 0xFF, number * 4];
    // Flags and escapes are frequent.
    let palette = [0x7E7E_7E7E, 0x7D5E_7D5D, 0, u32::MAX, random.random()];
    dwords.extend((0..length).map(|_| palette[random.random_range(0..palette.len())]));
    dwords
}

struct World {
    now_ns: u64,
    ends: [Endpoint; 2],
    /// From each end to the other.
    wires: [Wire; 2],
    random: StdRng,
    got: [Vec<Vec<u32>>; 2],
}

impl World {
    fn new(seed: u64, baud: u32, latency_ns: u64, faults: u32) -> Self {
        let mut host = Endpoint::new(Role::Host, baud, seed as u8);
        host.open(0);
        Self {
            now_ns: 0,
            ends: [host, Endpoint::new(Role::Device, baud, 0)],
            wires: [0, 1].map(|way: u64| {
                let noise = Noise::new(seed ^ way << 63, faults);
                Wire::new(baud, latency_ns, noise)
            }),
            random: StdRng::seed_from_u64(seed),
            got: [vec![], vec![]],
        }
    }

    /// Goes on to the next thing that happens.
    fn step(&mut self) {
        let deadlines = self.ends.iter().filter_map(Endpoint::next_deadline);
        let arrivals = self
            .wires
            .iter()
            .filter_map(|w| w.bytes.front().map(|(at, _)| *at));
        let next = deadlines
            .chain(arrivals)
            .min()
            .expect("an end has a deadline");
        self.now_ns = self.now_ns.max(next);
        for i in 0..2 {
            let bytes = self.wires[1 - i].due(self.now_ns);
            self.ends[i].on_bytes(self.now_ns, &bytes);
            self.got[i].extend(std::iter::from_fn(|| self.ends[i].receive()));
            let mut line = vec![];
            self.ends[i].poll_bytes(self.now_ns, &mut line);
            self.wires[i].carry(self.now_ns, &line);
        }
    }

    /// Puts a TLP of the host's on the line.
    fn say(&mut self, number: u32) {
        self.ends[0].send(&[0x4000_0001, 0xF, 0, number]);
        self.step();
    }

    /// Until nothing is on the line.
    fn settle(&mut self) {
        while self.wires.iter().any(|w| !w.bytes.is_empty()) {
            self.step();
        }
    }

    fn run_until(&mut self, limit_ns: u64, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            self.step();
            assert!(
                self.now_ns < limit_ns,
                "stuck at {} ns: {:?}",
                self.now_ns,
                self.ends
            );
        }
    }
}

/// Sends `count` TLPs each way in bursts; how many faults there were, and how long it took.
fn exchange(seed: u64, baud: u32, latency_ns: u64, faults: u32, count: u32) -> (u64, u64) {
    let mut world = World::new(seed, baud, latency_ns, faults);
    world.run_until(60_000_000_000, |w| w.ends[0].state() == State::Open);
    let mut sent: [Vec<Vec<u32>>; 2] = [vec![], vec![]];
    let mut next = [0; 2];
    while world.got[0].len() < count as usize || world.got[1].len() < count as usize {
        for i in 0..2 {
            // The device keeps 2,032 DWs at most.
            let room = world.ends[i].backlog() < 1_600;
            let mut burst = world.random.random_range(0..40);
            while room && next[i] < count && burst > 0 && world.ends[i].backlog() < 1_600 {
                let tlp = tlp(next[i], &mut world.random);
                world.ends[i].send(&tlp);
                sent[i].push(tlp);
                (next[i], burst) = (next[i] + 1, burst - 1);
            }
        }
        world.step();
        assert_eq!(world.ends[0].take_broken(), None, "seed {seed}");
        assert!(
            world.now_ns < 20_000_000_000_000,
            "seed {seed}: stuck: {:?}",
            world.ends
        );
    }
    assert!(
        world.got[0] == sent[1] && world.got[1] == sent[0],
        "seed {seed}"
    );
    let done = world.wires.iter().map(|w| w.noise.done());
    let done = done.map(|done| done.load(Ordering::Relaxed)).sum();
    (done, world.now_ns)
}

#[test]
fn ten_thousand_faults_cost_no_tlp_and_change_none() {
    let mut faults = 0;
    for seed in 0.. {
        let baud = [115_200, 3_000_000, 12_000_000][seed as usize % 3];
        let latency_ns = [0, 1_000_000, 16_000_000][seed as usize / 3 % 3];
        faults += exchange(seed, baud, latency_ns, 800, 400).0;
        if faults >= 10_000 {
            break;
        }
    }
}

#[test]
fn a_line_that_carries_no_long_unit_carries_short_ones_without_waiting_for_timers() {
    for seed in 0..4 {
        let (_, took_ns) = exchange(seed, 12_000_000, 125_000, 1_000, 400);
        // At 12 Mbaud some 120 kB each way take 100 ms; each timer that runs out takes 58 ms or more.
        assert!(took_ns < SECOND, "seed {seed}: {took_ns} ns");
    }
}

#[test]
fn what_asks_for_something_again_and_what_is_sent_again_may_be_lost_as_well() {
    let mut w = World::new(1, 12_000_000, 0, 0);
    w.run_until(SECOND, |w| w.ends[0].state() == State::Open);
    let (begun, all) = (w.now_ns, 1_000_000);
    w.wires[0].noise.set_rate(all);
    w.say(0);
    w.settle();
    // The next one shows it, and the answer is lost.
    w.wires[0].noise.set_rate(0);
    w.wires[1].noise.set_rate(all);
    w.say(1);
    w.settle();
    // The next answer is not, but what follows from it.
    w.wires[1].noise.set_rate(0);
    w.say(2);
    w.wires[0].noise.set_rate(all);
    w.settle();
    assert_eq!(w.ends[0].stats().resent_dwords, 12);
    w.wires[0].noise.set_rate(0);
    w.say(3);
    w.settle();
    let numbers: Vec<_> = w.got[1].iter().map(|tlp| tlp[3]).collect();
    assert_eq!(numbers, [0, 1, 2, 3]);
    assert_eq!(w.ends[0].stats().timeouts, 0);
    assert!(w.now_ns - begun < 20_000_000, "{}", w.now_ns - begun);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn any_rate_of_faults_is_survived(seed: u64, baud in 115_200u32..12_000_000, latency_ms in 0u64..20, faults in 0u32..3_000) {
        exchange(seed, baud, latency_ms * 1_000_000, faults, 60);
    }

    #[test]
    fn no_bytes_are_taken_for_a_unit_that_was_not_sent(bytes: Vec<u8>) {
        let mut deframer = Deframer::default();
        let whole = [&bytes[..], &[0x7E]].concat();
        let units = whole.iter().filter_map(|b| deframer.push(*b)).filter(|h| matches!(h, Heard::Unit(_)));
        prop_assert_eq!(units.count(), 0);
        // And the next one is found.
        let unit = Unit { session: 3, ack: 9, dwords: vec![0x7E7D_7E7D, 5], ..Unit::default() };
        let mut line = vec![];
        unit.write(&mut line);
        let units: Vec<_> = line.iter().filter_map(|b| deframer.push(*b)).collect();
        prop_assert_eq!(units, [Heard::Unit(unit)]);
    }
}

#[test]
fn a_unit_on_the_line_is_what_the_page_says() {
    let unit = Unit {
        session: 0x21,
        back: true,
        turn: true,
        position: 0x123,
        ack: 0x456,
        limit: 0x789,
        dwords: vec![0x4000_7E7D],
        ..Unit::default()
    };
    let mut line = vec![];
    assert_eq!(unit.write(&mut line), line.len());
    let said = [
        0x21, 0x61, 0x23, 0x14, 0x56, 0x07, 0x89, 0x40, 0x00, 0x7E, 0x7D,
    ];
    let mut want = vec![0x7E];
    want.extend([
        0x21, 0x61, 0x23, 0x14, 0x56, 0x07, 0x89, 0x40, 0x00, 0x7D, 0x5E, 0x7D, 0x5D,
    ]);
    for byte in crc32fast::hash(&said).to_le_bytes() {
        match byte {
            0x7D | 0x7E => want.extend([0x7D, byte ^ 0x20]),
            _ => want.push(byte),
        }
    }
    want.push(0x7E);
    assert_eq!(line, want);
}

#[test]
fn a_device_that_was_reset_is_noticed_and_a_new_session_begins_anew() {
    let mut w = World::new(1, 3_000_000, 1_000_000, 0);
    w.run_until(SECOND, |w| w.ends[0].state() == State::Open);
    let tlp = [0x4000_0001, 0xF, 0, 7];
    w.ends[0].send(&tlp);
    w.run_until(SECOND, |w| w.got[1].len() == 1);
    w.ends[1] = Endpoint::new(Role::Device, 3_000_000, 0);
    w.ends[0].send(&tlp);
    w.run_until(2 * SECOND, |w| w.ends[0].state() == State::Closed);
    assert_eq!(w.ends[0].take_broken(), Some(Broken::DeviceReset));
    assert_eq!(
        w.got[1].len(),
        1,
        "what was sent in the old session is not taken"
    );
    w.ends[0].open(w.now_ns);
    w.run_until(3 * SECOND, |w| w.ends[0].state() == State::Open);
    w.ends[0].send(&tlp);
    w.run_until(3 * SECOND, |w| w.got[1].len() == 2);
    assert_eq!(
        (w.ends[0].stats().sessions, w.ends[0].stats().broken),
        (2, 1)
    );
}

#[test]
fn a_host_that_is_started_again_gets_a_session_whatever_its_number() {
    for seed in [0, 1, 7, 254, 255] {
        let mut w = World::new(6, 3_000_000, 1_000_000, 0);
        w.run_until(SECOND, |w| w.ends[0].state() == State::Open);
        w.ends[0].send(&[0x4000_0001, 0xF, 0, 7]);
        w.run_until(SECOND, |w| w.got[1].len() == 1);
        // Something of the old host is still on the line.
        let stray = Unit {
            session: 7,
            position: 4,
            limit: 2_000,
            dwords: vec![0x4000_0001, 1, 2, 3],
            ..Unit::default()
        };
        let mut line = vec![];
        stray.write(&mut line);
        let now_ns = w.now_ns;
        w.wires[0].carry(now_ns, &line);
        w.ends[0] = Endpoint::new(Role::Host, 3_000_000, seed);
        w.ends[0].open(now_ns);
        w.run_until(2 * SECOND, |w| w.ends[0].state() == State::Open);
        w.got[1].clear();
        w.ends[0].send(&[0x4000_0001, 0xF, 0, 8]);
        w.run_until(2 * SECOND, |w| !w.got[1].is_empty());
        assert_eq!(w.got[1][0][3], 8, "seed {seed}");
    }
}

#[test]
fn silence_is_a_broken_session_and_another_host_as_well() {
    let mut w = World::new(1, 3_000_000, 0, 0);
    w.run_until(SECOND, |w| w.ends[0].state() == State::Open);
    w.wires[1].noise.set_rate(1_000_000);
    let begun = w.now_ns;
    w.run_until(3 * SECOND, |w| w.ends[0].state() == State::Closed);
    assert_eq!(w.ends[0].take_broken(), Some(Broken::Silent));
    assert!((400_000_000..800_000_000).contains(&(w.now_ns - begun)));
    assert_eq!(w.ends[0].next_deadline(), None);

    let mut w = World::new(1, 3_000_000, 0, 0);
    w.run_until(SECOND, |w| w.ends[0].state() == State::Open);
    let mut line = vec![];
    Unit {
        session: 99,
        open: true,
        ..Unit::default()
    }
    .write(&mut line);
    let now_ns = w.now_ns;
    w.wires[0].carry(now_ns, &line);
    w.run_until(2 * SECOND, |w| w.ends[0].state() == State::Closed);
    assert_eq!(w.ends[0].take_broken(), Some(Broken::Taken));
}

const SECOND: u64 = 1_000_000_000;
