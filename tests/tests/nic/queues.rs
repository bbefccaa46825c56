//! Several queue pairs, with rings and slots of their own: each frame arrives in the queue that its hash and the indirection table name, waits or is
//! forgotten as that queue has it, and what each queue sends leaves whole and in its order. Every engine must do what is worked out here from the
//! frames alone, and all of them the same.
//!
//! `FERRULE_CASES` and `FERRULE_FIRST_CASE` choose the cases as in [`crate::differential`].
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use ferrule_tests::differential::rtl::Rtl;
use ferrule_tests::differential::Subject;
use ferrule_tests::engines;

use crate::differential::{cases, model, on_all_cores, Seed, MOST_DISAGREEMENTS};

mod case;
mod errors;
mod receive;
mod steering;
mod transmit;

use case::{Case, Seen};

/// What is to be written to host memory.
type Writes = Vec<(u64, Vec<u8>)>;

/// Runs the cases on all cores, each with subjects of its own, and fails with the first that goes wrong.
fn agree(open: impl Fn() -> Vec<Box<dyn Subject>> + Sync, cases: Range<u64>) {
    let count = AtomicUsize::new(0);
    let parts = on_all_cores(|n, threads| {
        let mut subjects = open();
        let (mut seen, mut found) = (Seen::default(), vec![]);
        for seed in cases.clone().skip(n).step_by(threads) {
            if count.load(Ordering::Relaxed) >= MOST_DISAGREEMENTS {
                break;
            }
            let _seed = Seed(seed, &count);
            let mut case = Case::new(&mut subjects, seed);
            if let Err(what) = case.run() {
                count.fetch_add(1, Ordering::Relaxed);
                found.push((seed, what, case.steps.join("\n    ")));
            }
            seen.add(&case.seen);
        }
        (seen, found)
    });
    let mut seen = Seen::default();
    let mut found = vec![];
    for (of_part, wrong) in parts {
        seen.add(&of_part);
        found.extend(wrong);
    }
    found.sort();
    if let Some((seed, what, steps)) = found.first() {
        let others: Vec<_> = found[1..]
            .iter()
            .map(|(seed, what, _)| (seed, what))
            .collect();
        panic!("case {seed}: {what}\nafter\n    {steps}\nalso {others:#?}");
    }
    if cases.end - cases.start >= ENOUGH_CASES {
        seen.check();
    }
}

/// Cases after which everything has happened that is to be tried.
const ENOUGH_CASES: u64 = 100;

#[test]
fn queues_of_the_model() {
    agree(|| vec![model()], cases(1));
}

#[test]
fn queues_of_the_compiled_engine_and_the_model() {
    let both =
        || -> Vec<Box<dyn Subject>> { vec![Box::new(Rtl::new(engines::compiled())), model()] };
    agree(both, cases(10));
}

#[test]
fn queues_of_all_engines_and_the_model() {
    let all = || -> Vec<Box<dyn Subject>> { vec![Box::new(Rtl::new(engines::all())), model()] };
    agree(all, cases(1_000));
}

#[test]
fn errors_of_the_model() {
    errors(model());
}

#[test]
fn errors_of_all_engines() {
    errors(Box::new(Rtl::new(engines::all())));
}

/// What a queue does wrong is its own affair.
fn errors(mut subject: Box<dyn Subject>) {
    errors::stop_their_queue_alone(subject.as_mut());
    errors::push_beside_others(subject.as_mut());
}
