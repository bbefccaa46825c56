//! `TxPath` as a whole: what reaches the wire, judged by smoltcp.
use super::harness::{neighbour, with_tag, Bench, Packet, Verdict};
use crate::common::registers;
use crate::lockstep::Trace;
use crate::rx::frames::{self, Rng, OWN};
use crate::rx::oracle::ipv6_sum;
use etherparse::Ipv6Header;
use ferrule_abi::counter;
use ferrule_rtl::tx::TxPath;
use proptest::prelude::*;
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, Ipv4Packet, TcpPacket, UdpPacket,
};

/// The verdict and the frame that ought to come of a packet; none if it is aborted.
fn expect(packet: &Packet) -> Option<(Verdict, Option<Vec<u8>>)> {
    let (verdict, frame) = fate(packet)?;
    Some(match verdict {
        Verdict::Sent if packet.stamp => (Verdict::Left, frame),
        _ => (verdict, frame),
    })
}

/// The same, if its time is not wanted.
fn fate(packet: &Packet) -> Option<(Verdict, Option<Vec<u8>>)> {
    if packet.abort {
        return None;
    }
    if packet.raw {
        let mut bytes = packet.bytes.clone();
        let fits = (14..=9018).contains(&bytes.len());
        let right = fits && (!packet.l4cs || finish_ipv6(&mut bytes).is_some());
        return Some(if right {
            (Verdict::Sent, Some(with_tag(bytes, packet.tag)))
        } else {
            (Verdict::Bad, None)
        });
    }
    let mut bytes = packet.bytes.clone();
    let Some(dst) = finish_ipv4(&mut bytes, packet) else {
        return Some((Verdict::Bad, None));
    };
    Some(match neighbour(dst, packet.next_hop) {
        Err(address) => (Verdict::Miss(address), None),
        Ok(mac) => (
            Verdict::Sent,
            Some(with_tag(
                [&mac[..], &OWN, &[8, 0], &bytes].concat(),
                packet.tag,
            )),
        ),
    })
}

/// Lets smoltcp fill the checksums in; gives the destination, or none if the packet is wrong.
fn finish_ipv4(bytes: &mut [u8], packet: &Packet) -> Option<u32> {
    if bytes.len() + 14 > 9018 {
        return None;
    }
    let mut ip = Ipv4Packet::new_checked(bytes).ok()?;
    if ip.version() != 4 || ip.header_len() < 20 {
        return None;
    }
    if packet.ipcs {
        ip.fill_checksum();
    }
    let (src, dst) = (
        IpAddress::from(ip.src_addr()),
        IpAddress::from(ip.dst_addr()),
    );
    let to = ip.dst_addr().to_bits();
    if packet.l4cs && !ip.more_frags() && ip.frag_offset() == 0 {
        match ip.next_header() {
            IpProtocol::Tcp if ip.payload_mut().len() < 20 => return None,
            IpProtocol::Tcp => {
                TcpPacket::new_unchecked(ip.payload_mut()).fill_checksum(&src, &dst);
            }
            IpProtocol::Udp => {
                UdpPacket::new_checked(ip.payload_mut())
                    .ok()?
                    .fill_checksum(&src, &dst);
            }
            _ => {}
        }
    }
    Some(to)
}

/// Fills in the checksum of TCP or UDP right behind an IPv6 header, as etherparse computes it; none if the packet is wrong.
fn finish_ipv6(frame: &mut [u8]) -> Option<()> {
    let is_ipv6 = frame[12..14] == [0x86, 0xDD];
    let Some((ip, rest)) = Ipv6Header::from_slice(&frame[14..])
        .ok()
        .filter(|(ip, _)| is_ipv6 && matches!(ip.next_header.0, 6 | 17))
    else {
        return Some(());
    };
    let mut l4 = rest.get(..ip.payload_length.into())?.to_vec();
    let field = match ip.next_header.0 {
        6 if l4.len() < 20 => return None,
        6 => 16,
        _ => {
            let covered = UdpPacket::new_checked(&l4[..]).ok()?.len();
            l4.truncate(covered.into());
            6
        }
    };
    l4[field..field + 2].fill(0);
    let checksum = match ipv6_sum(&ip, &l4) {
        0 if field == 6 => 0xFFFF,
        other => other,
    };
    frame[54 + field..54 + field + 2].copy_from_slice(&checksum.to_be_bytes());
    Some(())
}

/// Frame number `n` of the neighbour block, told from others by its destination.
fn arp_frame(r: &mut Rng, n: u8) -> Vec<u8> {
    [&[0xEE; 6][..], &OWN, &[8, 6], &frames::arp(r), &[n]].concat()
}

/// Runs `packets` and `arps` through and compares.
fn compare(bench: &mut Bench, packets: &[Packet], arps: &[Vec<u8>]) {
    for packet in packets {
        bench.send(packet);
    }
    for arp in arps {
        let wait = bench.rng.below(60);
        bench.idle(wait);
        bench.send_arp(arp);
    }
    bench.drain();
    let want: Vec<_> = packets.iter().filter_map(expect).collect();
    let verdicts: Vec<_> = want.iter().map(|w| w.0).collect();
    assert_eq!(bench.verdicts, verdicts);
    let (arp, data): (Vec<_>, Vec<_>) = bench
        .frames
        .iter()
        .cloned()
        .partition(|f| f[..6] == [0xEE; 6]);
    let sent: Vec<_> = want.iter().filter_map(|w| w.1.clone()).collect();
    for (i, (got, want)) in data.iter().zip(&sent).enumerate() {
        assert_eq!(got, want, "frame {i}");
    }
    assert_eq!(data.len(), sent.len());
    assert_eq!(arp, arps);
    let bytes: usize = bench.frames.iter().map(Vec::len).sum();
    assert_eq!(bench.bytes, bytes as u64);
    assert_eq!(
        bench.counts[counter::TX_FRAMES as usize],
        bench.frames.len() as u64
    );
    let misses = verdicts
        .iter()
        .filter(|v| matches!(v, Verdict::Miss(_)))
        .count();
    assert_eq!(bench.counts[counter::ARP_MISSES as usize], misses as u64);
}

/// A packet of any kind, its checksum fields full of rubbish if the hardware is to fill them.
fn packet(r: &mut Rng, max_payload: usize) -> Packet {
    let mut p = Packet {
        raw: r.percent(30),
        ipcs: r.percent(80),
        l4cs: r.percent(80),
        next_hop: r.below(8) as u8,
        abort: r.percent(7),
        stamp: r.percent(15),
        tag: r.percent(40).then(|| r.next() as u16),
        ..Packet::default()
    };
    if p.raw {
        p.bytes = frames::frame(r, max_payload);
        let len = if r.percent(10) {
            1 + r.below(20)
        } else {
            p.bytes.len()
        };
        p.bytes.truncate(len);
        if p.bytes.len() > 74 && p.bytes[12..14] == [0x86, 0xDD] {
            let field = if p.bytes[20] == 6 { 70 } else { 60 };
            p.bytes[field] = r.next() as u8;
            if r.percent(30) {
                // EtherType, version, payload length, next header, UDP length.
                let at = [12, 14, 18, 19, 20, 58, 59][r.below(7)];
                p.bytes[at] ^= 1 << r.below(8);
            }
        }
        return p;
    }
    p.bytes = frames::ipv4(r, max_payload);
    let header = usize::from(p.bytes[0] & 15) * 4;
    let field = match p.bytes[9] {
        6 => Some(16),
        17 => Some(6),
        _ => None,
    };
    if p.ipcs {
        p.bytes[10] = r.next() as u8;
        p.bytes[11] = r.next() as u8;
    }
    if let (true, Some(field)) = (p.l4cs, field) {
        if p.bytes.len() >= header + field + 2 {
            p.bytes[header + field] = r.next() as u8;
            p.bytes[header + field + 1] = r.next() as u8;
        }
    }
    if r.percent(10) {
        let n = 1 + r.below(30);
        p.bytes.extend(r.bytes(n));
    }
    if r.percent(15) {
        // Wrong version, IHL, length, protocol, addresses, UDP length.
        let at = [0, 0, 2, 3, 9, 16, header + 4, header + 5][r.below(8)];
        if at < p.bytes.len() {
            p.bytes[at] = p.bytes[at].wrapping_add(1 << r.below(8));
        }
    }
    if r.percent(4) {
        p.bytes.truncate(1 + r.below(40));
    }
    p
}

proptest! {
    #![proptest_config(crate::common::cases(40))]
    #[test]
    fn every_packet_leaves_as_smoltcp_would_finish_it(
        seed: u64,
        ready in prop::sample::select(vec![100_usize, 60, 15]),
        gap in prop::sample::select(vec![0_usize, 40, 85]),
    ) {
        let mut bench = Bench::new(seed);
        bench.ready_percent = ready;
        bench.gap_percent = gap;
        let mut r = Rng(seed);
        let packets: Vec<_> = (0..50).map(|_| packet(&mut r, 300)).collect();
        let arps: Vec<_> = (0..15).map(|n| arp_frame(&mut r, n)).collect();
        compare(&mut bench, &packets, &arps);
    }
}

#[test]
fn both_checksums_on_the_wire_verify_and_the_header_is_right() {
    let mut r = Rng(2);
    let mut bench = Bench::new(2);
    let mut seen = 0;
    for _ in 0..150 {
        let mut p = packet(&mut r, 1400);
        p.raw = false;
        p.abort = false;
        p.tag = None;
        (p.ipcs, p.l4cs) = (true, true);
        bench.frames.clear();
        bench.send(&p);
        bench.drain();
        let Some(frame) = bench.frames.first() else {
            continue;
        };
        seen += 1;
        let eth = EthernetFrame::new_checked(&frame[..]).expect("Ethernet");
        assert_eq!(eth.src_addr().0, OWN);
        assert_eq!(eth.ethertype(), EthernetProtocol::Ipv4);
        let ip = Ipv4Packet::new_checked(eth.payload()).expect("IPv4");
        assert_eq!(
            eth.dst_addr().0,
            neighbour(ip.dst_addr().to_bits(), p.next_hop).expect("hit")
        );
        assert!(ip.verify_checksum());
        if ip.more_frags() || ip.frag_offset() != 0 {
            continue;
        }
        let (src, dst) = (
            IpAddress::from(ip.src_addr()),
            IpAddress::from(ip.dst_addr()),
        );
        match ip.next_header() {
            IpProtocol::Tcp => {
                assert!(TcpPacket::new_unchecked(ip.payload()).verify_checksum(&src, &dst))
            }
            IpProtocol::Udp => {
                let udp = UdpPacket::new_checked(ip.payload()).expect("UDP");
                assert!(udp.checksum() != 0 && udp.verify_checksum(&src, &dst));
            }
            _ => {}
        }
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn a_udp_sum_of_zero_is_sent_as_all_ones() {
    let mut r = Rng(3);
    let mut bench = Bench::new(3);
    let mut packets = vec![];
    for _ in 0..20 {
        let (src, dst) = (r.four(), [10, 0, 0, 1 + r.below(4) as u8]);
        let with = |data: [u8; 2]| {
            let mut bytes = vec![];
            etherparse::PacketBuilder::ipv4(src, dst, 64)
                .udp(7, 9)
                .write(&mut bytes, &data)
                .expect("writes");
            bytes
        };
        // The sum of everything else as payload makes the whole zero.
        let first = with([0, 0]);
        let bytes = with([first[26], first[27]]);
        assert_eq!(bytes[26..28], [0xFF, 0xFF], "etherparse agrees");
        packets.push(Packet {
            bytes,
            l4cs: true,
            ipcs: true,
            ..Packet::default()
        });
    }
    compare(&mut bench, &packets, &[]);
    assert!(bench.frames.iter().all(|f| f[40..42] == [0xFF, 0xFF]));
    assert!(!bench.frames.is_empty());
}

#[test]
fn an_ipv6_checksum_is_inserted_at_each_length_and_zero_is_sent_as_all_ones() {
    let mut r = Rng(6);
    let mut bench = Bench::new(6);
    let mut packets = vec![];
    let mut ones = 0;
    for n in (0..70).chain(8940..8970) {
        let addresses: [[u8; 16]; 2] = [0; 2].map(|_| r.bytes(16).try_into().expect("16 bytes"));
        let with = |tcp: bool, data: &[u8]| {
            let mut bytes = vec![];
            let start = etherparse::PacketBuilder::ethernet2(OWN, [2; 6]).ipv6(
                addresses[0],
                addresses[1],
                64,
            );
            if tcp {
                start.tcp(7, 9, 5, 6).write(&mut bytes, data)
            } else {
                start.udp(7, 9).write(&mut bytes, data)
            }
            .expect("writes");
            bytes
        };
        let data = r.bytes(n);
        // The sum of everything else as payload makes the whole zero.
        let first = with(false, &[0, 0]);
        let zero = with(false, &first[60..62]);
        for mut bytes in [with(false, &data), with(true, &data), zero] {
            let field = if bytes[20] == 6 { 70 } else { 60 };
            ones += usize::from(bytes[field..field + 2] == [0xFF, 0xFF]);
            bytes[field..field + 2].copy_from_slice(&[r.next() as u8, r.next() as u8]);
            packets.push(Packet {
                bytes,
                raw: true,
                l4cs: true,
                tag: r.percent(50).then_some(0xE007),
                ..Packet::default()
            });
        }
    }
    assert!(ones >= 100);
    compare(&mut bench, &packets, &[]);
}

#[test]
fn each_length_up_to_the_longest_and_no_longer() {
    let mut r = Rng(4);
    let mut bench = Bench::new(4);
    let mut packets = vec![];
    let lengths = (0..40).chain(1440..1475).chain(8960..=8980);
    for n in lengths {
        let mut bytes = vec![];
        etherparse::PacketBuilder::ipv4(r.four(), [10, 0, 0, 1], 64)
            .udp(7, 9)
            .write(&mut bytes, &r.bytes(n))
            .expect("writes");
        packets.push(Packet {
            bytes,
            l4cs: true,
            ipcs: true,
            next_hop: 0,
            ..Packet::default()
        });
    }
    for n in [14, 60, 9017, 9018, 9019, 9024, 9025, 12_000, 20_000, 100] {
        packets.push(Packet {
            bytes: r.bytes(n),
            raw: true,
            tag: r.percent(50).then_some(0xE007),
            ..Packet::default()
        });
    }
    let bytes = r.bytes(30_000);
    packets.push(Packet {
        bytes: bytes.clone(),
        ..Packet::default()
    });
    packets.push(Packet {
        bytes,
        abort: true,
        raw: true,
        ..Packet::default()
    });
    packets.push(Packet {
        bytes: r.bytes(64),
        raw: true,
        ..Packet::default()
    });
    compare(&mut bench, &packets, &[]);
}

#[test]
fn a_slow_wire_holds_the_host_back_and_loses_nothing() {
    let mut r = Rng(5);
    let mut bench = Bench::new(5);
    bench.ready_percent = 0;
    let packets: Vec<_> = (0..40)
        .map(|_| Packet {
            bytes: r.bytes(1000),
            raw: true,
            ..Packet::default()
        })
        .collect();
    for p in &packets {
        bench.send(p);
    }
    bench.idle(8000);
    // 125 beats and a length each; the thirty-third waits half-way.
    assert_eq!(bench.verdicts.len(), 4095 / 126);
    bench.ready_percent = 50;
    bench.drain();
    let want: Vec<_> = packets.iter().map(|p| p.bytes.clone()).collect();
    assert_eq!(bench.frames, want);
}

#[test]
fn without_enable_frames_wait_and_the_path_is_not_busy() {
    let mut r = Rng(6);
    let mut bench = Bench::new(6);
    bench.enable = false;
    let p = Packet {
        bytes: r.bytes(100),
        raw: true,
        ..Packet::default()
    };
    bench.send(&p);
    bench.idle(100);
    assert_eq!((bench.verdicts.len(), bench.frames.len()), (1, 0));
    assert!(!bench.dut.u.busy.val());
    bench.enable = true;
    bench.drain();
    assert_eq!(bench.frames, vec![p.bytes]);
}

/// A frame that waited would keep the neighbour block busy for as long as transmission is off.
#[test]
fn without_enable_arp_frames_are_dropped_whole() {
    let mut r = Rng(9);
    let mut bench = Bench::new(9);
    bench.enable = false;
    for n in 0..3 {
        let frame = arp_frame(&mut r, n);
        bench.send_arp(&frame);
    }
    bench.drain();
    assert!(bench.frames.is_empty());
    assert_eq!(bench.counts[counter::TX_FRAMES as usize], 0);
    // Enabled again while the first of two frames is on its way.
    for cycles in 0..10 {
        let [first, second] = [0, 1].map(|n| arp_frame(&mut r, n));
        bench.enable = false;
        bench.send_arp(&first);
        bench.send_arp(&second);
        bench.idle(cycles);
        bench.enable = true;
        bench.drain();
        let sent = std::mem::take(&mut bench.frames);
        assert!([first, second].ends_with(&sent), "{cycles}: {sent:?}");
        assert!(cycles > 0 || sent.len() == 2);
    }
}

#[test]
fn arp_and_data_take_turns() {
    let mut r = Rng(7);
    let mut bench = Bench::new(7);
    for _ in 0..10 {
        bench.send(&Packet {
            bytes: r.bytes(60),
            raw: true,
            ..Packet::default()
        });
    }
    bench.enable = false;
    bench.idle(400);
    for n in 0..10 {
        let arp = arp_frame(&mut r, n);
        bench.send_arp(&arp);
    }
    bench.enable = true;
    bench.drain();
    let arp: Vec<_> = bench.frames.iter().map(|f| f[..6] == [0xEE; 6]).collect();
    // The buffer needs two cycles between its frames, in which the next ARP frame may start.
    let alternate = arp[..16].windows(2).filter(|w| w[0] != w[1]).count();
    assert!(alternate >= 12, "{arp:?}");
}

#[test]
fn reset_anywhere_leaves_nothing_behind() {
    let mut r = Rng(8);
    for cut in 1..60 {
        let mut bench = Bench::new(cut);
        bench.ready_percent = 50;
        for _ in 0..4 {
            let p = packet(&mut r, 100);
            bench.send(&p);
        }
        bench.idle(cut as usize * 3);
        bench.reset();
        bench.idle(1);
        assert!(!bench.dut.u.busy.val(), "cut {cut}");
        bench.verdicts.clear();
        bench.frames.clear();
        bench.counts = [0; 32];
        bench.bytes = 0;
        let packets: Vec<_> = (0..3).map(|_| packet(&mut r, 100)).collect();
        compare(&mut bench, &packets, &[]);
    }
}

#[test]
fn an_idle_path_does_not_change() {
    let mut r = Rng(9);
    let mut bench = Bench::new(9);
    for _ in 0..10 {
        let p = packet(&mut r, 200);
        bench.send(&p);
        bench.drain();
        // Valid flags and the flag that tells of room in the buffer follow some cycles later.
        bench.idle(3);
        let before = registers(&*bench.dut.u);
        assert!(before.len() > 50);
        for _ in 0..5 {
            bench.idle(1);
            assert!(!bench.dut.u.busy.val());
            assert_eq!(before, registers(&*bench.dut.u));
        }
    }
}

#[test]
fn the_verilog_does_the_same() {
    let mut r = Rng(10);
    let mut bench = Bench::new(10);
    bench.trace = Some(Trace::default());
    bench.reset();
    bench.ready_percent = 60;
    bench.gap_percent = 20;
    for n in 0..60 {
        let p = packet(&mut r, 150);
        bench.send(&p);
        if n % 4 == 0 {
            let arp = arp_frame(&mut r, n);
            bench.send_arp(&arp);
        }
        bench.idle(40);
    }
    bench.drain();
    let trace = bench.trace.take().expect("recorded");
    trace.check::<TxPath>("tx_path");
}

#[test]
fn verilator_accepts_the_verilog() {
    let text = ferrule_rtl::verilog::emit::<TxPath>("tx_path").expect("emits");
    crate::common::verilator_lint("tx_path", &text);
}
