//! What all kinds of socket share: the handle, blocking and its time-outs.
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ferrule_stack::{Error, Instant, Shutdown, SocketId, TcpState};
use nix::errno::Errno;

use crate::address::v4;
use crate::core::Core;
use crate::exports::Lent;
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

/// A program's handle to a socket, which clones share.
#[derive(Debug)]
pub(crate) struct Handle {
    socket: Arc<Socket>,
    /// The handle's own descriptor, once it was asked for.
    fd: OnceLock<Lent>,
}

impl Handle {
    pub(crate) fn new(socket: Socket) -> Self {
        Self {
            socket: Arc::new(socket),
            fd: OnceLock::new(),
        }
    }

    /// Sees to it that there is a descriptor.
    ///
    /// # Errors
    /// When the process has as many as it may.
    pub(crate) fn export(&self) -> io::Result<()> {
        if self.fd.get().is_none() {
            let lent = self.host.lend(self.id)?;
            // Another thread's, maybe: one is as good as the other.
            self.fd.get_or_init(|| lent);
        }
        Ok(())
    }
}

impl Deref for Handle {
    type Target = Socket;
    fn deref(&self) -> &Socket {
        &self.socket
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        Self {
            socket: Arc::clone(&self.socket),
            fd: OnceLock::new(),
        }
    }
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        if let Err(e) = self.export() {
            // There is no way to say so; what is always ready makes the program ask, and so lose nothing.
            tracing::error!("a socket gets no descriptor: {e}");
        }
        match self.fd.get() {
            Some(fd) => fd.as_fd(),
            None => self.host.always_ready(),
        }
    }
}

/// A socket of the stack; closed when dropped.
pub(crate) struct Socket {
    host: Host,
    id: SocketId,
    nonblocking: AtomicBool,
    read_timeout: Timeout,
    write_timeout: Timeout,
    /// How long closing waits for the peer to have acknowledged everything; zero: the connection is cut off.
    linger: Linger,
}

/// SO_LINGER.
#[derive(Debug)]
struct Linger(AtomicU64);

impl Linger {
    fn get(&self) -> Option<Duration> {
        match self.0.load(Ordering::Relaxed) {
            FOR_EVER => None,
            ns => Some(Duration::from_nanos(ns)),
        }
    }
}

/// An error of the stack as std's: the kernel's number for it, from which std tells the kind.
pub(crate) fn io_error(error: Error) -> io::Error {
    let errno = match error {
        Error::WouldBlock => Errno::EAGAIN,
        Error::InProgress => Errno::EALREADY,
        Error::Stale => Errno::EBADF,
        Error::Unsupported => Errno::EOPNOTSUPP,
        Error::InvalidInput => Errno::EINVAL,
        Error::NotConnected => Errno::ENOTCONN,
        Error::IsConnected => Errno::EISCONN,
        Error::ConnectionRefused => Errno::ECONNREFUSED,
        Error::ConnectionReset => Errno::ECONNRESET,
        Error::ConnectionAborted => Errno::ECONNABORTED,
        Error::BrokenPipe => Errno::EPIPE,
        Error::TimedOut => Errno::ETIMEDOUT,
        Error::AddrInUse => Errno::EADDRINUSE,
        Error::AddrNotAvailable => Errno::EADDRNOTAVAIL,
        Error::HostUnreachable => Errno::EHOSTUNREACH,
        Error::NetworkUnreachable => Errno::ENETUNREACH,
        Error::MessageTooLong => Errno::EMSGSIZE,
        Error::DestinationRequired => Errno::EDESTADDRREQ,
        Error::PermissionDenied => Errno::EACCES,
        Error::NoBuffers => Errno::ENOBUFS,
        Error::ProtocolUnavailable => Errno::ENOPROTOOPT,
        Error::Protocol => Errno::EPROTO,
        Error::HostDown => Errno::EHOSTDOWN,
        Error::NotOnNetwork => Errno::ENONET,
        Error::NoDevice => Errno::ENODEV,
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
            linger: Linger(AtomicU64::new(FOR_EVER)),
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
        let called = self.host.shared().with(|core, now| {
            let result = call(core, now, self.id);
            core.exports.touch(self.id);
            result
        });
        called?.map_err(io_error)
    }

    /// A call that waits while it would block, whatever the socket's mode.
    pub(crate) fn block<T>(
        &self,
        timeout: Option<Duration>,
        mut call: impl FnMut(&mut Core, Instant, SocketId) -> Result<T, Error>,
    ) -> io::Result<T> {
        self.host.shared().block_on(timeout, |state, now| {
            let result = call(&mut state.core, now, self.id);
            state.core.exports.touch(self.id);
            match result {
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
            io::ErrorKind::TimedOut if e.raw_os_error().is_none() => Errno::EAGAIN.into(),
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

    pub(crate) fn is_nonblocking(&self) -> bool {
        self.nonblocking.load(Ordering::Relaxed)
    }

    pub(crate) fn set_linger(&self, linger: Option<Duration>) {
        let ns = linger.map_or(FOR_EVER, |t| {
            u64::try_from(t.as_nanos()).map_or(FOR_EVER - 1, |ns| ns.min(FOR_EVER - 1))
        });
        self.linger.0.store(ns, Ordering::Relaxed);
    }

    pub(crate) fn linger(&self) -> Option<Duration> {
        self.linger.get()
    }

    /// Waits until the peer has acknowledged everything, the end included, or the time is over.
    fn wait_for_the_last(&self, linger: Duration) -> io::Result<()> {
        let unread = self.once(|core, _, id| core.stack.tcp_unread(id))?;
        if unread > 0 {
            // Closing resets the connection at once.
            return Ok(());
        }
        self.once(|core, now, id| core.stack.tcp_shutdown(now, id, Shutdown::Write))?;
        self.block(Some(linger), |core, _, id| {
            match core.stack.tcp_state(id)? {
                TcpState::FinWait1 | TcpState::Closing | TcpState::LastAck => {
                    Err(Error::WouldBlock)
                }
                _ => Ok(()),
            }
        })
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
        let linger = self.linger();
        if let Some(linger) = linger.filter(|linger| !linger.is_zero()) {
            if let Err(e) = self.wait_for_the_last(linger) {
                tracing::debug!("lingering on a socket: {e}");
            }
        }
        // A NIC that is gone has nothing left to close, and drop has nobody to tell.
        let closed = self.once(|core, now, id| {
            core.exports.close(id);
            match linger {
                Some(Duration::ZERO) => core.stack.tcp_abort(now, id),
                _ => core.stack.close(now, id),
            }
        });
        if let Err(e) = closed {
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

/// Gives a public socket type its descriptor.
macro_rules! descriptor {
    ($type:ident) => {
        /// The descriptor that poll(2), epoll and select understand, level or edge, beside those of the kernel: IN, OUT, RDHUP, HUP and ERR as
        /// a kernel's socket shows them. It is for polling alone: what is read from it or written to it is lost, and disturbs it. It is made at
        /// the first call, and kept up to date by the host's service thread (see [`HostBuilder::background`](crate::HostBuilder::background)).
        /// Each clone has its own.
        ///
        /// If the process has no descriptor left, it is one that is ready for everything.
        impl std::os::fd::AsFd for $type {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.socket.as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $type {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(self))
            }
        }
    };
}
pub(crate) use descriptor;

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

            /// Whether calls give [`std::io::ErrorKind::WouldBlock`] instead of waiting.
            ///
            /// # Errors
            /// Never, at present.
            pub fn nonblocking(&self) -> std::io::Result<bool> {
                Ok(self.socket.is_nonblocking())
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
