//! What becomes of a received frame: the address filter, the checks, and the reason that is counted.
use ferrule_abi::ring::cqe_status as status;
use ferrule_abi::{counter, regs, Field};

use super::arp::ArpPacket;
use super::hash::{hash, KEY_BYTES};
use super::ipv4::{Ipv4, L2_BYTES};

/// Below it an EtherType is a length (IEEE 802.3 clause 3.2.6).
const FIRST_TYPE: u16 = 0x0600;
const TYPE_IPV4: u16 = 0x0800;
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
#[derive(Clone, Copy, Debug)]
pub(super) struct Filter {
    pub(super) enabled: bool,
    pub(super) rxctl: u32,
    pub(super) mac: [u8; 6],
    pub(super) hash_key: [u8; KEY_BYTES],
}

impl Filter {
    fn wants(&self, bit: Field) -> bool {
        bit.get(self.rxctl) != 0
    }

    fn passes(&self, destination: &[u8]) -> bool {
        use regs::rxctl::{ALL_MULTICAST, BROADCAST, PROMISC};
        let broadcast = destination == [0xFF; 6];
        self.wants(PROMISC)
            || destination == self.mac
            || (broadcast && self.wants(BROADCAST))
            || (!broadcast && destination[0] & 1 != 0 && self.wants(ALL_MULTICAST))
    }
}

/// The verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Dropped, and counted here.
    Drop(u32),
    /// For the host.
    Deliver(Description),
    /// For the ARP engine, and for the host too if there is a description.
    Arp(ArpPacket, Option<Description>),
}

/// What a completion says of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) status: u16,
    pub(super) offsets: u16,
    pub(super) hash: u32,
}

/// Judges a frame without FCS. The first reason that holds is the one that is counted.
pub(super) fn judge(frame: &[u8], faults: Faults, filter: &Filter) -> Verdict {
    use regs::rxctl::{DELIVER_ARP, KEEP_BAD_FCS};
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
    if !filter.passes(&frame[..6]) {
        return Verdict::Drop(counter::RX_DROP_FILTER);
    }
    if faults.damaged {
        // Delivered on request; nothing in it is to be believed.
        return Verdict::Deliver(Description {
            status: status::FCS_ERR,
            ..Description::default()
        });
    }
    if let Some(packet) = ArpPacket::parse(frame) {
        let described = filter.wants(DELIVER_ARP).then_some(Description::default());
        return Verdict::Arp(packet, described);
    }
    let ether_type = u16::from_be_bytes([frame[12], frame[13]]);
    if ether_type < FIRST_TYPE && usize::from(ether_type) > frame.len() - L2_BYTES {
        return Verdict::Drop(counter::RX_DROP_LENGTH);
    }
    let description = match Ipv4::new(frame).filter(|_| ether_type == TYPE_IPV4) {
        Some(packet) => ipv4(packet, filter),
        None => Ok(Description::default()),
    };
    description.map_or_else(Verdict::Drop, Verdict::Deliver)
}

/// The description of an IPv4 packet, or the counter of the reason against it.
fn ipv4(packet: Ipv4<'_>, filter: &Filter) -> Result<Description, u32> {
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
    let hash = hash(packet, &filter.hash_key);
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
