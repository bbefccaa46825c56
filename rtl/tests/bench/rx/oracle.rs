//! What ought to become of a received frame, by the wire formats of smoltcp and etherparse and the register reference.
use etherparse::{checksum::Sum16BitWords, Ipv6Header};
use ferrule_abi::{counter, ring::cqe_status};
use ferrule_test_tools::toeplitz::toeplitz;
use smoltcp::wire::{
    ArpHardware, ArpPacket, EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, Ipv4Packet,
    TcpPacket, UdpPacket,
};

/// Bits of the MAC's `bad`.
pub(crate) mod bad {
    pub(crate) const FCS: u8 = 1;
    pub(crate) const RX_ER: u8 = 2;
    pub(crate) const RUNT: u8 = 4;
    pub(crate) const OVERSIZE: u8 = 8;
}
/// Bits of RXCTL.
pub(crate) mod rxctl {
    pub(crate) const PROMISC: u32 = 1;
    pub(crate) const BROADCAST: u32 = 2;
    pub(crate) const ALL_MULTICAST: u32 = 4;
    pub(crate) const KEEP_BAD_FCS: u32 = 8;
    pub(crate) const KEEP_BAD_L4: u32 = 16;
    pub(crate) const KEEP_BAD_IP: u32 = 32;
    pub(crate) const DELIVER_ARP: u32 = 64;
    pub(crate) const VLAN_STRIP: u32 = 128;
    pub(crate) const VLAN_FILTER: u32 = 256;
    pub(crate) const ECHO: u32 = 512;
}

/// An ARP packet's op, sender MAC, sender IP, target IP.
pub(crate) type Arp = (u16, Vec<u8>, u32, u32);

/// What the host has written to the filters' tables.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// Exact multicast addresses.
    pub(crate) groups: Vec<[u8; 6]>,
    /// A bit a hash.
    pub(crate) hash: u64,
    /// Identifiers.
    pub(crate) vlans: Vec<u16>,
}

impl Tables {
    fn has(&self, group: [u8; 6]) -> bool {
        // CRC-32 from an implementation that is not ours: as it goes on the wire, so complemented and with its bits reversed.
        let hash = (!crc32fast::hash(&group)).reverse_bits() >> 26;
        self.groups.contains(&group) || self.hash >> hash & 1 == 1
    }
}

/// A frame without its outermost 802.1Q tag, and that tag's control information, by etherparse.
pub(crate) fn untag(frame: &[u8]) -> Option<(Vec<u8>, u16)> {
    let (ethernet, rest) = etherparse::Ethernet2Header::from_slice(frame).ok()?;
    if ethernet.ether_type != etherparse::EtherType::VLAN_TAGGED_FRAME {
        return None;
    }
    let (tag, rest) = etherparse::SingleVlanHeader::from_slice(rest).ok()?;
    let inner = etherparse::Ethernet2Header {
        ether_type: tag.ether_type,
        ..ethernet
    };
    let tci = u16::from(tag.pcp.value()) << 13
        | u16::from(tag.drop_eligible_indicator) << 12
        | tag.vlan_id.value();
    Some(([&inner.to_bytes()[..], rest].concat(), tci))
}

/// The fate of a frame.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    /// Index of the counter of the reason.
    pub(crate) dropped: Option<u32>,
    /// Status and offsets of the completion.
    pub(crate) delivered: Option<(u16, u16)>,
    /// Handed to the ARP engine.
    pub(crate) arp: Option<Arp>,
}

fn dropped(counter: u32) -> Fate {
    Fate {
        dropped: Some(counter),
        ..Fate::default()
    }
}
fn delivered(status: u16, offsets: u16) -> Fate {
    Fate {
        delivered: Some((status, offsets)),
        ..Fate::default()
    }
}

/// The hash of a frame whose completion says `status`.
pub(crate) fn hash(frame: &[u8], status: u16, key: &[u8; 40]) -> u32 {
    if status & cqe_status::IP_OK == 0 {
        return 0;
    }
    let l4 = status & (cqe_status::TCP | cqe_status::UDP) != 0 && status & cqe_status::FRAG == 0;
    if status & cqe_status::IPV6 != 0 {
        let (ip, rest) = Ipv6Header::from_slice(&frame[14..]).expect("a right header");
        let mut input = [ip.source, ip.destination].concat();
        if l4 && ip.payload_length >= 4 {
            input.extend(&rest[..4]);
        }
        return toeplitz(key, &input);
    }
    let ip = Ipv4Packet::new_checked(&frame[14..]).expect("a right header");
    let mut input = [ip.src_addr().octets(), ip.dst_addr().octets()].concat();
    if l4 && ip.payload().len() >= 4 {
        input.extend(&ip.payload()[..4]);
    }
    toeplitz(key, &input)
}

/// Judges `frame` (without FCS), of which the MAC says `bad`.
pub(crate) fn judge(
    frame: &[u8],
    bad: u8,
    rxctl: u32,
    own: [u8; 6],
    enable: bool,
    tables: &Tables,
) -> Fate {
    let on = |bit: u32| rxctl & bit != 0;
    if !enable {
        return dropped(counter::RX_DROP_DISABLED);
    }
    if bad & bad::OVERSIZE != 0 {
        return dropped(counter::RX_DROP_OVERSIZE);
    }
    if bad & bad::RUNT != 0 {
        return dropped(counter::RX_DROP_RUNT);
    }
    let damaged = bad & (bad::FCS | bad::RX_ER) != 0;
    if damaged && !on(rxctl::KEEP_BAD_FCS) {
        return dropped(counter::RX_DROP_FCS);
    }
    let eth = EthernetFrame::new_checked(frame).expect("at least 60 bytes");
    let dst = eth.dst_addr();
    let wanted = on(rxctl::PROMISC)
        || dst.0 == own
        || dst.is_broadcast() && on(rxctl::BROADCAST)
        || dst.is_multicast()
            && !dst.is_broadcast()
            && (on(rxctl::ALL_MULTICAST) || tables.has(dst.0));
    let tag = untag(frame);
    let vlan = tag.as_ref().map(|(_, tci)| tci & 0xFFF);
    let member = vlan.is_none_or(|id| tables.vlans.contains(&id));
    if !wanted || on(rxctl::VLAN_FILTER) && !member {
        return dropped(counter::RX_DROP_FILTER);
    }
    let Some((inner, tci)) = tag else {
        return inspect(frame, false, damaged, rxctl);
    };
    let mut fate = inspect(&inner, true, damaged, rxctl);
    if let Some((status, offsets)) = &mut fate.delivered {
        if on(rxctl::VLAN_STRIP) {
            *status |= cqe_status::VLAN;
            *offsets = tci;
        } else {
            // Two half-words further back, where there is something.
            let behind = |offset| if offset == 0 { 0 } else { offset + 2 };
            *offsets = behind(*offsets & 0xFF) | behind(*offsets >> 8) << 8;
        }
    }
    fate
}

/// Looks at a frame for this station, from which a tag has been taken.
fn inspect(frame: &[u8], tagged: bool, damaged: bool, rxctl: u32) -> Fate {
    let on = |bit: u32| rxctl & bit != 0;
    if damaged {
        return delivered(cqe_status::FCS_ERR, 0);
    }
    let eth = EthernetFrame::new_checked(frame).expect("at least 56 bytes");
    match u16::from(eth.ethertype()) {
        length @ 0..=1535 => {
            if usize::from(length) > eth.payload().len() {
                dropped(counter::RX_DROP_LENGTH)
            } else {
                delivered(0, 0)
            }
        }
        0x0806 if !tagged => judge_arp(eth.payload(), on(rxctl::DELIVER_ARP)),
        0x0800 => match judge_ipv4(eth.payload(), on(rxctl::KEEP_BAD_L4)) {
            Err(_) if on(rxctl::KEEP_BAD_IP) => delivered(cqe_status::IPV4, 7),
            Err(counter) => dropped(counter),
            Ok(fate) => fate,
        },
        0x86DD => match judge_ipv6(eth.payload(), on(rxctl::KEEP_BAD_L4)) {
            Err(_) if on(rxctl::KEEP_BAD_IP) => delivered(cqe_status::IPV6, 7),
            Err(counter) => dropped(counter),
            Ok(fate) => fate,
        },
        _ => delivered(0, 0),
    }
}

fn judge_arp(payload: &[u8], deliver: bool) -> Fate {
    let Ok(p) = ArpPacket::new_checked(payload) else {
        return delivered(0, 0);
    };
    let known = p.hardware_type() == ArpHardware::Ethernet
        && p.protocol_type() == EthernetProtocol::Ipv4
        && (p.hardware_len(), p.protocol_len()) == (6, 4);
    if !known {
        return delivered(0, 0);
    }
    let ip = |b: &[u8]| u32::from_be_bytes(b.try_into().expect("four bytes"));
    Fate {
        dropped: None,
        delivered: deliver.then_some((0, 0)),
        arp: Some((
            u16::from(p.operation()),
            p.source_hardware_addr().to_vec(),
            ip(p.source_protocol_addr()),
            ip(p.target_protocol_addr()),
        )),
    }
}

/// `Err`: the header is wrong; what is counted if it is not kept.
fn judge_ipv4(payload: &[u8], keep_bad_l4: bool) -> Result<Fate, u32> {
    let loose = Ipv4Packet::new_unchecked(payload);
    if loose.version() != 4 || loose.header_len() < 20 {
        return Err(counter::RX_DROP_IP_HEADER);
    }
    let ip = Ipv4Packet::new_checked(payload).map_err(|_| counter::RX_DROP_LENGTH)?;
    if !ip.verify_checksum() {
        return Err(counter::RX_DROP_IP_HEADER);
    }
    let mut status = cqe_status::IPV4 | cqe_status::IP_OK;
    match ip.next_header() {
        IpProtocol::Tcp => status |= cqe_status::TCP,
        IpProtocol::Udp => status |= cqe_status::UDP,
        _ => {}
    }
    if ip.more_frags() || ip.frag_offset() != 0 {
        return Ok(delivered(status | cqe_status::FRAG, 7));
    }
    let offsets = 7 | (7 + u16::from(ip.header_len()) / 2) << 8;
    let (src, dst) = (
        IpAddress::from(ip.src_addr()),
        IpAddress::from(ip.dst_addr()),
    );
    let fault = match ip.next_header() {
        IpProtocol::Tcp => {
            let right = TcpPacket::new_unchecked(ip.payload()).verify_checksum(&src, &dst);
            (!right).then_some(counter::RX_DROP_L4_CSUM)
        }
        IpProtocol::Udp => match UdpPacket::new_checked(ip.payload()) {
            Err(_) => Some(counter::RX_DROP_LENGTH),
            Ok(udp) if udp.verify_checksum(&src, &dst) => None,
            Ok(_) => Some(counter::RX_DROP_L4_CSUM),
        },
        _ => return Ok(delivered(status, offsets)),
    };
    status |= cqe_status::CSUM_VALID;
    Ok(match fault {
        None => delivered(status | cqe_status::L4_OK, offsets),
        Some(_) if keep_bad_l4 => delivered(status, offsets),
        Some(counter) => dropped(counter),
    })
}

/// What is left of the checksum of an IPv6 packet's L4 (RFC 8200 section 8.1), by etherparse: 0 if it is right.
pub(crate) fn ipv6_sum(ip: &Ipv6Header, l4: &[u8]) -> u16 {
    Sum16BitWords::new()
        .add_16bytes(ip.source)
        .add_16bytes(ip.destination)
        .add_4bytes((l4.len() as u32).to_be_bytes())
        .add_2bytes([0, ip.next_header.0])
        .add_slice(l4)
        .ones_complement()
        .to_be()
}

/// `Err`: the header is wrong; what is counted if it is not kept.
fn judge_ipv6(payload: &[u8], keep_bad_l4: bool) -> Result<Fate, u32> {
    let (ip, rest) = Ipv6Header::from_slice(payload).map_err(|_| counter::RX_DROP_IP_HEADER)?;
    let l4 = rest
        .get(..ip.payload_length.into())
        .ok_or(counter::RX_DROP_LENGTH)?;
    let mut status = cqe_status::IPV6 | cqe_status::IP_OK;
    let fault = match ip.next_header.0 {
        6 => {
            status |= cqe_status::TCP;
            (ipv6_sum(&ip, l4) != 0).then_some(counter::RX_DROP_L4_CSUM)
        }
        17 => {
            status |= cqe_status::UDP;
            match UdpPacket::new_checked(l4) {
                Err(_) => Some(counter::RX_DROP_LENGTH),
                // "IPv6 receivers must discard UDP packets containing a zero checksum".
                Ok(udp) if udp.checksum() == 0 => Some(counter::RX_DROP_L4_CSUM),
                Ok(udp) => (ipv6_sum(&ip, &l4[..udp.len().into()]) != 0)
                    .then_some(counter::RX_DROP_L4_CSUM),
            }
        }
        44 => return Ok(delivered(status | cqe_status::FRAG, 7)),
        _ => return Ok(delivered(status, 7)),
    };
    let offsets = 7 | 27 << 8;
    status |= cqe_status::CSUM_VALID;
    Ok(match fault {
        None => delivered(status | cqe_status::L4_OK, offsets),
        Some(_) if keep_bad_l4 => delivered(status, offsets),
        Some(counter) => dropped(counter),
    })
}
