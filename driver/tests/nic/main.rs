//! The NIC against a fake device in plain Rust.
mod clock;
mod control;
mod data;
mod fake;
mod hostile;
mod in_place;
mod neighbours;
mod pairs;
mod ports;
mod raw;
mod recovery;
