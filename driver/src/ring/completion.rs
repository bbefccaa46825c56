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

    /// Whether the device has written an entry that was not taken.
    #[inline]
    pub(crate) fn has_entry(&self) -> bool {
        let (index, log2) = (self.consumer, self.log2);
        let at = self.offset + usize::from(index.entry(log2)) * ENTRY_SIZE;
        is_new(index, log2, self.memory.load_acquire(at + 12))
    }

    /// Takes the entries that the device has written, at most `max`, and gives each to `each` as its four words, until that fails; the entry
    /// for which it does is the last one taken.
    #[inline]
    pub(crate) fn take<E>(
        &mut self,
        max: usize,
        mut each: impl FnMut([u32; 4]) -> Result<(), E>,
    ) -> Result<(), E> {
        let entries = self.memory.entries(self.offset, self.log2);
        for _ in 0..max {
            let index = self.consumer;
            let is_new = |last| is_new(index, self.log2, last);
            let Some(words) = entries.load(index.count(), is_new) else {
                break;
            };
            // Before `each`, which may be a program's and panic: an entry is taken once.
            self.consumer.advance(1);
            each(words)?;
        }
        Ok(())
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

/// Whether the entry at this index of a ring of 2^log2, whose last word this is, was written on this pass.
#[inline]
fn is_new(index: Index, log2: u8, last: u32) -> bool {
    (Cqe::PHASE.get(last) == 1) == index.phase(log2)
}
