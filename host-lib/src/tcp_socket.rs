//! TCP sockets before they connect or listen, for what has to be chosen first.
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use crate::address::{each_v4, v4_of};
use crate::host::Host;
use crate::socket::{Handle, Socket};
use crate::tcp::{wait_for_connection, TcpListener, TcpStream};

/// A TCP socket that neither listens nor has a connection: options, the local address and buffer sizes that count from the first packet on
/// are set here.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// # let host = ferrule::Host::default_host()?;
/// let socket = host.tcp_socket()?;
/// socket.set_reuse_port(true)?;
/// socket.bind("0.0.0.0:80")?;
/// let listener = socket.listen(1_024)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TcpSocket {
    pub(crate) socket: Handle,
}

impl TcpSocket {
    pub(crate) fn on(host: &Host) -> io::Result<Self> {
        let socket = Socket::new(host, |core, _| Ok(core.stack.tcp_open()))?;
        Ok(Self {
            socket: Handle::new(socket),
        })
    }

    /// Takes a local address, once; port 0 is a free one.
    ///
    /// # Errors
    /// As bind(2): [`io::ErrorKind::AddrInUse`], [`io::ErrorKind::AddrNotAvailable`], [`io::ErrorKind::InvalidInput`] the second time.
    pub fn bind(&self, addr: impl ToSocketAddrs) -> io::Result<()> {
        each_v4(addr, |addr| {
            self.socket
                .once(|core, _, id| core.stack.tcp_bind_to(id, addr))
        })
    }

    /// Another handle to the same socket: it stays a socket to try again with when connecting or listening fails.
    ///
    /// # Errors
    /// Never; std's signature.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.clone(),
        })
    }

    /// Our address; port 0 until there is one.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Connects, and waits until it is done.
    ///
    /// # Errors
    /// As connect(2): refused, timed out, unreachable.
    pub fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        let stream = self.begin_connect(addr)?;
        wait_for_connection(&stream, None)?;
        Ok(stream)
    }

    /// Connects within `timeout`.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when the time is over; otherwise as [`TcpSocket::connect`].
    pub fn connect_timeout(self, addr: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        let stream = self.begin_connect(addr)?;
        wait_for_connection(&stream, Some(timeout))?;
        Ok(stream)
    }

    /// Begins to connect and does not wait: the stream is writable when it is connected, and has an error to
    /// [take](TcpStream::take_error) if it failed. Its calls do not wait either until [`TcpStream::set_nonblocking`] says so.
    ///
    /// # Errors
    /// What is wrong before anything is sent: no route, a local address that is taken.
    pub fn connect_nonblocking(self, addr: SocketAddr) -> io::Result<TcpStream> {
        let stream = self.begin_connect(addr)?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    }

    fn begin_connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        let to = v4_of(addr)?;
        self.socket
            .once(|core, now, id| core.stack.tcp_connect_on(now, id, to))?;
        Ok(TcpStream::of(self.socket))
    }

    /// Listens, on a free port if the socket is not bound; `backlog` + 1 connections may wait to be accepted.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrInUse`] if somebody else listens there.
    pub fn listen(self, backlog: usize) -> io::Result<TcpListener> {
        self.socket
            .once(|core, _, id| core.stack.tcp_listen_on(id, backlog))?;
        Ok(TcpListener::of(self.socket))
    }
}

crate::options::buffers_and_marks!(TcpSocket);
crate::options::sharing!(TcpSocket);
crate::options::tcp_options!(TcpSocket);
