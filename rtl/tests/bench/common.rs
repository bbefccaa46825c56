//! What the testbenches share.
use std::process::Command;

/// Whether `tool` can be run. Where it cannot: says so, and fails under FERRULE_REQUIRE_TOOLS=1.
pub(crate) fn have(tool: &str) -> bool {
    if Command::new(tool).arg("--version").output().is_ok() {
        return true;
    }
    assert!(
        std::env::var_os("FERRULE_REQUIRE_TOOLS").is_none(),
        "{tool} is required and not installed"
    );
    eprintln!("skipped: {tool} is not installed");
    false
}

/// Verilator's lint of an exported module with all warnings; latches, undriven signals, bad ranges and implicit nets are errors.
pub(crate) fn verilator_lint(top: &str, text: &str) {
    if !have("verilator") {
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
