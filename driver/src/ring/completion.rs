//! The consumer's side of a completion ring (TXCQ, RXCQ, events).
use super::Index;
use crate::DmaBuf;
use ferrule_abi::ring::{Cqe, ENTRY_SIZE};

#[derive(Debug)]
pub(crate) struct CompletionRing {
    memory: DmaBuf,
    offset: usize,
    log2: u8,
    consumer: Index,
}

impl CompletionRing {
    /// The ring of 2^log2 entries at `offset` of `memory`; it is zeroed, so that no entry has the phase of the first pass.
    pub(crate) fn new(memory: DmaBuf, offset: usize, log2: u8) -> Self {
        memory.zero(offset, ENTRY_SIZE << log2);
        Self {
            memory,
            offset,
            log2,
            consumer: Index::default(),
        }
    }

    fn at(&self) -> usize {
        self.offset + usize::from(self.consumer.entry(self.log2)) * ENTRY_SIZE
    }

    fn is_new(&self, last: u32) -> bool {
        (Cqe::PHASE.get(last) == 1) == self.consumer.phase(self.log2)
    }

    /// Whether the device has written an entry that was not taken.
    pub(crate) fn has_entry(&self) -> bool {
        self.is_new(self.memory.load_acquire(self.at() + 12))
    }

    /// The next entry as its four words, if the device has written it.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<[u32; 4]> {
        let at = self.at();
        let last = self.memory.load_acquire(at + 12);
        if !self.is_new(last) {
            return None;
        }
        let memory = &self.memory;
        let words = [
            memory.load(at),
            memory.load(at + 4),
            memory.load(at + 8),
            last,
        ];
        self.consumer.advance(1);
        Some(words)
    }

    /// How far the host has read.
    pub(crate) fn consumer(&self) -> Index {
        self.consumer
    }
}
