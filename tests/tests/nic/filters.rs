//! Multicast addresses and 802.1Q tags: what the receiver takes and how it tells of it, and tags that are inserted; on every engine.
use etherparse::{EtherType, Ethernet2Header, PacketBuilder, SingleVlanHeader, VlanId, VlanPcp};
use ferrule_abi::regs::{self, rxctl};
use ferrule_abi::ring::{cqe_status as st, sqe_flags as fl};
use ferrule_abi::{counter, Field};
use ferrule_tests::bench::{Bench, Layout, Received, ADDRESS, MAC};
use ferrule_tests::engines;
use ferrule_tests::frames::{
    arp_request, line, tcp, udp, udp_packet, with_fcs, without_checksums, PEER, PEER_MAC,
    PEER_PORT, PORT,
};

/// Status of a good IPv4 packet, and of one with UDP.
const GOOD: u16 = st::IPV4 | st::IP_OK | st::CSUM_VALID | st::L4_OK | st::TS_VALID;
const GOOD_UDP: u16 = GOOD | st::UDP;

/// `frame` with a tag: priority 5, drop eligible, VLAN `id`.
fn tagged(frame: &[u8], id: u16) -> Vec<u8> {
    let (ethernet, rest) = Ethernet2Header::from_slice(frame).expect("a header");
    let tag = SingleVlanHeader {
        pcp: VlanPcp::try_new(5).expect("three bits"),
        drop_eligible_indicator: true,
        vlan_id: VlanId::try_new(id).expect("twelve bits"),
        ether_type: ethernet.ether_type,
    };
    let outer = Ethernet2Header {
        ether_type: EtherType::VLAN_TAGGED_FRAME,
        ..ethernet
    };
    [&outer.to_bytes()[..], &tag.to_bytes(), rest].concat()
}

/// Its tag control information.
fn tci(id: u16) -> u16 {
    5 << 13 | 1 << 12 | id
}

fn to(mut frame: Vec<u8>, destination: [u8; 6]) -> Vec<u8> {
    frame[..6].copy_from_slice(&destination);
    frame
}

fn bench(bits: &[Field]) -> Bench {
    let mut b = Bench::new(engines::all(), &Layout::default());
    let value = bits
        .iter()
        .fold(rxctl::REGISTER.reset, |value, bit| bit.set(value, 1));
    b.write(rxctl::OFFSET, rxctl::MAX_FRAME.set(value, 1_522));
    b.settle();
    b
}

/// Sends a frame and gives what came of it: what was received, and how many more the filters dropped.
fn send(b: &mut Bench, frame: &[u8]) -> (Vec<Received>, u64) {
    let before = b.counter(counter::RX_DROP_FILTER);
    b.phy.receive(frame);
    b.settle();
    let got = b.receive();
    (got, b.counter(counter::RX_DROP_FILTER) - before)
}

#[test]
fn multicast_addresses_pass_exactly_or_by_their_hash_until_they_are_taken_out() {
    let mut b = bench(&[]);
    let group = |n: u8| [0x01, 0x00, 0x5E, 0x7F, 0x10, n];
    let [a, bb, c, d, e, f] = group(1);
    b.write(
        regs::mc_lo::REGISTER.offset_of(15),
        u32::from_le_bytes([a, bb, c, d]),
    );
    b.write(
        regs::mc_hi::REGISTER.offset_of(15),
        u32::from_le_bytes([e, f, 0, 0]),
    );
    // By a CRC-32 that is not ours: as it is on the wire, complemented and from the lowest bit on.
    let hash = (!crc32fast::hash(&group(2))).reverse_bits() >> 26;
    b.write(
        regs::mc_hash::REGISTER.offset_of(hash / 32),
        1 << (hash % 32),
    );
    b.settle();
    for (n, passes) in [(1, true), (2, true), (3, false)] {
        // The shortest frame leaves the filter the least time.
        let frame = to(udp(&[n; 18]), group(n));
        assert_eq!(frame.len(), 60);
        let (got, dropped) = send(&mut b, &frame);
        assert_eq!(
            (got.len(), dropped),
            if passes { (1, 0) } else { (0, 1) },
            "group {n}"
        );
        assert!(got.iter().all(|r| r.bytes == frame));
    }
    // All of them close together.
    for n in [1, 3, 2, 1] {
        b.phy.receive(&to(udp(&[n; 18]), group(n)));
    }
    b.settle();
    let got: Vec<u8> = b.receive().iter().map(|r| r.bytes[5]).collect();
    assert_eq!(got, [1, 2, 1]);
    b.write(regs::mc_lo::REGISTER.offset_of(15), 0);
    b.write(regs::mc_hash::REGISTER.offset_of(hash / 32), 0);
    b.settle();
    for n in 1..4 {
        assert_eq!(send(&mut b, &to(udp(&[n; 18]), group(n))), (vec![], 1));
    }
    // A reset empties the tables.
    b.write(regs::mc_hash::OFFSET, u32::MAX);
    b.write(regs::mc_hash::OFFSET + 4, u32::MAX);
    b.write(regs::ctrl::OFFSET, regs::ctrl::RESET.of(1));
    b.settle();
    b.start();
    assert_eq!(send(&mut b, &to(udp(&[1; 18]), group(1))), (vec![], 1));
    b.check_link();
}

#[test]
fn a_tag_is_taken_out_and_told_and_the_packet_behind_it_is_checked() {
    let mut b = bench(&[rxctl::VLAN_STRIP]);
    for size in [18, 19, 20, 21, 22, 23, 24, 25, 400, 1_472] {
        let frame = udp(&vec![size as u8; size]);
        let (got, _) = send(&mut b, &tagged(&frame, 1_234));
        let cqe = got[0].cqe;
        assert_eq!(cqe.status, GOOD_UDP | st::VLAN, "{size}");
        assert_eq!(cqe.offsets, tci(1_234));
        assert_eq!(got[0].bytes, frame);
    }
    // The shortest frame with a tag is four bytes shorter without it.
    let short = tagged(&udp(&[7; 14]), 1);
    assert_eq!(short.len(), 60);
    let (got, _) = send(&mut b, &short);
    assert_eq!(
        (got[0].bytes.len(), got[0].cqe.status),
        (56, GOOD_UDP | st::VLAN)
    );
    // Without a tag nothing changes.
    let (got, _) = send(&mut b, &udp(&[1; 30]));
    assert_eq!(
        (got[0].cqe.status, got[0].cqe.offsets),
        (GOOD_UDP, 7 | 17 << 8)
    );
    // Two tags: the outer one is taken out, the inner one is for the host.
    let double = tagged(&tagged(&udp(&[2; 30]), 5), 6);
    let (got, _) = send(&mut b, &double);
    assert_eq!(
        (got[0].cqe.status, got[0].cqe.offsets),
        (st::VLAN | st::TS_VALID, tci(6))
    );
    assert_eq!(got[0].bytes, tagged(&udp(&[2; 30]), 5));
    // ARP behind a tag is not for the engine: nobody answers.
    let question = tagged(&arp_request((PEER_MAC, PEER), ADDRESS), 3);
    let (got, _) = send(&mut b, &question);
    assert_eq!(
        (got[0].cqe.status, got[0].cqe.offsets),
        (st::VLAN | st::TS_VALID, tci(3))
    );
    assert!(b.frames().is_empty());
    assert_eq!(b.counter(counter::RX_ARP), 0);
    b.check_link();
}

#[test]
fn a_tag_that_stays_moves_the_offsets_and_nothing_else() {
    let mut b = bench(&[]);
    let frame = tagged(&tcp(&[9; 200]), 77);
    let (got, _) = send(&mut b, &frame);
    assert_eq!(got[0].cqe.status, GOOD | st::TCP);
    assert_eq!(got[0].cqe.offsets, 9 | 19 << 8);
    assert_eq!(got[0].bytes, frame);
    // Damage behind the tag is found as without one.
    let mut damaged = frame.clone();
    damaged[100] ^= 1;
    assert!(send(&mut b, &damaged).0.is_empty());
    assert_eq!(b.counter(counter::RX_DROP_L4_CSUM), 1);
    let mut damaged = frame;
    damaged[18 + 8] ^= 1;
    assert!(send(&mut b, &damaged).0.is_empty());
    assert_eq!(b.counter(counter::RX_DROP_IP_HEADER), 1);
    b.check_link();
}

#[test]
fn frames_that_end_in_their_tag_are_runts_and_the_next_one_arrives() {
    for bits in [&[rxctl::VLAN_STRIP][..], &[]] {
        let mut b = bench(bits);
        let frame = tagged(&udp(&[3; 60]), 9);
        for cut in 12..=24 {
            let mut runt = frame[..cut].to_vec();
            runt.extend(crc32fast::hash(&runt).to_le_bytes());
            b.phy.receive_raw(line(&runt));
            b.phy.receive_raw(line(&with_fcs(&frame)));
        }
        b.settle();
        let got = b.receive();
        assert_eq!(got.len(), 13);
        let want = if bits.is_empty() {
            frame
        } else {
            udp(&[3; 60])
        };
        assert!(got.iter().all(|r| r.bytes == want));
        assert_eq!(b.counter(counter::RX_DROP_RUNT), 13);
        b.check_link();
    }
}

#[test]
fn of_tagged_frames_only_those_of_chosen_vlans_pass() {
    let mut b = bench(&[rxctl::VLAN_FILTER]);
    for id in [0_u32, 100, 4_095] {
        b.write(regs::vlan_word::OFFSET, id / 32);
        b.write(regs::vlan_bits::OFFSET, 1 << (id % 32));
    }
    b.settle();
    for id in [0, 1, 99, 100, 101, 132, 4_063, 4_094, 4_095] {
        let passes = [0, 100, 4_095].contains(&id);
        let (got, dropped) = send(&mut b, &tagged(&udp(&[1; 20]), id));
        assert_eq!(
            (got.len(), dropped),
            if passes { (1, 0) } else { (0, 1) },
            "VLAN {id}"
        );
    }
    assert_eq!(send(&mut b, &udp(&[1; 20])).0.len(), 1);
    // The outermost tag counts.
    let double = |outer, inner| tagged(&tagged(&udp(&[2; 30]), inner), outer);
    assert_eq!(send(&mut b, &double(100, 1)).0.len(), 1);
    assert_eq!(send(&mut b, &double(1, 100)).0.len(), 0);
    // To somebody else, no VLAN helps.
    let other = to(tagged(&udp(&[1; 20]), 100), [2, 0, 0, 0, 0, 9]);
    assert_eq!(send(&mut b, &other), (vec![], 1));
    b.check_link();
}

#[test]
fn a_tag_is_inserted_into_frames_and_packets_that_ask_for_one() {
    let mut b = bench(&[]);
    let all = fl::SOP | fl::EOP;
    for size in [0, 1, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 400, 1_472] {
        let payload = vec![size as u8; size];
        let everybody = [255; 4];
        let mut plain = vec![];
        PacketBuilder::ethernet2(MAC, [0xFF; 6])
            .ipv4(ADDRESS, everybody, 64)
            .udp(PORT, PEER_PORT)
            .write(&mut plain, &payload)
            .expect("a frame");
        let packet = without_checksums(udp_packet(everybody, &payload));
        let mut want = vec![];
        for (data, flags) in [
            (&packet, all | fl::IPCS | fl::L4CS),
            (&plain, all | fl::RAW),
        ] {
            for tag in [Some(tci(1_234)), None, Some(tci(0xFFF))] {
                let insert = if tag.is_some() { fl::VLAN_INS } else { 0 };
                b.post_tagged(data, flags | insert, tag.unwrap_or(0xDEAD));
                let mut frame = match tag {
                    Some(tci) => tagged(&plain, tci & 0xFFF),
                    None => plain.clone(),
                };
                frame.resize(frame.len().max(60), 0);
                want.push(frame);
            }
        }
        let before = b.counter(counter::TX_BYTES);
        b.ring_tx(false);
        b.settle();
        assert_eq!(b.frames(), want, "{size}");
        let bytes = 6 * plain.len() + 4 * 4;
        assert_eq!(b.counter(counter::TX_BYTES) - before, bytes as u64);
    }
    b.check_link();
}
