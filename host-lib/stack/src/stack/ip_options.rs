//! Options below the transport: what sockets put into IP headers, which errors they hear, which ports they share.

use std::net::Ipv4Addr;

use super::socket::Kind;
use super::{SocketId, Stack};
use crate::datagram::SocketOptions;
use crate::error::{Error, Result};
use crate::ip::params::{Marks, PathMtuDiscovery};
use crate::payload::Payload;

impl<B: Payload> Stack<B> {
    fn options(&self, id: SocketId) -> Result<&SocketOptions> {
        let entry = self
            .sockets
            .get(id.0)
            .filter(|e| !e.is_orphan())
            .ok_or(Error::Stale)?;
        match &entry.kind {
            Kind::Udp(udp) => Ok(&udp.options),
            Kind::Ping(ping) => Ok(&ping.options),
            Kind::Tcp(_) | Kind::Listener(_) | Kind::Fresh(_) => Err(Error::Unsupported),
        }
    }

    fn options_mut(&mut self, id: SocketId) -> Result<&mut SocketOptions> {
        let entry = self
            .sockets
            .get_mut(id.0)
            .filter(|e| !e.is_orphan())
            .ok_or(Error::Stale)?;
        match &mut entry.kind {
            Kind::Udp(udp) => Ok(&mut udp.options),
            Kind::Ping(ping) => Ok(&mut ping.options),
            Kind::Tcp(_) | Kind::Listener(_) | Kind::Fresh(_) => Err(Error::Unsupported),
        }
    }

    /// Where a socket of any kind keeps its TTL and TOS.
    fn marks_mut(&mut self, id: SocketId) -> Result<(&mut Option<u8>, &mut u8)> {
        self.lead = None;
        let entry = self
            .sockets
            .get_mut(id.0)
            .filter(|e| !e.is_orphan())
            .ok_or(Error::Stale)?;
        let tcp = match &mut entry.kind {
            Kind::Tcp(tcb) => &mut tcb.options,
            Kind::Listener(listener) => &mut listener.options,
            Kind::Fresh(fresh) => &mut fresh.options,
            Kind::Udp(udp) => return Ok((&mut udp.options.ttl, &mut udp.options.tos)),
            Kind::Ping(ping) => return Ok((&mut ping.options.ttl, &mut ping.options.tos)),
        };
        Ok((&mut tcp.ttl, &mut tcp.tos))
    }

    fn marks(&self, id: SocketId) -> Result<Marks> {
        match self.tcp_options(id) {
            Ok(options) => Ok(options.marks()),
            Err(_) => self.options(id).map(|options| Marks {
                ttl: options.ttl,
                tos: options.tos,
            }),
        }
    }

    /// Sets the time to live of what the socket sends to single hosts (IP_TTL), 1 to 255; `None` takes the stack's. A
    /// listener's is that of the connections it accepts.
    pub fn set_ttl(&mut self, id: SocketId, ttl: Option<u8>) -> Result<()> {
        let to = self.marks_mut(id)?.0;
        if ttl == Some(0) {
            return Err(Error::InvalidInput);
        }
        *to = ttl;
        Ok(())
    }

    /// The time to live of what the socket sends to single hosts.
    pub fn ttl(&self, id: SocketId) -> Result<u8> {
        Ok(self.marks(id)?.ttl.unwrap_or(self.config.ttl))
    }

    /// Sets the type of service of what the socket sends: DSCP and ECN (IP_TOS); of a connection the DSCP alone, since ECN
    /// is TCP's own.
    pub fn set_tos(&mut self, id: SocketId, tos: u8) -> Result<()> {
        *self.marks_mut(id)?.1 = tos;
        Ok(())
    }

    /// The type of service of what the socket sends.
    pub fn tos(&self, id: SocketId) -> Result<u8> {
        Ok(self.marks(id)?.tos)
    }

    /// Sets how the socket's datagrams take part in path MTU discovery (IP_MTU_DISCOVER).
    pub fn set_mtu_discovery(&mut self, id: SocketId, discovery: PathMtuDiscovery) -> Result<()> {
        self.options_mut(id)?.discovery = discovery;
        Ok(())
    }

    /// How the socket's datagrams take part in path MTU discovery.
    pub fn mtu_discovery(&self, id: SocketId) -> Result<PathMtuDiscovery> {
        Ok(self.options(id)?.discovery)
    }

    /// The path MTU to the socket's peer as far as it is known (IP_MTU).
    pub fn mtu(&self, id: SocketId) -> Result<u16> {
        Ok(self.path_mtu(*self.peer_addr(id)?.ip()))
    }

    /// Sets whether errors that may pass are reported too, and to a socket that is not connected (IP_RECVERR, without
    /// its queue of errors).
    pub fn set_receive_errors(&mut self, id: SocketId, receive: bool) -> Result<()> {
        self.options_mut(id)?.receive_errors = receive;
        Ok(())
    }

    /// Whether errors that may pass are reported too.
    pub fn receive_errors(&self, id: SocketId) -> Result<bool> {
        Ok(self.options(id)?.receive_errors)
    }

    /// Sets whether the socket may send to broadcast addresses (SO_BROADCAST).
    pub fn set_broadcast(&mut self, id: SocketId, broadcast: bool) -> Result<()> {
        self.options_mut(id)?.broadcast = broadcast;
        Ok(())
    }

    /// Whether the socket may send to broadcast addresses.
    pub fn broadcast(&self, id: SocketId) -> Result<bool> {
        Ok(self.options(id)?.broadcast)
    }

    /// Sets whether the socket shares its address with others that have this set too (SO_REUSEADDR as Linux has it). Of UDP
    /// sockets the newest gets datagrams to one host, all get those to many; of TCP sockets one listens at a time. Counts
    /// when one of them is bound.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a connection.
    pub fn set_reuse_address(&mut self, id: SocketId, reuse: bool) -> Result<()> {
        if let Ok(sharing) = self.sharing(id) {
            sharing.address = reuse;
            return Ok(());
        }
        self.options_mut(id)?.reuse_address = reuse;
        Ok(())
    }

    /// Whether the socket shares its address.
    pub fn reuse_address(&mut self, id: SocketId) -> Result<bool> {
        if let Ok(sharing) = self.sharing(id) {
            return Ok(sharing.address);
        }
        Ok(self.options(id)?.reuse_address)
    }

    /// Sets whether the socket shares its port with others that have this set too (SO_REUSEPORT): each peer's datagrams,
    /// and each connection to a listener, go to one of them.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a connection.
    pub fn set_reuse_port(&mut self, id: SocketId, reuse: bool) -> Result<()> {
        if let Ok(sharing) = self.sharing(id) {
            sharing.port = reuse;
            return Ok(());
        }
        self.options_mut(id)?.reuse_port = reuse;
        Ok(())
    }

    /// Whether the socket shares its port.
    pub fn reuse_port(&mut self, id: SocketId) -> Result<bool> {
        if let Ok(sharing) = self.sharing(id) {
            return Ok(sharing.port);
        }
        Ok(self.options(id)?.reuse_port)
    }

    /// Sets the time to live of what the socket sends to groups (IP_MULTICAST_TTL); 0 keeps it on this host.
    pub fn set_multicast_ttl(&mut self, id: SocketId, ttl: u8) -> Result<()> {
        self.options_mut(id)?.multicast_ttl = ttl;
        Ok(())
    }

    /// The time to live of what the socket sends to groups.
    pub fn multicast_ttl(&self, id: SocketId) -> Result<u8> {
        Ok(self.options(id)?.multicast_ttl)
    }

    /// Sets whether members on this host get what the socket sends to their group (IP_MULTICAST_LOOP).
    pub fn set_multicast_loop(&mut self, id: SocketId, on: bool) -> Result<()> {
        self.options_mut(id)?.multicast_loop = on;
        Ok(())
    }

    /// Whether members on this host get what the socket sends to their group.
    pub fn multicast_loop(&self, id: SocketId) -> Result<bool> {
        Ok(self.options(id)?.multicast_loop)
    }

    /// Sets whether the socket gets datagrams to groups that only other sockets of this host joined (IP_MULTICAST_ALL).
    pub fn set_multicast_all(&mut self, id: SocketId, all: bool) -> Result<()> {
        self.options_mut(id)?.multicast_all = all;
        Ok(())
    }

    /// Whether the socket gets datagrams to groups that only other sockets of this host joined.
    pub fn multicast_all(&self, id: SocketId) -> Result<bool> {
        Ok(self.options(id)?.multicast_all)
    }

    /// Sets the local address that the socket sends to groups from (IP_MULTICAST_IF); `None` leaves it to the routes.
    pub fn set_multicast_source(&mut self, id: SocketId, source: Option<Ipv4Addr>) -> Result<()> {
        let local = source.is_none_or(|ip| self.config.is_local(ip));
        let options = self.options_mut(id)?;
        if !local {
            return Err(Error::AddrNotAvailable);
        }
        options.multicast_source = source;
        Ok(())
    }

    /// The local address that the socket sends to groups from, if one was set.
    pub fn multicast_source(&self, id: SocketId) -> Result<Option<Ipv4Addr>> {
        Ok(self.options(id)?.multicast_source)
    }
}
