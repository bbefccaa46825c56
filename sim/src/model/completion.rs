//! Completion rings: entries collected to lines of 64 bytes, phases, and the one-shot interrupt.
use ferrule_abi::ring::{Cqe, ENTRY_SIZE, INDEX_MODULUS};

use super::io::Io;

/// Entries of a line.
const LINE: usize = 4;
const MODULO: u16 = INDEX_MODULUS as u16 - 1;

/// Difference of two free-running indices.
pub(super) fn distance(from: u16, to: u16) -> u16 {
    to.wrapping_sub(from) & MODULO
}

/// An index some steps on.
pub(super) fn advance(index: u16, by: u16) -> u16 {
    index.wrapping_add(by) & MODULO
}

/// The ring, as the device sees it.
#[derive(Default)]
pub(super) struct CompletionRing {
    base: u64,
    size: u16,
    /// Entries taken.
    head: u16,
    /// Entries written.
    tail: u16,
    /// Entries that the host says it has read.
    seen: u16,
    armed: bool,
    line: [[u8; ENTRY_SIZE]; LINE],
    /// One bit, that of the vector; none for a vector that does not exist.
    flag: u8,
}

impl CompletionRing {
    /// Where the ring is; the register is looked at whenever a line is written.
    pub(super) fn set_base(&mut self, base: u64) {
        self.base = base;
    }

    /// Begins with index 0 and phase 1.
    pub(super) fn start(&mut self, log2: u32, vector: u32) {
        *self = Self {
            base: self.base,
            size: 1 << log2,
            flag: (1u32 << vector) as u8,
            ..Self::default()
        };
    }

    /// Whether a doorbell's consumer is not between the last one and what has been written.
    pub(super) fn is_bad(&self, consumer: u16) -> bool {
        distance(self.seen, consumer) > distance(self.seen, self.tail)
    }

    /// Takes a doorbell over.
    pub(super) fn update(&mut self, consumer: u16, arm: bool, io: &mut Io<'_>) {
        self.seen = consumer;
        self.armed |= arm;
        if self.armed {
            self.flush(io);
        }
        self.fire(io);
    }

    /// Whether all entries taken are written.
    pub(super) fn is_flushed(&self) -> bool {
        self.head == self.tail
    }

    /// Whether another entry has room.
    pub(super) fn has_room(&self) -> bool {
        distance(self.seen, self.head) < self.size
    }

    /// Puts an entry in, whose phase is clear; `more` says that another one follows at once. Without room nothing happens, and the answer
    /// is false.
    pub(super) fn push(&mut self, entry: [u32; 4], more: bool, io: &mut Io<'_>) -> bool {
        if !self.has_room() {
            self.flush(io);
            return false;
        }
        let [w0, w1, w2, mut w3] = entry;
        if self.head & self.size == 0 {
            w3 = Cqe::PHASE.set(w3, 1);
        }
        let place = &mut self.line[usize::from(self.head) % LINE];
        for (bytes, word) in place.chunks_exact_mut(4).zip([w0, w1, w2, w3]) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        self.head = advance(self.head, 1);
        if !more || self.armed || usize::from(self.head) % LINE == 0 {
            self.flush(io);
        }
        true
    }

    /// Writes the line, if there is anything in it.
    pub(super) fn flush(&mut self, io: &mut Io<'_>) {
        let entries = distance(self.tail, self.head);
        if entries == 0 {
            return;
        }
        let from = usize::from(self.tail) % LINE;
        let place = u64::from(self.tail & (self.size - 1)) * ENTRY_SIZE as u64;
        let data = self.line[from..from + usize::from(entries)].as_flattened();
        // A line never crosses the smallest payload.
        io.write(self.base.wrapping_add(place), data, 128);
        self.tail = self.head;
        self.fire(io);
    }

    fn fire(&mut self, io: &mut Io<'_>) {
        if self.armed && self.tail != self.seen {
            self.armed = false;
            io.raised |= self.flag;
        }
    }
}
