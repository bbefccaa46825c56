//! Bytes the program has sent and the peer has not yet acknowledged.

use std::collections::VecDeque;

use crate::payload::{Bytes, Payload};
use crate::rope::{Chunk, Rope};

/// Writes are gathered into pieces of at most this size.
const PIECE_BYTES: usize = 16 * 1024;

struct Piece<B> {
    /// Position of its first byte in the stream.
    start: u64,
    chunk: Chunk<B>,
}

/// The send queue of one connection, addressed by offset from the first unacknowledged byte.
pub(crate) struct SendBuffer<B> {
    pieces: VecDeque<Piece<B>>,
    /// Bytes not sent yet, still growing; they become a piece when a segment needs them.
    tail: Vec<u8>,
    /// Position of the first unacknowledged byte in the stream.
    base: u64,
    len: usize,
    capacity: usize,
}

impl<B: Payload> SendBuffer<B> {
    pub(crate) fn new(capacity: usize) -> SendBuffer<B> {
        SendBuffer {
            pieces: VecDeque::new(),
            tail: Vec::new(),
            base: 0,
            len: 0,
            capacity,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn free(&self) -> usize {
        self.capacity.saturating_sub(self.len)
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// Copies in as much as there is room for and returns how much that was.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.free());
        let mut rest = &bytes[..n];
        while !rest.is_empty() {
            if self.tail.len() >= PIECE_BYTES {
                self.freeze();
            }
            let (now, later) = rest.split_at(rest.len().min(PIECE_BYTES - self.tail.len()));
            self.tail.extend_from_slice(now);
            self.len += now.len();
            rest = later;
        }
        n
    }

    fn freeze(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        let start = self.base + (self.len - self.tail.len()) as u64;
        let data = core::mem::take(&mut self.tail);
        self.pieces.push_back(Piece {
            start,
            chunk: Chunk::Memory(Bytes::from(data)),
        });
    }

    /// Handles to `len` bytes from `offset` on.
    pub(crate) fn slice(&mut self, offset: usize, len: usize) -> Rope<B> {
        let mut out = Rope::default();
        if offset + len > self.len - self.tail.len() {
            self.freeze();
        }
        let (from, to) = (self.base + offset as u64, self.base + (offset + len) as u64);
        let first = self
            .pieces
            .partition_point(|p| p.start + p.chunk.len() as u64 <= from);
        for piece in self.pieces.iter().skip(first) {
            if piece.start >= to {
                break;
            }
            let a = from.saturating_sub(piece.start) as usize;
            let b = (to - piece.start) as usize;
            out.push(piece.chunk.slice(a..b));
        }
        out
    }

    /// Drops `n` acknowledged bytes from the front.
    pub(crate) fn consume(&mut self, n: usize) {
        let n = n.min(self.len);
        if n > self.len - self.tail.len() {
            self.freeze();
        }
        self.base += n as u64;
        self.len -= n;
        while let Some(front) = self.pieces.front() {
            if front.start + front.chunk.len() as u64 > self.base {
                break;
            }
            self.pieces.pop_front();
        }
        if self.len == 0 {
            // An idle connection holds no memory for what it once sent.
            self.pieces = VecDeque::new();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.consume(self.len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push(Vec<u8>),
        Slice(usize, usize),
        Consume(usize),
    }

    fn pattern(b: u8, n: usize) -> Vec<u8> {
        (0..n)
            .map(|i| b.wrapping_add((i * 7 + i / 256) as u8))
            .collect()
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (any::<u8>(), 0usize..300).prop_map(|(b, n)| Step::Push(pattern(b, n))),
            (any::<u8>(), 10_000usize..40_000).prop_map(|(b, n)| Step::Push(pattern(b, n))),
            (0usize..60_000, 0usize..3000).prop_map(|(a, n)| Step::Slice(a, n)),
            (0usize..9000).prop_map(Step::Consume),
        ]
    }

    proptest! {
        #[test]
        fn behaves_as_a_plain_queue_of_bytes(steps in proptest::collection::vec(step(), 0..60)) {
            let mut model: VecDeque<u8> = VecDeque::new();
            let mut buffer: SendBuffer<Bytes> = SendBuffer::new(50_000);
            for step in steps {
                match step {
                    Step::Push(bytes) => {
                        let n = buffer.push(&bytes);
                        prop_assert_eq!(n, bytes.len().min(50_000 - model.len()));
                        model.extend(&bytes[..n]);
                    }
                    Step::Slice(at, n) => {
                        let at = at.min(model.len());
                        let n = n.min(model.len() - at);
                        let expected: Vec<u8> = model.iter().skip(at).take(n).copied().collect();
                        prop_assert_eq!(buffer.slice(at, n).to_vec(), expected);
                    }
                    Step::Consume(n) => {
                        buffer.consume(n);
                        model.drain(..n.min(model.len()));
                    }
                }
                prop_assert_eq!(buffer.len(), model.len());
            }
        }
    }
}
