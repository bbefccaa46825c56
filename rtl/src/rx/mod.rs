//! Receive path: filter, parser, checks, store-and-forward buffer.
//!
//! [`RxPath`] is the whole; the other modules are its parts. [`ipv4`] and [`sum`] also serve the transmit path.

pub mod arp;
pub mod buffer;
pub mod fields;
pub mod filter;
pub mod hash;
pub mod ipv4;
pub mod lanes;
mod path;
pub mod ports;
pub mod sum;
pub mod verdict;

pub use path::RxPath;
