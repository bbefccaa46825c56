//! The usual packet in few steps: a whole, verified TCP segment for the connection that was heard last.
//!
//! Whatever is not plainly that goes the long way through IP, which comes to the same result; this is "header prediction"
//! (Van Jacobson, 1990) for everything below TCP.

use core::ops::Range;
use std::net::Ipv4Addr;

use super::flows::FlowOwner;
use super::Stack;
use crate::incoming::Incoming;
use crate::packet::RxMeta;
use crate::payload::Payload;
use crate::rope::{Chunk, Rope};
use crate::slab::Key;
use crate::time::Instant;
use crate::wire::ipv4::{protocol, HEADER_LEN};
use crate::wire::tcp::{self, TcpHeader};
use crate::wire::{be16, be32};

/// Version 4 and a header of five words: no options.
const PLAIN: u8 = 0x45;
/// RFC 791 section 3.1: more fragments, and the fragment's offset.
const FRAGMENT: u16 = 0x3fff;

/// A segment and whose it is.
pub(super) struct Expected {
    key: Key,
    header: TcpHeader,
    /// The packet's traffic class.
    tos: u8,
    /// Where the text lies, counted from the start of the packet.
    text: Range<usize>,
}

impl<B: Payload> Stack<B> {
    /// Recognizes the usual packet, which has `available` bytes in all.
    #[inline]
    pub(super) fn expect(&self, meta: RxMeta, head: &[u8], available: usize) -> Option<Expected> {
        let (flow, owner) = self.flows.last()?;
        let FlowOwner::Connection(key) = *owner else {
            return None;
        };
        if !(meta.ipv4_checksum_ok && meta.l4_checksum_ok && !meta.l2_broadcast) {
            return None;
        }
        if head.len() < HEADER_LEN + tcp::HEADER_LEN {
            return None;
        }
        let len = usize::from(be16(head, 2));
        let plain = head[0] == PLAIN
            && head[9] == protocol::TCP
            && be16(head, 6) & FRAGMENT == 0
            && (HEADER_LEN + tcp::HEADER_LEN..=available).contains(&len);
        let src = Ipv4Addr::from(be32(head, 12));
        let same = src == *flow.remote.ip()
            && be32(head, 16) == u32::from(*flow.local.ip())
            && be16(head, HEADER_LEN) == flow.remote.port()
            && be16(head, HEADER_LEN + 2) == flow.local.port();
        // A connection with ourselves is not heard from outside.
        if !(plain && same) || src.is_loopback() || self.config.is_local(src) {
            return None;
        }
        let (header, header_len) = TcpHeader::parse(&head[HEADER_LEN..head.len().min(len)])?;
        Some(Expected {
            key,
            header,
            tos: head[1],
            text: HEADER_LEN + header_len..len,
        })
    }

    /// Processes it.
    pub(super) fn on_expected(&mut self, now: Instant, segment: &Expected, head: &[u8], body: B) {
        self.stats.tcp_segments_in += 1;
        let Range { start, end } = segment.text;
        let in_body = end.saturating_sub(head.len());
        let body = match body.len() {
            n if n <= in_body => body,
            _ => body.slice(0..in_body),
        };
        let data = Incoming::new(
            &head[start..end.min(head.len())],
            Rope::from(Chunk::Device(body)),
        );
        self.with_tcb(now, segment.key, |tcb, cx| {
            tcb.on_segment(cx, &segment.header, data, segment.tos)
        });
    }
}
