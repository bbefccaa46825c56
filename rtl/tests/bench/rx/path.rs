//! `RxPath` as a whole against smoltcp's and etherparse's opinion of each frame.
use super::frames::{self, Rng, OWN};
use super::harness::{Bench, Packet};
use super::oracle::{bad, hash, judge, rxctl, untag, Fate, Tables};
use crate::common::registers;
use crate::lockstep::Trace;
use ferrule_abi::counter;
use ferrule_rtl::rx::RxPath;
use proptest::prelude::*;

/// Sends `frames` to `bench` and compares all that comes of them with the oracle.
fn compare(bench: &mut Bench, frames: &[(Vec<u8>, u8)]) {
    let mut counts = [0_u64; 32];
    let (mut packets, mut arps) = (vec![], vec![]);
    // RXCTL holds from the next frame on.
    bench.idle(1);
    for (frame, bad) in frames {
        let at = bench.send(frame, *bad);
        let more = bench.rng.below(12).saturating_sub(6);
        bench.gap(more);
        let fate = judge(frame, *bad, bench.rxctl, OWN, bench.enable, &bench.tables);
        let inner = untag(frame).map_or_else(|| frame.clone(), |(inner, _)| inner);
        let hashed = (fate.delivered).map_or(0, |(status, _)| hash(&inner, status, &bench.key));
        let stored = stored(frame, bench.rxctl);
        expect(
            &stored,
            at,
            fate,
            hashed,
            &mut counts,
            &mut packets,
            &mut arps,
        );
    }
    bench.drain();

    for (i, (got, want)) in bench.packets.iter().zip(&packets).enumerate() {
        assert_eq!(got, want, "frame {i}");
    }
    assert_eq!(bench.packets.len(), packets.len(), "number of frames");
    assert_eq!(bench.arps, arps);
    assert_eq!(bench.counts, counts, "counters");
    let bytes: u64 = packets.iter().map(|p| u64::from(p.len)).sum();
    assert_eq!(bench.bytes, bytes);
}

fn expect(
    frame: &[u8],
    at: u32,
    fate: Fate,
    hashed: u32,
    counts: &mut [u64; 32],
    packets: &mut Vec<Packet>,
    arps: &mut Vec<super::oracle::Arp>,
) {
    if let Some(counter) = fate.dropped {
        counts[counter as usize] += 1;
    }
    if let Some(arp) = fate.arp {
        counts[counter::RX_ARP as usize] += 1;
        arps.push(arp);
    }
    if let Some((status, offsets)) = fate.delivered {
        counts[counter::RX_FRAMES as usize] += 1;
        packets.push(Packet {
            bytes: frame.to_vec(),
            len: frame.len() as u16,
            status,
            offsets,
            hash: hashed,
            timestamp: at,
        });
    }
}

/// A key out of `seed`.
fn key(seed: u64) -> [u8; 40] {
    Rng(seed ^ 0x4E1).bytes(40).try_into().expect("40 bytes")
}

/// What of a frame goes to the host.
fn stored(frame: &[u8], rxctl: u32) -> Vec<u8> {
    match untag(frame) {
        Some((inner, _)) if rxctl & rxctl::VLAN_STRIP != 0 => inner,
        _ => frame.to_vec(),
    }
}

/// Tables in which about half of what [`frames::frame`] makes is found.
fn tables(r: &mut Rng) -> Tables {
    let mut groups = frames::GROUPS.to_vec();
    groups.retain(|_| r.percent(30));
    groups.truncate(16);
    let mut vlans = frames::VLANS.to_vec();
    vlans.retain(|_| r.percent(50));
    Tables {
        groups,
        hash: r.next() & r.next() & r.next(),
        vlans,
    }
}

/// A mix of good, corrupted and marked frames.
fn mix(r: &mut Rng, count: usize, max_payload: usize) -> Vec<(Vec<u8>, u8)> {
    (0..count)
        .map(|_| {
            let mut frame = frames::frame(r, max_payload);
            if r.percent(40) {
                frames::corrupt(r, &mut frame);
            }
            let bad = match r.below(30) {
                0 => bad::FCS,
                1 => bad::RX_ER,
                2 => bad::OVERSIZE | bad::FCS,
                3 => {
                    frame.truncate(1 + r.below(59));
                    bad::RUNT | r.next() as u8 & 1
                }
                _ => 0,
            };
            (frame, bad)
        })
        .collect()
}

proptest! {
    #![proptest_config(crate::common::cases(40))]
    #[test]
    fn every_frame_meets_the_fate_that_smoltcp_sees_for_it(
        seed: u64, mode in 0_u32..512, enable in prop::bool::weighted(0.95),
        ready in prop::sample::select(vec![100_usize, 60, 20]),
        gap in prop::sample::select(vec![0_usize, 30, 85]),
    ) {
        let mut bench = Bench::new(seed);
        let mut r = Rng(!seed);
        bench.program(tables(&mut r));
        bench.rxctl = mode;
        bench.enable = enable;
        bench.ready_percent = ready;
        bench.gap_percent = gap;
        bench.set_key(key(seed));
        let frames = mix(&mut Rng(seed), 60, 400);
        compare(&mut bench, &frames);
    }
}

#[test]
fn long_and_jumbo_frames_pass_with_right_sums() {
    let mut r = Rng(5);
    let mut bench = Bench::new(5);
    let mut frames = mix(&mut r, 40, 1480);
    frames.extend(mix(&mut r, 12, 9000));
    compare(&mut bench, &frames);
}

#[test]
fn tags_are_taken_out_or_looked_behind_at_every_length() {
    let mut r = Rng(78);
    for rxctl in [rxctl::VLAN_STRIP, 0] {
        let mut bench = Bench::new(78);
        bench.rxctl = rxctl::PROMISC | rxctl;
        let frames: Vec<_> = (0..60)
            .map(|n| (frames::tagged(udp_frame(&mut r, n), r.next() as u16), 0))
            .collect();
        compare(&mut bench, &frames);
        assert_eq!(bench.counts[counter::RX_FRAMES as usize], 60);
    }
}

#[test]
fn taking_tags_out_begins_and_ends_between_frames() {
    let mut r = Rng(80);
    let mut bench = Bench::new(80);
    bench.rxctl = rxctl::PROMISC;
    let mut sent = vec![];
    let mut changes = 0;
    for n in 0..200 {
        let frame = frames::tagged(udp_frame(&mut r, n), n as u16);
        for beat in super::harness::beats(&frame) {
            if r.percent(10) {
                bench.rxctl ^= rxctl::VLAN_STRIP;
                changes += 1;
            }
            bench.cycle(Some(beat), 0);
        }
        sent.push(frame);
        // What the hash may ask for is over then.
        let gap = 36 + r.below(4);
        bench.idle(gap);
    }
    bench.drain();
    assert!(changes > 100 && bench.packets.len() == sent.len());
    let mut stripped = 0;
    for (packet, frame) in bench.packets.iter().zip(&sent) {
        if packet.status & 0x80 == 0 {
            assert_eq!(&packet.bytes, frame);
        } else {
            stripped += 1;
            assert_eq!(packet.bytes, untag(frame).expect("a tag").0);
        }
    }
    assert!((30..170).contains(&stripped), "{stripped}");
}

#[test]
fn as_many_of_the_shortest_tagged_frames_as_fit_keep_their_tags() {
    let mut r = Rng(79);
    let mut bench = Bench::new(79);
    bench.rxctl = rxctl::PROMISC | rxctl::VLAN_STRIP;
    bench.ready_percent = 0;
    bench.idle(1);
    // 60 bytes on the wire, 56 without the tag: eight places with the description, and the first description is read at once.
    let frames: Vec<_> = (0..520)
        .map(|n| frames::tagged(udp_frame(&mut r, 14), n))
        .collect();
    for frame in &frames {
        bench.send(&frame[..60], 0);
        bench.gap(0);
    }
    let kept = bench.counts[counter::RX_FRAMES as usize] as usize;
    assert_eq!(kept, 4096 / 8);
    bench.ready_percent = 70;
    bench.drain();
    assert_eq!(bench.packets.len(), kept);
    for (n, packet) in bench.packets.iter().enumerate() {
        assert_eq!((packet.status & 0x80, packet.offsets), (0x80, n as u16));
        assert_eq!(packet.bytes, untag(&frames[n][..60]).expect("a tag").0);
    }
}

#[test]
fn each_length_of_an_ip_packet_is_summed_right_at_its_end() {
    let mut r = Rng(77);
    let mut bench = Bench::new(77);
    bench.rxctl = rxctl::PROMISC;
    bench.set_key(key(77));
    let frames: Vec<_> = (0..120)
        .flat_map(|n| {
            let good = udp_frame(&mut r, n);
            let mut broken = good.clone();
            let end = 14 + 20 + 8 + n;
            broken[end - 1] ^= 0x10;
            let mut padded = good.clone();
            padded.extend(r.bytes(9));
            [(good, 0), (broken, 0), (padded, 0)]
        })
        .collect();
    compare(&mut bench, &frames);
    assert_eq!(bench.counts[counter::RX_DROP_L4_CSUM as usize], 120);
}

#[test]
fn each_length_of_an_ipv6_packet_is_summed_and_hashed_right_at_its_end() {
    let mut r = Rng(81);
    let mut bench = Bench::new(81);
    bench.rxctl = rxctl::PROMISC;
    bench.set_key(key(81));
    let frames: Vec<_> = (0..120)
        .flat_map(|n| {
            let mut good = vec![];
            let address = |r: &mut Rng| r.bytes(16).try_into().expect("16 bytes");
            etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], OWN)
                .ipv6(address(&mut r), address(&mut r), 9)
                .udp(r.next() as u16, 2)
                .write(&mut good, &r.bytes(n))
                .expect("writes");
            let mut broken = good.clone();
            *broken.last_mut().expect("a byte") ^= 0x10;
            let mut padded = good.clone();
            padded.extend(r.bytes(9));
            let tagged = frames::tagged(good.clone(), 5);
            [(good, 0), (broken, 0), (padded, 0), (tagged, 0)]
        })
        .collect();
    for gap in [0, 60, 87] {
        bench.gap_percent = gap;
        (bench.packets, bench.counts, bench.bytes) = (vec![], [0; 32], 0);
        compare(&mut bench, &frames);
        assert_eq!(bench.counts[counter::RX_DROP_L4_CSUM as usize], 120);
    }
}

#[test]
fn an_ipv6_datagram_whose_sum_is_zero_is_right_with_all_ones_alone() {
    let mut r = Rng(82);
    let mut bench = Bench::new(82);
    bench.rxctl = rxctl::PROMISC;
    let mut frames = vec![];
    for _ in 0..20 {
        let addresses: [[u8; 16]; 2] = [0; 2].map(|_| r.bytes(16).try_into().expect("16 bytes"));
        let with = |data: [u8; 2]| {
            let mut bytes = vec![];
            etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], OWN)
                .ipv6(addresses[0], addresses[1], 9)
                .udp(7, 9)
                .write(&mut bytes, &data)
                .expect("writes");
            bytes
        };
        // The sum of everything else as payload makes the whole zero.
        let first = with([0, 0]);
        let ones = with([first[60], first[61]]);
        assert_eq!(ones[60..62], [0xFF, 0xFF], "etherparse agrees");
        let mut none = ones.clone();
        none[60..62].fill(0);
        frames.extend([(ones, 0), (none, 0)]);
    }
    compare(&mut bench, &frames);
    assert_eq!(bench.counts[counter::RX_FRAMES as usize], 20);
    assert_eq!(bench.counts[counter::RX_DROP_L4_CSUM as usize], 20);
}

fn udp_frame(r: &mut Rng, n: usize) -> Vec<u8> {
    let mut bytes = vec![];
    etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], OWN)
        .ipv4(r.four(), r.four(), 9)
        .udp(1, 2)
        .write(&mut bytes, &r.bytes(n))
        .expect("writes");
    if bytes.len() < 60 {
        let n = 60 - bytes.len();
        bytes.extend(r.bytes(n));
    }
    bytes
}

#[test]
fn a_full_buffer_drops_whole_frames_and_counts_them() {
    let mut r = Rng(9);
    let mut bench = Bench::new(9);
    bench.rxctl = rxctl::PROMISC;
    bench.ready_percent = 0;
    let sent: Vec<_> = (0..45).map(|_| udp_frame(&mut r, 990)).collect();
    for frame in &sent {
        bench.send(frame, 0);
        bench.idle(7);
    }
    let kept = bench.counts[counter::RX_FRAMES as usize] as usize;
    let lost = bench.counts[counter::RX_DROP_OVERFLOW as usize] as usize;
    // 1032 bytes take 129 beats and a descriptor; 4095 of 4096 places can be used.
    assert_eq!((kept, lost), (4095 / 130, 45 - 4095 / 130));
    // A small one still fits behind those that did not.
    let small = udp_frame(&mut r, 20);
    bench.send(&small, 0);
    bench.ready_percent = 50;
    bench.drain();
    let got: Vec<_> = bench.packets.iter().map(|p| p.bytes.clone()).collect();
    assert_eq!(got, [&sent[..kept], &[small]].concat());
    // And the next goes through a buffer that is whole again.
    bench.packets.clear();
    for frame in &sent[..20] {
        bench.send(frame, 0);
        bench.drain();
    }
    assert_eq!(bench.packets.len(), 20);
}

#[test]
fn arp_needs_no_room_in_the_buffer() {
    let mut r = Rng(10);
    let mut bench = Bench::new(10);
    bench.rxctl = rxctl::PROMISC;
    bench.ready_percent = 0;
    for _ in 0..35 {
        let frame = udp_frame(&mut r, 1000);
        bench.send(&frame, 0);
        bench.idle(7);
    }
    let mut frame = [&OWN[..], &[2, 0, 0, 0, 0, 1, 8, 6], &frames::arp(&mut r)].concat();
    frame.resize(60, 0);
    bench.send(&frame, 0);
    bench.gap(0);
    let fate = judge(&frame, 0, bench.rxctl, OWN, true, &bench.tables);
    assert_eq!(bench.arps, vec![fate.arp.expect("an ARP packet")]);
}

#[test]
fn a_frame_longer_than_the_buffer_is_dropped() {
    let mut bench = Bench::new(11);
    bench.rxctl = rxctl::PROMISC;
    let endless = vec![0x55; 40_000];
    bench.send(&endless, 0);
    bench.idle(10);
    assert_eq!(bench.counts[counter::RX_DROP_OVERFLOW as usize], 1);
    let good = udp_frame(&mut Rng(1), 64);
    bench.send(&good, 0);
    bench.drain();
    assert_eq!(bench.packets.len(), 1);
    assert_eq!(bench.packets[0].bytes, good);
}

#[test]
fn reset_in_mid_frame_leaves_nothing_behind() {
    let mut r = Rng(12);
    for cut in 1..40 {
        let mut bench = Bench::new(cut);
        bench.rxctl = rxctl::PROMISC;
        bench.ready_percent = 50;
        let frame = udp_frame(&mut r, 150);
        bench.send(&frame, 0);
        bench.gap(0);
        for beat in super::harness::beats(&frame).into_iter().take(cut as usize) {
            bench.cycle(Some(beat), 0);
        }
        bench.reset();
        assert!(!bench.dut.u.busy.val());
        bench.packets.clear();
        bench.counts = [0; 32];
        let next = udp_frame(&mut r, 60);
        bench.send(&next, 0);
        bench.drain();
        assert_eq!(bench.counts[counter::RX_FRAMES as usize], 1, "cut {cut}");
        assert_eq!(bench.packets.len(), 1, "cut {cut}");
        assert_eq!(bench.packets[0].bytes, next, "cut {cut}");
    }
}

#[test]
fn frames_that_come_too_close_are_counted_and_harm_no_other() {
    let mut r = Rng(13);
    for gap in 0..8 {
        let mut bench = Bench::new(gap);
        bench.rxctl = rxctl::PROMISC;
        // Long enough for a hash at a beat a cycle.
        let (a, b, c) = (
            udp_frame(&mut r, 390),
            udp_frame(&mut r, 380),
            udp_frame(&mut r, 370),
        );
        bench.send(&a, 0);
        bench.idle(gap as usize);
        bench.send(&b, 0);
        bench.idle(7);
        bench.send(&c, 0);
        bench.drain();
        let got: Vec<_> = bench.packets.iter().map(|p| p.bytes.clone()).collect();
        let (want, lost) = if gap < 6 {
            (vec![a, c], 1)
        } else {
            (vec![a, b, c], 0)
        };
        assert_eq!(got, want, "gap {gap}");
        assert_eq!(
            bench.counts[counter::RX_DROP_OVERFLOW as usize],
            lost,
            "gap {gap}"
        );
    }
}

#[test]
fn an_idle_path_does_not_change() {
    let mut bench = Bench::new(14);
    let frames = mix(&mut Rng(14), 10, 200);
    for (frame, bad) in &frames {
        bench.send(frame, *bad);
        bench.drain();
    }
    // How full the buffer is, is known a cycle later.
    bench.idle(1);
    let before = registers(&*bench.dut.u);
    assert!(before.len() > 50);
    for _ in 0..20 {
        bench.idle(1);
        assert!(!bench.dut.u.busy.val());
        assert_eq!(before, registers(&*bench.dut.u));
    }
}

#[test]
fn the_verilog_does_the_same() {
    let mut bench = Bench::new(15);
    bench.trace = Some(Trace::default());
    bench.reset();
    bench.set_key(key(15));
    bench.gap_percent = 10;
    bench.ready_percent = 70;
    for mode in [rxctl::BROADCAST, 127, rxctl::ALL_MULTICAST] {
        bench.rxctl = mode;
        for (frame, bad) in mix(&mut Rng(u64::from(mode)), 40, 150) {
            bench.send(&frame, bad);
            let gap = bench.rng.below(14);
            bench.idle(gap);
        }
        bench.drain();
    }
    let trace = bench.trace.take().expect("recorded");
    trace.check::<RxPath>("rx_path");
}

#[test]
fn verilator_accepts_the_verilog() {
    let text = ferrule_rtl::verilog::emit::<RxPath>("rx_path").expect("emits");
    crate::common::verilator_lint("rx_path", &text);
}
