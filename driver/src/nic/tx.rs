//! What a frame to be sent is, and what becomes of it.
use super::Caps;
use ferrule_abi::regs::GATEWAYS;
use ferrule_abi::ring::{sqe_flags as fl, TSO_MAX_HEADERS, TSO_MIN_HEADERS};
use std::net::Ipv4Addr;

/// Shortest raw frame in bytes: an Ethernet header.
pub(crate) const RAW_MIN: usize = 14;
/// Shortest packet in IP mode in bytes: an IPv4 header.
pub(crate) const IP_MIN: usize = 20;

/// Which neighbour an IP packet goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NextHop {
    /// The hardware decides: the destination itself in a local subnet, else the first gateway.
    #[default]
    Automatic,
    /// Gateway n, 1 to 7.
    Gateway(u8),
}

/// What the hardware adds to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxMode {
    /// Nothing but padding and FCS: the frame starts at the destination MAC address.
    Raw,
    /// The Ethernet header: the packet starts at the IPv4 header.
    Ip {
        /// Where to.
        next_hop: NextHop,
        /// Insert the IPv4 header checksum.
        ip_checksum: bool,
        /// Insert the TCP or UDP checksum.
        l4_checksum: bool,
    },
}

impl TxMode {
    /// An IP packet with both checksums inserted and the next hop chosen by the hardware.
    pub const IP: Self = Self::Ip {
        next_hop: NextHop::Automatic,
        ip_checksum: true,
        l4_checksum: true,
    };

    /// Bits of the first SQE's flags.
    #[inline]
    pub(crate) fn flags(self) -> u16 {
        match self {
            Self::Raw => fl::RAW,
            Self::Ip {
                next_hop,
                ip_checksum,
                l4_checksum,
            } => {
                let hop = match next_hop {
                    NextHop::Automatic => 0,
                    NextHop::Gateway(n) => u16::from(n) << fl::NEXT_HOP_SHIFT,
                };
                let bit = |on: bool, bit| if on { bit } else { 0 };
                hop | bit(ip_checksum, fl::IPCS) | bit(l4_checksum, fl::L4CS)
            }
        }
    }

    /// What has these [`flags`](Self::flags).
    pub(crate) fn from_flags(flags: u16) -> Self {
        if flags & fl::RAW != 0 {
            return Self::Raw;
        }
        Self::Ip {
            next_hop: match (flags >> fl::NEXT_HOP_SHIFT) as u8 & 7 {
                0 => NextHop::Automatic,
                n => NextHop::Gateway(n),
            },
            ip_checksum: flags & fl::IPCS != 0,
            l4_checksum: flags & fl::L4CS != 0,
        }
    }

    /// Shortest frame in bytes.
    #[inline]
    pub(crate) fn min_len(self) -> usize {
        match self {
            Self::Raw => RAW_MIN,
            Self::Ip { .. } => IP_MIN,
        }
    }

    /// Whether it names something that exists.
    #[inline]
    pub(crate) fn check(self) -> Result<(), TxError> {
        match self {
            Self::Ip {
                next_hop: NextHop::Gateway(n),
                ..
            } if n == 0 || u32::from(n) > GATEWAYS => Err(TxError::Gateway(n)),
            _ => Ok(()),
        }
    }
}

/// How the hardware is to cut an IP packet into TCP segments: each gets the packet's headers with its own length, identification, sequence
/// number and checksums; FIN and PSH are the last one's, CWR the first one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// Bytes of the IPv4 and the TCP header together, options included: 40 to 120, a multiple of 4.
    pub header_bytes: u16,
    /// Bytes of payload in each segment but the last, which has what is left.
    pub mss: u16,
}

impl Segments {
    /// Whether it can be of a packet of `len` bytes.
    pub(crate) fn check(self, len: usize) -> Result<(), TxError> {
        let Self { header_bytes, mss } = self;
        let is_right = (TSO_MIN_HEADERS..=TSO_MAX_HEADERS).contains(&header_bytes)
            && header_bytes.is_multiple_of(4)
            && mss != 0
            && usize::from(header_bytes) < len;
        match is_right {
            true => Ok(()),
            false => Err(TxError::Segments { header_bytes, mss }),
        }
    }
}

/// A frame to be sent. The default is an empty IP packet with both checksums inserted, and nobody asks what becomes of it.
#[derive(Clone, Copy, Debug)]
pub struct TxFrame<'a> {
    /// Its bytes, in pieces: header and payload may come from different places.
    pub parts: &'a [&'a [u8]],
    /// What the hardware adds.
    pub mode: TxMode,
    /// Tag control information (priority in bits 15:13, VLAN in bits 11:0) of the 802.1Q tag that the hardware is to insert.
    pub vlan: Option<u16>,
    /// Comes back in a [`TxCompletion`].
    pub token: u64,
    /// Whether to tell that it was sent. Failures are always told.
    pub report: bool,
    /// Whether to tell when it left, which includes the report. Frames behind it wait until it has.
    pub timestamp: bool,
    /// With [`TxMode::Ip`]: it is to be cut into segments, each with both checksums inserted whatever the mode says; [`Caps::tso`](super::Caps::tso).
    /// Report and timestamp are the last segment's.
    pub segments: Option<Segments>,
}

impl TxFrame<'_> {
    /// Whether hardware that has `caps` can send it.
    #[inline]
    pub(crate) fn check(&self, caps: Caps) -> Result<(), TxError> {
        self.mode.check()?;
        let raw = self.mode == TxMode::Raw;
        if !raw && !caps.ip_mode {
            Err(TxError::NoIpMode)
        } else if self.vlan.is_some() && !caps.vlan_insert {
            Err(TxError::NoVlanInsert)
        } else if self.timestamp && !caps.timestamps {
            Err(TxError::NoTimestamps)
        } else if self.segments.is_some() && (raw || !caps.tso) {
            Err(TxError::NoTso)
        } else {
            Ok(())
        }
    }
}

impl Default for TxFrame<'_> {
    fn default() -> Self {
        Self {
            parts: &[],
            mode: TxMode::IP,
            vlan: None,
            token: 0,
            report: false,
            timestamp: false,
            segments: None,
        }
    }
}

/// Why a frame cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TxError {
    /// Too short or too long.
    #[error("a frame of {len} bytes cannot be sent, only {min} to {max}")]
    Length {
        /// Its length.
        len: usize,
        /// Shortest.
        min: usize,
        /// Longest, by the size of the transmit ring.
        max: usize,
    },
    /// Of what lies in DMA memory, a part that cannot be sent.
    #[error(
        "bytes {start} to {end} of the {stored} in a buffer cannot be sent: a frame has {min} bytes or more and lies inside"
    )]
    Range {
        /// First byte.
        start: usize,
        /// Behind the last byte.
        end: usize,
        /// Bytes that there are.
        stored: usize,
        /// Shortest frame.
        min: usize,
    },
    /// It was cut when it was received.
    #[error(
        "of a received frame there are only the first {stored} bytes, which fill its slot; larger slots take it whole"
    )]
    Cut {
        /// Bytes that there are.
        stored: usize,
    },
    /// There is no such gateway.
    #[error("gateway {0} does not exist; gateways are 1 to {GATEWAYS}")]
    Gateway(u8),
    /// This build of the hardware cannot make Ethernet headers.
    #[error(
        "this NIC cannot send IP packets, only whole frames (CAPS.IP_MODE and CAPS.ARP are 0)"
    )]
    NoIpMode,
    /// This build of the hardware cannot insert tags.
    #[error(
        "this NIC cannot insert 802.1Q tags (CAPS.VLAN_INSERT is 0); put the tag into a raw frame"
    )]
    NoVlanInsert,
    /// This build of the hardware has no timestamps.
    #[error("this NIC cannot tell when a frame leaves (CAPS.TIMESTAMPS is 0)")]
    NoTimestamps,
    /// This build of the hardware cannot cut packets, or it is in PUSH mode, or the frame is raw.
    #[error(
        "this frame cannot be cut into segments: that takes CAPS.TSO, an IP packet and no PUSH mode; send segments of your own"
    )]
    NoTso,
    /// It cannot be cut so.
    #[error(
        "a packet cannot be cut into segments of {mss} bytes with headers of {header_bytes}: headers have {TSO_MIN_HEADERS} to {TSO_MAX_HEADERS} bytes in words of 4, and there is payload behind them"
    )]
    Segments {
        /// Bytes of headers.
        header_bytes: u16,
        /// Bytes of payload in a segment.
        mss: u16,
    },
}

/// What became of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxOutcome {
    /// It was handed to the MAC.
    Sent {
        /// Low 32 bits of the NIC's clock in nanoseconds when the frame's SFD left, if that was asked for and the hardware told;
        /// [`widen_timestamp`](super::widen_timestamp) makes a whole time of it.
        timestamp: Option<u32>,
    },
    /// The next hop's MAC address is not known; nothing was sent. The hardware asks for it, and a
    /// [`NicEvent`](super::NicEvent) tells the outcome. Not a loss: send the packet again when it is resolved.
    NoNeighbour {
        /// Whose address is asked for.
        next_hop: Ipv4Addr,
        /// The packet, as it was given.
        packet: Vec<u8>,
        /// How it was to be sent.
        mode: TxMode,
        /// The tag that it was to get.
        vlan: Option<u16>,
        /// How it was to be cut.
        segments: Option<Segments>,
    },
    /// The device could not read the frame.
    DmaError,
    /// The device found fault with the SQEs.
    BadDescriptor,
}

/// What became of the frame with this token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxCompletion {
    /// [`TxFrame::token`].
    pub token: u64,
    /// What became of it.
    pub outcome: TxOutcome,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_is_had_back_from_its_flags() {
        let mut modes = vec![TxMode::Raw];
        for (ip_checksum, l4_checksum) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            let hops = (1..=GATEWAYS as u8).map(NextHop::Gateway);
            modes.extend(hops.chain([NextHop::Automatic]).map(|next_hop| TxMode::Ip {
                next_hop,
                ip_checksum,
                l4_checksum,
            }));
        }
        let others =
            fl::SOP | fl::EOP | fl::TSO | fl::VLAN_INS | fl::TS_REQ | fl::CPL_REQ | 1 << 15;
        for mode in modes {
            assert_eq!(TxMode::from_flags(mode.flags()), mode);
            assert_eq!(TxMode::from_flags(mode.flags() | others), mode);
        }
    }
}
