//! The socket library over the simulated NIC: each test is named by the promise it keeps. Where std::net on Linux's loopback can make the
//! same call, it is the oracle.
mod datagrams;
mod descriptors;
mod failures;
mod lan;
mod lifetime;
mod listening;
mod neighbours;
mod streams;
mod threads;
