//! The world around the simulated NIC.
