//! One socket of a program's: what it is at present.
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;

use ferrule::{TcpSocket, TcpStream};
use ferrule_preload_protocol::SocketState;

use crate::datagram::Datagrams;
use crate::listener::Listening;
use crate::options::Settings;
use crate::relay::Relay;

/// A socket.
pub(crate) struct Socket {
    /// Our end; none once it was closed to show an error.
    pub(crate) end: Option<OwnedFd>,
    /// Of AF_INET6: its addresses are mapped.
    pub(crate) v6: bool,
    pub(crate) kind: Kind,
    /// What SO_ERROR is to give.
    pub(crate) error: Option<i32>,
    pub(crate) settings: Settings,
    /// The program has shut it down for reading, and for writing: it looks closed then, and is not.
    pub(crate) shut: [bool; 2],
}

/// What a socket is.
pub(crate) enum Kind {
    /// TCP, new.
    Fresh(Fresh),
    /// TCP on its way to a connection.
    Connecting {
        stream: TcpStream,
        /// Bytes that the program has put before its own, to be thrown away.
        filler: usize,
    },
    /// TCP with a connection.
    Stream {
        relay: Relay,
        /// connect(2) has said so, or need not.
        told: bool,
    },
    /// TCP that listens.
    Listening(Listening),
    /// UDP.
    Datagrams(Datagrams),
    /// TCP after all.
    Ended {
        /// Its address, for getsockname(2).
        local: Option<SocketAddrV4>,
        /// Its peer's, if it is the program that has ended both ways: the kernel's connection is still there then.
        peer: Option<SocketAddrV4>,
        /// An attempt to connect has failed, and connect(2) has not said so yet.
        refused: bool,
        /// There was a connection.
        connected: bool,
    },
}

/// A TCP socket that neither connects nor listens.
pub(crate) struct Fresh {
    pub(crate) socket: TcpSocket,
    /// Taken on the kernel's loopback with the port.
    pub(crate) loopback: Vec<OwnedFd>,
}

impl Socket {
    pub(crate) fn new(end: OwnedFd, v6: bool, kind: Kind) -> Self {
        Self {
            end: Some(end),
            v6,
            kind,
            error: None,
            settings: Settings::default(),
            shut: [false; 2],
        }
    }

    /// What a preloaded program needs to know of it.
    pub(crate) fn state(&self) -> SocketState {
        match &self.kind {
            Kind::Fresh(_) => SocketState::Fresh,
            Kind::Connecting { .. } | Kind::Stream { .. } | Kind::Ended { .. } => {
                SocketState::Stream
            }
            Kind::Listening(_) => SocketState::Listening,
            Kind::Datagrams(datagrams) if datagrams.socket().peer_addr().is_ok() => {
                SocketState::ConnectedDatagram
            }
            Kind::Datagrams(_) => SocketState::Datagram,
        }
    }

    /// Its address.
    ///
    /// # Errors
    /// When the NIC fails.
    pub(crate) fn local(&self) -> std::io::Result<SocketAddrV4> {
        let addr = match &self.kind {
            Kind::Fresh(fresh) => fresh.socket.local_addr(),
            Kind::Connecting { stream, .. } => stream.local_addr(),
            Kind::Stream { relay, .. } => relay.stream().local_addr(),
            Kind::Listening(listening) => listening.listener().local_addr(),
            Kind::Datagrams(datagrams) => datagrams.socket().local_addr(),
            Kind::Ended { local, .. } => return Ok(local.unwrap_or(UNBOUND)),
        }?;
        Ok(v4(addr))
    }

    /// Its peer's.
    ///
    /// # Errors
    /// ENOTCONN.
    pub(crate) fn peer(&self) -> std::io::Result<SocketAddrV4> {
        let addr = match &self.kind {
            Kind::Ended {
                peer: Some(peer), ..
            } => return Ok(*peer),
            Kind::Stream { relay, .. } => relay.stream().peer_addr(),
            Kind::Datagrams(datagrams) => datagrams.socket().peer_addr(),
            _ => Err(rustix::io::Errno::NOTCONN.into()),
        }?;
        Ok(v4(addr))
    }
}

const UNBOUND: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, 0);

/// The stack has no other addresses.
fn v4(addr: SocketAddr) -> SocketAddrV4 {
    match addr {
        SocketAddr::V4(addr) => addr,
        SocketAddr::V6(_) => UNBOUND,
    }
}
