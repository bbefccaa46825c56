//! What tests that cross crates and the benchmarks share; the tests themselves are in `tests/tests/`.
#![forbid(unsafe_code)]

pub mod bench;
pub mod differential;
pub mod engines;
pub mod frames;
pub mod latency;
pub mod line_rate;
