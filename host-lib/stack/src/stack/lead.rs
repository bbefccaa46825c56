//! The headers of the segment that leads a burst: those of the segments that follow differ in a few fields only.

use std::net::Ipv4Addr;

use super::usual_output::finished;
use super::Stack;
use crate::packet::{Head, TxPacket};
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
    /// The next packet of the connection at the head of the queue, `key`, if it is in the middle of a burst.
    #[inline]
    pub(super) fn next_of_burst(&mut self, now: Instant, key: Key) -> Option<TxPacket<B>> {
        let lead = self.lead.as_ref().filter(|lead| lead.key == key)?;
        let (src, dst, next_hop) = (lead.src, lead.dst, lead.next_hop);
        let (seq, payload) = self
            .sockets
            .get_mut(key)?
            .connection()?
            .next_of_burst(now)?;
        if self.ready.len() > 1 {
            self.ready.rotate_left(1);
        }
        let mut head = lead.head.clone();
        let ident = self.ip.next_ident(lead.dont_fragment) ^ lead.ident_mask;
        renumber(head.memory(), ident, seq);
        #[cfg(test)]
        self.short_way.note_out();
        self.stats.tcp_segments_out += 1;
        self.count_out(head.as_slice().len() + payload.len());
        let ends = (src, dst, next_hop);
        Some(finished(self.config.offload, ends, key, head, payload))
    }
}
