//! Bytes the program has sent and the peer has not yet acknowledged.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::payload::{Bytes, Payload};
use crate::rope::{Chunk, Rope};

/// Writes are gathered into pieces of at most this size.
const PIECE_BYTES: usize = 32 * 1024;
/// A write from which on room for a whole piece is made at once.
const LONG_WRITE_BYTES: usize = 1024;
/// A piece holds at most so many times its bytes.
const MOST_SLACK: usize = 4;
/// Memory that an empty queue keeps, so that a byte now and then needs no allocation.
const KEPT_BYTES: usize = 64;
const KEPT_PIECES: usize = 4;

struct Piece<B> {
    /// Position of its first byte in the stream.
    start: u64,
    chunk: Chunk<B>,
}

/// The send queue of one connection, addressed by offset from the first unacknowledged byte.
pub(crate) struct SendBuffer<B> {
    pieces: VecDeque<Piece<B>>,
    /// The piece after the end of the last segment: the next one most likely begins there.
    recent: usize,
    /// Bytes not sent yet, still growing; they become a piece when a segment needs them. Nobody else has a handle.
    tail: Option<Arc<Vec<u8>>>,
    /// Memory of an acknowledged piece, for the next tail. Empty, and nobody else has a handle.
    spare: Option<Arc<Vec<u8>>>,
    /// Position of the first unacknowledged byte in the stream.
    base: u64,
    len: usize,
    capacity: usize,
}

impl<B: Payload> SendBuffer<B> {
    pub(crate) fn new(capacity: usize) -> SendBuffer<B> {
        SendBuffer {
            pieces: VecDeque::new(),
            recent: 0,
            tail: None,
            spare: None,
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

    fn tail_len(&self) -> usize {
        self.tail.as_ref().map_or(0, |tail| tail.len())
    }

    /// Copies in as much as there is room for and returns how much that was.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.free());
        let mut rest = &bytes[..n];
        while !rest.is_empty() {
            if self.tail_len() >= PIECE_BYTES {
                self.freeze();
            }
            let spare = &mut self.spare;
            let tail = self
                .tail
                .get_or_insert_with(|| spare.take().unwrap_or_default());
            // Never a second handle: see the field.
            let Some(tail) = Arc::get_mut(tail) else {
                break;
            };
            let (now, later) = rest.split_at(rest.len().min(PIECE_BYTES - tail.len()));
            if tail.capacity() == 0 {
                // A program that writes much will write more.
                let more = now.len() >= LONG_WRITE_BYTES;
                tail.reserve_exact(if more { PIECE_BYTES } else { now.len() });
            }
            tail.extend_from_slice(now);
            self.len += now.len();
            rest = later;
        }
        n - rest.len()
    }

    /// Appends a handle to as much as there is room for and returns how much that was.
    pub(crate) fn push_handle(&mut self, bytes: &Bytes) -> usize {
        let n = bytes.len().min(self.free());
        if n > 0 {
            self.freeze();
            let start = self.base + self.len as u64;
            self.len += n;
            self.pieces.push_back(Piece {
                start,
                chunk: Chunk::Memory(bytes.slice(0..n)),
            });
        }
        n
    }

    fn freeze(&mut self) {
        let Some(mut tail) = self.tail.take() else {
            return;
        };
        if tail.capacity() > MOST_SLACK * tail.len() {
            // A peer that acknowledges nothing would have short writes hold many times their bytes.
            if let Some(bytes) = Arc::get_mut(&mut tail) {
                bytes.shrink_to_fit();
            }
        }
        let start = self.base + (self.len - tail.len()) as u64;
        self.pieces.push_back(Piece {
            start,
            chunk: Chunk::Memory(Bytes::shared(tail)),
        });
    }

    /// Handles to `len` bytes from `offset` on.
    pub(crate) fn slice(&mut self, offset: usize, len: usize) -> Rope<B> {
        if len == 0 {
            return Rope::default();
        }
        if offset + len > self.len - self.tail_len() {
            self.freeze();
        }
        let (from, to) = (self.base + offset as u64, self.base + (offset + len) as u64);
        if let Some(recent) = self.pieces.get(self.recent) {
            let end = recent.start + recent.chunk.len() as u64;
            if recent.start <= from && to <= end {
                let a = (from - recent.start) as usize;
                self.recent += usize::from(to == end);
                return Rope::from(recent.chunk.slice(a..a + len));
            }
        }
        self.gather(from, to)
    }

    /// Handles to what lies between two positions of the stream, wherever that is.
    fn gather(&mut self, from: u64, to: u64) -> Rope<B> {
        let mut out = Rope::default();
        let end = |p: &Piece<B>| p.start + p.chunk.len() as u64;
        let mut at = self.pieces.partition_point(|p| end(p) <= from);
        while let Some(piece) = self.pieces.get(at).filter(|p| p.start < to) {
            let a = from.saturating_sub(piece.start) as usize;
            let b = (to - piece.start) as usize;
            out.push(piece.chunk.slice(a..b));
            if end(piece) > to {
                break;
            }
            at += 1;
        }
        self.recent = at;
        out
    }

    /// Drops `n` acknowledged bytes from the front.
    pub(crate) fn consume(&mut self, n: usize) {
        let n = n.min(self.len);
        if n > self.len - self.tail_len() {
            self.freeze();
        }
        self.base += n as u64;
        self.len -= n;
        while let Some(front) = self.pieces.front() {
            if front.start + front.chunk.len() as u64 > self.base {
                break;
            }
            if let Some(piece) = self.pieces.pop_front() {
                self.recent = self.recent.saturating_sub(1);
                self.reclaim(piece.chunk);
            }
        }
        if self.len == 0 {
            // An idle connection holds next to no memory for what it once sent.
            self.spare = self.spare.take().filter(|s| s.capacity() <= KEPT_BYTES);
            if self.pieces.capacity() > KEPT_PIECES {
                self.pieces = VecDeque::new();
            }
        }
    }

    /// Keeps the memory of a piece for the next one, unless a packet under way still needs it.
    fn reclaim(&mut self, chunk: Chunk<B>) {
        let Chunk::Memory(bytes) = chunk else {
            return;
        };
        let mut memory = bytes.into_memory();
        if let Some(bytes) = Arc::get_mut(&mut memory) {
            if bytes.capacity() <= PIECE_BYTES {
                bytes.clear();
                self.spare = Some(memory);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.consume(self.len);
        self.spare = None;
        self.pieces = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push(Vec<u8>),
        Handle(Vec<u8>),
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
            (any::<u8>(), 0usize..40_000).prop_map(|(b, n)| Step::Handle(pattern(b, n))),
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
                    Step::Handle(bytes) => {
                        let n = buffer.push_handle(&Bytes::from(&bytes[..]));
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
