//! Frames for tests, made and taken apart with etherparse, an implementation that is not ours.
use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, Ethernet2Slice, LinkSlice, NetSlice,
    PacketBuilder, SingleVlanSlice, SlicedPacket, TransportSlice,
};

use ferrule_rtl::pins::Gmii;
use ferrule_sim::phy::GAP;

use crate::bench::{ADDRESS, MAC};

/// MAC address of the peer in the NIC's subnet.
pub const PEER_MAC: [u8; 6] = [0x02, 0xBE, 0xEF, 0x00, 0x00, 0x02];
/// Address of the peer.
pub const PEER: [u8; 4] = [192, 0, 2, 2];
/// Port of the NIC's host.
pub const PORT: u16 = 4_000;
/// Port of the peer.
pub const PEER_PORT: u16 = 7;
const TTL: u8 = 64;

/// A UDP frame from the peer.
pub fn udp(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![];
    PacketBuilder::ethernet2(PEER_MAC, MAC)
        .ipv4(PEER, ADDRESS, TTL)
        .udp(PEER_PORT, PORT)
        .write(&mut frame, payload)
        .expect("a frame");
    frame
}

/// A UDP frame from the peer of `len` bytes without FCS, its payload all `byte`.
pub fn udp_of_length(len: usize, byte: u8) -> Vec<u8> {
    /// Bytes of Ethernet, IPv4 and UDP headers.
    const HEADERS: usize = 14 + 20 + 8;
    udp(&vec![byte; len - HEADERS])
}

/// A TCP segment from the peer.
pub fn tcp(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![];
    PacketBuilder::ethernet2(PEER_MAC, MAC)
        .ipv4(PEER, ADDRESS, TTL)
        .tcp(PEER_PORT, PORT, 0x1234_5678, 4096)
        .ack(0x8765_4321)
        .write(&mut frame, payload)
        .expect("a frame");
    frame
}

/// An IPv4 packet of UDP from the NIC's host to `to`, as the host gives it to an IP-mode queue.
pub fn udp_packet(to: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![];
    PacketBuilder::ipv4(ADDRESS, to, TTL)
        .udp(PORT, PEER_PORT)
        .write(&mut packet, payload)
        .expect("a packet");
    packet
}

/// An IPv4 packet of TCP from the NIC's host to `to`.
pub fn tcp_packet(to: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![];
    PacketBuilder::ipv4(ADDRESS, to, TTL)
        .tcp(PORT, PEER_PORT, 0x0102_0304, 1024)
        .ack(0x0506_0708)
        .write(&mut packet, payload)
        .expect("a packet");
    packet
}

/// `packet` with its IPv4 header checksum and its TCP or UDP checksum spoilt: what a host leaves there does not count.
pub fn without_checksums(mut packet: Vec<u8>) -> Vec<u8> {
    let l4 = usize::from(packet[0] & 15) * 4;
    let at = l4 + if packet[9] == 6 { 16 } else { 6 };
    for at in [10, 11, at, at + 1] {
        packet[at] = !packet[at];
    }
    packet
}

/// An ARP packet in a frame.
pub fn arp(
    destination: [u8; 6],
    operation: ArpOperation,
    sender: ([u8; 6], [u8; 4]),
    target: ([u8; 6], [u8; 4]),
) -> Vec<u8> {
    let packet = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        operation,
        &sender.0,
        &sender.1,
        &target.0,
        &target.1,
    )
    .expect("an ARP packet");
    let mut frame = vec![];
    PacketBuilder::ethernet2(sender.0, destination)
        .arp(packet)
        .write(&mut frame)
        .expect("a frame");
    frame
}

/// The answer of `sender` to the NIC's request.
pub fn arp_reply(sender: ([u8; 6], [u8; 4])) -> Vec<u8> {
    arp(MAC, ArpOperation::REPLY, sender, (MAC, ADDRESS))
}

/// The question of `sender` for `address`.
pub fn arp_request(sender: ([u8; 6], [u8; 4]), address: [u8; 4]) -> Vec<u8> {
    arp([0xFF; 6], ArpOperation::REQUEST, sender, ([0; 6], address))
}

/// What an ARP frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Destination in the Ethernet header.
    pub destination: [u8; 6],
    /// Source in the Ethernet header.
    pub source: [u8; 6],
    /// Request or reply.
    pub operation: ArpOperation,
    /// Who says it.
    pub sender: ([u8; 6], [u8; 4]),
    /// To whom, or about whom.
    pub target: ([u8; 6], [u8; 4]),
}

/// Takes an ARP frame apart; none if it is something else.
pub fn parse_arp(frame: &[u8]) -> Option<Arp> {
    let sliced = SlicedPacket::from_ethernet(frame).ok()?;
    let (Some(LinkSlice::Ethernet2(link)), Some(NetSlice::Arp(arp))) = (&sliced.link, &sliced.net)
    else {
        return None;
    };
    let array = |b: &[u8]| -> Option<[u8; 4]> { b.try_into().ok() };
    let mac = |b: &[u8]| -> Option<[u8; 6]> { b.try_into().ok() };
    Some(Arp {
        destination: link.destination(),
        source: link.source(),
        operation: arp.operation(),
        sender: (
            mac(arp.sender_hw_addr())?,
            array(arp.sender_protocol_addr())?,
        ),
        target: (
            mac(arp.target_hw_addr())?,
            array(arp.target_protocol_addr())?,
        ),
    })
}

/// Checks what the NIC has sent, whatever it is, for what every receiver would check: the shortest length, and behind at most one tag an ARP
/// packet of the station that the Ethernet header names, or an IPv4 packet with right lengths and checksums.
///
/// # Panics
/// If etherparse finds something wrong with it.
pub fn check_sent(frame: &[u8]) {
    assert!(frame.len() >= 60, "a runt: {frame:x?}");
    let link = Ethernet2Slice::from_slice_without_fcs(frame).expect("an Ethernet header");
    let (mut kind, mut untagged) = (link.ether_type(), frame.to_vec());
    if kind == EtherType::VLAN_TAGGED_FRAME {
        kind = SingleVlanSlice::from_slice(link.payload_slice())
            .expect("a tag")
            .ether_type();
        untagged.drain(12..16);
    }
    match kind {
        EtherType::ARP => {
            let arp = parse_arp(&untagged).expect("an ARP packet");
            assert_eq!(arp.source, arp.sender.0, "{arp:?}");
        }
        EtherType::IPV4 => {
            checked_packet(&untagged);
        }
        _ => {}
    }
}

/// Checks a frame with an IPv4 packet in it and gives its MAC addresses (destination, source) and the packet without padding.
///
/// # Panics
/// If the frame is something else, or if its IPv4 header checksum or its TCP, UDP or ICMP checksum is wrong.
pub fn checked_packet(frame: &[u8]) -> ([u8; 6], [u8; 6], Vec<u8>) {
    let sliced = SlicedPacket::from_ethernet(frame).expect("a well-formed frame");
    let (Some(LinkSlice::Ethernet2(link)), Some(NetSlice::Ipv4(ip))) = (&sliced.link, &sliced.net)
    else {
        panic!("not IPv4: {frame:x?}");
    };
    let header = ip.header().to_header();
    assert_eq!(
        header.header_checksum,
        header.calc_header_checksum(),
        "IPv4 header checksum"
    );
    match &sliced.transport {
        Some(TransportSlice::Udp(udp)) => {
            let sum = udp
                .to_header()
                .calc_checksum_ipv4_raw(header.source, header.destination, udp.payload())
                .expect("a length that fits");
            assert_eq!(udp.checksum(), sum, "UDP checksum");
        }
        Some(TransportSlice::Tcp(tcp)) => {
            let sum = tcp
                .calc_checksum_ipv4(header.source, header.destination)
                .expect("a length that fits");
            assert_eq!(tcp.checksum(), sum, "TCP checksum");
        }
        Some(TransportSlice::Icmpv4(icmp)) => {
            let header = icmp.header();
            let sum = header.icmp_type.calc_checksum(icmp.payload());
            assert_eq!(header.checksum, sum, "ICMP checksum");
        }
        _ => {}
    }
    let packet = &frame[14..14 + usize::from(header.total_len)];
    (link.destination(), link.source(), packet.to_vec())
}

/// Byte times of a frame that ends with whatever FCS it has: preamble, the bytes, the smallest gap.
pub fn line(frame_with_fcs: &[u8]) -> Vec<Gmii> {
    let preamble = [0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0xD5];
    let byte = |data: &u8| Gmii {
        data: *data,
        valid: true,
        error: false,
    };
    let mut line: Vec<Gmii> = preamble.iter().chain(frame_with_fcs).map(byte).collect();
    line.extend([Gmii::default(); GAP]);
    line
}

/// `frame`, padded to 60 bytes, with the FCS that crc32fast computes.
pub fn with_fcs(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame.resize(frame.len().max(60), 0);
    let fcs = crc32fast::hash(&frame).to_le_bytes();
    [&frame[..], &fcs].concat()
}
