//! Instructions of a packet, counted by Callgrind in a child process.
use std::path::Path;

use clap::ValueEnum;
use ferrule_test_tools::callgrind;

use crate::jobs::{prepare, Job};
use crate::{Error, Meter};

/// Batches to be counted, a multiple of those in which slots are lent again.
const COUNTED: usize = 256;

/// What the child does: the same batches in all runs, of which `Meter::time` marks the driver's part.
///
/// # Errors
/// When the driver fails.
pub fn child(job: Job, batch: usize, batches: usize) -> Result<(), Error> {
    let mut work = prepare(job, batch)?;
    let mut meter = Meter::default();
    for _ in 0..batches {
        work.batch(&mut meter)?;
    }
    Ok(())
}

fn counted(program: &Path, job: Job, batch: usize, batches: usize) -> Result<Option<u64>, Error> {
    let job = job.to_possible_value();
    let job = job.map_or_else(String::new, |v| v.get_name().to_owned());
    let arguments = ["run".into(), job, batch.to_string(), batches.to_string()];
    Ok(callgrind::instructions(
        program,
        &arguments,
        "*meter*counted*",
    )?)
}

/// Instructions of a packet; `None` where Valgrind is not installed. What comes first, when rings are new, is taken off.
pub(crate) fn instructions(program: &Path, job: Job, batch: usize) -> Result<Option<f64>, Error> {
    let first = counted(program, job, batch, COUNTED)?;
    let all = counted(program, job, batch, 2 * COUNTED)?;
    let own = |(first, all): (u64, u64)| all.saturating_sub(first) as f64;
    let of_packet = |count: f64| count / (COUNTED * batch) as f64;
    Ok(first.zip(all).map(own).map(of_packet))
}
