//! The host's end of the link against the hardware's, at the pins: everything arrives once and in order, whatever the line does.
use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use ferrule_rtl::pins::TlpBeat;
use ferrule_rtl::uart::UartLink;
use ferrule_rtl::verilog::emit;
use ferrule_sim::tlp::{to_beats, Assembler};
use ferrule_sim::uart::pins::{LineIn, LineOut};
use ferrule_sim::uart::{Broken, Endpoint, Noise, Role, State, UartStats};
use ferrule_verilog::{Model, Options, Program, Signal};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const CYCLE_NS: u64 = 16;
const TICK_NS: u64 = 1 << 20;
/// Baud rate and bits a clock, in units of 2^-16.
const RATES: [(u32, u64); 3] = [(12_000_000, 12_583), (3_000_000, 3_146), (921_600, 966)];

struct World {
    model: Model,
    ports: Ports,
    host: Endpoint,
    to_device: LineOut,
    from_device: LineIn,
    /// Towards the device, and from it.
    noise: [Noise; 2],
    random: StdRng,
    cycle: u64,
    /// Ahead of the cycles by what was skipped.
    time_ns: u64,
    /// TLPs from the core, and what the host got.
    up: VecDeque<TlpBeat>,
    got_up: Vec<Vec<u32>>,
    /// TLPs that the core got.
    assembler: Assembler,
    got_down: Vec<Vec<u32>>,
    core_resets: u64,
    reset: bool,
    /// Cycles without anything on the line.
    quiet: u64,
}

macro_rules! ports {
    ($($name:ident $text:literal)*) => {
        struct Ports { $($name: Signal),* }
        impl Ports {
            fn find(program: &Program) -> Self {
                let port = |name| program.port(name).unwrap_or_else(|| panic!("no port {name}"));
                Self { $($name: port($text)),* }
            }
        }
    };
}

ports! {
    reset "reset" time_lo "time_lo" rate "rate" uart_rx "uart_rx" uart_tx "uart_tx"
    down_d0 "down$d0" down_d1 "down$d1" down_half "down$half" down_last "down$last" down_bar "down$bar"
    down_valid "down$valid" down_ready "down$ready"
    up_d0 "up$d0" up_d1 "up$d1" up_half "up$half" up_last "up$last" up_valid "up$valid" up_ready "up$ready"
    core_reset "core_reset"
}

impl World {
    fn new(program: &Program, seed: u64, drift_per_mille: i64, faults: u32) -> Self {
        let (baud, rate) = RATES[seed as usize % RATES.len()];
        let bit_ps = 1_000_000_000_000 / u64::from(baud);
        let drifted = (bit_ps as i64 + bit_ps as i64 * drift_per_mille / 1_000) as u64;
        let mut host = Endpoint::new(Role::Host, baud, seed as u8);
        host.open(0);
        let mut world = Self {
            model: program.start(),
            ports: Ports::find(program),
            host,
            to_device: LineOut::new(drifted),
            from_device: LineIn::new(drifted),
            noise: [0, 1].map(|way: u64| Noise::new(seed ^ way << 63, faults)),
            random: StdRng::seed_from_u64(seed),
            cycle: 0,
            time_ns: 0,
            up: VecDeque::new(),
            got_up: vec![],
            assembler: Assembler::default(),
            got_down: vec![],
            core_resets: 0,
            reset: true,
            quiet: 0,
        };
        world.model.set(world.ports.rate, rate);
        world.step();
        world.step();
        world.reset = false;
        world
    }

    /// A cycle of the core's clock; and while nothing is on the line, time up to the next tick or what the host is due.
    fn step(&mut self) {
        let (m, p) = (&mut self.model, &self.ports);
        let now_ps = self.cycle * CYCLE_NS * 1_000;
        m.set(p.reset, self.reset.into());
        m.set(p.time_lo, self.time_ns & 0xFFFF_FFFF);
        m.set(p.uart_rx, self.to_device.level(now_ps).into());
        let ready = self.random.random_bool(0.7);
        m.set(p.down_ready, ready.into());
        let beat = self
            .up
            .front()
            .copied()
            .filter(|_| self.random.random_bool(0.9));
        let b = beat.unwrap_or_default();
        m.set(p.up_valid, beat.is_some().into());
        m.set(p.up_d0, b.d0.into());
        m.set(p.up_d1, b.d1.into());
        m.set(p.up_half, b.half.into());
        m.set(p.up_last, b.last.into());
        m.settle();
        if m.get(p.core_reset) == 1 {
            self.core_resets += 1;
        } else if beat.is_some() && m.get(p.up_ready) == 1 {
            self.up.pop_front();
        }
        if ready && m.get(p.down_valid) == 1 {
            let beat = TlpBeat {
                d0: m.get(p.down_d0) as u32,
                d1: m.get(p.down_d1) as u32,
                half: m.get(p.down_half) == 1,
                last: m.get(p.down_last) == 1,
                bar: m.get(p.down_bar) as u8,
            };
            self.got_down.extend(self.assembler.push(beat));
        }
        let byte = self.from_device.sample(now_ps, m.get(p.uart_tx) == 1);
        m.rise(1);
        self.cycle += 1;
        self.time_ns += CYCLE_NS;
        if let Some(byte) = byte {
            let bytes = self.noise[1].carry(&[byte]);
            self.host.on_bytes(self.time_ns, &bytes);
            self.got_up
                .extend(std::iter::from_fn(|| self.host.receive()));
        }
        if byte.is_some()
            || self
                .host
                .next_deadline()
                .is_some_and(|at| at <= self.time_ns)
        {
            let mut line = vec![];
            self.host.poll_bytes(self.time_ns, &mut line);
            let line = self.noise[0].carry(&line);
            self.to_device.send(&line);
        }
        let quiet = self.to_device.is_idle() && self.from_device.is_idle();
        self.quiet = if quiet { self.quiet + 1 } else { 0 };
        // Longer than any gap between bytes, or than what either side needs to begin.
        if self.quiet >= 1_000 && self.quiet.is_multiple_of(64) {
            let tick = (self.time_ns / TICK_NS + 1) * TICK_NS;
            let due = self.host.next_deadline().unwrap_or(tick);
            self.time_ns = self.time_ns.max(tick.min(due));
        }
    }

    /// Faults of the line so far.
    fn faults(&self) -> u64 {
        let done = self.noise.iter().map(Noise::done);
        done.map(|done| done.load(Ordering::Relaxed)).sum()
    }

    fn run_until(&mut self, cycles: u64, what: &str, done: impl Fn(&Self) -> bool) {
        let limit = self.cycle + cycles;
        while !done(self) {
            self.step();
            assert!(
                self.cycle < limit,
                "{what}: not within {cycles} cycles: {:?}",
                self.host.stats()
            );
        }
    }
}

fn program() -> Program {
    let text = emit::<UartLink>("uart_link").expect("emits");
    Program::compile("uart_link.v", &text, "uart_link", Options::default()).expect("compiles")
}

/// A write to BAR 0 of some DWs, in which flags and escapes are frequent.
fn tlp(number: u32, random: &mut StdRng) -> Vec<u32> {
    let length = if random.random_bool(0.1) {
        383
    } else {
        random.random_range(1..20)
    };
    let mut dwords = vec![0x4000_0000 | length, 0xFF, (number * 4) & 0xFFFFF];
    let palette = [0x7E7E_7E7E, 0x7D5E_7D5D, 0, u32::MAX, random.random()];
    dwords.extend((0..length).map(|_| palette[random.random_range(0..palette.len())]));
    dwords
}

/// TLPs each way until there were `count` and the line has done `faults`; then it is a good one, on which the rest arrives. The host's figures.
fn exchange(
    program: &Program,
    seed: u64,
    drift: i64,
    rate_of_faults: u32,
    (count, faults): (usize, u64),
) -> UartStats {
    let mut w = World::new(program, seed, drift, rate_of_faults);
    w.run_until(40_000_000, "a session", |w| w.host.state() == State::Open);
    let (mut down, mut up) = (vec![], vec![]);
    let begun = w.cycle;
    let mut bad = true;
    while bad || w.got_up.len() < up.len() || w.got_down.len() < down.len() {
        if bad && w.host.backlog() < 1_000 && w.random.random_bool(0.002) {
            let tlp = tlp(down.len() as u32, &mut w.random);
            w.host.send(&tlp);
            down.push(tlp);
        }
        if bad && w.up.len() < 500 && w.random.random_bool(0.002) {
            let tlp = tlp(up.len() as u32, &mut w.random);
            w.up.extend(to_beats(&tlp, 0));
            up.push(tlp);
        }
        w.step();
        if bad && w.faults() >= faults && down.len().min(up.len()) >= count {
            bad = false;
            w.noise.iter_mut().for_each(|noise| noise.set_rate(0));
        }
        assert_eq!(w.host.take_broken(), None, "seed {seed}");
        assert!(
            w.cycle - begun < 200_000_000,
            "seed {seed}: stuck: {:?}",
            w.host.stats()
        );
    }
    assert!(w.got_up == up, "seed {seed}: towards the host");
    assert!(w.got_down == down, "seed {seed}: towards the device");
    w.host.stats()
}

#[test]
fn on_a_good_line_nothing_is_sent_twice_at_any_rate_with_drift() {
    let program = program();
    for (seed, drift) in (0..).zip([0, 20, -20, -20, 0, 20, 20, -20, 0]) {
        let stats = exchange(&program, seed, drift, 0, (60, 0));
        assert_eq!(
            (stats.damaged, stats.resent_dwords, stats.foreign),
            (0, 0, 0),
            "seed {seed}: {stats:?}"
        );
    }
}

/// Faults of the line in all; `FERRULE_LINE_FAULTS` says how many instead.
const FAULTS: u64 = 10_000;
/// Of them, how many in a session.
const FAULTS_A_SESSION: u64 = 250;
/// Of a million bytes, how many are damaged: from some long units to most of the short ones. Those with few faults take the most bytes.
const RATES_OF_FAULTS: [u32; 8] = [1_000, 4_000, 4_000, 8_000, 8_000, 8_000, 16_000, 16_000];

#[test]
fn ten_thousand_faults_cost_no_tlp_and_change_none() {
    let wanted = std::env::var("FERRULE_LINE_FAULTS");
    let wanted = wanted.map_or(FAULTS, |n| {
        n.parse().expect("FERRULE_LINE_FAULTS is a number")
    });
    let program = program();
    let (mut resent, mut damaged) = (0, 0);
    for seed in 0..wanted.div_ceil(FAULTS_A_SESSION) {
        let rate = RATES_OF_FAULTS[seed as usize % RATES_OF_FAULTS.len()];
        let drift = (seed as i64 % 5 - 2) * 10;
        // At 12 Mbaud: a byte takes the fewest clocks.
        let stats = exchange(&program, 3 * seed, drift, rate, (1, FAULTS_A_SESSION));
        resent += stats.resent_dwords;
        damaged += stats.damaged;
    }
    assert!(resent > 0 && damaged > 0, "{resent}, {damaged}");
}

#[test]
fn a_reset_of_the_device_is_noticed_and_a_new_session_works() {
    let program = program();
    let mut w = World::new(&program, 0, 0, 0);
    w.run_until(1_000_000, "a session", |w| w.host.state() == State::Open);
    w.host.send(&[0x4000_0001, 0xF, 0x10, 1]);
    w.run_until(1_000_000, "a TLP", |w| w.got_down.len() == 1);
    w.core_resets = 0;
    w.reset = true;
    w.step();
    w.reset = false;
    w.run_until(10_000_000, "the end", |w| w.host.state() == State::Closed);
    assert_eq!(w.host.take_broken(), Some(Broken::DeviceReset));
    let now_ns = w.time_ns;
    w.host.open(now_ns);
    w.run_until(1_000_000, "a session", |w| w.host.state() == State::Open);
    assert!(w.core_resets >= 32, "the core is reset with each session");
    w.host.send(&[0x4000_0001, 0xF, 0x14, 2]);
    w.run_until(1_000_000, "a TLP", |w| w.got_down.len() == 2);
    assert_eq!(w.got_down[1], [0x4000_0001, 0xF, 0x14, 2]);
}
