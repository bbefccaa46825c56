//! IPv4 below the transports: routes, path MTUs, fragments, multicast groups, limits on replies.

pub(crate) mod filter;
mod fragment_ecn;
pub(crate) mod icmp_errors;
pub(crate) mod igmp;
mod igmp_report;
pub(crate) mod layer;
pub(crate) mod membership;
pub(crate) mod params;
pub(crate) mod path_mtu;
pub(crate) mod prefix;
pub(crate) mod rate;
pub(crate) mod reassembly;
pub(crate) mod routes;
