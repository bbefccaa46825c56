//! A received IPv4 packet on its way to its transport.

use super::Stack;
use crate::checksum::Checksum;
use crate::incoming::Incoming;
use crate::ip::reassembly::{Fragment, Outcome};
use crate::packet::RxMeta;
use crate::payload::Payload;
use crate::rope::Rope;
use crate::time::Instant;
use crate::wire::icmp::{code, kind};
use crate::wire::ip_options::{inspect, Options};
use crate::wire::ipv4::{protocol, Ipv4Header, Malformed, HEADER_LEN};

/// A transport message with what its packet said about it.
pub(super) struct Arrival<'a, B> {
    pub(super) ip: Ipv4Header,
    /// The header as it came, options included.
    pub(super) raw: &'a [u8],
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
        let to_many = match self.hears(ip.src, ip.dst) {
            true => false,
            false => match self.address_verdict(&ip, looped) {
                Some(to_many) => to_many,
                None => {
                    self.stats.dropped_address += 1;
                    return;
                }
            },
        };
        let mut arrival = Arrival {
            ip,
            raw: &head[..ip.header_len],
            l4_checked: meta.l4_checksum_ok,
            to_many: to_many || meta.l2_broadcast,
            data: Incoming::new(head, body),
        };
        arrival.data.truncate(ip.total_len);
        arrival.data.trim_front(ip.header_len);
        if ip.header_len > HEADER_LEN && !self.options_pass(now, &arrival) {
            return;
        }
        if !ip.more_fragments && ip.fragment_offset == 0 {
            return match ip.protocol {
                protocol::TCP => self.tcp_input(now, &mut arrival),
                _ => self.deliver(now, arrival),
            };
        }
        let fragment = Fragment {
            ip,
            raw: arrival.raw,
            to_many: arrival.to_many,
            data: arrival.data,
        };
        match self.reassembly.insert(now, fragment) {
            Outcome::Held => {}
            Outcome::Dropped => self.stats.dropped_fragments += 1,
            Outcome::Whole(mut first, rope) => {
                self.stats.reassembled += 1;
                first.ip.more_fragments = false;
                first.ip.total_len = first.ip.header_len + rope.len();
                first.ip.patch(&mut first.raw);
                // The transport's header may lie in several fragments: make it one run again.
                let mut front = [0u8; 128];
                let n = rope.copy_at(0, &mut front);
                let whole = Arrival {
                    ip: first.ip,
                    raw: &first.raw,
                    l4_checked: looped,
                    to_many: first.to_many,
                    data: Incoming::new(&front[..n], rope.slice(n..rope.len())),
                };
                self.deliver(now, whole);
            }
        }
    }

    /// Whether a packet goes to more hosts than us; `None` if it is not for us, or of nobody's.
    fn address_verdict(&self, ip: &Ipv4Header, looped: bool) -> Option<bool> {
        // RFC 1122 section 3.2.1.3: a source address is never a broadcast or multicast address; ours come back only
        // by way of the loop.
        let to_many = self.config.is_broadcast(ip.dst) || ip.dst.is_multicast();
        // RFC 3376 section 4.2.13: a host that has no address yet sends its reports from 0.0.0.0.
        let nameless = ip.src.is_unspecified() && ip.protocol != protocol::IGMP;
        let bad_source = ip.src.is_multicast()
            || nameless
            || ip.src.is_loopback()
            || self.config.is_broadcast(ip.src)
            || !looped && self.config.is_local(ip.src);
        let for_us = match ip.dst.is_multicast() {
            // Queries come from routers, whatever sources are wanted (RFC 3376 section 4.1.12).
            true if ip.protocol == protocol::IGMP => self.ip.members.contains(ip.dst),
            true => self.ip.members.allows(ip.dst, ip.src),
            false => to_many || self.config.is_local(ip.dst),
        };
        (for_us && !bad_source).then_some(to_many)
    }

    /// Looks at a header's options; false if the packet must not be taken because of them.
    fn options_pass(&mut self, now: Instant, arrival: &Arrival<'_, B>) -> bool {
        let verdict = inspect(&arrival.raw[HEADER_LEN..]);
        if let Options::Malformed(at) = verdict {
            // RFC 1122 section 3.2.2.5: "a host SHOULD generate Parameter Problem messages", the pointer to the octet.
            let pointer = (HEADER_LEN + at) as u16;
            self.send_icmp_error(now, arrival, kind::PARAMETER_PROBLEM, 0, [pointer << 8, 0]);
        }
        let pass = verdict == Options::Ignorable;
        self.stats.dropped_options += u64::from(!pass);
        pass
    }

    fn deliver(&mut self, now: Instant, mut arrival: Arrival<'_, B>) {
        match arrival.ip.protocol {
            protocol::TCP => self.tcp_input(now, &mut arrival),
            protocol::UDP => self.udp_input(now, arrival),
            protocol::ICMP => self.icmp_input(now, arrival),
            protocol::IGMP => self.igmp_input(now, arrival),
            _ => {
                self.stats.dropped_protocol += 1;
                self.send_unreachable(now, &arrival, code::PROTOCOL);
            }
        }
    }
}
