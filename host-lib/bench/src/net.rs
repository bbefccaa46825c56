//! What both kinds of socket have in common, as a job needs it.
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4};

use ferrule::Host;

/// A side of a pair of hosts.
pub trait Net: Send + 'static {
    /// A connection.
    type Stream: Read + Write + Send;
    /// A listener.
    type Listener: Send;
    /// Listens on a port.
    ///
    /// # Errors
    /// As listen(2).
    fn listen(&self, port: u16) -> io::Result<Self::Listener>;
    /// Accepts.
    ///
    /// # Errors
    /// As accept(2).
    fn accept(&self, listener: &Self::Listener) -> io::Result<Self::Stream>;
    /// Connects to the other side.
    ///
    /// # Errors
    /// As connect(2).
    fn connect(&self, port: u16) -> io::Result<Self::Stream>;
    /// Whether calls wait, and small writes go at once.
    ///
    /// # Errors
    /// As setsockopt(2).
    fn set(&self, stream: &Self::Stream, waits: bool) -> io::Result<()>;
}

/// Our sockets.
pub struct Ours {
    /// The host.
    pub host: Host,
    /// The other side's address.
    pub peer: Ipv4Addr,
}

impl Net for Ours {
    type Stream = ferrule::TcpStream;
    type Listener = ferrule::TcpListener;

    fn listen(&self, port: u16) -> io::Result<Self::Listener> {
        self.host.listen((Ipv4Addr::UNSPECIFIED, port), 128)
    }

    fn accept(&self, listener: &Self::Listener) -> io::Result<Self::Stream> {
        Ok(listener.accept()?.0)
    }

    fn connect(&self, port: u16) -> io::Result<Self::Stream> {
        self.host.connect(SocketAddrV4::new(self.peer, port))
    }

    fn set(&self, stream: &Self::Stream, waits: bool) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(!waits)
    }
}

/// The kernel's, in whatever namespace the thread is.
pub struct Kernel {
    /// The other side's address.
    pub peer: Ipv4Addr,
}

impl Net for Kernel {
    type Stream = std::net::TcpStream;
    type Listener = std::net::TcpListener;

    fn listen(&self, port: u16) -> io::Result<Self::Listener> {
        std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
    }

    fn accept(&self, listener: &Self::Listener) -> io::Result<Self::Stream> {
        Ok(listener.accept()?.0)
    }

    fn connect(&self, port: u16) -> io::Result<Self::Stream> {
        std::net::TcpStream::connect(SocketAddrV4::new(self.peer, port))
    }

    fn set(&self, stream: &Self::Stream, waits: bool) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(!waits)
    }
}
