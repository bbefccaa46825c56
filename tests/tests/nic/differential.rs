//! The model and every engine are the same NIC: seeded host operations and traffic, and no disagreement.
//!
//! `FERRULE_CASES` sets how many cases the fastest engine runs, `FERRULE_FIRST_CASE` with which one they begin. The verilated engine runs a
//! tenth of them, the native one a fiftieth, each in lockstep with the faster ones.
use std::ops::Range;

use ferrule_abi::counter;
use ferrule_rtl::nic::Nic;
use ferrule_sim::engine::compiled::Compiled;
use ferrule_sim::engine::{Engine, Options, TOP};
use ferrule_tests::differential::fault::{Fault, FaultyEngine, FaultyModel};
use ferrule_tests::differential::modelled::{Modelled, Straight};
use ferrule_tests::differential::rtl::Rtl;
use ferrule_tests::differential::{run, Coverage, Disagreement, Subject};
use ferrule_tests::engines;

/// Cases where nobody asks for more.
const DEFAULT_CASES: u64 = 1_000;
/// After so many the cause is clear.
const MOST_DISAGREEMENTS: usize = 20;
/// Cases after which everything that can be counted has been, wherever they begin.
const ENOUGH_CASES: u64 = 1_000;
/// What a right NIC in front of a right root complex never counts.
const NEVER: [u32; 2] = [counter::TX_UNDERRUN, counter::TLP_UNEXPECTED];

/// This test's share of the cases, one in `share`.
fn cases(share: u64) -> Range<u64> {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().expect("a number"))
    };
    let first = number("FERRULE_FIRST_CASE").unwrap_or(0);
    let count = number("FERRULE_CASES").unwrap_or(DEFAULT_CASES);
    first..first + count.div_ceil(share)
}

/// Engines in lockstep do not return when they differ: this tells in which case that was.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in case {}", self.0);
        }
    }
}

fn model() -> Box<dyn Subject> {
    Box::new(Modelled::new(Straight))
}

/// Runs the cases and fails with the first disagreement in full and a line for each further one.
fn agree(subjects: &mut [Box<dyn Subject>], cases: Range<u64>) {
    let mut coverage = Coverage::default();
    let enough = cases.end - cases.start >= ENOUGH_CASES;
    let found: Vec<Disagreement> = cases
        .filter_map(|seed| {
            let _seed = Seed(seed);
            run(subjects, seed, &mut coverage).err()
        })
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
fn the_model_agrees_with_the_compiled_engine() {
    agree(
        &mut [Box::new(Rtl::new(engines::compiled())), model()],
        cases(1),
    );
}

#[test]
fn the_model_agrees_with_the_compiled_and_the_verilated_engine() {
    if let Some(verilated) = engines::verilated() {
        let both = engines::lockstep(engines::compiled(), vec![verilated]);
        agree(&mut [Box::new(Rtl::new(both)), model()], cases(10));
    }
}

#[test]
fn the_model_agrees_with_all_engines() {
    agree(
        &mut [Box::new(Rtl::new(engines::all())), model()],
        cases(50),
    );
}

/// Runs cases until one shows that the second subject is not like the first.
fn finds(subjects: &mut [Box<dyn Subject>], most: u64) -> bool {
    (0..most).any(|seed| run(subjects, seed, &mut Coverage::default()).is_err())
}

#[test]
fn a_fault_planted_in_the_model_is_found() {
    for fault in Fault::ALL {
        let right = Box::new(Rtl::new(engines::compiled()));
        let wrong = Box::new(Modelled::new(FaultyModel::new(fault)));
        assert!(finds(&mut [right, wrong], 100), "{fault:?} is not found");
    }
}

fn finds_faults(open: impl Fn() -> Option<Box<dyn Engine>>) {
    for fault in Fault::ALL {
        let Some(engine) = open() else {
            return;
        };
        let wrong = Box::new(Rtl::new(Box::new(FaultyEngine::new(engine, fault))));
        assert!(finds(&mut [model(), wrong], 100), "{fault:?} is not found");
    }
}

#[test]
fn a_fault_planted_in_the_compiled_engine_is_found() {
    finds_faults(|| Some(engines::compiled()));
}

#[test]
fn a_fault_planted_in_the_verilated_engine_is_found() {
    finds_faults(engines::verilated);
}

#[test]
fn a_fault_planted_in_the_native_engine_is_found() {
    finds_faults(|| Some(engines::native()));
}

/// Faults in the hardware description itself: what they are, a text that the Verilog has once, and what it becomes.
const HARDWARE_FAULTS: [(&str, &str, &str); 3] = [
    (
        "a lost carry",
        "l4_fold2$d = ((l4_fold$q[(32'h0)+:(16)]) & 17'h1ffff) + ((l4_fold$q[(32'h10)+:(2)]) & 17'h1ffff);",
        "l4_fold2$d = ((l4_fold$q[(32'h0)+:(16)]) & 17'h1ffff);",
    ),
    (
        "a wrong mask",
        "l4_final = ((l4_fold$q[(32'h0)+:(16)]) & 17'h1ffff)",
        "l4_final = ((l4_fold$q[(32'h0)+:(16)]) & 17'h1fffe)",
    ),
    (
        "a flag that is not set",
        "verdict$bad = r_bad$q;",
        "verdict$bad = 1'b0;",
    ),
];

#[test]
fn a_fault_in_the_hardware_description_is_found() {
    let text = ferrule_rtl::verilog::emit::<Nic>(TOP).expect("the NIC is exported");
    for (fault, right, wrong) in HARDWARE_FAULTS {
        assert_eq!(text.matches(right).count(), 1, "{fault}: {right}");
        let mutated = text.replace(right, wrong);
        let engine = Compiled::of_verilog(&mutated, TOP, &Options::default()).expect(fault);
        let wrong = Box::new(Rtl::new(Box::new(engine)));
        assert!(finds(&mut [model(), wrong], 300), "{fault} is not found");
    }
}
