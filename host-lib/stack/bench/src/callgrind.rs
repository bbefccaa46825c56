//! Instructions of one operation, counted by Callgrind in a child process.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Command;

use clap::ValueEnum;

use crate::jobs::{prepare, Job, JobKind, StackKind};
use crate::{Error, Result};

/// Operations before the counting: buffers and tables have grown, windows are open.
const WARM_UP: u64 = 2_000;

const VECTOR_COPIES: &str = "glibc.cpu.x86_rep_movsb_threshold=1073741824";

/// The part that Callgrind counts, found by its name.
#[inline(never)]
pub fn counted(job: &mut dyn Job, operations: u64) -> Result<()> {
    job.run(operations)
}

/// What the child does.
pub fn child(stack: StackKind, kind: JobKind, connections: usize, operations: u64) -> Result<()> {
    let mut job = prepare(stack, kind, connections)?;
    job.run(WARM_UP)?;
    counted(&mut *job, operations)
}

fn name(value: &impl ValueEnum) -> String {
    value
        .to_possible_value()
        .map_or_else(String::new, |v| v.get_name().to_owned())
}

/// Runs `program`, whose `run` command is [`child`], and returns the instructions of one operation; `None` where Valgrind
/// is not installed.
pub fn instructions(
    program: &Path,
    stack: StackKind,
    kind: JobKind,
    connections: usize,
    operations: u64,
) -> Result<Option<f64>> {
    let output = Command::new("valgrind")
        // glibc copies long runs with `rep movsb`, which Callgrind counts as an instruction for each byte.
        .env("GLIBC_TUNABLES", VECTOR_COPIES)
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg("--toggle-collect=*callgrind*counted*")
        .args([program.as_os_str(), OsStr::new("run")])
        .args([name(&stack), name(&kind)])
        .args([connections.to_string(), operations.to_string()])
        .output();
    let output = match output {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|source| Error::Io {
            what: "valgrind".into(),
            source,
        })?,
    };
    let text = String::from_utf8_lossy(&output.stderr);
    // "==pid== Collected : 123456"
    let collected = text
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, count)| count.trim().parse::<u64>().ok())
        .filter(|count| output.status.success() && *count > 0);
    match collected {
        Some(count) => Ok(Some(count as f64 / operations as f64)),
        None => Err(Error::Output(format!("valgrind counted nothing:\n{text}"))),
    }
}
