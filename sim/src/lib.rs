//! The world around the simulated NIC: engines, root complex, wires, capture, the vfio-user server.
#![deny(unsafe_code)]

pub mod arty;
pub mod capture;
pub mod clock;
pub mod config_space;
pub mod dma;
pub mod engine;
#[cfg(test)]
mod fake_device;
pub mod fault_device;
pub mod host_side;
pub mod local;
pub mod model;
pub mod phy;
pub mod root_complex;
pub mod simulator;
pub mod station;
pub mod tlp;
pub mod uart;
pub mod units;
pub mod vfio_user_server;
pub mod wire;
mod world;
mod write_behind;

pub use clock::SimClock;
pub use simulator::Simulator;
