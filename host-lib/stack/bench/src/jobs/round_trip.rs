//! One byte there and one back.

use super::{Counts, Job};
use crate::host::{Buffers, Host};
use crate::pair::{Ends, Pair};
use crate::{Error, Result};

/// Virtual time of one round trip: about as long as it takes.
const TURN_NS: u64 = 1_000;

pub(super) struct RoundTrip<H: Host> {
    pair: Pair<H>,
    ends: Vec<Ends<H>>,
    /// Choose another connection each time; otherwise always the one in the middle.
    random: bool,
    seed: u64,
    counts: Counts,
}

impl<H: Host> RoundTrip<H> {
    pub(super) fn new(
        mtu: u16,
        buffers: Buffers,
        connections: usize,
        random: bool,
    ) -> Result<RoundTrip<H>> {
        let mut pair = Pair::new(mtu, buffers)?;
        let ends = pair.open_many(0, connections)?;
        Ok(RoundTrip {
            pair,
            ends,
            random,
            seed: 1,
            counts: Counts::default(),
        })
    }

    fn choose(&mut self) -> Ends<H> {
        let n = self.ends.len();
        if !self.random {
            return self.ends[n / 2];
        }
        // xorshift64 (Marsaglia 2003).
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.ends[((self.seed >> 32) as usize * n) >> 32]
    }
}

impl<H: Host> Job for RoundTrip<H> {
    fn run(&mut self, operations: u64) -> Result<()> {
        let (sent, back) = (self.pair.ab.frames(), self.pair.ba.frames());
        let mut byte = [0];
        for i in 0..operations {
            let (client, server) = self.choose();
            let pair = &mut self.pair;
            pair.a.send(pair.now, client, &[i as u8])?;
            pair.poll_a();
            pair.poll_b(usize::MAX);
            if pair.b.recv(pair.now, server, &mut byte)? != 1 {
                return Err(Error::Stuck("no byte there"));
            }
            pair.b.send(pair.now, server, &byte)?;
            pair.poll_b(usize::MAX);
            pair.poll_a();
            byte = [0];
            if pair.a.recv(pair.now, client, &mut byte)? != 1 || byte != [i as u8] {
                return Err(Error::Stuck("no byte back"));
            }
            pair.now += TURN_NS;
        }
        self.counts.segments += self.pair.ab.frames() - sent;
        self.counts.acks += self.pair.ba.frames() - back;
        self.counts.bytes += 2 * operations;
        Ok(())
    }

    fn counts(&self) -> Counts {
        Counts {
            wire_copies: self.pair.ab.copies(),
            ..self.counts
        }
    }
}
