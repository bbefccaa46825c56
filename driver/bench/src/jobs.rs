//! What is done with packets, and how many at a time.
use clap::ValueEnum;

use crate::ours::Ours;
use crate::virtio::Peer;
use crate::{Error, Work};

/// Sizes of batches.
pub(crate) const BATCHES: [usize; 2] = [32, 8];

/// What is done with packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Job {
    /// Our driver: a frame is handed over where it lies, and its completion is taken
    Ring,
    /// virtio-drivers: a frame is handed over where it lies, and its completion is taken
    Virtio,
    /// Our driver: a frame is copied to DMA memory and handed over, and its completion is taken
    Send,
    /// Our driver: a frame is taken from its slot, copied to private memory, and the slot is lent again
    Receive,
    /// Our driver: what comes in gets other addresses and goes out again, from where it lies
    Forward,
    /// Our driver: what comes in is copied to private memory, and from there to be sent
    Copy,
}

impl Job {
    pub(crate) const ALL: [Self; 6] = [
        Self::Ring,
        Self::Virtio,
        Self::Send,
        Self::Receive,
        Self::Forward,
        Self::Copy,
    ];
}

fn boxed<const SIZE: usize>(job: Job) -> Result<Box<dyn Work>, Error> {
    Ok(match job {
        Job::Virtio => Box::new(Peer::<SIZE>::new()?),
        job => Box::new(Ours::<SIZE>::new(job)?),
    })
}

/// A job in batches of 8, or else of 32.
pub(crate) fn prepare(job: Job, batch: usize) -> Result<Box<dyn Work>, Error> {
    match batch {
        8 => boxed::<8>(job),
        _ => boxed::<32>(job),
    }
}
