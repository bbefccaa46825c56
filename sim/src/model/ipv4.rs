//! The IPv4 packet in an Ethernet frame: the fields and sums that both directions look at.
use super::checksum::Sum;

/// Bytes of the Ethernet header.
pub(super) const L2_BYTES: usize = 14;
/// Shortest frame that holds an IPv4 header.
const LEAST: usize = L2_BYTES + 20;
/// Protocol numbers.
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
/// More fragments, or an offset (RFC 791 section 3.1; bit 15 is reserved, bit 14 is Don't Fragment).
const FRAGMENT_BITS: u16 = 0x3FFF;

/// The header of a frame's packet, and what follows it.
#[derive(Clone, Copy)]
pub(super) struct Ipv4<'a> {
    frame: &'a [u8],
}

impl<'a> Ipv4<'a> {
    /// A packet; none if the frame is too short for a header.
    pub(super) fn new(frame: &'a [u8]) -> Option<Self> {
        (frame.len() >= LEAST).then_some(Self { frame })
    }

    fn half(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.frame[at], self.frame[at + 1]])
    }

    /// Version 4 and a header of at least five words.
    pub(super) fn version_ok(&self) -> bool {
        self.frame[L2_BYTES] >> 4 == 4 && self.header_bytes() >= 20
    }

    pub(super) fn header_bytes(&self) -> usize {
        usize::from(self.frame[L2_BYTES] & 15) * 4
    }

    fn total(&self) -> usize {
        self.half(L2_BYTES + 2).into()
    }

    /// The total length holds the header and fits the frame.
    pub(super) fn total_ok(&self) -> bool {
        (self.header_bytes()..=self.frame.len() - L2_BYTES).contains(&self.total())
    }

    pub(super) fn is_fragment(&self) -> bool {
        self.half(L2_BYTES + 6) & FRAGMENT_BITS != 0
    }

    pub(super) fn is_tcp(&self) -> bool {
        self.frame[L2_BYTES + 9] == TCP
    }

    pub(super) fn is_udp(&self) -> bool {
        self.frame[L2_BYTES + 9] == UDP
    }

    /// Unfragmented TCP or UDP.
    pub(super) fn has_l4_checksum(&self) -> bool {
        (self.is_tcp() || self.is_udp()) && !self.is_fragment()
    }

    pub(super) fn destination(&self) -> u32 {
        u32::from_be_bytes([30, 31, 32, 33].map(|at| self.frame[at]))
    }

    /// Source and destination address.
    pub(super) fn addresses(&self) -> &'a [u8] {
        &self.frame[L2_BYTES + 12..L2_BYTES + 20]
    }

    /// Source and destination port; only if [`Ipv4::total_ok`] and L4 has four bytes.
    pub(super) fn ports(&self) -> &'a [u8] {
        &self.frame[self.l4_at()..self.l4_at() + 4]
    }

    /// Sum of the header; only if [`Ipv4::total_ok`].
    pub(super) fn header_sum(&self) -> Sum {
        Sum::default().bytes(&self.frame[L2_BYTES..L2_BYTES + self.header_bytes()])
    }

    /// Where the L4 header begins in the frame.
    pub(super) fn l4_at(&self) -> usize {
        L2_BYTES + self.header_bytes()
    }

    /// Bytes behind the IPv4 header by the total length; only if [`Ipv4::total_ok`].
    pub(super) fn l4_bytes(&self) -> usize {
        self.total() - self.header_bytes()
    }

    /// Bytes that the L4 checksum covers: by UDP's own length, if that is one, else by IPv4's. None for a UDP length that cannot be.
    pub(super) fn l4_covered(&self) -> Option<usize> {
        let l4 = self.l4_bytes();
        if !self.is_udp() {
            return Some(l4);
        }
        if l4 < 8 {
            return None;
        }
        let udp = self.half(self.l4_at() + 4).into();
        (8..=l4).contains(&udp).then_some(udp)
    }

    /// The UDP checksum field is zero: the sender did not compute it (RFC 768). Only with a UDP length that can be.
    pub(super) fn udp_unchecked(&self) -> bool {
        self.is_udp() && self.half(self.l4_at() + 6) == 0
    }

    /// Sum of pseudo-header and L4 (RFC 768, RFC 9293 section 3.1) over `covered` bytes.
    pub(super) fn l4_sum(&self, covered: usize) -> Sum {
        let l4 = self.l4_at();
        Sum::default()
            .bytes(self.addresses())
            .number(self.frame[L2_BYTES + 9].into())
            .number(covered as u16)
            .bytes(&self.frame[l4..l4 + covered])
    }
}
