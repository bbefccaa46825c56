//! The kernel's VFIO: IOMMU group and container.
//!
//! Of `vfio-ioctls` are taken the opening of container, group and device, and DMA mapping. Its region accesses, reset and interrupts either
//! swallow errors or want types of their own; those are done here by pread, pwrite and ioctl.
mod bind;
mod diagnose;
mod inventory;

pub use bind::{BindError, Plan, PutBack, Step};
pub use diagnose::{parse_address, GroupMember, Sysfs, VfioProblem};
pub use inventory::{Holder, Interface, PciDevice};

use crate::irq::Irq;
use crate::mmio::MappedBar;
use crate::{Device, DeviceError, DmaBuf};
use ferrule_abi::BAR_REGS;
use rustix::io::{pread, pwrite, Errno};
use rustix::ioctl::{ioctl, opcode, NoArg, Opcode, Setter};
use rustix::process::{getrlimit, Resource};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_DATA_NONE,
    VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_ERR_IRQ_INDEX, VFIO_PCI_MSIX_IRQ_INDEX,
    VFIO_PCI_REQ_IRQ_INDEX, VFIO_REGION_INFO_FLAG_MMAP,
};
use vfio_ioctls::{VfioContainer, VfioDevice, VfioError, VfioOps};

/// `_IO(';', 100 + 10)` of linux/vfio.h.
const VFIO_DEVICE_SET_IRQS: Opcode = opcode::none(b';', 110);
/// `_IO(';', 100 + 11)` of linux/vfio.h.
const VFIO_DEVICE_RESET: Opcode = opcode::none(b';', 111);
/// Most vectors attached.
const MAX_VECTORS: usize = 64;

/// `struct vfio_irq_set` with room for descriptors.
#[repr(C)]
struct IrqSet {
    argsz: u32,
    flags: u32,
    index: u32,
    start: u32,
    count: u32,
    fds: [i32; MAX_VECTORS],
}

/// A PCI device that vfio-pci holds.
pub struct KernelVfio {
    // Fields drop in this order: the mapping, then the device, then the container with its DMA mappings.
    bar0: Option<MappedBar>,
    /// Signalled when the kernel wants the device back or the bus has given it up.
    called_back: Irq,
    device: VfioDevice,
    container: Arc<VfioContainer>,
    address: String,
}

impl KernelVfio {
    /// Opens the device at PCI address `address`, with or without its domain.
    ///
    /// # Errors
    /// [`DeviceError::Vfio`] says what stands in the way.
    pub fn open(address: &str) -> Result<Self, DeviceError> {
        let sysfs = Sysfs::default();
        let boxed = |e: VfioProblem| DeviceError::Vfio(Box::new(e));
        let address = parse_address(address).map_err(boxed)?;
        sysfs.check(&address).map_err(boxed)?;
        let other = |e: VfioError| {
            boxed(VfioProblem::Other {
                address: address.clone(),
                text: e.to_string(),
            })
        };
        let container = Arc::new(VfioContainer::new(None).map_err(other)?);
        let ops: Arc<dyn VfioOps> = container.clone();
        let device = VfioDevice::new(&sysfs.device(&address), ops, true).map_err(other)?;
        let called_back = Irq::new().map_err(DeviceError::os("making an eventfd"))?;
        let mut this = Self {
            bar0: None,
            called_back,
            device,
            container,
            address,
        };
        for index in [VFIO_PCI_REQ_IRQ_INDEX, VFIO_PCI_ERR_IRQ_INDEX] {
            // Not every bus and kernel has both.
            if this.vectors(index) > 0 {
                let fd = [this.called_back.as_fd()];
                this.set_irqs(index, VFIO_IRQ_SET_DATA_EVENTFD, 0, &fd)?;
            }
        }
        if this.device.get_region_flags(0) & VFIO_REGION_INFO_FLAG_MMAP != 0 {
            let (offset, size) = (
                this.device.get_region_offset(0),
                this.device.get_region_size(0),
            );
            let mapped = MappedBar::new(this.fd(), offset, size as usize);
            this.bar0 = Some(mapped.map_err(DeviceError::os("mapping BAR0"))?);
        }
        Ok(this)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the device's descriptor is open as long as `self.device`, from which the result borrows.
        unsafe { BorrowedFd::borrow_raw(self.device.as_raw_fd()) }
    }

    fn problem(&self, text: impl ToString) -> DeviceError {
        DeviceError::Vfio(Box::new(VfioProblem::Other {
            address: self.address.clone(),
            text: text.to_string(),
        }))
    }

    /// Where `len` bytes at `offset` of a region are in the device's file.
    fn file_offset(&self, region: u32, offset: u64, len: usize) -> Result<u64, DeviceError> {
        let size = self.device.get_region_size(region);
        match offset.checked_add(len as u64) {
            Some(end) if end <= size => Ok(self.device.get_region_offset(region) + offset),
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
        self.device.get_irq_info(index).map_or(0, |info| info.count)
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
        let mut set = IrqSet {
            argsz: (20 + 4 * fds.len()) as u32,
            flags: flags | VFIO_IRQ_SET_ACTION_TRIGGER,
            index,
            start: start.into(),
            count: fds.len() as u32,
            fds: [-1; MAX_VECTORS],
        };
        for (slot, fd) in set.fds.iter_mut().zip(fds) {
            *slot = fd.as_raw_fd();
        }
        // SAFETY: the number is that of VFIO_DEVICE_SET_IRQS, which reads `argsz` bytes of a vfio_irq_set, as `IrqSet` is laid out.
        let request = unsafe { Setter::<VFIO_DEVICE_SET_IRQS, IrqSet>::new(set) };
        // SAFETY: a request for a VFIO device on a VFIO device's descriptor; the kernel keeps references of its own to the eventfds.
        unsafe { ioctl(self.fd(), request) }
            .map_err(|e| self.problem(format!("VFIO_DEVICE_SET_IRQS: {e}")))
    }
}

impl Device for KernelVfio {
    fn backend(&self) -> &'static str {
        "vfio"
    }

    fn read32(&mut self, bar: u8, offset: u32) -> Result<u32, DeviceError> {
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

    fn write32(&mut self, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError> {
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

    fn config_read(&mut self, offset: u16, data: &mut [u8]) -> Result<(), DeviceError> {
        self.region_read(VFIO_PCI_CONFIG_REGION_INDEX, offset.into(), data)
    }

    fn config_write(&mut self, offset: u16, data: &[u8]) -> Result<(), DeviceError> {
        self.region_write(VFIO_PCI_CONFIG_REGION_INDEX, offset.into(), data)
    }

    fn registers_size(&self) -> u64 {
        self.device.get_region_size(u32::from(BAR_REGS))
    }

    fn dma_map(&mut self, iova: u64, buf: &DmaBuf) -> Result<(), DeviceError> {
        let (len, memory) = (buf.len(), buf.as_mut_ptr());
        // SAFETY: `DmaBuf` gives no references to its memory, only volatile and atomic access; the kernel pins the pages, so that they stay
        // the device's even if the buffer is dropped before it is unmapped.
        let result = unsafe { self.container.vfio_dma_map(iova, len, memory) };
        result.map_err(|e| match e {
            VfioError::IommuDmaMap(e) if e.errno() == Errno::NOMEM.raw_os_error() => {
                let limit = getrlimit(Resource::Memlock).current.unwrap_or(u64::MAX);
                DeviceError::Vfio(Box::new(VfioProblem::Memlock { len, limit }))
            }
            e => self.problem(e),
        })
    }

    fn dma_unmap(&mut self, iova: u64, len: usize) -> Result<(), DeviceError> {
        self.container
            .vfio_dma_unmap(iova, len)
            .map_err(|e| self.problem(e))
    }

    fn enable_msix(&mut self, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        let (index, flags) = (VFIO_PCI_MSIX_IRQ_INDEX, VFIO_IRQ_SET_DATA_EVENTFD);
        self.set_irqs(index, flags, 0, eventfds)
    }

    fn swap_vectors(&mut self, first: u16, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        let (index, flags) = (VFIO_PCI_MSIX_IRQ_INDEX, VFIO_IRQ_SET_DATA_EVENTFD);
        self.set_irqs(index, flags, first, eventfds)
    }

    fn disable_msix(&mut self) -> Result<(), DeviceError> {
        self.set_irqs(VFIO_PCI_MSIX_IRQ_INDEX, VFIO_IRQ_SET_DATA_NONE, 0, &[])
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        // SAFETY: the number is that of VFIO_DEVICE_RESET, which takes no argument.
        let request = unsafe { NoArg::<VFIO_DEVICE_RESET>::new() };
        // SAFETY: a request for a VFIO device on a VFIO device's descriptor.
        match unsafe { ioctl(self.fd(), request) } {
            Ok(()) => Ok(()),
            Err(Errno::NOTTY | Errno::INVAL) => Err(DeviceError::NoReset),
            Err(e) => Err(self.problem(format!("VFIO_DEVICE_RESET: {e}"))),
        }
    }

    fn gone_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.called_back.as_fd())
    }
}
