//! Testbenches of `tx`.
