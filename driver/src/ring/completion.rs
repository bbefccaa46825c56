//! The consumer's side of a completion ring (TXCQ, RXCQ, events).
use super::Index;
use crate::DmaBuf;
use ferrule_abi::ring::{Cqe, ENTRY_SIZE};
use std::convert::Infallible;

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

    #[inline]
    fn at(&self, index: Index) -> usize {
        self.offset + usize::from(index.entry(self.log2)) * ENTRY_SIZE
    }

    #[inline]
    fn is_new(&self, index: Index, last: u32) -> bool {
        (Cqe::PHASE.get(last) == 1) == index.phase(self.log2)
    }

    /// Whether the device has written an entry that was not taken.
    pub(crate) fn has_entry(&self) -> bool {
        let last = self.memory.load_acquire(self.at(self.consumer) + 12);
        self.is_new(self.consumer, last)
    }

    /// Takes the entries that the device has written, at most `max`, and gives each to `each` as its four words, until that fails; the entry
    /// for which it does is the last one taken.
    #[inline]
    pub(crate) fn take<E>(
        &mut self,
        max: usize,
        mut each: impl FnMut([u32; 4]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut index = self.consumer;
        let mut result = Ok(());
        for _ in 0..max {
            let is_new = |last| self.is_new(index, last);
            let Some(words) = self.memory.load_entry(self.at(index), is_new) else {
                break;
            };
            index.advance(1);
            result = each(words);
            if result.is_err() {
                break;
            }
        }
        self.consumer = index;
        result
    }

    /// The next entry as its four words, if the device has written it.
    pub(crate) fn next(&mut self) -> Option<[u32; 4]> {
        let mut next = None;
        let Ok(()) = self.take(1, |words| {
            next = Some(words);
            Ok::<(), Infallible>(())
        });
        next
    }

    /// How far the host has read.
    #[inline]
    pub(crate) fn consumer(&self) -> Index {
        self.consumer
    }
}
