//! Memory that a device reads and writes: a sealed memfd, mapped raw.
//!
//! No Rust reference ever points into it, because the device may write it at any time. Every access is checked against the end, and goes by
//! volatile or atomic operations on raw pointers. Offsets come from the driver's own books; one that is outside is an error of the driver and
//! panics, as an index of a slice does.
use crate::DeviceError;
use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{fcntl_add_seals, ftruncate, memfd_create, MemfdFlags, SealFlags};
use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

mod contiguous;

pub(crate) use contiguous::NoRow;

const PAGE: usize = crate::iova::PAGE as usize;
const HUGE_PAGE: usize = crate::iova::HUGE_PAGE as usize;

/// No DMA memory.
#[derive(Debug, thiserror::Error)]
#[error("no DMA memory of {len} bytes: {source}; ask for fewer or smaller rings and slots, or free memory")]
pub struct DmaError {
    /// Bytes asked for.
    pub len: usize,
    /// Why.
    pub source: io::Error,
}

#[derive(Debug)]
struct Region {
    map: MmapRaw,
    fd: OwnedFd,
    huge: bool,
    /// Whether its pages are in the order of the file's.
    in_order: bool,
}

/// A piece of DMA memory. A clone is another handle to the same memory, which lives as long as any of them.
#[derive(Clone, Debug)]
pub struct DmaBuf(Arc<Region>);

impl DmaBuf {
    /// At least `len` bytes of zeroes, present in memory: huge pages of 2 MiB if `len` is 1 MiB or more and the machine has free ones,
    /// ordinary pages otherwise.
    ///
    /// # Errors
    /// [`DmaError`].
    pub fn new(len: usize) -> Result<Self, DmaError> {
        let fail = |source| DmaError { len, source };
        if len == 0 || len > isize::MAX as usize - HUGE_PAGE {
            return Err(fail(io::ErrorKind::InvalidInput.into()));
        }
        if len >= HUGE_PAGE / 2 {
            if let Ok(region) = Self::map(len.next_multiple_of(HUGE_PAGE), true) {
                return Ok(Self(Arc::new(region)));
            }
        }
        let region = Self::map(len.next_multiple_of(PAGE), false).map_err(fail)?;
        Ok(Self(Arc::new(region)))
    }

    fn map(len: usize, huge: bool) -> io::Result<Region> {
        let mut flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        if huge {
            flags |= MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB;
        }
        let fd = memfd_create("ferrule-dma", flags)?;
        ftruncate(&fd, len as u64)?;
        // The descriptor goes to a vfio-user peer: sealed, it cannot cut the file and so make our accesses fault.
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let map = MmapOptions::new().len(len).populate().map_raw(&fd)?;
        Ok(Region {
            map,
            fd,
            huge,
            in_order: true,
        })
    }

    /// Length in bytes, a multiple of the page size.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.0.map.len()
    }

    /// Whether it is made of 2 MiB pages.
    pub fn is_huge(&self) -> bool {
        self.0.huge
    }

    /// The memfd behind the memory, from offset 0 on, for who maps it elsewhere.
    ///
    /// # Errors
    /// [`DeviceError::OtherMemory`] where the file's bytes are in another order: memory that was laid out for one device.
    pub fn file(&self) -> Result<BorrowedFd<'_>, DeviceError> {
        match self.0.in_order {
            true => Ok(self.0.fd.as_fd()),
            false => Err(DeviceError::OtherMemory),
        }
    }

    /// Its first byte, for the backend that gives it to the kernel.
    pub(crate) fn as_mut_ptr(&self) -> *mut u8 {
        self.0.map.as_mut_ptr()
    }

    /// Pointer to `len` bytes at `offset`.
    #[track_caller]
    #[inline]
    fn at(&self, offset: usize, len: usize) -> *mut u8 {
        assert!(
            offset <= self.len() && len <= self.len() - offset,
            "DMA buffer of {} bytes: no {len} bytes at {offset}",
            self.len()
        );
        self.0.map.as_mut_ptr().wrapping_add(offset)
    }

    #[track_caller]
    #[inline]
    fn word(&self, offset: usize) -> *mut u32 {
        assert!(offset.is_multiple_of(4), "word at {offset}");
        self.at(offset, 4).cast()
    }

    /// Reads the little-endian word at `offset`, a multiple of 4. Panics outside.
    #[track_caller]
    #[inline]
    pub fn load(&self, offset: usize) -> u32 {
        let word = self.word(offset);
        // SAFETY: inside the mapping and aligned (`word`).
        u32::from_le(unsafe { word.read_volatile() })
    }

    /// As [`load`](Self::load), and nothing that follows is read before it.
    #[track_caller]
    #[inline]
    pub fn load_acquire(&self, offset: usize) -> u32 {
        let word = self.word(offset);
        // SAFETY: inside the mapping and aligned (`word`); the cell lives for this expression and allows writes by others.
        let cell = unsafe { AtomicU32::from_ptr(word) };
        u32::from_le(cell.load(Ordering::Acquire))
    }

    /// Writes the little-endian word at `offset`, a multiple of 4. Panics outside.
    #[track_caller]
    #[inline]
    pub fn store(&self, offset: usize, value: u32) {
        let word = self.word(offset);
        // SAFETY: inside the mapping and aligned (`word`).
        unsafe { word.write_volatile(value.to_le()) };
    }

    /// As [`store`](Self::store), and nothing that precedes is written after it. What a device in this process does for a phase.
    #[track_caller]
    #[inline]
    pub fn store_release(&self, offset: usize, value: u32) {
        let word = self.word(offset);
        // SAFETY: inside the mapping and aligned (`word`); the cell lives for this expression and allows writes by others.
        let cell = unsafe { AtomicU32::from_ptr(word) };
        cell.store(value.to_le(), Ordering::Release);
    }

    /// Writes the little-endian half-word at `offset`, a multiple of 2. Panics outside.
    #[track_caller]
    #[inline]
    pub fn store_u16(&self, offset: usize, value: u16) {
        assert!(offset.is_multiple_of(2), "half-word at {offset}");
        let half: *mut u16 = self.at(offset, 2).cast();
        // SAFETY: inside the mapping (`at`) and aligned (asserted).
        unsafe { half.write_volatile(value.to_le()) };
    }

    /// Copies the bytes at `offset` to `to`. Panics outside.
    #[track_caller]
    #[inline]
    pub fn read(&self, offset: usize, to: &mut [u8]) {
        let from = self.at(offset, to.len());
        let to: *mut [u8] = to;
        // SAFETY: the slice, which nothing else refers to meanwhile; `read_bytes` writes bytes only, no lack of them.
        let to = unsafe { &mut *(to as *mut [MaybeUninit<u8>]) };
        // SAFETY: `at` checked all of the bytes.
        unsafe { read_bytes(from, to) };
    }

    /// Copies `from` to the bytes at `offset`. Panics outside.
    #[track_caller]
    #[inline]
    pub fn write(&self, offset: usize, from: &[u8]) {
        let to = self.at(offset, from.len());
        // SAFETY: `at` checked all of the bytes.
        unsafe { write_bytes(to, from) };
    }

    /// Copies `parts`, one after the other, to the `room` bytes at `offset`; how many bytes they are, or `None` if they do not fit, of which some
    /// may have been written. Panics if the room is outside.
    #[track_caller]
    pub fn gather(&self, offset: usize, room: usize, parts: &[&[u8]]) -> Option<usize> {
        let to = self.at(offset, room);
        let mut len = 0;
        for part in parts {
            if part.len() > room - len {
                return None;
            }
            // SAFETY: `at` checked all of the room, of which `len` bytes are taken.
            unsafe { write_bytes(to.wrapping_add(len), part) };
            len += part.len();
        }
        Some(len)
    }

    /// The ring of 2^`log2` entries of four words at `offset`, a multiple of 8. Panics if it is not all inside.
    #[track_caller]
    #[inline]
    pub(crate) fn entries(&self, offset: usize, log2: u8) -> Entries<'_> {
        assert!(offset.is_multiple_of(8), "ring at {offset}");
        let len = 1 << log2;
        Entries {
            first: self.at(offset, ENTRY * len).cast(),
            mask: len - 1,
            memory: PhantomData,
        }
    }

    /// The ring of 2^`log2` half-words at `offset`, a multiple of 2. Panics if it is not all inside.
    #[track_caller]
    #[inline]
    pub(crate) fn half_words(&self, offset: usize, log2: u8) -> HalfWords<'_> {
        assert!(offset.is_multiple_of(2), "ring at {offset}");
        let len = 1 << log2;
        HalfWords {
            first: self.at(offset, 2 * len).cast(),
            mask: len - 1,
            memory: PhantomData,
        }
    }

    /// Sets `len` bytes at `offset` to zero. Panics outside.
    #[track_caller]
    pub fn zero(&self, offset: usize, len: usize) {
        let to = self.at(offset, len);
        for i in 0..len {
            let byte = to.wrapping_add(i);
            // SAFETY: `at` checked all of `len` bytes.
            unsafe { byte.write_volatile(0) };
        }
    }
}

/// Bytes of a ring's entry of four words.
const ENTRY: usize = 16;

/// A ring of entries of four little-endian words, found to lie inside the memory once: the low bits of any number are those of an entry.
#[derive(Clone, Copy)]
pub(crate) struct Entries<'a> {
    first: *mut u64,
    mask: usize,
    memory: PhantomData<&'a DmaBuf>,
}

impl Entries<'_> {
    #[inline]
    fn at(self, n: u16) -> *mut u64 {
        self.first.wrapping_add((usize::from(n) & self.mask) * 2)
    }

    /// Writes entry `n`.
    #[inline]
    pub(crate) fn store(self, n: u16, words: [u32; 4]) {
        let [a, b, c, d] = words.map(u64::from);
        let first = self.at(n);
        // SAFETY: inside the mapping and aligned, as `entries` has checked of the whole ring.
        unsafe { first.write_volatile((a | b << 32).to_le()) };
        let second = first.wrapping_add(1);
        // SAFETY: as before, the second half of an entry.
        unsafe { second.write_volatile((c | d << 32).to_le()) };
    }

    /// Reads entry `n`, if `is_there` finds it so by the last of its words, before which nothing else is read. Each word is read once.
    #[inline]
    pub(crate) fn load(self, n: u16, is_there: impl FnOnce(u32) -> bool) -> Option<[u32; 4]> {
        let first = self.at(n);
        let words: *mut u32 = first.cast();
        // SAFETY: inside the mapping and aligned, as `entries` has checked of the whole ring; the cell lives for this expression and allows
        // writes by others.
        let cell = unsafe { AtomicU32::from_ptr(words.wrapping_add(3)) };
        let last = u32::from_le(cell.load(Ordering::Acquire));
        if !is_there(last) {
            return None;
        }
        // SAFETY: as before.
        let pair = u64::from_le(unsafe { first.read_volatile() });
        // SAFETY: as before.
        let third = u32::from_le(unsafe { words.wrapping_add(2).read_volatile() });
        Some([pair as u32, (pair >> 32) as u32, third, last])
    }
}

/// A ring of little-endian half-words, as [`Entries`].
#[derive(Clone, Copy)]
pub(crate) struct HalfWords<'a> {
    first: *mut u16,
    mask: usize,
    memory: PhantomData<&'a DmaBuf>,
}

impl HalfWords<'_> {
    /// Writes half-word `n`.
    #[inline]
    pub(crate) fn store(self, n: u16, value: u16) {
        let half = self.first.wrapping_add(usize::from(n) & self.mask);
        // SAFETY: inside the mapping and aligned, as `half_words` has checked of the whole ring.
        unsafe { half.write_volatile(value.to_le()) };
    }
}

/// Reads all of `to`.
///
/// # Safety
/// `from` points to at least as many bytes of a live mapping.
#[inline]
unsafe fn read_bytes(from: *const u8, to: &mut [MaybeUninit<u8>]) {
    let odd = from.align_offset(8).min(to.len());
    let (first, rest) = to.split_at_mut(odd);
    if odd > 0 {
        // SAFETY: what the caller vouches for; these are some of the bytes.
        unsafe { read_singly(from, first) };
    }
    // SAFETY: the rest of them; aligned, as `odd` bytes are read.
    unsafe { read_words(from.wrapping_add(odd), rest) };
}

/// Reads all of `to` by words of 8 bytes, and what is left at the end by smaller pieces.
///
/// # Safety
/// `from` is a multiple of 8 and points to at least as many bytes of a live mapping.
#[inline]
unsafe fn read_words(from: *const u8, to: &mut [MaybeUninit<u8>]) {
    let mut from = from;
    let (blocks, rest) = to.as_chunks_mut::<64>();
    for block in blocks {
        // SAFETY: what the caller vouches for; some of the bytes.
        from = unsafe { read_block(from, block) };
    }
    let (block, rest) = rest.as_chunks_mut::<32>();
    if let [block] = block {
        // SAFETY: as before.
        from = unsafe { read_block(from, block) };
    }
    let (block, rest) = rest.as_chunks_mut::<16>();
    if let [block] = block {
        // SAFETY: as before.
        from = unsafe { read_block(from, block) };
    }
    let (block, rest) = rest.as_chunks_mut::<8>();
    if let [block] = block {
        // SAFETY: as before.
        from = unsafe { read_block(from, block) };
    }
    let (half, last) = rest.as_chunks_mut::<4>();
    if let [chunk] = half {
        let word: *const u32 = from.cast();
        // SAFETY: within what the caller vouches for, and aligned.
        let word = unsafe { word.read_volatile() };
        chunk.write_copy_of_slice(&word.to_ne_bytes());
        from = from.wrapping_add(4);
    }
    if !last.is_empty() {
        // SAFETY: within what the caller vouches for.
        unsafe { read_singly(from, last) };
    }
}

/// Reads a block of whole words; where the next one is.
///
/// # Safety
/// As of [`read_words`].
#[inline]
unsafe fn read_block<const N: usize>(from: *const u8, to: &mut [MaybeUninit<u8>; N]) -> *const u8 {
    for (i, chunk) in to.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let word: *const u64 = from.wrapping_add(8 * i).cast();
        // SAFETY: within what the caller vouches for, and aligned.
        let word = unsafe { word.read_volatile() };
        chunk.write_copy_of_slice(&word.to_ne_bytes());
    }
    from.wrapping_add(N)
}

/// Reads the few bytes of `to` one by one.
///
/// # Safety
/// As of [`read_bytes`].
#[inline(never)]
unsafe fn read_singly(from: *const u8, to: &mut [MaybeUninit<u8>]) {
    for (i, byte) in to.iter_mut().enumerate() {
        let cell = from.wrapping_add(i);
        // SAFETY: within what the caller vouches for.
        byte.write(unsafe { cell.read_volatile() });
    }
}

/// Writes all of `from`, as [`read_bytes`] reads.
///
/// # Safety
/// `to` points to at least as many bytes of a live mapping.
#[inline]
unsafe fn write_bytes(to: *mut u8, from: &[u8]) {
    let odd = to.align_offset(8).min(from.len());
    let (first, rest) = from.split_at(odd);
    if odd > 0 {
        // SAFETY: what the caller vouches for; these are some of the bytes.
        unsafe { write_singly(to, first) };
    }
    // SAFETY: the rest of them; aligned, as `odd` bytes are written.
    unsafe { write_words(to.wrapping_add(odd), rest) };
}

/// Writes all of `from` by words of 8 bytes, and what is left at the end by smaller pieces.
///
/// # Safety
/// `to` is a multiple of 8 and points to at least as many bytes of a live mapping.
#[inline]
unsafe fn write_words(to: *mut u8, from: &[u8]) {
    let mut to = to;
    let (blocks, rest) = from.as_chunks::<64>();
    for block in blocks {
        // SAFETY: what the caller vouches for; some of the bytes.
        to = unsafe { write_block(to, block) };
    }
    let (block, rest) = rest.as_chunks::<32>();
    if let [block] = block {
        // SAFETY: as before.
        to = unsafe { write_block(to, block) };
    }
    let (block, rest) = rest.as_chunks::<16>();
    if let [block] = block {
        // SAFETY: as before.
        to = unsafe { write_block(to, block) };
    }
    let (block, rest) = rest.as_chunks::<8>();
    if let [block] = block {
        // SAFETY: as before.
        to = unsafe { write_block(to, block) };
    }
    let (half, last) = rest.as_chunks::<4>();
    if let [chunk] = half {
        let word: *mut u32 = to.cast();
        // SAFETY: within what the caller vouches for, and aligned.
        unsafe { word.write_volatile(u32::from_ne_bytes(*chunk)) };
        to = to.wrapping_add(4);
    }
    if !last.is_empty() {
        // SAFETY: within what the caller vouches for.
        unsafe { write_singly(to, last) };
    }
}

/// Writes a block of whole words; where the next one goes.
///
/// # Safety
/// As of [`write_words`].
#[inline]
unsafe fn write_block<const N: usize>(to: *mut u8, from: &[u8; N]) -> *mut u8 {
    for (i, chunk) in from.as_chunks::<8>().0.iter().enumerate() {
        let word: *mut u64 = to.wrapping_add(8 * i).cast();
        // SAFETY: within what the caller vouches for, and aligned.
        unsafe { word.write_volatile(u64::from_ne_bytes(*chunk)) };
    }
    to.wrapping_add(N)
}

/// Writes the few bytes of `from` one by one.
///
/// # Safety
/// As of [`write_bytes`].
#[inline(never)]
unsafe fn write_singly(to: *mut u8, from: &[u8]) {
    for (i, byte) in from.iter().enumerate() {
        let cell = to.wrapping_add(i);
        // SAFETY: within what the caller vouches for.
        unsafe { cell.write_volatile(*byte) };
    }
}

/// At most `N` bytes copied out of DMA memory, where no device can write. Making and moving one costs what its bytes cost, not what `N` would.
#[derive(Clone)]
pub(crate) struct Excerpt<const N: usize> {
    /// The first `len` are there.
    bytes: [MaybeUninit<u8>; N],
    len: u16,
}

impl<const N: usize> Excerpt<N> {
    /// No bytes yet.
    #[inline]
    pub(crate) fn empty() -> Self {
        Self {
            bytes: [MaybeUninit::uninit(); N],
            len: 0,
        }
    }

    /// Takes the `len` bytes at `offset` in the place of what it has. Panics if they are more than `N` or outside.
    #[track_caller]
    #[inline]
    pub(crate) fn fill(&mut self, memory: &DmaBuf, offset: usize, len: usize) {
        let to = &mut self.bytes[..len];
        let from = memory.at(offset, len);
        // SAFETY: `at` checked all of the bytes.
        unsafe { read_bytes(from, to) };
        self.len = len as u16;
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        let bytes = &self.bytes[..self.len.into()];
        // SAFETY: `fill` has written as many as `len` says, and nothing else sets `len`.
        unsafe { bytes.assume_init_ref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::panic::catch_unwind;

    proptest! {
        #[test]
        fn bytes_are_where_the_file_has_them(offset in 0usize..5000, data in prop::collection::vec(any::<u8>(), 0..3000)) {
            let buf = DmaBuf::new(8192).unwrap();
            buf.write(offset, &data);
            let mut file = vec![0; 8192];
            rustix::io::pread(buf.file().unwrap(), &mut file[..], 0).unwrap();
            let mut expected = vec![0; 8192];
            expected[offset..offset + data.len()].copy_from_slice(&data);
            prop_assert_eq!(&file, &expected);
            let mut back = vec![0; data.len()];
            buf.read(offset, &mut back);
            prop_assert_eq!(back, data.clone());
            buf.zero(offset, data.len());
            let mut all = vec![1; 8192];
            buf.read(0, &mut all);
            prop_assert!(all.iter().all(|b| *b == 0));
        }

        #[test]
        fn parts_follow_each_other_as_far_as_there_is_room(offset in 0usize..64, room in 0usize..300, cuts in prop::collection::vec(0usize..90, 0..6)) {
            let buf = DmaBuf::new(4096).unwrap();
            let data: Vec<u8> = (0..cuts.iter().sum::<usize>()).map(|i| 1 + (i % 255) as u8).collect();
            let mut rest = &data[..];
            let mut parts = Vec::new();
            for cut in cuts {
                let (part, later) = rest.split_at(cut);
                parts.push(part);
                rest = later;
            }
            let fits = data.len() <= room;
            prop_assert_eq!(buf.gather(offset, room, &parts), fits.then_some(data.len()));
            let mut all = vec![0; 4096];
            buf.read(0, &mut all);
            let written = if fits { data.len() } else { room };
            prop_assert!(all[..offset].iter().chain(&all[offset + written..]).all(|b| *b == 0));
            if fits {
                prop_assert_eq!(&all[offset..offset + data.len()], &data[..]);
            }
        }

        #[test]
        fn an_entry_is_four_little_endian_words(words in any::<[u32; 4]>(), place in 0usize..4, log2 in 0u8..=6, n in any::<u16>(), is_there in any::<bool>()) {
            let buf = DmaBuf::new(4096).unwrap();
            let ring = buf.entries(8 * place, log2);
            ring.store(n, words);
            let at = 8 * place + 16 * (usize::from(n) % (1 << log2));
            prop_assert_eq!([0, 4, 8, 12].map(|o| buf.load(at + o)), words);
            let mut asked = Vec::new();
            let entry = ring.load(n, |last| {
                asked.push(last);
                is_there
            });
            prop_assert_eq!(entry, is_there.then_some(words));
            prop_assert_eq!(asked, [words[3]]);
        }

        #[test]
        fn a_half_word_is_little_endian(value in any::<u16>(), place in 0usize..4, log2 in 0u8..=6, n in any::<u16>()) {
            let buf = DmaBuf::new(4096).unwrap();
            buf.half_words(2 * place, log2).store(n, value);
            let mut bytes = [0; 2];
            buf.read(2 * (place + usize::from(n) % (1 << log2)), &mut bytes);
            prop_assert_eq!(bytes, value.to_le_bytes());
        }

        #[test]
        fn an_excerpt_is_what_it_was_filled_with_last(fills in prop::collection::vec((0usize..100, 0usize..=64), 0..4)) {
            let buf = DmaBuf::new(4096).unwrap();
            let bytes: Vec<u8> = (0..200).collect();
            buf.write(0, &bytes);
            let mut excerpt = Excerpt::<64>::empty();
            let mut expected: &[u8] = &[];
            for (at, len) in fills {
                excerpt.fill(&buf, at, len);
                expected = &bytes[at..at + len];
                let copy = excerpt.clone();
                prop_assert_eq!(copy.as_slice(), expected);
            }
            prop_assert_eq!(excerpt.as_slice(), expected);
            prop_assert!(catch_unwind(move || excerpt.fill(&buf, 0, 65)).is_err());
        }

        #[test]
        fn nothing_outside_is_touched(offset in prop_oneof![4080usize..4100, Just(usize::MAX), Just(usize::MAX - 3)], len in 0usize..40) {
            let buf = DmaBuf::new(1).unwrap();
            prop_assert_eq!(buf.len(), 4096);
            let fits = offset.checked_add(len).is_some_and(|end| end <= 4096);
            prop_assert_eq!(catch_unwind(|| buf.read(offset, &mut vec![0; len])).is_ok(), fits);
            prop_assert_eq!(catch_unwind(|| buf.write(offset, &vec![0; len])).is_ok(), fits);
            prop_assert_eq!(catch_unwind(|| buf.zero(offset, len)).is_ok(), fits);
            prop_assert_eq!(catch_unwind(|| buf.gather(offset, len, &[])).is_ok(), fits);
            for log2 in 0..=9 {
                let ends = |entry: usize| offset.checked_add(entry << log2).is_some_and(|end| end <= 4096);
                prop_assert_eq!(catch_unwind(|| { buf.entries(offset, log2); }).is_ok(), offset % 8 == 0 && ends(16));
                prop_assert_eq!(catch_unwind(|| { buf.half_words(offset, log2); }).is_ok(), offset % 2 == 0 && ends(2));
            }
            let word = offset % 4 == 0 && offset <= 4092;
            prop_assert_eq!(catch_unwind(|| buf.load(offset)).is_ok(), word);
            prop_assert_eq!(catch_unwind(|| buf.load_acquire(offset)).is_ok(), word);
            prop_assert_eq!(catch_unwind(|| buf.store(offset, 1)).is_ok(), word);
            prop_assert_eq!(catch_unwind(|| buf.store_release(offset, 1)).is_ok(), word);
            let half = offset % 2 == 0 && offset <= 4094;
            prop_assert_eq!(catch_unwind(|| buf.store_u16(offset, 1)).is_ok(), half);
        }
    }

    #[test]
    fn words_are_little_endian() {
        let buf = DmaBuf::new(4096).unwrap();
        buf.store(4, 0x0403_0201);
        buf.store_u16(8, 0x0605);
        let mut bytes = [0; 6];
        buf.read(4, &mut bytes);
        assert_eq!(bytes, [1, 2, 3, 4, 5, 6]);
        assert_eq!(buf.load(4), 0x0403_0201);
        buf.store_release(12, 7);
        assert_eq!(buf.load_acquire(12), 7);
    }

    #[test]
    fn large_memory_is_had_with_or_without_huge_pages() {
        let buf = DmaBuf::new(3 << 20).unwrap();
        assert_eq!(buf.len(), if buf.is_huge() { 4 << 20 } else { 3 << 20 });
    }

    #[test]
    fn a_peer_with_the_descriptor_cannot_cut_it() {
        let buf = DmaBuf::new(8192).unwrap();
        assert!(ftruncate(buf.file().unwrap(), 0).is_err());
    }

    #[test]
    fn absurd_lengths_are_refused() {
        for len in [0, usize::MAX, isize::MAX as usize] {
            assert!(DmaBuf::new(len).is_err());
        }
    }
}
