//! IGMP messages on their way in and out, and what else of IP is due at some time.

use super::ip_input::Arrival;
use super::Stack;
use crate::checksum::Checksum;
use crate::packet::{Head, Token, TxPacket};
use crate::payload::{Bytes, Payload};
use crate::rope::{Chunk, Rope};
use crate::time::Instant;
use crate::wire::igmp::{parse, Message};
use crate::wire::ip_options::ROUTER_ALERT;
use crate::wire::ipv4::{protocol, Ipv4Header, HEADER_LEN};
use std::net::Ipv4Addr;

/// RFC 3376 section 4: "IP Precedence of Internetwork Control (e.g., Type of Service 0xc0)".
const TOS: u8 = 0xc0;

impl<B: Payload> Stack<B> {
    pub(super) fn igmp_input(&mut self, now: Instant, arrival: Arrival<'_, B>) {
        let mut sum = Checksum::new();
        arrival.data.sum(&mut sum);
        if !sum.is_intact() {
            self.stats.dropped_checksum += 1;
            return;
        }
        self.stats.igmp_in += 1;
        match parse(&arrival.data.into_rope().to_vec()) {
            // Each query makes us send, so no stranger may ask without end.
            Some(Message::Query(_)) if !self.error_limit.allow(now) => {
                self.stats.rate_limited += 1;
            }
            Some(Message::Query(query)) => {
                self.ip.igmp.on_query(now, &query, &self.ip.members);
            }
            Some(Message::Report(group)) => self.ip.igmp.on_report(now, group),
            None => {}
        }
        self.send_igmp();
    }

    /// When something of IP is due: fragments, path MTUs, reports.
    pub(super) fn ip_deadline(&self) -> Option<Instant> {
        [self.reassembly.deadline(), self.ip.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// True if time changes nothing of IP.
    #[inline]
    pub(super) fn ip_is_idle(&self) -> bool {
        self.reassembly.is_empty() && self.ip.is_idle()
    }

    /// Does what of IP is due.
    #[inline]
    pub(super) fn ip_on_time(&mut self, now: Instant) {
        if !self.ip_is_idle() {
            self.ip_has_time(now);
        }
    }

    fn ip_has_time(&mut self, now: Instant) {
        while let Some(expired) = self.reassembly.expire(now) {
            self.stats.dropped_fragments += 1;
            self.stats.reassembly_timeouts += 1;
            self.send_reassembly_timeout(now, expired);
        }
        self.ip.on_time(now);
        self.send_igmp();
    }

    /// Queues what IGMP wants to say: TTL 1 and Router Alert (RFC 2236 section 2, RFC 3376 section 4).
    pub(super) fn send_igmp(&mut self) {
        for outgoing in self.ip.igmp.take_out() {
            let mut message = outgoing.message;
            let mut sum = Checksum::new();
            sum.add(&message);
            message[2..4].copy_from_slice(&sum.finish().to_be_bytes());
            // RFC 3376 section 4.2.13: a host without an address yet reports from 0.0.0.0.
            let first = self.config.addrs.first();
            let src = first.map_or(Ipv4Addr::UNSPECIFIED, |c| c.addr());
            let header_len = HEADER_LEN + ROUTER_ALERT.len();
            let ident = self.next_ident(outgoing.to, true);
            let ip = Ipv4Header {
                src,
                dst: outgoing.to,
                protocol: protocol::IGMP,
                ident,
                dont_fragment: true,
                more_fragments: false,
                fragment_offset: 0,
                ttl: 1,
                tos: TOS,
                header_len,
                total_len: header_len + message.len(),
            };
            self.stats.igmp_out += 1;
            self.push_packet(TxPacket {
                head: Head::new(&ip.emit_with_options(ROUTER_ALERT), &[]),
                payload: Rope::from(Chunk::Memory(Bytes::from(message))),
                dst: outgoing.to,
                next_hop: None,
                segment_bytes: 0,
                insert_ipv4_checksum: false,
                insert_l4_checksum: false,
                token: Token::NOBODY,
            });
        }
    }
}
