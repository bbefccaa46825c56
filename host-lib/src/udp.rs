//! UDP sockets, as in std::net.
use std::io;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use ferrule_stack::Error;

use crate::address::{each_v4, v4};
use crate::core::Core;
use crate::host::Host;
use crate::socket::Socket;

/// A UDP socket: messages with borders, each delivered whole or not at all.
///
/// A buffer shorter than a message loses the rest of it; a message of no bytes is a message.
#[derive(Clone, Debug)]
pub struct UdpSocket {
    socket: Arc<Socket>,
}

impl UdpSocket {
    /// Binds through the process's default host.
    ///
    /// # Errors
    /// As [`Host::bind_udp`]; also when there is no default host.
    pub fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Host::default_host()?.bind_udp(addr)
    }

    pub(crate) fn bind_on(host: &Host, addr: impl ToSocketAddrs) -> io::Result<Self> {
        each_v4(addr, |addr| {
            let socket = Socket::new(host, |core, _| core.stack.udp_bind(addr))?;
            Ok(Self {
                socket: Arc::new(socket),
            })
        })
    }

    /// Fixes the peer: `send` goes to it, and only its messages are received.
    ///
    /// # Errors
    /// When no address is usable.
    pub fn connect(&self, addr: impl ToSocketAddrs) -> io::Result<()> {
        each_v4(addr, |addr| {
            self.socket
                .once(|core, _, id| core.stack.udp_connect(id, Some(addr)))
        })
    }

    /// Sends a message to `addr`.
    ///
    /// # Errors
    /// EMSGSIZE ([`io::Error::raw_os_error`]; std has no kind for it) if it is longer than 65,507 bytes; others as sendto(2).
    pub fn send_to(&self, bytes: &[u8], addr: impl ToSocketAddrs) -> io::Result<usize> {
        each_v4(addr, |addr| {
            self.socket
                .write(|core, _, id| core.stack.udp_send_to(id, bytes, Some(addr)))
        })
    }

    /// Sends a message to the connected peer.
    ///
    /// # Errors
    /// EDESTADDRREQ ([`io::Error::raw_os_error`]; std has no kind for it) without one; otherwise as [`UdpSocket::send_to`].
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.socket
            .write(|core, _, id| core.stack.udp_send_to(id, bytes, None))
    }

    /// Receives a message; gives how many bytes of it are in `buffer` and who sent it.
    ///
    /// # Errors
    /// As recvfrom(2).
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let got = self
            .socket
            .read(|core, _, id| core.stack.udp_recv_from(id, buffer))?;
        Ok((got.copied, v4(got.from)))
    }

    /// Receives a message from the connected peer.
    ///
    /// # Errors
    /// [`io::ErrorKind::ConnectionRefused`] when the peer said that nothing listens there; otherwise as recv(2).
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.recv_from(buffer).map(|(n, _)| n)
    }

    /// Allows messages to broadcast addresses (SO_BROADCAST); without it they are refused.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.socket
            .once(|core, _, id| core.stack.set_broadcast(id, broadcast))
    }

    /// Whether messages to broadcast addresses are allowed.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.socket.once(|core, _, id| core.stack.broadcast(id))
    }

    /// Receives messages to a multicast group. `interface` is one of the host's addresses or 0.0.0.0; a host has one NIC.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if it is no group; [`io::ErrorKind::AddrInUse`] if the socket is in it already;
    /// [`io::ErrorKind::AddrNotAvailable`] if `interface` is not the host's; ENOBUFS if the socket is in as many as it may.
    pub fn join_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.socket.once(|core, now, id| {
            check_interface(core, *interface)?;
            core.stack.multicast_join(now, id, *multiaddr)
        })
    }

    /// Receives messages to the group no more.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrNotAvailable`] if the socket is not in it; otherwise as [`UdpSocket::join_multicast_v4`].
    pub fn leave_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.socket.once(|core, now, id| {
            check_interface(core, *interface)?;
            core.stack.multicast_leave(now, id, *multiaddr)
        })
    }

    /// Our address.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The connected peer's address.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`] without one.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket
            .once(|core, _, id| core.stack.peer_addr(id))
            .map(v4)
    }

    /// A second handle to the same socket.
    ///
    /// # Errors
    /// Never; std's signature.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }
}

/// Whether the interface is the host's only one.
fn check_interface(core: &Core, interface: Ipv4Addr) -> Result<(), Error> {
    let ours = core.stack.addresses().iter().any(|a| a.addr() == interface);
    match ours || interface.is_unspecified() {
        true => Ok(()),
        false => Err(Error::AddrNotAvailable),
    }
}

crate::socket::common_options!(UdpSocket);
