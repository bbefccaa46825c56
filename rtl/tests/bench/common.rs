//! What the testbenches share.
use ferrule_test_tools::have;
use proptest::prelude::ProptestConfig;
use rust_hdl::prelude::*;
use std::process::Command;

/// Verilator's lint of an exported module with all warnings; latches, undriven signals, bad ranges and implicit nets are errors.
pub(crate) fn verilator_lint(top: &str, text: &str) {
    if !have(&["verilator"]) {
        return;
    }
    let dir = tempfile::tempdir().expect("temporary folder");
    let file = dir.path().join(format!("{top}.v"));
    std::fs::write(&file, text).expect("write");
    let out = Command::new("verilator")
        .args([
            "--lint-only",
            "-Wall",
            "-Wno-WIDTH",
            "-Wno-UNUSED",
            "-Wno-DECLFILENAME",
            "--top-module",
            top,
        ])
        .arg(&file)
        .output()
        .expect("verilator runs");
    let log = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "verilator refuses {top}:\n{log}");
}

/// So many cases of a property, or what FERRULE_RTL_CASES says: a case takes a thousand times as long as one of software, so
/// that PROPTEST_CASES does not count here. A failure's inputs are in its message.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    let wanted = std::env::var("FERRULE_RTL_CASES").ok();
    ProptestConfig {
        cases: wanted.map_or(cases, |n| n.parse().expect("a number of cases")),
        failure_persistence: None,
        max_shrink_iters: 40,
        ..ProptestConfig::default()
    }
}

/// All registers of a design, to see whether any changes.
pub(crate) fn registers<B: Block>(design: &B) -> Vec<String> {
    #[derive(Default)]
    struct All(Vec<String>);
    impl Probe for All {
        fn visit_atom(&mut self, name: &str, signal: &dyn Atom) {
            if name == "q" {
                self.0.push(format!("{:x}", signal.verilog()));
            }
        }
    }
    let mut all = All::default();
    design.accept("top", &mut all);
    all.0
}
