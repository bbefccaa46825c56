//! SO_LINGER with a time: closing waits until the peer has acknowledged all that was sent (socket(7)).
//!
//! The kernel keeps the option with the pair, where it does nothing; so every process that has the socket knows of it.
use std::ffi::c_int;
use std::time::Duration;

use ferrule_preload_protocol::{Op, SocketState};
use rustix::net::sockopt;

use crate::{stackd, sys, table};

/// What is to be waited for when a socket has been closed.
pub(crate) struct Farewell {
    cookie: u64,
    longest: Duration,
}

impl Farewell {
    /// Before a descriptor is closed: none, if nobody has to wait then.
    pub(crate) fn of(fd: c_int) -> Option<Self> {
        if !stackd::is_there() {
            return None;
        }
        let longest = sockopt::socket_linger(sys::fd(fd)?).ok().flatten()?;
        let waits = !longest.is_zero() && table::state(fd).0 == SocketState::Stream;
        let cookie = stackd::cookie(fd).ok().filter(|_| waits)?;
        Some(Self { cookie, longest })
    }

    /// Before all descriptors from `first` to `last` are closed.
    pub(crate) fn of_range(first: usize, last: usize) -> Vec<Self> {
        table::streams(first, last).filter_map(Self::of).collect()
    }

    /// After it was closed. If another process or descriptor has the socket, or a signal comes, nothing more is waited for: as with Linux.
    pub(crate) fn wait(self) {
        stackd::wait(self.cookie, Op::Linger, self.longest);
    }
}
