//! Sockets over simulated NICs, beside the kernel's where it can make the same call on its loopback.
mod asynchronous;
mod calls;
mod errors;
mod events;
mod examples;
mod keeper;
mod options;
mod ours;
mod readiness;
mod side;
mod stories;
mod threads;
