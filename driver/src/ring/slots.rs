//! Receive slots in the host's hands, and how they come back.
use crate::lock::Mutex;
use crate::DmaBuf;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// The memory of all slots, and those that their holders have dropped.
#[derive(Debug)]
pub(crate) struct SlotPool {
    pub(crate) memory: DmaBuf,
    /// Where slot 0 is.
    pub(crate) offset: usize,
    /// Size of a slot, log2 of bytes.
    pub(crate) size_log2: u8,
    returned: Mutex<Vec<u16>>,
    /// How many those are, to be looked at without the lock.
    waiting: AtomicUsize,
}

impl SlotPool {
    pub(crate) fn new(memory: DmaBuf, offset: usize, size_log2: u8, count: u16) -> Self {
        Self {
            memory,
            offset,
            size_log2,
            returned: Mutex::new(Vec::with_capacity(count.into())),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Where a slot is in the memory.
    #[inline]
    pub(crate) fn at(&self, slot: u16) -> usize {
        self.offset + (usize::from(slot) << self.size_log2)
    }

    /// Whether something was dropped. What comes back at this moment is found the next time.
    #[inline]
    pub(crate) fn has_returned(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// Moves what was dropped to `to`.
    #[inline]
    pub(crate) fn collect(&self, to: &mut Vec<u16>) {
        if self.has_returned() {
            let mut returned = self.returned.lock();
            self.waiting.store(0, Ordering::Release);
            to.append(&mut returned);
        }
    }

    fn give_back(&self, slot: u16) {
        let mut returned = self.returned.lock();
        returned.push(slot);
        self.waiting.store(returned.len(), Ordering::Release);
    }
}

/// A slot that a packet's holder keeps; dropping it gives it back.
#[derive(Debug)]
struct Held {
    pool: Arc<SlotPool>,
    slot: u16,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.pool.give_back(self.slot);
    }
}

#[derive(Clone)]
enum Storage {
    Slot(Arc<Held>),
    Copied(Arc<[u8]>),
}

/// Bytes of a received packet beyond its head: an owned handle. They may still lie where the device can write, so they are only ever copied
/// out, and what is copied twice may differ. The receive slot is free again when the last handle to it is dropped.
#[derive(Clone)]
pub struct RxBuf {
    storage: Storage,
    range: Range<usize>,
}

impl RxBuf {
    /// Bytes `range` of a slot of `pool`, which must be the host's. The range must lie in the slot.
    pub(crate) fn in_slot(pool: &Arc<SlotPool>, slot: u16, range: Range<usize>) -> Self {
        let held = Held {
            pool: Arc::clone(pool),
            slot,
        };
        Self {
            storage: Storage::Slot(Arc::new(held)),
            range,
        }
    }

    pub(crate) fn copied(bytes: Vec<u8>) -> Self {
        Self {
            range: 0..bytes.len(),
            storage: Storage::Copied(bytes.into()),
        }
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// Whether it keeps a receive slot from the device.
    pub fn holds_slot(&self) -> bool {
        matches!(self.storage, Storage::Slot(_))
    }

    /// A handle to a part of it. Panics if `range` is not inside, as a slice does.
    #[track_caller]
    pub fn slice(&self, range: Range<usize>) -> Self {
        assert!(
            range.start <= range.end && range.end <= self.len(),
            "{range:?} of {} bytes",
            self.len()
        );
        Self {
            storage: self.storage.clone(),
            range: self.range.start + range.start..self.range.start + range.end,
        }
    }

    /// Copies the bytes from `offset` on to `to`. Panics if there are not enough, as a slice does.
    #[track_caller]
    pub fn copy_to(&self, offset: usize, to: &mut [u8]) {
        assert!(
            offset <= self.len() && to.len() <= self.len() - offset,
            "{} bytes at {offset} of {}",
            to.len(),
            self.len()
        );
        let start = self.range.start + offset;
        match &self.storage {
            Storage::Slot(held) => held.pool.memory.read(held.pool.at(held.slot) + start, to),
            Storage::Copied(bytes) => to.copy_from_slice(&bytes[start..start + to.len()]),
        }
    }

    /// All bytes, copied.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len()];
        self.copy_to(0, &mut bytes);
        bytes
    }
}

impl fmt::Debug for RxBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "RxBuf({} bytes, slot: {})",
            self.len(),
            self.holds_slot()
        )
    }
}
