//! The Ferrule NIC hardware, described with rust-hdl.
//!
//! | folder | holds |
//! |---|---|
//! | [`mac`] | GMII and MII MAC, FCS, clock crossing, 8 to 64 bit conversion |
//! | [`rx`] | address filter, IPv4 and L4 checks, receive buffer |
//! | [`tx`] | transmit buffer, checksum and header insertion, MAC multiplexer |
//! | [`flow`] | PAUSE frames, both ways |
//! | [`icmp`] | ICMP echo requests answered |
//! | [`neigh`] | ARP: responder, cache, requester; next-hop decision |
//! | [`queue`] | SQ, TXCQ, RXQ, RXCQ and event queue engines |
//! | [`pcie`] | TLP interface, read engine, register file, counters, MSI-X |
//! | [`phy`] | beside the NIC: management of a PHY, RGMII |
//! | [`board`] | boards: what is around the NIC on each, its pins, the files for the tools |
//! | [`uart`] | beside the NIC: TLPs over a UART, in place of a PCIe block |
//!
//! Data paths are 64 bits wide as two 32-bit words: [`stream`]. MAC addresses travel as `mac_lo` (bytes 0 to 3, byte 0 in bits 7:0) and
//! `mac_hi` (bytes 4 and 5); IPv4 addresses as one 32-bit number with the first byte in bits 31:24.
#![forbid(unsafe_code)]

pub mod board;
pub mod clock;
pub mod flow;
pub mod icmp;
pub mod mac;
pub mod native;
pub mod neigh;
pub mod nic;
pub mod pcie;
pub mod phy;
pub mod pins;
pub mod queue;
pub mod rx;
pub mod store;
pub mod stream;
pub mod tx;
pub mod uart;
pub mod verilog;
