//! The UDP header (RFC 768).

use super::be16;

/// Bytes of the header.
pub(crate) const HEADER_LEN: usize = 8;

/// What a header says.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct UdpHeader {
    pub(crate) src_port: u16,
    pub(crate) dst_port: u16,
    /// Header and payload, checked to lie within the packet.
    pub(crate) len: usize,
    /// "An all zero transmitted checksum value means that the transmitter generated no checksum."
    pub(crate) has_checksum: bool,
}

impl UdpHeader {
    /// Reads the header at the start of `head`, whose datagram has `available` bytes in all.
    pub(crate) fn parse(head: &[u8], available: usize) -> Option<UdpHeader> {
        if head.len() < HEADER_LEN {
            return None;
        }
        let len = usize::from(be16(head, 4));
        (HEADER_LEN..=available).contains(&len).then(|| UdpHeader {
            src_port: be16(head, 0),
            dst_port: be16(head, 2),
            len,
            has_checksum: be16(head, 6) != 0,
        })
    }

    /// Writes the header with a checksum field of 0.
    pub(crate) fn emit(&self) -> [u8; HEADER_LEN] {
        let mut h = [0u8; HEADER_LEN];
        h[0..2].copy_from_slice(&self.src_port.to_be_bytes());
        h[2..4].copy_from_slice(&self.dst_port.to_be_bytes());
        h[4..6].copy_from_slice(&(self.len as u16).to_be_bytes());
        h
    }
}
