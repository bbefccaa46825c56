//! A device that no IOMMU is in front of: its group and container, and the memory that it knows by physical addresses.
//!
//! Nothing unmaps anything here. A device that was told an address may use it until it is kept from the bus, which the kernel does when the
//! device's descriptor is closed; until then all memory that it was ever given is kept, whoever else lets go of it.
use super::ioctls;
use super::pagemap::Pagemap;
use super::{Sysfs, VfioProblem};
use crate::dma::NoRow;
use crate::iova::HUGE_PAGE;
use crate::lock::Mutex;
use crate::DmaBuf;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use vfio_bindings::bindings::vfio::{VFIO_API_VERSION, VFIO_NOIOMMU_IOMMU};

/// A device and what it needs to be open.
pub(super) struct NoIommu {
    // Fields drop in this order: the device, so that it is off the bus, then its memory.
    device: OwnedFd,
    _group: File,
    _container: File,
    given: Mutex<Given>,
    pagemap: Pagemap,
    sysfs: Sysfs,
    address: String,
}

/// The memory that a device was given.
#[derive(Default)]
struct Given {
    /// By its address.
    mapped: BTreeMap<u64, DmaBuf>,
    /// What was taken back from a device that may not know.
    retired: Vec<DmaBuf>,
}

impl Given {
    /// Memory of exactly `len` bytes that was taken back and that nobody else has, zeroed.
    fn again(&mut self, len: usize) -> Option<DmaBuf> {
        let fits = |buf: &DmaBuf| buf.len() == len && !buf.is_shared();
        let at = self.retired.iter().position(fits)?;
        let buf = self.retired.swap_remove(at);
        buf.zero(0, len);
        Some(buf)
    }

    fn map(&mut self, address: u64, buf: &DmaBuf) {
        self.mapped.insert(address, buf.clone());
    }

    /// Whether exactly this was mapped.
    fn unmap(&mut self, address: u64, len: usize) -> bool {
        if self.mapped.get(&address).is_none_or(|buf| buf.len() != len) {
            return false;
        }
        self.retired.extend(self.mapped.remove(&address));
        true
    }
}

impl NoIommu {
    /// Opens a device of which [`Sysfs::check_no_iommu`] says that it can be opened, by its group.
    pub(super) fn open(sysfs: &Sysfs, address: &str, group: &str) -> Result<Self, VfioProblem> {
        let other = |doing: &str, e: io::Error| VfioProblem::Other {
            address: address.into(),
            text: format!("{doing}: {e}"),
        };
        let open = |path: PathBuf| {
            let file = OpenOptions::new().read(true).write(true).open(&path);
            file.map_err(|e| Sysfs::file(address, path, &e))
        };
        let container = open(sysfs.dev.join("vfio/vfio"))?;
        let fd = container.as_fd();
        let version = ioctls::api_version(fd);
        match version.map_err(|e| other("VFIO_GET_API_VERSION", e.into()))? {
            VFIO_API_VERSION => {}
            version => {
                let known = format!("{VFIO_API_VERSION} is known");
                let e = io::Error::other(format!("version {version}, {known}"));
                return Err(other("VFIO's interface", e));
            }
        }
        let kind = VFIO_NOIOMMU_IOMMU;
        let has_mode = ioctls::has_extension(fd, kind);
        if !has_mode.map_err(|e| other("VFIO_CHECK_EXTENSION", e.into()))? {
            return Err(VfioProblem::UnsafeModeOff(sysfs.unsafe_mode()));
        }
        let group = open(sysfs.group_file(group))?;
        let viable = ioctls::is_viable(group.as_fd());
        if !viable.map_err(|e| other("VFIO_GROUP_GET_STATUS", e.into()))? {
            let e = io::Error::other("it is not viable, see `dmesg`");
            return Err(other("its group", e));
        }
        ioctls::set_container(group.as_fd(), fd)
            .map_err(|e| other("VFIO_GROUP_SET_CONTAINER", e.into()))?;
        ioctls::set_iommu(fd, kind).map_err(|e| other("VFIO_SET_IOMMU", e.into()))?;
        let name = CString::new(address).map_err(|e| other("its address", e.into()))?;
        let device = ioctls::device_fd(group.as_fd(), &name)
            .map_err(|e| other("VFIO_GROUP_GET_DEVICE_FD", e.into()))?;
        let pagemap = Pagemap::open(&sysfs.proc.join("self"));
        let pagemap = pagemap.map_err(|e| hidden(sysfs, address, &e))?;
        Ok(Self {
            device,
            _group: group,
            _container: container,
            given: Mutex::default(),
            pagemap,
            sysfs: sysfs.clone(),
            address: address.into(),
        })
    }

    pub(super) fn device(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }

    fn physical(&self, address: usize) -> Result<u64, VfioProblem> {
        let at = self.pagemap.physical(address);
        at.map_err(|e| hidden(&self.sysfs, &self.address, &e))
    }

    /// Huge pages of at least `len` bytes that follow each other in physical memory.
    pub(super) fn memory(&self, len: usize) -> Result<DmaBuf, VfioProblem> {
        let whole = len.checked_next_multiple_of(HUGE_PAGE as usize);
        if let Some(buf) = whole.and_then(|whole| self.given.lock().again(whole)) {
            return Ok(buf);
        }
        let pagemap = &self.pagemap;
        DmaBuf::contiguous(len, |address| pagemap.physical(address)).map_err(|e| match e {
            NoRow::Short { wanted, had } => VfioProblem::HugePages {
                wanted,
                had,
                more: self.sysfs.huge_pages() + 4 * wanted,
            },
            NoRow::Os(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                hidden(&self.sysfs, &self.address, &e)
            }
            NoRow::Os(e) => VfioProblem::Other {
                address: self.address.clone(),
                text: format!("huge pages of {len} bytes: {e}"),
            },
        })
    }

    /// Where memory in one piece is in physical memory.
    pub(super) fn address(&self, buf: &DmaBuf) -> Result<u64, VfioProblem> {
        if !buf.is_huge() {
            return Err(VfioProblem::InPieces);
        }
        let mut pages = buf.huge_pages().map(|page| self.physical(page));
        let first = pages.next().unwrap_or(Err(VfioProblem::InPieces))?;
        let mut next = first;
        for page in pages {
            next += HUGE_PAGE;
            if page? != next {
                return Err(VfioProblem::InPieces);
            }
        }
        Ok(first)
    }

    /// Notes that the device is told of memory; it must be where it is.
    pub(super) fn map(&self, iova: u64, buf: &DmaBuf) -> Result<(), VfioProblem> {
        let address = self.address(buf)?;
        if address != iova {
            return Err(VfioProblem::NotThere { iova, address });
        }
        self.given.lock().map(address, buf);
        Ok(())
    }

    /// Takes memory back, as far as that can be: it is kept. Whether exactly this was mapped.
    pub(super) fn unmap(&self, iova: u64, len: usize) -> bool {
        self.given.lock().unmap(iova, len)
    }
}

/// Why it is not known where memory is.
fn hidden(sysfs: &Sysfs, address: &str, e: &io::Error) -> VfioProblem {
    let table = sysfs.proc.join("self/pagemap");
    match e.kind() {
        io::ErrorKind::PermissionDenied => VfioProblem::Hidden(table),
        _ => VfioProblem::Other {
            address: address.into(),
            text: format!("{}: {e}", table.display()),
        },
    }
}

impl Sysfs {
    /// How many huge pages of 2 MiB the machine has set aside, whoever has them.
    fn huge_pages(&self) -> usize {
        let pool = self.sys.join("kernel/mm/hugepages/hugepages-2048kB");
        let text = fs::read_to_string(pool.join("nr_hugepages"));
        text.map_or(0, |text| text.trim().parse().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_back_is_kept_and_given_again() {
        let mut given = Given::default();
        let buf = DmaBuf::new(8192).unwrap();
        let other = DmaBuf::new(4096).unwrap();
        given.map(0x20_0000, &buf);
        given.map(0x40_0000, &other);
        buf.store(8, 0xFFFF_FFFF);
        for (address, len) in [(0x20_0000, 4096), (0, 8192), (0x20_1000, 8192)] {
            assert!(!given.unmap(address, len), "{len} at {address:#x}");
        }
        assert!(given.again(8192).is_none(), "it is mapped");
        assert!(given.unmap(0x20_0000, 8192));
        assert!(!given.unmap(0x20_0000, 8192), "once");
        // A frame in it may be held still.
        assert!(given.again(8192).is_none());
        buf.store(4, 1);
        drop(buf);
        assert!(given.again(4096).is_none(), "another length");
        let again = given.again(8192).unwrap();
        assert_eq!((again.load(4), again.load(8)), (0, 0));
        assert!(given.again(8192).is_none(), "given away");
    }

    #[test]
    fn memory_is_kept_as_long_as_the_device() {
        let mut given = Given::default();
        let buf = DmaBuf::new(4096).unwrap();
        given.map(0x20_0000, &buf);
        assert!(buf.is_shared());
        assert!(given.unmap(0x20_0000, 4096));
        assert!(buf.is_shared(), "taken back, and kept");
        drop(given);
        assert!(!buf.is_shared());
    }

    #[test]
    fn where_memory_is_may_be_hidden() {
        let sysfs = Sysfs::default();
        let denied = io::ErrorKind::PermissionDenied.into();
        let text = hidden(&sysfs, "0000:01:00.0", &denied).to_string();
        assert!(text.contains("CAP_SYS_ADMIN"), "{text}");
        let absent = io::Error::other("not in memory");
        let text = hidden(&sysfs, "0000:01:00.0", &absent).to_string();
        assert!(
            text.contains("0000:01:00.0") && text.contains("not in memory"),
            "{text}"
        );
    }

    #[test]
    fn the_machines_huge_pages_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let sysfs = Sysfs::at(dir.path());
        assert_eq!(sysfs.huge_pages(), 0, "a kernel without");
        let pool = sysfs.sys.join("kernel/mm/hugepages/hugepages-2048kB");
        fs::create_dir_all(&pool).unwrap();
        fs::write(pool.join("nr_hugepages"), "16\n").unwrap();
        assert_eq!(sysfs.huge_pages(), 16);
    }
}
