//! Sockets for tokio: the same names as in `tokio::net`, over a Ferrule NIC.
//!
//! They are made in a runtime with I/O enabled, from the sockets of this crate or by `connect_on`, `bind_on` with a [`Host`], or
//! through the process's default host. [`TcpStream`] is tokio's `AsyncRead` and `AsyncWrite`, so that what is written for those
//! (hyper, for one) runs over it.
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{ready, Context, Poll};

use ::tokio::io::unix::AsyncFd;
use ::tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use ferrule_stack::{Received, SendOptions};

use crate::{Host, DEFAULT_BACKLOG};

macro_rules! wrapped {
    ($type:ident) => {
        impl $type {
            /// Takes a socket into the runtime, and makes it nonblocking.
            ///
            /// # Errors
            /// When the process has no descriptor left.
            ///
            /// # Panics
            /// Outside a tokio runtime with I/O enabled, as `tokio::net`'s.
            pub fn new(socket: crate::$type) -> io::Result<Self> {
                socket.set_nonblocking(true)?;
                socket.socket.export()?;
                // Deprecated for descriptors that may be closed or change meanwhile, where it would take `unsafe` to promise otherwise. Ours was
                // made just now, and lives and stays the same as long as the handle that moves into the `AsyncFd`.
                #[allow(deprecated)]
                let io = AsyncFd::new(socket)?;
                Ok(Self { io })
            }

            /// The socket, for its options and addresses.
            pub fn get_ref(&self) -> &crate::$type {
                self.io.get_ref()
            }

            /// Our address.
            ///
            /// # Errors
            /// When the socket is gone.
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                self.get_ref().local_addr()
            }
        }

        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.get_ref().as_fd()
            }
        }
    };
}

/// A TCP connection, as `tokio::net::TcpStream`.
#[derive(Debug)]
pub struct TcpStream {
    io: AsyncFd<crate::TcpStream>,
}

/// A listening TCP socket, as `tokio::net::TcpListener`.
#[derive(Debug)]
pub struct TcpListener {
    io: AsyncFd<crate::TcpListener>,
}

/// A UDP socket, as `tokio::net::UdpSocket`.
#[derive(Debug)]
pub struct UdpSocket {
    io: AsyncFd<crate::UdpSocket>,
}

wrapped!(TcpStream);
wrapped!(TcpListener);
wrapped!(UdpSocket);

impl TcpStream {
    /// Connects through the process's default host.
    ///
    /// # Errors
    /// As [`TcpStream::connect_on`]; also when there is no default host.
    pub async fn connect(addr: SocketAddr) -> io::Result<Self> {
        Self::connect_on(&Host::default_host()?, addr).await
    }

    /// Connects through `host`.
    ///
    /// # Errors
    /// As connect(2): refused, timed out, unreachable.
    pub async fn connect_on(host: &Host, addr: SocketAddr) -> io::Result<Self> {
        let stream = Self::new(host.tcp_socket()?.connect_nonblocking(addr)?)?;
        stream.writable().await?;
        match stream.get_ref().take_error()? {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    /// Waits until there is something to read.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    pub async fn readable(&self) -> io::Result<()> {
        self.io.readable().await?.retain_ready();
        Ok(())
    }

    /// Waits until there is room to write.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    pub async fn writable(&self) -> io::Result<()> {
        self.io.writable().await?.retain_ready();
        Ok(())
    }

    /// Receives and leaves the bytes.
    ///
    /// # Errors
    /// As `read`.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io
            .async_io(Interest::READABLE, |stream| stream.peek(buffer))
            .await
    }

    /// The peer's address.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`] if there is none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.get_ref().peer_addr()
    }

    fn poll_sent(
        &self,
        cx: &mut Context<'_>,
        mut send: impl FnMut(&mut &crate::TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.io.poll_write_ready(cx))?;
            if let Ok(result) = guard.try_io(|io| send(&mut io.get_ref())) {
                return Poll::Ready(result);
            }
        }
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.io.poll_read_ready(cx))?;
            let unfilled = buffer.initialize_unfilled();
            if let Ok(result) = guard.try_io(|io| io.get_ref().read(unfilled)) {
                return Poll::Ready(result.map(|n| buffer.advance(n)));
            }
        }
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_sent(cx, |stream| stream.write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_sent(cx, |stream| stream.write_vectored(parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match self.get_ref().shutdown(Shutdown::Write) {
            // It has ended already.
            Err(e) if e.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        })
    }
}

impl TcpListener {
    /// Listens through the process's default host.
    ///
    /// # Errors
    /// As [`TcpListener::bind_on`]; also when there is no default host.
    pub fn bind(addr: SocketAddr) -> io::Result<Self> {
        Self::bind_on(&Host::default_host()?, addr)
    }

    /// Listens through `host`.
    ///
    /// # Errors
    /// As [`Host::listen`].
    pub fn bind_on(host: &Host, addr: SocketAddr) -> io::Result<Self> {
        Self::new(host.listen(addr, DEFAULT_BACKLOG)?)
    }

    /// The next connection, with its peer's address.
    ///
    /// # Errors
    /// As accept(2).
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, from) = self
            .io
            .async_io(Interest::READABLE, crate::TcpListener::accept)
            .await?;
        Ok((TcpStream::new(stream)?, from))
    }
}

impl UdpSocket {
    /// Binds through the process's default host.
    ///
    /// # Errors
    /// As [`UdpSocket::bind_on`]; also when there is no default host.
    pub fn bind(addr: SocketAddr) -> io::Result<Self> {
        Self::bind_on(&Host::default_host()?, addr)
    }

    /// Binds through `host`.
    ///
    /// # Errors
    /// As [`Host::bind_udp`].
    pub fn bind_on(host: &Host, addr: SocketAddr) -> io::Result<Self> {
        Self::new(host.bind_udp(addr)?)
    }

    /// Fixes the peer, as [`crate::UdpSocket::connect`].
    ///
    /// # Errors
    /// When the address is not usable.
    pub fn connect(&self, addr: SocketAddr) -> io::Result<()> {
        self.get_ref().connect(addr)
    }

    /// Sends a message to `addr`.
    ///
    /// # Errors
    /// As [`crate::UdpSocket::send_to`].
    pub async fn send_to(&self, bytes: &[u8], addr: SocketAddr) -> io::Result<usize> {
        self.io
            .async_io(Interest::WRITABLE, |socket| socket.send_to(bytes, addr))
            .await
    }

    /// Sends a message to the connected peer.
    ///
    /// # Errors
    /// As [`crate::UdpSocket::send`].
    pub async fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.io
            .async_io(Interest::WRITABLE, |socket| socket.send(bytes))
            .await
    }

    /// Sends a message of several parts with choices for it alone, as [`crate::UdpSocket::send_message`].
    ///
    /// # Errors
    /// As there.
    pub async fn send_message(
        &self,
        parts: &[IoSlice<'_>],
        to: Option<SocketAddr>,
        options: SendOptions,
    ) -> io::Result<usize> {
        self.io
            .async_io(Interest::WRITABLE, |socket| {
                socket.send_message(parts, to, options)
            })
            .await
    }

    /// Receives a message; gives how many bytes of it are in `buffer` and who sent it.
    ///
    /// # Errors
    /// As recvfrom(2).
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io
            .async_io(Interest::READABLE, |socket| socket.recv_from(buffer))
            .await
    }

    /// Receives a message from the connected peer.
    ///
    /// # Errors
    /// As [`crate::UdpSocket::recv`].
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io
            .async_io(Interest::READABLE, |socket| socket.recv(buffer))
            .await
    }

    /// Receives a message and tells all that is known of it, as [`crate::UdpSocket::recv_message`].
    ///
    /// # Errors
    /// As there.
    pub async fn recv_message(&self, parts: &mut [io::IoSliceMut<'_>]) -> io::Result<Received> {
        self.io
            .async_io(Interest::READABLE, |socket| socket.recv_message(parts))
            .await
    }
}
