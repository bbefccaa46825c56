//! UDP (RFC 768): calls of programs.

use std::io::IoSliceMut;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::socket::{Entry, Kind};
use super::{SocketId, Stack};
use crate::datagram::{Queues, SocketOptions, UdpSocket, Unsent};
use crate::error::{Error, Result};
use crate::payload::{Bytes, Payload};
use crate::readiness::Readiness;
use crate::rope::{Chunk, Rope};
use crate::slab::Key;
use crate::tcp::Shutdown;
use crate::wire::ipv4;
use crate::wire::udp::HEADER_LEN;

/// Headers of a datagram that travels in one piece.
const OVERHEAD: usize = ipv4::HEADER_LEN + HEADER_LEN;
/// RFC 768 and RFC 791: 65,535 less both headers.
const MAX_DATAGRAM: usize = 65_535 - OVERHEAD;

const UNBOUND: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);

/// A datagram taken from a socket.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Received {
    /// Its true length; what did not fit is lost.
    pub len: usize,
    /// Bytes copied.
    pub copied: usize,
    /// Who sent it.
    pub from: SocketAddrV4,
    /// The address it was sent to (IP_PKTINFO): ours, a broadcast or a group.
    pub to: Ipv4Addr,
    /// Its time to live as it arrived (IP_RECVTTL).
    pub ttl: u8,
    /// Its type of service, DSCP and ECN (IP_RECVTOS).
    pub tos: u8,
}

impl Received {
    /// True if the buffer was too short and the rest is lost (MSG_TRUNC).
    pub const fn is_truncated(&self) -> bool {
        self.copied < self.len
    }
}

/// Choices for one datagram; what is `None` is as the socket has it.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct SendOptions {
    /// The local address to send from (IP_PKTINFO), such as [`Received::to`] of what is answered.
    pub source: Option<Ipv4Addr>,
    /// Its time to live (IP_TTL), 1 to 255.
    pub ttl: Option<u8>,
    /// Its type of service (IP_TOS).
    pub tos: Option<u8>,
}

impl<B: Payload> Stack<B> {
    /// Opens a UDP socket without an address; sending and connecting give it a free port.
    pub fn udp_open(&mut self) -> SocketId {
        let socket = UdpSocket {
            bound: UNBOUND,
            local: UNBOUND,
            remote: None,
            options: SocketOptions::default(),
            groups: Vec::new(),
            orphan: false,
            queues: Queues::new(
                self.config.udp_recv_buffer_bytes,
                self.config.udp_send_buffer_bytes,
            ),
        };
        SocketId(self.sockets.insert(Entry::new(Kind::Udp(Box::new(socket)))))
    }

    /// Opens a UDP socket on `addr`; port 0 takes a free one, an unspecified address means all of ours.
    pub fn udp_bind(&mut self, addr: SocketAddrV4) -> Result<SocketId> {
        let id = self.udp_open();
        if let Err(error) = self.udp_bind_to(id, addr) {
            self.sockets.remove(id.0);
            return Err(error);
        }
        Ok(id)
    }

    /// Gives an open socket its address, as [`Stack::udp_bind`]; once.
    pub fn udp_bind_to(&mut self, id: SocketId, addr: SocketAddrV4) -> Result<()> {
        let ip = *addr.ip();
        let udp = self.udp(id)?;
        let (bound, options) = (udp.local.port() != 0, udp.options);
        let possible = ip.is_unspecified()
            || ip.is_multicast()
            || self.config.is_local(ip)
            || self.config.is_broadcast(ip);
        if !possible {
            return Err(Error::AddrNotAvailable);
        }
        if bound {
            return Err(Error::InvalidInput);
        }
        let port = match addr.port() {
            0 => self.free_port(|stack, port| stack.udp_conflicts(ip, port, None))?,
            port if self.udp_conflicts(ip, port, Some(&options)) => return Err(Error::AddrInUse),
            port => port,
        };
        let udp = self.udp(id)?;
        udp.bound = SocketAddrV4::new(ip, port);
        udp.local = udp.bound;
        let local = udp.local;
        self.udp_sockets.insert(id.0, local, None);
        Ok(())
    }

    /// True if `ip` and `port` cannot be had beside what is bound. With the new socket's options it may share the port
    /// with sockets that have the same ones.
    fn udp_conflicts(&self, ip: Ipv4Addr, port: u16, options: Option<&SocketOptions>) -> bool {
        self.udp_sockets.on_port(port).iter().any(|key| {
            let Some(other) = self.udp_at(*key) else {
                return false;
            };
            let taken = *other.local.ip();
            let meets = ip == taken || ip.is_unspecified() || taken.is_unspecified();
            let shared = options.is_some_and(|o| {
                o.reuse_address && other.options.reuse_address
                    || o.reuse_port && other.options.reuse_port
            });
            meets && !shared
        })
    }

    pub(super) fn udp_at(&self, key: Key) -> Option<&UdpSocket<B>> {
        match self.sockets.get(key)?.kind {
            Kind::Udp(ref udp) => Some(udp),
            _ => None,
        }
    }

    pub(super) fn udp(&mut self, id: SocketId) -> Result<&mut UdpSocket<B>> {
        let entry = self
            .sockets
            .get_mut(id.0)
            .filter(|e| !e.is_orphan())
            .ok_or(Error::Stale)?;
        match &mut entry.kind {
            Kind::Udp(udp) => Ok(udp),
            _ => Err(Error::Unsupported),
        }
    }

    /// Gives a socket its place in the tables, out of the one it had; port 0 is no place.
    fn udp_place(
        &mut self,
        id: SocketId,
        local: SocketAddrV4,
        remote: Option<SocketAddrV4>,
    ) -> Result<()> {
        let udp = self.udp(id)?;
        let old = (udp.local, udp.remote);
        (udp.local, udp.remote) = (local, remote);
        if old.0.port() != 0 {
            self.udp_sockets.remove(id.0, old.0, old.1);
        }
        if local.port() != 0 {
            self.udp_sockets.insert(id.0, local, remote);
        }
        Ok(())
    }

    /// Sets the socket's peer: only its datagrams are received, ICMP errors about it are reported. Once more sets
    /// another; `None` dissolves the association, and a port that the socket did not bind itself is given back.
    pub fn udp_connect(&mut self, id: SocketId, remote: Option<SocketAddrV4>) -> Result<()> {
        let udp = self.udp(id)?;
        let (bound, options) = (udp.bound, udp.options);
        let (had, port) = (udp.remote.is_some(), udp.local.port());
        let Some(remote) = remote else {
            return match had {
                true => self.udp_place(id, bound, None),
                false => Ok(()),
            };
        };
        let remote = SocketAddrV4::new(self.own_if_unspecified(*remote.ip())?, remote.port());
        if self.config.is_broadcast(*remote.ip()) && !options.broadcast {
            return Err(Error::PermissionDenied);
        }
        let source = self.udp_source(*bound.ip(), &options, *remote.ip())?;
        let ip = match bound.ip().is_unspecified() {
            true => source,
            false => *bound.ip(),
        };
        let port = match port {
            0 => self.free_port(|stack, port| stack.udp_conflicts(ip, port, None))?,
            port => port,
        };
        self.udp_place(id, SocketAddrV4::new(ip, port), Some(remote))
    }

    /// The address a datagram to `dst` comes from, if its socket is bound to `bound`.
    fn udp_source(
        &self,
        bound: Ipv4Addr,
        options: &SocketOptions,
        dst: Ipv4Addr,
    ) -> Result<Ipv4Addr> {
        // A socket on a broadcast or group address receives there, but sends from an address of ours.
        let one_of_ours = !bound.is_multicast() && !self.config.is_broadcast(bound);
        let wanted = match one_of_ours {
            true => bound,
            false => Ipv4Addr::UNSPECIFIED,
        };
        let given = match options.multicast_source {
            Some(source) if dst.is_multicast() && wanted.is_unspecified() => source,
            // That there is a way is asked even where the source is given.
            _ => {
                let by_route = self.route_source(dst)?;
                match wanted.is_unspecified() {
                    true => by_route,
                    false => wanted,
                }
            }
        };
        // An address that was ours when it was chosen may be so no longer.
        let ours = self.config.is_local(given);
        ours.then_some(given).ok_or(Error::NetworkUnreachable)
    }

    /// As in BSD and Linux, the unspecified address as a destination is this host.
    fn own_if_unspecified(&self, dst: Ipv4Addr) -> Result<Ipv4Addr> {
        match dst.is_unspecified() {
            true => {
                let first = self.config.addrs.first();
                Ok(first.ok_or(Error::NetworkUnreachable)?.addr())
            }
            false => Ok(dst),
        }
    }

    /// Gives a socket without a port a free one. As in Linux this comes first, whatever becomes of the call.
    fn udp_need_port(&mut self, id: SocketId) -> Result<()> {
        if self.udp(id)?.local.port() != 0 {
            return Ok(());
        }
        let ip = Ipv4Addr::UNSPECIFIED;
        let port = self.free_port(|stack, port| stack.udp_conflicts(ip, port, None))?;
        self.udp_place(id, SocketAddrV4::new(ip, port), None)
    }

    /// Queues a datagram to `to`, or to the socket's peer if that is `None`. All of it is taken or nothing.
    pub fn udp_send_to(
        &mut self,
        id: SocketId,
        payload: &[u8],
        to: Option<SocketAddrV4>,
    ) -> Result<usize> {
        self.udp_send_with(id, payload, to, SendOptions::default())
    }

    /// Like [`Stack::udp_send_to`], with choices for this datagram alone (sendmsg).
    ///
    /// # Errors
    /// As sendmsg(2): [`Error::InvalidInput`] for a TTL of 0 or a source that no datagram can have,
    /// [`Error::NetworkUnreachable`] for a source that is not ours, and all of [`Stack::udp_send_to`]'s.
    pub fn udp_send_with(
        &mut self,
        id: SocketId,
        payload: &[u8],
        to: Option<SocketAddrV4>,
        chosen: SendOptions,
    ) -> Result<usize> {
        let default_ttl = self.config.ttl;
        self.udp_need_port(id)?;
        let source = chosen.source.filter(|ip| !ip.is_unspecified());
        if chosen.ttl == Some(0) || source.is_some_and(|ip| ip.is_multicast() || ip.is_broadcast())
        {
            return Err(Error::InvalidInput);
        }
        if source.is_some_and(|ip| !self.config.is_local(ip)) {
            return Err(Error::NetworkUnreachable);
        }
        let udp = self.udp(id)?;
        if to.is_some_and(|to| to.port() == 0) {
            return Err(Error::InvalidInput);
        }
        let to = to.or(udp.remote).ok_or(Error::DestinationRequired)?;
        let (local, options) = (udp.local, udp.options);
        let dst = self.own_if_unspecified(*to.ip())?;
        let source = self.udp_source(source.unwrap_or(*local.ip()), &options, dst)?;
        if self.config.is_broadcast(dst) && !options.broadcast {
            return Err(Error::PermissionDenied);
        }
        let mtu = options
            .discovery
            .mtu(self.ip.path_mtus.get(dst), self.config.link_mtu());
        let too_long_to_send = options.discovery.refuses()
            && !self.config.is_local(dst)
            && payload.len() + OVERHEAD > usize::from(mtu);
        if payload.len() > MAX_DATAGRAM || too_long_to_send {
            return Err(Error::MessageTooLong);
        }
        if let Some(error) = self.udp(id)?.queues.error.take() {
            return Err(error);
        }
        let mut params = options.params(dst, default_ttl);
        params.ttl = chosen.ttl.unwrap_or(params.ttl);
        params.tos = chosen.tos.unwrap_or(params.tos);
        let message = Unsent {
            from: SocketAddrV4::new(source, local.port()),
            to: SocketAddrV4::new(dst, to.port()),
            seq: 0,
            params,
            data: Rope::from(Chunk::Memory(Bytes::from(payload))),
        };
        self.udp(id)?.queues.send(message)?;
        self.make_ready(id.0);
        Ok(payload.len())
    }

    /// Takes the oldest datagram; what does not fit into `buf` is lost, as [`Received::is_truncated`] tells.
    pub fn udp_recv_from(&mut self, id: SocketId, buf: &mut [u8]) -> Result<Received> {
        self.udp_recv_vectored(id, &mut [IoSliceMut::new(buf)])
    }

    /// Like [`Stack::udp_recv_from`], into several buffers, each filled before the next (recvmsg).
    pub fn udp_recv_vectored(
        &mut self,
        id: SocketId,
        parts: &mut [IoSliceMut<'_>],
    ) -> Result<Received> {
        let received = self.udp_peek_vectored(id, parts)?;
        self.udp(id)?.queues.pop();
        Ok(received)
    }

    /// Closes one or both directions of a socket to the program (shutdown): sending fails, reading an empty socket gives
    /// datagrams without bytes. As in Linux this happens to an unconnected socket too, although it is told
    /// [`Error::NotConnected`].
    pub fn udp_shutdown(&mut self, id: SocketId, how: Shutdown) -> Result<()> {
        let udp = self.udp(id)?;
        udp.queues.shut(how);
        let connected = udp.remote.is_some();
        let mut events = Readiness::NONE;
        events.set(
            Readiness::READABLE | Readiness::READ_CLOSED,
            how != Shutdown::Write,
        );
        events.set(
            Readiness::HANGUP,
            udp.queues.readiness().contains(Readiness::HANGUP),
        );
        self.raise(id.0, events);
        connected.then_some(()).ok_or(Error::NotConnected)
    }

    /// Bytes of the oldest datagram (FIONREAD); 0 if there is none.
    pub fn udp_unread(&mut self, id: SocketId) -> Result<usize> {
        Ok(self.udp(id)?.queues.front_len())
    }

    /// Like [`Stack::udp_recv_from`], but leaves the datagram.
    pub fn udp_peek_from(&mut self, id: SocketId, buf: &mut [u8]) -> Result<Received> {
        self.udp_peek_vectored(id, &mut [IoSliceMut::new(buf)])
    }

    /// Like [`Stack::udp_recv_vectored`], but leaves the datagram.
    pub fn udp_peek_vectored(
        &mut self,
        id: SocketId,
        parts: &mut [IoSliceMut<'_>],
    ) -> Result<Received> {
        let udp = self.udp(id)?;
        if udp.queues.at_end() {
            return Ok(Received {
                len: 0,
                copied: 0,
                from: udp.remote.unwrap_or(UNBOUND),
                to: *udp.local.ip(),
                ttl: 0,
                tos: 0,
            });
        }
        let message = udp.queues.front()?;
        let copied = parts.iter_mut().fold(0, |copied, part| {
            copied + message.data.copy_at(copied, part)
        });
        Ok(Received {
            len: message.data.len(),
            copied,
            from: message.from,
            to: message.to,
            ttl: message.ttl,
            tos: message.tos,
        })
    }

    /// Datagrams lost because the socket's receive queue was full.
    pub fn udp_drops(&mut self, id: SocketId) -> Result<u64> {
        Ok(self.udp(id)?.queues.drops)
    }
}
