//! ICMP echo requests answered by the hardware, on every engine: what whoever pings sees, and what the host behind the NIC does not.
use etherparse::{
    IcmpEchoHeader, Icmpv4Type, NetSlice, PacketBuilder, SlicedPacket, TransportSlice,
};
use ferrule_abi::ring::sqe_flags as fl;
use ferrule_abi::{counter, regs, regs::rxctl};
use ferrule_tests::bench::{Bench, Layout, ADDRESS, MAC};
use ferrule_tests::engines;
use ferrule_tests::frames::{arp_request, checked_packet, parse_arp, PEER, PEER_MAC};

/// A ping of `address` by etherparse, padded to the shortest frame.
fn ping(address: [u8; 4], seq: u16, data: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(PEER_MAC, MAC)
        .ipv4(PEER, address, 3)
        .icmpv4_echo_request(0x1234, seq);
    let mut frame = vec![];
    builder.write(&mut frame, data).expect("fits");
    frame.resize(frame.len().max(60), 0);
    frame
}

/// What a good answer says: its sequence number and data.
fn pong(frame: &[u8], address: [u8; 4]) -> (u16, Vec<u8>) {
    let (to, from, packet) = checked_packet(frame);
    assert_eq!((to, from), (PEER_MAC, MAC));
    let sliced = SlicedPacket::from_ip(&packet).expect("a packet");
    let Some(NetSlice::Ipv4(ip)) = &sliced.net else {
        panic!("no IPv4 packet");
    };
    let header = ip.header();
    assert_eq!((header.source(), header.destination()), (address, PEER));
    assert_eq!(header.ttl(), 64);
    let Some(TransportSlice::Icmpv4(icmp)) = &sliced.transport else {
        panic!("no ICMP");
    };
    let Icmpv4Type::EchoReply(IcmpEchoHeader { id: 0x1234, seq }) = icmp.icmp_type() else {
        panic!("no answer of ours: {icmp:?}");
    };
    let whole = icmp.header();
    assert!(whole.icmp_type.calc_checksum(icmp.payload()) == icmp.checksum());
    (seq, icmp.payload().to_vec())
}

fn bench() -> Bench {
    let mut b = Bench::new(engines::all(), &Layout::default());
    echo(&mut b, 1);
    b
}

fn echo(b: &mut Bench, on: u32) {
    let value = rxctl::MAX_FRAME.set(rxctl::REGISTER.reset, 1_600);
    b.write(rxctl::OFFSET, rxctl::ECHO.set(value, on));
    b.settle();
}

#[test]
fn a_host_that_sleeps_is_pinged_without_a_tlp() {
    let mut b = bench();
    let before = b.root_complex.stats();
    for (seq, len) in (0..).zip([0, 1, 18, 56, 57, 1_000, 1_471, 1_472]) {
        let data: Vec<u8> = (0..len).map(|n| (n * 7) as u8).collect();
        b.phy.receive(&ping(ADDRESS, seq, &data));
        b.settle();
        let [reply] = &b.frames()[..] else {
            panic!("an answer to {len} bytes");
        };
        assert_eq!(pong(reply, ADDRESS), (seq, data));
    }
    let link = b.root_complex.stats().since(&before);
    assert_eq!((link.up.reads, link.up.writes), (0, 0), "DMA");
    assert_eq!(link.interrupts, 0);
    assert_eq!(b.counter(counter::ICMP_ECHOES), 8);
    assert_eq!(b.counter(counter::TX_FRAMES), 8);
    assert_eq!(b.counter(counter::RX_FRAMES), 0);
    assert!(b.receive().is_empty());
    b.check_link();
}

#[test]
fn without_echo_the_host_gets_each_ping() {
    let mut b = bench();
    echo(&mut b, 0);
    let frame = ping(ADDRESS, 1, b"for the host");
    b.phy.receive(&frame);
    b.settle();
    assert!(b.frames().is_empty());
    assert_eq!(b.receive()[0].bytes, frame);
    assert_eq!(b.counter(counter::ICMP_ECHOES), 0);
}

#[test]
fn requests_that_are_damaged_or_unusual_go_the_way_of_any_frame() {
    let mut b = bench();
    let good = ping(ADDRESS, 1, b"0123456789abcdef0123");
    let with = |at: usize, byte: u8| {
        let mut frame = good.clone();
        frame[at] = byte;
        frame
    };
    // Code 1, which the checksum says too.
    let mut code = with(35, 1);
    let checksum = u16::from_be_bytes([code[36], code[37]]);
    code[36..38].copy_from_slice(&(checksum - 1).to_be_bytes());
    let mut to_all = good.clone();
    to_all[..6].fill(0xFF);
    let delivered = [
        ("a wrong ICMP checksum", with(60, !good[60])),
        ("another code", code),
        ("to all", to_all),
        ("from a group", with(6, PEER_MAC[0] | 1)),
        ("too long", ping(ADDRESS, 1, &[0; 1_473])),
        ("for another host", ping([192, 0, 2, 9], 1, b"not here")),
    ];
    for (what, frame) in delivered {
        b.phy.receive(&frame);
        b.settle();
        assert!(b.frames().is_empty(), "{what}: answered");
        assert_eq!(b.receive()[0].bytes, frame, "{what}");
    }
    // A wrong header checksum: dropped as of any packet.
    b.phy.receive(&with(24, !good[24]));
    b.settle();
    assert!(b.frames().is_empty() && b.receive().is_empty());
    assert_eq!(b.counter(counter::RX_DROP_IP_HEADER), 1);
    assert_eq!(b.counter(counter::ICMP_ECHOES), 0);
    b.phy.receive(&good);
    b.settle();
    assert_eq!(pong(&b.frames()[0], ADDRESS).0, 1);
}

#[test]
fn answers_take_turns_with_packets_and_arp() {
    let mut b = bench();
    let mut raw = vec![0x88; 1_000];
    raw[12..14].copy_from_slice(&[0x88, 0xB5]);
    for _ in 0..3 {
        b.post_tx(&raw, fl::SOP | fl::EOP | fl::RAW);
    }
    b.ring_tx(false);
    for seq in 0..2 {
        b.phy.receive(&ping(ADDRESS, seq, b"in between"));
    }
    b.phy.receive(&arp_request((PEER_MAC, PEER), ADDRESS));
    b.settle();
    let frames = b.frames();
    assert_eq!(frames.len(), 6);
    let pongs: Vec<_> = frames.iter().filter(|f| f[12..14] == [8, 0]).collect();
    let seqs: Vec<_> = pongs.iter().map(|f| pong(f, ADDRESS).0).collect();
    assert_eq!(seqs, [0, 1]);
    assert_eq!(frames.iter().filter(|f| parse_arp(f).is_some()).count(), 1);
    assert_eq!(frames.iter().filter(|f| **f == raw).count(), 3);
    // Whoever waits goes before the last packet.
    assert_eq!(frames[5], raw);
}

#[test]
fn with_sending_off_the_answer_is_dropped_and_not_sent_later() {
    let mut b = bench();
    b.write(regs::ctrl::OFFSET, regs::ctrl::RX_EN.of(1));
    b.phy.receive(&ping(ADDRESS, 1, b"nobody waits"));
    b.settle();
    let both = regs::ctrl::RX_EN.of(1) | regs::ctrl::TX_EN.of(1);
    b.write(regs::ctrl::OFFSET, both);
    b.settle();
    assert!(b.frames().is_empty());
    b.phy.receive(&ping(ADDRESS, 2, b"now"));
    b.settle();
    assert_eq!(pong(&b.frames()[0], ADDRESS).0, 2);
    assert_eq!(b.counter(counter::ICMP_ECHOES), 2);
    assert_eq!(b.counter(counter::TX_FRAMES), 1);
}

#[test]
fn a_reset_in_an_answer_leaves_nothing_of_it() {
    let mut b = bench();
    for cycles in [100, 150, 200, 260] {
        b.phy.receive(&ping(ADDRESS, 1, &[7; 60]));
        b.run(cycles);
        b.write(regs::ctrl::OFFSET, regs::ctrl::RESET.of(1));
        b.settle();
        // What was on the wire may be cut off.
        b.sent.clear();
        b.start();
        echo(&mut b, 1);
        b.phy.receive(&ping(ADDRESS, 2, b"after it"));
        b.settle();
        let frames = b.frames();
        assert_eq!(frames.len(), 1, "reset after {cycles} cycles");
        assert_eq!(pong(&frames[0], ADDRESS).0, 2);
        assert_eq!(b.counter(counter::ICMP_ECHOES), 1);
    }
}
