//! What receives for the host: the buffer, from which frames go in their order to the queues that the indirection table names.
use std::collections::VecDeque;

use ferrule_abi::counter;
use ferrule_abi::regs::ctrl;

use super::io::Io;
use super::judge::Description;
use super::registers::{Page, Registers, QUEUES};
use super::rx::{Received, RxQueue};

/// Places of eight bytes in the buffer.
const PLACES: usize = 4096;

/// A frame that waits.
struct Stored {
    bytes: Vec<u8>,
    description: Description,
    timestamp: u32,
}

impl Stored {
    fn received(&self) -> Received<'_> {
        Received {
            bytes: &self.bytes,
            description: self.description,
            timestamp: self.timestamp,
        }
    }
}

/// Buffer and queues.
#[derive(Default)]
pub(super) struct Receiver {
    waiting: VecDeque<Stored>,
    /// The queue of the first one, once it has been looked up.
    first: Option<usize>,
    /// Places that the waiting frames take.
    used: usize,
    pub(super) queues: [RxQueue; QUEUES],
}

/// Places of a frame: its bytes, and its description.
fn places(bytes: usize) -> usize {
    1 + bytes.div_ceil(8)
}

impl Receiver {
    /// A frame from the wire for the host.
    pub(super) fn accept(
        &mut self,
        frame: &[u8],
        description: Description,
        registers: &Registers,
        io: &mut Io<'_>,
    ) {
        // One place always stays free, and the reader holds the description of the first waiting frame already.
        let room = match self.used {
            0 => PLACES - 1,
            used => PLACES.saturating_sub(used),
        };
        if places(frame.len()) > room {
            // Whose it would have been nobody has looked at.
            self.queues.iter_mut().for_each(RxQueue::overflowed);
            io.count(counter::RX_DROP_OVERFLOW);
            return;
        }
        io.count(counter::RX_FRAMES);
        io.counters.add(counter::RX_BYTES, frame.len() as u64);
        let received = Received {
            bytes: frame,
            description,
            timestamp: io.timestamp(),
        };
        if self.waiting.is_empty() {
            let number = registers.receive_queue(description.hash);
            let queue = &mut self.queues[number];
            if queue.is_ready() && queue.take(&received, false, io) {
                return;
            }
            self.first = Some(number);
        }
        self.used += places(frame.len());
        self.waiting.push_back(Stored {
            bytes: frame.to_vec(),
            description,
            timestamp: received.timestamp,
        });
    }

    /// Does what can be done.
    pub(super) fn step(&mut self, registers: &Registers, io: &mut Io<'_>) {
        for (n, queue) in self.queues.iter_mut().enumerate() {
            queue.step(Page::Rx(n), registers, io);
        }
        self.empty(registers, io);
        for (n, queue) in self.queues.iter_mut().enumerate() {
            queue.finish(Page::Rx(n), registers, io);
        }
    }

    /// Gives frames to their queues until one has to wait, and what is behind it.
    fn empty(&mut self, registers: &Registers, io: &mut Io<'_>) {
        let queue_of = |stored: &Stored| registers.receive_queue(stored.description.hash);
        while let Some(stored) = self.waiting.pop_front() {
            let number = self.first.take().unwrap_or_else(|| queue_of(&stored));
            let next = self.waiting.front();
            let more = next.is_some_and(|next| queue_of(next) == number);
            if !self.queues[number].take(&stored.received(), more, io) {
                self.first = Some(number);
                self.waiting.push_front(stored);
                return;
            }
            self.used -= places(stored.bytes.len());
        }
    }

    /// Places of the buffer that are taken.
    pub(super) fn places_used(&self) -> usize {
        self.used
    }

    /// Which queues failed since the last call.
    pub(super) fn take_failed(&mut self) -> [bool; QUEUES] {
        self.queues.each_mut().map(RxQueue::take_failed)
    }
}

/// CTRL.RX_EN.
pub(super) fn is_on(registers: &Registers) -> bool {
    registers.ctrl(ctrl::RX_EN)
}
