//! Frames in both directions: every byte, every order, indices and phases that wrap, slots that are held, no register reads, few doorbells.
use crate::fake::*;
use ferrule_abi::regs;
use ferrule_abi::ring::{cqe_status as st, event_code, sqe_flags as fl, Event};
use ferrule_driver::nic::{
    Checksum, NextHop, NicConfig, NicError, NicEvent, RxBuf, Segments, Transport, TxCompletion,
    TxError, TxFrame, TxMode, TxOutcome,
};
use ferrule_driver::Nic;
use proptest::prelude::*;
use std::collections::VecDeque;

/// A frame whose bytes tell its number and their place.
fn pattern(number: usize, len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| (number.wrapping_mul(31) ^ i.wrapping_mul(7) ^ (i >> 8)) as u8)
        .collect()
}

fn raw<'a>(parts: &'a [&'a [u8]], token: u64, report: bool) -> TxFrame<'a> {
    TxFrame {
        parts,
        mode: TxMode::Raw,
        vlan: None,
        token,
        report,
        ..TxFrame::default()
    }
}

fn receive(nic: &mut Nic, max: usize) -> Vec<ferrule_driver::nic::RxFrame> {
    let mut frames = Vec::new();
    let count = nic.rx_batch(max, &mut frames).unwrap();
    assert_eq!(count, frames.len());
    frames
}

#[test]
fn all_indices_and_phases_wrap_without_a_register_read() {
    let fake = Fake::new();
    let mut nic = fake.open(&small()).unwrap();
    let reads = fake.lock().reads;
    let link = |n: usize| Event {
        code: event_code::LINK,
        detail: (n % 2) as u16,
        ..Event::default()
    };
    // More than twice around 2^15, so more than 4,096 times around the rings.
    let (total, mut sent, mut seen) = (70_000usize, 0usize, 0usize);
    let mut reported = 0u64;
    while seen < total {
        for n in 0..5 {
            assert!(fake
                .lock()
                .deliver(&pattern(seen + n, 60 + (seen + n) % 40), 0));
        }
        for frame in receive(&mut nic, 64) {
            assert_eq!(frame.head[..], pattern(seen, 60 + seen % 40)[..]);
            seen += 1;
        }
        let data: Vec<_> = (0..5).map(|n| pattern(sent + n, 64)).collect();
        let parts: Vec<[&[u8]; 1]> = data.iter().map(|d| [&d[..]]).collect();
        let frames: Vec<_> = parts
            .iter()
            .enumerate()
            .map(|(n, p)| raw(p, (sent + n) as u64, true))
            .collect();
        assert_eq!(nic.tx_batch(&frames).unwrap(), 5);
        for d in &data {
            assert_eq!(&fake.lock().transmit().unwrap().bytes, d);
            sent += 1;
        }
        for done in nic.tx_completions().unwrap() {
            assert_eq!(
                done,
                TxCompletion {
                    token: reported,
                    outcome: TxOutcome::Sent { timestamp: None }
                }
            );
            reported += 1;
        }
        fake.lock().event(link(seen));
        assert_eq!(
            nic.events().unwrap(),
            [NicEvent::Link { up: seen % 2 == 1 }]
        );
    }
    assert_eq!(reported as usize, sent);
    assert_eq!(nic.tx_outstanding(), 0);
    assert_eq!(fake.lock().reads, reads);
    fake.assert_content();
}

#[test]
fn a_batch_costs_one_doorbell() {
    let fake = Fake::new();
    let mut nic = fake.open(&NicConfig::default()).unwrap();
    let data = [7u8; 64];
    let part: [&[u8]; 1] = [&data];
    let before = fake.lock().doorbells;
    assert_eq!(nic.tx_batch(&[raw(&part, 0, false); 64]).unwrap(), 64);
    assert_eq!(fake.lock().doorbells, before + 1);
    let wanted = (0..64)
        .filter(|_| fake.lock().transmit().unwrap().wanted)
        .count();
    assert_eq!(
        wanted, 1,
        "only the last of a batch that fits a quarter of the ring"
    );
    for n in 0..64 {
        assert!(fake.lock().deliver(&pattern(n, 60), 0));
    }
    assert_eq!(receive(&mut nic, 100).len(), 64);
    assert_eq!(fake.lock().doorbells, before + 2);
    assert!(nic.tx_completions().unwrap().is_empty());
    assert_eq!(nic.tx_outstanding(), 0);
    // Under load in small bites: still one for 16 frames.
    let before = fake.lock().doorbells;
    for n in 0..160 {
        assert!(fake.lock().deliver(&pattern(n, 60), 0));
        assert_eq!(receive(&mut nic, 100).len(), 1);
    }
    assert_eq!(fake.lock().doorbells, before + 10);
    fake.assert_content();
}

#[test]
fn a_full_ring_asks_for_enough_completions_to_go_on() {
    let fake = Fake::new();
    let mut nic = fake.open(&small()).unwrap();
    let data = pattern(0, 5000);
    let part: [&[u8]; 1] = [&data];
    for round in 0..50 {
        // Three SQEs a frame: five fit, none of which ends the batch.
        let taken = nic.tx_batch(&[raw(&part, 0, false); 9]).unwrap();
        assert!(
            taken >= if round == 0 { 5 } else { 4 },
            "{taken} in round {round}"
        );
        while let Some(sent) = {
            let s = fake.lock().transmit();
            s
        } {
            assert_eq!(sent.bytes, data);
        }
        assert!(nic.tx_completions().unwrap().is_empty());
        assert!(
            nic.tx_outstanding() < 4,
            "{} SQEs without a completion to come",
            nic.tx_outstanding()
        );
    }
    fake.assert_content();
}

#[test]
fn a_ring_that_looks_full_is_looked_at_again() {
    let fake = Fake::new();
    let mut nic = fake.open(&small()).unwrap();
    let data = pattern(0, 100);
    let part: [&[u8]; 1] = [&data];
    assert_eq!(nic.tx_batch(&[raw(&part, 0, true); 20]).unwrap(), 16);
    assert!(!nic.send(&raw(&part, 0, true)).unwrap());
    for _ in 0..16 {
        fake.lock().transmit().unwrap();
    }
    // Nobody has asked for completions; they are kept for who does.
    assert_eq!(nic.tx_batch(&[raw(&part, 0, true); 16]).unwrap(), 16);
    assert_eq!(nic.tx_completions().unwrap().len(), 16);
    fake.assert_content();
}

#[test]
fn what_the_hardware_says_of_a_frame_is_passed_on() {
    let fake = Fake::new();
    let mut nic = fake.open(&small()).unwrap();
    let all = st::IPV4 | st::IP_OK | st::TCP | st::CSUM_VALID | st::L4_OK | st::DROPPED_BEFORE;
    let statuses = [
        all,
        st::IPV4 | st::UDP | st::CSUM_VALID,
        st::IPV4 | st::IP_OK | st::FRAG,
        st::IPV6 | st::IP_OK | st::UDP | st::CSUM_VALID | st::L4_OK,
        st::FCS_ERR,
    ];
    for status in statuses {
        assert!(fake.lock().deliver(&pattern(1, 100), status));
    }
    let frames = receive(&mut nic, 9);
    let told: Vec<_> = frames
        .iter()
        .map(|f| (f.ipv4, f.ip_header_ok, f.transport, f.checksum))
        .collect();
    assert_eq!(
        told,
        [
            (true, true, Some(Transport::Tcp), Checksum::Good),
            (true, false, Some(Transport::Udp), Checksum::Bad),
            (true, true, None, Checksum::NotChecked),
            (false, true, Some(Transport::Udp), Checksum::Good),
            (false, false, None, Checksum::NotChecked),
        ]
    );
    assert_eq!(
        frames
            .iter()
            .map(|f| (f.dropped_before, f.fragment, f.bad_fcs))
            .collect::<Vec<_>>(),
        [
            (true, false, false),
            (false, false, false),
            (false, true, false),
            (false, false, false),
            (false, false, true)
        ]
    );
    assert_eq!(
        frames.iter().map(|f| f.ipv6).collect::<Vec<_>>(),
        [false, false, false, true, false]
    );
    // CQE words as the design has them: len | status, hash, timestamp, offsets (l3 at 14, l4 at 34) | slot.
    let mut state = fake.lock();
    let slot = u32::from(state.take_slot().unwrap());
    state.complete(
        RX,
        [
            100 | u32::from(st::TS_VALID) << 16,
            0xCAFE,
            77,
            7 | 17 << 8 | slot << 16,
        ],
    );
    let slot = u32::from(state.take_slot().unwrap());
    state.complete(
        RX,
        [100 | u32::from(st::VLAN) << 16, 0, 77, 0x2345 | slot << 16],
    );
    let slot = u32::from(state.take_slot().unwrap());
    state.complete(RX, [100, 0, 77, 50 | slot << 16]);
    drop(state);
    let told: Vec<_> = receive(&mut nic, 9)
        .iter()
        .map(|f| (f.hash, f.timestamp, f.vlan, f.l3_offset, f.l4_offset))
        .collect();
    assert_eq!(
        told,
        [
            (0xCAFE, Some(77), None, Some(14), Some(34)),
            (0, None, Some(0x2345), None, None),
            (0, None, None, None, None)
        ]
    );
    fake.assert_content();
}

#[test]
fn a_frame_longer_than_a_slot_is_cut_and_said_so() {
    let fake = Fake::new();
    let mut nic = fake
        .open(&NicConfig {
            max_frame: 9018,
            ..small()
        })
        .unwrap();
    let jumbo = pattern(3, 9000);
    assert!(fake.lock().deliver(&jumbo, 0));
    let frame = receive(&mut nic, 1).remove(0);
    assert!(frame.truncated);
    assert_eq!((frame.wire_len, frame.stored_len()), (9000, 2048));
    assert_eq!(frame.to_vec(), jumbo[..2048]);
    fake.assert_content();
}

#[test]
fn held_packets_keep_their_bytes_whatever_comes_and_outlive_the_nic() {
    let fake = Fake::new();
    let mut nic = fake.open(&small()).unwrap();
    let mut held = Vec::new();
    for n in 0..200 {
        assert!(
            fake.lock().deliver(&pattern(n, 1500), 0),
            "holding packets must not starve the device"
        );
        held.extend(receive(&mut nic, 1));
    }
    let in_slots = held
        .iter()
        .filter(|f| f.body.as_ref().is_some_and(RxBuf::holds_slot))
        .count();
    assert!((1..=8).contains(&in_slots), "{in_slots} of 16 slots");
    drop(nic);
    for (n, frame) in held.iter().enumerate() {
        assert_eq!(frame.head.len(), 128);
        assert_eq!(frame.to_vec(), pattern(n, 1500));
    }
    let body = held[0].body.as_ref().unwrap();
    let part = body.slice(100..300).slice(50..60);
    assert_eq!(part.to_vec(), pattern(0, 1500)[128 + 150..128 + 160]);
    assert!(std::panic::catch_unwind(|| body.copy_to(1370, &mut [0; 3])).is_err());
    assert!(std::panic::catch_unwind(|| part.slice(5..11)).is_err());
    fake.assert_content();
}

#[test]
fn dropped_packets_give_their_slots_back_from_any_thread() {
    let fake = Fake::new();
    let mut nic = fake.open(&small()).unwrap();
    for n in 0..100 {
        for i in 0..7 {
            assert!(fake.lock().deliver(&pattern(n + i, 1000), 0));
        }
        let frames = receive(&mut nic, 7);
        assert!(frames
            .iter()
            .all(|f| f.body.as_ref().is_some_and(RxBuf::holds_slot)));
        std::thread::spawn(move || drop(frames)).join().unwrap();
        nic.arm().unwrap();
        assert_eq!(fake.lock().slots_lent(), 16);
    }
    fake.assert_content();
}

#[test]
fn modes_become_the_flags_of_the_design() {
    let fake = Fake::new();
    let mut nic = fake.open(&small()).unwrap();
    let packet = pattern(0, 100);
    let parts: [&[u8]; 1] = [&packet];
    let ip = |next_hop, ip_checksum, l4_checksum| TxMode::Ip {
        next_hop,
        ip_checksum,
        l4_checksum,
    };
    for (mode, vlan, flags) in [
        (TxMode::Raw, None, fl::RAW),
        (TxMode::Raw, Some(0), fl::RAW | fl::VLAN_INS),
        (TxMode::IP, None, fl::IPCS | fl::L4CS),
        (TxMode::IP, Some(0xE123), fl::IPCS | fl::L4CS | fl::VLAN_INS),
        (ip(NextHop::Automatic, true, false), None, fl::IPCS),
        (
            ip(NextHop::Gateway(5), false, true),
            None,
            fl::L4CS | 5 << 10,
        ),
    ] {
        assert!(nic
            .send(&TxFrame {
                parts: &parts,
                mode,
                vlan,
                token: 0,
                report: false,
                ..TxFrame::default()
            })
            .unwrap());
        let mask = !(fl::SOP | fl::EOP | fl::CPL_REQ);
        let sent = fake.lock().transmit().unwrap();
        assert_eq!((sent.flags & mask, sent.tci), (flags, vlan.unwrap_or(0)));
    }
    for n in [0, 8] {
        let frame = TxFrame {
            mode: ip(NextHop::Gateway(n), true, true),
            ..raw(&parts, 0, false)
        };
        assert!(matches!(nic.send(&frame), Err(NicError::Tx(TxError::Gateway(g))) if g == n));
    }
    for (len, mode) in [
        (13, TxMode::Raw),
        (0, TxMode::Raw),
        (19, TxMode::IP),
        (16 * 1024 + 1, TxMode::IP),
    ] {
        let bytes = pattern(0, len);
        let frame = TxFrame {
            parts: &[&bytes],
            mode,
            vlan: None,
            token: 0,
            report: false,
            ..TxFrame::default()
        };
        assert!(
            matches!(nic.send(&frame), Err(NicError::Tx(TxError::Length { .. }))),
            "{len}"
        );
    }
    assert_eq!(nic.tx_max_frame(), 16 * 1024);
    fake.assert_content();
}

#[test]
fn a_tag_that_the_hardware_cannot_insert_is_refused() {
    let fake = Fake::new();
    let bit = regs::caps::VLAN_INSERT.of(1);
    fake.lock().absent.insert(regs::caps::OFFSET, bit);
    let mut nic = fake.open(&small()).unwrap();
    let part: &[u8] = &[0; 60];
    let parts = [part];
    let frame = TxFrame {
        vlan: Some(1),
        ..raw(&parts, 0, false)
    };
    let refused = nic.send(&frame);
    assert!(matches!(refused, Err(NicError::Tx(TxError::NoVlanInsert))));
    assert!(nic.send(&raw(&parts, 0, false)).unwrap());
}

#[test]
fn a_packet_to_be_cut_has_its_headers_in_an_sqe_of_their_own() {
    let fake = Fake::new();
    let mut nic = fake.open(&small()).unwrap();
    // 8 buffers are the longest frame, one of them for the headers.
    assert_eq!(nic.max_segmented(), 7 * 2048);
    let bytes = pattern(3, 60 + 7 * 2048);
    let segments = Some(Segments {
        header_bytes: 60,
        mss: 1448,
    });
    let cuts: [&[usize]; 4] = [&[], &[60], &[20, 40, 2048, 2108], &[61, 10_000]];
    for (n, cuts) in cuts.iter().enumerate() {
        let mut parts = vec![];
        let mut from = 0;
        for to in cuts.iter().copied().chain([bytes.len()]) {
            parts.push(&bytes[from..to]);
            from = to;
        }
        let frame = TxFrame {
            parts: &parts,
            vlan: Some(5),
            token: n as u64,
            segments,
            ..TxFrame::default()
        };
        assert!(nic.send(&frame).unwrap());
        let sent = fake.lock().take_frame().unwrap();
        assert_eq!(sent.bytes, bytes);
        assert_eq!(sent.segments, Some((60, 1448, Some(7 * 2048))));
        assert_eq!((sent.tci, sent.flags & (fl::TSO | fl::RAW)), (5, fl::TSO));
        fake.lock()
            .tx_complete(sent.index, st::ARP_MISS, 0x0A01_0002);
        let back = TxCompletion {
            token: n as u64,
            outcome: TxOutcome::NoNeighbour {
                next_hop: [10, 1, 0, 2].into(),
                packet: bytes.clone(),
                mode: TxMode::IP,
                vlan: Some(5),
                segments,
            },
        };
        assert_eq!(nic.tx_completions().unwrap(), [back]);
    }
    fake.assert_content();
}

#[test]
fn a_packet_that_cannot_be_cut_is_refused() {
    let fake = Fake::new();
    let mut nic = fake.open(&small()).unwrap();
    let bytes = pattern(3, 200);
    let mut refused = |header_bytes, mss, len: usize, mode| {
        let frame = TxFrame {
            parts: &[&bytes[..len]],
            mode,
            segments: Some(Segments { header_bytes, mss }),
            ..TxFrame::default()
        };
        match nic.send(&frame) {
            Err(NicError::Tx(e)) => Some(e),
            Ok(true) => None,
            other => panic!("{other:?}"),
        }
    };
    for (header_bytes, mss, len) in [
        (36, 1, 200),
        (124, 1, 200),
        (42, 1, 200),
        (40, 0, 200),
        (80, 1, 80),
        (120, 1, 100),
    ] {
        let e = TxError::Segments { header_bytes, mss };
        assert_eq!(refused(header_bytes, mss, len, TxMode::IP), Some(e));
    }
    assert_eq!(refused(40, 9, 200, TxMode::Raw), Some(TxError::NoTso));
    assert_eq!(refused(40, 9, 200, TxMode::IP), None);
    drop(nic);
    let fake = Fake::new();
    let bit = regs::caps::TSO.of(1);
    fake.lock().absent.insert(regs::caps::OFFSET, bit);
    let mut nic = fake.open(&small()).unwrap();
    assert_eq!(nic.max_segmented(), 0);
    let frame = TxFrame {
        parts: &[&bytes],
        segments: Some(Segments {
            header_bytes: 40,
            mss: 9,
        }),
        ..TxFrame::default()
    };
    assert!(matches!(
        nic.send(&frame),
        Err(NicError::Tx(TxError::NoTso))
    ));
}

#[test]
fn a_packet_without_a_neighbour_comes_back_whole_before_the_event_that_resolves_it() {
    let fake = Fake::new();
    let mut nic = fake.open(&small()).unwrap();
    let (one, long) = (pattern(1, 500), pattern(2, 5000));
    let (head, body) = long.split_at(40);
    let whole: [&[u8]; 1] = [&one];
    let mode = TxMode::Ip {
        next_hop: NextHop::Gateway(2),
        ip_checksum: true,
        l4_checksum: false,
    };
    let frames = [
        raw(&whole, 10, true),
        TxFrame {
            parts: &[head, body],
            mode,
            vlan: Some(7),
            token: 11,
            report: false,
            ..TxFrame::default()
        },
        raw(&whole, 12, false),
    ];
    assert_eq!(nic.tx_batch(&frames).unwrap(), 3);
    let mut state = fake.lock();
    let first = state.take_frame().unwrap();
    assert!(first.wanted);
    let second = state.take_frame().unwrap();
    assert_eq!((second.bytes.len(), second.index), (5000, 3));
    // The miss retires the first frame too.
    state.tx_complete(second.index, st::ARP_MISS, 0x0A01_0002);
    state.event(Event {
        code: event_code::NEIGH_RESOLVED,
        address: 0x0A01_0002,
        ..Event::default()
    });
    state.event(Event {
        code: event_code::NEIGH_FAILED,
        address: 0x0A01_0003,
        ..Event::default()
    });
    drop(state);
    let next_hop = [10, 1, 0, 2].into();
    let expected = [
        TxCompletion {
            token: 10,
            outcome: TxOutcome::Sent { timestamp: None },
        },
        TxCompletion {
            token: 11,
            outcome: TxOutcome::NoNeighbour {
                next_hop,
                packet: long.clone(),
                mode,
                vlan: Some(7),
                segments: None,
            },
        },
    ];
    assert_eq!(nic.tx_completions().unwrap(), expected);
    assert_eq!(
        nic.events().unwrap(),
        [
            NicEvent::NeighbourResolved(next_hop),
            NicEvent::NeighbourFailed([10, 1, 0, 3].into())
        ]
    );
    assert_eq!(nic.tx_outstanding(), 1);
    fake.lock().transmit().unwrap();
    assert!(nic.tx_completions().unwrap().is_empty());
    assert_eq!(nic.tx_outstanding(), 0);
    fake.assert_content();
}

/// What a random run does next.
#[derive(Clone, Debug)]
enum Step {
    /// Frames of these lengths are handed over, cut into parts at this size.
    Send(Vec<(usize, bool)>, usize),
    /// The device takes this many, with outcomes chosen by the number.
    Transmit(usize, u8),
    Reap,
    Deliver(Vec<usize>),
    Receive(usize),
    /// Held packets are dropped down to this many.
    Drop(usize),
    Arm,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (
            prop::collection::vec((20usize..5000, any::<bool>()), 1..12),
            1usize..3000
        )
            .prop_map(|(l, c)| Step::Send(l, c)),
        (1usize..12, any::<u8>()).prop_map(|(n, o)| Step::Transmit(n, o)),
        Just(Step::Reap),
        prop::collection::vec(
            prop_oneof![14usize..300, 300usize..2049, 2049usize..4000],
            1..20
        )
        .prop_map(Step::Deliver),
        (1usize..20).prop_map(Step::Receive),
        (0usize..12).prop_map(Step::Drop),
        Just(Step::Arm),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn every_byte_arrives_in_order_and_the_contract_is_kept(steps in steps()) {
        let fake = Fake::new();
        let mut nic = fake.open(&small()).unwrap();
        let reads = fake.lock().reads;
        let (mut sent, mut delivered) = (0usize, 0usize);
        // (token, bytes, report) in order; what the device made of them; what the driver must tell.
        let mut in_ring: VecDeque<(u64, Vec<u8>, bool)> = VecDeque::new();
        let mut due: VecDeque<TxCompletion> = VecDeque::new();
        let mut arriving: VecDeque<Vec<u8>> = VecDeque::new();
        let mut held: Vec<(ferrule_driver::nic::RxFrame, Vec<u8>)> = Vec::new();
        for step in steps {
            match step {
                Step::Send(lens, cut) => {
                    let data: Vec<_> = lens.iter().enumerate().map(|(n, (len, _))| pattern(sent + n, *len)).collect();
                    let parts: Vec<Vec<&[u8]>> = data.iter().map(|d| d.chunks(cut).collect()).collect();
                    let frames: Vec<_> = parts.iter().enumerate().map(|(n, p)| TxFrame { parts: p, mode: TxMode::IP, vlan: None, token: (sent + n) as u64, report: lens[n].1, ..TxFrame::default() }).collect();
                    let taken = nic.tx_batch(&frames).unwrap();
                    for (n, d) in data.into_iter().enumerate().take(taken) {
                        in_ring.push_back(((sent + n) as u64, d, lens[n].1));
                    }
                    sent += taken;
                }
                Step::Transmit(count, outcome) => {
                    for n in 0..count {
                        if !fake.lock().cq_room(TX) { break; }
                        let Some(got) = fake.lock().take_frame() else { break };
                        let (token, bytes, report) = in_ring.pop_front().unwrap();
                        prop_assert_eq!(&got.bytes, &bytes);
                        let (status, told) = match outcome.wrapping_add(n as u8) % 8 {
                            0 => (st::ARP_MISS, Some(TxOutcome::NoNeighbour { next_hop: [1, 2, 3, 4].into(), packet: bytes, mode: TxMode::IP, vlan: None, segments: None })),
                            1 => (st::DMA_ERR, Some(TxOutcome::DmaError)),
                            2 => (st::BAD_DESC, Some(TxOutcome::BadDescriptor)),
                            _ => (0, report.then_some(TxOutcome::Sent { timestamp: None })),
                        };
                        prop_assert!(got.wanted || !report);
                        if got.wanted || status != 0 {
                            fake.lock().tx_complete(got.index, status, 0x0102_0304);
                        }
                        due.extend(told.map(|outcome| TxCompletion { token, outcome }));
                    }
                }
                Step::Reap => {
                    for done in nic.tx_completions().unwrap() {
                        prop_assert_eq!(Some(done), due.pop_front());
                    }
                }
                Step::Deliver(lens) => {
                    for len in lens {
                        let frame = pattern(delivered, len);
                        if fake.lock().deliver(&frame, 0) {
                            delivered += 1;
                            arriving.push_back(frame);
                        }
                    }
                }
                Step::Receive(max) => {
                    for frame in receive(&mut nic, max) {
                        let expected = arriving.pop_front().unwrap();
                        prop_assert_eq!(usize::from(frame.wire_len), expected.len());
                        prop_assert_eq!(frame.truncated, expected.len() > 2048);
                        held.push((frame, expected));
                    }
                }
                Step::Drop(keep) => held.truncate(keep),
                Step::Arm => nic.arm().unwrap(),
            }
            for (frame, expected) in &held {
                prop_assert_eq!(&frame.to_vec()[..], &expected[..expected.len().min(2048)]);
            }
        }
        // Everything runs dry: nothing is lost or stuck.
        held.clear();
        loop {
            let room = fake.lock().cq_room(TX);
            prop_assert!(room);
            let Some(got) = fake.lock().transmit() else { break };
            let (token, bytes, report) = in_ring.pop_front().unwrap();
            prop_assert_eq!(&got.bytes, &bytes);
            due.extend(report.then_some(TxCompletion { token, outcome: TxOutcome::Sent { timestamp: None } }));
            for done in nic.tx_completions().unwrap() {
                prop_assert_eq!(Some(done), due.pop_front());
            }
            nic.arm().unwrap();
        }
        for done in nic.tx_completions().unwrap() {
            prop_assert_eq!(Some(done), due.pop_front());
        }
        prop_assert_eq!((due.len(), in_ring.len()), (0, 0));
        prop_assert_eq!(receive(&mut nic, 100).len(), arriving.len());
        nic.arm().unwrap();
        prop_assert_eq!(fake.lock().slots_lent(), 16);
        prop_assert_eq!(fake.lock().reads, reads);
        fake.assert_content();
    }
}
