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
pub mod multicast;
mod path;
pub mod ports;
pub mod steer;
pub mod sum;
pub mod untag;
pub mod verdict;
pub mod vlan;

pub use path::RxPath;
