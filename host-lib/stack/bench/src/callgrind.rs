//! Instructions of one operation, counted by Callgrind in a child process.

use std::path::Path;

use clap::ValueEnum;
use ferrule_test_tools::callgrind;

use crate::jobs::{prepare, Job, JobKind, StackKind};
use crate::{Error, Result};

/// Operations before the counting: buffers and tables have grown, windows are open.
const WARM_UP: u64 = 2_000;

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
    let arguments = [
        "run".into(),
        name(&stack),
        name(&kind),
        connections.to_string(),
        operations.to_string(),
    ];
    let count = callgrind::instructions(program, &arguments, "*callgrind*counted*");
    let count = count.map_err(|source| Error::Io {
        what: "valgrind".into(),
        source,
    })?;
    Ok(count.map(|count| count as f64 / operations as f64))
}
