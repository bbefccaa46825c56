//! Tools that tests need and that may be missing: Verilator, Icarus, Yosys, tshark, root; and what tests of several crates compare with.
//!
//! A test that lacks one says so on standard error, past the test harness's capture, and passes; under FERRULE_REQUIRE_TOOLS=1, which CI
//! sets, it fails instead.
#![forbid(unsafe_code)]

pub mod callgrind;
pub mod toeplitz;

use std::ffi::OsStr;
use std::io::Write;
use std::process::Command;

/// Whether all of `tools` can be run.
///
/// # Panics
/// If one cannot and FERRULE_REQUIRE_TOOLS is set.
pub fn have<T: AsRef<OsStr>>(tools: &[T]) -> bool {
    tools.iter().all(|tool| {
        let tool = tool.as_ref();
        // Whatever it answers: it is there.
        let there = Command::new(tool).arg("--version").output().is_ok();
        there || missing(&format!("{} is not installed", tool.display()))
    })
}

/// Says that a test is skipped for want of something; false, for use as a condition.
///
/// # Panics
/// If FERRULE_REQUIRE_TOOLS is set.
pub fn missing(what: &str) -> bool {
    assert!(
        std::env::var_os("FERRULE_REQUIRE_TOOLS").is_none(),
        "FERRULE_REQUIRE_TOOLS is set and {what}"
    );
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test").to_owned();
    // Not eprintln!, which the harness captures. Where standard error is closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {what}");
    false
}
