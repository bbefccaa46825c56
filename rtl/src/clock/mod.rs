//! The clock that timestamps are taken from: the core's time input, with an offset that the host steps and a rate that it trims.
pub mod adjust;
pub mod sum;
