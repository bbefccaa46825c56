//! Which port has which I/O virtual addresses of the function: they have one table for their memory, and none may touch another's.
use crate::iova::IovaAllocator;
use crate::DeviceError;
use std::collections::BTreeMap;
use std::ops::Range;

/// What is taken.
#[derive(Debug, Default)]
pub(super) struct Iovas {
    /// By the first address.
    taken: BTreeMap<u64, Taken>,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    end: u64,
    port: u8,
    /// How many bytes of memory are there; none as long as it is only reserved.
    mapped: Option<u64>,
}

impl Iovas {
    /// Takes addresses for a port as [`IovaAllocator::allocate`] does, until it maps and unmaps something there or is closed.
    pub(super) fn reserve(&mut self, port: u8, range: &Range<u64>, len: u64) -> Option<u64> {
        let taken = self.taken.iter().map(|(start, taken)| *start..taken.end);
        let mut free = IovaAllocator::new(range.clone()).without(taken);
        let iova = free.allocate(len)?;
        let taken = Taken {
            end: iova + len,
            port,
            mapped: None,
        };
        self.taken.insert(iova, taken);
        Some(iova)
    }

    /// Notes that a port maps `len` bytes at `iova`: within what it has reserved there, or where nothing is taken.
    ///
    /// # Errors
    /// [`DeviceError::IovaTaken`].
    pub(super) fn map(&mut self, port: u8, iova: u64, len: u64) -> Result<(), DeviceError> {
        let end = iova.saturating_add(len);
        // They do not overlap: only the last that begins before the end can reach into it.
        if let Some((start, taken)) = self.taken.range_mut(..end).next_back() {
            let is_reserved = taken.mapped.is_none() && taken.port == port;
            if is_reserved && *start == iova && end <= taken.end {
                (taken.mapped, taken.end) = (Some(len), end);
                return Ok(());
            }
            if taken.end > iova {
                return Err(DeviceError::IovaTaken {
                    iova,
                    len,
                    port: taken.port,
                });
            }
        }
        let taken = Taken {
            end,
            port,
            mapped: Some(len),
        };
        self.taken.insert(iova, taken);
        Ok(())
    }

    /// Whether a port has mapped exactly this.
    pub(super) fn has_mapped(&self, port: u8, iova: u64, len: u64) -> bool {
        let is_it = |taken: &Taken| taken.port == port && taken.mapped == Some(len);
        self.taken.get(&iova).is_some_and(is_it)
    }

    /// What begins at `iova` is free again.
    pub(super) fn free(&mut self, iova: u64) {
        self.taken.remove(&iova);
    }

    /// Frees everything of a port; where it had mapped memory, and how many bytes.
    pub(super) fn close(&mut self, port: u8) -> Vec<(u64, u64)> {
        let own = self.taken.extract_if(.., |_, taken| taken.port == port);
        own.filter_map(|(iova, taken)| Some((iova, taken.mapped?)))
            .collect()
    }
}
