//! Ping sockets: ICMP echo requests out, replies in (RFC 792).

use std::net::{Ipv4Addr, SocketAddrV4};

use super::ip_input::Arrival;
use super::socket::{Entry, Kind};
use super::{SocketId, Stack};
use crate::datagram::{Message, PingSocket, Queues, SocketOptions, Unsent};
use crate::error::{Error, Result};
use crate::packet::{Owner, Token, TxPacket};
use crate::payload::{Bytes, Payload};
use crate::readiness::Readiness;
use crate::rope::{Chunk, Rope};
use crate::slab::Key;
use crate::wire::icmp::{kind, IcmpHeader, HEADER_LEN};
use crate::wire::ipv4::protocol;

/// Largest echo payload: 65,535 less both headers.
const MAX_ECHO: usize = 65_535 - 20 - HEADER_LEN;

/// An echo reply taken from a ping socket.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct EchoReply {
    /// Who answered.
    pub from: Ipv4Addr,
    /// The sequence number of the request.
    pub seq: u16,
    /// Time to live of the reply as it arrived.
    pub ttl: u8,
    /// The payload's true length.
    pub len: usize,
    /// Bytes copied.
    pub copied: usize,
}

impl<B: Payload> Stack<B> {
    /// Opens a ping socket with an identifier of its own.
    pub fn ping_open(&mut self) -> Result<SocketId> {
        let ident = self.secrets.draw() as u16;
        let ident = (0..=u16::MAX)
            .map(|i| ident.wrapping_add(i))
            .find(|ident| !self.pings.contains_key(ident))
            .ok_or(Error::AddrInUse)?;
        let queues = Queues::new(
            self.config.udp_recv_buffer_bytes,
            self.config.udp_send_buffer_bytes,
        );
        let ping = PingSocket {
            ident,
            options: SocketOptions::default(),
            orphan: false,
            queues,
        };
        let key = self.sockets.insert(Entry::new(Kind::Ping(Box::new(ping))));
        self.pings.insert(ident, key);
        Ok(SocketId(key))
    }

    fn ping(&mut self, id: SocketId) -> Result<&mut PingSocket<B>> {
        let entry = self
            .sockets
            .get_mut(id.0)
            .filter(|e| !e.is_orphan())
            .ok_or(Error::Stale)?;
        match &mut entry.kind {
            Kind::Ping(ping) => Ok(ping),
            _ => Err(Error::Unsupported),
        }
    }

    /// The identifier in the socket's echo requests.
    pub fn ping_ident(&mut self, id: SocketId) -> Result<u16> {
        Ok(self.ping(id)?.ident)
    }

    /// Queues an echo request.
    pub fn ping_send(
        &mut self,
        id: SocketId,
        to: Ipv4Addr,
        seq: u16,
        payload: &[u8],
    ) -> Result<()> {
        let default_ttl = self.config.ttl;
        let ping = self.ping(id)?;
        if let Some(error) = ping.queues.error.take() {
            return Err(error);
        }
        let (ident, broadcast) = (ping.ident, ping.options.broadcast);
        let params = ping.options.params(to, default_ttl);
        if payload.len() > MAX_ECHO {
            return Err(Error::MessageTooLong);
        }
        if to.is_unspecified() {
            return Err(Error::InvalidInput);
        }
        if self.config.is_broadcast(to) && !broadcast {
            return Err(Error::PermissionDenied);
        }
        let from = self.source_address(Ipv4Addr::UNSPECIFIED, to)?;
        let message = Unsent {
            from: SocketAddrV4::new(from, ident),
            to: SocketAddrV4::new(to, 0),
            seq,
            params,
            data: Rope::from(Chunk::Memory(Bytes::from(payload))),
        };
        self.ping(id)?.queues.send(message)?;
        self.make_ready(id.0);
        Ok(())
    }

    /// Takes the oldest echo reply, its payload as far as it fits into `buf`.
    pub fn ping_recv(&mut self, id: SocketId, buf: &mut [u8]) -> Result<EchoReply> {
        let ping = self.ping(id)?;
        let message = ping.queues.front()?;
        let reply = EchoReply {
            from: *message.from.ip(),
            seq: message.seq,
            ttl: message.ttl,
            len: message.data.len(),
            copied: message.data.copy_at(0, buf),
        };
        ping.queues.pop();
        Ok(reply)
    }

    pub(super) fn close_ping(&mut self, key: Key) {
        let Some(Entry {
            kind: Kind::Ping(ping),
            ..
        }) = self.sockets.get_mut(key)
        else {
            return;
        };
        self.pings.remove(&ping.ident);
        ping.orphan = true;
        if !ping.queues.has_unsent() {
            self.sockets.remove(key);
        }
    }

    pub(super) fn echo_reply(&mut self, arrival: Arrival<'_, B>, header: IcmpHeader) {
        let [ident, seq] = header.rest;
        let Some(key) = self.pings.get(&ident).copied() else {
            self.stats.dropped_no_socket += 1;
            return;
        };
        let Some(Entry {
            kind: Kind::Ping(ping),
            ..
        }) = self.sockets.get_mut(key)
        else {
            return;
        };
        let message = Message {
            from: SocketAddrV4::new(arrival.ip.src, 0),
            to: arrival.ip.dst,
            seq,
            ttl: arrival.ip.ttl,
            tos: arrival.ip.tos,
            data: arrival.data.into_rope(),
        };
        if ping.queues.deliver(message) {
            self.raise(key, Readiness::READABLE);
        } else {
            self.stats.dropped_receive_full += 1;
        }
    }

    pub(super) fn next_ping(&mut self, key: Key) -> Option<TxPacket<B>> {
        let Some(Entry {
            kind: Kind::Ping(ping),
            ..
        }) = self.sockets.get_mut(key)
        else {
            return None;
        };
        let (message, wake) = ping.queues.next_unsent()?;
        let (more, orphan) = (ping.queues.has_unsent(), ping.orphan);
        if more {
            self.make_ready(key);
        } else if orphan {
            self.sockets.remove(key);
        }
        if wake {
            self.raise(key, Readiness::WRITABLE);
        }
        let header = IcmpHeader {
            kind: kind::ECHO_REQUEST,
            code: 0,
            rest: [message.from.port(), message.seq],
        };
        let sent = self.send_message(
            (*message.from.ip(), *message.to.ip()),
            protocol::ICMP,
            &mut header.emit(),
            message.data,
            message.params,
            Token(Owner::Socket(key)),
        );
        if sent.is_err() {
            self.datagram_error(key, Error::MessageTooLong);
        }
        sent.ok()
    }
}
