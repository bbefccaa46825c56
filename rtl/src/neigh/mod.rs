//! Neighbours: ARP and the next-hop decision.
//!
//! [`engine::Neigh`] is the whole: one sequencer that owns the cache and serves received ARP packets, timers and lookups, in that order, and the
//! host's commands when no lookup waits.

pub mod command;
pub mod engine;
pub mod frame;
pub mod inbox;
pub mod outbox;
pub mod ports;
pub mod route;
pub mod state;
