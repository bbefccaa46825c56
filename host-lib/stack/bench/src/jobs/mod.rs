//! The pieces of work that are measured, each the same for every stack.

mod bulk;
mod handles;
mod idle;
mod round_trip;
mod short_lived;

use clap::ValueEnum;

use crate::host::{Buffers, Host};
use crate::{Error, Ours, Result, Theirs};

/// Which stack does the work, on both ends.
#[derive(Copy, Clone, PartialEq, Eq, Debug, ValueEnum)]
pub enum StackKind {
    /// ferrule-stack
    Ours,
    /// smoltcp
    Theirs,
}

/// The work.
#[derive(Copy, Clone, PartialEq, Eq, Debug, ValueEnum)]
pub enum JobKind {
    /// One direction of one connection, MSS 1460; an operation is a segment
    Bulk,
    /// The same with segments as large as an IPv4 packet allows
    BulkLarge,
    /// Bulk with calls that take and give handles, which only ours has
    BulkHandles,
    /// A byte there and a byte back; an operation is both
    RoundTrip,
    /// The same on one connection among others that are idle
    RoundTripHot,
    /// The same on a connection chosen anew each time
    RoundTripRandom,
    /// A poll that finds nothing to do, with data of every connection unacknowledged
    IdlePoll,
    /// Connect, and close from both ends, among other connections
    ShortLived,
}

/// What a job has done so far.
#[derive(Copy, Clone, Debug, Default)]
pub struct Counts {
    /// Frames of the direction that carries data.
    pub segments: u64,
    /// Frames of the other.
    pub acks: u64,
    /// Bytes of data that arrived.
    pub bytes: u64,
    /// How often the wire copied each byte.
    pub wire_copies: f64,
}

/// Work on two hosts that are set up for it.
pub trait Job {
    /// Does it `operations` times.
    fn run(&mut self, operations: u64) -> Result<()>;

    /// What was done so far.
    fn counts(&self) -> Counts;
}

const MTU: u16 = 1_500;
/// The largest packet of IPv4: MSS 65,495.
const LARGE_MTU: u16 = 65_535;
const BULK: Buffers = Buffers {
    send: 256 << 10,
    recv: 256 << 10,
};
const LARGE: Buffers = Buffers {
    send: 1 << 20,
    recv: 1 << 20,
};
/// So that smoltcp, which takes them at once, fits 10,000 connections into memory.
const SMALL: Buffers = Buffers {
    send: 4 << 10,
    recv: 4 << 10,
};

fn prepare_on<H: Host + 'static>(kind: JobKind, connections: usize) -> Result<Box<dyn Job>> {
    Ok(match kind {
        JobKind::Bulk => Box::new(bulk::Bulk::<H>::new(MTU, BULK)?),
        JobKind::BulkLarge => Box::new(bulk::Bulk::<H>::new(LARGE_MTU, LARGE)?),
        JobKind::BulkHandles => return Err(Error::Theirs("send by handle")),
        JobKind::RoundTrip => Box::new(round_trip::RoundTrip::<H>::new(MTU, BULK, 1, false)?),
        JobKind::RoundTripHot => Box::new(round_trip::RoundTrip::<H>::new(
            MTU,
            SMALL,
            connections,
            false,
        )?),
        JobKind::RoundTripRandom => Box::new(round_trip::RoundTrip::<H>::new(
            MTU,
            SMALL,
            connections,
            true,
        )?),
        JobKind::IdlePoll => Box::new(idle::IdlePoll::<H>::new(MTU, SMALL, connections)?),
        JobKind::ShortLived => {
            Box::new(short_lived::ShortLived::<H>::new(MTU, SMALL, connections)?)
        }
    })
}

/// Sets a job up; `connections` are those that are open all the time, at least one.
pub fn prepare(stack: StackKind, kind: JobKind, connections: usize) -> Result<Box<dyn Job>> {
    match stack {
        StackKind::Ours if kind == JobKind::BulkHandles => {
            Ok(Box::new(handles::Handles::new(MTU, BULK)?))
        }
        StackKind::Ours => prepare_on::<Ours>(kind, connections),
        StackKind::Theirs => prepare_on::<Theirs>(kind, connections),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Which stack is faster is not for a test; that both do the whole work is.
    #[test]
    fn every_stack_can_do_every_job() {
        for stack in [StackKind::Ours, StackKind::Theirs] {
            for kind in JobKind::value_variants() {
                if (stack, *kind) == (StackKind::Theirs, JobKind::BulkHandles) {
                    continue;
                }
                let mut job = prepare(stack, *kind, 5).expect("set up");
                job.run(200)
                    .unwrap_or_else(|e| panic!("{stack:?} {kind:?}: {e}"));
                let counts = job.counts();
                assert_eq!(counts.wire_copies, 1.0, "{stack:?} {kind:?}");
            }
        }
    }

    #[test]
    fn bulk_segments_are_full_and_every_second_one_is_acknowledged() {
        for stack in [StackKind::Ours, StackKind::Theirs] {
            let mut job = prepare(stack, JobKind::Bulk, 1).expect("set up");
            job.run(5_000).expect("transfer");
            let counts = job.counts();
            let mean = counts.bytes as f64 / counts.segments as f64;
            let ratio = counts.acks as f64 / counts.segments as f64;
            assert!(mean > 1_400.0, "{stack:?}: mean segment {mean}");
            assert!(
                (0.45..=0.55).contains(&ratio),
                "{stack:?}: {ratio} ACKs a segment"
            );
        }
    }
}
