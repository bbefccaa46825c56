//! Transmit path: store-and-forward buffer, checksum and header insertion.
//!
//! [`TxPath`] is the whole; the other modules are its parts.

pub mod align;
pub mod buffer;
pub mod finish;
pub mod mux;
mod path;
pub mod ports;
pub mod tagger;

pub use path::TxPath;
