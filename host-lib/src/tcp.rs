//! TCP sockets, as in std::net.
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, SocketAddrV4, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use ferrule_stack::{Error, Readiness, SocketId};

use crate::address::{each_v4, v4};
use crate::host::Host;
use crate::socket::Socket;

/// A TCP connection.
///
/// Bytes have no borders on the way: what one `write` sends may arrive in several `read`s, and several in one. Dropping the last
/// handle closes the connection; what was written is still delivered.
#[derive(Clone, Debug)]
pub struct TcpStream {
    socket: Arc<Socket>,
}

/// A listening TCP socket with its queue of connections to accept.
#[derive(Clone, Debug)]
pub struct TcpListener {
    socket: Arc<Socket>,
}

/// Connections that [`TcpListener::bind`] lets wait to be accepted, as std's does.
pub const DEFAULT_BACKLOG: usize = 128;

impl TcpStream {
    /// Connects through the process's default host; tries each address in turn.
    ///
    /// # Errors
    /// As [`Host::connect`]; also when there is no default host.
    pub fn connect(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Host::default_host()?.connect(addr)
    }

    /// Connects through the default host within `timeout`.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when the time is over; otherwise as [`Host::connect`].
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<Self> {
        Host::default_host()?.connect_timeout(addr, timeout)
    }

    pub(crate) fn connect_on(
        host: &Host,
        addr: impl ToSocketAddrs,
        timeout: Option<Duration>,
    ) -> io::Result<Self> {
        if timeout == Some(Duration::ZERO) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a time-out of zero; nothing connects in no time",
            ));
        }
        each_v4(addr, |addr| {
            let socket = Socket::new(host, |core, now| core.stack.tcp_connect(now, None, addr))?;
            socket.block(timeout, |core, _, id| {
                connected(core.stack.readiness(id), core.stack.take_error(id))
            })?;
            Ok(Self {
                socket: Arc::new(socket),
            })
        })
    }

    /// Receives into `buffer` without taking the bytes away.
    ///
    /// # Errors
    /// As `read`.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket
            .read(|core, _, id| core.stack.tcp_peek(id, buffer))
    }

    /// Ends reading, writing or both. The peer sees the end of the stream after all that was written.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`] if there is no connection any more.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let how = match how {
            Shutdown::Read => ferrule_stack::Shutdown::Read,
            Shutdown::Write => ferrule_stack::Shutdown::Write,
            Shutdown::Both => ferrule_stack::Shutdown::Both,
        };
        self.socket
            .once(|core, now, id| core.stack.tcp_shutdown(now, id, how))
    }

    /// The peer's address.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`] if there is none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket
            .once(|core, _, id| core.stack.peer_addr(id))
            .map(v4)
    }

    /// Our address.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// A second handle to the same connection.
    ///
    /// # Errors
    /// Never; std's signature.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }

    /// Sends small segments at once instead of gathering them (Nagle's algorithm off).
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket.once(|core, now, id| {
            let mut options = core.stack.tcp_options(id)?;
            options.nodelay = nodelay;
            core.stack.tcp_set_options(now, id, options)
        })
    }

    /// Whether Nagle's algorithm is off.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket
            .once(|core, _, id| core.stack.tcp_options(id))
            .map(|options| options.nodelay)
    }
}

/// Whether an attempt to connect has come to an end.
fn connected(
    ready: Result<Readiness, Error>,
    error: Result<Option<Error>, Error>,
) -> Result<(), Error> {
    if let Some(error) = error? {
        return Err(error);
    }
    let ready = ready?;
    if ready.intersects(Readiness::WRITABLE | Readiness::HANGUP) {
        Ok(())
    } else {
        Err(Error::WouldBlock)
    }
}

impl Read for &TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket
            .read(|core, now, id| core.stack.tcp_recv(now, id, buffer))
    }
}

impl Write for &TcpStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            // POSIX: a write of nothing on a stream sends nothing.
            return Ok(0);
        }
        self.socket
            .write(|core, now, id| core.stack.tcp_send(now, id, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        // One segment for a header and its body, as writev(2) gives.
        let whole: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        self.write(&whole)
    }
}

impl Read for TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl Write for TcpStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(parts)
    }
}

impl TcpListener {
    /// Listens through the process's default host.
    ///
    /// # Errors
    /// As [`Host::listen`]; also when there is no default host.
    pub fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Host::default_host()?.listen(addr, DEFAULT_BACKLOG)
    }

    pub(crate) fn bind_on(
        host: &Host,
        addr: impl ToSocketAddrs,
        backlog: usize,
    ) -> io::Result<Self> {
        each_v4(addr, |addr| {
            let socket = Socket::new(host, |core, _| core.stack.tcp_listen(addr, backlog))?;
            Ok(Self {
                socket: Arc::new(socket),
            })
        })
    }

    /// The next connection, with its peer's address; waits for one.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] on a nonblocking socket without one.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let host = self.socket.host();
        let (id, peer): (SocketId, SocketAddrV4) =
            self.socket.read(|core, _, id| core.stack.tcp_accept(id))?;
        let socket = Socket::adopt(host, id);
        Ok((
            TcpStream {
                socket: Arc::new(socket),
            },
            v4(peer),
        ))
    }

    /// Connections as they come, for ever.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// Our address; the port is the one chosen if 0 was asked for.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// A second handle to the same socket.
    ///
    /// # Errors
    /// Never; std's signature.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }
}

/// An endless iterator over accepted connections.
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }
}

crate::socket::common_options!(TcpStream);
crate::socket::common_options!(TcpListener);
