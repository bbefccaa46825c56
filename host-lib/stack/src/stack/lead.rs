//! The headers of the segment that leads a burst: those of the segments that follow differ in a few fields only.

use std::net::Ipv4Addr;

use super::ip_output::fill_tcp_checksum;
use super::Stack;
use crate::packet::{Head, Owner, Token, TxPacket};
use crate::payload::Payload;
use crate::slab::Key;
use crate::time::Instant;
use crate::wire::ipv4::{fill_checksum, HEADER_LEN};
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
        let (dst, next_hop) = (lead.dst, lead.next_hop);
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
        let offload = self.config.offload;
        if !offload.tx_ipv4_checksum {
            fill_checksum(&mut head.as_mut_slice()[..HEADER_LEN]);
        }
        if !offload.tx_l4_checksum {
            let l4 = &mut head.as_mut_slice()[HEADER_LEN..];
            fill_tcp_checksum((lead.src, dst), l4, &payload);
        }
        #[cfg(test)]
        self.short_way.note_out();
        self.stats.tcp_segments_out += 1;
        self.count_out(head.as_slice().len() + payload.len());
        Some(TxPacket {
            head,
            payload,
            dst,
            next_hop,
            segment_bytes: 0,
            insert_ipv4_checksum: offload.tx_ipv4_checksum,
            insert_l4_checksum: offload.tx_l4_checksum,
            token: Token(Owner::Socket(key)),
        })
    }
}
