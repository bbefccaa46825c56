//! Registers of a BAR that is mapped into this process.
use memmap2::{MmapOptions, MmapRaw};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use volatile_register::RW;

/// A mapped BAR. Accesses are 32 bits, little endian, volatile, and checked against the mapping's end.
#[derive(Debug)]
pub struct MappedBar(MmapRaw);

impl MappedBar {
    /// Maps `len` bytes at `offset` of `fd`.
    ///
    /// # Errors
    /// What mmap(2) reports.
    pub fn new(fd: BorrowedFd<'_>, offset: u64, len: usize) -> io::Result<Self> {
        MmapOptions::new()
            .offset(offset)
            .len(len)
            .map_raw(fd.as_raw_fd())
            .map(Self)
    }

    /// The register at byte `offset`, if it is aligned and inside.
    fn register(&self, offset: u32) -> Option<&RW<u32>> {
        let offset = offset as usize;
        if !offset.is_multiple_of(4) || offset.checked_add(4)? > self.0.len() {
            return None;
        }
        let register = self.0.as_mut_ptr().wrapping_add(offset).cast::<RW<u32>>();
        // SAFETY: inside the mapping, which lives as long as self; aligned, as mappings start on a page; RW is a cell for volatile access.
        Some(unsafe { &*register })
    }

    /// Reads a register; `None` if it is misaligned or outside.
    pub fn read(&self, offset: u32) -> Option<u32> {
        self.register(offset).map(|r| u32::from_le(r.read()))
    }

    /// Writes a register; `None` if it is misaligned or outside.
    pub fn write(&self, offset: u32, value: u32) -> Option<()> {
        let register = self.register(offset)?;
        // SAFETY: what a register write makes the device do is bounded by what is mapped for its DMA; no Rust object is in reach of it. Without an
        // IOMMU that bound is the addresses that the device is told, which whoever asked for such a device (`pci-no-iommu:`) answers for.
        unsafe { register.write(value.to_le()) };
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{ftruncate, memfd_create, MemfdFlags};
    use std::os::fd::AsFd;

    #[test]
    fn registers_are_little_endian_and_end_where_the_bar_ends() {
        let fd = memfd_create("bar", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&fd, 8192).unwrap();
        let bar = MappedBar::new(fd.as_fd(), 4096, 4096).unwrap();
        assert_eq!(bar.write(0xFFC, 0x0403_0201), Some(()));
        assert_eq!(bar.read(0xFFC), Some(0x0403_0201));
        let mut bytes = [0; 4];
        rustix::io::pread(&fd, &mut bytes, 8188).unwrap();
        assert_eq!(bytes, [1, 2, 3, 4]);
        for offset in [1, 2, 0xFFD, 0x1000, u32::MAX, u32::MAX - 3] {
            assert_eq!((bar.read(offset), bar.write(offset, 0)), (None, None));
        }
    }
}
