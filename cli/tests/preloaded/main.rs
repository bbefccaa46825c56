//! Programs that were never written for a NIC's sockets, and use them: `ferrule run -- PROGRAM`.
//!
//! The programs are other people's, and each has its own measure of success: a status, bytes that are the same, a count. The other host is the Linux kernel, at the
//! far end of a TAP device in a namespace that each test makes itself; so most tests need root.
#[path = "../../../host-lib/tests/socket_api/calls.rs"]
mod calls;
mod clients;
mod cpython;
mod errnos;
mod iperf;
mod lan;
mod many;
mod python;
mod rtl;
mod rules;
mod servers;
#[allow(dead_code, reason = "the table of calls needs a part of it")]
#[path = "../../../host-lib/tests/socket_api/side.rs"]
mod side;
mod tools;
