//! A program over the NIC's RTL, compiled to machine code, in a process of its own: nothing to install, no root.
use std::process::Command;

use crate::lan::said;
use ferrule_test_tools::have;

fn run(program: &[&str]) -> std::process::Output {
    Command::new("timeout")
        .args(["--kill-after=1", "120", env!("CARGO_BIN_EXE_ferrule")])
        .args(["run", "--engine", "compiled", "--"])
        .args(program)
        .output()
        .expect("runs")
}

#[test]
fn curl_fetches_a_page_through_rtl() {
    if !have(&["curl", "timeout"]) {
        return;
    }
    // curl fails if the body is shorter than the server has said.
    let output = run(&[
        "curl",
        "-sS",
        "--noproxy",
        "*",
        "--fail",
        "http://192.0.2.2/",
    ]);
    assert!(output.status.success(), "{}", said(&output));
    let page = String::from_utf8_lossy(&output.stdout);
    assert!(page.starts_with("<!doctype html>"), "{page}");
    assert!(
        page.contains("Served through simulated hardware."),
        "{page}"
    );
}

#[test]
fn a_programs_status_is_its_own() {
    if !have(&["sh", "timeout"]) {
        return;
    }
    assert_eq!(run(&["sh", "-c", "exit 42"]).status.code(), Some(42));
    // 128 and the signal's number, as a shell says it.
    assert_eq!(run(&["sh", "-c", "kill -9 $$"]).status.code(), Some(137));
}

#[test]
fn a_static_program_is_refused() {
    /// The header of an ELF file for 64 bits, without any segment: nothing names a loader.
    const HEADER: usize = 64;
    let dir = tempfile::tempdir().expect("temporary folder");
    let program = dir.path().join("program");
    let mut file = vec![0; HEADER];
    file[..5].copy_from_slice(b"\x7fELF\x02");
    std::fs::write(&program, file).expect("writes a program");
    let output = Command::new(env!("CARGO_BIN_EXE_ferrule"))
        .args(["run", "--"])
        .arg(&program)
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("linked statically"),
        "{}",
        said(&output)
    );
}
