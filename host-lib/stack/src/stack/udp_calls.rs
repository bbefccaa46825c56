//! UDP (RFC 768): calls of programs, arriving datagrams, and whose turn it is to send.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::ip_input::Arrival;
use super::socket::{Entry, Kind};
use super::{SocketId, Stack};
use crate::datagram::{Message, Queues, UdpSocket, Unsent};
use crate::error::{Error, Result};
use crate::packet::{Owner, Token, TxPacket};
use crate::payload::{Bytes, Payload};
use crate::readiness::Readiness;
use crate::rope::{Chunk, Rope};
use crate::slab::Key;
use crate::tcp::Flow;
use crate::time::Instant;
use crate::wire::icmp::code;
use crate::wire::ipv4::protocol;
use crate::wire::udp::{UdpHeader, HEADER_LEN};

/// RFC 768 and RFC 791: 65,535 less both headers.
const MAX_DATAGRAM: usize = 65_535 - 20 - HEADER_LEN;

/// A datagram taken from a socket.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Received {
    /// Its true length; what did not fit is lost.
    pub len: usize,
    /// Bytes copied.
    pub copied: usize,
    /// Who sent it.
    pub from: SocketAddrV4,
    /// The address it was sent to: ours or a broadcast.
    pub to: Ipv4Addr,
}

impl<B: Payload> Stack<B> {
    /// Opens a UDP socket on `addr`; port 0 takes a free one, an unspecified address means all of ours.
    pub fn udp_bind(&mut self, addr: SocketAddrV4) -> Result<SocketId> {
        let ip = *addr.ip();
        if !ip.is_unspecified() && !self.config.is_local(ip) && !self.config.is_broadcast(ip) {
            return Err(Error::AddrNotAvailable);
        }
        let port = match addr.port() {
            0 => self.free_port(|stack, port| stack.udp_conflicts(ip, port))?,
            port if self.udp_conflicts(ip, port) => return Err(Error::AddrInUse),
            port => port,
        };
        let socket = UdpSocket {
            local: SocketAddrV4::new(ip, port),
            remote: None,
            orphan: false,
            queues: Queues::new(
                self.config.udp_recv_buffer_bytes,
                self.config.udp_send_buffer_bytes,
            ),
        };
        let key = self.sockets.insert(Entry::new(Kind::Udp(Box::new(socket))));
        self.udp_bound.insert((ip, port), key);
        Ok(SocketId(key))
    }

    fn udp_conflicts(&self, ip: Ipv4Addr, port: u16) -> bool {
        let taken = |ip| self.udp_bound.contains_key(&(ip, port));
        taken(Ipv4Addr::UNSPECIFIED)
            || taken(ip)
            || ip.is_unspecified() && self.config.addrs.iter().any(|c| taken(c.addr()))
    }

    fn udp(&mut self, id: SocketId) -> Result<&mut UdpSocket<B>> {
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

    /// Sets the socket's peer: only its datagrams are received, ICMP errors about it are reported. Once more sets
    /// another; `None` dissolves the association.
    pub fn udp_connect(&mut self, id: SocketId, remote: Option<SocketAddrV4>) -> Result<()> {
        let local = self.udp(id)?.local;
        let mut flow = None;
        if let Some(remote) = remote {
            if remote.port() == 0 || remote.ip().is_unspecified() {
                return Err(Error::InvalidInput);
            }
            let ip = self.source_address(*local.ip(), *remote.ip())?;
            flow = Some(Flow {
                local: SocketAddrV4::new(ip, local.port()),
                remote,
            });
        }
        self.udp_disconnect(id.0);
        if let Some(flow) = flow {
            self.udp_connected.insert(flow, id.0);
        }
        let udp = self.udp(id)?;
        udp.remote = remote;
        Ok(())
    }

    fn udp_flow(&self, key: Key) -> Option<Flow> {
        let Some(Entry {
            kind: Kind::Udp(udp),
            ..
        }) = self.sockets.get(key)
        else {
            return None;
        };
        let remote = udp.remote?;
        let ip = self.source_address(*udp.local.ip(), *remote.ip()).ok()?;
        Some(Flow {
            local: SocketAddrV4::new(ip, udp.local.port()),
            remote,
        })
    }

    fn udp_disconnect(&mut self, key: Key) {
        if let Some(flow) = self.udp_flow(key) {
            if self.udp_connected.get(&flow) == Some(&key) {
                self.udp_connected.remove(&flow);
            }
        }
    }

    /// Queues a datagram to `to`, or to the socket's peer if that is `None`. All of it is taken or nothing.
    pub fn udp_send_to(
        &mut self,
        id: SocketId,
        payload: &[u8],
        to: Option<SocketAddrV4>,
    ) -> Result<usize> {
        let udp = self.udp(id)?;
        let to = to.or(udp.remote).ok_or(Error::NotConnected)?;
        let local = udp.local;
        if let Some(error) = udp.queues.error.take() {
            return Err(error);
        }
        if payload.len() > MAX_DATAGRAM {
            return Err(Error::MessageTooLong);
        }
        if to.port() == 0 || to.ip().is_unspecified() {
            return Err(Error::InvalidInput);
        }
        let wanted = match self.config.is_broadcast(*local.ip()) {
            true => Ipv4Addr::UNSPECIFIED,
            false => *local.ip(),
        };
        let ip = self.source_address(wanted, *to.ip())?;
        let message = Unsent {
            from: SocketAddrV4::new(ip, local.port()),
            to,
            seq: 0,
            data: Rope::from(Chunk::Memory(Bytes::from(payload))),
        };
        self.udp(id)?.queues.send(message)?;
        self.make_ready(id.0);
        Ok(payload.len())
    }

    /// Takes the oldest datagram; what does not fit into `buf` is lost, as [`Received::len`] tells.
    pub fn udp_recv_from(&mut self, id: SocketId, buf: &mut [u8]) -> Result<Received> {
        let received = self.udp_peek_from(id, buf)?;
        self.udp(id)?.queues.pop();
        Ok(received)
    }

    /// Like [`Stack::udp_recv_from`], but leaves the datagram.
    pub fn udp_peek_from(&mut self, id: SocketId, buf: &mut [u8]) -> Result<Received> {
        let message = self.udp(id)?.queues.front()?;
        let copied = message.data.copy_at(0, buf);
        Ok(Received {
            len: message.data.len(),
            copied,
            from: message.from,
            to: message.to,
        })
    }

    /// Datagrams lost because the socket's receive queue was full.
    pub fn udp_drops(&mut self, id: SocketId) -> Result<u64> {
        Ok(self.udp(id)?.queues.drops)
    }

    pub(super) fn close_udp(&mut self, key: Key) {
        self.udp_disconnect(key);
        let Some(Entry {
            kind: Kind::Udp(udp),
            ..
        }) = self.sockets.get_mut(key)
        else {
            return;
        };
        self.udp_bound.remove(&(*udp.local.ip(), udp.local.port()));
        udp.orphan = true;
        if !udp.queues.has_unsent() {
            self.sockets.remove(key);
        }
    }

    pub(super) fn udp_input(&mut self, now: Instant, mut arrival: Arrival<'_, B>) {
        let Some(header) = UdpHeader::parse(arrival.data.head, arrival.data.len()) else {
            self.stats.dropped_malformed += 1;
            return;
        };
        arrival.data.truncate(header.len);
        if header.has_checksum && !arrival.transport_intact() {
            self.stats.dropped_checksum += 1;
            return;
        }
        let from = SocketAddrV4::new(arrival.ip.src, header.src_port);
        let to = arrival.ip.dst;
        let Some(key) = self.udp_socket_for(to, header.dst_port, from) else {
            self.stats.dropped_no_socket += 1;
            // RFC 1122 section 4.1.3.1: "if a datagram arrives addressed to a UDP port for which there is no pending
            // LISTEN call, UDP SHOULD send an ICMP Port Unreachable message."
            self.send_unreachable(now, &arrival, code::PORT);
            return;
        };
        let Some(Entry {
            kind: Kind::Udp(udp),
            ..
        }) = self.sockets.get_mut(key)
        else {
            return;
        };
        arrival.data.trim_front(HEADER_LEN);
        let message = Message {
            from,
            to,
            seq: 0,
            ttl: arrival.ip.ttl,
            data: arrival.data.into_rope(),
        };
        if udp.queues.deliver(message) {
            self.stats.udp_in += 1;
            self.raise(key, Readiness::READABLE);
        } else {
            self.stats.dropped_receive_full += 1;
        }
    }

    /// A connected socket before others, an exact address before all.
    fn udp_socket_for(&self, to: Ipv4Addr, port: u16, from: SocketAddrV4) -> Option<Key> {
        let flow = Flow {
            local: SocketAddrV4::new(to, port),
            remote: from,
        };
        if let Some(key) = self.udp_connected.get(&flow) {
            return Some(*key);
        }
        let exact = self.udp_bound.get(&(to, port));
        let key = *exact.or_else(|| self.udp_bound.get(&(Ipv4Addr::UNSPECIFIED, port)))?;
        match self.sockets.get(key) {
            // A connected socket hears its peer only.
            Some(Entry {
                kind: Kind::Udp(udp),
                ..
            }) if udp.remote.is_none_or(|r| r == from) => Some(key),
            _ => None,
        }
    }

    pub(super) fn next_udp(&mut self, key: Key) -> Option<TxPacket<B>> {
        let Some(Entry {
            kind: Kind::Udp(udp),
            ..
        }) = self.sockets.get_mut(key)
        else {
            return None;
        };
        let (message, wake) = udp.queues.next_unsent()?;
        let (more, orphan) = (udp.queues.has_unsent(), udp.orphan);
        if more {
            self.make_ready(key);
        } else if orphan {
            self.sockets.remove(key);
        }
        if wake {
            self.raise(key, Readiness::WRITABLE);
        }
        let header = UdpHeader {
            src_port: message.from.port(),
            dst_port: message.to.port(),
            len: HEADER_LEN + message.data.len(),
            has_checksum: true,
        };
        self.stats.udp_out += 1;
        let addrs = (*message.from.ip(), *message.to.ip());
        let token = Token(Owner::Socket(key));
        self.send_message(
            addrs,
            protocol::UDP,
            &mut header.emit(),
            message.data,
            token,
        )
        .ok()
    }

    /// Leaves an error with a UDP or ping socket.
    pub(super) fn datagram_error(&mut self, key: Key, error: Error) {
        let queues = match self.sockets.get_mut(key).map(|e| &mut e.kind) {
            Some(Kind::Udp(udp)) => &mut udp.queues,
            Some(Kind::Ping(ping)) => &mut ping.queues,
            _ => return,
        };
        queues.error = Some(error);
        self.raise(
            key,
            Readiness::ERROR | Readiness::READABLE | Readiness::WRITABLE,
        );
    }
}
