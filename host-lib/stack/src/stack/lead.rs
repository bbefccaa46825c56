//! The headers of the segment that leads a burst: those of the segments that follow differ in a few fields only.

use std::net::Ipv4Addr;

use super::socket::Entry;
use super::usual_output::fill_checksums;
use super::Stack;
use crate::packet::{Head, Owner, Token, TxPacket};
use crate::payload::Payload;
use crate::slab::Key;
use crate::time::Instant;
use crate::wire::plain::renumber;

/// A packet that others like it may follow.
pub(super) struct Lead {
    pub(super) key: Key,
    /// Both headers, without checksums.
    pub(super) head: Head,
    pub(super) src: Ipv4Addr,
    pub(super) dst: Ipv4Addr,
    pub(super) next_hop: Option<Ipv4Addr>,
    pub(super) dont_fragment: bool,
    pub(super) ident_mask: u16,
}

impl<B: Payload> Stack<B> {
    /// Makes `to` the next packet of the connection at the head of the queue, `key`, if it is in the middle of a burst.
    #[inline]
    pub(super) fn next_of_burst(&mut self, now: Instant, key: Key, to: &mut TxPacket<B>) -> bool {
        let Some(lead) = self.lead.as_ref().filter(|lead| lead.key == key) else {
            return false;
        };
        let tcb = self.sockets.get_mut(key).and_then(Entry::connection);
        to.payload.clear();
        let Some(seq) = tcb.and_then(|tcb| tcb.next_of_burst(now, &mut to.payload)) else {
            return false;
        };
        if self.ready.len() > 1 {
            self.ready.rotate_left(1);
        }
        let ident = self.ip.next_ident(lead.dont_fragment) ^ lead.ident_mask;
        #[cfg(test)]
        self.short_way.note_out();
        self.stats.tcp_segments_out += 1;
        self.stats.packets_out += 1;
        self.stats.bytes_out += (lead.head.as_slice().len() + to.payload.len()) as u64;
        let offload = self.config.offload;
        to.head.clone_from(&lead.head);
        to.address(
            offload,
            (lead.dst, lead.next_hop),
            Token(Owner::Socket(key)),
        );
        renumber(to.head.memory(), ident, seq);
        fill_checksums(offload, (lead.src, lead.dst), to);
        true
    }
}
