//! What a packet costs the driver, with a device in plain Rust on the same thread: only the driver's calls are timed, by the processor's
//! time stamp counter, in batches; beside it virtio-drivers' VirtQueue with a device of the same kind.
#![deny(unsafe_code)]

mod callgrind;
mod device;
mod jobs;
mod meter;
mod ours;
pub mod queue;
mod record;
#[allow(unsafe_code)]
mod virtio;

use std::io;
use std::path::Path;

use ferrule_driver::NicError;

pub use callgrind::child;
pub use jobs::Job;
use jobs::{prepare, BATCHES};
pub use meter::Meter;
pub use record::Record;

/// Bytes of the frames.
const FRAME: usize = 60;
/// Packets before the timing, and in each of the rounds, of which the fastest counts: the others were disturbed.
const WARM_UP: usize = 20_000;
const PACKETS: usize = 6_400;
const ROUNDS: usize = 400;

/// What keeps a benchmark from its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The driver failed.
    #[error(transparent)]
    Nic(#[from] NicError),
    /// The peer failed.
    #[error("virtio-drivers: {0}")]
    Virtio(#[from] virtio_drivers::Error),
    /// Packets were lost.
    #[error("of a batch {received} were received and {taken} taken for sending")]
    Lost {
        /// Received.
        received: usize,
        /// Taken for sending.
        taken: usize,
    },
    /// Callgrind.
    #[error("valgrind: {0}")]
    Callgrind(#[from] io::Error),
}

/// What is measured.
trait Work {
    /// Does a batch and has the driver's part of it timed.
    fn batch(&mut self, meter: &mut Meter) -> Result<(), Error>;
    /// Packets of a batch.
    fn packets(&self) -> usize;
}

/// Cycles of a packet, less those of the measuring itself, of each of `works` in turn.
fn cycles(works: &mut [Box<dyn Work>]) -> Result<Vec<f64>, Error> {
    let mut meter = Meter::default();
    for work in works.iter_mut() {
        for _ in 0..WARM_UP / work.packets() {
            work.batch(&mut meter)?;
        }
    }
    let mut best = vec![(f64::INFINITY, f64::INFINITY); works.len()];
    for _ in 0..ROUNDS {
        for (work, (whole, empty)) in works.iter_mut().zip(&mut best) {
            meter.take();
            for _ in 0..PACKETS / work.packets() {
                work.batch(&mut meter)?;
            }
            let (cycles, calls) = meter.take();
            *whole = whole.min(cycles as f64);
            for _ in 0..calls {
                meter.time(|| ());
            }
            *empty = empty.min(meter.take().0 as f64);
        }
    }
    let own = |(whole, empty): (f64, f64)| (whole - empty).max(0.0) / PACKETS as f64;
    Ok(best.into_iter().map(own).collect())
}

/// Measures all; `program` is the one whose `run` command is [`child`].
///
/// # Errors
/// When a driver fails or Callgrind does.
pub fn measure(program: &Path) -> Result<Vec<Record>, Error> {
    let kinds = Job::ALL
        .into_iter()
        .flat_map(|job| BATCHES.map(|batch| (job, batch)));
    let kinds: Vec<_> = kinds.collect();
    let mut works = Vec::new();
    for &(job, batch) in &kinds {
        works.push(prepare(job, batch)?);
    }
    let cycles = cycles(&mut works)?;
    let mut instructions = Vec::new();
    for &(job, batch) in &kinds {
        instructions.push(callgrind::instructions(program, job, batch)?);
    }
    Ok(record::records(&kinds, &cycles, &instructions))
}
