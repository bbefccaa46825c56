//! Bytes received in order and not yet read by the program.

use std::collections::VecDeque;
use std::sync::Arc;

use super::few::Few;
use crate::payload::{Bytes, Payload};
use crate::rope::{Chunk, Rope};

/// Device pieces shorter than this are copied, so that a few bytes never hold a whole device buffer.
const COPY_BELOW_BYTES: usize = 512;
/// Bytes already read that may lie before the others before these are moved to the front.
const SLACK_BYTES: usize = 4096;
/// A run of copied bytes from which on room for others is made at once.
const LONG_BYTES: usize = 64;
/// Memory that an empty queue keeps, so that a byte now and then needs no allocation.
const KEPT_BYTES: usize = 192;
const KEPT_HANDLES: usize = 4;
/// Memory lent to a reader by handle that is kept for the next time, at most.
const LENT_BYTES: usize = 1024;

/// A handle, after `copied` bytes of the copied ones.
struct Held<B> {
    copied: usize,
    chunk: Chunk<B>,
}

/// The receive queue of one connection.
///
/// What was copied lies in one run, however it came; the handles tell how much of it comes before each of them, and the
/// rest of it comes after the last. A few bytes that came while there was nothing lie in place; what comes after them moves them
/// to the others.
///
/// Fields lie in this order, so that those of a few bytes lie together.
#[repr(C)]
pub(crate) struct RecvBuffer<B> {
    few: Few,
    len: usize,
    capacity: usize,
    copied: Vec<u8>,
    /// Bytes of `copied` that have been read.
    read: usize,
    /// Bytes of `copied` after the last handle.
    after: usize,
    /// Memory of what was taken by handle last, to be used again when nobody reads it any more.
    lent: Option<Arc<Vec<u8>>>,
    handles: VecDeque<Held<B>>,
}

impl<B: Payload> RecvBuffer<B> {
    pub(crate) fn new(capacity: usize) -> RecvBuffer<B> {
        RecvBuffer {
            few: Few::default(),
            copied: Vec::new(),
            read: 0,
            after: 0,
            lent: None,
            handles: VecDeque::new(),
            len: 0,
            capacity,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    pub(crate) fn free(&self) -> usize {
        self.capacity.saturating_sub(self.len)
    }

    /// Appends bytes by copying them.
    #[inline]
    pub(crate) fn push_copy(&mut self, bytes: &[u8]) {
        if self.len == 0 && bytes.len() <= Few::MOST {
            self.few.set(bytes);
            self.len = bytes.len();
            return;
        }
        if !self.few.is_empty() {
            self.join();
        }
        if self.copied.capacity() == 0 && bytes.len() >= LONG_BYTES {
            // The first bytes of a packet, and more such packets follow.
            self.copied.reserve_exact(KEPT_BYTES);
        }
        self.copied.extend_from_slice(bytes);
        self.after += bytes.len();
        self.len += bytes.len();
    }

    /// Makes a few bytes part of those that were copied.
    #[inline(never)]
    fn join(&mut self) {
        let few = core::mem::take(&mut self.few);
        self.copied.extend_from_slice(few.as_slice());
        self.after += few.as_slice().len();
    }

    /// Appends handles; short ones are copied.
    #[inline]
    pub(crate) fn push_rope(&mut self, rope: Rope<B>) {
        rope.drain_into(|chunk| self.push_chunk(chunk));
    }

    /// Appends a handle, or copies what it stands for if that is short.
    #[inline]
    pub(crate) fn push_chunk(&mut self, chunk: Chunk<B>) {
        let n = chunk.len();
        if !self.few.is_empty() {
            self.join();
        }
        self.len += n;
        if n < COPY_BELOW_BYTES {
            let start = self.copied.len();
            self.copied.resize(start + n, 0);
            chunk.copy_to(&mut self.copied[start..]);
            self.after += n;
        } else {
            let copied = core::mem::take(&mut self.after);
            self.handles.push_back(Held { copied, chunk });
        }
    }

    /// Copies from the front without taking.
    pub(crate) fn peek(&self, to: &mut [u8]) -> usize {
        if !self.few.is_empty() {
            let few = self.few.as_slice();
            let n = few.len().min(to.len());
            to[..n].copy_from_slice(&few[..n]);
            return n;
        }
        let (mut done, mut at) = (0, self.read);
        for held in &self.handles {
            let n = held.copied.min(to.len() - done);
            to[done..done + n].copy_from_slice(&self.copied[at..at + n]);
            (done, at) = (done + n, at + n);
            let n = held.chunk.len().min(to.len() - done);
            held.chunk.copy_to(&mut to[done..done + n]);
            done += n;
            if done == to.len() {
                return done;
            }
        }
        let n = self.after.min(to.len() - done);
        to[done..done + n].copy_from_slice(&self.copied[at..at + n]);
        done + n
    }

    /// Takes bytes from the front.
    pub(crate) fn read(&mut self, to: &mut [u8]) -> usize {
        if !self.few.is_empty() {
            let n = self.len.min(to.len());
            self.few.copy_at(0, &mut to[..n]);
            self.few.drop_front(n);
            self.len -= n;
            return n;
        }
        let wanted = to.len();
        let mut rest = to;
        while let Some(held) = self.handles.front_mut() {
            let n = held.copied.min(rest.len());
            let (now, later) = rest.split_at_mut(n);
            now.copy_from_slice(&self.copied[self.read..self.read + n]);
            self.read += n;
            held.copied -= n;
            let whole = held.chunk.len();
            let n = whole.min(later.len());
            let (now, later) = later.split_at_mut(n);
            rest = later;
            held.chunk.copy_to(now);
            if n < whole {
                held.chunk = held.chunk.slice(n..whole);
                break;
            }
            self.handles.pop_front();
        }
        if self.handles.is_empty() && self.after > 0 {
            let n = self.after.min(rest.len());
            let (now, later) = rest.split_at_mut(n);
            rest = later;
            now.copy_from_slice(&self.copied[self.read..self.read + n]);
            self.read += n;
            self.after -= n;
        }
        let done = wanted - rest.len();
        self.len -= done;
        self.tidy();
        done
    }

    /// Takes everything as handles; what was copied comes in one run of its own between them.
    pub(crate) fn take(&mut self) -> Rope<B> {
        self.join();
        let mut rope = Rope::default();
        let copied = self.lend();
        let mut at = self.read;
        let mut push_run = |rope: &mut Rope<B>, n: usize| {
            at += n;
            if n > 0 {
                rope.push(Chunk::Memory(copied.slice(at - n..at)));
            }
        };
        while let Some(held) = self.handles.pop_front() {
            push_run(&mut rope, held.copied);
            rope.push(held.chunk);
        }
        push_run(&mut rope, self.after);
        self.read = 0;
        self.after = 0;
        self.len = 0;
        self.tidy_handles();
        rope
    }

    /// All of the copied bytes, in memory that is shared with the reader.
    fn lend(&mut self) -> Bytes {
        if let Some(memory) = self.lent.as_mut().and_then(Arc::get_mut) {
            memory.clear();
            core::mem::swap(memory, &mut self.copied);
        } else {
            self.lent = Some(Arc::new(core::mem::take(&mut self.copied)));
        }
        let kept = |memory: &Arc<Vec<u8>>| memory.capacity() <= LENT_BYTES;
        let lent = match &self.lent {
            Some(memory) if kept(memory) => Some(Arc::clone(memory)),
            _ => self.lent.take(),
        };
        lent.map_or_else(Bytes::default, Bytes::shared)
    }

    fn tidy(&mut self) {
        if self.read == self.copied.len() {
            self.read = 0;
            self.copied.clear();
            if self.copied.capacity() > KEPT_BYTES {
                self.copied = Vec::new();
            }
        } else if self.read >= SLACK_BYTES && self.read >= self.copied.len() / 2 {
            self.copied.drain(..self.read);
            self.read = 0;
        }
        self.tidy_handles();
    }

    fn tidy_handles(&mut self) {
        if self.handles.is_empty() && self.handles.capacity() > KEPT_HANDLES {
            self.handles = VecDeque::new();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.few = Few::default();
        self.copied = Vec::new();
        self.lent = None;
        self.read = 0;
        self.after = 0;
        self.handles = VecDeque::new();
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Copy(usize),
        Handles(usize, usize),
        Read(usize),
        Take,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0usize..200).prop_map(Step::Copy),
            4 => (0usize..1600, 0usize..1600).prop_map(|(a, b)| Step::Handles(a, b)),
            8 => (0usize..3000).prop_map(Step::Read),
            2 => Just(Step::Take),
        ]
    }

    proptest! {
        #[test]
        fn behaves_as_a_plain_queue_of_bytes(steps in proptest::collection::vec(step(), 0..80)) {
            let mut model: VecDeque<u8> = VecDeque::new();
            let mut buffer: RecvBuffer<Bytes> = RecvBuffer::new(1 << 20);
            let mut next = 0u8;
            // What was taken last, which later steps must not touch.
            let mut taken: (Rope<Bytes>, Vec<u8>) = Default::default();
            for step in steps {
                let mut bytes = |n: usize| -> Vec<u8> {
                    next = next.wrapping_add(1);
                    (0..n).map(|i| next.wrapping_add((i * 7 + i / 256) as u8)).collect()
                };
                match step {
                    Step::Copy(n) => {
                        let new = bytes(n);
                        buffer.push_copy(&new);
                        model.extend(&new);
                    }
                    Step::Handles(a, b) => {
                        let (a, b) = (bytes(a), bytes(b));
                        let mut rope = Rope::from(Chunk::Device(Bytes::from(&a[..])));
                        rope.push(Chunk::Device(Bytes::from(&b[..])));
                        buffer.push_rope(rope);
                        model.extend(a.iter().chain(&b));
                    }
                    Step::Read(n) => {
                        let (mut seen, mut got) = (vec![0; n], vec![0; n]);
                        let n = n.min(model.len());
                        prop_assert_eq!(buffer.peek(&mut seen), n);
                        prop_assert_eq!(buffer.read(&mut got), n);
                        let expected: Vec<u8> = model.drain(..n).collect();
                        prop_assert_eq!(&seen[..n], &expected[..]);
                        prop_assert_eq!(&got[..n], &expected[..]);
                    }
                    Step::Take => {
                        let expected: Vec<u8> = model.drain(..).collect();
                        let rope = buffer.take();
                        prop_assert_eq!(rope.to_vec(), &expected[..]);
                        // Half of them are dropped before the next.
                        taken = if expected.len().is_multiple_of(2) { (rope, expected) } else { Default::default() };
                    }
                }
                prop_assert_eq!(taken.0.to_vec(), &taken.1[..]);
                prop_assert_eq!(buffer.len(), model.len());
                prop_assert_eq!(buffer.free(), (1 << 20) - model.len());
            }
        }
    }
}
