//! A queue as a device in plain Rust has it: where its rings are, and how far both sides are. What a doorbell says is taken for right.
use std::collections::BTreeMap;

use ferrule_abi::regs;
use ferrule_abi::ring::{doorbell, Cqe, ENTRY_SIZE, INDEX_MODULUS};
use ferrule_driver::DmaBuf;

/// The registers of such a device, by offset: they hold what is written.
pub type Registers = BTreeMap<u32, u32>;

/// The registers as they are after a reset.
pub fn after_reset() -> Registers {
    regs::PORT
        .iter()
        .map(|register| (register.offset, register.reset))
        .collect()
}

fn word(registers: &Registers, offset: u32) -> u32 {
    registers.get(&offset).copied().unwrap_or(0)
}

fn pair(registers: &Registers, low: u32) -> u64 {
    u64::from(word(registers, low + 4)) << 32 | u64::from(word(registers, low))
}

/// The IOVA of a receive queue's slots, and log2 of their bytes.
pub fn slots(registers: &Registers, page: u32) -> (u64, u32) {
    let cfg = word(registers, page + regs::rx_slot_cfg::OFFSET);
    (
        pair(registers, page + regs::rx_slot_base_lo::OFFSET),
        regs::rx_slot_cfg::STRIDE_LOG2.get(cfg),
    )
}

/// The device's side of a queue.
#[derive(Default)]
pub struct Queue {
    /// IOVA of the completion ring and of the ring that the driver fills.
    completions: u64,
    requests: u64,
    /// log2 of their entries.
    completions_log2: u32,
    requests_log2: u32,
    /// Completions written, and read by the driver.
    written: u64,
    read: u64,
    /// Requests that the driver has made, and those taken of them.
    filled: u64,
    taken: u64,
    armed: bool,
}

fn catch_up(count: u64, index: u32) -> u64 {
    count + u64::from(index.wrapping_sub(count as u32) % INDEX_MODULUS)
}

/// Where entry `count` of a ring is.
fn entry(base: u64, log2: u32, count: u64, bytes: usize) -> u64 {
    base + (count & ((1 << log2) - 1)) * bytes as u64
}

impl Queue {
    /// The queue of a page, as its registers have it. Those of a transmit and a receive queue lie alike.
    pub fn start(registers: &Registers, page: u32) -> Self {
        let cfg = word(registers, page + regs::tx_cfg::OFFSET);
        Self {
            completions: pair(registers, page + regs::tx_cq_base_lo::OFFSET),
            requests: pair(registers, page + regs::tx_sq_base_lo::OFFSET),
            completions_log2: regs::tx_cfg::CQ_LOG2.get(cfg),
            requests_log2: regs::tx_cfg::SQ_LOG2.get(cfg),
            ..Self::default()
        }
    }

    /// Takes a doorbell's word.
    pub fn ring(&mut self, word: u32) {
        self.filled = catch_up(self.filled, doorbell::PRODUCER.get(word));
        self.read = catch_up(self.read, doorbell::CONSUMER.get(word));
        self.armed |= doorbell::ARM.get(word) == 1;
    }

    /// Requests that were not taken.
    pub fn requested(&self) -> usize {
        (self.filled - self.taken) as usize
    }

    /// The IOVA of the next request, `bytes` long as all of this ring.
    pub fn request(&self, bytes: usize) -> u64 {
        entry(self.requests, self.requests_log2, self.taken, bytes)
    }

    /// Takes the next request; its index in the ring.
    pub fn take(&mut self) -> u16 {
        let index = self.taken & ((1 << self.requests_log2) - 1);
        self.taken += 1;
        index as u16
    }

    /// Whether the driver has not said that it has read enough for another completion.
    pub fn is_full(&self) -> bool {
        self.written - self.read >= 1 << self.completions_log2
    }

    /// Writes a completion.
    ///
    /// # Panics
    /// If the ring is full.
    pub fn complete(&mut self, memory: &(u64, DmaBuf), mut cqe: Cqe) {
        assert!(!self.is_full(), "the driver has not said that it has read");
        let at = entry(
            self.completions,
            self.completions_log2,
            self.written,
            ENTRY_SIZE,
        );
        cqe.phase = self.written >> self.completions_log2 & 1 == 0;
        self.written += 1;
        let at = (at - memory.0) as usize;
        let words = cqe.to_words();
        for (n, word) in words[..3].iter().enumerate() {
            memory.1.store(at + 4 * n, *word);
        }
        memory.1.store_release(at + 12, words[3]);
    }

    /// Whether the interrupt is due; asking takes it.
    pub fn fires(&mut self) -> bool {
        let due = self.armed && self.written > self.read;
        self.armed &= !due;
        due
    }
}
