//! The requests of VFIO's that are made here (linux/vfio.h), each a function of a descriptor.
use crate::DmaBuf;
use rustix::io::Errno;
use rustix::ioctl::{ioctl, opcode, Ioctl, IoctlOutput, NoArg, Opcode, Setter, Updater};
use std::ffi::{c_void, CStr};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use vfio_bindings::bindings::vfio::{
    vfio_group_status, vfio_irq_info, vfio_region_info, VFIO_GROUP_FLAGS_VIABLE,
    VFIO_IRQ_SET_ACTION_TRIGGER,
};
use vfio_ioctls::{VfioContainer, VfioError};

/// `_IO(';', 100 + n)`: all of VFIO's are of this kind, whatever their argument.
const fn number(n: u8) -> Opcode {
    opcode::none(b';', 100 + n)
}

const VFIO_GET_API_VERSION: Opcode = number(0);
const VFIO_CHECK_EXTENSION: Opcode = number(1);
const VFIO_SET_IOMMU: Opcode = number(2);
const VFIO_GROUP_GET_STATUS: Opcode = number(3);
const VFIO_GROUP_SET_CONTAINER: Opcode = number(4);
const VFIO_GROUP_GET_DEVICE_FD: Opcode = number(6);
const VFIO_DEVICE_GET_REGION_INFO: Opcode = number(8);
const VFIO_DEVICE_GET_IRQ_INFO: Opcode = number(9);
const VFIO_DEVICE_SET_IRQS: Opcode = number(10);
const VFIO_DEVICE_RESET: Opcode = number(11);

/// Most vectors attached.
pub(super) const MAX_VECTORS: usize = 64;

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

/// A request that is answered by what ioctl(2) returns.
struct Asking {
    number: Opcode,
    argument: *mut c_void,
}

// SAFETY: the argument goes to the kernel as it is, and its answer is given back as it is; nothing is read through a pointer here.
unsafe impl Ioctl for Asking {
    type Output = i32;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.number
    }

    fn as_ptr(&mut self) -> *mut c_void {
        self.argument
    }

    unsafe fn output_from_ptr(answer: IoctlOutput, _: *mut c_void) -> rustix::io::Result<i32> {
        Ok(answer)
    }
}

/// Asks with a number for an argument.
fn ask(fd: BorrowedFd<'_>, number: Opcode, argument: u32) -> Result<i32, Errno> {
    let argument = ptr::without_provenance_mut(argument as usize);
    // SAFETY: only the requests of this file that take a number, or nothing, come here; the kernel reads and writes no memory of ours for them.
    unsafe { ioctl(fd, Asking { number, argument }) }
}

/// The version of the interface that a container speaks.
pub(super) fn api_version(container: BorrowedFd<'_>) -> Result<u32, Errno> {
    ask(container, VFIO_GET_API_VERSION, 0).map(|version| version as u32)
}

/// Whether a container has this kind of IOMMU, or of none.
pub(super) fn has_extension(container: BorrowedFd<'_>, kind: u32) -> Result<bool, Errno> {
    ask(container, VFIO_CHECK_EXTENSION, kind).map(|answer| answer > 0)
}

/// Has a container, which has a group, use this kind.
pub(super) fn set_iommu(container: BorrowedFd<'_>, kind: u32) -> Result<(), Errno> {
    ask(container, VFIO_SET_IOMMU, kind).map(drop)
}

/// Whether a group can be used: the kernel drives none of its devices.
pub(super) fn is_viable(group: BorrowedFd<'_>) -> Result<bool, Errno> {
    let mut status = vfio_group_status {
        argsz: size_of::<vfio_group_status>() as u32,
        flags: 0,
    };
    // SAFETY: the number is that of VFIO_GROUP_GET_STATUS, which reads and writes a vfio_group_status of `argsz` bytes.
    let request = unsafe { Updater::<VFIO_GROUP_GET_STATUS, _>::new(&mut status) };
    // SAFETY: the request's memory lives as long as the call; a descriptor that is no group's is refused by the kernel.
    unsafe { ioctl(group, request) }?;
    Ok(status.flags & VFIO_GROUP_FLAGS_VIABLE != 0)
}

/// Puts a group into a container.
pub(super) fn set_container(group: BorrowedFd<'_>, container: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: the number is that of VFIO_GROUP_SET_CONTAINER, which reads an int, the container's descriptor.
    let request = unsafe { Setter::<VFIO_GROUP_SET_CONTAINER, i32>::new(container.as_raw_fd()) };
    // SAFETY: the container is open during the call, and the kernel keeps a reference of its own.
    unsafe { ioctl(group, request) }
}

/// The device of this name in a group.
pub(super) fn device_fd(group: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let request = Asking {
        number: VFIO_GROUP_GET_DEVICE_FD,
        argument: name.as_ptr().cast_mut().cast(),
    };
    // SAFETY: the request reads a string that ends in a zero, which lives as long as the call, and writes nothing.
    let fd = unsafe { ioctl(group, request) }?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What the kernel says of a region.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Region {
    pub(super) flags: u32,
    pub(super) size: u64,
    /// Where it is in the device's file.
    pub(super) offset: u64,
}

/// A region of a device; a device may lack it.
pub(super) fn region(device: BorrowedFd<'_>, index: u32) -> Result<Region, Errno> {
    let mut info = vfio_region_info {
        argsz: size_of::<vfio_region_info>() as u32,
        index,
        ..Default::default()
    };
    // SAFETY: the number is that of VFIO_DEVICE_GET_REGION_INFO, which reads and writes a vfio_region_info of `argsz` bytes.
    let request = unsafe { Updater::<VFIO_DEVICE_GET_REGION_INFO, _>::new(&mut info) };
    // SAFETY: the request's memory lives as long as the call; a descriptor that is no device's is refused by the kernel.
    unsafe { ioctl(device, request) }?;
    Ok(Region {
        flags: info.flags,
        size: info.size,
        offset: info.offset,
    })
}

/// How many interrupts of a kind a device has.
pub(super) fn vectors(device: BorrowedFd<'_>, index: u32) -> Result<u32, Errno> {
    let mut info = vfio_irq_info {
        argsz: size_of::<vfio_irq_info>() as u32,
        index,
        ..Default::default()
    };
    // SAFETY: the number is that of VFIO_DEVICE_GET_IRQ_INFO, which reads and writes a vfio_irq_info of `argsz` bytes.
    let request = unsafe { Updater::<VFIO_DEVICE_GET_IRQ_INFO, _>::new(&mut info) };
    // SAFETY: the request's memory lives as long as the call; a descriptor that is no device's is refused by the kernel.
    unsafe { ioctl(device, request) }?;
    Ok(info.count)
}

/// Attaches eventfds, [`MAX_VECTORS`] at most, to a device's interrupts of a kind from `start` on, or as `flags` say.
pub(super) fn set_irqs(
    device: BorrowedFd<'_>,
    index: u32,
    flags: u32,
    start: u16,
    fds: &[BorrowedFd<'_>],
) -> Result<(), Errno> {
    if fds.len() > MAX_VECTORS {
        return Err(Errno::INVAL);
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
    // SAFETY: the request's memory lives as long as the call; the kernel keeps references of its own to the eventfds.
    unsafe { ioctl(device, request) }
}

/// Function-level reset.
pub(super) fn reset(device: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: the number is that of VFIO_DEVICE_RESET, which takes no argument.
    let request = unsafe { NoArg::<VFIO_DEVICE_RESET>::new() };
    // SAFETY: no memory of ours goes with it.
    unsafe { ioctl(device, request) }
}

/// Gives memory to the devices of a container at an I/O virtual address.
pub(super) fn map(container: &VfioContainer, iova: u64, buf: &DmaBuf) -> Result<(), VfioError> {
    // SAFETY: `DmaBuf` gives no references to its memory, only volatile and atomic access; the kernel pins the pages, so that they stay
    // the device's even if the buffer is dropped before it is unmapped.
    unsafe { container.vfio_dma_map(iova, buf.len(), buf.as_mut_ptr()) }
}

/// The descriptor of a device that `vfio-ioctls` has opened.
pub(super) fn descriptor(device: &vfio_ioctls::VfioDevice) -> BorrowedFd<'_> {
    // SAFETY: it is open as long as the device, from which the result borrows.
    unsafe { BorrowedFd::borrow_raw(device.as_raw_fd()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{eventfd, EventfdFlags};
    use std::os::fd::AsFd;

    #[test]
    fn the_numbers_are_those_of_the_header() {
        // `_IO(';', 100)` and the following, as a C compiler has them.
        assert_eq!(VFIO_GET_API_VERSION, 0x3B64);
        assert_eq!(VFIO_GROUP_GET_DEVICE_FD, 0x3B6A);
        assert_eq!(VFIO_DEVICE_RESET, 0x3B6F);
    }

    #[test]
    fn what_is_no_device_of_vfios_refuses() {
        let other = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let fd = other.as_fd();
        assert_eq!(api_version(fd), Err(Errno::NOTTY));
        assert_eq!(is_viable(fd), Err(Errno::NOTTY));
        assert_eq!(set_container(fd, fd), Err(Errno::NOTTY));
        assert_eq!(device_fd(fd, c"0000:01:00.0").err(), Some(Errno::NOTTY));
        assert_eq!(region(fd, 0).err(), Some(Errno::NOTTY));
        assert_eq!(vectors(fd, 0), Err(Errno::NOTTY));
        assert_eq!(set_irqs(fd, 0, 0, 0, &[fd; 2]), Err(Errno::NOTTY));
        assert_eq!(
            set_irqs(fd, 0, 0, 0, &[fd; MAX_VECTORS + 1]),
            Err(Errno::INVAL)
        );
        assert_eq!(reset(fd), Err(Errno::NOTTY));
    }
}
