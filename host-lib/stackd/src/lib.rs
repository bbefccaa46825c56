//! stackd: owns a NIC and its stack, and lends its sockets to programs that were written for the kernel's.
//!
//! The programs are preloaded with `ferrule-preload`. What passes between is in [`ferrule_preload_protocol`]: each socket of a program is an end of a pair
//! of the kernel's, and what this crate does is to move bytes, datagrams and new connections between the other ends and the stack, and to answer the calls
//! that are not bytes. One thread does all of it, and drives the NIC.
//!
//! A program that dies, forks, or hands a socket to another needs nothing special: a pair ends when its last holder has closed it, and what was
//! written to it before is still sent.
#![forbid(unsafe_code)]

mod calls;
mod datagram;
mod errno;
mod kernel;
mod listener;
mod name;
mod options;
mod pair;
mod relay;
mod server;
mod socket;

pub use ferrule_preload_protocol::{Address, Lists, NoRule, Ports, Program, Rules};
pub use server::{Handle, Server, ServerError};
