//! The IPv4 header (RFC 791 section 3.1).

use std::net::Ipv4Addr;

use super::{be16, be32};
use crate::checksum::Checksum;

/// Bytes of a header without options.
pub(crate) const HEADER_LEN: usize = 20;

/// Protocol numbers (IANA).
pub(crate) mod protocol {
    pub(crate) const ICMP: u8 = 1;
    pub(crate) const IGMP: u8 = 2;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
}

/// Why a header was refused.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Malformed {
    /// Not version 4, or a length that cannot be.
    Header,
    /// The header checksum is wrong.
    Checksum,
}

/// What a header says. Options are skipped (RFC 1122 section 3.2.1.8 lets a host ignore them).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ipv4Header {
    pub(crate) src: Ipv4Addr,
    pub(crate) dst: Ipv4Addr,
    pub(crate) protocol: u8,
    pub(crate) ident: u16,
    pub(crate) dont_fragment: bool,
    pub(crate) more_fragments: bool,
    /// Offset of this fragment in bytes.
    pub(crate) fragment_offset: usize,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    pub(crate) header_len: usize,
    /// Header and payload.
    pub(crate) total_len: usize,
}

impl Ipv4Header {
    /// Reads the header at the start of `head`, whose packet has `available` bytes in all.
    #[inline]
    pub(crate) fn parse(
        head: &[u8],
        available: usize,
        verify: bool,
    ) -> Result<Ipv4Header, Malformed> {
        if head.len() < HEADER_LEN || head[0] >> 4 != 4 {
            return Err(Malformed::Header);
        }
        let header_len = usize::from(head[0] & 15) * 4;
        let total_len = usize::from(be16(head, 2));
        if header_len < HEADER_LEN
            || header_len > head.len()
            || total_len < header_len
            || total_len > available
        {
            return Err(Malformed::Header);
        }
        if verify {
            let mut sum = Checksum::new();
            sum.add(&head[..header_len]);
            if !sum.is_intact() {
                return Err(Malformed::Checksum);
            }
        }
        let fragment = be16(head, 6);
        Ok(Ipv4Header {
            src: Ipv4Addr::from(be32(head, 12)),
            dst: Ipv4Addr::from(be32(head, 16)),
            protocol: head[9],
            ident: be16(head, 4),
            dont_fragment: fragment & 0x4000 != 0,
            more_fragments: fragment & 0x2000 != 0,
            fragment_offset: usize::from(fragment & 0x1fff) * 8,
            ttl: head[8],
            tos: head[1],
            header_len,
            total_len,
        })
    }

    /// Writes a header of 20 bytes; its checksum is left 0 if the device inserts it.
    #[inline]
    pub(crate) fn emit(&self, offload_checksum: bool) -> [u8; HEADER_LEN] {
        let mut h = [0u8; HEADER_LEN];
        self.emit_to(&mut h, offload_checksum);
        h
    }

    /// The same to bytes that are zero.
    #[inline]
    pub(crate) fn emit_to(&self, h: &mut [u8], offload_checksum: bool) {
        self.write(h);
        if !offload_checksum {
            fill_checksum(h);
        }
    }

    /// Writes a header with four bytes of options and its checksum.
    pub(crate) fn emit_with_options(&self, options: [u8; 4]) -> [u8; HEADER_LEN + 4] {
        let mut h = [0u8; HEADER_LEN + 4];
        self.write(&mut h);
        h[0] = 0x46;
        h[HEADER_LEN..].copy_from_slice(&options);
        fill_checksum(&mut h);
        h
    }

    /// Writes length, fragment fields and checksum into a header that was received, and leaves the rest as it came.
    pub(crate) fn patch(&self, raw: &mut [u8]) {
        raw[2..4].copy_from_slice(&(self.total_len as u16).to_be_bytes());
        raw[6..8].copy_from_slice(&self.fragment_field().to_be_bytes());
        fill_checksum(raw);
    }

    fn fragment_field(&self) -> u16 {
        u16::from(self.dont_fragment) << 14
            | u16::from(self.more_fragments) << 13
            | (self.fragment_offset / 8) as u16 & 0x1fff
    }

    fn write(&self, h: &mut [u8]) {
        h[0] = 0x45;
        h[1] = self.tos;
        h[2..4].copy_from_slice(&(self.total_len as u16).to_be_bytes());
        h[4..6].copy_from_slice(&self.ident.to_be_bytes());
        h[6..8].copy_from_slice(&self.fragment_field().to_be_bytes());
        h[8] = self.ttl;
        h[9] = self.protocol;
        h[12..16].copy_from_slice(&self.src.octets());
        h[16..20].copy_from_slice(&self.dst.octets());
    }
}

/// Writes the checksum of a header.
pub(crate) fn fill_checksum(header: &mut [u8]) {
    header[10..12].fill(0);
    let mut sum = Checksum::new();
    sum.add(header);
    let sum = sum.finish().to_be_bytes();
    header[10..12].copy_from_slice(&sum);
}
