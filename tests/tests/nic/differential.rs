//! The model and every engine are the same NIC: seeded host operations and traffic, and no disagreement.
//!
//! `FERRULE_CASES` sets how many cases each test runs, `FERRULE_FIRST_CASE` with which one they begin.
use std::ops::Range;

use ferrule_abi::counter;
use ferrule_sim::engine::Engine;
use ferrule_tests::differential::fault::{Fault, FaultyEngine, FaultyModel};
use ferrule_tests::differential::modelled::{Modelled, Straight};
use ferrule_tests::differential::rtl::Rtl;
use ferrule_tests::differential::{run, Coverage, Disagreement, Subject};
use ferrule_tests::engines;

/// After so many the cause is clear.
const MOST_DISAGREEMENTS: usize = 20;
/// Cases after which everything that can be counted has been.
const ENOUGH_CASES: u64 = 300;
/// What a right NIC in front of a right root complex never counts.
const NEVER: [u32; 2] = [counter::TX_UNDERRUN, counter::TLP_UNEXPECTED];

fn cases(default: u64) -> Range<u64> {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().expect("a number"))
    };
    let first = number("FERRULE_FIRST_CASE").unwrap_or(0);
    first..first + number("FERRULE_CASES").unwrap_or(default)
}

fn model() -> Box<dyn Subject> {
    Box::new(Modelled::new(Straight))
}

/// Runs the cases and fails with the first disagreement in full and a line for each further one.
fn agree(subjects: &mut [Box<dyn Subject>], cases: Range<u64>) {
    let mut coverage = Coverage::default();
    let enough = cases.end - cases.start >= ENOUGH_CASES;
    let found: Vec<Disagreement> = cases
        .filter_map(|seed| run(subjects, seed, &mut coverage).err())
        .take(MOST_DISAGREEMENTS)
        .collect();
    if let Some((first, others)) = found.split_first() {
        for other in others {
            eprintln!("also case {}: {}", other.seed, other.what);
        }
        panic!("{first}");
    }
    if enough {
        let unseen = coverage.unseen(&NEVER);
        assert!(unseen.is_empty(), "never counted: {unseen:?}");
    }
}

#[test]
fn the_model_agrees_with_the_verilated_engine() {
    if let Some(engine) = engines::verilated() {
        agree(&mut [Box::new(Rtl::new(engine)), model()], cases(1_000));
    }
}

#[test]
fn the_model_agrees_with_the_native_engine_and_that_with_the_verilated_one() {
    agree(
        &mut [Box::new(Rtl::new(engines::both())), model()],
        cases(20),
    );
}

/// Runs cases until one shows that the second subject is not like the first.
fn finds(subjects: &mut [Box<dyn Subject>], most: u64) -> bool {
    (0..most).any(|seed| run(subjects, seed, &mut Coverage::default()).is_err())
}

#[test]
fn a_fault_planted_in_the_model_is_found() {
    let Some(engine) = engines::verilated() else {
        return;
    };
    let mut engine = Some(Box::new(Rtl::new(engine)) as Box<dyn Subject>);
    for fault in Fault::ALL {
        let Some(right) = engine.take() else {
            return;
        };
        let wrong = Box::new(Modelled::new(FaultyModel::new(fault)));
        let mut subjects: [Box<dyn Subject>; 2] = [right, wrong];
        assert!(finds(&mut subjects, 100), "{fault:?} is not found");
        let [right, _] = subjects;
        engine = Some(right);
    }
}

fn faults_of(open: impl Fn() -> Option<Box<dyn Engine>>, most: u64) {
    for fault in Fault::ALL {
        let Some(engine) = open() else {
            return;
        };
        let wrong = Box::new(Rtl::new(Box::new(FaultyEngine::new(engine, fault))));
        assert!(finds(&mut [model(), wrong], most), "{fault:?} is not found");
    }
}

#[test]
fn a_fault_planted_in_the_verilated_engine_is_found() {
    faults_of(engines::verilated, 100);
}

#[test]
fn a_fault_planted_in_the_native_engine_is_found() {
    faults_of(|| Some(engines::native()), 40);
}
