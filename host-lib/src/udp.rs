//! UDP sockets, as in std::net.
use std::borrow::Cow;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};

use ferrule_stack::{Error, Received, SendOptions};

use crate::address::{each_v4, v4, v4_of};
use crate::core::Core;
use crate::host::Host;
use crate::socket::{Handle, Socket};

/// A UDP socket: messages with borders, each delivered whole or not at all.
///
/// A buffer shorter than a message loses the rest of it; a message of no bytes is a message.
#[derive(Clone, Debug)]
pub struct UdpSocket {
    pub(crate) socket: Handle,
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
                socket: Handle::new(socket),
            })
        })
    }

    pub(crate) fn open_on(host: &Host) -> io::Result<Self> {
        let socket = Socket::new(host, |core, _| Ok(core.stack.udp_open()))?;
        Ok(Self {
            socket: Handle::new(socket),
        })
    }

    /// Gives a socket of [`Host::udp_socket`] its address, once; port 0 takes a free one.
    ///
    /// # Errors
    /// As bind(2): [`io::ErrorKind::InvalidInput`] if it has one.
    pub fn bind_to(&self, addr: impl ToSocketAddrs) -> io::Result<()> {
        each_v4(addr, |addr| {
            self.socket
                .once(|core, _, id| core.stack.udp_bind_to(id, addr))
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

    /// Has no peer any more.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn disconnect(&self) -> io::Result<()> {
        self.socket
            .once(|core, _, id| core.stack.udp_connect(id, None))
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

    /// Sends one message, made of several parts, to `to` or to the connected peer, with choices for it alone (sendmsg): source address, TTL, TOS.
    ///
    /// # Errors
    /// As sendmsg(2): [`io::ErrorKind::InvalidInput`] for a TTL of 0, [`io::ErrorKind::NetworkUnreachable`] for a source that is not ours.
    pub fn send_message(
        &self,
        parts: &[IoSlice<'_>],
        to: Option<SocketAddr>,
        options: SendOptions,
    ) -> io::Result<usize> {
        let to = to.map(v4_of).transpose()?;
        let whole = match parts {
            [one] => Cow::Borrowed(&**one),
            parts => Cow::Owned(parts.iter().flat_map(|part| part.iter().copied()).collect()),
        };
        self.socket
            .write(|core, _, id| core.stack.udp_send_with(id, &whole, to, options))
    }

    /// Receives a message; gives how many bytes of it are in `buffer` and who sent it.
    ///
    /// # Errors
    /// As recvfrom(2).
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let got = self.recv_message(&mut [IoSliceMut::new(buffer)])?;
        Ok((got.copied, v4(got.from)))
    }

    /// Receives a message from the connected peer.
    ///
    /// # Errors
    /// [`io::ErrorKind::ConnectionRefused`] when the peer said that nothing listens there; otherwise as recv(2).
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.recv_from(buffer).map(|(n, _)| n)
    }

    /// Receives a message into several buffers, each filled before the next, and tells all that is known of it (recvmsg): its true length, so
    /// that a buffer too short is noticed; sender; the address it was sent to; TTL and TOS.
    ///
    /// # Errors
    /// As recvmsg(2).
    pub fn recv_message(&self, parts: &mut [IoSliceMut<'_>]) -> io::Result<Received> {
        self.socket
            .read(|core, _, id| core.stack.udp_recv_vectored(id, parts))
    }

    /// As [`UdpSocket::recv_message`], but leaves the message.
    ///
    /// # Errors
    /// As recvmsg(2).
    pub fn peek_message(&self, parts: &mut [IoSliceMut<'_>]) -> io::Result<Received> {
        self.socket
            .read(|core, _, id| core.stack.udp_peek_vectored(id, parts))
    }

    /// Receives a message and leaves it.
    ///
    /// # Errors
    /// As recvfrom(2).
    pub fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let got = self.peek_message(&mut [IoSliceMut::new(buffer)])?;
        Ok((got.copied, v4(got.from)))
    }

    /// Receives a message from the connected peer and leaves it.
    ///
    /// # Errors
    /// As recv(2).
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.peek_from(buffer).map(|(n, _)| n)
    }

    /// Bytes of the message that is received next (FIONREAD); 0 if there is none.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn unread(&self) -> io::Result<usize> {
        self.socket.once(|core, _, id| core.stack.udp_unread(id))
    }

    /// Messages that were lost because the receive buffer was full.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn drops(&self) -> io::Result<u64> {
        self.socket.once(|core, _, id| core.stack.udp_drops(id))
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
    /// ENODEV if `interface` is not the host's; ENOBUFS if the socket is in as many as it may.
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

    /// Receives messages to a group from one source more (IP_ADD_SOURCE_MEMBERSHIP).
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if it is no group or was joined for everyone but some; [`io::ErrorKind::AddrNotAvailable`] if the source
    /// is there already; ENODEV if `interface` is not the host's; ENOBUFS if there are as many as there may be.
    pub fn join_multicast_source_v4(
        &self,
        multiaddr: &Ipv4Addr,
        source: &Ipv4Addr,
        interface: &Ipv4Addr,
    ) -> io::Result<()> {
        self.socket.once(|core, now, id| {
            check_interface(core, *interface)?;
            core.stack
                .multicast_join_source(now, id, *multiaddr, *source)
        })
    }

    /// Receives messages to a group from one source less (IP_DROP_SOURCE_MEMBERSHIP); without any the group is left.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrNotAvailable`] if the source is not there; otherwise as [`UdpSocket::join_multicast_source_v4`].
    pub fn leave_multicast_source_v4(
        &self,
        multiaddr: &Ipv4Addr,
        source: &Ipv4Addr,
        interface: &Ipv4Addr,
    ) -> io::Result<()> {
        self.socket.once(|core, now, id| {
            check_interface(core, *interface)?;
            core.stack
                .multicast_leave_source(now, id, *multiaddr, *source)
        })
    }

    /// Receives no more messages from one source to a group that was joined for everyone (IP_BLOCK_SOURCE), or does again (IP_UNBLOCK_SOURCE).
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if it is no group or was joined by sources or not at all; [`io::ErrorKind::AddrNotAvailable`] if the
    /// source is blocked, or not, already.
    pub fn block_multicast_source_v4(
        &self,
        multiaddr: &Ipv4Addr,
        source: &Ipv4Addr,
        blocked: bool,
    ) -> io::Result<()> {
        self.socket.once(|core, now, id| match blocked {
            true => core
                .stack
                .multicast_block_source(now, id, *multiaddr, *source),
            false => core
                .stack
                .multicast_unblock_source(now, id, *multiaddr, *source),
        })
    }

    /// Sets the time to live of messages to groups (IP_MULTICAST_TTL), 1 if never set; 0 keeps them on this host.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] beyond 255.
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.socket.once(|core, _, id| {
            let ttl = u8::try_from(ttl).map_err(|_| Error::InvalidInput)?;
            core.stack.set_multicast_ttl(id, ttl)
        })
    }

    /// The time to live of messages to groups.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.socket
            .once(|core, _, id| core.stack.multicast_ttl(id))
            .map(u32::from)
    }

    /// Whether members on this host get what is sent to their group (IP_MULTICAST_LOOP), as they do if it was never set.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.socket
            .once(|core, _, id| core.stack.set_multicast_loop(id, on))
    }

    /// Whether members on this host get what is sent to their group.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.socket
            .once(|core, _, id| core.stack.multicast_loop(id))
    }

    /// Whether messages are received to groups that only other sockets of this host have joined (IP_MULTICAST_ALL), as they are if it was
    /// never set.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn set_multicast_all_v4(&self, all: bool) -> io::Result<()> {
        self.socket
            .once(|core, _, id| core.stack.set_multicast_all(id, all))
    }

    /// The local address that messages to groups are sent from (IP_MULTICAST_IF); `None` leaves it to the routes.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrNotAvailable`] if it is not the host's.
    pub fn set_multicast_if_v4(&self, interface: Option<Ipv4Addr>) -> io::Result<()> {
        self.socket
            .once(|core, _, id| core.stack.set_multicast_source(id, interface))
    }

    /// How messages take part in path MTU discovery (IP_MTU_DISCOVER).
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn set_mtu_discovery(&self, discovery: crate::PathMtuDiscovery) -> io::Result<()> {
        self.socket
            .once(|core, _, id| core.stack.set_mtu_discovery(id, discovery))
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
        false => Err(Error::NoDevice),
    }
}

crate::socket::common_options!(UdpSocket);
crate::socket::descriptor!(UdpSocket);
crate::options::buffers_and_marks!(UdpSocket);
crate::options::sharing!(UdpSocket);
