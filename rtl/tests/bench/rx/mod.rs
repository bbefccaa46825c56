//! Testbenches of `rx`.
mod arp;
mod buffer;
mod filter;
pub(crate) mod frames;
pub(crate) mod harness;
mod hash;
mod ipv4;
pub(crate) mod oracle;
mod path;
mod sum;
mod verdict;
