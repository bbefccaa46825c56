//! Which I/O virtual addresses are in use.
use std::collections::BTreeMap;
use std::ops::Range;

/// Where x86 machines catch interrupt messages: a DMA there never reaches memory (Intel SDM vol. 3, "Message Signalled Interrupts").
pub const MSI_WINDOW: Range<u64> = 0xFEE0_0000..0xFEF0_0000;
/// Smallest unit and alignment.
pub const PAGE: u64 = 4096;
/// Alignment of what is at least as large, so that huge pages can back it.
pub const HUGE_PAGE: u64 = 2 << 20;

/// Hands out I/O virtual addresses from a range.
#[derive(Debug)]
pub struct IovaAllocator {
    range: Range<u64>,
    /// Start and end of what is taken, [`MSI_WINDOW`] included.
    taken: BTreeMap<u64, u64>,
}

impl Default for IovaAllocator {
    /// From 4 GiB to 2^39, the narrowest IOMMU in use.
    fn default() -> Self {
        Self::new(1 << 32..1 << 39)
    }
}

impl IovaAllocator {
    /// Hands out from `range`, without [`MSI_WINDOW`].
    pub fn new(range: Range<u64>) -> Self {
        let taken = BTreeMap::from([(MSI_WINDOW.start, MSI_WINDOW.end)]);
        Self { range, taken }
    }

    /// Without ranges that are in use already.
    #[must_use]
    pub fn without(mut self, used: impl IntoIterator<Item = Range<u64>>) -> Self {
        for Range { start, end } in used {
            let taken = self.taken.entry(start).or_insert(end);
            *taken = end.max(*taken);
        }
        self
    }

    /// Takes `len` bytes, rounded up to [`PAGE`], aligned to [`PAGE`], or to [`HUGE_PAGE`] if that large; `None` if there is no such room or
    /// `len` is 0.
    pub fn allocate(&mut self, len: u64) -> Option<u64> {
        let align = if len >= HUGE_PAGE { HUGE_PAGE } else { PAGE };
        let len = len.checked_next_multiple_of(PAGE).filter(|len| *len > 0)?;
        let mut at = self.range.start.checked_next_multiple_of(align)?;
        for (&start, &end) in &self.taken {
            if at.checked_add(len)? <= start {
                break;
            }
            if end > at {
                at = end.checked_next_multiple_of(align)?;
            }
        }
        let end = at.checked_add(len).filter(|end| *end <= self.range.end)?;
        self.taken.insert(at, end);
        Some(at)
    }

    /// Gives back what was taken at `iova`; false if nothing was.
    pub fn free(&mut self, iova: u64) -> bool {
        iova != MSI_WINDOW.start && self.taken.remove(&iova).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranges_never_overlap_nor_touch_the_msi_window(start in 0xFED0_0000u64..0xFF00_0000, steps in prop::collection::vec((any::<bool>(), 1u64..0x50_0000), 1..60)) {
            let range = start..start + 0x400_0000;
            let mut allocator = IovaAllocator::new(range.clone());
            let mut live: Vec<(u64, u64)> = Vec::new();
            for (free, len) in steps {
                if free && !live.is_empty() {
                    let (at, _) = live.swap_remove(len as usize % live.len());
                    prop_assert!(allocator.free(at));
                    prop_assert!(!allocator.free(at));
                } else if let Some(at) = allocator.allocate(len) {
                    let end = at + len;
                    prop_assert!(at % PAGE == 0 && (len < HUGE_PAGE || at % HUGE_PAGE == 0));
                    prop_assert!(at >= range.start && end <= range.end);
                    prop_assert!(end <= MSI_WINDOW.start || at >= MSI_WINDOW.end);
                    for (a, b) in &live {
                        prop_assert!(end <= *a || at >= *b);
                    }
                    live.push((at, end));
                }
            }
        }
    }

    #[test]
    fn what_is_in_use_is_left_out() {
        let free = IovaAllocator::new(0..0x5000);
        // The second begins where another ends, the third within the first.
        let mut free = free.without([0x1000..0x3000, 0x3000..0x4000, 0x2000..0x2800]);
        assert_eq!(free.allocate(0x2000), None);
        assert_eq!(free.allocate(0x1000), Some(0));
        assert_eq!(free.allocate(0x1000), Some(0x4000));
        assert_eq!(free.allocate(0x1000), None);
        // The window of interrupts stays out, whatever begins where it does.
        let mut free = IovaAllocator::new(MSI_WINDOW.start..MSI_WINDOW.end + PAGE);
        free = free.without(Some(MSI_WINDOW.start..MSI_WINDOW.start + PAGE));
        assert_eq!(free.allocate(PAGE), Some(MSI_WINDOW.end));
    }

    #[test]
    fn absurd_lengths_are_refused() {
        let mut allocator = IovaAllocator::default();
        for len in [0, u64::MAX, 1 << 39] {
            assert_eq!(allocator.allocate(len), None);
        }
        assert_eq!(allocator.allocate(1), Some(1 << 32));
        assert!(!allocator.free(MSI_WINDOW.start));
    }
}
