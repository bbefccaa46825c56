//! `RxPath` with RXCTL.ECHO: which frames are answered, and that the others meet the fate they meet without it.
use super::oracle::{answer, Local, Request};
use crate::lockstep::Trace;
use crate::rx::frames::{self, Rng, OWN};
use crate::rx::harness::Bench;
use crate::rx::oracle::{bad, judge, rxctl, untag};
use ferrule_abi::counter;
use ferrule_rtl::{
    icmp::{reply::EchoReply, request::EchoRequest},
    rx::RxPath,
};
use proptest::prelude::*;
use smoltcp::wire::{EthernetFrame, Icmpv4Packet, Icmpv4Repr, Ipv4Packet, Ipv4Repr};

const LOCALS: [Local; 5] = [
    (0xC000_0201, 0xFFFF_FF00),
    (0xC000_0302, 0xFFFF_FFFE),
    (0x0A01_0203, 0xFF00_0000),
    (0xCB00_7105, 0xFFFF_FFFF),
    (0xCB00_7189, 0xFFFF_FFF0),
];

/// A frame that may be answered, or has something about it that speaks against it.
fn frame(r: &mut Rng) -> Vec<u8> {
    let len = match r.below(10) {
        0 => 0,
        1..8 => r.below(100),
        _ => r.below(1_500),
    };
    let target = LOCALS[r.below(5)].0;
    let mut request = Request::good(r, OWN, target, len);
    match r.below(30) {
        0 => request.to = [0xFF; 6],
        1 => request.to = frames::GROUPS[r.below(24)],
        2 => request.to[r.below(6)] ^= 1 << r.below(8),
        3 => request.from[0] = 0xFF,
        4 => request.source = LOCALS[r.below(5)].0.to_be_bytes(),
        5 => {
            let (address, mask) = LOCALS[r.below(5)];
            request.source = (address | !mask).to_be_bytes();
        }
        6 => request.source = [0; 4],
        7 => request.source[0] = [0, 127, 224, 239, 240, 255][r.below(6)],
        8 => request.source = [0xFF; 4],
        9 => request.target = [0; 4],
        10 => request.target = r.four(),
        11 => request.target[r.below(4)] ^= 1 << r.below(8),
        12 => {
            // Another host of the subnet, its network address.
            let (address, mask) = LOCALS[r.below(5)];
            request.source = (address & mask).to_be_bytes();
        }
        _ => {}
    }
    let mut frame = request.frame(r);
    if r.percent(25) {
        frames::corrupt(r, &mut frame);
    }
    if r.percent(10) {
        // Set right what may have been changed in the header, so that the field itself matters.
        let mut ip = Ipv4Packet::new_unchecked(&mut frame[14..]);
        match r.below(4) {
            0 => ip.set_more_frags(true),
            1 => ip.set_frag_offset(8 * (1 + r.below(100)) as u16),
            2 => ip.set_next_header(17.into()),
            _ => ip.set_dont_frag(true),
        }
        ip.set_header_len(20);
        ip.fill_checksum();
    }
    if r.percent(10) {
        let mut icmp = Icmpv4Packet::new_unchecked(&mut frame[34..]);
        if r.percent(50) {
            icmp.set_msg_code(1);
        } else {
            icmp.set_msg_type(0.into());
        }
    }
    if r.percent(8) {
        let tci = r.next() as u16;
        frame = frames::tagged(frame, tci);
    }
    frame
}

/// Sends `frames`, each with a gap of up to `gap` cycles more than must be, and holds all that comes of them against the oracles.
fn compare(bench: &mut Bench, frames: &[(Vec<u8>, u8)], gap: usize) {
    let mut counts = [0_u64; 32];
    let (mut packets, mut replies) = (vec![], vec![]);
    bench.idle(1);
    for (frame, bad) in frames {
        bench.send(frame, *bad);
        let fate = judge(frame, *bad, bench.rxctl, OWN, bench.enable, &bench.tables);
        if let Some(counter) = fate.dropped {
            counts[counter as usize] += 1;
        }
        let answered = answer(frame, OWN, &LOCALS).filter(|_| {
            let damaged = *bad & (bad::FCS | bad::RX_ER) != 0;
            bench.had_place
                && !damaged
                && fate.delivered.is_some()
                && bench.rxctl & rxctl::ECHO != 0
        });
        if let Some(reply) = answered {
            counts[counter::ICMP_ECHOES as usize] += 1;
            replies.push(reply);
        } else if fate.delivered.is_some() {
            counts[counter::RX_FRAMES as usize] += 1;
            let stripped = untag(frame).filter(|_| bench.rxctl & rxctl::VLAN_STRIP != 0);
            packets.push(stripped.map_or_else(|| frame.clone(), |(inner, _)| inner));
        }
        if fate.arp.is_some() {
            counts[counter::RX_ARP as usize] += 1;
        }
        let more = bench.rng.below(gap + 1);
        bench.gap(more);
    }
    bench.drain();
    let got: Vec<_> = bench.packets.iter().map(|p| p.bytes.clone()).collect();
    assert_eq!(got, packets, "delivered");
    assert_eq!(bench.replies, replies, "answers");
    assert_eq!(bench.counts, counts, "counters");
}

fn bench(seed: u64) -> Bench {
    let mut bench = Bench::new(seed);
    bench.rxctl = rxctl::ECHO | rxctl::BROADCAST;
    bench.set_locals(&LOCALS);
    bench
}

proptest! {
    #![proptest_config(crate::common::cases(40))]
    #[test]
    fn each_request_is_answered_as_etherparse_would_or_delivered(
        seed: u64, mode in 0_u32..1024, echo in prop::bool::weighted(0.9),
        ready in prop::sample::select(vec![100_usize, 60, 20]),
        reply in prop::sample::select(vec![100_usize, 60, 10]),
        beats in prop::sample::select(vec![0_usize, 30, 85]),
        gap in prop::sample::select(vec![0_usize, 20, 200]),
    ) {
        let mut bench = bench(seed);
        bench.rxctl = mode & !rxctl::VLAN_FILTER & !rxctl::ECHO;
        if echo {
            bench.rxctl |= rxctl::ECHO;
        }
        (bench.ready_percent, bench.reply_percent, bench.gap_percent) = (ready, reply, beats);
        let mut r = Rng(!seed);
        let frames: Vec<_> = (0..60)
            .map(|_| {
                let other = r.percent(15);
                let frame = if other { frames::frame(&mut r, 200) } else { frame(&mut r) };
                (frame, if r.percent(4) { bad::FCS } else { 0 })
            })
            .collect();
        compare(&mut bench, &frames, gap);
    }
}

#[test]
fn each_length_is_answered_and_one_byte_too_many_is_delivered() {
    let mut r = Rng(3);
    let mut bench = bench(3);
    for len in (0..80).chain([1_471, 1_472, 1_473, 2_000, 4_000]) {
        let request = Request::good(&mut r, OWN, LOCALS[0].0, len);
        bench.send(&request.frame(&mut r), 0);
        bench.drain();
        let seen = bench.replies.pop();
        assert_eq!(seen.is_some(), len <= 1_472, "{len} bytes");
        let Some(reply) = seen else { continue };
        // smoltcp's word for it, as a host would look at it.
        let eth = EthernetFrame::new_checked(&reply[..]).expect("a frame");
        let ip = Ipv4Packet::new_checked(eth.payload()).expect("a packet");
        let checks = smoltcp::phy::ChecksumCapabilities::default();
        let header = Ipv4Repr::parse(&ip, &checks).expect("right");
        assert_eq!(
            (header.hop_limit, header.dst_addr.octets()),
            (64, request.source)
        );
        assert_eq!(header.src_addr.to_bits(), LOCALS[0].0);
        let icmp = Icmpv4Packet::new_checked(ip.payload()).expect("ICMP");
        let Ok(Icmpv4Repr::EchoReply { data, .. }) = Icmpv4Repr::parse(&icmp, &checks) else {
            panic!("no answer: {reply:02x?}");
        };
        assert_eq!(data, request.data);
        assert_eq!((eth.dst_addr().0, eth.src_addr().0), (request.from, OWN));
    }
}

#[test]
fn each_ttl_and_each_checksum_leads_to_a_right_one() {
    let mut r = Rng(4);
    let mut bench = bench(4);
    // The data makes the checksum go through the values around those where carries come and go.
    let frames: Vec<_> = (0..=255_u8)
        .map(|n| {
            let mut request = Request::good(&mut r, OWN, LOCALS[usize::from(n) % 5].0, 6);
            request.ttl = n;
            let mut frame = request.frame(&mut r);
            let wanted = (0xF7F0_u16).wrapping_add(u16::from(n) * 16 + u16::from(n % 16));
            let mut icmp = Icmpv4Packet::new_unchecked(&mut frame[34..48]);
            icmp.data_mut().fill(0);
            icmp.set_checksum(wanted);
            // What is missing goes into the sequence number (RFC 1071: the sum of all is 0xFFFF).
            icmp.set_echo_seq_no(0);
            let sum = smoltcp::wire::checksum::data(icmp.into_inner());
            Icmpv4Packet::new_unchecked(&mut frame[34..48]).set_echo_seq_no(!sum);
            (frame, 0)
        })
        .collect();
    for chunk in frames.chunks(2) {
        bench.counts = [0; 32];
        bench.packets.clear();
        bench.replies.clear();
        compare(&mut bench, chunk, 0);
    }
}

#[test]
fn a_third_request_is_delivered_while_two_answers_wait() {
    let mut r = Rng(5);
    let mut bench = bench(5);
    bench.reply_percent = 0;
    let frames: Vec<_> = (0..5)
        .map(|_| Request::good(&mut r, OWN, LOCALS[1].0, 40).frame(&mut r))
        .collect();
    for frame in &frames[..4] {
        bench.send(frame, 0);
        bench.gap(0);
    }
    bench.idle(50);
    assert_eq!(bench.packets.len(), 2);
    bench.reply_percent = 100;
    bench.drain();
    bench.send(&frames[4], 0);
    bench.drain();
    let want = [0, 1, 4].map(|n| answer(&frames[n], OWN, &LOCALS).expect("a good one"));
    assert_eq!(bench.replies, want);
    assert_eq!(bench.counts[counter::ICMP_ECHOES as usize], 3);
    assert_eq!(bench.counts[counter::RX_FRAMES as usize], 2);
}

#[test]
fn requests_at_the_pace_of_the_wire_are_all_answered() {
    // 64 bytes, preamble and gap: 84 byte times of a clock each, the same for answers.
    let mut r = Rng(6);
    let mut bench = bench(6);
    for _ in 0..30 {
        let mut frame = Request::good(&mut r, OWN, LOCALS[2].0, 18).frame(&mut r);
        frame.truncate(60);
        for (beat, left) in crate::rx::harness::beats(&frame)
            .into_iter()
            .zip((0..8).rev())
        {
            bench.cycle(Some(beat), 0);
            bench.idle(if left == 0 { 84 - 64 + 7 } else { 7 });
        }
    }
    bench.drain();
    assert_eq!(bench.replies.len(), 30);
    assert_eq!(bench.counts[counter::ICMP_ECHOES as usize], 30);
}

#[test]
fn a_reset_in_a_request_or_an_answer_leaves_nothing_behind() {
    let mut r = Rng(7);
    for cut in 0..40 {
        let mut bench = bench(cut);
        let frame = Request::good(&mut r, OWN, LOCALS[0].0, 60).frame(&mut r);
        bench.send(&frame, 0);
        bench.idle(cut as usize);
        let next = Request::good(&mut r, OWN, LOCALS[0].0, 60).frame(&mut r);
        for beat in crate::rx::harness::beats(&next)
            .into_iter()
            .take(cut as usize % 12)
        {
            bench.cycle(Some(beat), 0);
        }
        bench.reset();
        bench.replies.clear();
        bench.counts = [0; 32];
        let frame = Request::good(&mut r, OWN, LOCALS[3].0, 30).frame(&mut r);
        bench.idle(2);
        bench.send(&frame, 0);
        bench.drain();
        let want = answer(&frame, OWN, &LOCALS).expect("a good one");
        assert_eq!(bench.replies, [want], "reset after {cut} cycles");
        assert_eq!(bench.packets.len(), 0);
    }
}

#[test]
fn the_verilog_does_the_same() {
    let mut bench = Bench::new(8);
    bench.trace = Some(Trace::default());
    bench.reset();
    bench.rxctl = rxctl::ECHO | rxctl::BROADCAST;
    bench.set_locals(&LOCALS);
    (bench.gap_percent, bench.reply_percent) = (10, 40);
    let mut r = Rng(8);
    for _ in 0..60 {
        let frame = frame(&mut r);
        bench.send(&frame[..frame.len().min(200)], 0);
        let more = bench.rng.below(30);
        bench.gap(more);
    }
    bench.drain();
    assert!(bench.replies.len() > 10);
    let trace = bench.trace.take().expect("recorded");
    trace.check::<RxPath>("rx_path_echo");
}

#[test]
fn verilator_accepts_the_verilog() {
    let text = ferrule_rtl::verilog::emit::<EchoRequest>("echo_request").expect("emits");
    crate::common::verilator_lint("echo_request", &text);
    let text = ferrule_rtl::verilog::emit::<EchoReply>("echo_reply").expect("emits");
    crate::common::verilator_lint("echo_reply", &text);
}
