//! UDP and ping sockets: bounded queues of whole messages.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::error::{Error, Result};
use crate::ip::params::{IpParams, PathMtuDiscovery};
use crate::payload::Payload;
use crate::readiness::Readiness;
use crate::rope::Rope;
use crate::tcp::Shutdown;

/// What holding one message costs beyond its bytes.
const OVERHEAD_BYTES: usize = 64;

/// A received message.
pub(crate) struct Message<B> {
    pub(crate) from: SocketAddrV4,
    pub(crate) to: Ipv4Addr,
    /// Sequence number of an echo reply; 0 in UDP.
    pub(crate) seq: u16,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    pub(crate) data: Rope<B>,
}

/// A message to send.
pub(crate) struct Unsent<B> {
    pub(crate) from: SocketAddrV4,
    pub(crate) to: SocketAddrV4,
    pub(crate) seq: u16,
    pub(crate) params: IpParams,
    pub(crate) data: Rope<B>,
}

/// The two queues of a socket, and its pending error.
pub(crate) struct Queues<B> {
    received: VecDeque<Message<B>>,
    received_bytes: usize,
    receive_limit: usize,
    unsent: VecDeque<Unsent<B>>,
    unsent_bytes: usize,
    send_limit: usize,
    wants_room: bool,
    /// The program will read no more (shutdown): what comes is still queued, as in Linux, but an empty queue is an end.
    read_closed: bool,
    write_closed: bool,
    pub(crate) error: Option<Error>,
    /// Messages lost because the receive queue was full.
    pub(crate) drops: u64,
}

impl<B: Payload> Queues<B> {
    pub(crate) fn new(receive_limit: usize, send_limit: usize) -> Queues<B> {
        Queues {
            received: VecDeque::new(),
            received_bytes: 0,
            receive_limit,
            unsent: VecDeque::new(),
            unsent_bytes: 0,
            send_limit,
            wants_room: false,
            read_closed: false,
            write_closed: false,
            error: None,
            drops: 0,
        }
    }

    /// Queues a received message; false if there is no room. An empty queue takes a message of any size.
    pub(crate) fn deliver(&mut self, message: Message<B>) -> bool {
        let cost = message.data.len() + OVERHEAD_BYTES;
        if !self.received.is_empty() && self.received_bytes + cost > self.receive_limit {
            self.drops += 1;
            return false;
        }
        self.received_bytes += cost;
        self.received.push_back(message);
        true
    }

    /// Looks at the oldest message.
    pub(crate) fn front(&mut self) -> Result<&Message<B>> {
        if self.received.is_empty() {
            return Err(self.error.take().unwrap_or(Error::WouldBlock));
        }
        self.received.front().ok_or(Error::WouldBlock)
    }

    /// Closes one or both directions to the program.
    pub(crate) fn shut(&mut self, how: Shutdown) {
        self.read_closed |= how != Shutdown::Write;
        self.write_closed |= how != Shutdown::Read;
    }

    /// True if nothing is left to read and the program has said that it reads no more.
    pub(crate) fn at_end(&self) -> bool {
        self.read_closed && self.received.is_empty() && self.error.is_none()
    }

    /// Bytes of the oldest message.
    pub(crate) fn front_len(&self) -> usize {
        self.received.front().map_or(0, |m| m.data.len())
    }

    /// Drops the oldest message.
    pub(crate) fn pop(&mut self) {
        if let Some(message) = self.received.pop_front() {
            self.received_bytes -= message.data.len() + OVERHEAD_BYTES;
        }
    }

    /// Queues a message to send. An empty queue takes a message of any size.
    pub(crate) fn send(&mut self, message: Unsent<B>) -> Result<()> {
        if self.write_closed {
            return Err(Error::BrokenPipe);
        }
        let cost = message.data.len() + OVERHEAD_BYTES;
        if !self.unsent.is_empty() && self.unsent_bytes + cost > self.send_limit {
            self.wants_room = true;
            return Err(Error::WouldBlock);
        }
        self.unsent_bytes += cost;
        self.unsent.push_back(message);
        Ok(())
    }

    /// The next message to send, and whether a sender waits for the room it leaves.
    pub(crate) fn next_unsent(&mut self) -> Option<(Unsent<B>, bool)> {
        let was_full = self.wants_room || !self.has_room();
        let message = self.unsent.pop_front()?;
        self.unsent_bytes -= message.data.len() + OVERHEAD_BYTES;
        let wake = was_full && self.has_room();
        self.wants_room &= !wake;
        Some((message, wake))
    }

    pub(crate) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    fn has_room(&self) -> bool {
        self.unsent.is_empty() || self.unsent_bytes * 3 <= self.send_limit * 2
    }

    pub(crate) fn set_receive_limit(&mut self, bytes: usize) {
        self.receive_limit = bytes;
    }

    pub(crate) fn receive_limit(&self) -> usize {
        self.receive_limit
    }

    pub(crate) fn send_limit(&self) -> usize {
        self.send_limit
    }

    pub(crate) fn set_send_limit(&mut self, bytes: usize) {
        self.send_limit = bytes;
    }

    pub(crate) fn readiness(&self) -> Readiness {
        let mut r = Readiness::NONE;
        r.set(
            Readiness::READABLE,
            !self.received.is_empty() || self.error.is_some() || self.read_closed,
        );
        r.set(Readiness::READ_CLOSED, self.read_closed);
        r.set(Readiness::HANGUP, self.read_closed && self.write_closed);
        r.set(Readiness::WRITABLE, self.has_room());
        r.set(Readiness::ERROR, self.error.is_some());
        r
    }
}

/// What a program has chosen for its socket.
#[derive(Copy, Clone, Debug)]
pub(crate) struct SocketOptions {
    /// IP_TTL; `None` is the stack's.
    pub(crate) ttl: Option<u8>,
    /// IP_TOS.
    pub(crate) tos: u8,
    /// IP_MTU_DISCOVER.
    pub(crate) discovery: PathMtuDiscovery,
    /// IP_RECVERR, without its queue: errors that may pass are told too, and to unconnected sockets.
    pub(crate) receive_errors: bool,
    /// SO_BROADCAST.
    pub(crate) broadcast: bool,
    /// SO_REUSEADDR.
    pub(crate) reuse_address: bool,
    /// SO_REUSEPORT.
    pub(crate) reuse_port: bool,
    /// IP_MULTICAST_TTL.
    pub(crate) multicast_ttl: u8,
    /// IP_MULTICAST_LOOP.
    pub(crate) multicast_loop: bool,
    /// IP_MULTICAST_ALL: receive what others on this host joined for.
    pub(crate) multicast_all: bool,
    /// IP_MULTICAST_IF: the local address to send to groups from.
    pub(crate) multicast_source: Option<Ipv4Addr>,
}

impl Default for SocketOptions {
    /// The defaults of Linux.
    fn default() -> SocketOptions {
        SocketOptions {
            ttl: None,
            tos: 0,
            discovery: PathMtuDiscovery::Want,
            receive_errors: false,
            broadcast: false,
            reuse_address: false,
            reuse_port: false,
            multicast_ttl: 1,
            multicast_loop: true,
            multicast_all: true,
            multicast_source: None,
        }
    }
}

impl SocketOptions {
    /// The header fields of a datagram to `dst`.
    pub(crate) fn params(&self, dst: Ipv4Addr, default_ttl: u8) -> IpParams {
        IpParams {
            ttl: match dst.is_multicast() {
                true => self.multicast_ttl,
                false => self.ttl.unwrap_or(default_ttl),
            },
            tos: self.tos,
            discovery: self.discovery,
        }
    }
}

/// A UDP socket.
pub(crate) struct UdpSocket<B> {
    /// What the program bound it to; port 0 if it never did.
    pub(crate) bound: SocketAddrV4,
    /// The address in effect; port 0 until it has one.
    pub(crate) local: SocketAddrV4,
    pub(crate) remote: Option<SocketAddrV4>,
    pub(crate) options: SocketOptions,
    /// Multicast groups it is a member of.
    pub(crate) groups: Vec<Ipv4Addr>,
    /// Closed by the program; goes when its queue is empty.
    pub(crate) orphan: bool,
    pub(crate) queues: Queues<B>,
}

/// A socket that sends ICMP echo requests and receives the replies.
pub(crate) struct PingSocket<B> {
    pub(crate) ident: u16,
    pub(crate) options: SocketOptions,
    pub(crate) orphan: bool,
    pub(crate) queues: Queues<B>,
}
