//! The contract between the Ferrule NIC and its driver, stated once.
//!
//! [`regs`] holds the register map of BAR0 and the MSI-X BAR, [`ring`] the 16-byte ring entries and the doorbell word, [`counter`] the
//! hardware counters. The RTL builds its decoder from these tables, the driver uses their constants, and `docs/registers.md` is
//! printed from them ([`reference::Reference`]), as are a C header ([`c_header::CHeader`]) and an SVD file ([`svd::Svd`]).
#![no_std]
#![forbid(unsafe_code)]

pub mod bank;
pub mod c_header;
pub mod counter;
pub mod reference;
pub mod regs;
pub mod ring;
pub mod svd;

mod table;
pub use table::{Access, Bank, Field, FieldInfo, Register};

/// PCI vendor id used where a board does not configure its own (0x1234 is unassigned by PCI-SIG and used by emulated devices).
pub const PCI_VENDOR: u16 = 0x1234;
/// PCI device id used where a board does not configure its own ("FE").
pub const PCI_DEVICE: u16 = 0x4645;
/// PCI class code: network controller, Ethernet (PCI Code and ID Assignment, class 02h).
pub const PCI_CLASS: u32 = 0x02_00_00;
/// BAR with the registers: one MiB a port.
pub const BAR_REGS: u8 = 0;
/// Size of [`BAR_REGS`] in bytes for one port.
pub const BAR_REGS_SIZE: u32 = 1 << 20;
/// BAR with the MSI-X table at 0 and the pending-bit array at [`MSIX_PBA_OFFSET`].
pub const BAR_MSIX: u8 = 2;
/// Size of [`BAR_MSIX`] in bytes.
pub const BAR_MSIX_SIZE: u32 = 4096;
/// Byte offset of the MSI-X pending-bit array in [`BAR_MSIX`].
pub const MSIX_PBA_OFFSET: u32 = 0x800;
/// In the byte after the length of a vendor-specific capability (PCI Local Bus 3.0 appendix H): the NIC is at the other end of a slow link, as a UART is,
/// so that reads by it take long: the driver is to use PUSH mode.
pub const PCI_SLOW_LINK: u8 = 1;
/// Number of MSI-X vectors of a one-queue-pair build: 0 events, 1 transmit, 2 receive, 3 spare.
pub const MSIX_VECTORS: u16 = 4;
/// Length of one unit of the hardware's coarse time, in nanoseconds (2^20 ns, about 1.05 ms): ARP ageing, retries and the exported deadline count in it.
pub const TICK_NS: u64 = 1 << 20;
