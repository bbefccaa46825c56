//! The table of results, and what they should show.
use serde::Serialize;

use crate::jobs::Job;

/// One thing measured.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// What.
    pub what: String,
    /// Of what.
    pub unit: &'static str,
    /// Ours.
    pub ours: f64,
    /// virtio-drivers'.
    pub peer: Option<f64>,
    /// The most that it should be.
    pub most: Option<f64>,
}

fn name(job: Job) -> &'static str {
    match job {
        Job::Ring => "a frame handed over where it lies and its completion taken",
        Job::Virtio => "virtio-drivers",
        Job::Send => "a frame copied, handed over and its completion taken",
        Job::Receive => "a frame received and its slot lent again",
        Job::Forward => "a frame forwarded where it lies",
        Job::Copy => "a frame received, copied and sent",
    }
}

/// The most cycles that a packet should take.
fn most(job: Job, batch: usize) -> Option<f64> {
    match (job, batch) {
        (Job::Ring, 32) => Some(20.0),
        (Job::Forward, 32) => Some(60.0),
        (Job::Forward, 8) => Some(80.0),
        _ => None,
    }
}

/// Puts what was measured of each kind side by side.
pub(crate) fn records(
    kinds: &[(Job, usize)],
    cycles: &[f64],
    instructions: &[Option<f64>],
) -> Vec<Record> {
    let place = |job, batch| kinds.iter().position(|kind| *kind == (job, batch));
    let mut records = Vec::new();
    for (n, &(job, batch)) in kinds.iter().enumerate() {
        let peer = match job {
            Job::Virtio => continue,
            Job::Ring => place(Job::Virtio, batch),
            Job::Send | Job::Receive | Job::Forward | Job::Copy => None,
        };
        let what = format!("{}, 60 bytes, {batch} at a time", name(job));
        records.push(Record {
            what: what.clone(),
            unit: "cycles",
            ours: cycles[n],
            peer: peer.map(|p| cycles[p]),
            most: most(job, batch),
        });
        records.extend(instructions[n].map(|ours| Record {
            what,
            unit: "instructions",
            ours,
            peer: peer.and_then(|p| instructions[p]),
            most: None,
        }));
    }
    records
}
