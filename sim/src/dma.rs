//! Host memory as the device may reach it: ranges of I/O virtual addresses over mmapped files, with rights.
//!
//! Mappings may come by the thousand, one a page (a guest's IOMMU does that), so a file is mapped once, whole, and shared by its ranges.
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

/// Why the device may not have an access; no byte has moved then.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{address:#x} is not mapped for this access")]
pub struct Refused {
    /// The first address that could not be reached.
    pub address: u64,
}

/// Which file, and whether it is mapped for writing too.
type FileKey = (u64, u64, bool);

struct Mapping {
    size: u64,
    rights: Rights,
    /// The file's memory and where in it the range starts; none for memory that came without a descriptor.
    memory: Option<(Arc<MmapRaw>, usize)>,
}

/// The ranges.
#[derive(Default)]
pub struct DmaTable {
    ranges: BTreeMap<u64, Mapping>,
    files: HashMap<FileKey, Weak<MmapRaw>>,
}

impl DmaTable {
    /// Gives the device `size` bytes at `iova`: those of `fd` from `offset` on. Without a descriptor, the range is known, but every access
    /// to it is refused.
    ///
    /// # Errors
    /// See [`MapError`]; the table is unchanged then.
    pub fn map(
        &mut self,
        iova: u64,
        size: u64,
        rights: Rights,
        backing: Option<(OwnedFd, u64)>,
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
            None => None,
            Some((fd, offset)) => {
                let need = offset
                    .checked_add(size)
                    .ok_or(MapError::BadRange { iova, size })?;
                // An offset that does not fit cannot lie within the file.
                let at = usize::try_from(offset).map_err(|_| MapError::BadRange { iova, size })?;
                Some((self.file(fd, need, rights.write)?, at))
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

    /// Fills `out` from the bytes at `address`.
    ///
    /// # Errors
    /// [`Refused`] if any of them is not mapped for reading.
    pub fn read(&self, address: u64, out: &mut [u8]) -> Result<(), Refused> {
        let pieces = self.pieces(address, out.len(), |r| r.read)?;
        // Pairs with the host's release before its doorbell.
        fence(Ordering::Acquire);
        let mut rest = out;
        for piece in pieces {
            let (now, later) = rest.split_at_mut(piece.len);
            piece.load(now);
            rest = later;
        }
        Ok(())
    }

    /// Whether the device may write `len` bytes at `address`.
    ///
    /// # Errors
    /// [`Refused`] if any of them is not mapped for writing.
    pub fn check_write(&self, address: u64, len: usize) -> Result<(), Refused> {
        self.pieces(address, len, |r| r.write).map(drop)
    }

    /// Writes `data` at `address`, in the order of the addresses, as a posted write becomes visible.
    ///
    /// # Errors
    /// [`Refused`] if any of the bytes is not mapped for writing.
    pub fn write(&self, address: u64, data: &[u8]) -> Result<(), Refused> {
        let pieces = self.pieces(address, data.len(), |r| r.write)?;
        let mut rest = data;
        for piece in pieces {
            let (now, later) = rest.split_at(piece.len);
            piece.store(now);
            rest = later;
        }
        Ok(())
    }

    /// The memory behind `len` bytes at `address`, all of it checked.
    fn pieces(
        &self,
        address: u64,
        len: usize,
        allowed: impl Fn(Rights) -> bool,
    ) -> Result<Vec<Piece<'_>>, Refused> {
        let mut pieces = Vec::with_capacity(1);
        let (mut at, mut left) = (address, len as u64);
        while left > 0 {
            let refused = Refused { address: at };
            let (base, m) = self.ranges.range(..=at).next_back().ok_or(refused)?;
            let within = at - base;
            if within >= m.size || !allowed(m.rights) {
                return Err(refused);
            }
            let (memory, start) = m.memory.as_ref().ok_or(refused)?;
            let len = (m.size - within).min(left);
            pieces.push(Piece {
                memory,
                start: start + within as usize,
                len: len as usize,
            });
            left -= len;
            if left > 0 {
                at = at.checked_add(len).ok_or(refused)?;
            }
        }
        Ok(pieces)
    }
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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{Read, Seek, SeekFrom, Write};

    const RW: Rights = Rights {
        read: true,
        write: true,
    };

    fn memory(size: usize) -> File {
        let mut f = tempfile::tempfile().unwrap();
        f.write_all(&vec![0; size]).unwrap();
        f
    }
    fn contents(f: &File) -> Vec<u8> {
        let (mut f, mut all) = (f.try_clone().unwrap(), vec![]);
        f.seek(SeekFrom::Start(0)).unwrap();
        f.read_to_end(&mut all).unwrap();
        all
    }
    fn fd(f: &File) -> OwnedFd {
        f.try_clone().unwrap().into()
    }

    #[test]
    fn an_access_over_neighbouring_mappings_is_one_access() {
        let (a, b) = (memory(0x3000), memory(0x1000));
        let mut t = DmaTable::default();
        t.map(0x1_0000, 0x1000, RW, Some((fd(&a), 0x2000))).unwrap();
        t.map(0x1_1000, 0x1000, RW, Some((fd(&b), 0))).unwrap();
        let data: Vec<u8> = (1..=21).collect();
        t.write(0x1_0FF5, &data).unwrap();
        assert_eq!(contents(&a)[0x2FF5..], data[..11]);
        assert_eq!(contents(&b)[..10], data[11..]);
        let mut back = vec![0; 21];
        t.read(0x1_0FF5, &mut back).unwrap();
        assert_eq!(back, data);
    }

    #[test]
    fn a_refused_access_moves_no_byte() {
        let a = memory(0x2000);
        let mut t = DmaTable::default();
        t.map(0x1000, 0x1000, RW, Some((fd(&a), 0))).unwrap();
        t.map(
            0x2000,
            0x1000,
            Rights {
                read: true,
                write: false,
            },
            Some((fd(&a), 0x1000)),
        )
        .unwrap();
        assert_eq!(t.write(0x1FFC, &[1; 8]), Err(Refused { address: 0x2000 }));
        assert_eq!(t.write(0x0FFC, &[1; 8]), Err(Refused { address: 0x0FFC }));
        assert_eq!(
            t.read(0x2FFC, &mut [0; 8]),
            Err(Refused { address: 0x3000 })
        );
        assert!(contents(&a).iter().all(|b| *b == 0));
        assert_eq!(t.write(0x5000, &[]), Ok(()));
    }

    #[test]
    fn memory_without_a_descriptor_and_the_top_of_the_address_space() {
        let a = memory(0x1000);
        let mut t = DmaTable::default();
        t.map(0x1000, 0x1000, RW, None).unwrap();
        assert_eq!(
            t.read(0x1000, &mut [0; 4]),
            Err(Refused { address: 0x1000 })
        );
        t.map(u64::MAX - 0xFFF, 0x1000, RW, Some((fd(&a), 0)))
            .unwrap();
        t.write(u64::MAX - 3, &[7; 4]).unwrap();
        assert!(t.write(u64::MAX - 3, &[7; 5]).is_err());
        assert!(matches!(
            t.map(u64::MAX, 2, RW, None),
            Err(MapError::BadRange { .. })
        ));
        assert!(matches!(
            t.map(0, 0, RW, None),
            Err(MapError::BadRange { .. })
        ));
        assert!(matches!(
            t.map(0x8000, 0x2000, RW, Some((fd(&a), 0))),
            Err(MapError::BeyondFile {
                have: 0x1000,
                need: 0x2000
            })
        ));
        assert!(matches!(
            t.map(0x8000, 0x1000, RW, Some((fd(&a), u64::MAX))),
            Err(MapError::BadRange { .. })
        ));
        assert_eq!(t.len(), 2);
    }

    #[test]
    fn a_file_that_grew_is_mapped_anew() {
        let mut a = memory(0x1000);
        let mut t = DmaTable::default();
        t.map(0, 0x1000, RW, Some((fd(&a), 0))).unwrap();
        a.write_all(&[0; 0x1000]).unwrap();
        t.map(0x1000, 0x1000, RW, Some((fd(&a), 0x1000))).unwrap();
        t.write(0xFFE, &[1, 2, 3, 4]).unwrap();
        assert_eq!(contents(&a)[0xFFE..0x1002], [1, 2, 3, 4]);
    }

    /// The plain model: a byte of address space is nothing, or rights and a byte of the file.
    #[derive(Clone, Copy, Default, PartialEq, Debug)]
    struct Cell {
        mapping: usize,
        read: bool,
        write: bool,
        at: usize,
    }
    const SPACE: usize = 96;

    #[derive(Clone, Debug)]
    enum Op {
        Map {
            at: usize,
            len: usize,
            read: bool,
            write: bool,
            offset: usize,
        },
        Unmap {
            at: usize,
            len: usize,
        },
        Read {
            at: usize,
            len: usize,
        },
        Write {
            at: usize,
            len: usize,
            value: u8,
        },
    }

    fn op() -> impl Strategy<Value = Op> {
        let (at, len) = (0..SPACE, 0..24usize);
        prop_oneof![
            (
                at.clone(),
                len.clone(),
                any::<bool>(),
                any::<bool>(),
                0..SPACE
            )
                .prop_map(|(at, len, read, write, offset)| Op::Map {
                    at,
                    len,
                    read,
                    write,
                    offset
                }),
            (at.clone(), 0..64usize).prop_map(|(at, len)| Op::Unmap { at, len }),
            (at.clone(), len.clone()).prop_map(|(at, len)| Op::Read { at, len }),
            (at, len, any::<u8>()).prop_map(|(at, len, value)| Op::Write { at, len, value }),
        ]
    }

    proptest! {
        #[test]
        fn behaves_like_a_table_of_bytes(base in prop_oneof![Just(0u64), Just(0x1_0000_0FF3), Just(u64::MAX - 300)], ops in prop::collection::vec(op(), 1..80)) {
            let file = memory(SPACE + 24);
            let mut bytes = vec![0u8; SPACE + 24];
            let mut cells: Vec<Option<Cell>> = vec![None; SPACE + 100];
            let mut t = DmaTable::default();
            for (n, op) in ops.into_iter().enumerate() {
                match op {
                    Op::Map { at, len, read, write, offset } => {
                        let free = len > 0 && cells[at..at + len].iter().all(Option::is_none);
                        let done = t.map(base + at as u64, len as u64, Rights { read, write }, Some((fd(&file), offset as u64)));
                        prop_assert_eq!(done.is_ok(), free, "{:?}", done);
                        if free {
                            for i in 0..len { cells[at + i] = Some(Cell { mapping: n, read, write, at: offset + i }); }
                        }
                    }
                    Op::Unmap { at, len } => {
                        let same = |a: usize, b: usize| matches!((cells[a], cells[b]), (Some(x), Some(y)) if x.mapping == y.mapping);
                        let whole = len > 0 && !(at > 0 && same(at - 1, at)) && !same(at + len - 1, at + len);
                        let done = t.unmap(base + at as u64, len as u64);
                        prop_assert_eq!(done.is_ok(), whole, "{:?}", done);
                        if whole {
                            let gone = cells[at..at + len].iter_mut().filter_map(Option::take).count();
                            prop_assert_eq!(done.unwrap(), gone as u64);
                        }
                    }
                    Op::Read { at, len } => {
                        let mut got = vec![0xEE; len];
                        let done = t.read(base + at as u64, &mut got);
                        match cells[at..at + len].iter().position(|c| !c.is_some_and(|c| c.read)) {
                            Some(_) => { prop_assert!(done.is_err()); prop_assert!(got.iter().all(|b| *b == 0xEE)); }
                            None => {
                                prop_assert_eq!(done, Ok(()));
                                let want: Vec<u8> = cells[at..at + len].iter().flatten().map(|c| bytes[c.at]).collect();
                                prop_assert_eq!(got, want);
                            }
                        }
                    }
                    Op::Write { at, len, value } => {
                        let data: Vec<u8> = (0..len).map(|i| value.wrapping_add(i as u8)).collect();
                        let done = t.write(base + at as u64, &data);
                        let ok = cells[at..at + len].iter().all(|c| c.is_some_and(|c| c.write));
                        prop_assert_eq!(done.is_ok(), ok);
                        if ok {
                            // Two mappings may show the same byte of the file: the later address wins.
                            for (c, d) in cells[at..at + len].iter().flatten().zip(&data) { bytes[c.at] = *d; }
                        }
                    }
                }
                prop_assert_eq!(&contents(&file), &bytes);
            }
        }
    }
}
