//! Sockets as sources of events for mio: the poll of a mio program waits for them beside its own.
//!
//! ```no_run
//! # fn main() -> std::io::Result<()> {
//! # let host = ferrule::Host::default_host()?;
//! let mut poll = mio::Poll::new()?;
//! let mut listener = host.listen("0.0.0.0:7", 128)?;
//! listener.set_nonblocking(true)?;
//! poll.registry()
//!     .register(&mut listener, mio::Token(0), mio::Interest::READABLE)?;
//! # Ok(())
//! # }
//! ```
//! mio's polls are edge-triggered: a socket is to be nonblocking, and used until it says [`WouldBlock`](std::io::ErrorKind::WouldBlock).
use std::io;
use std::os::fd::AsRawFd;

use ::mio::event::Source;
use ::mio::unix::SourceFd;
use ::mio::{Interest, Registry, Token};

use crate::{TcpListener, TcpStream, UdpSocket};

macro_rules! source {
    ($type:ident) => {
        impl Source for $type {
            fn register(
                &mut self,
                registry: &Registry,
                token: Token,
                interests: Interest,
            ) -> io::Result<()> {
                self.socket.export()?;
                SourceFd(&self.as_raw_fd()).register(registry, token, interests)
            }

            fn reregister(
                &mut self,
                registry: &Registry,
                token: Token,
                interests: Interest,
            ) -> io::Result<()> {
                SourceFd(&self.as_raw_fd()).reregister(registry, token, interests)
            }

            fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
                SourceFd(&self.as_raw_fd()).deregister(registry)
            }
        }
    };
}

source!(TcpStream);
source!(TcpListener);
source!(UdpSocket);
