//! TCP sockets, as in std::net.
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr, SocketAddrV4, ToSocketAddrs};
use std::time::Duration;

use ferrule_stack::{Bytes, Error, ListenQueue, Readiness, SocketId, TcpInfo, TcpState};

use crate::address::{each_v4, v4};
use crate::chunks::Chunks;
use crate::host::Host;
use crate::socket::{Handle, Socket};

/// A TCP connection.
///
/// Bytes have no borders on the way: what one `write` sends may arrive in several `read`s, and several in one. Dropping the last
/// handle closes the connection; what was written is still delivered.
#[derive(Clone, Debug)]
pub struct TcpStream {
    pub(crate) socket: Handle,
}

/// A listening TCP socket with its queue of connections to accept.
#[derive(Clone, Debug)]
pub struct TcpListener {
    pub(crate) socket: Handle,
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
            let stream = Self::of(Handle::new(socket));
            wait_for_connection(&stream, timeout)?;
            Ok(stream)
        })
    }

    pub(crate) fn of(socket: Handle) -> Self {
        Self { socket }
    }

    /// Receives into `buffer` without taking the bytes away.
    ///
    /// # Errors
    /// As `read`.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket
            .read(|core, _, id| core.stack.tcp_peek(id, buffer))
    }

    /// Sends bytes by handle: the socket copies none of them, and holds their memory until the peer has acknowledged them. Gives how many there
    /// was room for; [`Bytes::slice`](crate::Payload::slice) makes a handle to the rest.
    ///
    /// # Errors
    /// As `write`.
    pub fn write_bytes(&self, bytes: &Bytes) -> io::Result<usize> {
        self.socket
            .write(|core, now, id| core.stack.tcp_send_bytes(now, id, bytes))
    }

    /// Receives all bytes that have come, by handle: the socket copies none of them. No bytes mean that the peer has closed.
    ///
    /// # Errors
    /// As `read`.
    pub fn read_chunks(&self) -> io::Result<Chunks> {
        self.socket
            .read(|core, now, id| core.stack.tcp_recv_chunks(now, id))
            .map(Chunks)
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

    /// What closing does (SO_LINGER): `None` returns at once and delivers what was written; zero cuts the connection off with a reset; another
    /// time waits as long, at most, for the peer to have acknowledged everything.
    ///
    /// # Errors
    /// Never, at present.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.socket.set_linger(linger);
        Ok(())
    }

    /// What closing does.
    ///
    /// # Errors
    /// Never, at present.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        Ok(self.socket.linger())
    }

    /// Bytes that can be read at once (FIONREAD).
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn unread(&self) -> io::Result<usize> {
        self.socket.once(|core, _, id| core.stack.tcp_unread(id))
    }

    /// Bytes that were written and that the peer has not acknowledged (SIOCOUTQ); the end of the stream counts as one.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn unacknowledged(&self) -> io::Result<usize> {
        self.socket
            .once(|core, _, id| core.stack.tcp_unacknowledged(id))
    }

    /// The connection's state.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn state(&self) -> io::Result<TcpState> {
        self.socket.once(|core, _, id| core.stack.tcp_state(id))
    }

    /// What the connection can tell of itself (TCP_INFO).
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn info(&self) -> io::Result<TcpInfo> {
        self.socket
            .once(|core, now, id| core.stack.tcp_info(now, id))
    }
}

/// Waits until a connection is open.
pub(crate) fn wait_for_connection(stream: &TcpStream, timeout: Option<Duration>) -> io::Result<()> {
    stream.socket.block(timeout, |core, _, id| {
        connected(core.stack.readiness(id), core.stack.take_error(id))
    })
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

    fn read_vectored(&mut self, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.socket.read(|core, now, id| {
            let mut total = 0;
            for part in parts.iter_mut().filter(|part| !part.is_empty()) {
                match core.stack.tcp_recv(now, id, part) {
                    Ok(n) => total += n,
                    // The next call tells.
                    Err(_) if total > 0 => break,
                    Err(e) => return Err(e),
                }
                if core.stack.tcp_unread(id)? == 0 {
                    break;
                }
            }
            Ok(total)
        })
    }
}

impl Write for &TcpStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket
            .write(|core, now, id| core.stack.tcp_send(now, id, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        if parts.iter().all(|part| part.is_empty()) {
            return self.write(&[]);
        }
        self.socket.write(|core, now, id| {
            let mut total = 0;
            // Nothing is sent before all are queued: a header and its body share a segment, as with writev(2).
            for part in parts.iter().filter(|part| !part.is_empty()) {
                match core.stack.tcp_send(now, id, part) {
                    Ok(n) => total += n,
                    Err(_) if total > 0 => break,
                    Err(e) => return Err(e),
                }
            }
            Ok(total)
        })
    }
}

impl Read for TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    fn read_vectored(&mut self, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(parts)
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
            Ok(Self::of(Handle::new(socket)))
        })
    }

    pub(crate) fn of(socket: Handle) -> Self {
        Self { socket }
    }

    /// How full the queues of connections are: those that wait to be accepted, and those whose handshake is under way.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn queue(&self) -> io::Result<ListenQueue> {
        self.socket
            .once(|core, _, id| core.stack.tcp_listen_queue(id))
    }

    /// Sets how many connections may wait to be accepted, less one: listen(2) once more.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn set_backlog(&self, backlog: usize) -> io::Result<()> {
        self.socket
            .once(|core, _, id| core.stack.tcp_listen_on(id, backlog))
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
        Ok((TcpStream::of(Handle::new(socket)), v4(peer)))
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
crate::socket::descriptor!(TcpStream);
crate::socket::descriptor!(TcpListener);
crate::options::buffers_and_marks!(TcpStream);
crate::options::buffers_and_marks!(TcpListener);
crate::options::tcp_options!(TcpStream);
crate::options::tcp_options!(TcpListener);
