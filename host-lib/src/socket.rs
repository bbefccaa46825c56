//! What all kinds of socket share: the handle, blocking and its time-outs.
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ferrule_stack::{Error, Instant, SocketId};
use nix::errno::Errno;

use crate::address::v4;
use crate::core::Core;
use crate::host::Host;

/// No time-out, as [`Timeout`] stores it.
const FOR_EVER: u64 = u64::MAX;

/// A time-out that several threads may read and set.
#[derive(Debug)]
struct Timeout(AtomicU64);

impl Timeout {
    fn get(&self) -> Option<Duration> {
        match self.0.load(Ordering::Relaxed) {
            FOR_EVER => None,
            ns => Some(Duration::from_nanos(ns)),
        }
    }

    fn set(&self, timeout: Option<Duration>) -> io::Result<()> {
        let ns = match timeout {
            // std: a time-out of zero is an error, not "never wait".
            Some(Duration::ZERO) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "a time-out of zero; use set_nonblocking for a socket that never waits",
                ))
            }
            Some(t) => u64::try_from(t.as_nanos()).unwrap_or(FOR_EVER),
            None => FOR_EVER,
        };
        self.0.store(ns, Ordering::Relaxed);
        Ok(())
    }
}

/// A socket of the stack; closed when dropped.
pub(crate) struct Socket {
    host: Host,
    id: SocketId,
    nonblocking: AtomicBool,
    read_timeout: Timeout,
    write_timeout: Timeout,
}

/// An error of the stack as std's.
pub(crate) fn io_error(error: Error) -> io::Error {
    // std has no kind for these: a program can only ask for the number.
    let errno = match error {
        Error::MessageTooLong => Errno::EMSGSIZE,
        Error::DestinationRequired => Errno::EDESTADDRREQ,
        Error::NoBuffers => Errno::ENOBUFS,
        Error::ProtocolUnavailable => Errno::ENOPROTOOPT,
        Error::Protocol => Errno::EPROTO,
        Error::HostDown => Errno::EHOSTDOWN,
        Error::NotOnNetwork => Errno::ENONET,
        error => return io::Error::new(error.kind(), error),
    };
    errno.into()
}

impl Socket {
    /// Makes a socket with `make`.
    pub(crate) fn new(
        host: &Host,
        make: impl FnOnce(&mut Core, Instant) -> Result<SocketId, Error>,
    ) -> io::Result<Self> {
        let id = host.shared().with(make)?.map_err(io_error)?;
        Ok(Self::adopt(host, id))
    }

    /// Takes charge of a socket that is there already.
    pub(crate) fn adopt(host: &Host, id: SocketId) -> Self {
        Self {
            host: host.clone(),
            id,
            nonblocking: AtomicBool::new(false),
            read_timeout: Timeout(AtomicU64::new(FOR_EVER)),
            write_timeout: Timeout(AtomicU64::new(FOR_EVER)),
        }
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// A call that never waits.
    pub(crate) fn once<T>(
        &self,
        call: impl FnOnce(&mut Core, Instant, SocketId) -> Result<T, Error>,
    ) -> io::Result<T> {
        self.host
            .shared()
            .with(|core, now| call(core, now, self.id))?
            .map_err(io_error)
    }

    /// A call that waits while it would block, whatever the socket's mode.
    pub(crate) fn block<T>(
        &self,
        timeout: Option<Duration>,
        mut call: impl FnMut(&mut Core, Instant, SocketId) -> Result<T, Error>,
    ) -> io::Result<T> {
        self.host.shared().block_on(timeout, |state, now| {
            match call(&mut state.core, now, self.id) {
                Err(Error::WouldBlock | Error::InProgress) => None,
                result => Some(result.map_err(io_error)),
            }
        })
    }

    fn wait<T>(
        &self,
        timeout: &Timeout,
        call: impl FnMut(&mut Core, Instant, SocketId) -> Result<T, Error>,
    ) -> io::Result<T> {
        if self.nonblocking.load(Ordering::Relaxed) {
            return self.once(call);
        }
        self.block(timeout.get(), call).map_err(|e| match e.kind() {
            // POSIX: SO_RCVTIMEO and SO_SNDTIMEO end a call with EAGAIN; std passes that on. ETIMEDOUT is the connection's own.
            io::ErrorKind::TimedOut if e.get_ref().is_none() => io::ErrorKind::WouldBlock.into(),
            _ => e,
        })
    }

    /// A call that waits for something to read.
    pub(crate) fn read<T>(
        &self,
        call: impl FnMut(&mut Core, Instant, SocketId) -> Result<T, Error>,
    ) -> io::Result<T> {
        self.wait(&self.read_timeout, call)
    }

    /// A call that waits for room to write.
    pub(crate) fn write<T>(
        &self,
        call: impl FnMut(&mut Core, Instant, SocketId) -> Result<T, Error>,
    ) -> io::Result<T> {
        self.wait(&self.write_timeout, call)
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.once(|core, _, id| core.stack.local_addr(id)).map(v4)
    }

    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(self
            .once(|core, _, id| core.stack.take_error(id))?
            .map(io_error))
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
    }

    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.read_timeout.set(timeout)
    }

    pub(crate) fn read_timeout(&self) -> Option<Duration> {
        self.read_timeout.get()
    }

    pub(crate) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.write_timeout.set(timeout)
    }

    pub(crate) fn write_timeout(&self) -> Option<Duration> {
        self.write_timeout.get()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A NIC that is gone has nothing left to close, and drop has nobody to tell.
        if let Err(e) = self.once(|core, now, id| core.stack.close(now, id)) {
            tracing::debug!("closing a socket: {e}");
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Gives a public socket type the options that std's have in common.
macro_rules! common_options {
    ($type:ident) => {
        impl $type {
            /// Takes the pending error (SO_ERROR).
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn take_error(&self) -> std::io::Result<Option<std::io::Error>> {
                self.socket.take_error()
            }

            /// In nonblocking mode calls give [`std::io::ErrorKind::WouldBlock`] instead of waiting.
            ///
            /// # Errors
            /// Never; std's signature.
            pub fn set_nonblocking(&self, nonblocking: bool) -> std::io::Result<()> {
                self.socket.set_nonblocking(nonblocking);
                Ok(())
            }

            /// How long a reading call waits, [`std::io::ErrorKind::WouldBlock`] after it; `None`: for ever.
            ///
            /// # Errors
            /// [`std::io::ErrorKind::InvalidInput`] for a time-out of zero.
            pub fn set_read_timeout(
                &self,
                timeout: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                self.socket.set_read_timeout(timeout)
            }

            /// How long a reading call waits.
            ///
            /// # Errors
            /// Never; std's signature.
            pub fn read_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                Ok(self.socket.read_timeout())
            }

            /// How long a writing call waits, [`std::io::ErrorKind::WouldBlock`] after it; `None`: for ever.
            ///
            /// # Errors
            /// [`std::io::ErrorKind::InvalidInput`] for a time-out of zero.
            pub fn set_write_timeout(
                &self,
                timeout: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                self.socket.set_write_timeout(timeout)
            }

            /// How long a writing call waits.
            ///
            /// # Errors
            /// Never; std's signature.
            pub fn write_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                Ok(self.socket.write_timeout())
            }
        }
    };
}
pub(crate) use common_options;
