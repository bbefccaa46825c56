//! What becomes of a received frame: the address filter, the checks, and the reason that is counted.
use std::borrow::Cow;

use ferrule_abi::ring::cqe_status as status;
use ferrule_abi::{counter, regs, Field};

use super::arp::ArpPacket;
use super::echo::answer;
use super::flow::pause_time;
use super::hash::{hash, hash_ipv6};
use super::ipv4::{Ipv4, L2_BYTES};
use super::ipv6::{self, Ipv6, TYPE_IPV6};
use super::registers::Registers;

/// Below it an EtherType is a length (IEEE 802.3 clause 3.2.6).
const FIRST_TYPE: u16 = 0x0600;
const TYPE_IPV4: u16 = 0x0800;
/// EtherType of an 802.1Q tag, where it is, and the bytes that it takes.
pub(super) const TYPE_VLAN: [u8; 2] = [0x81, 0x00];
pub(super) const TAG_AT: usize = 12;
const TAG_BYTES: usize = 4;
/// Half-word offset of L3 in a frame without tags.
const L3_OFFSET: u16 = (L2_BYTES / 2) as u16;

/// What the MAC says of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Faults {
    /// The FCS is wrong, or RX_ER came.
    pub(super) damaged: bool,
    /// Shorter than 64 bytes with FCS.
    pub(super) runt: bool,
    /// Longer than RXCTL.MAX_FRAME.
    pub(super) oversize: bool,
}

/// The registers that matter.
#[derive(Clone, Copy)]
pub(super) struct Filter<'a> {
    pub(super) enabled: bool,
    pub(super) rxctl: u32,
    pub(super) registers: &'a Registers,
}

impl Filter<'_> {
    fn wants(&self, bit: Field) -> bool {
        bit.get(self.rxctl) != 0
    }

    fn passes(&self, destination: [u8; 6]) -> bool {
        use regs::rxctl::{ALL_MULTICAST, BROADCAST, PROMISC};
        let broadcast = destination == [0xFF; 6];
        self.wants(PROMISC)
            || destination == self.registers.mac()
            || (broadcast && self.wants(BROADCAST))
            || (!broadcast
                && destination[0] & 1 != 0
                && (self.wants(ALL_MULTICAST) || self.registers.wants_group(destination)))
    }

    /// Frames with this TCI pass, or without any.
    fn admits(&self, tci: Option<u16>) -> bool {
        !self.wants(regs::rxctl::VLAN_FILTER) || tci.is_none_or(|t| self.registers.has_vlan(t))
    }
}

/// The verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Dropped, and counted here.
    Drop(u32),
    /// For the transmitter: a pause of so many quanta.
    Pause(u16),
    /// For the host.
    Deliver(Description),
    /// For the ARP engine, and for the host too if there is a description.
    Arp(ArpPacket, Option<Description>),
    /// An echo request with its answer; for the host if the answer finds no place.
    Echo(Vec<u8>, Description),
}

/// What a completion says of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) status: u16,
    pub(super) offsets: u16,
    pub(super) hash: u32,
}

impl Description {
    /// As it is for a frame with a tag, which was or was not taken out.
    fn behind_tag(self, tci: u16, stripped: bool) -> Self {
        if stripped {
            return Self {
                status: self.status | status::VLAN,
                offsets: tci,
                ..self
            };
        }
        let shift = (TAG_BYTES / 2) as u16;
        let [l3, l4] = [self.offsets & 0xFF, self.offsets >> 8].map(|offset| {
            if offset == 0 {
                0
            } else {
                offset + shift
            }
        });
        Self {
            offsets: l3 | l4 << 8,
            ..self
        }
    }
}

/// The tag control information of a frame's outermost tag, if it has one and more than that.
fn tci_of(frame: &[u8]) -> Option<u16> {
    let tag = frame.get(TAG_AT..TAG_AT + TAG_BYTES)?;
    let tagged = tag[..2] == TYPE_VLAN && frame.len() > TAG_AT + TAG_BYTES;
    tagged.then_some(u16::from_be_bytes([tag[2], tag[3]]))
}

/// The frame without its outermost tag.
pub(super) fn without_tag(frame: &[u8]) -> Vec<u8> {
    [&frame[..TAG_AT], &frame[TAG_AT + TAG_BYTES..]].concat()
}

/// Judges a frame without FCS. The first reason that holds is the one that is counted.
pub(super) fn judge(frame: &[u8], faults: Faults, filter: &Filter<'_>) -> Verdict {
    use regs::rxctl::{KEEP_BAD_FCS, VLAN_STRIP};
    if !filter.enabled {
        return Verdict::Drop(counter::RX_DROP_DISABLED);
    }
    if faults.oversize {
        return Verdict::Drop(counter::RX_DROP_OVERSIZE);
    }
    if faults.runt || frame.len() < L2_BYTES {
        return Verdict::Drop(counter::RX_DROP_RUNT);
    }
    if faults.damaged && !filter.wants(KEEP_BAD_FCS) {
        return Verdict::Drop(counter::RX_DROP_FCS);
    }
    if !faults.damaged && filter.registers.flow(regs::flow::RX_PAUSE) {
        if let Some(quanta) = pause_time(frame, filter.registers.mac()) {
            return Verdict::Pause(quanta);
        }
    }
    let mut destination = [0; 6];
    destination.copy_from_slice(&frame[..6]);
    let tci = tci_of(frame);
    if !filter.passes(destination) || !filter.admits(tci) {
        return Verdict::Drop(counter::RX_DROP_FILTER);
    }
    let inner = match tci {
        Some(_) => Cow::Owned(without_tag(frame)),
        None => Cow::Borrowed(frame),
    };
    match (inspect(&inner, tci.is_some(), faults, filter), tci) {
        (Verdict::Deliver(description), Some(tci)) => {
            Verdict::Deliver(description.behind_tag(tci, filter.wants(VLAN_STRIP)))
        }
        (Verdict::Deliver(description), None) => {
            let whole = description.status & (status::IPV4 | status::IP_OK | status::FRAG)
                == status::IPV4 | status::IP_OK;
            let reply = (whole && filter.wants(regs::rxctl::ECHO))
                .then(|| answer(frame, filter.registers))
                .flatten();
            match reply {
                Some(reply) => Verdict::Echo(reply, description),
                None => Verdict::Deliver(description),
            }
        }
        (verdict, _) => verdict,
    }
}

/// Looks into a frame for this station, from which a tag has been taken out if it was there.
fn inspect(frame: &[u8], tagged: bool, faults: Faults, filter: &Filter<'_>) -> Verdict {
    use regs::rxctl::DELIVER_ARP;
    if faults.damaged {
        // Delivered on request; nothing in it is to be believed.
        return Verdict::Deliver(Description {
            status: status::FCS_ERR,
            ..Description::default()
        });
    }
    // The ARP engine knows no VLANs.
    if let Some(packet) = ArpPacket::parse(frame).filter(|_| !tagged) {
        let described = filter.wants(DELIVER_ARP).then_some(Description::default());
        return Verdict::Arp(packet, described);
    }
    let ether_type = u16::from_be_bytes([frame[12], frame[13]]);
    if ether_type < FIRST_TYPE && usize::from(ether_type) > frame.len() - L2_BYTES {
        return Verdict::Drop(counter::RX_DROP_LENGTH);
    }
    let description = match ether_type {
        TYPE_IPV4 => Ipv4::new(frame).map(|packet| ipv4(packet, filter)),
        TYPE_IPV6 => Ipv6::new(frame).map(|packet| ipv6(packet, filter)),
        _ => None,
    };
    let description = description.unwrap_or(Ok(Description::default()));
    description.map_or_else(Verdict::Drop, Verdict::Deliver)
}

/// The description of an IPv4 packet, or the counter of the reason against it.
fn ipv4(packet: Ipv4<'_>, filter: &Filter<'_>) -> Result<Description, u32> {
    use regs::rxctl::{KEEP_BAD_IP, KEEP_BAD_L4};
    let described = |status, l4: usize, hash| Description {
        status,
        offsets: L3_OFFSET | (l4 as u16 / 2) << 8,
        hash,
    };
    if let Err(reason) = check_header(packet) {
        return if filter.wants(KEEP_BAD_IP) {
            Ok(described(status::IPV4, 0, 0))
        } else {
            Err(reason)
        };
    }
    let hash = hash(packet, &filter.registers.hash_key());
    let mut bits = status::IPV4 | status::IP_OK;
    if packet.is_tcp() {
        bits |= status::TCP;
    }
    if packet.is_udp() {
        bits |= status::UDP;
    }
    if packet.is_fragment() {
        return Ok(described(bits | status::FRAG, 0, hash));
    }
    if packet.has_l4_checksum() {
        bits |= status::CSUM_VALID;
        match check_l4(packet) {
            Ok(()) => bits |= status::L4_OK,
            Err(_) if filter.wants(KEEP_BAD_L4) => {}
            Err(reason) => return Err(reason),
        }
    }
    Ok(described(bits, packet.l4_at(), hash))
}

/// The description of an IPv6 packet, or the counter of the reason against it.
fn ipv6(packet: Ipv6<'_>, filter: &Filter<'_>) -> Result<Description, u32> {
    use regs::rxctl::{KEEP_BAD_IP, KEEP_BAD_L4};
    let described = |status, l4: usize, hash| Description {
        status,
        offsets: L3_OFFSET | (l4 as u16 / 2) << 8,
        hash,
    };
    let reason = match (packet.version_ok(), packet.payload_ok()) {
        (false, _) => Some(counter::RX_DROP_IP_HEADER),
        (_, false) => Some(counter::RX_DROP_LENGTH),
        _ => None,
    };
    if let Some(reason) = reason {
        return if filter.wants(KEEP_BAD_IP) {
            Ok(described(status::IPV6, 0, 0))
        } else {
            Err(reason)
        };
    }
    let hash = hash_ipv6(packet, &filter.registers.hash_key());
    let mut bits = status::IPV6 | status::IP_OK;
    if packet.is_fragment() {
        bits |= status::FRAG;
    }
    // Extension headers are not looked behind.
    if !packet.is_tcp() && !packet.is_udp() {
        return Ok(described(bits, 0, hash));
    }
    bits |= status::CSUM_VALID;
    bits |= match packet.is_tcp() {
        true => status::TCP,
        false => status::UDP,
    };
    let fault = match packet.l4_covered() {
        None => Some(counter::RX_DROP_LENGTH),
        Some(covered) if packet.udp_unchecked() || !packet.l4_sum(covered).is_right() => {
            Some(counter::RX_DROP_L4_CSUM)
        }
        Some(_) => None,
    };
    match fault {
        None => bits |= status::L4_OK,
        Some(_) if filter.wants(KEEP_BAD_L4) => {}
        Some(reason) => return Err(reason),
    }
    Ok(described(bits, ipv6::L4_AT, hash))
}

fn check_header(packet: Ipv4<'_>) -> Result<(), u32> {
    if !packet.version_ok() {
        return Err(counter::RX_DROP_IP_HEADER);
    }
    if !packet.total_ok() {
        return Err(counter::RX_DROP_LENGTH);
    }
    if !packet.header_sum().is_right() {
        return Err(counter::RX_DROP_IP_HEADER);
    }
    Ok(())
}

fn check_l4(packet: Ipv4<'_>) -> Result<(), u32> {
    let covered = packet.l4_covered().ok_or(counter::RX_DROP_LENGTH)?;
    if packet.udp_unchecked() || packet.l4_sum(covered).is_right() {
        Ok(())
    } else {
        Err(counter::RX_DROP_L4_CSUM)
    }
}
