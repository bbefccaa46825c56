//! An interrupt as an eventfd.
use rustix::event::{eventfd, poll, EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::io::{read, write, Errno};
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

    /// Signals it, as the device would.
    ///
    /// # Errors
    /// What write(2) reports, except EAGAIN: then it is signalled as often as can be.
    pub fn raise(&self) -> io::Result<()> {
        loop {
            match write(&self.0, &1u64.to_ne_bytes()) {
                Ok(_) | Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Whether it is signalled; it stays so.
    ///
    /// # Errors
    /// What poll(2) reports.
    pub fn is_raised(&self) -> io::Result<bool> {
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        loop {
            match poll(&mut fds, Some(&Timespec::default())) {
                Ok(ready) => return Ok(ready > 0),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_seen_until_it_is_taken() {
        let irq = Irq::new().unwrap();
        assert!(!irq.is_raised().unwrap());
        for _ in 0..2 {
            irq.raise().unwrap();
        }
        assert!(irq.is_raised().unwrap() && irq.is_raised().unwrap());
        assert_eq!(irq.drain().unwrap(), 2);
        assert!(!irq.is_raised().unwrap());
        assert_eq!(irq.drain().unwrap(), 0);
    }
}
