//! The service and the sockets under it, tested on nets of their own: all tests at once in one process, as nobody but these crates and Rust
//! is needed.
mod datagrams;
mod net;
mod service;
mod streams;
