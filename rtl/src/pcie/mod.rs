//! Host side: TLPs, reads, registers, counters, MSI-X.

pub mod ports;
