//! The program as its users run it.
mod common;
mod demo;
mod kernel_peer;
mod selftest;
mod usage;
mod verilog;
