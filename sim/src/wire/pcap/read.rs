//! Reads the frames of a pcap or pcapng file (draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng). Every byte of it is hostile.
use pcap_file::pcap::PcapParser;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{Block, PcapNgParser};
use pcap_file::{DataLink, PcapError};
use thiserror::Error;

use super::super::Arrival;
use super::Timed;
use crate::phy::{fcs, MIN_FRAME};

/// First bytes of a pcapng file, and of a pcap file with microseconds or nanoseconds in either byte order.
const PCAPNG: [u8; 4] = [0x0A, 0x0D, 0x0D, 0x0A];
const PCAP: [[u8; 4]; 4] = [
    [0xA1, 0xB2, 0xC3, 0xD4],
    [0xD4, 0xC3, 0xB2, 0xA1],
    [0xA1, 0xB2, 0x3C, 0x4D],
    [0x4D, 0x3C, 0xB2, 0xA1],
];
/// An Ethernet header.
const HEADER: usize = 14;
/// A longer frame is none of Ethernet's.
const MAX_FRAME: usize = 65_535;
const FCS_BYTES: usize = 4;
/// if_tsresol without the option: microseconds.
const MICROSECONDS: u8 = 6;
/// epb_flags: direction (1:0, 2 is outbound), FCS length (8:5), CRC error (24).
const OUTBOUND: u32 = 2;
const CRC_ERROR: u32 = 1 << 24;

/// What is wrong with a capture.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CaptureFault {
    /// Not a capture at all.
    #[error("it is neither a pcap nor a pcapng file")]
    Format,
    /// It breaks the format's rules.
    #[error("it is damaged after packet {after}: {reason}")]
    Damaged {
        /// Packets that could be read.
        after: usize,
        /// What is wrong.
        reason: String,
    },
    /// Not Ethernet.
    #[error("packet {packet} has link type {link}; only Ethernet can be replayed")]
    LinkType {
        /// Which packet, counted from 1.
        packet: usize,
        /// What it has instead.
        link: String,
    },
    /// Not all of a packet is there.
    #[error("packet {packet} was cut to {captured} of its {original} bytes; capture whole packets (tcpdump -s 0)")]
    Cut {
        /// Which packet, counted from 1.
        packet: usize,
        /// Bytes that are there.
        captured: usize,
        /// Bytes that there were.
        original: u32,
    },
    /// Too short or too long for Ethernet.
    #[error("packet {packet} has {bytes} bytes, which no Ethernet frame has")]
    Size {
        /// Which packet, counted from 1.
        packet: usize,
        /// Its bytes.
        bytes: usize,
    },
    /// Nothing to play.
    #[error("it holds no frame towards the NIC")]
    Empty,
}

/// The frames with their times after the first. Times that fall are taken as no gap.
pub(super) fn frames(bytes: &[u8]) -> Result<Vec<Timed>, CaptureFault> {
    let mut frames = Frames::default();
    match bytes.first_chunk() {
        Some(&PCAPNG) => frames.pcapng(bytes)?,
        Some(magic) if PCAP.contains(magic) => frames.pcap(bytes)?,
        _ => return Err(CaptureFault::Format),
    }
    if frames.out.is_empty() {
        return Err(CaptureFault::Empty);
    }
    Ok(frames.out)
}

/// What a file has given so far.
#[derive(Default)]
struct Frames {
    out: Vec<Timed>,
    packets: usize,
    first_ns: Option<u128>,
}

/// One packet, whatever the format.
struct Packet<'a> {
    time_ns: u128,
    original: u32,
    data: &'a [u8],
    link: DataLink,
    /// Whether the last four bytes are its FCS.
    has_fcs: bool,
    flags: u32,
}

impl Frames {
    fn damaged(&self, error: PcapError) -> CaptureFault {
        let reason = match error {
            PcapError::IncompleteBuffer => "it ends in the middle of a packet".to_owned(),
            other => other.to_string(),
        };
        CaptureFault::Damaged {
            after: self.packets,
            reason,
        }
    }

    fn pcap(&mut self, bytes: &[u8]) -> Result<(), CaptureFault> {
        let (mut rest, parser) = PcapParser::new(bytes).map_err(|e| self.damaged(e))?;
        let link = parser.header().datalink;
        while !rest.is_empty() {
            let (after, packet) = parser.next_packet(rest).map_err(|e| self.damaged(e))?;
            rest = after;
            self.packet(&Packet {
                time_ns: packet.timestamp.as_nanos(),
                original: packet.orig_len,
                data: &packet.data,
                link,
                has_fcs: false,
                flags: 0,
            })?;
        }
        Ok(())
    }

    fn pcapng(&mut self, bytes: &[u8]) -> Result<(), CaptureFault> {
        let (mut rest, mut parser) = PcapNgParser::new(bytes).map_err(|e| self.damaged(e))?;
        while !rest.is_empty() {
            let (after, block) = parser.next_block(rest).map_err(|e| self.damaged(e))?;
            rest = after;
            let (id, stamp, original, data, flags) = match &block {
                Block::EnhancedPacket(p) => {
                    let flags = p.options.iter().find_map(|o| match o {
                        EnhancedPacketOption::Flags(flags) => Some(*flags),
                        _ => None,
                    });
                    // The parser takes the time's units for nanoseconds, whatever they are.
                    let stamp = Some(p.timestamp.as_nanos());
                    (
                        p.interface_id,
                        stamp,
                        p.original_len,
                        &p.data,
                        flags.unwrap_or(0),
                    )
                }
                Block::Packet(p) => {
                    let stamp = Some(p.timestamp.into());
                    (p.interface_id.into(), stamp, p.original_len, &p.data, 0)
                }
                Block::SimplePacket(p) => (0, None, p.original_len, &p.data, 0),
                _ => continue,
            };
            let interface = usize::try_from(id)
                .ok()
                .and_then(|id| parser.interfaces().get(id));
            let Some(interface) = interface else {
                return Err(self.damaged(PcapError::InvalidInterfaceId(id)));
            };
            let mut data = &data[..];
            if stamp.is_none() {
                // A simple packet ends with the padding of its block.
                data = &data[..data.len().min(original as usize)];
            }
            let time_ns = match stamp {
                Some(stamp) => nanoseconds(stamp, interface),
                None => self.last_ns(),
            };
            self.packet(&Packet {
                time_ns,
                original,
                data,
                link: interface.linktype,
                has_fcs: has_fcs(flags, interface),
                flags,
            })?;
        }
        Ok(())
    }

    /// The time of the last packet.
    fn last_ns(&self) -> u128 {
        let last = self.out.last().map_or(0, |(at_ns, _)| *at_ns);
        self.first_ns.unwrap_or(0) + u128::from(last)
    }

    fn packet(&mut self, packet: &Packet<'_>) -> Result<(), CaptureFault> {
        self.packets += 1;
        let number = self.packets;
        if packet.link != DataLink::ETHERNET {
            return Err(CaptureFault::LinkType {
                packet: number,
                link: format!("{:?}", packet.link),
            });
        }
        if packet.data.len() as u64 != u64::from(packet.original) {
            return Err(CaptureFault::Cut {
                packet: number,
                captured: packet.data.len(),
                original: packet.original,
            });
        }
        let (frame, sum) = match packet.data.split_last_chunk::<FCS_BYTES>() {
            Some((frame, sum)) if packet.has_fcs => (frame, Some(*sum)),
            _ => (packet.data, None),
        };
        if !(HEADER..=MAX_FRAME).contains(&frame.len()) {
            return Err(CaptureFault::Size {
                packet: number,
                bytes: packet.data.len(),
            });
        }
        if packet.flags & 3 == OUTBOUND {
            return Ok(());
        }
        let first_ns = *self.first_ns.get_or_insert(packet.time_ns);
        let at_ns = packet.time_ns.saturating_sub(first_ns);
        let at_ns = u64::try_from(at_ns).unwrap_or(u64::MAX);
        let at_ns = self.out.last().map_or(at_ns, |(last, _)| at_ns.max(*last));
        self.out.push((at_ns, arrival(frame, sum, packet.flags)));
        Ok(())
    }
}

/// A frame with its FCS as recorded; one marked with a CRC error whose FCS was not recorded gets one that does not fit.
fn arrival(frame: &[u8], sum: Option<[u8; 4]>, flags: u32) -> Arrival {
    let mut padded = frame.to_vec();
    padded.resize(padded.len().max(MIN_FRAME), 0);
    let right = fcs(&padded);
    let fcs = match sum {
        Some(sum) => (sum != right).then_some(sum),
        None => (flags & CRC_ERROR != 0).then_some(right.map(|b| !b)),
    };
    Arrival {
        frame: frame.to_vec(),
        fcs,
    }
}

fn has_fcs(flags: u32, interface: &InterfaceDescriptionBlock<'_>) -> bool {
    let of_interface = interface.options.iter().find_map(|o| match o {
        InterfaceDescriptionOption::IfFcsLen(len) => Some(*len),
        _ => None,
    });
    match flags >> 5 & 0xF {
        // Not said. The interface's length is in bits by the text and in bytes by the example of the specification.
        0 => matches!(of_interface, Some(4 | 32)),
        len => len == 4,
    }
}

/// A time stamp in the units of its interface (if_tsresol, if_tsoffset), in nanoseconds.
fn nanoseconds(stamp: u128, interface: &InterfaceDescriptionBlock<'_>) -> u128 {
    let (mut resolution, mut offset_s) = (MICROSECONDS, 0);
    for option in &interface.options {
        match option {
            InterfaceDescriptionOption::IfTsResol(r) => resolution = *r,
            InterfaceDescriptionOption::IfTsOffset(s) => offset_s = *s,
            _ => {}
        }
    }
    let second = 1_000_000_000u128;
    let ns = match resolution {
        // A stamp has 64 bits: with 2^30 it fits.
        0x80.. => (stamp * second) >> (resolution & 0x7F),
        0..=9 => stamp * 10u128.pow(9 - u32::from(resolution)),
        10..0x80 => 10u128
            .checked_pow(u32::from(resolution) - 9)
            .map_or(0, |units| stamp / units),
    };
    ns + u128::from(offset_s) * second
}
