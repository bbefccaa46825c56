//! A received IPv4 packet on its way to its transport.

use super::Stack;
use crate::checksum::Checksum;
use crate::incoming::Incoming;
use crate::ip::reassembly::Outcome;
use crate::packet::RxMeta;
use crate::payload::Payload;
use crate::rope::Rope;
use crate::time::Instant;
use crate::wire::icmp::code;
use crate::wire::ipv4::{protocol, Ipv4Header, Malformed};

/// A transport message with what its packet said about it.
pub(super) struct Arrival<'a, B> {
    pub(super) ip: Ipv4Header,
    /// Its transport checksum needs no check.
    pub(super) l4_checked: bool,
    /// Sent to more hosts than us, on the link or by its address: no error may answer it (RFC 1122 section 3.2.2).
    pub(super) to_many: bool,
    pub(super) data: Incoming<'a, B>,
}

impl<B: Payload> Arrival<'_, B> {
    /// Verifies the transport checksum over the pseudo header, unless the device did.
    pub(super) fn transport_intact(&self) -> bool {
        if self.l4_checked {
            return true;
        }
        let mut sum =
            Checksum::pseudo_header(self.ip.src, self.ip.dst, self.ip.protocol, self.data.len());
        self.data.sum(&mut sum);
        sum.is_intact()
    }
}

impl<B: Payload> Stack<B> {
    pub(super) fn ip_input(
        &mut self,
        now: Instant,
        meta: RxMeta,
        head: &[u8],
        body: Rope<B>,
        looped: bool,
    ) {
        let ip = match Ipv4Header::parse(head, head.len() + body.len(), !meta.ipv4_checksum_ok) {
            Ok(ip) => ip,
            Err(Malformed::Header) => {
                self.stats.dropped_malformed += 1;
                return;
            }
            Err(Malformed::Checksum) => {
                self.stats.dropped_checksum += 1;
                return;
            }
        };
        // RFC 1122 section 3.2.1.3: a source address is never a broadcast or multicast address; ours come back only
        // by way of the loop.
        let broadcast = self.config.is_broadcast(ip.dst);
        let bad_source = ip.src.is_multicast()
            || ip.src.is_unspecified()
            || ip.src.is_loopback()
            || self.config.is_broadcast(ip.src)
            || !looped && self.config.is_local(ip.src);
        if bad_source || !(broadcast || self.config.is_local(ip.dst)) {
            self.stats.dropped_address += 1;
            return;
        }
        let mut data = Incoming::new(head, body);
        data.truncate(ip.total_len);
        data.trim_front(ip.header_len);
        let to_many = broadcast || meta.l2_broadcast;
        if !ip.more_fragments && ip.fragment_offset == 0 {
            self.deliver(
                now,
                Arrival {
                    ip,
                    l4_checked: meta.l4_checksum_ok,
                    to_many,
                    data,
                },
            );
            return;
        }
        match self.reassembly.insert(now, &ip, data) {
            Outcome::Held => {}
            Outcome::Dropped => self.stats.dropped_fragments += 1,
            Outcome::Whole(rope) => {
                self.stats.reassembled += 1;
                // The transport's header may lie in several fragments: make it one run again.
                let mut front = [0u8; 128];
                let n = rope.copy_at(0, &mut front);
                let data = Incoming::new(&front[..n], rope.slice(n..rope.len()));
                self.deliver(
                    now,
                    Arrival {
                        ip,
                        l4_checked: looped,
                        to_many,
                        data,
                    },
                );
            }
        }
    }

    fn deliver(&mut self, now: Instant, arrival: Arrival<'_, B>) {
        match arrival.ip.protocol {
            protocol::TCP => self.tcp_input(now, arrival),
            protocol::UDP => self.udp_input(now, arrival),
            protocol::ICMP => self.icmp_input(now, arrival),
            _ => {
                self.stats.dropped_protocol += 1;
                self.send_unreachable(now, &arrival, code::PROTOCOL);
            }
        }
    }
}
