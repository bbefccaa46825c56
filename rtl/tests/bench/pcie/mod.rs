//! Testbenches of `pcie`.
