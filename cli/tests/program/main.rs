//! The program as its users run it.
mod boards;
mod bridge;
mod capture;
mod common;
mod demo;
mod info;
mod kernel_peer;
mod killed;
mod neigh;
mod pci;
mod ping;
mod regs;
mod selftest;
mod settings;
mod stats;
mod usage;
mod verilog;
