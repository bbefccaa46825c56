//! The model and every engine are the same NIC: seeded host operations and traffic, and no disagreement.
use ferrule_tests::differential::modelled::{Modelled, Straight};
use ferrule_tests::differential::rtl::Rtl;
use ferrule_tests::differential::{run, Disagreement, Subject};
use ferrule_tests::engines;

/// After so many the cause is clear.
const MOST_DISAGREEMENTS: usize = 20;

fn cases(default: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let first = number("FERRULE_FIRST_CASE").unwrap_or(0);
    first..first + number("FERRULE_CASES").unwrap_or(default)
}

/// Runs the cases and fails with the first disagreement in full and a line for each further one.
fn agree(subjects: &mut [Box<dyn Subject>], cases: std::ops::Range<u64>) {
    let found: Vec<Disagreement> = cases
        .filter_map(|seed| run(subjects, seed).err())
        .take(MOST_DISAGREEMENTS)
        .collect();
    let Some(first) = found.first() else {
        return;
    };
    for other in &found[1..] {
        eprintln!("also case {}: {}", other.seed, other.what);
    }
    panic!("{first}");
}

#[test]
fn the_model_agrees_with_the_verilated_engine() {
    let Some(engine) = engines::verilated() else {
        return;
    };
    let mut subjects: [Box<dyn Subject>; 2] = [
        Box::new(Rtl::new(engine)),
        Box::new(Modelled::new(Straight)),
    ];
    agree(&mut subjects, cases(300));
}
