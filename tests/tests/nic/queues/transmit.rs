//! A transmit queue, as its host has set it up and as the device must treat it.
use std::collections::VecDeque;

use ferrule_abi::regs::{self, tx_cfg};
use ferrule_abi::ring::{cqe_status, doorbell, sqe_flags, Cqe, Sqe, INDEX_MODULUS};
use ferrule_tests::bench::memory::HostMemory;
use ferrule_tests::bench::rings::{CompletionRing, SubmissionRing};
use rand::rngs::StdRng;
use rand::Rng;

use super::Writes;

/// Bytes of a transmit buffer; there is one for each SQE.
const BUFFER: u64 = 2048;
/// Where a frame says which queue sent it: the last byte of its source address.
const QUEUE_AT: usize = 11;

/// The queue.
pub(super) struct TxQueue {
    number: u32,
    pub(super) runs: bool,
    sq: SubmissionRing,
    pub(super) cq: CompletionRing,
    buffers: u64,
    /// SQEs that may not have been retired.
    unretired: u64,
    /// Completions that the device has made, and how many of them it knows to be read.
    made: u64,
    told: u64,
    armed: bool,
    pub(super) interrupts: u32,
    /// Frames that must leave, and index and status of the completions that must come.
    pub(super) frames: VecDeque<Vec<u8>>,
    pub(super) completions: VecDeque<(u16, u16)>,
    /// A frame of which SQEs are missing.
    begun: Vec<u8>,
}

impl TxQueue {
    /// Bytes of memory that a queue takes at most.
    pub(super) const BYTES: u64 = (2 << 12) + (BUFFER << 5);

    pub(super) fn new(number: u32, layout: &mut HostMemory, random: &mut StdRng) -> Self {
        let sq = SubmissionRing::new(layout, random.random_range(4..=5), 16);
        Self {
            number,
            runs: false,
            // All SQEs may ask for a completion, and the host may tell late that it has read the last ones.
            cq: CompletionRing::new(layout, sq.log2 + 1),
            buffers: layout.take(BUFFER << sq.log2),
            sq,
            unretired: 0,
            made: 0,
            told: 0,
            armed: false,
            interrupts: 0,
            frames: VecDeque::new(),
            completions: VecDeque::new(),
            begun: vec![],
        }
    }

    fn page(&self) -> u32 {
        regs::tx_page(self.number)
    }

    /// The vector that it raises.
    pub(super) fn vector(&self) -> usize {
        2 * self.number as usize
    }

    /// Which queue sent a frame.
    pub(super) fn sender(frame: &[u8]) -> usize {
        frame[QUEUE_AT].into()
    }

    /// Registers to be written for it to run, its completion ring being zeroed.
    pub(super) fn start(&mut self) -> Vec<(u32, u32)> {
        self.runs = true;
        (self.sq.producer, self.cq.consumer) = (0, 0);
        (self.made, self.told, self.unretired) = (0, 0, 0);
        self.armed = false;
        self.begun.clear();
        let cfg = tx_cfg::SQ_LOG2.of(self.sq.log2)
            | tx_cfg::CQ_LOG2.of(self.cq.log2)
            | tx_cfg::VECTOR.of(self.vector() as u32);
        let page = self.page();
        [
            (regs::tx_cfg::OFFSET, cfg),
            (regs::tx_sq_base_lo::OFFSET, self.sq.iova as u32),
            (regs::tx_sq_base_hi::OFFSET, (self.sq.iova >> 32) as u32),
            (regs::tx_cq_base_lo::OFFSET, self.cq.iova as u32),
            (regs::tx_cq_base_hi::OFFSET, (self.cq.iova >> 32) as u32),
            (regs::tx_ctrl::OFFSET, 1),
        ]
        .map(|(offset, value)| (page + offset, value))
        .to_vec()
    }

    /// The register to be written for it to stop; a frame that has only begun is forgotten.
    pub(super) fn stop(&mut self) -> (u32, u32) {
        self.runs = false;
        (self.page() + regs::tx_ctrl::OFFSET, 0)
    }

    /// Puts an SQE in the ring, and its data in its buffer.
    fn post(&mut self, data: &[u8], flags: u16, random: &mut StdRng) -> Writes {
        let buffer = self.buffers + self.sq.slot() * BUFFER + random.random_range(0..8);
        let sqe = Sqe {
            iova: buffer,
            len: data.len() as u16,
            flags: flags | sqe_flags::RAW,
            ..Sqe::default()
        };
        let words = sqe.to_words().map(u32::to_le_bytes);
        let entry = self.sq.iova + self.sq.slot() * 16;
        self.sq.producer += 1;
        self.unretired += 1;
        vec![
            (buffer, data.to_vec()),
            (entry, words.as_flattened().to_vec()),
        ]
    }

    fn last_index(&self) -> u16 {
        ((self.sq.producer - 1) & (self.sq.size() - 1)) as u16
    }

    fn frame(&self, random: &mut StdRng) -> Vec<u8> {
        let len = match random.random_range(0..10) {
            0 => random.random_range(14..1_500),
            _ => random.random_range(14..200),
        };
        let mut frame: Vec<u8> = (0..len).map(|_| random.random()).collect();
        frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, 0x77]);
        frame[QUEUE_AT] = self.number as u8;
        // Local experimental (IEEE 802).
        frame[12..14].copy_from_slice(&[0x88, 0xB5]);
        frame
    }

    /// Puts a frame in the ring if there is room, in one to three SQEs; or one without bytes, which is none.
    pub(super) fn send(&mut self, random: &mut StdRng) -> Writes {
        let room = self.sq.size() - self.unretired;
        if room == 0 {
            return vec![];
        }
        if random.random_bool(0.05) {
            let writes = self.post(&[], sqe_flags::SOP | sqe_flags::EOP, random);
            let completion = (self.last_index(), cqe_status::BAD_DESC);
            self.completions.push_back(completion);
            return writes;
        }
        let frame = self.frame(random);
        let parts = random.random_range(1..=3.min(room)) as usize;
        let each = frame.len().div_ceil(parts);
        let mut writes = vec![];
        let mut first = sqe_flags::SOP;
        for part in frame.chunks(each) {
            let is_last = part.as_ptr_range().end == frame.as_ptr_range().end;
            let last = self.end_flags(is_last, random);
            writes.extend(self.post(part, first | last, random));
            self.complete(last);
            first = 0;
        }
        self.frames.push_back(frame);
        writes
    }

    fn end_flags(&self, is_last: bool, random: &mut StdRng) -> u16 {
        match (is_last, random.random_bool(0.5)) {
            (false, _) => 0,
            (true, false) => sqe_flags::EOP,
            (true, true) => sqe_flags::EOP | sqe_flags::CPL_REQ,
        }
    }

    /// Expects the completion that the SQE posted last asks for.
    fn complete(&mut self, flags: u16) {
        if flags & sqe_flags::CPL_REQ != 0 {
            self.completions.push_back((self.last_index(), 0));
        }
    }

    /// Puts the first half of a frame in the ring, in which nothing waits.
    pub(super) fn begin(&mut self, random: &mut StdRng) -> Writes {
        let frame = self.frame(random);
        let half = frame.len() / 2;
        let writes = self.post(&frame[..half], sqe_flags::SOP, random);
        self.begun = frame[half..].to_vec();
        self.frames.push_back(frame);
        writes
    }

    /// Puts the other half in the ring.
    pub(super) fn end(&mut self, random: &mut StdRng) -> Writes {
        let rest = std::mem::take(&mut self.begun);
        let flags = self.end_flags(true, random);
        let writes = self.post(&rest, flags, random);
        self.complete(flags);
        writes
    }

    /// The half of a frame will never leave.
    pub(super) fn abandon(&mut self) {
        self.begun.clear();
        self.frames.pop_back();
    }

    /// Says what is in the ring, and of some completions, or none, that they are read: the doorbell.
    pub(super) fn ring(&mut self, random: &mut StdRng) -> (u32, u32) {
        self.told = match random.random_bool(0.7) {
            true => self.cq.consumer,
            // As late as leaves room for all that can come.
            false => self.cq.consumer - (self.cq.consumer - self.told).min(self.sq.size() / 2),
        };
        let arm = random.random_bool(0.4);
        self.armed |= arm;
        if self.made != self.told {
            self.fire();
        }
        let consumer = (self.told % u64::from(INDEX_MODULUS)) as u32;
        let value =
            self.sq.doorbell() | doorbell::CONSUMER.of(consumer) | doorbell::ARM.of(arm.into());
        (self.page() + regs::tx_doorbell::OFFSET, value)
    }

    fn fire(&mut self) {
        if std::mem::take(&mut self.armed) {
            self.interrupts += 1;
        }
    }

    /// Compares a completion with what must come.
    pub(super) fn check(&self, n: usize, cqe: Cqe) -> Result<(), String> {
        let got = (cqe.index & Cqe::INDEX, cqe.status);
        match self.completions.get(n) {
            Some(expected) if *expected == got => Ok(()),
            expected => Err(format!(
                "completion {n}: (index, status) is {got:x?}, not {expected:x?}"
            )),
        }
    }

    /// All is quiet: what was expected has come and is read.
    pub(super) fn taken(&mut self) {
        self.made += self.completions.len() as u64;
        if !self.completions.is_empty() {
            self.fire();
        }
        self.completions.clear();
        self.frames.clear();
        self.unretired = 0;
    }
}
