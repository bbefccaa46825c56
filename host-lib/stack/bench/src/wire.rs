//! One direction of an in-memory link: each frame is copied once, from wherever the sender has it to a receive buffer.

use core::ops::Range;
use std::collections::VecDeque;
use std::sync::Arc;

use ferrule_stack::Payload;

/// Cache lines of a page.
const COLOURS: usize = 64;
const LINE_BYTES: usize = 64;

/// A handle to a received frame or a part of it. Its buffer is used again when the last handle is gone, as in a receive
/// ring.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    buffer: Option<Arc<Vec<u8>>>,
    start: u32,
    end: u32,
}

impl Frame {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match &self.buffer {
            Some(buffer) => &buffer[self.start as usize..self.end as usize],
            None => &[],
        }
    }
}

impl Payload for Frame {
    fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    fn slice(&self, range: Range<usize>) -> Frame {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        if start == end {
            return Frame::default();
        }
        Frame {
            buffer: self.buffer.clone(),
            start: self.start + start as u32,
            end: self.start + end as u32,
        }
    }

    fn copy_to(&self, to: &mut [u8]) {
        let n = to.len().min(self.len());
        to[..n].copy_from_slice(&self.as_slice()[..n]);
    }
}

/// Frames on their way to one host, and the receive buffers they are copied to.
#[derive(Debug)]
pub struct Wire {
    mtu: usize,
    capacity: usize,
    queue: VecDeque<Frame>,
    /// All receive buffers, and which comes next: the one that was used longest ago.
    buffers: Vec<Arc<Vec<u8>>>,
    next: usize,
    frames: u64,
    bytes: u64,
    copied: u64,
}

impl Wire {
    /// Carries frames of at most `mtu` bytes; `capacity` of them fit on it.
    pub fn new(mtu: u16, capacity: usize) -> Wire {
        Wire {
            mtu: usize::from(mtu),
            capacity,
            queue: VecDeque::with_capacity(capacity),
            buffers: Vec::new(),
            next: 0,
            frames: 0,
            bytes: 0,
            copied: 0,
        }
    }

    /// True if another frame fits on it.
    pub fn has_room(&self) -> bool {
        self.queue.len() < self.capacity
    }

    /// True if nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Sends a frame of `len` bytes; `copy` writes them to the receive buffer and says how many bytes it wrote.
    pub fn send(&mut self, len: usize, copy: impl FnOnce(&mut [u8]) -> usize) {
        let len = len.min(self.mtu);
        // Frames begin at different lines of their pages: a copy is slow where source and destination lie a little apart
        // modulo 4096, and which stack that hits must not be a matter of where its memory happens to lie.
        let start = self.next % COLOURS * LINE_BYTES;
        let free = self.buffers.get_mut(self.next).and_then(Arc::get_mut);
        let copied = match free {
            Some(bytes) => copy(&mut bytes[start..start + len]),
            None => {
                // Somebody still has a handle to it: another one takes its turn.
                let mut bytes = vec![0; self.mtu + COLOURS * LINE_BYTES];
                let copied = copy(&mut bytes[start..start + len]);
                self.buffers.insert(self.next, Arc::new(bytes));
                copied
            }
        };
        self.copied += copied as u64;
        let buffer = Arc::clone(&self.buffers[self.next]);
        self.next += 1;
        if self.next == self.buffers.len() {
            self.next = 0;
        }
        self.frames += 1;
        self.bytes += len as u64;
        self.queue.push_back(Frame {
            buffer: Some(buffer),
            start: start as u32,
            end: (start + len) as u32,
        });
    }

    /// The next frame that arrives.
    pub fn take(&mut self) -> Option<Frame> {
        self.queue.pop_front()
    }

    /// Frames sent so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// How often each byte sent was copied by the wire.
    pub fn copies(&self) -> f64 {
        self.copied as f64 / self.bytes.max(1) as f64
    }
}
