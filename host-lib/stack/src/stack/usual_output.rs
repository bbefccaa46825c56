//! The usual packet on its way out, in few steps: a plain segment of the connection whose turn it is, or its acknowledgment.
//!
//! What is not plainly that goes the long way, which comes to the same result.

use super::ip_output::fill_tcp_checksum;
use super::lead::Lead;
use super::socket::Kind;
use super::Stack;
use crate::ip::params::PathMtuDiscovery;
use crate::packet::{Head, Owner, Token, TxPacket, HEAD_BYTES};
use crate::payload::Payload;
use crate::rope::Rope;
use crate::slab::Key;
use crate::tcp::{Cut, Cx, Flow};
use crate::time::Instant;
use crate::wire::ipv4::{fill_checksum, HEADER_LEN};

impl<B: Payload> Stack<B> {
    /// Cuts the next segment of the socket at the head of the queue, `key`, if that is a connection which plainly may send
    /// one; the queue and the timer follow.
    #[inline]
    pub(super) fn cut_usual(&mut self, now: Instant, key: Key) -> Option<(Flow, Cut)> {
        #[cfg(test)]
        if self.short_way.shut {
            return None;
        }
        let entry = self.sockets.get_mut(key)?;
        let Kind::Tcp(tcb) = &mut entry.kind else {
            return None;
        };
        // What goes to ourselves goes the long way.
        let flow = tcb.flow;
        if !tcb.usual || self.config.is_local(*flow.remote.ip()) {
            return None;
        }
        let cut = tcb.next_plain(&Cx::new(now, &self.config, &mut self.stats))?;
        #[cfg(test)]
        self.short_way.note_out();
        entry
            .alarm
            .set_before(&mut self.timers, key, tcb.usual_deadline());
        if !tcb.has_unsent() {
            entry.queued = false;
            self.ready.pop_front();
        } else if self.ready.len() > 1 {
            self.ready.rotate_left(1);
        }
        Some((flow, cut))
    }

    /// A plain segment of the connection `key` as a packet that leaves the host: the same as [`Stack::tcp_packet`] makes.
    #[inline]
    pub(super) fn plain_packet(&mut self, flow: &Flow, key: Key, cut: &Cut) -> TxPacket<B> {
        let (src, dst) = (*flow.local.ip(), *flow.remote.ip());
        let toward = self.toward(dst);
        let path = self.ip.path_mtus.get(dst);
        let dont_fragment = PathMtuDiscovery::default().dont_fragment(path, false);
        let ident = self.ip.next_ident(dont_fragment) ^ toward.ident_mask;
        let header_len = cut.header.len();
        let len = header_len + cut.len;
        self.stats.tcp_segments_out += 1;
        self.count_out(len);
        let in_head = len <= HEAD_BYTES;
        let mut head = Head::zeroed(if in_head { len } else { header_len });
        let h = head.memory();
        let ttl = cut.marks.ttl.unwrap_or(self.config.ttl);
        cut.header
            .write(h, flow, (ident, dont_fragment), (ttl, cut.marks.tos), len);
        let mut payload = Rope::default();
        let mut leads = false;
        if cut.len > 0 {
            match self.connection(key) {
                Some(tcb) if in_head => tcb.copy_text(cut, &mut h[header_len..len]),
                Some(tcb) => {
                    payload = tcb.text(cut);
                    leads = tcb.leads_burst();
                }
                None => {}
            }
        }
        if leads {
            self.lead = Some(Lead {
                key,
                head: head.clone(),
                src,
                dst,
                next_hop: toward.next_hop,
                dont_fragment,
                ident_mask: toward.ident_mask,
            });
        }
        let offload = self.config.offload;
        if !offload.tx_ipv4_checksum {
            fill_checksum(&mut head.as_mut_slice()[..HEADER_LEN]);
        }
        if !offload.tx_l4_checksum {
            let l4 = &mut head.as_mut_slice()[HEADER_LEN..];
            fill_tcp_checksum((src, dst), l4, &payload);
        }
        TxPacket {
            head,
            payload,
            dst,
            next_hop: toward.next_hop,
            segment_bytes: cut.segment_bytes,
            insert_ipv4_checksum: offload.tx_ipv4_checksum,
            insert_l4_checksum: offload.tx_l4_checksum,
            token: Token(Owner::Socket(key)),
        }
    }
}
