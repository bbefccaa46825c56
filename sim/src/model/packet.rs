//! A packet of the host on its way to a frame: the checks, and the checksums that the hardware inserts.
use ferrule_abi::ring::{sqe_flags, Sqe};

use super::checksum::Sum;
use super::ipv4::{Ipv4, L2_BYTES};
use super::ipv6::{self, Ipv6, TYPE_IPV6};
use super::wire::Wire;

/// Shortest raw frame.
const LEAST_RAW: usize = L2_BYTES;
/// Longest frame without FCS: a 9000-byte IP packet, or as much behind an 802.1Q tag.
const MOST: usize = 9018;
/// Beats of eight bytes that the transmit path takes; what comes then is not stored.
const MOST_BEATS: usize = 1128;
const LEAST_TCP: usize = 20;
const TYPE_IPV4: [u8; 2] = [0x08, 0x00];

/// The packet, in a frame whose Ethernet header is not made yet if it is an IP packet.
#[derive(Debug)]
pub(super) struct Packet {
    frame: Vec<u8>,
    flags: u16,
    vlan_tci: u16,
    /// Which one it is of the segments of a packet.
    segment: Option<Segment>,
}

/// A segment of a packet that the hardware cuts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    /// Segments before it.
    pub(super) number: u16,
    /// Bytes of payload before it.
    pub(super) offset: u32,
    /// None comes behind it.
    pub(super) is_last: bool,
}

/// Bits of the TCP header's byte 13 (RFC 9293 section 3.1, RFC 3168 section 6.1).
const FIN_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

/// What the frame needs before it can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing.
    Nothing,
    /// The MAC address of the next hop to this destination, through the SQE's NEXT_HOP.
    NextHop {
        /// The packet's destination.
        destination: u32,
        /// 0 automatic, n gateway n.
        next_hop: u8,
    },
}

/// The packet is not what its flags say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bad;

impl Packet {
    /// An empty one, as its first SQE says, with room for that one's bytes.
    pub(super) fn new(sqe: &Sqe) -> Self {
        // And for the padding, which comes last.
        let mut frame = Vec::with_capacity(L2_BYTES + usize::from(sqe.len).max(64));
        if sqe.flags & sqe_flags::RAW == 0 {
            frame.resize(L2_BYTES, 0);
        }
        Self {
            frame,
            flags: sqe.flags,
            vlan_tci: sqe.vlan_tci,
            segment: None,
        }
    }

    /// The packet whose headers and payload it has so far becomes this segment: its length, identification, sequence number and TCP flags.
    pub(super) fn become_segment(&mut self, segment: Segment) {
        self.flags |= sqe_flags::IPCS | sqe_flags::L4CS;
        if !segment.is_last {
            self.flags &= !sqe_flags::TS_REQ;
        }
        self.segment = Some(segment);
        let packet = &mut self.frame[L2_BYTES..];
        let total = packet.len() as u16;
        let header_bytes = usize::from(packet[0] & 15) * 4;
        let identification = u16::from_be_bytes([packet[4], packet[5]]);
        packet[2..4].copy_from_slice(&total.to_be_bytes());
        packet[4..6].copy_from_slice(&identification.wrapping_add(segment.number).to_be_bytes());
        // Where there is no TCP header the checks find that.
        let Some(tcp) = packet
            .get_mut(header_bytes..)
            .filter(|l4| l4.len() >= LEAST_TCP)
        else {
            return;
        };
        let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
        tcp[4..8].copy_from_slice(&sequence.wrapping_add(segment.offset).to_be_bytes());
        if !segment.is_last {
            tcp[13] &= !FIN_PSH;
        }
        if segment.number != 0 {
            tcp[13] &= !CWR;
        }
    }

    /// It is a segment, and shares the fate of those before it.
    pub(super) fn follows(&self) -> bool {
        self.segment.is_some_and(|s| s.number != 0)
    }

    fn is_raw(&self) -> bool {
        self.flags & sqe_flags::RAW != 0
    }

    /// Room for `len` more bytes.
    pub(super) fn extend(&mut self, len: usize) -> &mut [u8] {
        let at = self.frame.len();
        self.frame.resize(at + len, 0);
        &mut self.frame[at..]
    }

    /// Free places that the transmit buffer must have more than, for the last beat to get in.
    pub(super) fn needed_places(&self) -> usize {
        // The buffer keeps a margin of 8 beyond the beat stored last; an IP packet's beats are numbered from 1.
        let header = if self.is_raw() { 0 } else { L2_BYTES };
        let beats = (self.frame.len() - header).div_ceil(8).min(MOST_BEATS + 1);
        let last_stored = match self.is_raw() {
            true => beats.saturating_sub(2),
            false => beats.saturating_sub(1),
        };
        last_stored + 8
    }

    /// Checks the packet and inserts checksums.
    pub(super) fn finish(&mut self) -> Result<Needs, Bad> {
        if !(LEAST_RAW..=MOST).contains(&self.frame.len()) {
            return Err(Bad);
        }
        if self.is_raw() {
            return self.finish_raw();
        }
        let packet = Ipv4::new(&self.frame).ok_or(Bad)?;
        if !packet.version_ok() || !packet.total_ok() {
            return Err(Bad);
        }
        if self.segment.is_some() && !(packet.is_tcp() && packet.has_l4_checksum()) {
            return Err(Bad);
        }
        let destination = packet.destination();
        let l4cs = self.flags & sqe_flags::L4CS != 0 && packet.has_l4_checksum();
        let ipcs = self.flags & sqe_flags::IPCS != 0;
        let (l4_at, is_udp) = (packet.l4_at(), packet.is_udp());
        if l4cs {
            let covered = packet.l4_covered().ok_or(Bad)?;
            if !is_udp && covered < LEAST_TCP {
                return Err(Bad);
            }
            self.insert_l4(l4_at, is_udp, |frame| {
                Ipv4::new(frame).map(|p| p.l4_sum(covered))
            });
        }
        if ipcs {
            let at = L2_BYTES + 10;
            self.frame[at..at + 2].fill(0);
            let checksum = Ipv4::new(&self.frame)
                .map(|p| p.header_sum().checksum())
                .unwrap_or_default();
            self.frame[at..at + 2].copy_from_slice(&checksum);
        }
        let next_hop = (self.flags >> sqe_flags::NEXT_HOP_SHIFT) as u8 & 7;
        Ok(Needs::NextHop {
            destination,
            next_hop,
        })
    }

    /// A raw frame: only the checksum of TCP or UDP right behind an IPv6 header is inserted.
    fn finish_raw(&mut self) -> Result<Needs, Bad> {
        let is_ipv6 = self.frame[12..L2_BYTES] == TYPE_IPV6.to_be_bytes();
        let Some(packet) = Ipv6::new(&self.frame).filter(|packet| {
            self.flags & sqe_flags::L4CS != 0
                && is_ipv6
                && packet.version_ok()
                && (packet.is_tcp() || packet.is_udp())
        }) else {
            return Ok(Needs::Nothing);
        };
        if !packet.payload_ok() {
            return Err(Bad);
        }
        let is_udp = packet.is_udp();
        let covered = packet.l4_covered().ok_or(Bad)?;
        if !is_udp && covered < LEAST_TCP {
            return Err(Bad);
        }
        self.insert_l4(ipv6::L4_AT, is_udp, |frame| {
            Ipv6::new(frame).map(|p| p.l4_sum(covered))
        });
        Ok(Needs::Nothing)
    }

    /// Inserts the checksum of L4 at `l4_at`.
    fn insert_l4(&mut self, l4_at: usize, is_udp: bool, sum: impl Fn(&[u8]) -> Option<Sum>) {
        let at = l4_at + if is_udp { 6 } else { 16 };
        // What the host left in the field does not count.
        self.frame[at..at + 2].fill(0);
        let mut checksum = sum(&self.frame).unwrap_or_default().checksum();
        if is_udp && checksum == [0, 0] {
            // RFC 768: zero would mean that there is none; RFC 8200 section 8.1.
            checksum = [0xFF, 0xFF];
        }
        self.frame[at..at + 2].copy_from_slice(&checksum);
    }

    /// Makes the Ethernet header of an IP packet.
    pub(super) fn address(&mut self, destination: [u8; 6], source: [u8; 6]) {
        self.frame[..6].copy_from_slice(&destination);
        self.frame[6..12].copy_from_slice(&source);
        self.frame[12..L2_BYTES].copy_from_slice(&TYPE_IPV4);
    }

    /// Whether its sender wants to know when it leaves.
    pub(super) fn wants_time(&self) -> bool {
        self.flags & sqe_flags::TS_REQ != 0
    }

    /// Gives the frame to the wire, marked or not.
    pub(super) fn send(self, wire: &mut Wire, now_ns: u64, mark: bool) {
        let is_tagged = self.flags & sqe_flags::VLAN_INS != 0;
        wire.store(self.frame, is_tagged.then_some(self.vlan_tci), now_ns, mark);
    }
}
