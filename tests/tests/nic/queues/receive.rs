//! A receive queue, as its host has set it up and as the device must treat it.
use std::collections::VecDeque;

use ferrule_abi::regs::{self, rx_cfg, rx_slot_cfg};
use ferrule_abi::ring::{cqe_status, doorbell, Cqe, INDEX_MODULUS};
use ferrule_tests::bench::memory::HostMemory;
use ferrule_tests::bench::rings::{CompletionRing, SubmissionRing};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::Rng;

use super::Writes;

/// A completion that must come.
pub(super) struct Expected {
    pub(super) frame: Vec<u8>,
    pub(super) hash: u32,
    pub(super) slot: u16,
    /// DROPPED_BEFORE.
    pub(super) lost: bool,
}

/// What becomes of a frame at the head of the receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Taken,
    Forgotten,
    Waits,
}

/// The queue.
pub(super) struct RxQueue {
    number: u32,
    pub(super) runs: bool,
    rxq: SubmissionRing,
    pub(super) cq: CompletionRing,
    slots: u64,
    slot_count: u16,
    stride_log2: u32,
    in_order: bool,
    drops: bool,
    /// Slots that the host holds.
    free: Vec<u16>,
    /// Slots that the device has not used, in their order.
    given: VecDeque<u16>,
    /// Completions that the device has made, and how many of them it knows to be read.
    made: u64,
    told: u64,
    lost: bool,
    armed: bool,
    pub(super) interrupts: u32,
    pub(super) expected: VecDeque<Expected>,
}

impl RxQueue {
    /// Bytes of memory that a queue takes at most.
    pub(super) const BYTES: u64 = (2 << 12) + (32 << 12);

    pub(super) fn new(number: u32, layout: &mut HostMemory, random: &mut StdRng) -> Self {
        let rxq = SubmissionRing::new(layout, random.random_range(4..=5), 2);
        let in_order = random.random_bool(0.25);
        let slot_count = match in_order {
            true => rxq.size() as u16,
            false => random.random_range(4..=32),
        };
        let stride_log2 = random.random_range(11..=12);
        Self {
            number,
            runs: false,
            cq: CompletionRing::new(layout, random.random_range(4..=5)),
            slots: layout.take(u64::from(slot_count) << stride_log2),
            rxq,
            slot_count,
            stride_log2,
            in_order,
            drops: random.random_bool(0.5),
            free: vec![],
            given: VecDeque::new(),
            made: 0,
            told: 0,
            lost: false,
            armed: false,
            interrupts: 0,
            expected: VecDeque::new(),
        }
    }

    fn page(&self) -> u32 {
        regs::rx_page(self.number)
    }

    /// The vector that it raises.
    pub(super) fn vector(&self) -> usize {
        2 * self.number as usize + 1
    }

    /// Registers to be written for it to run, its completion ring being zeroed.
    pub(super) fn start(&mut self, random: &mut StdRng) -> Vec<(u32, u32)> {
        self.runs = true;
        (self.rxq.producer, self.cq.consumer, self.made, self.told) = (0, 0, 0, 0);
        (self.lost, self.armed) = (false, false);
        self.given.clear();
        self.free = (0..self.slot_count).collect();
        if !self.in_order {
            self.free.shuffle(random);
        }
        let cfg = rx_cfg::RXQ_LOG2.of(self.rxq.log2)
            | rx_cfg::CQ_LOG2.of(self.cq.log2)
            | rx_cfg::VECTOR.of(self.vector() as u32)
            | rx_cfg::IN_ORDER.of(self.in_order.into())
            | rx_cfg::DROP.of(self.drops.into());
        let slots = rx_slot_cfg::STRIDE_LOG2.of(self.stride_log2)
            | rx_slot_cfg::COUNT.of(self.slot_count.into());
        let page = self.page();
        [
            (regs::rx_cfg::OFFSET, cfg),
            (regs::rx_rxq_base_lo::OFFSET, self.rxq.iova as u32),
            (regs::rx_rxq_base_hi::OFFSET, (self.rxq.iova >> 32) as u32),
            (regs::rx_cq_base_lo::OFFSET, self.cq.iova as u32),
            (regs::rx_cq_base_hi::OFFSET, (self.cq.iova >> 32) as u32),
            (regs::rx_slot_base_lo::OFFSET, self.slots as u32),
            (regs::rx_slot_base_hi::OFFSET, (self.slots >> 32) as u32),
            (regs::rx_slot_cfg::OFFSET, slots),
            (regs::rx_ctrl::OFFSET, 1),
        ]
        .map(|(offset, value)| (page + offset, value))
        .to_vec()
    }

    /// The register to be written for it to stop.
    pub(super) fn stop(&mut self) -> (u32, u32) {
        self.runs = false;
        (self.page() + regs::rx_ctrl::OFFSET, 0)
    }

    /// Gives some slots, or none, and says of some completions, or none, that they are read: what goes to memory, and the doorbell.
    pub(super) fn ring(&mut self, random: &mut StdRng) -> (Writes, (u32, u32)) {
        let room = self.rxq.size() as usize - self.given.len();
        let most = self.free.len().min(room);
        let count = match random.random_range(0..4) {
            0 => most,
            1 => 0,
            _ => random.random_range(0..=most),
        };
        let mut writes = vec![];
        for slot in self.free.drain(..count) {
            if !self.in_order {
                let at = self.rxq.iova + 2 * self.rxq.slot();
                writes.push((at, slot.to_le_bytes().to_vec()));
            }
            self.rxq.producer += 1;
            self.given.push_back(slot);
        }
        self.told = match random.random_bool(0.7) {
            true => self.cq.consumer,
            false => random.random_range(self.told..=self.cq.consumer),
        };
        let arm = random.random_bool(0.4);
        let consumer = (self.told % u64::from(INDEX_MODULUS)) as u32;
        let value =
            self.rxq.doorbell() | doorbell::CONSUMER.of(consumer) | doorbell::ARM.of(arm.into());
        self.armed |= arm;
        if self.made != self.told {
            self.fire();
        }
        (writes, (self.page() + regs::rx_doorbell::OFFSET, value))
    }

    fn fire(&mut self) {
        if std::mem::take(&mut self.armed) {
            self.interrupts += 1;
        }
    }

    /// What the device must do with a frame that gets to the head of the receive buffer.
    pub(super) fn offer(&mut self, frame: &[u8], hash: u32) -> Fate {
        if !self.runs {
            return Fate::Forgotten;
        }
        let room = self.made - self.told < 1 << self.cq.log2;
        match self.given.pop_front_if(|_| room) {
            Some(slot) => {
                self.expected.push_back(Expected {
                    frame: frame.to_vec(),
                    hash,
                    slot,
                    lost: std::mem::take(&mut self.lost),
                });
                self.made += 1;
                self.fire();
                Fate::Taken
            }
            None if self.drops => {
                self.lost = true;
                Fate::Forgotten
            }
            None => Fate::Waits,
        }
    }

    /// Compares a completion and what is in its slot with what must be there.
    pub(super) fn check(&self, n: usize, cqe: Cqe, memory: &HostMemory) -> Result<(), String> {
        let Some(expected) = self.expected.get(n) else {
            return Err(format!("a completion too many: {cqe:x?}"));
        };
        let len = expected.frame.len();
        let stored = len.min(1 << self.stride_log2);
        let lost = cqe.status & cqe_status::DROPPED_BEFORE != 0;
        let got = (usize::from(cqe.len), cqe.hash, cqe.index, lost);
        let want = (len, expected.hash, expected.slot, expected.lost);
        if got != want {
            return Err(format!(
                "completion {n}: (len, hash, slot, lost before) is {got:x?}, not {want:x?}"
            ));
        }
        let truncated = cqe.status & cqe_status::TRUNC != 0;
        if truncated != (stored < len) || cqe.status & cqe_status::TS_VALID == 0 {
            return Err(format!("completion {n}: status {:#06x}", cqe.status));
        }
        let slot = self.slots + (u64::from(cqe.index) << self.stride_log2);
        if memory.read(slot, stored) != expected.frame[..stored] {
            return Err(format!(
                "completion {n}: slot {} holds something else",
                cqe.index
            ));
        }
        Ok(())
    }

    /// The host has read everything that was expected, and holds the slots again.
    pub(super) fn taken(&mut self) {
        let slots = self.expected.drain(..).map(|expected| expected.slot);
        self.free.extend(slots);
    }
}
