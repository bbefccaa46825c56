//! Frames of the differential bench: what stations send, and what broken ones, broken cables and attackers do.
use std::fmt;

use ferrule_rtl::pins::Gmii;
use ferrule_sim::phy::GAP;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::Rng;

use crate::frames::with_fcs;

/// Stations that the frames come from and go to, beside the NIC.
pub const PEERS: [([u8; 6], [u8; 4]); 4] = [
    ([0x02, 0xBE, 0xEF, 0x00, 0x00, 0x02], [192, 0, 2, 2]),
    // In the same set of the ARP cache.
    ([0x02, 0xBE, 0xEF, 0x00, 0x00, 0x03], [192, 0, 3, 3]),
    ([0x02, 0xBE, 0xEF, 0x00, 0x00, 0x04], [192, 0, 4, 4]),
    ([0x02, 0xBE, 0xEF, 0x00, 0x00, 0x05], [192, 0, 5, 5]),
];
/// Multicast addresses of the frames here.
pub(super) const GROUPS: [[u8; 6]; 4] = [
    [0x01, 0x00, 0x5E, 0x01, 0x02, 0x03],
    [0x01, 0x00, 0x5E, 0x01, 0x02, 0x02],
    [0x01, 0x80, 0xC2, 0x00, 0x00, 0x0E],
    [0x33, 0x33, 0xFF, 0x01, 0x02, 0x03],
];
/// VLANs of the frames here.
pub(super) const VLANS: [u16; 5] = [0, 1, 33, 2_048, 4_095];

/// A station beyond the gateway.
pub const FAR: [u8; 4] = [198, 51, 100, 7];

/// What comes over the wire at once.
#[derive(Clone)]
pub struct Line {
    /// What it is meant to be.
    pub what: &'static str,
    /// A good frame, without FCS.
    pub clean: Option<Vec<u8>>,
    /// Its byte times, with a gap behind.
    pub byte_times: Vec<Gmii>,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.clean {
            Some(frame) => write!(f, "{} {:02x?}", self.what, frame),
            None => write!(f, "{} of {} byte times", self.what, self.byte_times.len()),
        }
    }
}

impl Line {
    /// A good frame, padded to the shortest length.
    pub fn clean(what: &'static str, mut frame: Vec<u8>) -> Self {
        frame.resize(frame.len().max(60), 0);
        Self {
            what,
            byte_times: crate::frames::line(&with_fcs(&frame)),
            clean: Some(frame),
        }
    }
}

/// Where the NIC is: its own addresses, as frames name them.
#[derive(Clone, Copy, Debug)]
pub struct Station {
    /// MAC address.
    pub mac: [u8; 6],
    /// A local IPv4 address.
    pub ip: [u8; 4],
}

/// Sum of half-words in network order (RFC 1071), folded.
fn sum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|p| {
        p.chunks(2)
            .map(|c| u32::from(c[0]) << 8 | u32::from(*c.get(1).unwrap_or(&0)))
    });
    let total = words.sum::<u32>();
    let once = (total & 0xFFFF) + (total >> 16);
    (once + (once >> 16)) as u16
}

fn bytes(random: &mut StdRng, len: usize) -> Vec<u8> {
    (0..len).map(|_| random.random()).collect()
}

/// Length of a payload: mostly short, now and then as long as a segment.
fn payload_len(random: &mut StdRng, most: usize) -> usize {
    match random.random_range(0..20) {
        0..12 => random.random_range(0..64.min(most)),
        12..18 => random.random_range(0..300.min(most)),
        _ => random.random_range(0..most),
    }
}

/// TCP or UDP without its checksum.
fn l4(random: &mut StdRng, protocol: u8, payload: Vec<u8>) -> Vec<u8> {
    let mut header = bytes(random, if protocol == 6 { 20 } else { 8 });
    if protocol == 6 {
        header[12] = 0x50;
        (header[16], header[17]) = (0, 0);
    } else {
        let length = (8 + payload.len()) as u16;
        header[4..6].copy_from_slice(&length.to_be_bytes());
        (header[6], header[7]) = (0, 0);
    }
    [header, payload].concat()
}

/// Inserts the checksum of TCP or UDP, over the pseudo-header with both addresses. A datagram's sum of zero is sent as its complement; now and
/// then its sender did not compute one, which IPv6 does not allow.
fn insert_checksum(random: &mut StdRng, addresses: &[u8], protocol: u8, l4: &mut [u8]) {
    let pseudo = [0, protocol, (l4.len() >> 8) as u8, l4.len() as u8];
    let checksum = !sum(&[addresses, &pseudo, l4]);
    match protocol {
        6 => l4[16..18].copy_from_slice(&checksum.to_be_bytes()),
        17 if random.random_bool(0.9) => {
            let checksum = if checksum == 0 { 0xFFFF } else { checksum };
            l4[6..8].copy_from_slice(&checksum.to_be_bytes());
        }
        _ => {}
    }
}

/// An IPv4 packet with right checksums: TCP, UDP, ICMP or something else, perhaps with options, perhaps a fragment.
pub fn ipv4(random: &mut StdRng, from: [u8; 4], to: [u8; 4], most: usize) -> Vec<u8> {
    let options = match random.random_range(0..6) {
        0 => random.random_range(1..=10) * 4,
        _ => 0,
    };
    let protocol = *[6, 6, 17, 17, 17, 1, 50].choose(random).unwrap_or(&17);
    let len = payload_len(random, most.saturating_sub(60 + options).max(1));
    let payload = bytes(random, len);
    let mut l4 = match protocol {
        6 | 17 => l4(random, protocol, payload),
        _ => [bytes(random, 8), payload].concat(),
    };
    insert_checksum(random, &[from, to].concat(), protocol, &mut l4);
    let total = (20 + options + l4.len()) as u16;
    let fragment: u16 = match random.random_range(0..8) {
        0 => 0x2000 | random.random_range(0..0x2000),
        1 => 0x4000,
        _ => 0,
    };
    let mut header = vec![0x45 + (options / 4) as u8, random.random()];
    header.extend(total.to_be_bytes());
    header.extend(bytes(random, 2));
    header.extend(fragment.to_be_bytes());
    header.extend([64, protocol, 0, 0]);
    header.extend(from);
    header.extend(to);
    header.extend(bytes(random, options));
    let checksum = !sum(&[&header]);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    [header, l4].concat()
}

/// An IPv6 packet (RFC 8200) with right checksums: TCP, UDP, ICMPv6 or nothing, perhaps behind an extension header.
pub fn ipv6(random: &mut StdRng, most: usize) -> Vec<u8> {
    let next = *[6, 6, 17, 17, 17, 58, 59].choose(random).unwrap_or(&17);
    let len = payload_len(random, most.saturating_sub(80).max(1));
    let payload = bytes(random, len);
    let mut l4 = match next {
        6 | 17 => l4(random, next, payload),
        58 => payload,
        _ => vec![],
    };
    let addresses = bytes(random, 32);
    insert_checksum(random, &addresses, next, &mut l4);
    let mut first = next;
    if random.random_bool(0.15) {
        // Hop-by-Hop Options, Routing, Fragment, Destination Options.
        first = *[0, 43, 44, 60].choose(random).unwrap_or(&44);
        let mut header = bytes(random, 8);
        (header[0], header[1]) = (next, 0);
        l4 = [header, l4].concat();
    }
    let mut header = bytes(random, 4);
    header[0] = 0x60 | header[0] & 15;
    header.extend((l4.len() as u16).to_be_bytes());
    header.extend([first, 64]);
    [header, addresses, l4].concat()
}

fn destination(random: &mut StdRng, own: [u8; 6]) -> [u8; 6] {
    match random.random_range(0..10) {
        0 => [0xFF; 6],
        1..3 => *GROUPS.choose(random).unwrap_or(&GROUPS[0]),
        3 => random.random(),
        _ => own,
    }
}

fn ethernet(to: [u8; 6], from: [u8; 6], ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&to[..], &from, &ether_type.to_be_bytes(), payload].concat()
}

/// A frame with an 802.1Q tag.
fn tagged(random: &mut StdRng, frame: Vec<u8>) -> Vec<u8> {
    let tci = VLANS.choose(random).unwrap_or(&0) | random.random_range(0..16) << 12;
    let tag = [0x8100_u16.to_be_bytes(), tci.to_be_bytes()].concat();
    [&frame[..12], &tag, &frame[12..]].concat()
}

/// An ARP packet: questions, answers, announcements, probes, nonsense.
pub fn arp(random: &mut StdRng, own: Station) -> Line {
    let (peer_mac, peer) = *PEERS.choose(random).unwrap_or(&PEERS[0]);
    let request = random.random_bool(0.5);
    let operation: u16 = match random.random_range(0..12) {
        0 => random.random_range(0..5),
        _ if request => 1,
        _ => 2,
    };
    let sender_mac = match random.random_range(0..12) {
        0 => own.mac,
        1 => [0; 6],
        2 => [0xFF; 6],
        _ => peer_mac,
    };
    let sender = match random.random_range(0..12) {
        0 => [0; 4],
        1 => own.ip,
        2 => [192, 0, 255, 255],
        3 => FAR,
        4 => [225, 0, 0, 1],
        _ => peer,
    };
    let target = match random.random_range(0..6) {
        0 => peer,
        1 => FAR,
        _ => own.ip,
    };
    let to = match (request, random.random_range(0..8)) {
        (_, 0) => random.random(),
        (true, _) => [0xFF; 6],
        (false, _) => own.mac,
    };
    let mut packet = vec![0, 1, 8, 0, 6, 4];
    packet.extend(operation.to_be_bytes());
    packet.extend(sender_mac);
    packet.extend(sender);
    packet.extend(if request { [0; 6] } else { own.mac });
    packet.extend(target);
    if random.random_bool(0.05) {
        let at = random.random_range(0..8);
        packet[at] ^= 1 << random.random_range(0..8);
    }
    let mut frame = ethernet(to, peer_mac, 0x0806, &packet);
    frame.resize(random.random_range(60..80), random.random());
    if random.random_bool(0.1) {
        frame = tagged(random, frame);
    }
    Line::clean("ARP", frame)
}

/// An ICMP echo request, fit to be answered by the hardware or nearly so, in a frame of `most` bytes without FCS at most.
pub fn echo(random: &mut StdRng, own: Station, most: usize) -> Line {
    let (mut from_mac, mut from) = *PEERS.choose(random).unwrap_or(&PEERS[0]);
    let (mut to_mac, mut to) = (own.mac, own.ip);
    match random.random_range(0..20) {
        0 => to_mac = destination(random, own.mac),
        1 => from_mac[0] |= 1,
        2 => from = own.ip,
        3 => from = [192, 0, 255, 255],
        4 => from = [192, 0, 2, 255],
        5 => from = [0; 4],
        6 => from[0] = *[0, 127, 224, 240, 255].choose(random).unwrap_or(&0),
        7 => to = [[0; 4], [192, 0, 2, 255], FAR][random.random_range(0..3)],
        _ => {}
    }
    let len = payload_len(random, (most - 42).min(1_600));
    let mut icmp = [&[8, 0, 0, 0][..], &bytes(random, 4), &bytes(random, len)].concat();
    if random.random_bool(0.1) {
        // Nothing but zeros: a checksum of 0xF7FF.
        icmp[1..].fill(0);
    }
    if random.random_bool(0.1) {
        icmp[random.random_range(0..2)] = random.random_range(0..9);
    }
    let checksum = !sum(&[&icmp]);
    icmp[2..4].copy_from_slice(&checksum.to_be_bytes());
    if random.random_bool(0.1) {
        icmp.truncate(random.random_range(1..8));
    }
    let options = if random.random_bool(0.1) { 4 } else { 0 };
    let fragment: u16 = *[0, 0, 0, 0, 0, 0x4000, 0x8000, 0x2000, 0x0001]
        .choose(random)
        .unwrap_or(&0);
    let total = (20 + options + icmp.len()) as u16;
    let mut packet = vec![0x45 + (options / 4) as u8, random.random()];
    packet.extend(total.to_be_bytes());
    packet.extend(bytes(random, 2));
    packet.extend(fragment.to_be_bytes());
    packet.extend([random.random(), 1, 0, 0]);
    packet.extend(from);
    packet.extend(to);
    packet.extend(vec![1; options]);
    let checksum = !sum(&[&packet]);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend(icmp);
    if random.random_bool(0.1) {
        let at = random.random_range(0..packet.len());
        packet[at] ^= 1 << random.random_range(0..8);
    }
    let mut frame = ethernet(to_mac, from_mac, 0x0800, &packet);
    if random.random_bool(0.1) && frame.len() + 4 <= most {
        frame = tagged(random, frame);
    }
    let padding = random.random_range(0..8);
    if random.random_bool(0.2) && frame.len() + padding <= most {
        frame.extend(bytes(random, padding));
    }
    Line::clean("echo request", frame)
}

/// A frame that no ARP engine cares for; `most` bytes without FCS at most.
pub fn frame(random: &mut StdRng, own: Station, most: usize) -> Line {
    let to = destination(random, own.mac);
    let (peer_mac, peer) = *PEERS.choose(random).unwrap_or(&PEERS[0]);
    match random.random_range(0..20) {
        0 => {
            // 802.3: the length may fit or not.
            let len = payload_len(random, 1_500.min(most - 14));
            let said = (len as u16).saturating_add_signed(random.random_range(-40..3));
            let payload = bytes(random, len);
            Line::clean("802.3", ethernet(to, peer_mac, said, &payload))
        }
        1 => {
            let packet = ipv4(random, peer, own.ip, 300.min(most));
            let inner_type = *[0x0800, 0x0800, 0x0800, 0x8100, 0x0806, 0x86DD]
                .choose(random)
                .unwrap_or(&0x0800);
            let frame = ethernet(to, peer_mac, inner_type, &packet);
            Line::clean("VLAN", tagged(random, frame))
        }
        2 => {
            let len = payload_len(random, 1_400.min(most - 14));
            let payload = bytes(random, len);
            let ether_type = *[0x86DD, 0x88CC, 0x0600, 0x05FF]
                .choose(random)
                .unwrap_or(&0x86DD);
            Line::clean("another type", ethernet(to, peer_mac, ether_type, &payload))
        }
        3..6 => {
            // Neighbour discovery and routing make much of IPv6 multicast.
            let to = match random.random_bool(0.3) {
                true => *GROUPS.choose(random).unwrap_or(&GROUPS[0]),
                false => to,
            };
            let mut packet = ipv6(random, 1_500.min(most) - 14);
            let mut what = "IPv6";
            if random.random_bool(0.3) {
                what = "damaged IPv6";
                let within = packet
                    .len()
                    .min(*[8, 62, 2_000].choose(random).unwrap_or(&62));
                packet[random.random_range(0..within)] ^= 1 << random.random_range(0..8);
            }
            let mut frame = ethernet(to, peer_mac, 0x86DD, &packet);
            if frame.len() + 4 <= most && random.random_bool(0.15) {
                what = "tagged IPv6";
                frame = tagged(random, frame);
            }
            if random.random_bool(0.2) {
                let padding = random.random_range(0..20);
                frame.extend(bytes(random, padding));
            }
            if random.random_bool(0.05) {
                frame.truncate(random.random_range(34..=frame.len()));
            }
            Line::clean(what, frame)
        }
        _ => {
            if random.random_bool(0.03) {
                return long(random, own, most);
            }
            let mut packet = ipv4(random, peer, own.ip, 1_500.min(most) - 14);
            let mut what = "IPv4";
            if random.random_bool(0.3) {
                what = "damaged IPv4";
                let within = packet
                    .len()
                    .min(*[20, 44, 2_000].choose(random).unwrap_or(&44));
                let at = random.random_range(0..within);
                if random.random_bool(0.5) {
                    packet[at] ^= 1 << random.random_range(0..8);
                } else {
                    packet[at] = random.random();
                }
            }
            let mut frame = ethernet(to, peer_mac, 0x0800, &packet);
            if frame.len() + 4 <= most && random.random_bool(0.15) {
                what = "tagged IPv4";
                frame = tagged(random, frame);
            }
            if random.random_bool(0.2) {
                let padding = random.random_range(0..20);
                frame.extend(bytes(random, padding));
            }
            if random.random_bool(0.05) {
                frame.truncate(random.random_range(34..=frame.len()));
            }
            Line::clean(what, frame)
        }
    }
}

/// A PAUSE frame (IEEE 802.3 annex 31B), or nearly one.
pub fn pause(random: &mut StdRng, own: Station, quanta: u16) -> Line {
    let group = [0x01, 0x80, 0xC2, 0x00, 0x00, 0x01];
    let to = match random.random_range(0..6) {
        0 => own.mac,
        1 => destination(random, own.mac),
        _ => group,
    };
    let opcode: u16 = *[1, 1, 1, 1, 0x0101, 0].choose(random).unwrap_or(&1);
    let [a, b] = quanta.to_be_bytes();
    let [c, d] = opcode.to_be_bytes();
    let mut payload = vec![c, d, a, b];
    payload.resize(46 + random.random_range(0..4), 0);
    let mut frame = ethernet(to, PEERS[0].0, 0x8808, &payload);
    if random.random_bool(0.1) {
        frame = tagged(random, frame);
    }
    Line::clean("PAUSE", frame)
}

/// A good frame of nearly `most` bytes without FCS.
pub fn long(random: &mut StdRng, own: Station, most: usize) -> Line {
    let (peer_mac, _) = *PEERS.choose(random).unwrap_or(&PEERS[0]);
    let len = most - 14 - random.random_range(0..100);
    let payload = bytes(random, len);
    Line::clean("long", ethernet(own.mac, peer_mac, 0x88B5, &payload))
}

/// Byte times that are no good frame: bad FCS, RX_ER, runts, bad preambles, noise.
pub fn noise(random: &mut StdRng, own: Station) -> Line {
    let mut line = frame(random, own, 1_514).byte_times;
    let data = line.len() - GAP;
    let what = match random.random_range(0..6) {
        0 => {
            line[random.random_range(8..data)].data ^= 1 << random.random_range(0..8);
            "a frame with a bad FCS"
        }
        1 => {
            line[random.random_range(0..data)].error = true;
            "a frame with RX_ER"
        }
        2 => {
            let keep = random.random_range(1..80.min(data));
            line.drain(keep..data);
            "a runt"
        }
        3 => {
            line.drain(..random.random_range(1..8));
            "a frame with a short preamble"
        }
        4 => {
            line[random.random_range(0..8)].data = random.random();
            "a frame with a damaged preamble"
        }
        _ => {
            let len = random.random_range(1..100);
            line = (0..len)
                .map(|_| Gmii {
                    data: *[0x55, 0x55, 0xD5, random.random()]
                        .choose(random)
                        .unwrap_or(&0),
                    valid: random.random_bool(0.97),
                    error: random.random_bool(0.02),
                })
                .collect();
            line.extend([Gmii::default(); GAP]);
            "noise"
        }
    };
    Line {
        what,
        clean: None,
        byte_times: line,
    }
}
