//! What can go wrong with a device, and what to do about it.
use crate::dma::DmaError;
use crate::vfio::VfioProblem;
use crate::vfio_user::socket::SocketError;
use std::io;
use std::path::PathBuf;

/// An error of a [`Device`](crate::Device).
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// [`open`](crate::open) does not know this kind of device.
    #[error("{0:?} names no device; write pci:0000:01:00.0 for a PCI device, pci-no-iommu:0000:01:00.0 for one that no IOMMU guards, or vfio-user:PATH for a vfio-user socket, with #1 behind it for a second port")]
    Spec(String),
    /// The device is not there any more: unplugged, or its simulator ended.
    #[error(
        "the device is gone ({0}); plug it in or start its simulator again, then open it anew"
    )]
    Gone(String),
    /// No vfio-user socket to connect to.
    #[error("no vfio-user device at {path}: {source}; start one there with `ferrule serve`")]
    Connect {
        /// The socket's path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The vfio-user peer refused a command.
    #[error("the vfio-user device refused {command}: {error}")]
    Refused {
        /// The command's name.
        command: &'static str,
        /// Its errno.
        error: io::Error,
    },
    /// The vfio-user connection broke.
    #[error("vfio-user connection: {0}")]
    Socket(#[from] SocketError),
    /// The vfio-user peer answers something other than what was asked.
    #[error("the vfio-user peer does not keep to the protocol: {0}")]
    Protocol(String),
    /// An access outside a region.
    #[error("region {region} has {size} bytes; no access of {len} bytes at {offset:#x}")]
    OutOfRegion {
        /// The region: BAR number, or 7 for configuration space.
        region: u32,
        /// Its size.
        size: u64,
        /// Byte offset of the access.
        offset: u64,
        /// Its length.
        len: usize,
    },
    /// A register access that is not 32 bits on a 4-byte boundary.
    #[error("register offset {0:#x} is not a multiple of 4")]
    Misaligned(u32),
    /// The device has fewer MSI-X vectors than wanted.
    #[error("the device has {have} MSI-X vectors, {want} are wanted")]
    Vectors {
        /// Vectors there.
        have: u32,
        /// Vectors wanted.
        want: u32,
    },
    /// The function has no port of this number.
    #[error("there is no port {port}: the device has {}", count(*.ports))]
    NoPort {
        /// The number, counted from 0.
        port: u32,
        /// How many ports there are.
        ports: u8,
    },
    /// A port is open in this process.
    #[error("port {port} is open in this process already; the device has {}", count(*.ports))]
    PortOpen {
        /// The number, counted from 0.
        port: u8,
        /// How many ports there are.
        ports: u8,
    },
    /// What a port may not write, as it is the function's.
    #[error("the configuration space at {offset:#x} belongs to all ports of the device; a port may write the command register alone")]
    Shared {
        /// Byte offset of the access.
        offset: u16,
    },
    /// A port cannot have memory where there is some.
    #[error("no {len} bytes can be mapped at {iova:#x}: port {port} of the same device has addresses there")]
    IovaTaken {
        /// Where.
        iova: u64,
        /// How many bytes.
        len: u64,
        /// Whose addresses they are.
        port: u8,
    },
    /// What is not mapped, or by another port, cannot be given back.
    #[error("{len} bytes at {iova:#x} are not mapped here")]
    NotMapped {
        /// Where.
        iova: u64,
        /// How many bytes.
        len: usize,
    },
    /// Memory that was made for another device.
    #[error("this memory is laid out for a device that sees physical addresses; let the device at hand make its own (Device::dma_memory)")]
    OtherMemory,
    /// The device cannot be reset by command.
    #[error("this device has no reset by VFIO; CTRL.RESET is the way")]
    NoReset,
    /// The kernel's VFIO does not give the device.
    #[error("{0}")]
    Vfio(#[from] Box<VfioProblem>),
    /// DMA memory could not be had.
    #[error(transparent)]
    Dma(#[from] DmaError),
    /// The operating system's error.
    #[error("{doing}: {source}")]
    Os {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

/// A number of ports in words.
fn count(ports: u8) -> String {
    match ports {
        1 => "1 port, number 0".into(),
        n => format!("{n} ports, numbers 0 to {}", n - 1),
    }
}

impl From<VfioProblem> for DeviceError {
    fn from(problem: VfioProblem) -> Self {
        Self::Vfio(Box::new(problem))
    }
}

impl DeviceError {
    /// For `map_err`: an operating system's error with what was being done.
    pub(crate) fn os<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |e| Self::Os {
            doing,
            source: e.into(),
        }
    }
}
