//! What waits for transmission and is nobody's turn: replies, fragments, and acknowledgments in short form.

use super::Stack;
use crate::ip::params::Marks;
use crate::packet::TxPacket;
use crate::payload::Payload;
use crate::slab::Key;
use crate::tcp::Flow;
use crate::wire::plain::Plain;

/// Entries that wait at most.
const MAX_REPLIES: usize = 4096;

/// A packet to be sent.
pub(super) enum Outgoing<B> {
    /// As it will be. Packets are large, and most entries are not packets.
    Packet(Box<TxPacket<B>>),
    /// The acknowledgment of a connection.
    Ack(Flow, Key, Plain, Marks),
}

impl<B: Payload> Stack<B> {
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
