//! What waits for transmission and is nobody's turn: replies, fragments, and acknowledgments in short form.

use super::turns::Turn;
use super::Stack;
use crate::packet::TxPacket;
use crate::payload::Payload;
use crate::slab::Key;
use crate::tcp::{Cut, Flow};
use crate::time::Instant;
use crate::wire::plain::Plain;

/// Entries that wait at most.
const MAX_REPLIES: usize = 4096;

/// A packet to be sent.
pub(super) enum Outgoing<B> {
    /// As it will be. Packets are large, and most entries are not packets.
    Packet(Box<TxPacket<B>>),
    /// The acknowledgment of a connection.
    Ack(Flow, Key, Plain),
}

/// What is sent next.
pub(super) enum Next<B> {
    /// A plain segment: whose it is.
    Plain(Flow, Key, Cut),
    /// Any packet.
    Packet(TxPacket<B>),
    /// Nothing by whoever's turn it was.
    Nothing,
}

impl<B: Payload> Stack<B> {
    /// What is sent next: what waits here, then what those have whose turn it is. `None` if nobody has anything.
    #[inline]
    pub(super) fn next_outgoing(&mut self, now: Instant) -> Option<Next<B>> {
        match self.out.pop_front() {
            Some(Outgoing::Ack(flow, key, header)) => {
                return Some(Next::Plain(flow, key, Cut::bare(header)));
            }
            Some(Outgoing::Packet(packet)) => return Some(Next::Packet(*packet)),
            None => {}
        }
        let key = self.ready.pop_front()?;
        let packet = match self.kind_in_turn(key) {
            Some(Turn::Segment) => match self.next_plain(now, key) {
                Some((flow, cut)) => return Some(Next::Plain(flow, key, cut)),
                None => self.next_segment(now, key),
            },
            Some(Turn::Datagram) => self.next_udp(key),
            Some(Turn::Ping) => self.next_ping(key),
            None => None,
        };
        Some(packet.map_or(Next::Nothing, Next::Packet))
    }

    /// Queues what belongs to no socket's own turn.
    #[inline]
    pub(super) fn push_out(&mut self, outgoing: Outgoing<B>) {
        if self.out.len() >= MAX_REPLIES {
            self.stats.dropped_transmit_full += 1;
            return;
        }
        self.out.push_back(outgoing);
    }

    /// Queues a packet.
    pub(super) fn push_packet(&mut self, packet: TxPacket<B>) {
        self.push_out(Outgoing::Packet(Box::new(packet)));
    }

    /// Queues a packet before all others.
    pub(super) fn push_out_first(&mut self, packet: TxPacket<B>) {
        self.out.push_front(Outgoing::Packet(Box::new(packet)));
    }
}
