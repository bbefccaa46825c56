//! Bytes received in order and not yet read by the program.

use std::collections::VecDeque;

use crate::payload::Payload;
use crate::rope::{Chunk, Rope};

/// Copied runs are gathered in pieces of about this size.
const GATHER_BYTES: usize = 4096;
/// Device pieces shorter than this are copied, so that a few bytes never hold a whole device buffer.
const COPY_BELOW_BYTES: usize = 512;

enum Held<B> {
    Copied { data: Vec<u8>, read: usize },
    Handle(Chunk<B>),
}

impl<B: Payload> Held<B> {
    fn len(&self) -> usize {
        match self {
            Held::Copied { data, read } => data.len() - read,
            Held::Handle(chunk) => chunk.len(),
        }
    }
}

/// The receive queue of one connection.
pub(crate) struct RecvBuffer<B> {
    queue: VecDeque<Held<B>>,
    len: usize,
    capacity: usize,
}

impl<B: Payload> RecvBuffer<B> {
    pub(crate) fn new(capacity: usize) -> RecvBuffer<B> {
        RecvBuffer {
            queue: VecDeque::new(),
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
    pub(crate) fn push_copy(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.len += bytes.len();
        match self.queue.back_mut() {
            Some(Held::Copied { data, .. }) if data.len() + bytes.len() <= GATHER_BYTES => {
                data.extend_from_slice(bytes);
            }
            _ => self.queue.push_back(Held::Copied {
                data: bytes.to_vec(),
                read: 0,
            }),
        }
    }

    /// Appends handles; short ones are copied.
    pub(crate) fn push_rope(&mut self, rope: Rope<B>) {
        for chunk in rope.into_chunks() {
            if chunk.len() < COPY_BELOW_BYTES {
                let mut copy = [0u8; COPY_BELOW_BYTES];
                let copy = &mut copy[..chunk.len()];
                chunk.copy_to(copy);
                self.push_copy(copy);
            } else {
                self.len += chunk.len();
                self.queue.push_back(Held::Handle(chunk));
            }
        }
    }

    /// Copies from the front without taking.
    pub(crate) fn peek(&self, to: &mut [u8]) -> usize {
        let mut done = 0;
        for held in &self.queue {
            if done == to.len() {
                break;
            }
            let n = held.len().min(to.len() - done);
            match held {
                Held::Copied { data, read } => {
                    to[done..done + n].copy_from_slice(&data[*read..read + n])
                }
                Held::Handle(chunk) => chunk.copy_to(&mut to[done..done + n]),
            }
            done += n;
        }
        done
    }

    /// Takes bytes from the front.
    pub(crate) fn read(&mut self, to: &mut [u8]) -> usize {
        let n = self.peek(to);
        self.discard(n);
        n
    }

    fn discard(&mut self, mut n: usize) {
        self.len -= n;
        while n > 0 {
            let Some(front) = self.queue.front_mut() else {
                return;
            };
            let have = front.len();
            if have <= n {
                self.queue.pop_front();
                n -= have;
                continue;
            }
            match front {
                Held::Copied { read, .. } => *read += n,
                Held::Handle(chunk) => *chunk = chunk.slice(n..have),
            }
            return;
        }
        if self.queue.is_empty() {
            // An idle connection holds no memory for what it once received.
            self.queue = VecDeque::new();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.queue = VecDeque::new();
        self.len = 0;
    }
}
