//! Transmit path: store-and-forward buffer, checksum and header insertion.

pub mod ports;
