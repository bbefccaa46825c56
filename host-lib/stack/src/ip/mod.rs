//! IPv4 below the transports: putting fragments together, limiting replies.

pub(crate) mod rate;
pub(crate) mod reassembly;
