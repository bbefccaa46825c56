//! Header layouts, read with every length checked and written byte by byte.

pub(crate) mod icmp;
pub(crate) mod igmp;
pub(crate) mod ip_options;
pub(crate) mod ipv4;
pub(crate) mod plain;
pub(crate) mod tcp;
pub(crate) mod udp;

/// Big-endian 16 bits at `at`; the caller has checked the length.
#[inline]
pub(crate) fn be16(b: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([b[at], b[at + 1]])
}

/// Big-endian 32 bits at `at`; the caller has checked the length.
#[inline]
pub(crate) fn be32(b: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}
