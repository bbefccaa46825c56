//! Where memory of this process is in physical memory: /proc/self/pagemap (admin-guide/mm/pagemap.rst of the kernel's documentation).
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes of an entry, one for each page.
const ENTRY: u64 = 8;
/// The page is in memory.
const PRESENT: u64 = 1 << 63;
/// Its number in physical memory: bits 54:0, which read as 0 to those who may not know.
const FRAME: u64 = (1 << 55) - 1;

/// AT_PAGESZ of the auxiliary vector (getauxval(3)).
const AT_PAGESZ: usize = 6;

/// Bytes of a page, by the auxiliary vector: pairs of a key and its value.
fn page_size(vector: &[u8]) -> Option<u64> {
    let (words, _) = vector.as_chunks::<{ size_of::<usize>() }>();
    let mut pairs = words.chunks_exact(2).map(|pair| {
        let [key, value] = [pair[0], pair[1]].map(usize::from_ne_bytes);
        (key, value as u64)
    });
    let (_, bytes) = pairs.find(|(key, _)| *key == AT_PAGESZ)?;
    bytes.is_power_of_two().then_some(bytes)
}

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    /// The page's number.
    At(u64),
    /// It is in memory; where is not for us to know.
    Hidden,
    /// It is not in memory.
    Absent,
}

impl Entry {
    fn decode(entry: u64) -> Self {
        match (entry & PRESENT, entry & FRAME) {
            (0, _) => Self::Absent,
            (_, 0) => Self::Hidden,
            (_, frame) => Self::At(frame),
        }
    }
}

/// The table of a process.
pub(super) struct Pagemap {
    entries: File,
    /// Bytes of a page.
    page: u64,
}

impl Pagemap {
    /// Of the process with this folder in /proc.
    pub(super) fn open(process: &Path) -> io::Result<Self> {
        let vector = fs::read(process.join("auxv"))?;
        let page = page_size(&vector);
        let page = page.ok_or_else(|| io::Error::other("no size of a page in auxv"))?;
        let entries = File::open(process.join("pagemap"))?;
        Ok(Self { entries, page })
    }

    /// The physical address of the byte at a virtual one.
    ///
    /// # Errors
    /// [`io::ErrorKind::PermissionDenied`] if that is not for us to know; what reading reports.
    pub(super) fn physical(&self, address: usize) -> io::Result<u64> {
        let (page, address) = (self.page, address as u64);
        let mut entry = [0; ENTRY as usize];
        self.entries
            .read_exact_at(&mut entry, address / page * ENTRY)?;
        match Entry::decode(u64::from_ne_bytes(entry)) {
            Entry::At(frame) => Ok(frame * page + address % page),
            Entry::Hidden => Err(io::ErrorKind::PermissionDenied.into()),
            Entry::Absent => Err(io::Error::other(format!(
                "the page at {address:#x} is not in memory"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_a_number_only_of_a_page_in_memory() {
        for (entry, is) in [
            (0, Entry::Absent),
            // Swapped out: bit 62, with place and type where the number would be.
            (1 << 62 | 0x1234, Entry::Absent),
            (0x1234, Entry::Absent),
            (PRESENT, Entry::Hidden),
            // Soft-dirty (55), exclusively mapped (56), of a file (61).
            (PRESENT | 1 << 61 | 1 << 56 | 1 << 55, Entry::Hidden),
            (PRESENT | 1 << 61 | 1 << 56 | 1 << 55 | 7, Entry::At(7)),
            (u64::MAX, Entry::At((1 << 55) - 1)),
        ] {
            assert_eq!(Entry::decode(entry), is, "{entry:#x}");
        }
    }

    /// A process of pages of 16 KiB with these entries.
    fn process(entries: &[u64]) -> (tempfile::TempDir, io::Result<Pagemap>) {
        let bytes = |words: &[u64]| -> Vec<u8> {
            let words = words.iter().map(|word| word.to_ne_bytes());
            words.flatten().collect()
        };
        let dir = tempfile::tempdir().unwrap();
        // AT_HWCAP, AT_PAGESZ, AT_NULL.
        fs::write(dir.path().join("auxv"), bytes(&[16, 6, 6, 0x4000, 0, 0])).unwrap();
        fs::write(dir.path().join("pagemap"), bytes(entries)).unwrap();
        let map = Pagemap::open(dir.path());
        (dir, map)
    }

    #[test]
    fn the_entry_of_an_address_is_that_of_its_page() {
        let (_dir, map) = process(&[0, PRESENT | 5, PRESENT, 0]);
        let map = map.unwrap();
        assert_eq!(map.physical(0x4000).unwrap(), 5 * 0x4000);
        assert_eq!(map.physical(0x7FFF).unwrap(), 6 * 0x4000 - 1);
        let hidden = map.physical(0x8000).unwrap_err();
        assert_eq!(hidden.kind(), io::ErrorKind::PermissionDenied);
        let absent = map.physical(0xC000).unwrap_err().to_string();
        assert!(absent.contains("not in memory"), "{absent}");
        assert!(map.physical(0x1_0000).is_err(), "behind the end");
    }

    #[test]
    fn a_vector_without_a_size_is_refused() {
        let (dir, _) = process(&[]);
        for vector in [&[][..], &[6, 0, 0], &[0; 32]] {
            fs::write(dir.path().join("auxv"), vector).unwrap();
            assert!(Pagemap::open(dir.path()).is_err(), "{vector:?}");
        }
    }

    #[test]
    fn memory_of_ours_is_found_or_hidden() {
        let own = 0u8;
        let map = Pagemap::open(Path::new("/proc/self")).unwrap();
        assert!(map.page >= 4096);
        let at = (&raw const own).addr();
        match map.physical(at) {
            Ok(address) => assert_eq!(address % map.page, at as u64 % map.page),
            Err(e) => assert_eq!(e.kind(), io::ErrorKind::PermissionDenied, "{e}"),
        }
    }
}
