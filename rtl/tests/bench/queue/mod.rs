//! Testbenches of `queue`.
