//! Sockets over simulated NICs, beside the kernel's where it can make the same call on its loopback.
mod asynchronous;

mod errors;
mod events;
mod examples;
mod options;
mod readiness;
mod side;
mod stories;
mod threads;
