//! Packets made from headers and payloads.

use std::net::Ipv4Addr;

use super::Stack;
use crate::checksum::Checksum;
use crate::error::{Error, Result};
use crate::ip::params::IpParams;
use crate::packet::{Head, Token, TxPacket, HEAD_BYTES};
use crate::payload::{Bytes, Payload};
use crate::rope::{Chunk, Rope};
use crate::stats::segments;
use crate::tcp::Flow;
use crate::wire::ipv4::{protocol, Ipv4Header, HEADER_LEN};
use crate::wire::tcp::TcpHeader;

/// RFC 791: the length field has 16 bits.
const MAX_PACKET: usize = 65_535;

/// Writes the checksum of a TCP segment with this header, and perhaps the text after it; the field for it is 0 (RFC 9293
/// section 3.1).
pub(super) fn fill_tcp_checksum<B: Payload>(
    (src, dst): (Ipv4Addr, Ipv4Addr),
    header: &mut [u8],
    payload: &Rope<B>,
) {
    let len = header.len() + payload.len();
    let mut sum = Checksum::pseudo_header(src, dst, protocol::TCP, len);
    sum.add(header);
    sum.add_rope(payload);
    header[16..18].copy_from_slice(&sum.finish().to_be_bytes());
}

impl<B: Payload> Stack<B> {
    /// The largest MSS we can send and receive (RFC 9293 section 3.7.1: MTU less 40).
    pub(super) fn own_mss(&self) -> u16 {
        self.config.link_mtu() - 40
    }

    /// A header, for a packet that must be `cut` or not.
    fn ip_header(
        &mut self,
        (src, dst): (Ipv4Addr, Ipv4Addr),
        protocol: u8,
        l4_len: usize,
        params: IpParams,
        cut: bool,
    ) -> Ipv4Header {
        let path = self.ip.path_mtus.get(dst);
        let dont_fragment = params.discovery.dont_fragment(path, cut);
        Ipv4Header {
            src,
            dst,
            protocol,
            ident: self.next_ident(dst, dont_fragment),
            dont_fragment,
            more_fragments: false,
            fragment_offset: 0,
            ttl: params.ttl,
            tos: params.tos,
            header_len: HEADER_LEN,
            total_len: HEADER_LEN + l4_len,
        }
    }

    /// Makes `to` a packet of a TCP segment, whose text it takes.
    pub(super) fn tcp_packet(
        &mut self,
        flow: &Flow,
        header: &TcpHeader,
        (text, segment_bytes): (&mut Rope<B>, u16),
        token: Token,
        params: IpParams,
        to: &mut TxPacket<B>,
    ) {
        self.stats.tcp_segments_out += segments(text.len(), segment_bytes);
        let (src, dst) = (*flow.local.ip(), *flow.remote.ip());
        let offload = self.config.offload;
        let toward = self.toward(dst);
        to.begin(offload, (dst, toward.next_hop), token, HEAD_BYTES);
        to.segment_bytes = segment_bytes;
        if !text.is_empty() {
            to.payload = core::mem::take(text);
        }
        let (ip, l4) = to.head.parts();
        let len = header.emit_to(l4);
        if !offload.tx_l4_checksum && !toward.is_local {
            fill_tcp_checksum((src, dst), &mut l4[..len], &to.payload);
        }
        let l4_len = len + to.payload.len();
        self.ip_header((src, dst), protocol::TCP, l4_len, params, false)
            .emit_to(ip, offload.tx_ipv4_checksum);
        to.head.truncate(HEADER_LEN + len);
    }

    /// A UDP or ICMP message as a packet; if it must go in fragments, the first is returned and the others are queued. An
    /// error if it is too long and must not be cut.
    pub(super) fn send_message(
        &mut self,
        (src, dst): (Ipv4Addr, Ipv4Addr),
        protocol: u8,
        header: &mut [u8; 8],
        payload: Rope<B>,
        params: IpParams,
        token: Token,
    ) -> Result<TxPacket<B>> {
        let len = header.len() + payload.len();
        if len + HEADER_LEN > MAX_PACKET {
            return Err(Error::MessageTooLong);
        }
        let offload = self.config.offload;
        let path = self.ip.path_mtus.get(dst);
        let mtu = usize::from(params.discovery.mtu(path, self.config.link_mtu()));
        let fits = len + HEADER_LEN <= mtu || self.toward(dst).is_local;
        if !fits && params.discovery.refuses() {
            return Err(Error::MessageTooLong);
        }
        let udp = protocol == protocol::UDP;
        let insert_l4_checksum = fits && udp && offload.tx_l4_checksum;
        if !insert_l4_checksum {
            let mut sum = match udp {
                true => Checksum::pseudo_header(src, dst, protocol, len),
                false => Checksum::new(),
            };
            sum.add(&header[..]);
            sum.add_rope(&payload);
            // RFC 768: "If the computed checksum is zero, it is transmitted as all ones".
            let value = match sum.finish() {
                0 if udp => 0xffff,
                value => value,
            };
            let at = if udp { 6 } else { 2 };
            header[at..at + 2].copy_from_slice(&value.to_be_bytes());
        }
        let mut ip = self.ip_header((src, dst), protocol, len, params, !fits);
        let next_hop = self.toward(dst).next_hop;
        let packet = |head, payload| TxPacket {
            head,
            payload,
            dst,
            next_hop,
            segment_bytes: 0,
            insert_ipv4_checksum: offload.tx_ipv4_checksum,
            insert_l4_checksum,
            token,
        };
        if fits {
            return Ok(packet(
                Head::new(&ip.emit(offload.tx_ipv4_checksum), &header[..]),
                payload,
            ));
        }
        // RFC 791 section 3.2, an example fragmentation procedure: pieces of multiples of 8 octets.
        let step = (mtu - HEADER_LEN) / 8 * 8;
        let mut whole = Rope::from(Chunk::Memory(Bytes::from(&header[..])));
        whole.append(payload);
        let mut fragments = Vec::with_capacity(len.div_ceil(step));
        for at in (0..len).step_by(step) {
            let end = (at + step).min(len);
            ip.fragment_offset = at;
            ip.more_fragments = end < len;
            ip.total_len = HEADER_LEN + end - at;
            fragments.push(packet(
                Head::new(&ip.emit(offload.tx_ipv4_checksum), &[]),
                whole.slice(at..end),
            ));
        }
        // The first is sent now, the others right after it, before anything else.
        let mut rest = fragments.into_iter();
        let first = rest.next().ok_or(Error::InvalidInput)?;
        for fragment in rest.rev() {
            self.push_out_first(fragment);
        }
        Ok(first)
    }
}
