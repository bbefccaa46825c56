//! Testbenches of `pcie`.
mod lint;
