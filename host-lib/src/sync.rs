//! By what threads wait for each other, and for the NIC: the standard library's, an eventfd, the host's clock.
use std::io;

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

pub(crate) use std::hint::spin_loop;
pub(crate) use std::os::fd::{AsFd, BorrowedFd as FdRef, OwnedFd as Fd};
pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
pub(crate) use std::sync::Arc;
pub(crate) use std::thread::yield_now;

pub(crate) use ferrule_driver::clock::{Clock, Served, Service};
pub(crate) use ferrule_driver::lock::{Mutex, MutexGuard};

/// Wakes a thread that waits on it.
pub(crate) struct WakeUp(EventFd);

impl WakeUp {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self(EventFd::from_flags(flags)?))
    }

    /// Makes it readable.
    pub(crate) fn signal(&self) {
        match self.0.write(1) {
            // Full: it is readable as it should be.
            Ok(_) | Err(Errno::EAGAIN) => {}
            Err(e) => tracing::error!("waking a thread: {e}"),
        }
    }

    /// Makes it not readable.
    pub(crate) fn clear(&self) {
        match self.0.read() {
            // Empty: it was not signalled.
            Ok(_) | Err(Errno::EAGAIN) => {}
            Err(e) => tracing::error!("clearing a wake-up: {e}"),
        }
    }
}

impl AsFd for WakeUp {
    fn as_fd(&self) -> FdRef<'_> {
        self.0.as_fd()
    }
}

/// Whether a descriptor is readable now.
pub(crate) fn is_readable(fd: &Fd) -> io::Result<bool> {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, PollTimeout::ZERO) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(e) => Err(e.into()),
    }
}
