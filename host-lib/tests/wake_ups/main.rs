//! No wake-up is lost: `src/shared.rs` itself, word for word, on a model of the NIC and of the kernel, in many orders of its threads' steps.
//!
//! A [scheduler](https://docs.rs/shuttle) lets one thread run at a time and chooses at each lock, atomic and wait who goes on. A run in which
//! a call does not return although what it waits for has come is a deadlock, which it reports with the schedule.
use std::panic::{catch_unwind, AssertUnwindSafe};

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

mod card;
mod clock;
#[path = "../../src/shared.rs"]
mod shared;
mod story;
mod sync;

/// Steps of the longest run; one that takes more spins.
const MAX_STEPS: usize = 50_000;
/// Bytes of a thread's stack.
const STACK: usize = 256 << 10;
/// Changes of the running thread's rank in a run.
const PCT_DEPTH: usize = 3;

/// What goes wrong on purpose, in the models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The rings are looked at, and then interrupts asked for.
    LooksBeforeArming,
    /// Nothing wakes the driving thread but an interrupt.
    LosesKicks,
    /// Nothing wakes a thread that does not drive.
    LosesWakeUps,
    /// Nothing tells a clock that its service is due.
    LosesPokes,
}

fn number(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|e| panic!("{name}: {e}")),
        Err(_) => otherwise,
    }
}

/// Says how to see a failure again.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the scheduler's seed: FERRULE_FIRST_SEED={}", self.0);
        }
    }
}

fn run(scheduler: impl Scheduler + 'static, fault: Option<Fault>) {
    let mut config = Config::new();
    config.stack_size = STACK;
    config.max_steps = MaxSteps::FailAfter(MAX_STEPS);
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(move || story::tell(fault));
}

/// Runs, if nothing else is said.
fn schedules() -> usize {
    number("FERRULE_SCHEDULES", 4_000) as usize
}

#[test]
fn no_wake_up_is_lost_in_random_orders() {
    let seed = Seed(number("FERRULE_FIRST_SEED", 1));
    run(RandomScheduler::new_from_seed(seed.0, schedules()), None);
}

#[test]
fn no_wake_up_is_lost_where_a_thread_is_overtaken_at_a_few_steps() {
    let seed = Seed(number("FERRULE_FIRST_SEED", 1));
    let scheduler = PctScheduler::new_from_seed(seed.0, PCT_DEPTH, schedules());
    run(scheduler, None);
}

#[test]
fn each_fault_is_found() {
    const ENOUGH: usize = 20_000;
    for fault in [
        Fault::LooksBeforeArming,
        Fault::LosesKicks,
        Fault::LosesWakeUps,
        Fault::LosesPokes,
    ] {
        let scheduler = RandomScheduler::new_from_seed(1, ENOUGH);
        let found = catch_unwind(AssertUnwindSafe(|| run(scheduler, Some(fault))));
        assert!(found.is_err(), "{fault:?} was not found");
    }
}
