//! One testbench a module, one binary for all.
mod clock;
mod common;
mod flow;
mod icmp;
mod lockstep;
mod mac;
mod neigh;
mod pcie;
mod phy;
mod queue;
mod rx;
mod store;
mod tx;
mod uart;
mod verilog;
