//! User-space driver of the Ferrule NIC.
//!
//! A device is reached through the kernel's VFIO or over a vfio-user socket ([`open`]); nothing here knows whether it is real.
//! Where one PCIe function has several Ethernet ports, [`ports`] makes a device of each.
#![deny(unsafe_code)]

pub mod barriers;
pub mod clock;
pub mod device;
#[allow(unsafe_code)]
pub mod dma;
pub mod error;
pub mod iova;
pub mod irq;
pub mod lock;
#[allow(unsafe_code)]
pub mod mmio;
pub mod nic;
pub mod pci;
pub mod ports;
pub mod registers;
mod ring;
pub mod vfio;
pub mod vfio_user;

pub use clock::{Clock, WallClock};
pub use device::Device;
pub use dma::DmaBuf;
pub use error::DeviceError;
pub use nic::{Nic, NicConfig, NicError};
pub use ports::open;
pub use registers::{Registers, SharedRegisters};
