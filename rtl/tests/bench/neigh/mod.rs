//! Testbenches of `neigh`.
