//! Data one way as fast as it goes, with calls that copy.

use super::{Counts, Job};
use crate::host::{Buffers, Host};
use crate::pair::{Ends, Pair};
use crate::{Error, Result};

/// Bytes the program writes and reads at once.
const CALL_BYTES: usize = 64 << 10;
/// Frames the receiver takes before its program reads: as many as an ACK is for, since smoltcp answers a batch with one.
const RECEIVE_FRAMES: usize = 2;
/// Virtual time of one turn of both.
const TURN_NS: u64 = 10_000;

pub(super) struct Bulk<H: Host> {
    pair: Pair<H>,
    ends: Ends<H>,
    data: Vec<u8>,
    buffer: Vec<u8>,
    counts: Counts,
}

impl<H: Host> Bulk<H> {
    pub(super) fn new(mtu: u16, buffers: Buffers) -> Result<Bulk<H>> {
        let mut pair = Pair::new(mtu, buffers)?;
        let ends = pair.open(0)?;
        Ok(Bulk {
            pair,
            ends,
            data: (0..CALL_BYTES).map(|i| i as u8).collect(),
            buffer: vec![0; CALL_BYTES],
            counts: Counts::default(),
        })
    }
}

impl<H: Host> Job for Bulk<H> {
    fn run(&mut self, operations: u64) -> Result<()> {
        let pair = &mut self.pair;
        let (sent, acked) = (pair.ab.frames(), pair.ba.frames());
        while pair.ab.frames() - sent < operations {
            while pair.a.send(pair.now, self.ends.0, &self.data)? == self.data.len() {}
            pair.poll_a();
            let mut got = 0;
            while !pair.ab.is_empty() {
                pair.poll_b(RECEIVE_FRAMES);
                loop {
                    let n = pair.b.recv(pair.now, self.ends.1, &mut self.buffer)?;
                    got += n;
                    if n < self.buffer.len() {
                        break;
                    }
                }
            }
            pair.now += TURN_NS;
            if got == 0 {
                pair.wait().ok_or(Error::Stuck("bulk"))?;
            }
            self.counts.bytes += got as u64;
        }
        self.counts.segments += pair.ab.frames() - sent;
        self.counts.acks += pair.ba.frames() - acked;
        Ok(())
    }

    fn counts(&self) -> Counts {
        Counts {
            wire_copies: self.pair.ab.copies(),
            ..self.counts
        }
    }
}
