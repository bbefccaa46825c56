//! vfio-user: VFIO over a unix socket.
pub mod proto;
pub mod socket;
