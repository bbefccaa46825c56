//! Polls of a host with nothing to do: each connection waits for an ACK, so that each has a timer running.

use super::{Counts, Job};
use crate::host::{Buffers, Host};
use crate::pair::Pair;
use crate::{Error, Result};

/// Virtual time from one poll to the next: all of them together take less than any timer.
const TURN_NS: u64 = 1;

pub(super) struct IdlePoll<H: Host> {
    pair: Pair<H>,
}

impl<H: Host> IdlePoll<H> {
    pub(super) fn new(mtu: u16, buffers: Buffers, connections: usize) -> Result<IdlePoll<H>> {
        let mut pair = Pair::<H>::new(mtu, buffers)?;
        for (_, server) in pair.open_many(0, connections)? {
            pair.b.send(pair.now, server, &[0])?;
            pair.poll_b(0);
            // Lost.
            while pair.ba.take().is_some() {}
        }
        Ok(IdlePoll { pair })
    }
}

impl<H: Host> Job for IdlePoll<H> {
    fn run(&mut self, operations: u64) -> Result<()> {
        let pair = &mut self.pair;
        for _ in 0..operations {
            pair.now += TURN_NS;
            pair.poll_b(usize::MAX);
            if pair
                .b
                .next_deadline(pair.now)
                .is_none_or(|at| at <= pair.now)
            {
                return Err(Error::Stuck("an idle host is not idle"));
            }
        }
        if !pair.ba.is_empty() {
            return Err(Error::Stuck("an idle host has sent something"));
        }
        Ok(())
    }

    fn counts(&self) -> Counts {
        Counts {
            wire_copies: self.pair.ab.copies(),
            ..Counts::default()
        }
    }
}
