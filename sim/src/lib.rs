//! The world around the simulated NIC: engines, root complex, wires, capture, the vfio-user server.

pub mod capture;
pub mod wire;
