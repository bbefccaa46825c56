//! The Linux kernel as a peer, without a NIC: a network namespace of a thread's own, a TUN device in it, and a wire
//! whose faults come from a seed. Needs root; runs on wall time.
#![forbid(unsafe_code)]

mod capture;
pub mod namespace;
mod tun;
mod wire;

pub use capture::{Capture, Captured};
pub use tun::{wait, Tun};
pub use wire::{Direction, Wire};
