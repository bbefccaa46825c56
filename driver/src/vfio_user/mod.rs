//! vfio-user: VFIO over a unix socket.
pub mod proto;
pub mod socket;

mod client;
pub use client::{VfioUser, REPLY_TIMEOUT};
