//! What a received frame is to the driver's user.
use crate::dma::Excerpt;
use crate::ring::slots::RxBuf;
use crate::DmaBuf;
use std::fmt;
use std::ops::Deref;

/// Bytes of a long packet that are copied to private memory.
pub const HEAD_LEN: usize = 128;
/// A packet of at most this many bytes is copied as a whole.
pub const SMALL_PACKET: usize = 256;

/// The first bytes of a packet in memory that no device can write.
#[derive(Clone)]
pub struct Head(Excerpt<SMALL_PACKET>);

impl Head {
    /// No bytes yet.
    #[inline]
    pub(crate) fn empty() -> Self {
        Self(Excerpt::empty())
    }

    /// Copies `len` bytes (at most [`SMALL_PACKET`]) at `offset` of `memory` in the place of what it has.
    #[inline]
    pub(crate) fn fill(&mut self, memory: &DmaBuf, offset: usize, len: usize) {
        self.0.fill(memory, offset, len);
    }
}

impl Deref for Head {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// The transport protocols that the hardware knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// What the hardware says of a TCP or UDP checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// It did not look: another protocol, a fragment.
    NotChecked,
    /// It is right, or a UDP checksum of zero.
    Good,
    /// It is wrong (delivered on request only).
    Bad,
}

/// A received frame, from the destination MAC address on, without FCS.
#[derive(Clone, Debug)]
pub struct RxFrame {
    /// The first bytes, private: all if there are at most [`SMALL_PACKET`], else [`HEAD_LEN`].
    pub head: Head,
    /// The rest.
    pub body: Option<RxBuf>,
    /// Length on the wire in bytes, without FCS; head and body hold fewer if `truncated`.
    pub wire_len: u16,
    /// Longer than a receive slot: cut.
    pub truncated: bool,
    /// An IPv4 packet.
    pub ipv4: bool,
    /// An IPv6 packet. Of what follows its header only TCP and UDP are looked at, and nothing behind extension headers.
    pub ipv6: bool,
    /// An IPv4 packet whose header is right, or an IPv6 packet of version 6 that is all there.
    pub ip_header_ok: bool,
    /// TCP or UDP over IPv4, or right behind an IPv6 header.
    pub transport: Option<Transport>,
    /// Its checksum.
    pub checksum: Checksum,
    /// An IPv4 fragment, or a Fragment header right behind an IPv6 header.
    pub fragment: bool,
    /// The FCS is wrong (delivered on request only).
    pub bad_fcs: bool,
    /// Frames were lost before this one for want of a slot or a completion entry.
    pub dropped_before: bool,
    /// Tag control information of an 802.1Q tag that was taken off.
    pub vlan: Option<u16>,
    /// Flow hash, by the key in the NIC's set-up; 0 for what is no IP packet with a right header.
    pub hash: u32,
    /// Low 32 bits of the NIC's clock in nanoseconds when the frame had begun to come in, if the hardware tells;
    /// [`widen_timestamp`](super::widen_timestamp) makes a whole time of it.
    pub timestamp: Option<u32>,
    /// Byte offset of the network header, if the hardware found one. A hint of the device's: check what is there.
    pub l3_offset: Option<u16>,
    /// Byte offset of the transport header, if the hardware found one. A hint of the device's: check what is there.
    pub l4_offset: Option<u16>,
}

impl RxFrame {
    /// Length of what there is, head and body.
    pub fn stored_len(&self) -> usize {
        self.head.len() + self.body.as_ref().map_or(0, RxBuf::len)
    }

    /// All of it, copied.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = self.head.to_vec();
        if let Some(body) = &self.body {
            bytes.extend(body.to_vec());
        }
        bytes
    }
}
