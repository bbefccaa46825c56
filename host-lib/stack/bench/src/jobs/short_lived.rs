//! Connections that are opened and closed, the client first, so that it is the one in TIME-WAIT.

use super::{Counts, Job};
use crate::host::{Buffers, Host};
use crate::pair::Pair;
use crate::Result;

/// Numbers of short-lived connections: the ports of one come again only after this many.
const CYCLE: usize = 50_000;

pub(super) struct ShortLived<H: Host> {
    pair: Pair<H>,
    established: usize,
    opened: usize,
}

impl<H: Host> ShortLived<H> {
    pub(super) fn new(mtu: u16, buffers: Buffers, established: usize) -> Result<ShortLived<H>> {
        let mut pair = Pair::new(mtu, buffers)?;
        pair.open_many(0, established)?;
        Ok(ShortLived {
            pair,
            established,
            opened: 0,
        })
    }
}

impl<H: Host> Job for ShortLived<H> {
    fn run(&mut self, operations: u64) -> Result<()> {
        let pair = &mut self.pair;
        for _ in 0..operations {
            let (client, server) = pair.open(self.established + self.opened % CYCLE)?;
            self.opened += 1;
            pair.a.close(pair.now, client)?;
            pair.settle()?;
            pair.b.close(pair.now, server)?;
            pair.settle()?;
            pair.now += H::BETWEEN_CONNECTIONS_NS;
            pair.poll_a();
            pair.a.ended(client);
            pair.b.ended(server);
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
