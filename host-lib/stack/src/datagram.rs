//! UDP and ping sockets: bounded queues of whole messages.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::error::{Error, Result};
use crate::payload::Payload;
use crate::readiness::Readiness;
use crate::rope::Rope;

/// What holding one message costs beyond its bytes.
const OVERHEAD_BYTES: usize = 64;

/// A received message.
pub(crate) struct Message<B> {
    pub(crate) from: SocketAddrV4,
    pub(crate) to: Ipv4Addr,
    /// Sequence number of an echo reply; 0 in UDP.
    pub(crate) seq: u16,
    pub(crate) ttl: u8,
    pub(crate) data: Rope<B>,
}

/// A message to send.
pub(crate) struct Unsent<B> {
    pub(crate) from: SocketAddrV4,
    pub(crate) to: SocketAddrV4,
    pub(crate) seq: u16,
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

    /// Drops the oldest message.
    pub(crate) fn pop(&mut self) {
        if let Some(message) = self.received.pop_front() {
            self.received_bytes -= message.data.len() + OVERHEAD_BYTES;
        }
    }

    /// Queues a message to send. An empty queue takes a message of any size.
    pub(crate) fn send(&mut self, message: Unsent<B>) -> Result<()> {
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

    pub(crate) fn set_send_limit(&mut self, bytes: usize) {
        self.send_limit = bytes;
    }

    pub(crate) fn readiness(&self) -> Readiness {
        let mut r = Readiness::NONE;
        r.set(
            Readiness::READABLE,
            !self.received.is_empty() || self.error.is_some(),
        );
        r.set(Readiness::WRITABLE, self.has_room());
        r.set(Readiness::ERROR, self.error.is_some());
        r
    }
}

/// A UDP socket.
pub(crate) struct UdpSocket<B> {
    pub(crate) local: SocketAddrV4,
    pub(crate) remote: Option<SocketAddrV4>,
    /// Closed by the program; goes when its queue is empty.
    pub(crate) orphan: bool,
    pub(crate) queues: Queues<B>,
}

/// A socket that sends ICMP echo requests and receives the replies.
pub(crate) struct PingSocket<B> {
    pub(crate) ident: u16,
    pub(crate) orphan: bool,
    pub(crate) queues: Queues<B>,
}
