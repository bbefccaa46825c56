//! The Ferrule NIC hardware.
