//! Host memory of a bench: a memfd that the device reaches through the DMA table and the host through file reads and writes.
use std::fs::File;
use std::os::unix::fs::FileExt;

use ferrule_sim::dma::{Backing, DmaTable, Rights};
use rustix::fs::{memfd_create, MemfdFlags};

/// Where the memory is for the device: above 4 GiB, so that addresses take 64 bits.
pub const IOVA: u64 = 0x12_4000_0000;
/// Pages of the device.
pub const PAGE: u64 = 4096;

/// The memory.
pub struct HostMemory {
    file: File,
    size: u64,
    used: u64,
}

impl HostMemory {
    /// `size` bytes of zeros.
    ///
    /// # Panics
    /// If the operating system has no memory.
    pub fn new(size: u64) -> Self {
        let fd = memfd_create("ferrule-bench", MemfdFlags::CLOEXEC).expect("a memfd");
        let file = File::from(fd);
        file.set_len(size).expect("memory");
        Self {
            file,
            size,
            used: 0,
        }
    }

    /// Gives all of it to the device.
    ///
    /// # Panics
    /// If it has it already.
    pub fn map(&self, dma: &mut DmaTable) {
        self.map_at(dma, IOVA);
    }

    /// Gives all of it to the device at `iova`.
    ///
    /// # Panics
    /// If something is mapped there already.
    pub fn map_at(&self, dma: &mut DmaTable, iova: u64) {
        let rights = Rights {
            read: true,
            write: true,
        };
        let file = self.file.try_clone().expect("a descriptor");
        dma.map(iova, self.size, rights, Backing::File(file.into(), 0))
            .expect("the mapping");
    }

    /// Room for `len` bytes on pages of its own; its address for the device.
    ///
    /// # Panics
    /// If the memory is used up.
    pub fn take(&mut self, len: u64) -> u64 {
        let at = self.used;
        self.used += len.next_multiple_of(PAGE);
        assert!(self.used <= self.size, "the bench's memory is used up");
        IOVA + at
    }

    /// The bytes at `iova`.
    ///
    /// # Panics
    /// Beyond the memory.
    pub fn read(&self, iova: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.file
            .read_exact_at(&mut bytes, iova - IOVA)
            .expect("an address in the memory");
        bytes
    }

    /// Puts bytes at `iova`.
    ///
    /// # Panics
    /// Beyond the memory.
    pub fn write(&self, iova: u64, bytes: &[u8]) {
        assert!(iova - IOVA + bytes.len() as u64 <= self.size);
        self.file
            .write_all_at(bytes, iova - IOVA)
            .expect("an address in the memory");
    }

    /// A ring entry.
    pub fn read_entry(&self, iova: u64) -> [u32; 4] {
        let b = self.read(iova, 16);
        std::array::from_fn(|i| {
            u32::from_le_bytes([b[4 * i], b[4 * i + 1], b[4 * i + 2], b[4 * i + 3]])
        })
    }

    /// Puts a ring entry.
    pub fn write_entry(&self, iova: u64, words: [u32; 4]) {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.write(iova, &bytes);
    }

    /// Everything, to see later what has changed.
    pub fn snapshot(&self) -> Vec<u8> {
        self.read(IOVA, self.size as usize)
    }
}
