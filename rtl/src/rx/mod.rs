//! Receive path: filter, parser, checks, store-and-forward buffer.

pub mod ports;
