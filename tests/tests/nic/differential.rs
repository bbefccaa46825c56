//! The model and every engine are the same NIC: seeded host operations and traffic, and no disagreement.
//!
//! `FERRULE_CASES` sets how many cases the fastest engine runs, `FERRULE_FIRST_CASE` with which one they begin. The verilated engine runs a
//! tenth of them, the native one, of which a case takes ten seconds, a two-hundredth, each in lockstep with the faster ones. Cases are
//! independent: each core runs its share.
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

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
pub(crate) const MOST_DISAGREEMENTS: usize = 20;
/// Cases after which everything that can be counted has been, wherever they begin.
const ENOUGH_CASES: u64 = 1_000;
/// What a right NIC in front of a right root complex never counts.
const NEVER: [u32; 2] = [counter::TX_UNDERRUN, counter::TLP_UNEXPECTED];

/// This test's share of the cases, one in `share`.
pub(crate) fn cases(share: u64) -> Range<u64> {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().expect("a number"))
    };
    let first = number("FERRULE_FIRST_CASE").unwrap_or(0);
    let count = number("FERRULE_CASES").unwrap_or(DEFAULT_CASES);
    first..first + count.div_ceil(share)
}

/// A case under way. Engines in lockstep do not return when they differ: this tells in which case that was, and ends the others.
pub(crate) struct Seed<'a>(pub(crate) u64, pub(crate) &'a AtomicUsize);

impl Drop for Seed<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("in case {}", self.0);
            self.1.fetch_add(MOST_DISAGREEMENTS, Ordering::Relaxed);
        }
    }
}

pub(crate) fn model() -> Box<dyn Subject> {
    Box::new(Modelled::new(Straight))
}

/// Calls `work` in a thread for each core, with its number and how many there are, and gives what they came to.
pub(crate) fn on_all_cores<T: Send>(work: impl Fn(usize, usize) -> T + Sync) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let work = &work;
    thread::scope(|scope| {
        let started: Vec<_> = (0..threads)
            .map(|n| scope.spawn(move || work(n, threads)))
            .collect();
        let ended = started.into_iter().map(thread::ScopedJoinHandle::join);
        ended
            .map(|result| result.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

/// Runs the cases on all cores, each with subjects of its own, and fails with the first disagreement in full and a line for each further one.
fn agree(open: impl Fn() -> Vec<Box<dyn Subject>> + Sync, cases: Range<u64>) {
    let enough = cases.end - cases.start >= ENOUGH_CASES;
    let count = AtomicUsize::new(0);
    let parts = on_all_cores(|n, threads| {
        let (mut subjects, mut coverage, mut found) = (open(), Coverage::default(), vec![]);
        for seed in cases.clone().skip(n).step_by(threads) {
            if count.load(Ordering::Relaxed) >= MOST_DISAGREEMENTS {
                break;
            }
            let _seed = Seed(seed, &count);
            if let Err(disagreement) = run(&mut subjects, seed, &mut coverage) {
                count.fetch_add(1, Ordering::Relaxed);
                found.push(disagreement);
            }
        }
        (coverage, found)
    });
    let mut coverage = Coverage::default();
    let mut found: Vec<Disagreement> = vec![];
    for (of_part, of_cases) in parts {
        coverage.merge(&of_part);
        found.extend(of_cases);
    }
    found.sort_by_key(|disagreement| disagreement.seed);
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
        || vec![Box::new(Rtl::new(engines::compiled())), model()],
        cases(1),
    );
}

#[test]
fn the_model_agrees_with_the_compiled_and_the_verilated_engine() {
    if engines::verilated().is_none() {
        return;
    }
    let both = || {
        let verilated = engines::verilated().into_iter().collect();
        engines::lockstep(engines::compiled(), verilated)
    };
    agree(|| vec![Box::new(Rtl::new(both())), model()], cases(10));
}

#[test]
fn the_model_agrees_with_all_engines() {
    agree(
        || vec![Box::new(Rtl::new(engines::all())), model()],
        cases(200),
    );
}

/// Runs cases until one shows that the second subject is not like the first.
fn finds(subjects: &mut [Box<dyn Subject>], most: u64) -> bool {
    (0..most).any(|seed| run(subjects, seed, &mut Coverage::default()).is_err())
}

/// Each fault is found with the subjects that `plant` gives, the second of which has it; none: a tool is missing.
fn finds_faults(plant: impl Fn(Fault) -> Option<[Box<dyn Subject>; 2]> + Sync) {
    on_all_cores(|n, threads| {
        for fault in Fault::ALL.into_iter().skip(n).step_by(threads) {
            let Some(mut subjects) = plant(fault) else {
                return;
            };
            assert!(finds(&mut subjects, 100), "{fault:?} is not found");
        }
    });
}

fn in_engine(fault: Fault, engine: Box<dyn Engine>) -> [Box<dyn Subject>; 2] {
    let wrong = Box::new(FaultyEngine::new(engine, fault));
    [model(), Box::new(Rtl::new(wrong))]
}

#[test]
fn a_fault_planted_in_the_model_is_found() {
    finds_faults(|fault| {
        let wrong = Box::new(Modelled::new(FaultyModel::new(fault)));
        Some([Box::new(Rtl::new(engines::compiled())), wrong])
    });
}

#[test]
fn a_fault_planted_in_the_compiled_engine_is_found() {
    finds_faults(|fault| Some(in_engine(fault, engines::compiled())));
}

#[test]
fn a_fault_planted_in_the_verilated_engine_is_found() {
    finds_faults(|fault| Some(in_engine(fault, engines::verilated()?)));
}

#[test]
fn a_fault_planted_in_the_native_engine_is_found() {
    finds_faults(|fault| Some(in_engine(fault, engines::native())));
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
    on_all_cores(|n, threads| {
        for (fault, right, wrong) in HARDWARE_FAULTS.iter().skip(n).step_by(threads) {
            assert_eq!(text.matches(right).count(), 1, "{fault}: {right}");
            let mutated = text.replace(right, wrong);
            let engine = Compiled::of_verilog(&mutated, TOP, &Options::default()).expect(fault);
            let wrong = Box::new(Rtl::new(Box::new(engine)));
            assert!(finds(&mut [model(), wrong], 300), "{fault} is not found");
        }
    });
}
