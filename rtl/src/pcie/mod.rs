//! Host side: TLPs, reads, registers, counters, MSI-X.

pub mod axi;
pub mod cells;
pub mod counters;
pub mod host_side;
pub mod internal;
pub mod msix;
pub mod port_switch;
pub mod ports;
pub mod read_engine;
pub mod reg_file;
pub mod reg_map;
pub mod slice;
pub mod tlp_rx;
pub mod tlp_tx;

pub use host_side::HostSide;
