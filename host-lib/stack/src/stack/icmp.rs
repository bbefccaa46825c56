//! ICMP: answering echo requests, sending errors, passing errors on to sockets.

use super::ip_input::Arrival;
use super::{FlowOwner, Stack};
use crate::checksum::Checksum;
use crate::incoming::Incoming;
use crate::ip::icmp_errors::meaning;
use crate::ip::params::IpParams;
use crate::ip::reassembly::Expired;
use crate::packet::Token;
use crate::payload::{Bytes, Payload};
use crate::rope::{Chunk, Rope};
use crate::seq::Seq;
use crate::tcp::Flow;
use crate::time::Instant;
use crate::wire::icmp::{code, kind, IcmpHeader, Quoted, HEADER_LEN};
use crate::wire::ipv4::protocol;
use std::net::SocketAddrV4;

/// RFC 1812 section 4.3.2.3: an error quotes as much as fits into 576 bytes.
const MAX_QUOTE: usize = 576 - 20 - HEADER_LEN;

/// What is read of a quotation: the longest IPv4 header and eight bytes.
const MAX_QUOTED_HEADERS: usize = 60 + 8;

impl<B: Payload> Stack<B> {
    pub(super) fn icmp_input(&mut self, now: Instant, mut arrival: Arrival<'_, B>) {
        // The devices' checksum units know TCP and UDP; ICMP is always summed here.
        let mut sum = Checksum::new();
        arrival.data.sum(&mut sum);
        if !sum.is_intact() {
            self.stats.dropped_checksum += 1;
            return;
        }
        let Some(header) = IcmpHeader::parse(arrival.data.head) else {
            self.stats.dropped_malformed += 1;
            return;
        };
        self.stats.icmp_in += 1;
        arrival.data.trim_front(HEADER_LEN);
        match header.kind {
            kind::ECHO_REQUEST => self.answer_echo(now, arrival, header),
            kind::ECHO_REPLY => self.echo_reply(arrival, header),
            // An error sent to more than us is about nobody's packet in particular, so nobody's.
            kind::UNREACHABLE | kind::TIME_EXCEEDED | kind::PARAMETER_PROBLEM
                if !arrival.to_many =>
            {
                // A quotation may lie anywhere in the packet's pieces: one run of bytes again.
                let quote = arrival.data.slice(0, MAX_QUOTED_HEADERS).to_vec();
                if let Some(quoted) = Quoted::parse(&quote) {
                    self.icmp_error(now, header, quoted);
                }
            }
            _ => {}
        }
    }

    // RFC 1122 section 3.2.2.6: "Every host MUST implement an ICMP Echo server function"; one sent to a broadcast
    // address "MAY be silently discarded", and is.
    fn answer_echo(&mut self, now: Instant, arrival: Arrival<'_, B>, request: IcmpHeader) {
        if arrival.to_many {
            return;
        }
        if !self.error_limit.allow(now) {
            self.stats.rate_limited += 1;
            return;
        }
        let reply = IcmpHeader {
            kind: kind::ECHO_REPLY,
            code: 0,
            ..request
        };
        let (src, dst) = (arrival.ip.dst, arrival.ip.src);
        // RFC 1349 section 5.1: "An ICMP reply message is sent with the same value in the TOS field as was used in the
        // corresponding ICMP request message"; its ECN bits are not the sender's to choose.
        let params = IpParams::control(self.config.ttl, arrival.ip.tos & !3);
        let data = arrival.data.into_rope();
        if let Ok(packet) = self.send_message(
            (src, dst),
            protocol::ICMP,
            &mut reply.emit(),
            data,
            params,
            Token::NOBODY,
        ) {
            self.stats.icmp_echo_replies += 1;
            self.push_out_first(packet);
        }
    }

    /// Tells a sender that its packet could not be delivered.
    pub(super) fn send_unreachable(&mut self, now: Instant, arrival: &Arrival<'_, B>, code: u8) {
        self.send_icmp_error(now, arrival, kind::UNREACHABLE, code, [0; 2]);
    }

    /// Tells a sender that fragments were missing for too long (RFC 792: "If fragment zero is not available then no time
    /// exceeded need be sent at all").
    pub(super) fn send_reassembly_timeout(&mut self, now: Instant, expired: Expired<B>) {
        let Some((first, data)) = expired.first else {
            return;
        };
        let arrival = Arrival {
            ip: first.ip,
            raw: &first.raw,
            l4_checked: false,
            to_many: first.to_many,
            data: Incoming::new(&[], data),
        };
        let code = code::REASSEMBLY_TIME;
        self.send_icmp_error(now, &arrival, kind::TIME_EXCEEDED, code, [0; 2]);
    }

    /// Sends an ICMP error where RFC 1122 section 3.2.2 allows it: not about a packet to many, a later fragment or an
    /// ICMP error, nor to a sender that is no single host; and not too often (RFC 1812 section 4.3.2.8).
    pub(super) fn send_icmp_error(
        &mut self,
        now: Instant,
        arrival: &Arrival<'_, B>,
        kind: u8,
        code: u8,
        rest: [u16; 2],
    ) {
        let about_error = arrival.ip.protocol == protocol::ICMP && !arrival.is_icmp_query();
        if arrival.to_many
            || arrival.ip.fragment_offset != 0
            || about_error
            || arrival.ip.src.is_unspecified()
        {
            return;
        }
        if !self.error_limit.allow(now) {
            self.stats.rate_limited += 1;
            return;
        }
        let mut quote = arrival.raw.to_vec();
        let len = arrival.data.len().min(MAX_QUOTE - quote.len());
        quote.extend(arrival.data.slice(0, len).to_vec());
        let header = IcmpHeader { kind, code, rest };
        let addrs = (arrival.ip.dst, arrival.ip.src);
        // RFC 1812 section 4.3.2.5: errors have precedence 6 (internetwork control) and keep the type of service.
        let params = IpParams::control(self.config.ttl, 0xc0 | arrival.ip.tos & 0x1e);
        let payload = Rope::from(Chunk::Memory(Bytes::from(quote)));
        if let Ok(packet) = self.send_message(
            addrs,
            protocol::ICMP,
            &mut header.emit(),
            payload,
            params,
            Token::NOBODY,
        ) {
            self.stats.icmp_errors_out += 1;
            self.push_packet(packet);
        }
    }

    /// What a router or host said about a packet of ours goes to the socket it came from.
    fn icmp_error(&mut self, now: Instant, header: IcmpHeader, quoted: Quoted) {
        // RFC 1122 section 3.2.2: nothing may be said about a packet to many, and what we did not send is no concern.
        let to_many = quoted.dst.is_multicast() || self.config.is_broadcast(quoted.dst);
        if to_many || !self.config.is_local(quoted.src) {
            return;
        }
        let Some(meaning) = meaning(header.kind, header.code) else {
            return;
        };
        let flow = Flow {
            local: SocketAddrV4::new(quoted.src, quoted.src_port),
            remote: SocketAddrV4::new(quoted.dst, quoted.dst_port),
        };
        let too_big = header.kind == kind::UNREACHABLE && header.code == code::FRAGMENTATION_NEEDED;
        match quoted.protocol {
            protocol::TCP => {
                let Some(FlowOwner::Connection(key)) = self.flow_owner(&flow) else {
                    return;
                };
                let mtu = match header.rest[1] {
                    // RFC 1191 section 5: a router that does not know the option says 0.
                    0 => 576,
                    mtu => mtu,
                };
                let believed = self.with_tcb(now, key, |tcb, cx| match too_big {
                    true => tcb.on_path_mtu(Seq(quoted.seq), mtu),
                    false => {
                        tcb.on_icmp_error(cx, Seq(quoted.seq), meaning.error);
                        false
                    }
                });
                if believed == Some(true) {
                    self.learn_path_mtu(now, header, &quoted);
                }
            }
            protocol::UDP => {
                if !too_big {
                    self.udp_error(&flow, meaning);
                } else if let Some(discovers) = self.udp_discovers(&flow) {
                    self.learn_path_mtu(now, header, &quoted);
                    if discovers {
                        self.udp_error(&flow, meaning);
                    }
                }
            }
            protocol::ICMP => {
                // The identifier lies where TCP and UDP have the upper half of their sequence or length.
                if let Some(key) = self.pings.get(&((quoted.seq >> 16) as u16)).copied() {
                    if too_big {
                        self.learn_path_mtu(now, header, &quoted);
                    }
                    self.datagram_error(key, meaning.error);
                }
            }
            _ => {}
        }
    }

    /// Believes a router about the path MTU, after the quoted packet was found to be of a socket of ours (RFC 5927
    /// section 7.2 in spirit).
    fn learn_path_mtu(&mut self, now: Instant, header: IcmpHeader, quoted: &Quoted) {
        let mtu = header.rest[1];
        let paths = &mut self.ip.path_mtus;
        if paths.learn(now, quoted.dst, mtu, quoted.total_len) {
            self.stats.path_mtu_reductions += 1;
            self.forget_toward();
        }
    }
}

impl<B: Payload> Arrival<'_, B> {
    /// RFC 1122 section 3.2.2: the ICMP messages that are no errors, and about which errors may be sent.
    fn is_icmp_query(&self) -> bool {
        let mut first = [0];
        let there = self.data.slice(0, 1).copy_at(0, &mut first) == 1;
        there && matches!(first[0], kind::ECHO_REPLY | kind::ECHO_REQUEST)
    }
}
