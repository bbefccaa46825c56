//! The ways to wait for a socket.
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::time::Duration;

use ferrule::{Events, Host, Watched};
use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use rand::rngs::StdRng;
use rand::Rng;

use crate::watchdog::Place;

/// What a call waits at most, where it is limited: short enough to end often.
const TIMEOUT: Duration = Duration::from_millis(1);

/// How the threads on a socket wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// In its calls.
    Blocking,
    /// In its calls, which end now and then for nothing.
    Timed,
    /// One by [`Events`], the others in poll(2).
    Nonblocking,
}

impl Mode {
    /// Any; of those without descriptors if nothing keeps these up to date.
    pub(crate) fn choose(rng: &mut StdRng, has_background: bool) -> Self {
        match rng.random_range(0..if has_background { 3 } else { 2 }) {
            0 => Self::Blocking,
            1 => Self::Timed,
            _ => Self::Nonblocking,
        }
    }
}

/// What is set of a socket for a way to wait.
pub(crate) trait Modal {
    fn nonblocking(&self) -> io::Result<()>;
    fn timeout(&self, timeout: Duration) -> io::Result<()>;

    fn set(&self, mode: Mode) {
        let set = match mode {
            Mode::Blocking => Ok(()),
            Mode::Timed => self.timeout(TIMEOUT),
            Mode::Nonblocking => self.nonblocking(),
        };
        set.expect("an option");
    }
}

macro_rules! modal {
    ($($type:ty),*) => {
        $(impl Modal for $type {
            fn nonblocking(&self) -> io::Result<()> {
                self.set_nonblocking(true)
            }
            fn timeout(&self, timeout: Duration) -> io::Result<()> {
                self.set_read_timeout(Some(timeout))?;
                self.set_write_timeout(Some(timeout))
            }
        })*
    };
}
modal!(ferrule::TcpStream, ferrule::TcpListener, ferrule::UdpSocket);

/// How a thread waits.
pub(crate) enum Way {
    InCalls,
    ByEvents(Events),
    InPoll(PollFlags),
}

impl Way {
    /// That of a socket's first thread.
    pub(crate) fn first(mode: Mode, host: &Host, socket: &impl Watched) -> Self {
        match mode {
            Mode::Blocking | Mode::Timed => Self::InCalls,
            Mode::Nonblocking => {
                let events = host.events();
                events.watch(socket, 0).expect("a watch");
                Self::ByEvents(events)
            }
        }
    }

    /// That of its other threads.
    pub(crate) fn further(mode: Mode, flags: PollFlags) -> Self {
        match mode {
            Mode::Blocking | Mode::Timed => Self::InCalls,
            Mode::Nonblocking => Self::InPoll(flags),
        }
    }

    /// Makes a call until it does not block.
    pub(crate) fn call<T>(
        &self,
        place: &Place,
        doing: &'static str,
        socket: &impl AsFd,
        mut call: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        place.goes_on(doing);
        loop {
            match call() {
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.wait(socket)?,
                result => return result,
            }
        }
    }

    fn wait(&self, socket: &impl AsFd) -> io::Result<()> {
        match self {
            // It has waited.
            Self::InCalls => Ok(()),
            Self::ByEvents(events) => {
                events.wait(&[], None)?;
                events.take(&mut vec![]);
                Ok(())
            }
            Self::InPoll(flags) => {
                let mut fds = [PollFd::new(socket.as_fd(), *flags)];
                match poll(&mut fds, PollTimeout::NONE) {
                    Ok(_) | Err(Errno::EINTR) => Ok(()),
                    Err(e) => Err(e.into()),
                }
            }
        }
    }
}
