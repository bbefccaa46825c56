//! Data one way by handle: neither end's program copies a byte. smoltcp has no such calls.

use ferrule_stack::{Bytes, Error as StackError, Instant, Payload};

use super::{Counts, Job};
use crate::host::Buffers;
use crate::ours::Ours;
use crate::pair::{Ends, Pair};
use crate::{Error, Result};

/// Bytes of the memory that is sent again and again.
const CALL_BYTES: usize = 64 << 10;
/// As with calls that copy.
const RECEIVE_FRAMES: usize = 2;
const TURN_NS: u64 = 10_000;

pub(super) struct Handles {
    pair: Pair<Ours>,
    ends: Ends<Ours>,
    data: Bytes,
    counts: Counts,
}

impl Handles {
    pub(super) fn new(mtu: u16, buffers: Buffers) -> Result<Handles> {
        let mut pair = Pair::new(mtu, buffers)?;
        let ends = pair.open(0)?;
        let data: Vec<u8> = (0..CALL_BYTES).map(|i| i as u8).collect();
        Ok(Handles {
            pair,
            ends,
            data: Bytes::from(data),
            counts: Counts::default(),
        })
    }

    fn fill(&mut self) -> Result<()> {
        let (now, stack) = (Instant::from_nanos(self.pair.now), &mut self.pair.a.stack);
        loop {
            match stack.tcp_send_bytes(now, self.ends.0, &self.data) {
                Ok(n) if n == self.data.len() => {}
                Ok(_) | Err(StackError::WouldBlock) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn read(&mut self) -> Result<usize> {
        let (now, stack) = (Instant::from_nanos(self.pair.now), &mut self.pair.b.stack);
        match stack.tcp_recv_chunks(now, self.ends.1) {
            Ok(rope) => Ok(rope.len()),
            Err(StackError::WouldBlock) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

impl Job for Handles {
    fn run(&mut self, operations: u64) -> Result<()> {
        let (sent, acked) = (self.pair.ab.frames(), self.pair.ba.frames());
        while self.pair.ab.frames() - sent < operations {
            self.fill()?;
            self.pair.poll_a();
            let mut got = 0;
            while !self.pair.ab.is_empty() {
                self.pair.poll_b(RECEIVE_FRAMES);
                got += self.read()?;
            }
            self.pair.now += TURN_NS;
            if got == 0 {
                self.pair.wait().ok_or(Error::Stuck("bulk by handle"))?;
            }
            self.counts.bytes += got as u64;
        }
        self.counts.segments += self.pair.ab.frames() - sent;
        self.counts.acks += self.pair.ba.frames() - acked;
        Ok(())
    }

    fn counts(&self) -> Counts {
        Counts {
            wire_copies: self.pair.ab.copies(),
            ..self.counts
        }
    }
}
