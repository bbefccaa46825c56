//! Huge pages that follow each other in physical memory, for a device without an IOMMU.
//!
//! The kernel gives out huge pages in an order of its own. So some are taken, it is looked at where they are, and those that make a row are mapped
//! in the order of their addresses; the others are given back. They come from the pool that the machine has set aside: the kernel neither swaps
//! those nor moves them about, but for what an administrator does to memory (taking it out of the machine, moving pages between its nodes).
use super::{DmaBuf, Region, HUGE_PAGE};
use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{
    fallocate, fcntl_add_seals, ftruncate, memfd_create, FallocateFlags, MemfdFlags, SealFlags,
};
use rustix::mm::{mmap, MapFlags, ProtFlags};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// How many pages more than are wanted may be taken for a while, so that some among them make a row: 512 MiB.
const SPARE: usize = 256;

/// No such memory.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoRow {
    /// No pages make so long a row.
    #[error("no {wanted} of {had} pages follow each other")]
    Short {
        /// How many were wanted.
        wanted: usize,
        /// How many there were.
        had: usize,
    },
    /// Something else.
    #[error(transparent)]
    Os(#[from] io::Error),
}

/// What kind of pages.
struct Kind {
    bytes: usize,
    flags: MemfdFlags,
}

const HUGE: Kind = Kind {
    bytes: HUGE_PAGE,
    flags: MemfdFlags::HUGETLB.union(MemfdFlags::HUGE_2MB),
};

impl DmaBuf {
    /// At least `len` bytes of zeroes in huge pages that follow each other in physical memory, where `locate` finds the page at an address of ours.
    pub(crate) fn contiguous(
        len: usize,
        locate: impl FnMut(usize) -> io::Result<u64>,
    ) -> Result<Self, NoRow> {
        let region = HUGE.region(len, locate)?;
        Ok(Self(Arc::new(region)))
    }

    /// The addresses of its huge pages in this process.
    pub(crate) fn huge_pages(&self) -> impl Iterator<Item = usize> {
        let start = self.as_mut_ptr().addr();
        (start..start + self.len()).step_by(HUGE_PAGE)
    }

    /// Whether there is another handle.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

impl Kind {
    fn region(
        &self,
        len: usize,
        mut locate: impl FnMut(usize) -> io::Result<u64>,
    ) -> Result<Region, NoRow> {
        if len == 0 || len > isize::MAX as usize - self.bytes {
            return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
        }
        let wanted = len.div_ceil(self.bytes);
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | self.flags;
        let fd = memfd_create("ferrule-dma", flags).map_err(io::Error::from)?;
        let mut places = Vec::new();
        let mut step = wanted;
        let row = loop {
            if step == 0 || places.len() > wanted + SPARE {
                let had = places.len();
                return Err(NoRow::Short { wanted, had });
            }
            match self.more(&fd, places.len(), step) {
                Ok(map) => {
                    for page in 0..step {
                        places.push(locate(map.as_mut_ptr().addr() + page * self.bytes)?);
                    }
                }
                // What there is of the last few may be what was missing.
                Err(e) if e.kind() == io::ErrorKind::OutOfMemory => step /= 2,
                Err(e) => return Err(e.into()),
            }
            if let Some(row) = find_row(&places, self.bytes as u64, wanted) {
                break row;
            }
        };
        Ok(self.lay(fd, places.len(), &row)?)
    }

    /// Takes `count` pages more than the file's first `have`.
    fn more(&self, fd: &OwnedFd, have: usize, count: usize) -> io::Result<MmapRaw> {
        let (start, len) = (have * self.bytes, count * self.bytes);
        ftruncate(fd, (start + len) as u64)?;
        let mut options = MmapOptions::new();
        options.offset(start as u64).len(len).populate();
        options.map_raw(fd)
    }

    /// Maps the pages of `row` in that order, and gives the others of the file's back.
    fn lay(&self, fd: OwnedFd, pages: usize, row: &[usize]) -> io::Result<Region> {
        let map = MmapOptions::new()
            .len(row.len() * self.bytes)
            .map_raw(&fd)?;
        for (place, page) in row.iter().enumerate() {
            let at = map.as_mut_ptr().wrapping_add(place * self.bytes);
            let (protection, shared) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
            let flags = shared | MapFlags::FIXED | MapFlags::POPULATE;
            let offset = (page * self.bytes) as u64;
            // SAFETY: it takes the place of a page of `map`, to which nothing points yet, and goes with it.
            unsafe { mmap(at.cast(), self.bytes, protection, flags, &fd, offset) }?;
        }
        for page in (0..pages).filter(|page| !row.contains(page)) {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let (at, len) = (page * self.bytes, self.bytes);
            fallocate(&fd, flags, at as u64, len as u64)?;
        }
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok(Region {
            map,
            fd,
            huge: true,
            in_order: false,
        })
    }
}

/// Which of the pages at these addresses, each of `bytes` bytes, make a row of `wanted`, in the order of their addresses.
fn find_row(places: &[u64], bytes: u64, wanted: usize) -> Option<Vec<usize>> {
    let mut pages: Vec<usize> = (0..places.len()).collect();
    pages.sort_unstable_by_key(|page| places[*page]);
    let follows = |pair: &[usize]| places[pair[0]].checked_add(bytes) == Some(places[pair[1]]);
    let is_row = |pages: &&[usize]| pages.windows(2).all(follows);
    pages.windows(wanted).find(is_row).map(<[usize]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const SMALL: Kind = Kind {
        bytes: 4096,
        flags: MemfdFlags::empty(),
    };

    proptest! {
        #[test]
        fn a_row_is_found_if_there_is_one(places in prop::collection::hash_set(0u64..40, 1..30), wanted in 1usize..8, top in any::<bool>()) {
            const BYTES: u64 = 1 << 21;
            // Also where addresses end.
            let start = if top { u64::MAX - 39 * BYTES } else { 0 };
            // The set's order is arbitrary.
            let places: Vec<u64> = places.into_iter().map(|place| start + place * BYTES).collect();
            let there: HashSet<u64> = places.iter().copied().collect();
            let begins_row = |place: &u64| (0..wanted as u64).all(|n| place.checked_add(n * BYTES).is_some_and(|p| there.contains(&p)));
            match find_row(&places, BYTES, wanted) {
                None => prop_assert!(!places.iter().any(begins_row)),
                Some(row) => {
                    prop_assert_eq!(row.len(), wanted);
                    let first = places[row[0]];
                    for (n, page) in row.iter().enumerate() {
                        prop_assert_eq!(places[*page], first + n as u64 * BYTES);
                    }
                }
            }
        }

        #[test]
        fn pages_are_mapped_in_the_order_of_their_addresses(order in Just((0..12u64).collect::<Vec<_>>()).prop_shuffle(), gap in 0u64..12, wanted in 1usize..7) {
            // Pages come in this order, with one missing between two of them.
            let mut given = order.iter().map(|n| (n + u64::from(*n >= gap)) * 4096);
            let mut places = Vec::new();
            let located = SMALL.region(wanted * 4096, |_| {
                // Behind those there is a row for everybody.
                let place = given.next().unwrap_or((1 << 30) + places.len() as u64 * 4096);
                places.push(place);
                Ok(place)
            });
            let buf = DmaBuf(Arc::new(located.unwrap()));
            prop_assert_eq!(buf.len(), wanted * 4096);
            for page in 0..wanted {
                buf.store(page * 4096, 1 + page as u32);
            }
            let mut found = Vec::new();
            for (page, place) in places.iter().enumerate() {
                let mut word = [0; 4];
                rustix::io::pread(&buf.0.fd, &mut word, page as u64 * 4096).unwrap();
                match u32::from_le_bytes(word) {
                    0 => {}
                    n => found.push((n, *place)),
                }
            }
            found.sort_unstable();
            prop_assert_eq!(found.len(), wanted);
            for (n, (word, place)) in found.iter().enumerate() {
                prop_assert_eq!((*word, *place), (1 + n as u32, found[0].1 + n as u64 * 4096));
            }
            // Nobody maps it by its file.
            prop_assert!(buf.file().is_err());
        }
    }

    #[test]
    fn the_search_ends_where_no_pages_follow_each_other() {
        let mut asked = 0;
        let scattered = SMALL.region(3 * 4096, |_| {
            asked += 1;
            Ok(asked as u64 * 3 * 4096)
        });
        let NoRow::Short { wanted: 3, had } = scattered.unwrap_err() else {
            panic!("another error");
        };
        assert_eq!(had, asked);
        assert!((SPARE..SPARE + 9).contains(&asked), "{asked}");
        // One page is a row.
        assert!(SMALL.region(1, |_| Ok(0)).is_ok());
    }

    #[test]
    fn what_cannot_be_located_or_made_is_an_error() {
        let hidden = SMALL.region(1, |_| Err(io::ErrorKind::PermissionDenied.into()));
        let kind = match hidden {
            Err(NoRow::Os(e)) => e.kind(),
            other => panic!("{other:?}"),
        };
        assert_eq!(kind, io::ErrorKind::PermissionDenied);
        for len in [0, usize::MAX] {
            assert!(matches!(
                DmaBuf::contiguous(len, |_| Ok(0)),
                Err(NoRow::Os(_))
            ));
        }
    }

    #[test]
    fn given_back_pages_take_no_memory() {
        let mut asked = 0u64;
        // The first two pages do not follow each other, the third and the fourth do.
        let region = SMALL.region(2 * 4096, |_| {
            asked += 1;
            Ok([10, 20, 30, 31][asked as usize - 1] * 4096)
        });
        let region = region.unwrap();
        assert_eq!(asked, 4);
        let stat = rustix::fs::fstat(&region.fd).unwrap();
        assert_eq!(stat.st_blocks * 512, 2 * 4096);
    }
}
