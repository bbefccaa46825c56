//! Neighbours: ARP and the next-hop decision.

pub mod ports;
