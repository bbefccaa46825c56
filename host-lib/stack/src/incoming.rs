//! A received payload: bytes of the private header copy, then the handles to the rest.

use crate::payload::Payload;
use crate::rope::{Chunk, Rope};

/// Bodies shorter than this are copied, so that a few bytes never hold a whole device buffer.
const COPY_BELOW_BYTES: usize = 512;

/// A payload on its way in.
pub(crate) struct Incoming<'a, B> {
    pub(crate) head: &'a [u8],
    pub(crate) body: Rope<B>,
}

impl<'a, B: Payload> Incoming<'a, B> {
    pub(crate) fn new(head: &'a [u8], body: Rope<B>) -> Incoming<'a, B> {
        Incoming { head, body }
    }

    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Cuts `n` bytes off the front.
    pub(crate) fn trim_front(&mut self, n: usize) {
        let from_head = n.min(self.head.len());
        self.head = &self.head[from_head..];
        if n > from_head {
            self.body = self.body.slice(n - from_head..self.body.len());
        }
    }

    /// Cuts everything after the first `n` bytes.
    pub(crate) fn truncate(&mut self, n: usize) {
        if n < self.head.len() {
            self.head = &self.head[..n];
            self.body = Rope::default();
        } else if n < self.len() {
            self.body = self.body.slice(0..n - self.head.len());
        }
    }

    /// A part of it, kept as a rope of its own.
    pub(crate) fn slice(&self, from: usize, to: usize) -> Rope<B> {
        let mut part = Incoming {
            head: self.head,
            body: self.body.slice(0..self.body.len()),
        };
        part.truncate(to);
        part.trim_front(from);
        part.into_rope()
    }

    /// Keeps it: the head copied, small device pieces too.
    pub(crate) fn into_rope(self) -> Rope<B> {
        let mut rope = Rope::default();
        if self.body.len() < COPY_BELOW_BYTES {
            let mut all = Vec::with_capacity(self.len());
            all.extend_from_slice(self.head);
            self.body
                .for_each_slice(|bytes| all.extend_from_slice(bytes));
            rope.push(Chunk::Memory(all.into()));
        } else {
            rope.push(Chunk::Memory(self.head.into()));
            rope.append(self.body);
        }
        rope
    }

    /// Feeds the bytes to a checksum.
    pub(crate) fn sum(&self, sum: &mut crate::checksum::Checksum) {
        sum.add(self.head);
        sum.add_rope(&self.body);
    }
}
