//! Testbenches of `neigh`.
mod engine;
mod frame;
mod harness;
mod inbox;
mod outbox;
mod route;
mod stress;
mod verilog;
