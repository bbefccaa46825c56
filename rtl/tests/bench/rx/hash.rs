//! `RxHash`: Microsoft's vectors ("Verifying the RSS Hash Calculation"), and packets whose ports come last.
use super::frames::{Rng, OWN};
use super::harness::Bench;
use super::oracle::hash;
use ferrule_abi::ring::cqe_status;
use ferrule_rtl::rx::hash::RxHash;
use ferrule_test_tools::toeplitz::toeplitz;

/// The key of the vectors.
const KEY: [u8; 40] = [
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
    0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
    0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
];

/// Source and its port, destination and its port, hash of the addresses, hash of all.
type Vector = ([u8; 4], u16, [u8; 4], u16, u32, u32);

/// The IPv4 rows of the table.
const VECTORS: [Vector; 5] = [
    (
        [66, 9, 149, 187],
        2794,
        [161, 142, 100, 80],
        1766,
        0x323e_8fc2,
        0x51cc_c178,
    ),
    (
        [199, 92, 111, 2],
        14230,
        [65, 69, 140, 83],
        4739,
        0xd718_262a,
        0xc626_b0ea,
    ),
    (
        [24, 19, 198, 95],
        12898,
        [12, 22, 207, 184],
        38024,
        0xd2d0_a5de,
        0x5c2b_394a,
    ),
    (
        [38, 27, 205, 30],
        48228,
        [209, 142, 163, 6],
        2217,
        0x8298_9176,
        0xafc7_327f,
    ),
    (
        [153, 39, 163, 191],
        44251,
        [202, 188, 127, 2],
        1303,
        0x5d18_09c5,
        0x10e8_28a2,
    ),
];

/// The IPv6 rows, likewise.
const VECTORS_IPV6: [(&str, u16, &str, u16, u32, u32); 3] = [
    (
        "3ffe:2501:200:1fff::7",
        2794,
        "3ffe:2501:200:3::1",
        1766,
        0x2cc1_8cd5,
        0x4020_7d3d,
    ),
    (
        "3ffe:501:8::260:97ff:fe40:efab",
        14230,
        "ff02::1",
        4739,
        0x0f0c_461c,
        0xdde5_1bbf,
    ),
    (
        "3ffe:1900:4545:3:200:f8ff:fe21:67cf",
        44251,
        "fe80::200:f8ff:fe21:67cf",
        38024,
        0x4b61_e985,
        0x02d1_feef,
    ),
];

#[test]
fn ipv6_is_hashed_as_the_published_vectors_say() {
    let mut bench = Bench::new(7);
    bench.set_key(KEY);
    for (source, source_port, target, target_port, addresses, all) in VECTORS_IPV6 {
        let [source, target] = [source, target].map(|a| {
            a.parse::<std::net::Ipv6Addr>()
                .expect("an address")
                .octets()
        });
        for gap in [0, 50, 87, 95] {
            bench.gap_percent = gap;
            let start = || {
                etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], OWN)
                    .ipv6(source, target, 9)
            };
            let (mut tcp, mut udp) = (vec![], vec![]);
            start()
                .tcp(source_port, target_port, 1, 1000)
                .write(&mut tcp, b"abc")
                .expect("writes");
            start()
                .udp(source_port, target_port)
                .write(&mut udp, &[])
                .expect("writes");
            assert_eq!(ask(&mut bench, &tcp).0, all, "TCP, {gap}% gaps");
            assert_eq!(ask(&mut bench, &udp).0, all, "UDP, {gap}% gaps");
            // Something else, and the same behind a Fragment header.
            for next in [58, 44, 0] {
                let mut other = udp.clone();
                other[20] = next;
                let (got, status) = ask(&mut bench, &other);
                assert_eq!(got, addresses, "next header {next}");
                assert_eq!(status & cqe_status::FRAG != 0, next == 44);
            }
        }
    }
}

/// With each of these bits of the key turned round, a frame's hash is that of `input` by its definition; there are more than `least` of them.
fn each_bit_of_the_key_counts(
    bench: &mut Bench,
    frame: &[u8],
    input: &[u8],
    bits: std::ops::Range<usize>,
    least: usize,
) {
    let mut seen = std::collections::BTreeSet::new();
    for bit in bits {
        let mut key = KEY;
        key[bit / 8] ^= 0x80 >> (bit % 8);
        bench.set_key(key);
        let got = ask(bench, frame).0;
        assert_eq!(got, toeplitz(&key, input), "bit {bit}");
        seen.insert(got);
    }
    assert!(seen.len() > least, "{} different hashes", seen.len());
}

#[test]
fn all_of_the_key_counts_for_ipv6() {
    let mut bench = Bench::new(8);
    let v = &VECTORS_IPV6[0];
    let [source, target] = [v.0, v.2].map(|a| {
        a.parse::<std::net::Ipv6Addr>()
            .expect("an address")
            .octets()
    });
    let mut frame = vec![];
    etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], OWN)
        .ipv6(source, target, 9)
        .udp(v.1, v.3)
        .write(&mut frame, b"ab")
        .expect("writes");
    let input = [&source[..], &target, &v.1.to_be_bytes(), &v.3.to_be_bytes()].concat();
    each_bit_of_the_key_counts(&mut bench, &frame, &input, 0..320, 200);
}

/// A UDP packet's IPv4 header and L4, with `words` words of options.
fn packet(
    v: &Vector,
    protocol: u8,
    words: usize,
    data: &[u8],
) -> (etherparse::Ipv4Header, Vec<u8>) {
    let (source, source_port, target, target_port, ..) = *v;
    let mut ip = etherparse::Ipv4Header::new(0, 64, etherparse::IpNumber(protocol), source, target)
        .expect("header");
    ip.options = vec![1; 4 * words][..].try_into().expect("options");
    let l4 = match protocol {
        6 => {
            let mut tcp = etherparse::TcpHeader::new(source_port, target_port, 1, 1000);
            tcp.checksum = tcp.calc_checksum_ipv4(&ip, data).expect("sum");
            [&tcp.to_bytes()[..], data].concat()
        }
        17 => {
            let udp =
                etherparse::UdpHeader::with_ipv4_checksum(source_port, target_port, &ip, data)
                    .expect("sum");
            [&udp.to_bytes()[..], data].concat()
        }
        _ => [
            &source_port.to_be_bytes()[..],
            &target_port.to_be_bytes(),
            data,
        ]
        .concat(),
    };
    (ip, l4)
}

fn frame(mut ip: etherparse::Ipv4Header, l4: &[u8]) -> Vec<u8> {
    ip.set_payload_len(l4.len()).expect("length");
    ip.header_checksum = ip.calc_header_checksum();
    let mut frame = [&OWN[..], &[2, 0, 0, 0, 0, 1, 8, 0], &ip.to_bytes(), l4].concat();
    frame.resize(frame.len().max(60), 0);
    frame
}

/// The hash and the status that come with `frame`.
fn ask(bench: &mut Bench, frame: &[u8]) -> (u32, u16) {
    bench.send(frame, 0);
    bench.gap(0);
    bench.drain();
    let packet = bench.packets.pop().expect("delivered");
    (packet.hash, packet.status)
}

#[test]
fn tcp_and_udp_are_hashed_as_the_published_vectors_say() {
    let mut bench = Bench::new(1);
    bench.set_key(KEY);
    for v in &VECTORS {
        for (protocol, words) in [(6, 0), (6, 3), (17, 0), (17, 1), (17, 2), (17, 10)] {
            let (ip, l4) = packet(v, protocol, words, b"abc");
            let got = ask(&mut bench, &frame(ip, &l4)).0;
            assert_eq!(
                got, v.5,
                "protocol {protocol}, {words} words of options, {v:?}"
            );
        }
    }
}

#[test]
fn fragments_and_other_protocols_are_hashed_by_their_addresses() {
    let mut bench = Bench::new(2);
    bench.set_key(KEY);
    for v in &VECTORS {
        let (ip, l4) = packet(v, 1, 0, b"abc");
        assert_eq!(ask(&mut bench, &frame(ip, &l4)).0, v.4);
        for (more, offset) in [(true, 0), (false, 5), (true, 5)] {
            let (mut ip, l4) = packet(v, 17, 0, &[7; 16]);
            ip.more_fragments = more;
            ip.fragment_offset = offset.try_into().expect("13 bits");
            let (got, status) = ask(&mut bench, &frame(ip, &l4));
            assert_ne!(status & cqe_status::FRAG, 0);
            assert_eq!(got, v.4, "more {more}, offset {offset}");
        }
    }
}

#[test]
fn what_is_not_an_ipv4_packet_has_no_hash() {
    let mut bench = Bench::new(3);
    bench.rxctl = 0x7F;
    bench.set_key(KEY);
    let (ip, l4) = packet(&VECTORS[0], 17, 0, &[1; 40]);
    let good = frame(ip, &l4);
    for (at, value) in [(12, 0x86), (13, 0x06), (14, 0x65), (24, 0xFF)] {
        let mut other = good.clone();
        other[at] = value;
        assert_eq!(ask(&mut bench, &other).0, 0, "byte {at} is {value:#x}");
    }
    bench.send(&good, super::oracle::bad::FCS);
    bench.drain();
    assert_eq!(
        bench.packets.pop().map(|p| (p.hash, p.status)),
        Some((0, cqe_status::FCS_ERR))
    );
    assert_eq!(ask(&mut bench, &good).0, VECTORS[0].5);
}

#[test]
fn what_the_frame_before_says_of_its_header_does_not_count() {
    let mut bench = Bench::new(6);
    bench.rxctl = 0x7F;
    // As slow as a gigabit: the addresses are hashed before the ports are there.
    bench.gap_percent = 87;
    bench.set_key(KEY);
    for v in &VECTORS {
        for words in [0, 6, 7, 10] {
            for ihl in 0..16 {
                let (ip, l4) = packet(v, 17, words, &[1; 80]);
                let mut before = frame(ip.clone(), &l4);
                before[14] = 0x40 | ihl;
                ask(&mut bench, &before);
                let got = ask(&mut bench, &frame(ip, &l4)).0;
                assert_eq!(got, v.5, "{words} words of options after an IHL of {ihl}");
            }
        }
    }
}

#[test]
fn ports_in_the_last_bytes_are_hashed_and_ports_that_are_missing_are_not() {
    let mut r = Rng(4);
    let mut bench = Bench::new(4);
    // Packets that are TCP by name only are kept, whatever their checksum.
    bench.rxctl = 0x7F;
    bench.set_key(KEY);
    for words in 0..=10 {
        for len in 0..9 {
            for v in &VECTORS {
                let (ip, _) = packet(v, 6, words, &[]);
                let frame = frame(
                    ip,
                    &[&v.1.to_be_bytes()[..], &v.3.to_be_bytes(), &r.bytes(5)].concat()[..len],
                );
                bench.gap_percent = [0, 50, 87][r.below(3)];
                let (got, status) = ask(&mut bench, &frame);
                let want = if len < 4 { v.4 } else { v.5 };
                assert_eq!(got, want, "{words} words of options, {len} bytes of L4");
                assert_eq!(got, hash(&frame, status, &KEY));
            }
        }
    }
}

#[test]
fn the_key_can_be_changed_and_all_of_it_that_ipv4_reaches_counts() {
    let mut bench = Bench::new(5);
    let (ip, l4) = packet(&VECTORS[1], 17, 0, &[1; 9]);
    let frame = frame(ip, &l4);
    let v = &VECTORS[1];
    let input = [&v.0[..], &v.2, &v.1.to_be_bytes(), &v.3.to_be_bytes()].concat();
    assert_eq!(ask(&mut bench, &frame).0, 0, "a key of zeros");
    each_bit_of_the_key_counts(&mut bench, &frame, &input, 0..127, 100);
}

#[test]
fn verilator_accepts_the_verilog() {
    let text = ferrule_rtl::verilog::emit::<RxHash>("rx_hash").expect("emits");
    crate::common::verilator_lint("rx_hash", &text);
}
