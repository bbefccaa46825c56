//! Testbenches of `rx`.
