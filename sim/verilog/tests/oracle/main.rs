//! Random designs, simulated here and by Icarus Verilog: every output must be the same in every cycle.
#![allow(missing_docs, reason = "a test has no readers from outside")]

mod designs;
mod icarus;

use designs::Generator;
use ferrule_test_tools::have;
use ferrule_verilog::{Options, Program};

/// Cycles that a design runs.
const CYCLES: usize = 24;

/// Seeds that once failed beyond those that are always run: two nets of a block that each seemed to need the other first.
const FOUND: [u64; 1] = [615];

/// Designs per run: `PROPTEST_CASES`, as for the property tests.
fn cases() -> u64 {
    let cases = std::env::var("PROPTEST_CASES").ok();
    cases.and_then(|c| c.parse().ok()).unwrap_or(128)
}

#[test]
fn random_designs_behave_as_in_icarus() {
    if !have(&["iverilog", "vvp"]) {
        return;
    }
    for seed in (0..cases()).chain(FOUND) {
        let design = Generator::new(seed).design(CYCLES);
        let expected =
            icarus::run(&design).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{}", design.text));
        for keep_all in [false, true] {
            let program = Program::compile("random.v", &design.text, "dut", Options { keep_all })
                .unwrap_or_else(|e| panic!("seed {seed}: {e}\n{}", design.text));
            let mut model = program.start();
            let (clock, other) = ("clock".to_owned(), "clock2".to_owned());
            let bit = |name: &String| {
                program
                    .clocks()
                    .iter()
                    .position(|c| c.0 == *name)
                    .map_or(0, |at| 1 << at)
            };
            for (cycle, step) in design.steps.iter().enumerate() {
                for (name, words) in &step.inputs {
                    let port = program
                        .port(name)
                        .unwrap_or_else(|| panic!("no port {name}"));
                    model.set_words(port, words);
                }
                model.settle();
                let mut got = String::new();
                for (name, signal) in program.outputs() {
                    got += &format!("{name}={} ", hex(&model.words(*signal), signal.width()));
                }
                assert_eq!(
                    got.trim_end(),
                    expected[cycle],
                    "seed {seed} cycle {cycle}\n{}",
                    design.text
                );
                let mut mask = 0;
                if step.clocks.0 {
                    mask |= bit(&clock);
                }
                if step.clocks.1 {
                    mask |= bit(&other);
                }
                model.rise(mask);
            }
        }
    }
}

/// As `%h` prints it.
fn hex(words: &[u64], width: u32) -> String {
    let digits = width.div_ceil(4);
    (0..digits)
        .rev()
        .map(|at| {
            let nibble = words[(at / 16) as usize] >> (4 * (at % 16)) & 15;
            char::from_digit(nibble as u32, 16).unwrap_or('?')
        })
        .collect()
}
