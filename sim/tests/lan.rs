//! The embedded LAN answers as a real one would: seen by etherparse, which nobody here wrote.
use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, Icmpv4Type, NetSlice, PacketBuilder,
    SlicedPacket, TransportSlice,
};
use ferrule_sim::wire::lan::{self, Lan};
use ferrule_sim::wire::loopback::Loopback;
use ferrule_sim::wire::Wire;

const NIC_MAC: [u8; 6] = [0x02, 0x46, 0x45, 0, 0, 1];
const MINIMUM: usize = 60;

/// Sends `frame` at `at_ns` and collects all that comes back within a simulated second, with its time.
fn exchange(wire: &mut dyn Wire, at_ns: u64, frame: &[u8]) -> Vec<(u64, Vec<u8>)> {
    wire.send(at_ns, frame);
    let mut back = Vec::new();
    while let Some(now) = wire
        .next_deadline(at_ns)
        .filter(|t| *t <= at_ns + 1_000_000_000)
    {
        while let Some(frame) = wire.poll(now) {
            back.push((now, frame));
        }
    }
    back
}

fn padded(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(frame.len().max(MINIMUM), 0);
    frame
}

fn arp(operation: ArpOperation, to: [u8; 6], sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let packet = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        operation,
        &NIC_MAC,
        &sender,
        &[0; 6],
        &target,
    )
    .expect("sizes agree");
    let mut out = Vec::new();
    PacketBuilder::ethernet2(NIC_MAC, to)
        .arp(packet)
        .write(&mut out)
        .expect("in memory");
    padded(out)
}

/// Tells the LAN who we are, so that it need not ask before each answer.
fn introduce(wire: &mut Lan, to: [u8; 4], mac: [u8; 6]) {
    exchange(
        wire,
        0,
        &arp(ArpOperation::REQUEST, mac, lan::NIC.octets(), to),
    );
}

fn ping(to: [u8; 4], mac: [u8; 6], data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    PacketBuilder::ethernet2(NIC_MAC, mac)
        .ipv4(lan::NIC.octets(), to, 64)
        .icmpv4_echo_request(7, 1)
        .write(&mut out, data)
        .expect("in memory");
    padded(out)
}

fn echo_reply(frame: &[u8]) -> Option<((u16, u16), u8, Vec<u8>)> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let Some(NetSlice::Ipv4(ip)) = &packet.net else {
        return None;
    };
    let Some(TransportSlice::Icmpv4(icmp)) = &packet.transport else {
        return None;
    };
    match icmp.icmp_type() {
        Icmpv4Type::EchoReply(h) => {
            Some(((h.id, h.seq), ip.header().ttl(), icmp.payload().to_vec()))
        }
        _ => None,
    }
}

#[test]
fn the_peer_and_the_router_answer_arp_for_their_own_address_only() {
    let mut wire = Lan::new(1);
    for (addr, mac) in [(lan::PEER, lan::PEER_MAC), (lan::GATEWAY, lan::GATEWAY_MAC)] {
        let request = arp(
            ArpOperation::REQUEST,
            [0xff; 6],
            lan::NIC.octets(),
            addr.octets(),
        );
        let back = exchange(&mut wire, 0, &request);
        assert_eq!(back.len(), 1, "one answer for {addr}");
        let packet = SlicedPacket::from_ethernet(&back[0].1).expect("well formed");
        let Some(NetSlice::Arp(reply)) = packet.net else {
            panic!("not ARP: {:02x?}", back[0].1)
        };
        assert_eq!(reply.operation(), ArpOperation::REPLY);
        assert_eq!(reply.sender_hw_addr(), mac);
        assert_eq!(reply.sender_protocol_addr(), addr.octets());
        assert_eq!(reply.target_hw_addr(), NIC_MAC);
    }
    let nobody = arp(
        ArpOperation::REQUEST,
        [0xff; 6],
        lan::NIC.octets(),
        [192, 0, 2, 77],
    );
    assert!(exchange(&mut wire, 0, &nobody).is_empty());
}

#[test]
fn ping_reaches_the_peer_directly_and_the_far_host_through_the_router() {
    let mut wire = Lan::new(2);
    introduce(&mut wire, lan::PEER.octets(), [0xff; 6]);
    introduce(&mut wire, lan::GATEWAY.octets(), [0xff; 6]);
    let hosts = [
        (lan::PEER, lan::PEER_MAC, 64),
        (lan::GATEWAY, lan::GATEWAY_MAC, 64),
        (lan::FAR_HOST, lan::GATEWAY_MAC, 63),
        (lan::FAR_GATEWAY, lan::GATEWAY_MAC, 64),
    ];
    for (addr, mac, ttl) in hosts {
        let back = exchange(
            &mut wire,
            10_000,
            &ping(addr.octets(), mac, b"are you there"),
        );
        let reply = back.iter().find_map(|(_, f)| echo_reply(f));
        let expected = ((7, 1), ttl, b"are you there".to_vec());
        assert_eq!(reply, Some(expected), "from {addr}: {back:02x?}");
        let at = back.last().expect("an answer").0;
        assert!(
            at >= 10_000 + 2 * lan::HOP_NS,
            "an answer takes two hops at least"
        );
    }
}

#[test]
fn a_packet_for_the_far_subnet_with_a_spent_ttl_or_a_bad_checksum_goes_nowhere() {
    let mut wire = Lan::new(3);
    introduce(&mut wire, lan::GATEWAY.octets(), [0xff; 6]);
    let good = ping(lan::FAR_HOST.octets(), lan::GATEWAY_MAC, b"x");
    let mut bad = good.clone();
    bad[24] ^= 0x10;
    assert!(
        exchange(&mut wire, 0, &bad).is_empty(),
        "bad header checksum"
    );
    let mut spent = Vec::new();
    PacketBuilder::ethernet2(NIC_MAC, lan::GATEWAY_MAC)
        .ipv4(lan::NIC.octets(), lan::FAR_HOST.octets(), 1)
        .icmpv4_echo_request(7, 1)
        .write(&mut spent, b"x")
        .expect("in memory");
    assert!(exchange(&mut wire, 0, &padded(spent)).is_empty(), "TTL 1");
    assert!(
        !exchange(&mut wire, 0, &good).is_empty(),
        "and the good one does"
    );
}

#[test]
fn udp_echo_answers_with_the_same_bytes_and_right_checksums() {
    let mut wire = Lan::new(4);
    introduce(&mut wire, lan::PEER.octets(), [0xff; 6]);
    for data in [&b""[..], b"q", b"hello", &[0xa5; 1472]] {
        let mut out = Vec::new();
        PacketBuilder::ethernet2(NIC_MAC, lan::PEER_MAC)
            .ipv4(lan::NIC.octets(), lan::PEER.octets(), 64)
            .udp(5000, 7)
            .write(&mut out, data)
            .expect("in memory");
        let back = exchange(&mut wire, 0, &padded(out));
        assert_eq!(back.len(), 1);
        let packet = SlicedPacket::from_ethernet(&back[0].1).expect("well formed");
        let Some(NetSlice::Ipv4(ip)) = &packet.net else {
            panic!("not IPv4")
        };
        let header = ip.header().to_header();
        assert_eq!(header.header_checksum, header.calc_header_checksum());
        let Some(TransportSlice::Udp(udp)) = &packet.transport else {
            panic!("not UDP")
        };
        assert_eq!((udp.source_port(), udp.destination_port()), (7, 5000));
        assert_eq!(udp.payload(), data);
        let sum = udp
            .to_header()
            .calc_checksum_ipv4(&header, udp.payload())
            .expect("fits");
        assert_eq!(udp.checksum(), sum);
    }
}

#[test]
fn the_same_seed_and_frames_give_the_same_answers_at_the_same_times() {
    let run = || {
        let mut wire = Lan::new(5);
        let mut all = Vec::new();
        introduce(&mut wire, lan::PEER.octets(), [0xff; 6]);
        let mut syn = Vec::new();
        PacketBuilder::ethernet2(NIC_MAC, lan::PEER_MAC)
            .ipv4(lan::NIC.octets(), lan::PEER.octets(), 64)
            .tcp(40_000, 80, 1, 65_535)
            .syn()
            .write(&mut syn, &[])
            .expect("in memory");
        all.extend(exchange(&mut wire, 5_000, &padded(syn)));
        all
    };
    let first = run();
    assert!(!first.is_empty());
    assert_eq!(first, run());
}

#[test]
fn loopback_gives_back_every_frame_in_order_after_its_delay() {
    let mut wire = Loopback::new(500);
    wire.send(100, &[1; 60]);
    wire.send(200, &[2; 60]);
    assert_eq!(wire.poll(599), None);
    assert_eq!(wire.next_deadline(599), Some(600));
    assert_eq!(wire.poll(600), Some(vec![1; 60]));
    assert_eq!(wire.poll(650), None);
    assert_eq!(wire.poll(700), Some(vec![2; 60]));
    assert_eq!(wire.next_deadline(700), None);
}
