//! Host memory as the device may reach it: ranges of I/O virtual addresses over mmapped files, with rights.
//!
//! Mappings may come by the thousand, one a page (a guest's IOMMU does that), so a file is mapped once, whole, and shared by its ranges.
//! Memory that cannot be mapped is somebody else's, who is asked for each access ([`Remote`]).
#![allow(
    unsafe_code,
    reason = "reads and writes shared memory through raw pointers"
)]
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{fence, AtomicU64, AtomicU8, Ordering};
use std::sync::{Arc, Weak};

use memmap2::{MmapOptions, MmapRaw};
use thiserror::Error;

/// What the device may do with a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// The device may read.
    pub read: bool,
    /// The device may write.
    pub write: bool,
}

/// Why a range was not mapped or unmapped.
#[derive(Debug, Error)]
pub enum MapError {
    /// Zero bytes, or beyond the end of the address space.
    #[error("the range of {size:#x} bytes at {iova:#x} is empty or leaves the address space")]
    BadRange {
        /// First address.
        iova: u64,
        /// Bytes.
        size: u64,
    },
    /// Part of the range is mapped already.
    #[error("the range of {size:#x} bytes at {iova:#x} overlaps a mapping; unmap that one first")]
    Overlap {
        /// First address.
        iova: u64,
        /// Bytes.
        size: u64,
    },
    /// The file ends before the range does: a later access would be a SIGBUS.
    #[error("the file holds {have:#x} bytes, the mapping needs {need:#x}")]
    BeyondFile {
        /// Bytes of the file.
        have: u64,
        /// Bytes needed.
        need: u64,
    },
    /// The range to unmap starts or ends within a mapping.
    #[error("the range of {size:#x} bytes at {iova:#x} cuts a mapping in two; mappings are unmapped whole")]
    Bisects {
        /// First address.
        iova: u64,
        /// Bytes.
        size: u64,
    },
    /// The operating system's error.
    #[error("mapping the memory: {0}")]
    Io(#[from] std::io::Error),
}

/// Why the device may not have an access. No byte has moved then, unless it was a write of which the owner of remote memory has refused a
/// later part.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{address:#x} is not mapped for this access")]
pub struct Refused {
    /// The first address that could not be reached.
    pub address: u64,
}

/// Memory that is reached by asking its owner. The range and its rights have been checked before.
pub trait Remote: Send + Sync {
    /// Fills `out` from the bytes at `address`.
    ///
    /// # Errors
    /// [`Refused`] if the owner does not give them; what is in `out` then has no meaning.
    fn read(&self, address: u64, out: &mut [u8]) -> Result<(), Refused>;
    /// Writes `data` at `address`; the owner has it once this returns.
    ///
    /// # Errors
    /// [`Refused`] if the owner does not take all of it.
    fn write(&self, address: u64, data: &[u8]) -> Result<(), Refused>;
}

/// Where the bytes of a range are.
pub enum Backing {
    /// In a file, from this offset on.
    File(OwnedFd, u64),
    /// With somebody who is asked by the device's addresses.
    Remote(Arc<dyn Remote>),
}

/// Which file, and whether it is mapped for writing too.
type FileKey = (u64, u64, bool);

struct Mapping {
    size: u64,
    rights: Rights,
    memory: Memory,
}

enum Memory {
    /// A file's memory and where in it the range starts.
    Mapped(Arc<MmapRaw>, usize),
    Remote(Arc<dyn Remote>),
}

/// The ranges.
#[derive(Default)]
pub struct DmaTable {
    ranges: BTreeMap<u64, Mapping>,
    files: HashMap<FileKey, Weak<MmapRaw>>,
}

impl DmaTable {
    /// Gives the device `size` bytes at `iova`.
    ///
    /// # Errors
    /// See [`MapError`]; the table is unchanged then.
    pub fn map(
        &mut self,
        iova: u64,
        size: u64,
        rights: Rights,
        backing: Backing,
    ) -> Result<(), MapError> {
        let last = match size.checked_sub(1).and_then(|s| iova.checked_add(s)) {
            Some(last) => last,
            None => return Err(MapError::BadRange { iova, size }),
        };
        // The nearest mapping that starts at or below the last address is the only one that can overlap.
        if let Some((base, m)) = self.ranges.range(..=last).next_back() {
            if base + (m.size - 1) >= iova {
                return Err(MapError::Overlap { iova, size });
            }
        }
        let memory = match backing {
            Backing::Remote(owner) => Memory::Remote(owner),
            Backing::File(fd, offset) => {
                let need = offset
                    .checked_add(size)
                    .ok_or(MapError::BadRange { iova, size })?;
                // An offset that does not fit cannot lie within the file.
                let at = usize::try_from(offset).map_err(|_| MapError::BadRange { iova, size })?;
                Memory::Mapped(self.file(fd, need, rights.write)?, at)
            }
        };
        self.ranges.insert(
            iova,
            Mapping {
                size,
                rights,
                memory,
            },
        );
        Ok(())
    }

    fn file(&mut self, fd: OwnedFd, need: u64, write: bool) -> Result<Arc<MmapRaw>, MapError> {
        let file = File::from(fd);
        let meta = file.metadata()?;
        let key = (meta.dev(), meta.ino(), write);
        if meta.len() < need {
            return Err(MapError::BeyondFile {
                have: meta.len(),
                need,
            });
        }
        if let Some(known) = self.files.get(&key).and_then(Weak::upgrade) {
            if known.len() as u64 >= need {
                return Ok(known);
            }
        }
        let len = usize::try_from(meta.len())
            .map_err(|_| std::io::Error::from(std::io::ErrorKind::OutOfMemory))?;
        let mut options = MmapOptions::new();
        options.len(len);
        let whole = Arc::new(if write {
            options.map_raw(&file)?
        } else {
            options.map_raw_read_only(&file)?
        });
        self.files.retain(|_, w| w.strong_count() > 0);
        self.files.insert(key, Arc::downgrade(&whole));
        Ok(whole)
    }

    /// Takes back every mapping within the range: many, one or none. Gives the bytes unmapped.
    ///
    /// # Errors
    /// [`MapError::BadRange`], [`MapError::Bisects`]; nothing is unmapped then.
    pub fn unmap(&mut self, iova: u64, size: u64) -> Result<u64, MapError> {
        let last = match size.checked_sub(1).and_then(|s| iova.checked_add(s)) {
            Some(last) => last,
            None => return Err(MapError::BadRange { iova, size }),
        };
        if let Some((base, m)) = self.ranges.range(..iova).next_back() {
            if base + (m.size - 1) >= iova {
                return Err(MapError::Bisects { iova, size });
            }
        }
        if let Some((base, m)) = self.ranges.range(iova..=last).next_back() {
            if base + (m.size - 1) > last {
                return Err(MapError::Bisects { iova, size });
            }
        }
        let bases: Vec<u64> = self.ranges.range(iova..=last).map(|(b, _)| *b).collect();
        Ok(bases
            .iter()
            .filter_map(|b| self.ranges.remove(b))
            .map(|m| m.size)
            .sum())
    }

    /// Takes everything back.
    pub fn clear(&mut self) {
        self.ranges.clear();
        self.files.clear();
    }

    /// How many mappings there are.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Fills `out` from the bytes at `address`; a refusal leaves it as it was.
    ///
    /// # Errors
    /// [`Refused`] if any of them is not mapped for reading, or its owner does not give it.
    pub fn read(&self, address: u64, out: &mut [u8]) -> Result<(), Refused> {
        // Pairs with the host's release before its doorbell.
        fence(Ordering::Acquire);
        if let Some(piece) = self.piece(address, out.len(), |r| r.read) {
            piece.load(out);
            return Ok(());
        }
        let parts = self.parts(address, out.len(), |r| r.read)?;
        if parts.iter().all(Part::is_mapped) {
            return load_parts(&parts, out);
        }
        let mut data = vec![0; out.len()];
        load_parts(&parts, &mut data)?;
        out.copy_from_slice(&data);
        Ok(())
    }

    /// Whether the device may write `len` bytes at `address`; owners of remote memory are not asked.
    ///
    /// # Errors
    /// [`Refused`] if any of them is not mapped for writing.
    pub fn check_write(&self, address: u64, len: usize) -> Result<(), Refused> {
        self.parts(address, len, |r| r.write).map(drop)
    }

    /// Writes `data` at `address`, in the order of the addresses, as a posted write becomes visible.
    ///
    /// # Errors
    /// [`Refused`] if any of the bytes is not mapped for writing, or its owner does not take it.
    pub fn write(&self, address: u64, data: &[u8]) -> Result<(), Refused> {
        if let Some(piece) = self.piece(address, data.len(), |r| r.write) {
            piece.store(data);
            return Ok(());
        }
        let parts = self.parts(address, data.len(), |r| r.write)?;
        let mut rest = data;
        for part in parts {
            let (now, later) = rest.split_at(part.len());
            match part {
                Part::Mapped(piece) => piece.store(now),
                Part::Remote { owner, address, .. } => owner.write(address, now)?,
            }
            rest = later;
        }
        Ok(())
    }

    /// The memory behind `len` bytes at `address`, if it lies in one mapped range and may be reached, as is nearly always so.
    fn piece(
        &self,
        address: u64,
        len: usize,
        allowed: impl Fn(Rights) -> bool,
    ) -> Option<Piece<'_>> {
        let (base, m) = self.ranges.range(..=address).next_back()?;
        let within = address - base;
        let fits = within < m.size && len as u64 <= m.size - within && allowed(m.rights);
        match &m.memory {
            Memory::Mapped(memory, start) if fits => Some(Piece {
                memory,
                start: start + within as usize,
                len,
            }),
            _ => None,
        }
    }

    /// What is behind `len` bytes at `address`, range by range, all of it checked.
    fn parts(
        &self,
        address: u64,
        len: usize,
        allowed: impl Fn(Rights) -> bool,
    ) -> Result<Vec<Part<'_>>, Refused> {
        let mut parts = Vec::with_capacity(1);
        let (mut at, mut left) = (address, len as u64);
        while left > 0 {
            let refused = Refused { address: at };
            let (base, m) = self.ranges.range(..=at).next_back().ok_or(refused)?;
            let within = at - base;
            if within >= m.size || !allowed(m.rights) {
                return Err(refused);
            }
            let len = (m.size - within).min(left);
            parts.push(match &m.memory {
                Memory::Mapped(memory, start) => Part::Mapped(Piece {
                    memory,
                    start: start + within as usize,
                    len: len as usize,
                }),
                Memory::Remote(owner) => Part::Remote {
                    owner: &**owner,
                    address: at,
                    len: len as usize,
                },
            });
            left -= len;
            if left > 0 {
                at = at.checked_add(len).ok_or(refused)?;
            }
        }
        Ok(parts)
    }
}

/// The part of an access that lies in one range.
enum Part<'a> {
    Mapped(Piece<'a>),
    Remote {
        owner: &'a dyn Remote,
        address: u64,
        len: usize,
    },
}

impl Part<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Mapped(piece) => piece.len,
            Self::Remote { len, .. } => *len,
        }
    }

    fn is_mapped(&self) -> bool {
        matches!(self, Self::Mapped(_))
    }
}

/// Fills `out`, which is as long as all parts together.
fn load_parts(parts: &[Part<'_>], out: &mut [u8]) -> Result<(), Refused> {
    let mut rest = out;
    for part in parts {
        let (now, later) = rest.split_at_mut(part.len());
        match part {
            Part::Mapped(piece) => piece.load(now),
            Part::Remote { owner, address, .. } => owner.read(*address, now)?,
        }
        rest = later;
    }
    Ok(())
}

/// A stretch of a mapped file: `start + len` is at most its length, by [`DmaTable::map`]'s check.
struct Piece<'a> {
    memory: &'a MmapRaw,
    start: usize,
    len: usize,
}

impl Piece<'_> {
    /// Bytes before the first address that is a multiple of 8.
    fn head(&self) -> usize {
        let address = self.memory.as_ptr() as usize + self.start;
        (address.wrapping_neg() % 8).min(self.len)
    }

    fn byte(&self, index: usize) -> &AtomicU8 {
        debug_assert!(index < self.len);
        // SAFETY: the mapping holds at least start + len bytes (checked against the file's size when it was made), and index < len.
        let at = unsafe { self.memory.as_mut_ptr().add(self.start + index) };
        // SAFETY: `at` lies in a live shared mapping that `self.memory` keeps alive for the borrow; other processes may change it at any
        // time, which an atomic allows for. A read-only mapping is only ever loaded from (rights are checked before `store`).
        unsafe { AtomicU8::from_ptr(at) }
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        debug_assert!(index + 8 <= self.len);
        // SAFETY: as in `byte`, with index + 8 <= len.
        let at = unsafe { self.memory.as_mut_ptr().add(self.start + index) };
        // SAFETY: as in `byte`; the callers pass an index at which the address is a multiple of 8.
        unsafe { AtomicU64::from_ptr(at.cast()) }
    }

    fn load(&self, out: &mut [u8]) {
        let head = self.head();
        let words = (self.len - head) / 8;
        for (i, b) in out[..head].iter_mut().enumerate() {
            *b = self.byte(i).load(Ordering::Relaxed);
        }
        for (i, c) in out[head..head + words * 8].chunks_exact_mut(8).enumerate() {
            c.copy_from_slice(
                &self
                    .word(head + i * 8)
                    .load(Ordering::Relaxed)
                    .to_ne_bytes(),
            );
        }
        for (i, b) in out.iter_mut().enumerate().skip(head + words * 8) {
            *b = self.byte(i).load(Ordering::Relaxed);
        }
    }

    fn store(&self, data: &[u8]) {
        let head = self.head();
        let words = (self.len - head) / 8;
        for (i, b) in data[..head].iter().enumerate() {
            self.byte(i).store(*b, Ordering::Release);
        }
        for (i, c) in data[head..head + words * 8].chunks_exact(8).enumerate() {
            let mut word = [0; 8];
            word.copy_from_slice(c);
            self.word(head + i * 8)
                .store(u64::from_ne_bytes(word), Ordering::Release);
        }
        for (i, b) in data.iter().enumerate().skip(head + words * 8) {
            self.byte(i).store(*b, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests;
