//! `AdjustableClock` against the same sums in whole numbers.
use crate::common::{cases, verilator_lint};
use crate::lockstep::Trace;
use crate::rx::frames::Rng;
use ferrule_abi::regs;
use ferrule_rtl::clock::adjust::AdjustableClock;
use ferrule_rtl::native::Native;
use proptest::prelude::*;

const CYCLE_NS: u64 = 8;
/// Cycles after which the clock follows a time that stands.
const BEHIND: usize = 5;
/// Units of CLOCK_RATE in a whole one.
const UNITS: i128 = 1 << 32;
const RATES: std::ops::RangeInclusive<i32> = -(1 << 23)..=(1 << 23) - 1;

struct Bench {
    dut: Native<AdjustableClock>,
    time: u64,
    trace: Option<Trace>,
}

impl Bench {
    fn new(time: u64, trace: Option<Trace>) -> Self {
        let mut bench = Self {
            dut: Native::default(),
            time,
            trace,
        };
        bench.reset();
        bench
    }

    fn reset(&mut self) {
        self.dut.u.reset.next = true;
        self.cycle(None);
        self.dut.u.reset.next = false;
    }

    /// A cycle at the time as it is, with a register write.
    fn cycle(&mut self, write: Option<(u32, u32)>) {
        let u = &mut self.dut.u;
        u.clock.next = false.into();
        u.time_lo.next = (self.time & 0xFFFF_FFFF).into();
        u.time_hi.next = (self.time >> 32).into();
        u.table_write.next = write.is_some();
        if let Some((offset, value)) = write {
            u.table_place.next = u64::from((offset - 0x100) / 4).into();
            u.table_data.next = u64::from(value).into();
        }
        self.dut.settle();
        if let Some(trace) = &mut self.trace {
            trace.record(&*self.dut.u);
        }
        self.dut.u.clock.next = true.into();
        self.dut.settle();
    }

    fn now(&self) -> u64 {
        self.dut.u.now_hi.val().to_u64() << 32 | self.dut.u.now_lo.val().to_u64()
    }

    /// Lets the clock follow the time.
    fn still(&mut self) -> u64 {
        (0..BEHIND).for_each(|_| self.cycle(None));
        self.now()
    }
}

/// The clock as its registers' descriptions have it.
#[derive(Default)]
struct Exact {
    rate: i128,
    /// In units of 2^-32 ns.
    offset: i128,
}

impl Exact {
    fn pass(&mut self, ns: u64) {
        self.offset += self.rate * i128::from(ns);
    }

    fn at(&self, time: u64) -> u64 {
        (i128::from(time) + self.offset.div_euclid(UNITS)).rem_euclid(1 << 64) as u64
    }
}

/// Runs random writes and jumps from `seed`; whether the clock is right whenever the time stands.
fn run(seed: u64, steps: usize, trace: bool) -> Result<Bench, TestCaseError> {
    let mut rng = Rng(seed);
    let mut bench = Bench::new(rng.next(), trace.then(Trace::default));
    let mut exact = Exact::default();
    for step in 0..steps {
        match rng.below(8) {
            0 => {
                // Bits beyond the field are not there.
                let rate = rng.next() as u32;
                exact.rate = i128::from((rate << 8) as i32 >> 8);
                bench.cycle(Some((regs::clock_rate::OFFSET, rate)));
            }
            1 => {
                let ns = rng.next() as u32;
                exact.offset += i128::from(ns as i32) * UNITS;
                bench.cycle(Some((regs::clock_step::OFFSET, ns)));
            }
            2 => {
                let word = rng.next() as u32;
                exact.offset += (i128::from(word) << 32) * UNITS;
                bench.cycle(Some((regs::clock_step_hi::OFFSET, word)));
            }
            3 => {
                // Another table's.
                bench.cycle(Some((regs::hash_key::OFFSET, rng.next() as u32)));
            }
            4 => {
                // Steps while the time goes on: nothing of it may be lost.
                let ns = rng.next() as u32 >> 12;
                exact.offset += i128::from(ns) * UNITS;
                bench.time = bench.time.wrapping_add(CYCLE_NS);
                exact.pass(CYCLE_NS);
                bench.cycle(Some((regs::clock_step::OFFSET, ns)));
                bench.time = bench.time.wrapping_add(CYCLE_NS);
                exact.pass(CYCLE_NS);
                bench.cycle(None);
            }
            5 => {
                let ns = rng.next() >> 32;
                bench.time = bench.time.wrapping_add(ns);
                exact.pass(ns);
            }
            _ => {
                for _ in 0..rng.below(20) {
                    bench.time = bench.time.wrapping_add(CYCLE_NS);
                    exact.pass(CYCLE_NS);
                    bench.cycle(None);
                }
            }
        }
        let (now, want) = (bench.still(), exact.at(bench.time));
        prop_assert_eq!(now, want, "seed {:#x}, step {}", seed, step);
    }
    Ok(bench)
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn the_clock_is_the_exact_sum_whatever_the_time_does(seed: u64) {
        run(seed, 60, false)?;
    }

    /// No two neighbouring cycles differ by more than the cycle and a nanosecond, and no clock goes back, whatever the rate becomes.
    #[test]
    fn the_clock_is_monotonic_and_smooth_at_every_rate(
        start: u64,
        rates in prop::collection::vec(RATES, 1..20),
    ) {
        let mut bench = Bench::new(start, None);
        (0..BEHIND).for_each(|_| {
            bench.time = bench.time.wrapping_add(CYCLE_NS);
            bench.cycle(None);
        });
        let mut before = bench.now();
        for rate in rates {
            for cycle in 0..150 {
                bench.time = bench.time.wrapping_add(CYCLE_NS);
                let write = (cycle == 0).then_some((regs::clock_rate::OFFSET, rate as u32));
                bench.cycle(write);
                let step = bench.now().wrapping_sub(before);
                prop_assert!(step.abs_diff(CYCLE_NS) <= 1, "start {start:#x}, rate {rate}: a step of {step} ns");
                before = bench.now();
            }
        }
    }
}

#[test]
fn a_jump_is_as_good_as_the_cycles_that_it_stands_for() {
    for rate in [1, -1, 2_147_484, -2_147_484, *RATES.start(), *RATES.end()] {
        let (mut jumps, mut steps) = (Bench::new(5, None), Bench::new(5, None));
        for b in [&mut jumps, &mut steps] {
            b.cycle(Some((regs::clock_rate::OFFSET, rate as u32)));
        }
        for _ in 0..20_000 {
            steps.time += CYCLE_NS;
            steps.cycle(None);
        }
        jumps.time += 20_000 * CYCLE_NS;
        assert_eq!(jumps.still(), steps.still(), "rate {rate}");
        let gained = i128::from(jumps.now()) - i128::from(jumps.time);
        let want = (i128::from(rate) * 160_000).div_euclid(UNITS);
        assert_eq!(gained, want, "rate {rate}");
    }
}

#[test]
fn a_reset_makes_the_clock_the_time_again() {
    let mut bench = Bench::new(1 << 50, None);
    bench.cycle(Some((regs::clock_rate::OFFSET, 0x7F_FFFF)));
    bench.cycle(Some((regs::clock_step::OFFSET, 1_000_000)));
    bench.cycle(Some((regs::clock_step_hi::OFFSET, 7)));
    bench.time += 1 << 30;
    assert_ne!(bench.still(), bench.time);
    bench.reset();
    assert_eq!(bench.still(), bench.time);
    bench.time += 1 << 30;
    assert_eq!(bench.still(), bench.time);
}

#[test]
fn the_verilog_keeps_the_same_time() {
    let bench = run(0x1588, 120, true).expect("agrees with the sums");
    let trace = bench.trace.expect("recorded");
    trace.check::<AdjustableClock>("adjustable_clock");
    let text = ferrule_rtl::verilog::emit::<AdjustableClock>("adjustable_clock").expect("emits");
    verilator_lint("adjustable_clock", &text);
}
