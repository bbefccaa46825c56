//! Programs that were never written for a NIC's sockets, and use them: `ferrule run -- PROGRAM`.
//!
//! The programs are other people's, and each has its own measure of success: a status, bytes that are the same, a count. The other host is the Linux kernel, at the
//! far end of a TAP device in a namespace that each test makes itself; so most tests need root.
mod clients;
mod cpython;
mod iperf;
mod lan;
mod python;
mod rtl;
mod servers;
mod tools;
