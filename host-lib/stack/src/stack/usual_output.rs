//! The usual packet on its way out, in few steps: a plain segment of the connection whose turn it is, or its acknowledgment.
//!
//! What is not plainly that goes the long way, which comes to the same result.

use std::net::Ipv4Addr;

use super::ip_output::fill_tcp_checksum;
use super::lead::Lead;
use super::socket::Kind;
use super::toward::Toward;
use super::Stack;
use crate::config::Offload;
use crate::ip::params::Marks;
use crate::packet::{Owner, Token, TxPacket, HEAD_BYTES};
use crate::payload::Payload;
use crate::slab::Key;
use crate::stats::segments;
use crate::tcp::{Cx, Flow};
use crate::time::Instant;
use crate::wire::ipv4::{fill_checksum, HEADER_LEN};
use crate::wire::plain::Plain;

impl<B: Payload> Stack<B> {
    /// Makes `to` the next packet of the socket at the head of the queue, `key`, if that is a connection which plainly may send
    /// one; the queue and the timer follow. It is the same as [`Stack::tcp_packet`] makes.
    #[inline(never)]
    pub(super) fn next_usual(&mut self, now: Instant, key: Key, to: &mut TxPacket<B>) -> bool {
        #[cfg(test)]
        if self.short_way.shut {
            return false;
        }
        let Some(entry) = self.sockets.get_mut(key) else {
            return false;
        };
        let Kind::Tcp(tcb) = &mut entry.kind else {
            return false;
        };
        if !tcb.usual {
            return false;
        }
        let dst = *tcb.flow.remote.ip();
        let toward = Toward::of(&mut self.toward, dst, &self.ip, &self.config, &self.secrets);
        // What goes to ourselves goes the long way.
        if toward.is_local {
            return false;
        }
        let Some(cut) = tcb.next_plain(&Cx::new(now, &self.config, &mut self.stats, &mut None))
        else {
            return false;
        };
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
        let dont_fragment = self.ip.tcp_dont_fragment(dst);
        let ident = self.ip.next_ident(dont_fragment) ^ toward.ident_mask;
        let header_len = cut.header.len();
        let len = header_len + cut.len;
        self.stats.tcp_segments_out += segments(cut.len, cut.segment_bytes);
        self.stats.packets_out += 1;
        self.stats.bytes_out += len as u64;
        let in_head = len <= HEAD_BYTES;
        let offload = self.config.offload;
        let head_len = if in_head { len } else { header_len };
        to.begin(
            offload,
            (dst, toward.next_hop),
            Token(Owner::Socket(key)),
            head_len,
        );
        to.segment_bytes = cut.segment_bytes;
        let marks = tcb.options.marks();
        let ttl = marks.ttl.unwrap_or(self.config.ttl);
        let h = to.head.memory();
        cut.header
            .write(h, &tcb.flow, (ident, dont_fragment), (ttl, marks.tos), len);
        let src = *tcb.flow.local.ip();
        if in_head {
            tcb.copy_text(&cut, &mut h[header_len..len]);
        } else {
            tcb.text(&cut, &mut to.payload);
            if tcb.leads_burst() {
                self.lead = Some(Lead {
                    key,
                    head: to.head.clone(),
                    src,
                    dst,
                    next_hop: toward.next_hop,
                    dont_fragment,
                    ident_mask: toward.ident_mask,
                });
            }
        }
        fill_checksums(offload, (src, dst), to);
        true
    }

    /// Makes `to` the acknowledgment of a connection, or of one that has just ended.
    #[inline]
    pub(super) fn ack_packet(
        &mut self,
        flow: &Flow,
        key: Key,
        ack: &Plain,
        marks: Marks,
        to: &mut TxPacket<B>,
    ) {
        let dst = *flow.remote.ip();
        let toward = self.toward(dst);
        let dont_fragment = self.ip.tcp_dont_fragment(dst);
        let ident = self.ip.next_ident(dont_fragment) ^ toward.ident_mask;
        let len = ack.len();
        self.stats.tcp_segments_out += 1;
        self.count_out(len);
        let offload = self.config.offload;
        to.begin(
            offload,
            (dst, toward.next_hop),
            Token(Owner::Socket(key)),
            len,
        );
        let ttl = marks.ttl.unwrap_or(self.config.ttl);
        let ident = (ident, dont_fragment);
        ack.write(to.head.memory(), flow, ident, (ttl, marks.tos), len);
        fill_checksums(offload, (*flow.local.ip(), dst), to);
    }
}

/// The checksums that the device does not insert.
#[inline]
pub(super) fn fill_checksums<B: Payload>(
    offload: Offload,
    ends: (Ipv4Addr, Ipv4Addr),
    packet: &mut TxPacket<B>,
) {
    let head = packet.head.as_mut_slice();
    if !offload.tx_ipv4_checksum {
        fill_checksum(&mut head[..HEADER_LEN]);
    }
    if !offload.tx_l4_checksum {
        fill_tcp_checksum(ends, &mut head[HEADER_LEN..], &packet.payload);
    }
}
