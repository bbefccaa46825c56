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
/// Most Ethernet ports behind one PCIe function. Each port is a whole NIC: it has its own MAGIC, CTRL.RESET, queues, counters, MAC address and push
/// window at [`port_offset`] of [`BAR_REGS`], and its own vectors from [`port_vector`] on. The function's configuration space is one: bus mastering, the
/// largest payload and the largest read hold for all of its ports, and a function-level or hot reset resets all of them.
pub const MAX_PORTS: u8 = 2;
/// BAR with the registers: those of port `p` begin at [`port_offset`]`(p)`.
pub const BAR_REGS: u8 = 0;
/// Bytes of one port in [`BAR_REGS`].
pub const BAR_REGS_SIZE: u32 = 1 << 20;
/// BAR with the MSI-X table at 0 and the pending-bit array at [`MSIX_PBA_OFFSET`]: one of each for all ports, in the order of the vectors' numbers.
pub const BAR_MSIX: u8 = 2;
/// Size of [`BAR_MSIX`] in bytes.
pub const BAR_MSIX_SIZE: u32 = 4096;
/// Byte offset of the MSI-X pending-bit array in [`BAR_MSIX`].
pub const MSIX_PBA_OFFSET: u32 = 0x800;
/// In the byte after the length of a vendor-specific capability (PCI Local Bus 3.0 appendix H): the NIC is at the other end of a slow link, as a UART is,
/// so that reads by it take long: the driver is to use PUSH mode.
pub const PCI_SLOW_LINK: u8 = 1;
/// Number of MSI-X vectors of a port, counted from [`port_vector`]; each queue's CFG says which of them it raises.
pub const MSIX_VECTORS: u16 = 8;
/// Bytes of a vector's entry in the MSI-X table (PCI Local Bus 3.0 section 6.8.2).
pub const MSIX_ENTRY_SIZE: u32 = 16;

/// Byte offset in [`BAR_REGS`] of a port's registers; of `n` ports, the bytes that they take together.
pub const fn port_offset(port: u8) -> u32 {
    port as u32 * BAR_REGS_SIZE
}

/// Number in the MSI-X table, and in the pending-bit array, of a port's first vector; of `n` ports, how many vectors they have together.
pub const fn port_vector(port: u8) -> u16 {
    port as u16 * MSIX_VECTORS
}

// The vectors of all ports fit between the table's beginning and the pending bits, and the ports' registers in 32 bits of address.
const _: () = {
    assert!(port_vector(MAX_PORTS) as u32 * MSIX_ENTRY_SIZE <= MSIX_PBA_OFFSET);
    assert!(MAX_PORTS.is_power_of_two() && MAX_PORTS < 16);
};
/// Length of one unit of the hardware's coarse time, in nanoseconds (2^20 ns, about 1.05 ms): ARP ageing, retries and the exported deadline count in it.
pub const TICK_NS: u64 = 1 << 20;
