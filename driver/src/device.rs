//! What the driver needs of a device, however it is reached.
use crate::iova::IovaAllocator;
use crate::{DeviceError, DmaBuf, Registers};
use ferrule_abi::BAR_REGS_SIZE;
use std::ops::Range;
use std::os::fd::BorrowedFd;

/// A PCI device, or a port of one ([`crate::ports`]), with registers, DMA and MSI-X.
pub trait Device: Registers {
    /// Name of the kind of access, for messages: `vfio`, `vfio-user`, ...
    fn backend(&self) -> &'static str;
    /// A handle for the registers that another thread may have, of a device that can give one. The device is not let go of before the last of them is
    /// dropped: whoever opens it anew is not reached by what an old handle writes.
    ///
    /// # Errors
    /// See [`DeviceError`].
    fn share_registers(&mut self) -> Result<Option<Box<dyn Registers>>, DeviceError> {
        Ok(None)
    }
    /// Reads configuration space from byte `offset` on.
    ///
    /// # Errors
    /// See [`DeviceError`].
    fn config_read(&mut self, offset: u16, data: &mut [u8]) -> Result<(), DeviceError>;
    /// Writes configuration space from byte `offset` on.
    ///
    /// # Errors
    /// See [`DeviceError`].
    fn config_write(&mut self, offset: u16, data: &[u8]) -> Result<(), DeviceError>;
    /// Bytes of the BAR with the registers, which may have room for several ports ([`ferrule_abi::port_offset`]); one port's where nothing else is known.
    fn registers_size(&self) -> u64 {
        BAR_REGS_SIZE.into()
    }
    /// Chooses I/O virtual addresses in `range` for `len` bytes that are about to be mapped, as [`IovaAllocator::allocate`] does; none if there is no room. What
    /// shares its table with other ports keeps them from those, until the memory is unmapped or the device dropped.
    fn reserve_iova(&mut self, range: &Range<u64>, len: u64) -> Option<u64> {
        IovaAllocator::new(range.clone()).allocate(len)
    }
    /// Whether something (an IOMMU, a simulator's table) refuses what the device would do to memory that it was not given. Without, a device that is told a
    /// wrong address reads and writes whatever is there.
    fn is_isolated(&self) -> bool {
        true
    }
    /// Memory that can be mapped for this device: at least `len` bytes of zeroes.
    ///
    /// # Errors
    /// [`DeviceError::Dma`]; [`DeviceError::Vfio`] if the device wants what the machine does not have.
    fn dma_memory(&mut self, len: usize) -> Result<DmaBuf, DeviceError> {
        Ok(DmaBuf::new(len)?)
    }
    /// The one address at which the device can see this memory, where it has no say in that: without an IOMMU, that in physical memory. None where it may be
    /// mapped at any.
    ///
    /// # Errors
    /// [`DeviceError::Vfio`] for memory that is not of [`dma_memory`](Self::dma_memory).
    fn bus_address(&self, _buf: &DmaBuf) -> Result<Option<u64>, DeviceError> {
        Ok(None)
    }
    /// Lets the device read and write all of `buf` at I/O virtual address `iova` (a multiple of 4096), its [`bus_address`](Self::bus_address) if it has one.
    ///
    /// # Errors
    /// See [`DeviceError`].
    fn dma_map(&mut self, iova: u64, buf: &DmaBuf) -> Result<(), DeviceError>;
    /// Takes back what was mapped at `iova` with `len` bytes; when it returns, the device accesses it no more, if it [is isolated](Self::is_isolated). The
    /// memory of one that is not is kept for it until the device is dropped.
    ///
    /// # Errors
    /// See [`DeviceError`].
    fn dma_unmap(&mut self, iova: u64, len: usize) -> Result<(), DeviceError>;
    /// Attaches an eventfd to each of the first vectors and enables MSI-X.
    ///
    /// # Errors
    /// See [`DeviceError`].
    fn enable_msix(&mut self, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError>;
    /// Attaches other eventfds to the vectors from `first` on, while MSI-X is enabled and they have some; all other vectors go on as they are.
    ///
    /// # Errors
    /// See [`DeviceError`].
    fn swap_vectors(&mut self, first: u16, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError>;
    /// Disables MSI-X and lets go of the eventfds.
    ///
    /// # Errors
    /// See [`DeviceError`].
    fn disable_msix(&mut self) -> Result<(), DeviceError>;
    /// Function-level reset.
    ///
    /// # Errors
    /// [`DeviceError::NoReset`] if this device has none; see [`DeviceError`].
    fn reset(&mut self) -> Result<(), DeviceError>;
    /// A descriptor that becomes readable when the device goes away (or says something unasked): it raises no interrupt then, so who
    /// sleeps on the interrupts sleeps on this too, and looks with a register read.
    fn gone_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
