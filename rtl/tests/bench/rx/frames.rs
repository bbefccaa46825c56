//! Random Ethernet frames, built by etherparse and smoltcp.
use etherparse::{
    EtherType, Ethernet2Header, IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, SingleVlanHeader,
    TcpHeader, TcpOptionElement, UdpHeader, VlanId, VlanPcp,
};
use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetAddress, Ipv4Address};

/// A small generator (SplitMix64), so that one number from proptest says all.
#[derive(Clone, Debug)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    /// True `n` times of a hundred.
    pub(crate) fn percent(&mut self, n: usize) -> bool {
        self.below(100) < n
    }
    /// `n` random bytes.
    pub(crate) fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }
    /// Four random bytes.
    pub(crate) fn four(&mut self) -> [u8; 4] {
        (self.next() as u32).to_be_bytes()
    }
}

/// Own address of the station in the tests.
pub(crate) const OWN: [u8; 6] = [0x02, 0x11, 0x22, 0x33, 0x44, 0x55];

/// Multicast addresses of the frames here: neighbours in one byte or another.
pub(crate) const GROUPS: [[u8; 6]; 24] = groups();

const fn groups() -> [[u8; 6]; 24] {
    let mut all = [[0x01, 0x00, 0x5E, 0x00, 0x00, 0x09]; 24];
    let mut n = 0;
    while n < all.len() {
        all[n][5 - n % 6] ^= 2 << (n / 6);
        n += 1;
    }
    all
}

/// VLANs of the frames here.
pub(crate) const VLANS: [u16; 8] = [0, 1, 5, 37, 1_024, 2_047, 4_094, 4_095];

/// A frame with an 802.1Q tag (IEEE 802.1Q clause 9.6), made by etherparse.
pub(crate) fn tagged(frame: Vec<u8>, tci: u16) -> Vec<u8> {
    let (ethernet, rest) = Ethernet2Header::from_slice(&frame).expect("a header");
    let tag = SingleVlanHeader {
        pcp: VlanPcp::try_new((tci >> 13) as u8).expect("three bits"),
        drop_eligible_indicator: tci >> 12 & 1 == 1,
        vlan_id: VlanId::try_new(tci & 0xFFF).expect("twelve bits"),
        ether_type: ethernet.ether_type,
    };
    let outer = Ethernet2Header {
        ether_type: EtherType::VLAN_TAGGED_FRAME,
        ..ethernet
    };
    [&outer.to_bytes()[..], &tag.to_bytes(), rest].concat()
}

/// The address as registers hold it: bytes 0 to 3, bytes 4 and 5, the first byte lowest.
pub(crate) fn mac_words(mac: [u8; 6]) -> (u32, u32) {
    (
        u32::from_le_bytes([mac[0], mac[1], mac[2], mac[3]]),
        u32::from(mac[4]) | u32::from(mac[5]) << 8,
    )
}

fn ethernet(r: &mut Rng, ether_type: u16) -> Vec<u8> {
    let destination = match r.below(20) {
        0 => [0xFF; 6],
        1 | 2 => GROUPS[r.below(GROUPS.len())],
        3 => [0x02, 0x11, 0x22, 0x33, 0x44, 0x54],
        4 => [0x02, 0x11, 0x22, 0x13, 0x44, 0x55],
        _ => OWN,
    };
    Ethernet2Header {
        destination,
        source: [2, 0, 0, 0, 0, r.next() as u8],
        ether_type: EtherType(ether_type),
    }
    .to_bytes()
    .to_vec()
}

/// Payload of a packet, mostly short.
fn data(r: &mut Rng, most: usize) -> Vec<u8> {
    let len = match r.below(4) {
        0 => r.below(20),
        1 => r.below(200),
        _ => r.below(most),
    };
    r.bytes(len)
}

/// A datagram, now and then without a checksum or with bytes behind it that belong to the IP packet and not to the datagram.
fn datagram(r: &mut Rng, mut udp: UdpHeader, data: &[u8]) -> Vec<u8> {
    if r.percent(10) {
        udp.checksum = 0;
    }
    let mut bytes = [&udp.to_bytes()[..], data].concat();
    if r.percent(5) {
        let n = 1 + r.below(9);
        bytes.extend(r.bytes(n));
    }
    bytes
}

/// A good IPv4 packet without its Ethernet header: options of any length, TCP, UDP, ICMP or another protocol, now and then a fragment.
pub(crate) fn ipv4(r: &mut Rng, max_payload: usize) -> Vec<u8> {
    let data = data(r, max_payload);
    let protocol = [6, 6, 17, 17, 17, 1, 132][r.below(7)];
    let mut ip = Ipv4Header::new(0, 64, IpNumber(protocol), r.four(), r.four()).expect("header");
    if r.percent(30) {
        let words = 1 + r.below(10);
        ip.options = r.bytes(words * 4)[..].try_into().expect("options");
    }
    ip.identification = r.next() as u16;
    ip.dont_fragment = r.percent(50);
    if r.percent(8) {
        ip.more_fragments = r.percent(50);
        ip.fragment_offset = ((r.next() & 0x1FFF) as u16).try_into().expect("13 bits");
    }
    let l4 = match protocol {
        6 => {
            let mut tcp = TcpHeader::new(r.next() as u16, 80, r.next() as u32, 1000);
            tcp.ack = true;
            if r.percent(50) {
                tcp.set_options(&[
                    TcpOptionElement::MaximumSegmentSize(1460),
                    TcpOptionElement::WindowScale(7),
                ])
                .expect("options");
            }
            tcp.checksum = tcp.calc_checksum_ipv4(&ip, &data).expect("sum");
            [&tcp.to_bytes()[..], &data].concat()
        }
        17 => {
            let udp = UdpHeader::with_ipv4_checksum(r.next() as u16, 53, &ip, &data).expect("sum");
            datagram(r, udp, &data)
        }
        _ => data,
    };
    ip.set_payload_len(l4.len()).expect("length");
    ip.header_checksum = ip.calc_header_checksum();
    [&ip.to_bytes()[..], &l4].concat()
}

/// An IPv6 packet without its Ethernet header, its checksum right but where UDP has none: TCP, UDP, ICMPv6 or nothing, now and then behind an
/// extension header.
pub(crate) fn ipv6(r: &mut Rng, max_payload: usize) -> Vec<u8> {
    let data = data(r, max_payload);
    let address = |r: &mut Rng| [r.next(), r.next()].map(u64::to_be_bytes).concat();
    let mut ip = Ipv6Header {
        traffic_class: r.next() as u8,
        flow_label: Ipv6FlowLabel::try_new(r.next() as u32 & 0xF_FFFF).expect("20 bits"),
        payload_length: 0,
        next_header: IpNumber([6, 6, 17, 17, 17, 58, 59][r.below(7)]),
        hop_limit: 64,
        source: address(r).try_into().expect("16 bytes"),
        destination: address(r).try_into().expect("16 bytes"),
    };
    let mut l4 = match ip.next_header.0 {
        6 => {
            let mut tcp = TcpHeader::new(r.next() as u16, 80, r.next() as u32, 1000);
            if r.percent(50) {
                tcp.set_options(&[TcpOptionElement::MaximumSegmentSize(1440)])
                    .expect("options");
            }
            tcp.checksum = tcp.calc_checksum_ipv6(&ip, &data).expect("sum");
            [&tcp.to_bytes()[..], &data].concat()
        }
        17 => {
            let udp = UdpHeader::with_ipv6_checksum(r.next() as u16, 53, &ip, &data).expect("sum");
            datagram(r, udp, &data)
        }
        59 => vec![],
        _ => data,
    };
    if r.percent(15) {
        // Eight bytes of a header that names what is behind it: Hop-by-Hop Options, Routing, Fragment, Destination Options.
        let mut header = r.bytes(8);
        (header[0], header[1]) = (ip.next_header.0, 0);
        ip.next_header = IpNumber([0, 43, 44, 60][r.below(4)]);
        l4 = [header, l4].concat();
    }
    ip.payload_length = l4.len() as u16;
    [&ip.to_bytes()[..], &l4].concat()
}

/// An ARP packet without its Ethernet header.
pub(crate) fn arp(r: &mut Rng) -> Vec<u8> {
    let repr = ArpRepr::EthernetIpv4 {
        operation: if r.percent(50) {
            ArpOperation::Request
        } else {
            ArpOperation::Reply
        },
        source_hardware_addr: EthernetAddress::from_bytes(&r.bytes(6)),
        source_protocol_addr: Ipv4Address::from_octets(r.four()),
        target_hardware_addr: EthernetAddress::from_bytes(&r.bytes(6)),
        target_protocol_addr: Ipv4Address::from_octets(r.four()),
    };
    let mut bytes = vec![0; repr.buffer_len()];
    repr.emit(&mut ArpPacket::new_unchecked(&mut bytes[..]));
    bytes
}

/// A frame without FCS, padded with rubbish to the minimum and sometimes beyond.
pub(crate) fn frame(r: &mut Rng, max_payload: usize) -> Vec<u8> {
    let mut frame;
    match r.below(20) {
        0 | 1 => {
            frame = ethernet(r, 0x0806);
            frame.extend(arp(r));
        }
        2 => {
            // Two tags: the inner one is not looked at.
            frame = ethernet(r, 0x8100);
            frame.extend([0, 5, 0x81, 0, 0, 6, 8, 0]);
            frame.extend(ipv4(r, max_payload));
        }
        3 => {
            let n = r.below(max_payload.min(1500));
            let claimed = if r.percent(50) { n } else { r.below(1536) };
            frame = ethernet(r, claimed as u16);
            frame.extend(r.bytes(n));
        }
        4 => {
            let ether_type = [0x86DD, 0x88CC, 0x0600, 0x05FF][r.below(4)];
            frame = ethernet(r, ether_type);
            let n = r.below(max_payload);
            frame.extend(r.bytes(n));
        }
        5..8 => {
            frame = ethernet(r, 0x86DD);
            frame.extend(ipv6(r, max_payload));
        }
        _ => {
            frame = ethernet(r, 0x0800);
            frame.extend(ipv4(r, max_payload));
        }
    }
    if frame.len() < 60 {
        let n = 60 - frame.len();
        frame.extend(r.bytes(n));
    }
    if r.percent(10) {
        let n = r.below(20);
        frame.extend(r.bytes(n));
    }
    if r.percent(20) {
        let tci = VLANS[r.below(VLANS.len())] | (r.next() as u16) << 12;
        frame = tagged(frame, tci);
        if r.percent(50) {
            // As short as a frame with a tag may be: without it, it would be too short.
            frame.truncate(frame.len().max(64) - 4);
        }
    }
    frame
}

/// Changes a few bytes or bits, mostly in the headers.
pub(crate) fn corrupt(r: &mut Rng, frame: &mut [u8]) {
    for _ in 0..1 + r.below(2) {
        let reach = if r.percent(70) {
            frame.len().min(44)
        } else {
            frame.len()
        };
        let at = r.below(reach);
        if r.percent(50) {
            frame[at] ^= 1 << r.below(8);
        } else {
            frame[at] = r.next() as u8;
        }
    }
}
