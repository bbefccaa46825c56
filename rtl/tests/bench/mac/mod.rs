//! Testbenches of `mac`.
