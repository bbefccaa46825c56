//! An interrupt as an eventfd.
use rustix::event::{eventfd, EventfdFlags};
use rustix::io::{read, Errno};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// An eventfd that a device's interrupt vector writes.
#[derive(Debug)]
pub struct Irq(OwnedFd);

impl Irq {
    /// A new one, not signalled, non-blocking.
    ///
    /// # Errors
    /// What eventfd(2) reports.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(
            0,
            EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK,
        )?))
    }

    /// Takes the signal away; tells how many there were.
    ///
    /// # Errors
    /// What read(2) reports, except EAGAIN.
    pub fn drain(&self) -> io::Result<u64> {
        let mut count = [0; 8];
        loop {
            match read(&self.0, &mut count) {
                Ok(_) => return Ok(u64::from_ne_bytes(count)),
                Err(Errno::AGAIN) => return Ok(0),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl AsFd for Irq {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
