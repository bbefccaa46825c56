//! What crosses the boundary to the device: a received packet's description and a packet to send.

use core::fmt;
use std::net::Ipv4Addr;

use crate::config::Offload;
use crate::payload::Payload;
use crate::rope::Rope;
use crate::slab::Key;
use crate::wire::ipv4::HEADER_LEN;

/// What the device found out about a received packet.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct RxMeta {
    /// The device verified the IPv4 header checksum; otherwise the stack does.
    pub ipv4_checksum_ok: bool,
    /// The device verified the TCP or UDP checksum; otherwise the stack does.
    pub l4_checksum_ok: bool,
    /// The frame was addressed to the link's broadcast or a multicast address.
    pub l2_broadcast: bool,
}

/// Whom a transmitted packet belongs to; handed back with [`Stack::on_parked`](crate::Stack::on_parked) and its kin.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Token(pub(crate) Owner);

/// The owner behind a token.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Owner {
    Nobody,
    Socket(Key),
    HalfOpen(Key),
}

impl Token {
    pub(crate) const NOBODY: Token = Token(Owner::Nobody);
}

/// Most header bytes of a packet we send: 20 of IPv4 and the longest TCP header.
pub(crate) const HEAD_BYTES: usize = 20 + 60;

/// Header bytes of a packet, inline.
#[derive(Clone)]
pub struct Head {
    bytes: [u8; HEAD_BYTES],
    len: u8,
}

impl Head {
    #[inline]
    pub(crate) fn new(ip: &[u8], l4: &[u8]) -> Head {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..ip.len()].copy_from_slice(ip);
        bytes[ip.len()..ip.len() + l4.len()].copy_from_slice(l4);
        Head {
            bytes,
            len: (ip.len() + l4.len()) as u8,
        }
    }

    /// `len` bytes that are zero.
    #[inline]
    pub(crate) fn zeroed(len: usize) -> Head {
        Head {
            bytes: [0; HEAD_BYTES],
            len: len.min(HEAD_BYTES) as u8,
        }
    }

    /// All of its memory.
    #[inline]
    pub(crate) fn memory(&mut self) -> &mut [u8; HEAD_BYTES] {
        &mut self.bytes
    }

    /// All of its memory: IPv4's header, and the transport's at its longest.
    #[inline]
    pub(crate) fn parts(&mut self) -> (&mut [u8], &mut [u8]) {
        self.bytes.split_at_mut(HEADER_LEN)
    }

    /// Forgets the bytes after the first `len`.
    #[inline]
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len as u8);
    }

    /// The bytes, to be written.
    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[..usize::from(self.len)]
    }

    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Head({})", self.len)
    }
}

/// An IPv4 packet to send: header bytes and handles to the payload, all owned.
#[derive(Debug)]
pub struct TxPacket<B> {
    /// IPv4 and transport header, and after it the whole payload if that is short.
    pub head: Head,
    /// The payload, unless it is with the headers.
    pub payload: Rope<B>,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// The gateway to hand the packet to; `None` leaves the next hop to the device.
    pub next_hop: Option<Ipv4Addr>,
    /// The device must cut the payload, which is longer, into segments of so many bytes with headers made from these (see
    /// [`Offload::tx_segmentation_bytes`](crate::Offload)); 0 if this is one segment.
    pub segment_bytes: u16,
    /// The device must insert the IPv4 header checksum; the field is 0.
    pub insert_ipv4_checksum: bool,
    /// The device must insert the TCP or UDP checksum; the field is 0.
    pub insert_l4_checksum: bool,
    /// To be handed back if the packet is parked for address resolution.
    pub token: Token,
}

impl<B> Default for TxPacket<B> {
    /// No packet yet: something to make one of.
    fn default() -> TxPacket<B> {
        TxPacket {
            head: Head::zeroed(0),
            payload: Rope::default(),
            dst: Ipv4Addr::UNSPECIFIED,
            next_hop: None,
            segment_bytes: 0,
            insert_ipv4_checksum: false,
            insert_l4_checksum: false,
            token: Token::NOBODY,
        }
    }
}

impl<B: Payload> TxPacket<B> {
    /// Begins a packet of the owner of `token` to `dst` by way of `next_hop`: its `head_len` bytes of headers are still to be
    /// written. That is done in small pieces, which is cheap only where they will stay.
    #[inline(always)]
    pub(crate) fn begin(
        &mut self,
        offload: Offload,
        (dst, next_hop): (Ipv4Addr, Option<Ipv4Addr>),
        token: Token,
        head_len: usize,
    ) {
        self.head = Head::zeroed(head_len);
        self.payload.clear();
        self.address(offload, (dst, next_hop), token);
    }

    /// All but the headers and the payload.
    #[inline(always)]
    pub(crate) fn address(
        &mut self,
        offload: Offload,
        (dst, next_hop): (Ipv4Addr, Option<Ipv4Addr>),
        token: Token,
    ) {
        self.dst = dst;
        self.next_hop = next_hop;
        self.segment_bytes = 0;
        self.insert_ipv4_checksum = offload.tx_ipv4_checksum;
        self.insert_l4_checksum = offload.tx_l4_checksum;
        self.token = token;
    }

    /// Bytes of header and payload.
    #[inline]
    pub fn len(&self) -> usize {
        self.head.as_slice().len() + self.payload.len()
    }

    /// Never true: a packet has at least its header.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole packet, copied.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len());
        self.append_to(&mut out);
        out
    }

    /// Copies the whole packet to the end of `out`.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.head.as_slice());
        self.payload
            .for_each_slice(|bytes| out.extend_from_slice(bytes));
    }
}
