//! The kernel's VFIO: IOMMU group and container, or neither (`no_iommu`).
//!
//! Of `vfio-ioctls` are taken the opening of container, group and device behind an IOMMU, and DMA mapping there. It opens no group without an
//! IOMMU, and its region accesses, reset and interrupts either swallow errors or want types of their own; those are done here by pread, pwrite
//! and ioctl (`ioctls`).
mod bind;
mod diagnose;
mod inventory;
#[allow(unsafe_code)]
mod ioctls;
mod no_iommu;
mod pagemap;

pub use bind::{BindError, BindOptions, Plan, PutBack, Step};
pub use diagnose::{parse_address, GroupMember, Sysfs, VfioProblem};
pub use inventory::{Holder, Interface, PciDevice};

use crate::irq::Irq;
use crate::mmio::MappedBar;
use crate::{Device, DeviceError, DmaBuf, Registers};
use ferrule_abi::BAR_REGS;
use ioctls::{Region, MAX_VECTORS};
use no_iommu::NoIommu;
use rustix::io::{pread, pwrite, Errno};
use rustix::process::{getrlimit, Resource};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_DATA_NONE, VFIO_PCI_CONFIG_REGION_INDEX,
    VFIO_PCI_ERR_IRQ_INDEX, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_REQ_IRQ_INDEX,
    VFIO_REGION_INFO_FLAG_MMAP,
};
use vfio_ioctls::{VfioContainer, VfioDevice, VfioError, VfioOps};

/// Regions that are accessed: the BARs, the ROM, and configuration space behind them.
const REGIONS: usize = VFIO_PCI_CONFIG_REGION_INDEX as usize + 1;

/// What keeps a device open.
enum Owner {
    /// Behind an IOMMU. The device goes first, then the container with its DMA mappings.
    Isolated {
        device: VfioDevice,
        container: Arc<VfioContainer>,
    },
    /// Without one.
    NoIommu(NoIommu),
}

/// A PCI device that vfio-pci holds.
pub struct KernelVfio(Arc<Opened>);

/// What an open device has, for as long as anybody has a handle for its registers. Nothing here takes more than a shared reference, so that several threads may access registers at once.
struct Opened {
    // Fields drop in this order: the mapping, then the device, then what of memory it can reach.
    bar0: Option<MappedBar>,
    /// Signalled when the kernel wants the device back or the bus has given it up.
    called_back: Irq,
    owner: Owner,
    regions: [Region; REGIONS],
    address: String,
}

impl KernelVfio {
    /// Opens the device at PCI address `address`, with or without its domain.
    ///
    /// # Errors
    /// [`DeviceError::Vfio`] says what stands in the way.
    pub fn open(address: &str) -> Result<Self, DeviceError> {
        let sysfs = Sysfs::default();
        let address = parse_address(address)?;
        sysfs.check(&address)?;
        let other = |e: VfioError| VfioProblem::Other {
            address: address.clone(),
            text: e.to_string(),
        };
        let container = Arc::new(VfioContainer::new(None).map_err(other)?);
        let ops: Arc<dyn VfioOps> = container.clone();
        let device = VfioDevice::new(&sysfs.device(&address), ops, true).map_err(other)?;
        Self::with(Owner::Isolated { device, container }, address)
    }

    /// Opens the device at PCI address `address`, with or without its domain, that no IOMMU is in front of: nothing keeps it from reading and
    /// writing all of memory. It is given huge pages at their physical addresses ([`Device::dma_memory`], [`Device::bus_address`]).
    ///
    /// # Errors
    /// [`DeviceError::Vfio`] says what stands in the way.
    pub fn open_no_iommu(address: &str) -> Result<Self, DeviceError> {
        let sysfs = Sysfs::default();
        let address = parse_address(address)?;
        let group = sysfs.check_no_iommu(&address)?;
        let owner = NoIommu::open(&sysfs, &address, &group)?;
        tracing::warn!(
            address,
            "no IOMMU: nothing keeps this device from reading and writing all of memory, and the kernel is tainted for it"
        );
        Self::with(Owner::NoIommu(owner), address)
    }

    fn with(owner: Owner, address: String) -> Result<Self, DeviceError> {
        Ok(Self(Arc::new(Opened::with(owner, address)?)))
    }
}

impl Opened {
    fn with(owner: Owner, address: String) -> Result<Self, DeviceError> {
        let called_back = Irq::new().map_err(DeviceError::os("making an eventfd"))?;
        let mut this = Self {
            bar0: None,
            called_back,
            owner,
            regions: [Region::default(); REGIONS],
            address,
        };
        for index in 0..REGIONS {
            // One that the device does not have is refused by some kernels, and has no bytes.
            let region = ioctls::region(this.fd(), index as u32);
            this.regions[index] = region.unwrap_or_default();
        }
        for index in [VFIO_PCI_REQ_IRQ_INDEX, VFIO_PCI_ERR_IRQ_INDEX] {
            // Not every bus and kernel has both.
            if this.vectors(index) > 0 {
                let fd = [this.called_back.as_fd()];
                this.set_irqs(index, VFIO_IRQ_SET_DATA_EVENTFD, 0, &fd)?;
            }
        }
        let registers = this.regions[0];
        if registers.flags & VFIO_REGION_INFO_FLAG_MMAP != 0 {
            let mapped = MappedBar::new(this.fd(), registers.offset, registers.size as usize);
            this.bar0 = Some(mapped.map_err(DeviceError::os("mapping BAR0"))?);
        }
        Ok(this)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match &self.owner {
            Owner::Isolated { device, .. } => ioctls::descriptor(device),
            Owner::NoIommu(owner) => owner.device(),
        }
    }

    fn problem(&self, text: impl ToString) -> DeviceError {
        let problem = VfioProblem::Other {
            address: self.address.clone(),
            text: text.to_string(),
        };
        problem.into()
    }

    fn region(&self, region: u32) -> Region {
        let region = self.regions.get(region as usize);
        region.copied().unwrap_or_default()
    }

    /// Where `len` bytes at `offset` of a region are in the device's file.
    fn file_offset(&self, region: u32, offset: u64, len: usize) -> Result<u64, DeviceError> {
        let Region {
            size,
            offset: start,
            ..
        } = self.region(region);
        match offset.checked_add(len as u64) {
            Some(end) if end <= size => Ok(start + offset),
            _ => Err(DeviceError::OutOfRegion {
                region,
                size,
                offset,
                len,
            }),
        }
    }

    fn region_read(&self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        let at = self.file_offset(region, offset, data.len())?;
        let want = data.len();
        let got = pread(self.fd(), data, at).map_err(|e| self.access(e))?;
        if got == want {
            Ok(())
        } else {
            Err(self.problem(format!("read {got} of {want} bytes of region {region}")))
        }
    }

    fn region_write(&self, region: u32, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        let at = self.file_offset(region, offset, data.len())?;
        let got = pwrite(self.fd(), data, at).map_err(|e| self.access(e))?;
        if got == data.len() {
            Ok(())
        } else {
            let want = data.len();
            Err(self.problem(format!("wrote {got} of {want} bytes of region {region}")))
        }
    }

    /// # Errors
    /// [`DeviceError::Gone`] if the device is to be given back.
    fn check_called_back(&self) -> Result<(), DeviceError> {
        let signalled = self.called_back.is_raised();
        match signalled.map_err(DeviceError::os(
            "looking whether the kernel wants the device",
        ))? {
            false => Ok(()),
            true => Err(DeviceError::Gone(format!(
                "the kernel asks for {} back, or it was unplugged",
                self.address
            ))),
        }
    }

    fn access(&self, e: Errno) -> DeviceError {
        match e {
            Errno::NODEV | Errno::NXIO => DeviceError::Gone(self.address.clone()),
            e => self.problem(e),
        }
    }

    /// How many interrupts of a kind the device has.
    fn vectors(&self, index: u32) -> u32 {
        ioctls::vectors(self.fd(), index).unwrap_or(0)
    }

    fn set_irqs(
        &self,
        index: u32,
        flags: u32,
        start: u16,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), DeviceError> {
        let have = self.vectors(index);
        let want = usize::from(start) + fds.len();
        if want > (have as usize).min(MAX_VECTORS) {
            return Err(DeviceError::Vectors {
                have,
                want: want as u32,
            });
        }
        ioctls::set_irqs(self.fd(), index, flags, start, fds)
            .map_err(|e| self.problem(format!("VFIO_DEVICE_SET_IRQS: {e}")))
    }

    fn read32(&self, bar: u8, offset: u32) -> Result<u32, DeviceError> {
        if !offset.is_multiple_of(4) {
            return Err(DeviceError::Misaligned(offset));
        }
        self.check_called_back()?;
        if let (0, Some(mapped)) = (bar, &self.bar0) {
            if let Some(value) = mapped.read(offset) {
                return Ok(value);
            }
        }
        let mut bytes = [0; 4];
        self.region_read(bar.into(), offset.into(), &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn write32(&self, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError> {
        if !offset.is_multiple_of(4) {
            return Err(DeviceError::Misaligned(offset));
        }
        if let (0, Some(mapped)) = (bar, &self.bar0) {
            if mapped.write(offset, value).is_some() {
                return Ok(());
            }
        }
        self.region_write(bar.into(), offset.into(), &value.to_le_bytes())
    }
}

impl Registers for KernelVfio {
    fn read32(&mut self, bar: u8, offset: u32) -> Result<u32, DeviceError> {
        self.0.read32(bar, offset)
    }

    fn write32(&mut self, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError> {
        self.0.write32(bar, offset, value)
    }
}

impl Device for KernelVfio {
    fn backend(&self) -> &'static str {
        "vfio"
    }

    fn share_registers(&mut self) -> Result<Option<Box<dyn Registers>>, DeviceError> {
        Ok(Some(Box::new(Self(Arc::clone(&self.0)))))
    }

    fn config_read(&mut self, offset: u16, data: &mut [u8]) -> Result<(), DeviceError> {
        self.0
            .region_read(VFIO_PCI_CONFIG_REGION_INDEX, offset.into(), data)
    }

    fn config_write(&mut self, offset: u16, data: &[u8]) -> Result<(), DeviceError> {
        self.0
            .region_write(VFIO_PCI_CONFIG_REGION_INDEX, offset.into(), data)
    }

    fn registers_size(&self) -> u64 {
        self.0.region(BAR_REGS.into()).size
    }

    fn is_isolated(&self) -> bool {
        match self.0.owner {
            Owner::Isolated { .. } => true,
            Owner::NoIommu(_) => false,
        }
    }

    fn dma_memory(&mut self, len: usize) -> Result<DmaBuf, DeviceError> {
        match &self.0.owner {
            Owner::Isolated { .. } => Ok(DmaBuf::new(len)?),
            Owner::NoIommu(owner) => Ok(owner.memory(len)?),
        }
    }

    fn bus_address(&self, buf: &DmaBuf) -> Result<Option<u64>, DeviceError> {
        match &self.0.owner {
            Owner::Isolated { .. } => Ok(None),
            Owner::NoIommu(owner) => Ok(Some(owner.address(buf)?)),
        }
    }

    fn dma_map(&mut self, iova: u64, buf: &DmaBuf) -> Result<(), DeviceError> {
        let container = match &self.0.owner {
            Owner::Isolated { container, .. } => container,
            Owner::NoIommu(owner) => return Ok(owner.map(iova, buf)?),
        };
        ioctls::map(container, iova, buf).map_err(|e| match e {
            VfioError::IommuDmaMap(e) if e.errno() == Errno::NOMEM.raw_os_error() => {
                let len = buf.len();
                let limit = getrlimit(Resource::Memlock).current.unwrap_or(u64::MAX);
                VfioProblem::Memlock { len, limit }.into()
            }
            e => self.0.problem(e),
        })
    }

    fn dma_unmap(&mut self, iova: u64, len: usize) -> Result<(), DeviceError> {
        match &self.0.owner {
            Owner::Isolated { container, .. } => {
                let unmapped = container.vfio_dma_unmap(iova, len);
                unmapped.map_err(|e| self.0.problem(e))
            }
            Owner::NoIommu(owner) => match owner.unmap(iova, len) {
                true => Ok(()),
                false => Err(DeviceError::NotMapped { iova, len }),
            },
        }
    }

    fn enable_msix(&mut self, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        let (index, flags) = (VFIO_PCI_MSIX_IRQ_INDEX, VFIO_IRQ_SET_DATA_EVENTFD);
        self.0.set_irqs(index, flags, 0, eventfds)
    }

    fn swap_vectors(&mut self, first: u16, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        let (index, flags) = (VFIO_PCI_MSIX_IRQ_INDEX, VFIO_IRQ_SET_DATA_EVENTFD);
        self.0.set_irqs(index, flags, first, eventfds)
    }

    fn disable_msix(&mut self) -> Result<(), DeviceError> {
        self.0
            .set_irqs(VFIO_PCI_MSIX_IRQ_INDEX, VFIO_IRQ_SET_DATA_NONE, 0, &[])
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        match ioctls::reset(self.0.fd()) {
            Ok(()) => Ok(()),
            Err(Errno::NOTTY | Errno::INVAL) => Err(DeviceError::NoReset),
            Err(e) => Err(self.0.problem(format!("VFIO_DEVICE_RESET: {e}"))),
        }
    }

    fn gone_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.called_back.as_fd())
    }
}
