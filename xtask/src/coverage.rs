//! `cargo xtask coverage`: which branches and bits of the hardware the whole-NIC tests reach, by Verilator's counts, module by module, with
//! what they do not reach and why.
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use ferrule_rtl::nic::Nic;
use ferrule_sim::engine::{open, EngineError, Kind, Options, TOP};

mod design;
mod error;
mod points;
mod reasons;
mod report;

use design::Design;
use error::{file, CoverageError};
use points::Counts;
use report::Report;

use crate::progress;

#[cfg(test)]
pub(crate) use report::DOCUMENT;

/// Arguments of `cargo xtask coverage`.
#[derive(Args)]
#[command(after_help = "Example: cargo xtask coverage --cases 1000 differential --check")]
pub(crate) struct CoverageArgs {
    /// Parts of the names of the whole-NIC tests to run; none: all
    tests: Vec<String>,
    /// Cases of the differential test that the verilated engine runs, one in five in lockstep with the other engines
    #[arg(long, default_value_t = 400, value_name = "N")]
    cases: u64,
    /// Count what an earlier run has left in the folder, and run nothing
    #[arg(long)]
    again: bool,
    /// One JSON object a module
    #[arg(long)]
    json: bool,
    /// Fail if something is neither covered nor explained
    #[arg(long)]
    check: bool,
    /// Write docs/coverage.md
    #[arg(long)]
    document: bool,
    /// Folder for what the engines leave
    #[arg(long, default_value = "target/coverage", value_name = "FOLDER")]
    output: PathBuf,
}

/// Runs the tests, each of whose verilated engines leaves a file in `folder`.
fn collect(args: &CoverageArgs, folder: &Path) -> Result<(), CoverageError> {
    let bar = progress::spinner();
    bar.set_message("Verilator builds the NIC");
    // Built before the tests ask for it, most of them at once.
    let options = Options {
        coverage: Some(folder.to_owned()),
        ..Options::default()
    };
    drop(open::<Nic>(Kind::Verilated, &options)?);
    bar.set_message("cargo builds the tests");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--workspace", "--test", "nic"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    cargo
        .arg("--")
        .args(["--skip", "native"])
        .args(&args.tests)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .env("FERRULE_COVERAGE", folder)
        .env("FERRULE_CASES", (10 * args.cases).to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = cargo.spawn().map_err(CoverageError::Cargo)?;
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if line.starts_with("test ") {
                bar.set_message(line);
            }
        }
    }
    let status = child.wait().map_err(CoverageError::Cargo)?;
    bar.finish_and_clear();
    if status.success() {
        Ok(())
    } else {
        Err(CoverageError::Tests(status))
    }
}

/// Measures and prints.
pub(crate) fn run(args: &CoverageArgs) -> Result<(), Box<dyn std::error::Error>> {
    let reasons = reasons::all()?;
    if !args.again && args.output.exists() {
        std::fs::remove_dir_all(&args.output).map_err(file(&args.output))?;
    }
    std::fs::create_dir_all(&args.output).map_err(file(&args.output))?;
    let folder = args.output.canonicalize().map_err(file(&args.output))?;
    if !args.again {
        collect(args, &folder)?;
    }
    let mut counts = Counts::default();
    if counts.add_folder(&folder)? == 0 {
        return Err(CoverageError::Nothing(format!("{} is empty", folder.display())).into());
    }
    let verilog = ferrule_rtl::verilog::emit::<Nic>(TOP).map_err(EngineError::Export)?;
    let report = Report::new(&counts, &Design::new(&verilog, TOP), reasons);
    let mut out = std::io::stdout().lock();
    if args.json {
        for module in &report.modules {
            writeln!(out, "{}", serde_json::to_string(module)?)?;
        }
    } else {
        writeln!(
            out,
            "{}\n\nNot covered and unexplained:\n{}",
            report.table(),
            report.list()
        )?;
    }
    for why in report.idle_reasons() {
        eprintln!("this reason explains nothing any more: {why}");
    }
    if args.document {
        report.write()?;
    }
    match report.unexplained() {
        n if args.check && n > 0 => Err(CoverageError::Unexplained(n).into()),
        _ => Ok(()),
    }
}
