//! The exported Verilog is accepted by the tools that people have: Verilator's lint, Icarus, Yosys.
use crate::common::{ferrule, said};
use ferrule_test_tools::have;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Warnings of Verilator that the export may have, each with its reason; never LATCH, UNDRIVEN, SELRANGE or IMPLICIT.
const WAIVERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../rtl/verilator.vlt");

fn export(dir: &Path) -> PathBuf {
    let output = ferrule(dir)
        .args(["verilog", "-o", "out"])
        .output()
        .expect("runs");
    assert!(output.status.success(), "{}", said(&output));
    dir.join("out/ferrule_nic.v")
}

#[test]
fn verilator_lint_accepts_it_with_the_waivers_in_the_file_only() {
    let waivers = std::fs::read_to_string(WAIVERS).expect("rtl/verilator.vlt");
    for fatal in ["LATCH", "UNDRIVEN", "SELRANGE", "IMPLICIT"] {
        assert!(
            !waivers.contains(&format!("-rule {fatal}")),
            "{fatal} must not be waived"
        );
    }
    if !have(&["verilator"]) {
        return;
    }
    let dir = tempfile::tempdir().expect("temporary folder");
    let file = export(dir.path());
    let output = Command::new("verilator")
        .args([
            "--lint-only",
            "-Wall",
            "--top-module",
            "ferrule_nic",
            WAIVERS,
        ])
        .arg(file)
        .output()
        .expect("runs");
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn icarus_elaborates_it() {
    if !have(&["iverilog"]) {
        return;
    }
    let dir = tempfile::tempdir().expect("temporary folder");
    let file = export(dir.path());
    let output = Command::new("iverilog")
        .args(["-g2005", "-s", "ferrule_nic", "-o"])
        .arg(dir.path().join("nic.vvp"))
        .arg(file)
        .output()
        .expect("runs");
    assert!(output.status.success(), "{}", said(&output));
}

/// What it becomes on an FPGA takes Yosys minutes, and is `cargo xtask synth`'s to say.
#[test]
fn yosys_elaborates_it_and_finds_nothing_wrong() {
    if !have(&["yosys"]) {
        return;
    }
    let dir = tempfile::tempdir().expect("temporary folder");
    let file = export(dir.path());
    let script = format!(
        "read_verilog {}; hierarchy -check -top ferrule_nic; proc; flatten; check -assert",
        file.display()
    );
    let output = Command::new("yosys")
        .args(["-q", "-p", &script])
        .output()
        .expect("runs");
    assert!(output.status.success(), "{}", said(&output));
}
