//! Bytes the program has sent and the peer has not yet acknowledged.

use std::collections::VecDeque;
use std::sync::Arc;

use super::few::Few;
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
///
/// Fields lie in this order, so that those of a few bytes lie together.
#[repr(C)]
pub(crate) struct SendBuffer<B> {
    /// Position of the first unacknowledged byte in the stream.
    base: u64,
    len: usize,
    capacity: usize,
    /// All bytes, if they are few and came at once.
    few: Few,
    pieces: VecDeque<Piece<B>>,
    /// The piece after the end of the last segment: the next one most likely begins there.
    recent: usize,
    /// The last bytes, still growing; they become a piece when a segment needs handles to them.
    tail: Vec<u8>,
    /// Memory of an acknowledged piece, for the next tail. Empty.
    spare: Vec<u8>,
}

impl<B: Payload> SendBuffer<B> {
    pub(crate) fn new(capacity: usize) -> SendBuffer<B> {
        SendBuffer {
            few: Few::default(),
            pieces: VecDeque::new(),
            recent: 0,
            tail: Vec::new(),
            spare: Vec::new(),
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
    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.free());
        let bytes = &bytes[..n];
        if self.len == 0 && n <= Few::MOST {
            self.few.set(bytes);
            self.len = n;
            return n;
        }
        if !self.few.is_empty() {
            self.join();
        }
        self.len += n;
        if n <= self.tail.capacity().min(PIECE_BYTES) - self.tail.len() {
            self.tail.extend_from_slice(bytes);
        } else {
            self.push_pieces(bytes);
        }
        n
    }

    /// Makes a few bytes part of the tail.
    #[inline(never)]
    fn join(&mut self) {
        let few = core::mem::take(&mut self.few);
        self.push_pieces(few.as_slice());
    }

    fn push_pieces(&mut self, mut rest: &[u8]) {
        while !rest.is_empty() {
            if self.tail.len() >= PIECE_BYTES {
                self.freeze(rest.len());
            }
            let (now, later) = rest.split_at(rest.len().min(PIECE_BYTES - self.tail.len()));
            if self.tail.capacity() == 0 {
                self.tail = core::mem::take(&mut self.spare);
            }
            if self.tail.capacity() == 0 {
                // A program that writes much will write more.
                let more = now.len() >= LONG_WRITE_BYTES;
                self.tail
                    .reserve_exact(if more { PIECE_BYTES } else { now.len() });
            }
            self.tail.extend_from_slice(now);
            rest = later;
        }
    }

    /// Appends a handle to as much as there is room for and returns how much that was.
    pub(crate) fn push_handle(&mut self, bytes: &Bytes) -> usize {
        let n = bytes.len().min(self.free());
        if n > 0 {
            self.join();
            self.freeze(0);
            let start = self.base + self.len as u64;
            self.len += n;
            self.pieces.push_back(Piece {
                start,
                chunk: Chunk::Memory(bytes.slice(0..n)),
            });
        }
        n
    }

    /// Makes the tail a piece; `pending` of the bytes that are counted come after it.
    fn freeze(&mut self, pending: usize) {
        if self.tail.is_empty() {
            return;
        }
        let mut tail = core::mem::take(&mut self.tail);
        if tail.capacity() > MOST_SLACK * tail.len() {
            // A peer that acknowledges nothing would have short writes hold many times their bytes.
            tail.shrink_to_fit();
        }
        let start = self.base + (self.len - pending - tail.len()) as u64;
        self.pieces.push_back(Piece {
            start,
            chunk: Chunk::Memory(Bytes::from(tail)),
        });
    }

    /// Copies out what lies from `offset` on.
    #[inline]
    pub(crate) fn copy_at(&mut self, offset: usize, to: &mut [u8]) {
        if !self.few.is_empty() {
            return self.few.copy_at(offset, to);
        }
        match offset.checked_sub(self.len - self.tail.len()) {
            Some(at) => to.copy_from_slice(&self.tail[at..at + to.len()]),
            None => {
                self.slice(offset, to.len()).copy_to(to);
            }
        }
    }

    /// Handles to `len` bytes from `offset` on.
    pub(crate) fn slice(&mut self, offset: usize, len: usize) -> Rope<B> {
        let mut rope = Rope::default();
        self.slice_to(offset, len, &mut rope);
        rope
    }

    /// The same as the chunks of `out`, which has none: a rope is written in small pieces, and moving it after that is dear.
    #[inline]
    pub(crate) fn slice_to(&mut self, offset: usize, len: usize, out: &mut Rope<B>) {
        if len == 0 {
            return;
        }
        if !self.few.is_empty() {
            self.join();
        }
        if offset + len > self.len - self.tail.len() {
            self.freeze(0);
        }
        let (from, upto) = (self.base + offset as u64, self.base + (offset + len) as u64);
        if let Some(recent) = self.pieces.get(self.recent) {
            let end = recent.start + recent.chunk.len() as u64;
            if recent.start <= from && upto <= end {
                let a = (from - recent.start) as usize;
                self.recent += usize::from(upto == end);
                return out.set(recent.chunk.slice(a..a + len));
            }
        }
        self.gather(from, upto, out);
    }

    /// Handles to what lies between two positions of the stream, wherever that is.
    fn gather(&mut self, from: u64, to: u64, out: &mut Rope<B>) {
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
    }

    /// Drops `n` acknowledged bytes from the front.
    #[inline]
    pub(crate) fn consume(&mut self, n: usize) {
        let n = n.min(self.len);
        if !self.few.is_empty() {
            self.few.drop_front(n);
            self.base += n as u64;
            self.len -= n;
            return;
        }
        if n < self.len {
            if n > self.len - self.tail.len() {
                self.freeze(0);
            }
            self.base += n as u64;
            self.len -= n;
            let first = self.pieces.front();
            if first.is_some_and(|p| p.start + p.chunk.len() as u64 <= self.base) {
                self.drop_pieces();
            }
        } else {
            self.base += n as u64;
            self.len = 0;
            self.tail.clear();
            if !self.pieces.is_empty() || self.tail.capacity() > KEPT_BYTES {
                self.drop_all();
            }
        }
    }

    fn drop_pieces(&mut self) {
        while let Some(front) = self.pieces.front() {
            if front.start + front.chunk.len() as u64 > self.base {
                break;
            }
            if let Some(piece) = self.pieces.pop_front() {
                self.recent = self.recent.saturating_sub(1);
                self.reclaim(piece.chunk);
            }
        }
    }

    /// An idle connection holds next to no memory for what it once sent.
    fn drop_all(&mut self) {
        self.drop_pieces();
        for memory in [&mut self.tail, &mut self.spare] {
            if memory.capacity() > KEPT_BYTES {
                *memory = Vec::new();
            }
        }
        if self.pieces.capacity() > KEPT_PIECES {
            self.pieces = VecDeque::new();
        }
    }

    /// Keeps the memory of a piece for the next one, unless a packet under way still needs it.
    fn reclaim(&mut self, chunk: Chunk<B>) {
        let Chunk::Memory(bytes) = chunk else {
            return;
        };
        if let Ok(mut memory) = Arc::try_unwrap(bytes.into_memory()) {
            if memory.capacity() <= PIECE_BYTES {
                memory.clear();
                self.spare = memory;
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.consume(self.len);
        self.tail = Vec::new();
        self.spare = Vec::new();
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
                        let short = n.min(40);
                        let mut copied = vec![0; short];
                        buffer.copy_at(at, &mut copied);
                        prop_assert_eq!(&copied[..], &expected[..short]);
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
