//! Differential runs against the Linux kernel through a TUN device, as client and as server, over wires with faults.
//!
//! Each test has a network namespace of its own and runs on wall time. A failed one leaves its packets in a pcap file.

mod datagrams;
mod ends;
mod lab;
mod negotiation;
mod short;
mod soak;
mod streams;
mod windows;
