//! The time a driver runs on: the machine's clock, or a simulator's.
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::time::{clock_gettime, ClockId};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Weak;

/// Nanoseconds of one second.
const SECOND: u64 = 1_000_000_000;

/// A source of time that can also be waited on.
pub trait Clock: Send + Sync {
    /// Nanoseconds since some fixed moment; never goes back.
    fn now(&self) -> u64;
    /// Blocks until one of `fds` is readable (or has an error or hang-up to report) or [`now`](Clock::now) reaches `deadline_ns`, whichever
    /// comes first; with neither, for ever. A deadline that is past returns at once.
    ///
    /// # Errors
    /// What poll(2) reports, except EINTR.
    fn wait(&self, fds: &[BorrowedFd<'_>], deadline_ns: Option<u64>) -> io::Result<()>;
    /// As [`wait`](Clock::wait), and tells which of the first 64 `fds` may be readable, a bit for each from the lowest on: where it costs nothing to
    /// know, those alone that are.
    ///
    /// # Errors
    /// As [`wait`](Clock::wait).
    fn wait_for(&self, fds: &[BorrowedFd<'_>], deadline_ns: Option<u64>) -> io::Result<u64> {
        self.wait(fds, deadline_ns).map(|()| u64::MAX)
    }
    /// Whether time passes while nobody waits: on one where it does not, who looks again and again instead of waiting looks for ever.
    fn passes_by_itself(&self) -> bool {
        false
    }
    /// Hands over work that is to be done whenever it is due, by whichever thread waits on this clock, for as long as the service lives.
    /// False if this clock does nothing by itself: then a thread is needed.
    fn serve(&self, _service: Weak<dyn Service>) -> bool {
        false
    }
    /// Tells the clock to ask its services whether they are [due](Service::is_due).
    fn poke(&self) {}
}

/// Work that a [`Clock`] does itself: what a thread of its own would do that always waits.
pub trait Service: Send + Sync {
    /// The descriptors that call for it when they are readable; always the same ones.
    fn fds(&self) -> Vec<BorrowedFd<'_>>;
    /// Whether it has asked to be run.
    fn is_due(&self) -> bool;
    /// Does what there is to do; `called` says that one of its descriptors is readable.
    fn run(&self, called: bool) -> Served;
}

/// What a run of a [`Service`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// Done; to be run again at this time, if one is given, even if nothing calls for it.
    Until(Option<u64>),
    /// It cannot do anything now: its descriptors call for nothing until it is due.
    NotNow,
    /// Some other thread works on it at this moment, and it is due when that is done: until then no time should pass that the clock can hold.
    Busy,
}

/// The machine's own clock: CLOCK_MONOTONIC and poll(2).
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> u64 {
        let t = clock_gettime(ClockId::Monotonic);
        t.tv_sec as u64 * SECOND + t.tv_nsec as u64
    }

    fn passes_by_itself(&self) -> bool {
        true
    }

    fn wait(&self, fds: &[BorrowedFd<'_>], deadline_ns: Option<u64>) -> io::Result<()> {
        self.wait_for(fds, deadline_ns).map(|_| ())
    }

    fn wait_for(&self, fds: &[BorrowedFd<'_>], deadline_ns: Option<u64>) -> io::Result<u64> {
        let mut polled: Vec<PollFd<'_>> = fds
            .iter()
            .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
            .collect();
        loop {
            let left = deadline_ns.map(|d| d.saturating_sub(self.now()));
            let timeout = left.map(|ns| Timespec {
                tv_sec: (ns / SECOND) as i64,
                tv_nsec: (ns % SECOND) as _,
            });
            match poll(&mut polled, timeout.as_ref()) {
                Ok(0) if left.is_some_and(|ns| ns > 0) => {}
                Ok(_) => {
                    let ready = polled.iter().take(64).enumerate();
                    return Ok(ready.fold(0, |mask, (n, fd)| {
                        mask | u64::from(!fd.revents().is_empty()) << n
                    }));
                }
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;

    #[test]
    fn waits_until_the_deadline_and_not_less() {
        let clock = WallClock;
        let deadline = clock.now() + 3_000_000;
        clock.wait(&[], Some(deadline)).unwrap();
        assert!(clock.now() >= deadline);
        clock.wait(&[], Some(0)).unwrap();
    }

    #[test]
    fn a_readable_fd_ends_a_wait_without_a_deadline() {
        let (a, mut b) = std::os::unix::net::UnixStream::pair().unwrap();
        b.write_all(b"x").unwrap();
        WallClock.wait(&[a.as_fd()], None).unwrap();
    }

    #[test]
    fn a_wait_tells_which_are_readable() {
        let pairs: Vec<_> = (0..3)
            .map(|_| std::os::unix::net::UnixStream::pair().unwrap())
            .collect();
        (&pairs[1].1).write_all(b"x").unwrap();
        let fds: Vec<_> = pairs.iter().map(|(a, _)| a.as_fd()).collect();
        assert_eq!(WallClock.wait_for(&fds, None).unwrap(), 0b010);
        assert_eq!(WallClock.wait_for(&fds[..1], Some(0)).unwrap(), 0);
    }
}
