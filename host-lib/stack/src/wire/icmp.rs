//! ICMP messages (RFC 792): echo and the errors that matter to sockets.

use std::net::Ipv4Addr;

use super::{be16, be32, ipv4};

/// Bytes of the header all messages here share.
pub(crate) const HEADER_LEN: usize = 8;

/// Message types.
pub(crate) mod kind {
    pub(crate) const ECHO_REPLY: u8 = 0;
    pub(crate) const UNREACHABLE: u8 = 3;
    pub(crate) const ECHO_REQUEST: u8 = 8;
    pub(crate) const TIME_EXCEEDED: u8 = 11;
    pub(crate) const PARAMETER_PROBLEM: u8 = 12;
}

/// Codes of destination unreachable (RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1), then of time exceeded.
pub(crate) mod code {
    pub(crate) const NET: u8 = 0;
    pub(crate) const HOST: u8 = 1;
    pub(crate) const PROTOCOL: u8 = 2;
    pub(crate) const PORT: u8 = 3;
    pub(crate) const FRAGMENTATION_NEEDED: u8 = 4;
    pub(crate) const SOURCE_ROUTE_FAILED: u8 = 5;
    pub(crate) const NET_UNKNOWN: u8 = 6;
    pub(crate) const HOST_UNKNOWN: u8 = 7;
    pub(crate) const HOST_ISOLATED: u8 = 8;
    pub(crate) const NET_PROHIBITED: u8 = 9;
    pub(crate) const HOST_PROHIBITED: u8 = 10;
    pub(crate) const NET_TOS: u8 = 11;
    pub(crate) const HOST_TOS: u8 = 12;
    pub(crate) const FILTERED: u8 = 13;
    pub(crate) const PRECEDENCE_VIOLATION: u8 = 14;
    pub(crate) const PRECEDENCE_CUTOFF: u8 = 15;

    pub(crate) const TTL: u8 = 0;
    pub(crate) const REASSEMBLY_TIME: u8 = 1;
}

/// A message's first eight bytes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct IcmpHeader {
    pub(crate) kind: u8,
    pub(crate) code: u8,
    /// Identifier and sequence number of an echo; unused or next-hop MTU of an error.
    pub(crate) rest: [u16; 2],
}

impl IcmpHeader {
    pub(crate) fn parse(head: &[u8]) -> Option<IcmpHeader> {
        (head.len() >= HEADER_LEN).then(|| IcmpHeader {
            kind: head[0],
            code: head[1],
            rest: [be16(head, 4), be16(head, 6)],
        })
    }

    /// Writes the header with a checksum field of 0.
    pub(crate) fn emit(&self) -> [u8; HEADER_LEN] {
        let mut h = [0u8; HEADER_LEN];
        h[0] = self.kind;
        h[1] = self.code;
        h[4..6].copy_from_slice(&self.rest[0].to_be_bytes());
        h[6..8].copy_from_slice(&self.rest[1].to_be_bytes());
        h
    }
}

/// The packet that an ICMP error is about: "the internet header plus the first 64 bits of the original
/// datagram's data" (RFC 792).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Quoted {
    pub(crate) src: Ipv4Addr,
    pub(crate) dst: Ipv4Addr,
    pub(crate) protocol: u8,
    /// Length of the packet as it says itself.
    pub(crate) total_len: usize,
    pub(crate) src_port: u16,
    pub(crate) dst_port: u16,
    /// TCP's sequence number, if that is what it was.
    pub(crate) seq: u32,
}

impl Quoted {
    /// Reads the quotation after an error's header.
    pub(crate) fn parse(quote: &[u8]) -> Option<Quoted> {
        if quote.len() < ipv4::HEADER_LEN || quote[0] >> 4 != 4 {
            return None;
        }
        let ihl = usize::from(quote[0] & 15) * 4;
        // Only a first fragment holds the ports.
        if ihl < ipv4::HEADER_LEN || quote.len() < ihl + 8 || be16(quote, 6) & 0x1fff != 0 {
            return None;
        }
        let l4 = &quote[ihl..];
        Some(Quoted {
            src: Ipv4Addr::from(be32(quote, 12)),
            dst: Ipv4Addr::from(be32(quote, 16)),
            protocol: quote[9],
            total_len: usize::from(be16(quote, 2)),
            src_port: be16(l4, 0),
            dst_port: be16(l4, 2),
            seq: be32(l4, 4),
        })
    }
}
