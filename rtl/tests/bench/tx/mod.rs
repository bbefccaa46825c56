//! Testbenches of `tx`.
mod align;
mod buffer;
mod finish;
mod harness;
mod mux;
mod path;
mod tagger;
