//! The receive queue with the buffer before it: frames to slots, RXCQ.
use std::collections::VecDeque;

use ferrule_abi::regs::{self, queue_error};
use ferrule_abi::ring::cqe_status;
use ferrule_abi::{counter, regs::ctrl};

use super::completion::{advance, distance, CompletionRing};
use super::io::Io;
use super::judge::Description;
use super::queue::{is_ring_size, Control};
use super::registers::{Page, Registers};

/// Places of eight bytes in the buffer.
const PLACES: usize = 4096;
/// Most slots that one read brings.
const READ_SLOTS: u16 = 64;
/// Largest write that the frame writer makes.
const LARGEST_WRITE: u64 = 2048;

/// A frame that waits.
struct Stored {
    bytes: Vec<u8>,
    description: Description,
    timestamp: u32,
}

/// The queue.
#[derive(Default)]
pub(super) struct RxQueue {
    control: Control,
    ring: CompletionRing,
    /// The RXQ.
    base: u64,
    size: u16,
    wanted: u16,
    fetched: u16,
    retired: u16,
    /// Slots fetched and not yet used.
    slots: VecDeque<u16>,
    slot_base: u64,
    slot_count: u16,
    stride_log2: u32,
    /// CFG.IN_ORDER.
    in_order: bool,
    /// The buffer overflowed since the last completion that said so.
    lost: bool,
    /// A completion that the ring had no room for.
    posting: Option<[u32; 4]>,
    waiting: VecDeque<Stored>,
    /// Places that the waiting frames take.
    used: usize,
}

/// Places of a frame: its bytes, and its description.
fn places(bytes: usize) -> usize {
    1 + bytes.div_ceil(8)
}

impl RxQueue {
    /// A frame from the wire for the host.
    pub(super) fn accept(&mut self, frame: &[u8], description: Description, io: &mut Io<'_>) {
        // One place always stays free, and the reader holds the description of the first waiting frame already.
        let room = match self.used {
            0 => PLACES - 1,
            used => PLACES.saturating_sub(used),
        };
        if places(frame.len()) > room {
            self.lost = true;
            io.count(counter::RX_DROP_OVERFLOW);
            return;
        }
        io.count(counter::RX_FRAMES);
        io.counters.add(counter::RX_BYTES, frame.len() as u64);
        let timestamp = io.timestamp();
        if self.waiting.is_empty() && self.is_ready() {
            self.deliver(frame, description, timestamp, io);
            return;
        }
        self.used += places(frame.len());
        self.waiting.push_back(Stored {
            bytes: frame.to_vec(),
            description,
            timestamp,
        });
    }

    /// A frame could go into a slot at once.
    fn is_ready(&self) -> bool {
        self.control.is_active() && self.posting.is_none() && !self.slots.is_empty()
    }

    /// Writes a frame into the next slot and makes its completion.
    fn deliver(&mut self, frame: &[u8], about: Description, timestamp: u32, io: &mut Io<'_>) {
        let Some(slot) = self.slots.pop_front() else {
            return;
        };
        let mut status = about.status | cqe_status::TS_VALID;
        if std::mem::take(&mut self.lost) {
            status |= cqe_status::DROPPED_BEFORE;
        }
        let capacity = 1usize << self.stride_log2;
        if frame.len() > capacity {
            status |= cqe_status::TRUNC;
            io.count(counter::RX_TRUNCATED);
        }
        let at = self
            .slot_base
            .wrapping_add(u64::from(slot) << self.stride_log2);
        let border = io.bus.max_payload().min(LARGEST_WRITE);
        io.write(at, &frame[..frame.len().min(capacity)], border);
        let words = [
            frame.len() as u32 | u32::from(status) << 16,
            about.hash,
            timestamp,
            u32::from(about.offsets) | u32::from(slot) << 16,
        ];
        self.posting = Some(words);
        self.post(io);
    }

    /// Puts the completion into the ring; whether it went.
    fn post(&mut self, io: &mut Io<'_>) -> bool {
        let Some(words) = self.posting else {
            return false;
        };
        let active = self.control.is_active();
        let more = active && !self.waiting.is_empty() && !self.slots.is_empty();
        if !self.ring.push(words, more, io) && active {
            return false;
        }
        self.posting = None;
        self.retired = advance(self.retired, 1);
        true
    }

    /// Does what can be done.
    pub(super) fn step(&mut self, registers: &Registers, io: &mut Io<'_>) {
        // The addresses are not copied at the start, as sizes are.
        let address = |offset| registers.address(Page::Rx, offset);
        self.ring.set_base(address(regs::rx_cq_base_lo::OFFSET));
        self.base = address(regs::rx_rxq_base_lo::OFFSET);
        self.slot_base = address(regs::rx_slot_base_lo::OFFSET);
        self.post(io);
        if self.control.enable(enabled(registers)) {
            self.start(registers);
        }
        while self.control.is_active() && self.fetch(io) {}
        self.check_slot();
        while self.is_ready() {
            let Some(stored) = self.take_waiting() else {
                break;
            };
            self.deliver(&stored.bytes, stored.description, stored.timestamp, io);
            while self.control.is_active() && self.fetch(io) {}
            self.check_slot();
        }
        if !self.control.is_active() {
            self.post(io);
            while self.take_waiting().is_some() {
                io.count(counter::RX_DROP_NO_SLOT);
            }
        }
        self.ring.flush(io);
        if self.control.is_draining() && self.posting.is_none() {
            self.control.stop();
            if self.control.enable(enabled(registers)) {
                self.start(registers);
            }
        }
    }

    /// Places of the buffer that are taken.
    pub(super) fn places_used(&self) -> usize {
        self.used
    }

    fn take_waiting(&mut self) -> Option<Stored> {
        let stored = self.waiting.pop_front()?;
        self.used -= places(stored.bytes.len());
        Some(stored)
    }

    fn start(&mut self, registers: &Registers) {
        use regs::{rx_cfg, rx_slot_cfg};
        let cfg = registers.page(Page::Rx, rx_cfg::OFFSET);
        let slots = registers.page(Page::Rx, rx_slot_cfg::OFFSET);
        let (rxq_log2, cq_log2) = (rx_cfg::RXQ_LOG2.get(cfg), rx_cfg::CQ_LOG2.get(cfg));
        let stride_log2 = rx_slot_cfg::STRIDE_LOG2.get(slots);
        let good =
            is_ring_size(rxq_log2) && is_ring_size(cq_log2) && (11..=14).contains(&stride_log2);
        if !self.control.start(good) {
            return;
        }
        self.ring.start(cq_log2, rx_cfg::VECTOR.get(cfg));
        self.size = 1 << rxq_log2;
        (self.wanted, self.fetched, self.retired) = (0, 0, 0);
        self.slots.clear();
        self.slot_count = rx_slot_cfg::COUNT.get(slots) as u16;
        self.stride_log2 = stride_log2;
        self.in_order = rx_cfg::IN_ORDER.get(cfg) != 0;
        self.lost = false;
    }

    /// The host's doorbell.
    pub(super) fn doorbell(&mut self, producer: u16, consumer: u16, arm: bool, io: &mut Io<'_>) {
        if !self.control.is_active() {
            return;
        }
        let asked = distance(self.retired, producer);
        let known = distance(self.retired, self.wanted);
        if asked > self.size || asked < known || self.ring.is_bad(consumer) {
            self.control.fail(queue_error::BAD_INDEX);
            return;
        }
        self.wanted = producer;
        if self.in_order {
            // There is nothing to fetch.
            while self.fetched != self.wanted {
                self.slots.push_back(self.fetched & (self.size - 1));
                self.fetched = advance(self.fetched, 1);
            }
        }
        self.ring.update(consumer, arm, io);
    }

    /// One read of the RXQ, of a piece that ends at a line of 128 bytes; whether there was one.
    fn fetch(&mut self, io: &mut Io<'_>) -> bool {
        let ahead = distance(self.fetched, self.wanted);
        // One slot has left the prefetch buffer, for whoever comes next.
        let stock = (self.slots.len() as u16).saturating_sub(1);
        if ahead == 0 || stock >= READ_SLOTS {
            return false;
        }
        let line = READ_SLOTS.min(self.size);
        let count = ahead.min(line - self.fetched % line);
        // Whole DWs of two slots: the first may hold a slot that has been fetched.
        let skip = self.fetched & 1;
        let bytes = usize::from(count + skip).div_ceil(2) * 4;
        let place = u64::from(self.fetched & (self.size - 2)) * 2;
        let mut data = [0; 2 * READ_SLOTS as usize];
        let good = io.read(self.base.wrapping_add(place), &mut data[..bytes], 128);
        self.fetched = advance(self.fetched, count);
        if !good {
            self.control.fail(queue_error::DMA);
            return true;
        }
        let numbers = data
            .chunks_exact(2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]));
        self.slots
            .extend(numbers.skip(skip.into()).take(count.into()));
        true
    }

    /// Stops the queue at a slot number that is none.
    fn check_slot(&mut self) {
        let bad = |slot: &u16| *slot >= self.slot_count;
        if self.control.is_active() && self.slots.front().is_some_and(bad) {
            self.control.fail(queue_error::BAD_SLOT);
        }
    }

    /// STATUS.
    pub(super) fn status(&self) -> u32 {
        self.control.status()
    }

    /// Whether the queue failed since the last call.
    pub(super) fn take_failed(&mut self) -> bool {
        self.control.take_failed()
    }
}

fn enabled(registers: &Registers) -> bool {
    regs::rx_ctrl::ENABLE.get(registers.page(Page::Rx, regs::rx_ctrl::OFFSET)) != 0
}

/// CTRL.RX_EN.
pub(super) fn is_on(registers: &Registers) -> bool {
    registers.ctrl(ctrl::RX_EN)
}
