//! Testbenches of `neigh`.
mod command;
mod conflict;
mod engine;
mod frame;
mod harness;
mod inbox;
mod outbox;
mod route;
mod stress;
mod verilog;
