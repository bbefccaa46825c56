//! Ring entries, 16 bytes each, little endian, and the doorbell word.
//!
//! Each entry is four 32-bit words; `WORD` constants say which word of the entry a field lives in.
use crate::Field;

/// Size in bytes of an SQE, a CQE and an event.
pub const ENTRY_SIZE: usize = 16;
/// Indices in doorbells run free modulo this.
pub const INDEX_MODULUS: u32 = 1 << 15;
/// Largest frame in bytes over all its SQEs.
pub const MAX_FRAME: u32 = 65_535;

/// The doorbell word of every queue: one write a batch.
pub mod doorbell {
    use crate::Field;
    /// Producer of the ring the host fills.
    pub const PRODUCER: Field = Field { lo: 0, width: 15 };
    /// Consumer of the completion ring the host reads.
    pub const CONSUMER: Field = Field { lo: 16, width: 15 };
    /// One-shot interrupt request: fires at once if the completion ring holds entries beyond CONSUMER.
    pub const ARM: Field = Field { lo: 31, width: 1 };
}

/// Flags of a submission queue entry (bits of [`Sqe::flags`]).
pub mod sqe_flags {
    /// First SQE of a frame.
    pub const SOP: u16 = 1 << 0;
    /// Last SQE of a frame.
    pub const EOP: u16 = 1 << 1;
    /// The frame starts at the destination MAC address; otherwise at the IPv4 header.
    pub const RAW: u16 = 1 << 2;
    /// Insert the IPv4 header checksum.
    pub const IPCS: u16 = 1 << 3;
    /// Insert the TCP or UDP checksum. With RAW: that of an IPv6 packet right behind the MAC addresses, if TCP or UDP follows its header directly
    /// (CAPS.IPV6); other raw frames are left alone.
    pub const L4CS: u16 = 1 << 4;
    /// Cut into TCP segments (CAPS.TSO): see [`super::Sqe`].
    pub const TSO: u16 = 1 << 5;
    /// Insert an 802.1Q tag (CAPS.VLAN_INSERT).
    pub const VLAN_INS: u16 = 1 << 6;
    /// Data in the ring itself.
    pub const INLINE: u16 = 1 << 7;
    /// Post a completion with the time at which the frame left. Counts on the first SQE.
    pub const TS_REQ: u16 = 1 << 8;
    /// Post a completion when this frame is done.
    pub const CPL_REQ: u16 = 1 << 9;
    /// Lowest bit of the three NEXT_HOP bits: 0 automatic, n gateway n.
    pub const NEXT_HOP_SHIFT: u32 = 10;
}

/// A submission queue entry. A frame's flags other than SOP and EOP are those of its first SQE; CPL_REQ counts on the last.
///
/// With TSO the first SQE points at the headers alone, an IPv4 and a TCP header of 40 to 120 bytes together, and has the MSS; the
/// SQEs behind it point at the payload, and the first of them says in the place of the TCI how many bytes of payload there are.
/// IPCS and L4CS are implied. Each segment has MSS bytes of payload, the last what is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sqe {
    /// IOVA of the data, any alignment.
    pub iova: u64,
    /// Length of the data in bytes, 1 to 65,535.
    pub len: u16,
    /// Bits of [`sqe_flags`].
    pub flags: u16,
    /// 802.1Q tag control information for VLAN_INS.
    pub vlan_tci: u16,
    /// Payload bytes of a segment for TSO.
    pub mss: u16,
}

/// Shortest headers of a packet to be segmented in bytes: IPv4 and TCP without options.
pub const TSO_MIN_HEADERS: u16 = 40;
/// Longest in bytes: both with all options.
pub const TSO_MAX_HEADERS: u16 = 120;

impl Sqe {
    /// The bytes of payload of a packet to be segmented, which the second of its SQEs tells.
    pub const fn tso_bytes(self) -> u16 {
        self.vlan_tci
    }
    /// The entry as its four words.
    pub const fn to_words(self) -> [u32; 4] {
        [
            self.iova as u32,
            (self.iova >> 32) as u32,
            self.len as u32 | (self.flags as u32) << 16,
            self.vlan_tci as u32 | (self.mss as u32) << 16,
        ]
    }
    /// The entry that four words hold.
    pub const fn from_words(w: [u32; 4]) -> Self {
        Self {
            iova: w[0] as u64 | (w[1] as u64) << 32,
            len: w[2] as u16,
            flags: (w[2] >> 16) as u16,
            vlan_tci: w[3] as u16,
            mss: (w[3] >> 16) as u16,
        }
    }
}

/// Status bits of a completion (bits of [`Cqe::status`]).
pub mod cqe_status {
    /// The IPv4 header is right; with IPV6: the version is 6 and the frame holds the payload.
    pub const IP_OK: u16 = 1 << 0;
    /// The TCP or UDP checksum is right (or, over IPv4, a UDP checksum of zero: not computed by the sender).
    pub const L4_OK: u16 = 1 << 1;
    /// The hardware looked at the L4 checksum.
    pub const CSUM_VALID: u16 = 1 << 2;
    /// An IPv4 packet.
    pub const IPV4: u16 = 1 << 3;
    /// TCP.
    pub const TCP: u16 = 1 << 4;
    /// UDP.
    pub const UDP: u16 = 1 << 5;
    /// A fragment: the L4 checksum was not looked at. With IPV6: a Fragment header follows the header.
    pub const FRAG: u16 = 1 << 6;
    /// An 802.1Q tag was stripped; the word C holds its TCI.
    pub const VLAN: u16 = 1 << 7;
    /// Bad FCS (delivered on request only).
    pub const FCS_ERR: u16 = 1 << 8;
    /// Longer than a slot: cut off.
    pub const TRUNC: u16 = 1 << 9;
    /// Transmit: the next hop's MAC address is not known; nothing was sent. [`super::Cqe::hash`] holds the next hop's IPv4 address.
    pub const ARP_MISS: u16 = 1 << 10;
    /// A read of the frame's data was refused on the bus; nothing was sent.
    pub const DMA_ERR: u16 = 1 << 11;
    /// Length 0, SOP or EOP missing, or a frame longer than allowed; nothing was sent.
    pub const BAD_DESC: u16 = 1 << 12;
    /// Receive: before this one, frames of the queue were dropped for want of a slot or a CQE, or frames of some queue for want of room in
    /// the receive buffer.
    pub const DROPPED_BEFORE: u16 = 1 << 13;
    /// The timestamp is valid: in every completion of a received frame, and of a sent one with TS_REQ that was complete while CTRL.TX_EN was set.
    pub const TS_VALID: u16 = 1 << 14;
    /// An IPv6 packet (CAPS.IPV6). TCP, UDP, CSUM_VALID and L4_OK are of what follows its header directly: nothing is looked for behind extension headers.
    pub const IPV6: u16 = 1 << 15;
}

/// A completion queue entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cqe {
    /// Receive: length of the frame in bytes without FCS (before truncation). Transmit: 0.
    pub len: u16,
    /// Bits of [`cqe_status`].
    pub status: u16,
    /// Receive: flow hash of an IPv4 or IPv6 packet with a right header, else 0: Toeplitz over addresses, and ports of unfragmented TCP and UDP. Transmit: 0, or the next hop's address with ARP_MISS.
    pub hash: u32,
    /// If TS_VALID: low 32 bits of the clock in nanoseconds. Receive: when the frame's first bytes were in the core; transmit: when its SFD had left.
    pub timestamp: u32,
    /// TCI if VLAN; else the offset of L3 in half-words in bits 7:0 and that of L4 in bits 15:8 (0: none).
    pub offsets: u16,
    /// Receive: slot number. Transmit: SQ index modulo the ring of the last SQE of the frame.
    pub index: u16,
    /// The phase: 1 on the first pass over the ring, then alternating.
    pub phase: bool,
}

impl Cqe {
    /// Index bits of the last half-word; bit 15 is the phase.
    pub const INDEX: u16 = 0x7FFF;
    /// The phase's bit in word 3.
    pub const PHASE: Field = Field { lo: 31, width: 1 };

    /// The entry as its four words.
    pub const fn to_words(self) -> [u32; 4] {
        [
            self.len as u32 | (self.status as u32) << 16,
            self.hash,
            self.timestamp,
            self.offsets as u32
                | ((self.index & Self::INDEX) as u32) << 16
                | (self.phase as u32) << 31,
        ]
    }
    /// The entry that four words hold.
    pub const fn from_words(w: [u32; 4]) -> Self {
        Self {
            len: w[0] as u16,
            status: (w[0] >> 16) as u16,
            hash: w[1],
            timestamp: w[2],
            offsets: w[3] as u16,
            index: (w[3] >> 16) as u16 & Self::INDEX,
            phase: w[3] >> 31 == 1,
        }
    }
}

/// Codes of [`Event::code`].
pub mod event_code {
    /// A next hop's MAC address is known now; [`super::Event::address`] says whose.
    pub const NEIGH_RESOLVED: u16 = 1;
    /// A next hop did not answer three requests, or its entry was evicted.
    pub const NEIGH_FAILED: u16 = 2;
    /// The link changed; STATUS tells.
    pub const LINK: u16 = 3;
    /// A queue stopped; [`super::Event::detail`] is its page number, its STATUS tells why.
    pub const QUEUE_ERROR: u16 = 4;
    /// Another station claims a local address (RFC 5227 section 2.4); [`super::Event::address`] says which, [`super::Event::conflict_mac`]
    /// who. After one, further conflicts are told of only when 11 s have passed and it was taken; ARP_CONFLICTS counts all.
    pub const ADDRESS_CONFLICT: u16 = 5;
}

/// An entry of the event queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// A value of [`event_code`].
    pub code: u16,
    /// QUEUE_ERROR: the queue's page number. LINK: 1 up, 0 down. ADDRESS_CONFLICT: the MAC address's byte 4 in bits 7:0, byte 5 in bits 15:8.
    /// Otherwise 0.
    pub detail: u16,
    /// NEIGH_RESOLVED, NEIGH_FAILED, ADDRESS_CONFLICT: the IPv4 address, a.b.c.d with a in bits 31:24.
    pub address: u32,
    /// Low 32 bits of the clock in nanoseconds. ADDRESS_CONFLICT: the MAC address's byte 0 in bits 7:0 to byte 3 in bits 31:24.
    pub timestamp: u32,
    /// The phase: 1 on the first pass over the ring, then alternating.
    pub phase: bool,
}

impl Event {
    /// ADDRESS_CONFLICT: MAC address of the other station.
    pub const fn conflict_mac(self) -> [u8; 6] {
        let [a, b, c, d] = self.timestamp.to_le_bytes();
        let [e, f] = self.detail.to_le_bytes();
        [a, b, c, d, e, f]
    }
    /// The entry as its four words.
    pub const fn to_words(self) -> [u32; 4] {
        [
            self.code as u32 | (self.detail as u32) << 16,
            self.address,
            self.timestamp,
            (self.phase as u32) << 31,
        ]
    }
    /// The entry that four words hold.
    pub const fn from_words(w: [u32; 4]) -> Self {
        Self {
            code: w[0] as u16,
            detail: (w[0] >> 16) as u16,
            address: w[1],
            timestamp: w[2],
            phase: w[3] >> 31 == 1,
        }
    }
}
