//! A run of bytes made of several payload handles, as a datagram or segment is gathered from them.

use core::fmt;
use core::ops::Range;

use crate::payload::{Bytes, Payload};

/// One piece of a packet: our own memory or the device's.
#[derive(Debug)]
pub enum Chunk<B> {
    /// Bytes in ordinary memory.
    Memory(Bytes),
    /// Bytes in a buffer of the device's.
    Device(B),
}

impl<B: Payload> Payload for Chunk<B> {
    #[inline]
    fn len(&self) -> usize {
        match self {
            Chunk::Memory(b) => b.len(),
            Chunk::Device(b) => b.len(),
        }
    }

    #[inline]
    fn slice(&self, range: Range<usize>) -> Chunk<B> {
        match self {
            Chunk::Memory(b) => Chunk::Memory(b.slice(range)),
            Chunk::Device(b) => Chunk::Device(b.slice(range)),
        }
    }

    #[inline]
    fn copy_to(&self, to: &mut [u8]) {
        match self {
            Chunk::Memory(b) => b.copy_to(to),
            Chunk::Device(b) => b.copy_to(to),
        }
    }
}

/// Chunks in order, read as one run of bytes. The first needs no allocation: a segment is mostly one chunk, and small
/// ropes are cheap to move.
pub struct Rope<B> {
    first: Option<Chunk<B>>,
    more: Option<Box<More<B>>>,
    len: usize,
}

/// Chunks after the first that need one allocation together: what two segments leave unread comes in four.
const NEAR: usize = 3;

/// The chunks after the first.
struct More<B> {
    near: [Option<Chunk<B>>; NEAR],
    far: Vec<Chunk<B>>,
}

impl<B> More<B> {
    fn new() -> More<B> {
        More {
            near: [const { None }; NEAR],
            far: Vec::new(),
        }
    }

    fn push(&mut self, chunk: Chunk<B>) {
        match self.near.iter_mut().find(|c| c.is_none()) {
            Some(place) => *place = Some(chunk),
            None => self.far.push(chunk),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Chunk<B>> {
        self.near.iter().flatten().chain(&self.far)
    }

    fn into_iter(self) -> impl Iterator<Item = Chunk<B>> {
        self.near.into_iter().flatten().chain(self.far)
    }
}

impl<B> Default for Rope<B> {
    #[inline]
    fn default() -> Rope<B> {
        Rope {
            first: None,
            more: None,
            len: 0,
        }
    }
}

impl<B> fmt::Debug for Rope<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rope({})", self.len)
    }
}

impl<B: Payload> From<Chunk<B>> for Rope<B> {
    #[inline]
    fn from(chunk: Chunk<B>) -> Rope<B> {
        let len = chunk.len();
        Rope {
            first: (len > 0).then_some(chunk),
            more: None,
            len,
        }
    }
}

impl<B: Payload> Rope<B> {
    /// Appends a chunk; empty ones are left out.
    #[inline]
    pub fn push(&mut self, chunk: Chunk<B>) {
        if chunk.is_empty() {
            return;
        }
        self.len += chunk.len();
        if self.first.is_none() {
            self.first = Some(chunk);
            return;
        }
        let more = self.more.get_or_insert_with(|| Box::new(More::new()));
        more.push(chunk);
    }

    /// Makes `chunk`, which is not empty, the only one of a rope that has none.
    #[inline]
    pub(crate) fn set(&mut self, chunk: Chunk<B>) {
        self.len = chunk.len();
        self.first = Some(chunk);
    }

    /// Gives up all chunks.
    #[inline]
    pub fn clear(&mut self) {
        if self.len > 0 {
            *self = Rope::default();
        }
    }

    /// Total number of bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The chunks in order.
    pub fn chunks(&self) -> impl Iterator<Item = &Chunk<B>> {
        let more = self.more.iter().flat_map(|m| m.iter());
        self.first.iter().chain(more)
    }

    /// Gives up the chunks in order.
    pub fn into_chunks(self) -> impl Iterator<Item = Chunk<B>> {
        let more = self.more.into_iter().flat_map(|m| m.into_iter());
        self.first.into_iter().chain(more)
    }

    /// Gives up the chunks in order; for one less work than [`Rope::into_chunks`].
    #[inline]
    pub(crate) fn drain_into(self, mut f: impl FnMut(Chunk<B>)) {
        if let Some(chunk) = self.first {
            f(chunk);
        }
        if let Some(more) = self.more {
            more.into_iter().for_each(f);
        }
    }

    /// Appends all chunks of `other`.
    pub fn append(&mut self, other: Rope<B>) {
        for chunk in other.into_chunks() {
            self.push(chunk);
        }
    }

    /// A second set of handles to `range` of the bytes. Ranges beyond the end are cut to it.
    pub fn slice(&self, range: Range<usize>) -> Rope<B> {
        let mut out = Rope::default();
        let mut at = 0;
        for chunk in self.chunks() {
            let (from, to) = (range.start.max(at), range.end.min(at + chunk.len()));
            if from < to {
                out.push(chunk.slice(from - at..to - at));
            }
            at += chunk.len();
        }
        out
    }

    /// Copies bytes from the start into `to` and returns how many there were.
    #[inline]
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        match &self.first {
            Some(only) if only.len() == self.len && self.len <= to.len() => {
                only.copy_to(&mut to[..self.len]);
                self.len
            }
            Some(_) => self.copy_at(0, to),
            None => 0,
        }
    }

    /// Copies bytes from `offset` on into `to` and returns how many there were.
    pub fn copy_at(&self, offset: usize, to: &mut [u8]) -> usize {
        let (mut at, mut done) = (0, 0);
        for chunk in self.chunks() {
            if done == to.len() {
                break;
            }
            let skip = (offset + done).saturating_sub(at);
            if skip < chunk.len() {
                let n = (chunk.len() - skip).min(to.len() - done);
                chunk.slice(skip..skip + n).copy_to(&mut to[done..done + n]);
                done += n;
            }
            at += chunk.len();
        }
        done
    }

    /// Shows all bytes, piece by piece; device memory is shown as private copies.
    pub fn for_each_slice(&self, mut f: impl FnMut(&[u8])) {
        for chunk in self.chunks() {
            match chunk {
                Chunk::Memory(bytes) => f(bytes.as_slice()),
                Chunk::Device(handle) => {
                    let mut copy = [0u8; 2048];
                    let mut at = 0;
                    while at < handle.len() {
                        let n = (handle.len() - at).min(copy.len());
                        handle.slice(at..at + n).copy_to(&mut copy[..n]);
                        f(&copy[..n]);
                        at += n;
                    }
                }
            }
        }
    }

    /// The pieces, if all of them lie in ordinary memory.
    pub fn slices(&self) -> Option<impl Iterator<Item = &[u8]>> {
        let memory = |chunk: &Chunk<B>| matches!(chunk, Chunk::Memory(_));
        self.chunks().all(memory).then(|| {
            self.chunks().filter_map(|chunk| match chunk {
                Chunk::Memory(bytes) => Some(bytes.as_slice()),
                Chunk::Device(_) => None,
            })
        })
    }

    /// All bytes, copied.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len);
        self.for_each_slice(|bytes| out.extend_from_slice(bytes));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reads_as_the_concatenation_of_its_chunks(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
            a in 0usize..250, b in 0usize..250,
        ) {
            let flat: Vec<u8> = pieces.concat();
            let mut rope: Rope<Bytes> = Rope::default();
            for (i, p) in pieces.iter().enumerate() {
                let bytes = Bytes::from(&p[..]);
                rope.push(if i % 2 == 0 { Chunk::Memory(bytes) } else { Chunk::Device(bytes) });
            }
            prop_assert_eq!(rope.len(), flat.len());
            prop_assert_eq!(rope.to_vec(), flat.clone());
            let (from, to) = (a.min(flat.len()), b.min(flat.len()));
            let expected = if from < to { flat[from..to].to_vec() } else { Vec::new() };
            prop_assert_eq!(rope.slice(a..b).to_vec(), expected);
            let mut buf = [0u8; 64];
            let n = rope.copy_at(from, &mut buf);
            prop_assert_eq!(&buf[..n], &flat[from..(from + 64).min(flat.len())]);
            let n = rope.copy_to(&mut buf);
            prop_assert_eq!(&buf[..n], &flat[..flat.len().min(64)]);
        }
    }
}
