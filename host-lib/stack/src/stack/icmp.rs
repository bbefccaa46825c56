//! ICMP: answering echo requests, sending errors, passing errors on to sockets.

use super::ip_input::Arrival;
use super::{FlowOwner, Stack};
use crate::checksum::Checksum;
use crate::error::Error;
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
            kind::UNREACHABLE | kind::TIME_EXCEEDED | kind::PARAMETER_PROBLEM => {
                if let Some(quoted) = Quoted::parse(arrival.data.head) {
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
        let data = arrival.data.into_rope();
        if let Ok(packet) = self.send_message(
            (src, dst),
            protocol::ICMP,
            &mut reply.emit(),
            data,
            Token::NOBODY,
        ) {
            self.stats.icmp_echo_replies += 1;
            self.out.push_front(packet);
        }
    }

    /// Tells a sender that its packet could not be delivered, where RFC 1122 section 3.2.2 allows it.
    pub(super) fn send_unreachable(&mut self, now: Instant, arrival: &Arrival<'_, B>, code: u8) {
        if arrival.to_many || arrival.ip.fragment_offset != 0 {
            return;
        }
        if !self.error_limit.allow(now) {
            self.stats.rate_limited += 1;
            return;
        }
        let mut quote = arrival.ip.emit(false).to_vec();
        let len = arrival.data.len().min(MAX_QUOTE - quote.len());
        quote.extend(arrival.data.slice(0, len).to_vec());
        let header = IcmpHeader {
            kind: kind::UNREACHABLE,
            code,
            rest: [0; 2],
        };
        let addrs = (arrival.ip.dst, arrival.ip.src);
        let payload = Rope::from(Chunk::Memory(Bytes::from(quote)));
        if let Ok(packet) = self.send_message(
            addrs,
            protocol::ICMP,
            &mut header.emit(),
            payload,
            Token::NOBODY,
        ) {
            self.stats.icmp_errors_out += 1;
            self.push_out(packet);
        }
    }

    fn icmp_error(&mut self, now: Instant, header: IcmpHeader, quoted: Quoted) {
        let flow = Flow {
            local: SocketAddrV4::new(quoted.src, quoted.src_port),
            remote: SocketAddrV4::new(quoted.dst, quoted.dst_port),
        };
        let too_big = header.kind == kind::UNREACHABLE && header.code == code::FRAGMENTATION_NEEDED;
        let error = match (header.kind, header.code) {
            (kind::UNREACHABLE, code::NET) => Error::NetworkUnreachable,
            (kind::UNREACHABLE, code::PORT | code::PROTOCOL) => Error::ConnectionRefused,
            (kind::UNREACHABLE, code::FRAGMENTATION_NEEDED) => Error::MessageTooLong,
            (kind::TIME_EXCEEDED, code::REASSEMBLY_TIME) => return,
            // RFC 1122 section 3.2.2.1 and 4.2.3.9: the others mean that the host cannot be reached, for now.
            _ => Error::HostUnreachable,
        };
        match quoted.protocol {
            protocol::TCP => {
                let Some(FlowOwner::Connection(key)) = self.flows.get(&flow).copied() else {
                    return;
                };
                let mtu = match header.rest[1] {
                    // RFC 1191 section 5: a router that does not know the option says 0.
                    0 => 576,
                    mtu => mtu,
                };
                self.with_tcb(now, key, |tcb, cx| match too_big {
                    true => tcb.on_path_mtu(Seq(quoted.seq), mtu),
                    false => tcb.on_icmp_error(cx, Seq(quoted.seq), error),
                });
            }
            // RFC 1122 section 4.1.3.3: UDP "MUST pass to the application layer all ICMP error messages"; as in the
            // common kernels only a connected socket is told.
            protocol::UDP => {
                if let (Some(key), false) = (self.udp_connected.get(&flow).copied(), too_big) {
                    self.datagram_error(key, error);
                }
            }
            protocol::ICMP => {
                // The identifier lies where TCP and UDP have the upper half of their sequence or length.
                if let Some(key) = self.pings.get(&((quoted.seq >> 16) as u16)).copied() {
                    self.datagram_error(key, error);
                }
            }
            _ => {}
        }
    }
}
