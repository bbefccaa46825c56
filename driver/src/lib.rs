//! User-space driver of the Ferrule NIC.
//!
//! A device is reached through the kernel's VFIO or over a vfio-user socket; nothing here knows whether it is real.
#![deny(unsafe_code)]

pub mod clock;
pub mod vfio_user;
