//! A receive queue: slots from the RXQ, frames into them, the RXCQ.
use std::collections::VecDeque;

use ferrule_abi::counter;
use ferrule_abi::regs::{self, queue_error};
use ferrule_abi::ring::cqe_status;

use super::completion::{advance, distance, CompletionRing};
use super::io::Io;
use super::judge::Description;
use super::queue::{is_ring_size, Control};
use super::registers::{Page, Registers};

/// Most slots that one read brings.
const READ_SLOTS: u16 = 64;
/// Largest write that the frame writer makes.
const LARGEST_WRITE: u64 = 2048;

/// A frame at the head of the receive buffer.
pub(super) struct Received<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) description: Description,
    pub(super) timestamp: u32,
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
    /// CFG.DROP.
    drops: bool,
    /// Frames were lost since the last completion that said so.
    lost: bool,
}

impl RxQueue {
    /// A frame that might have been this queue's found no room in the receive buffer.
    pub(super) fn overflowed(&mut self) {
        self.lost |= self.control.is_active();
    }

    /// Whether another frame could go into a slot at once.
    pub(super) fn is_ready(&self) -> bool {
        self.control.is_active() && !self.slots.is_empty() && self.ring.has_room()
    }

    /// Takes a frame, or forgets it; false: it waits. `more` says that another one for this queue follows at once.
    pub(super) fn take(&mut self, frame: &Received<'_>, more: bool, io: &mut Io<'_>) -> bool {
        if self.is_ready() {
            self.deliver(frame, more, io);
            self.prefetch(io);
            return true;
        }
        let active = self.control.is_active();
        if active && !self.drops {
            return false;
        }
        self.lost |= active;
        io.count(counter::RX_DROP_NO_SLOT);
        true
    }

    /// Writes a frame into the next slot and makes its completion.
    fn deliver(&mut self, frame: &Received<'_>, more: bool, io: &mut Io<'_>) {
        let Some(slot) = self.slots.pop_front() else {
            return;
        };
        let Received {
            bytes, description, ..
        } = frame;
        let mut status = description.status | cqe_status::TS_VALID;
        if std::mem::take(&mut self.lost) {
            status |= cqe_status::DROPPED_BEFORE;
        }
        let capacity = 1usize << self.stride_log2;
        if bytes.len() > capacity {
            status |= cqe_status::TRUNC;
            io.count(counter::RX_TRUNCATED);
        }
        let at = self
            .slot_base
            .wrapping_add(u64::from(slot) << self.stride_log2);
        let border = io.bus.max_payload().min(LARGEST_WRITE);
        io.write(at, &bytes[..bytes.len().min(capacity)], border);
        let words = [
            bytes.len() as u32 | u32::from(status) << 16,
            description.hash,
            frame.timestamp,
            u32::from(description.offsets) | u32::from(slot) << 16,
        ];
        self.retired = advance(self.retired, 1);
        let more = more && !self.slots.is_empty();
        self.ring.push(words, more, io);
    }

    /// Looks at the registers of `page` and at the RXQ.
    pub(super) fn step(&mut self, page: Page, registers: &Registers, io: &mut Io<'_>) {
        // The addresses are not copied at the start, as sizes are.
        let address = |offset| registers.address(page, offset);
        self.ring.set_base(address(regs::rx_cq_base_lo::OFFSET));
        self.base = address(regs::rx_rxq_base_lo::OFFSET);
        self.slot_base = address(regs::rx_slot_base_lo::OFFSET);
        self.look_at_enable(page, registers);
        self.prefetch(io);
    }

    /// Ends what [`RxQueue::step`] and what came after it have begun.
    pub(super) fn finish(&mut self, page: Page, registers: &Registers, io: &mut Io<'_>) {
        self.ring.flush(io);
        if self.control.is_draining() {
            self.control.stop();
            self.look_at_enable(page, registers);
        }
    }

    fn look_at_enable(&mut self, page: Page, registers: &Registers) {
        use regs::{rx_cfg, rx_ctrl, rx_slot_cfg};
        let enable = rx_ctrl::ENABLE.get(registers.page(page, rx_ctrl::OFFSET)) != 0;
        if !self.control.enable(enable) {
            return;
        }
        let cfg = registers.page(page, rx_cfg::OFFSET);
        let slots = registers.page(page, rx_slot_cfg::OFFSET);
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
        self.drops = rx_cfg::DROP.get(cfg) != 0;
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

    /// Reads what there is room for of the RXQ, and stops the queue at a slot number that is none.
    fn prefetch(&mut self, io: &mut Io<'_>) {
        while self.control.is_active() && self.fetch(io) {}
        let bad = |slot: &u16| *slot >= self.slot_count;
        if self.control.is_active() && self.slots.front().is_some_and(bad) {
            self.control.fail(queue_error::BAD_SLOT);
        }
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

    /// STATUS.
    pub(super) fn status(&self) -> u32 {
        self.control.status()
    }

    /// Whether the queue failed since the last call.
    pub(super) fn take_failed(&mut self) -> bool {
        self.control.take_failed()
    }
}
