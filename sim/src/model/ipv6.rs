//! The IPv6 packet in an Ethernet frame, as far as the hardware looks: the header, and TCP or UDP right behind it (RFC 8200).
use super::checksum::Sum;
use super::ipv4::{L2_BYTES, TCP, UDP};

/// EtherType of IPv6.
pub(super) const TYPE_IPV6: u16 = 0x86DD;
/// Bytes of the header (RFC 8200 section 3).
const HEADER_BYTES: usize = 40;
/// Where L4 begins in the frame.
pub(super) const L4_AT: usize = L2_BYTES + HEADER_BYTES;
/// Next Header of a Fragment header (RFC 8200 section 4.5).
const FRAGMENT: u8 = 44;

/// The header of a frame's packet, and what follows it.
#[derive(Clone, Copy)]
pub(super) struct Ipv6<'a> {
    frame: &'a [u8],
}

impl<'a> Ipv6<'a> {
    /// A packet; none if the frame is too short for a header.
    pub(super) fn new(frame: &'a [u8]) -> Option<Self> {
        (frame.len() >= L4_AT).then_some(Self { frame })
    }

    fn half(&self, at: usize) -> usize {
        u16::from_be_bytes([self.frame[at], self.frame[at + 1]]).into()
    }

    pub(super) fn version_ok(&self) -> bool {
        self.frame[L2_BYTES] >> 4 == 6
    }

    /// Payload length.
    pub(super) fn payload(&self) -> usize {
        self.half(L2_BYTES + 4)
    }

    /// The frame holds the payload.
    pub(super) fn payload_ok(&self) -> bool {
        self.payload() <= self.frame.len() - L4_AT
    }

    fn next(&self) -> u8 {
        self.frame[L2_BYTES + 6]
    }

    pub(super) fn is_tcp(&self) -> bool {
        self.next() == TCP
    }

    pub(super) fn is_udp(&self) -> bool {
        self.next() == UDP
    }

    pub(super) fn is_fragment(&self) -> bool {
        self.next() == FRAGMENT
    }

    /// Source and destination address.
    pub(super) fn addresses(&self) -> &'a [u8] {
        &self.frame[L2_BYTES + 8..L4_AT]
    }

    /// Source and destination port; only if [`Ipv6::payload_ok`] and the payload has four bytes.
    pub(super) fn ports(&self) -> &'a [u8] {
        &self.frame[L4_AT..L4_AT + 4]
    }

    /// Bytes that the L4 checksum covers, by UDP's own length, if that is one. None for a UDP length that cannot be; only if
    /// [`Ipv6::payload_ok`].
    pub(super) fn l4_covered(&self) -> Option<usize> {
        let l4 = self.payload();
        if !self.is_udp() {
            return Some(l4);
        }
        if l4 < 8 {
            return None;
        }
        let udp = self.half(L4_AT + 4);
        (8..=l4).contains(&udp).then_some(udp)
    }

    /// The UDP checksum field is zero, which IPv6 forbids (RFC 8200 section 8.1). Only with a UDP length that can be.
    pub(super) fn udp_unchecked(&self) -> bool {
        self.is_udp() && self.half(L4_AT + 6) == 0
    }

    /// Sum of pseudo-header (RFC 8200 section 8.1) and L4 over `covered` bytes.
    pub(super) fn l4_sum(&self, covered: usize) -> Sum {
        Sum::default()
            .bytes(self.addresses())
            .number(self.next().into())
            .number(covered as u16)
            .bytes(&self.frame[L4_AT..L4_AT + covered])
    }
}
