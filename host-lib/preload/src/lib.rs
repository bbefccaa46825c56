//! Preloaded into a program, this lends it the sockets of a NIC: calls of the C library that are about sockets of AF_INET and AF_INET6 go to stackd.
//!
//! What a program gets is a descriptor of the kernel's: an end of an AF_UNIX pair whose other end stackd holds (see [`ferrule_preload_protocol`]).
//! So most calls need nothing from us: poll, select, epoll, dup, fork, exec, SCM_RIGHTS, sendfile, splice and the end of the process are the kernel's. What is here is
//! what a pair does not do by itself: making, naming and connecting sockets, their options, errors other than ECONNRESET, and the headers of datagrams.
//!
//! A program is not changed where it does not use such a socket. 127.0.0.0/8, IPv6 that does not stand for IPv4, and all other families stay with the kernel.

#![deny(unsafe_code)]

#[allow(unsafe_code)]
mod ancillary;
#[allow(unsafe_code)]
pub mod control;
#[allow(unsafe_code)]
pub mod data;
#[allow(unsafe_code)]
mod datagram;
#[allow(unsafe_code)]
pub mod descriptors;
mod linger;
#[allow(unsafe_code)]
mod next;
mod program;
#[allow(unsafe_code)]
mod stackd;
#[allow(unsafe_code)]
mod sys;
mod table;
