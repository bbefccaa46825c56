//! Frames that are not copied: forwarded from their slots and made in their buffers, among those that are, through wraps, refusals, resets,
//! and a program that panics in the middle.
use crate::fake::*;
use ferrule_abi::regs;
use ferrule_abi::ring::{cqe_status as st, sqe_flags as fl};
use ferrule_driver::nic::{
    Forwarded, InPlaceFrame, NextHop, NicConfig, NicError, RxFrame, TxBuffer, TxError, TxFrame,
    TxMode, TxOutcome, Verdict,
};
use ferrule_driver::Nic;
use proptest::prelude::*;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::panic::{catch_unwind, AssertUnwindSafe};

/// A frame that is nothing but its number, again and again: a piece of it that starts at a multiple of 4 tells which one it is of.
fn marked(number: u32, len: usize) -> Vec<u8> {
    number.to_le_bytes().into_iter().cycle().take(len).collect()
}

fn forward_all(nic: &mut Nic) -> Result<Forwarded, NicError> {
    let mut kept = Vec::new();
    let done = nic.forward(usize::MAX, &mut kept, |frame| {
        Verdict::Forward(InPlaceFrame::raw(0..frame.stored_len()))
    });
    assert!(kept.is_empty());
    done
}

#[test]
fn what_is_forwarded_leaves_as_it_came_while_all_indices_wrap_without_a_register_read() {
    let fake = Fake::new();
    let mut nic = fake.open(&small()).unwrap();
    let reads = fake.lock().reads;
    let mut number = 0;
    // More than twice around 2^15.
    while number < 70_000 {
        let batch = 1 + number % 8;
        for n in 0..batch {
            let frame = marked(number + n, 60 + (number as usize + n as usize) % 1_400);
            assert!(fake.lock().deliver(&frame, 0));
        }
        let doorbells = fake.lock().doorbells;
        let done = forward_all(&mut nic).unwrap();
        let batch = batch as usize;
        let expected = Forwarded {
            taken: batch,
            sent: batch,
            ..Forwarded::default()
        };
        assert_eq!(done, expected);
        assert!(
            fake.lock().doorbells <= doorbells + 2,
            "one of each queue at most"
        );
        for n in number..number + batch as u32 {
            let sent = fake.lock().transmit().unwrap();
            assert_eq!(sent.bytes, marked(n, 60 + n as usize % 1_400));
            assert_eq!(sent.flags & !fl::CPL_REQ, fl::SOP | fl::EOP | fl::RAW);
        }
        number += batch as u32;
        assert_eq!(forward_all(&mut nic).unwrap(), Forwarded::default());
    }
    assert!(nic.tx_completions().unwrap().is_empty());
    nic.arm().unwrap();
    assert_eq!(
        (nic.tx_outstanding(), fake.lock().slots_lent()),
        (0, 16),
        "a slot is lost"
    );
    assert_eq!(fake.lock().reads, reads);
    fake.assert_content();
}

#[test]
fn a_slot_stays_the_hosts_until_its_frame_is_sent() {
    let fake = Fake::new();
    let mut nic = fake.open(&small()).unwrap();
    for number in 0..16 {
        assert!(fake.lock().deliver(&marked(number, 60), 0));
    }
    assert_eq!(forward_all(&mut nic).unwrap().sent, 16);
    // The ring is full, and no slot is the device's.
    assert_eq!(forward_all(&mut nic).unwrap(), Forwarded::default());
    nic.arm().unwrap();
    assert_eq!(fake.lock().slots_lent(), 0);
    for number in 0..16 {
        assert_eq!(
            fake.lock().transmit().unwrap().bytes,
            marked(number, 60),
            "{number}"
        );
    }
    assert_eq!(forward_all(&mut nic).unwrap(), Forwarded::default());
    assert_eq!(fake.lock().slots_lent(), 16);
    fake.assert_content();
}

#[test]
fn more_comes_in_than_there_is_room_to_send() {
    let fake = Fake::new();
    let config = NicConfig {
        rxq_log2: 5,
        rxcq_log2: 5,
        slots: 32,
        ..small()
    };
    let mut nic = fake.open(&config).unwrap();
    for number in 0..20 {
        assert!(fake.lock().deliver(&marked(number, 60), 0));
    }
    let mut seen = Vec::new();
    for sent in [16, 4] {
        let done = forward_all(&mut nic).unwrap();
        assert_eq!((done.taken, done.sent), (sent, sent));
        while let Some(sent) = fake.lock().transmit() {
            seen.push(sent.bytes);
        }
    }
    let expected: Vec<_> = (0..20).map(|number| marked(number, 60)).collect();
    assert_eq!(seen, expected);
    fake.assert_content();
}

#[test]
fn a_frame_is_changed_where_it_lies_and_sent_in_part_with_what_the_hardware_adds() {
    let fake = Fake::new();
    let mut nic = fake.open(&small()).unwrap();
    let mut packet = marked(7, 100);
    packet[14] = 0x45;
    let ok = st::IPV4 | st::IP_OK;
    assert!(fake.lock().deliver(&packet, ok));
    let mode = TxMode::Ip {
        next_hop: NextHop::Gateway(2),
        ip_checksum: true,
        l4_checksum: false,
    };
    let done = nic.forward(9, &mut Vec::new(), |frame| {
        let described = frame.described();
        assert!(described.ipv4 && described.ip_header_ok && described.head.is_empty());
        assert_eq!((frame.stored_len(), described.wire_len), (100, 100));
        let mut first = [0; 2];
        frame.read(14, &mut first);
        assert_eq!(first, [0x45, packet[15]]);
        frame.write(22, &[63]);
        Verdict::Forward(InPlaceFrame {
            mode,
            vlan: Some(0x2005),
            token: 11,
            ..InPlaceFrame::raw(14..96)
        })
    });
    assert_eq!(done.unwrap().sent, 1);
    packet[22] = 63;
    let sent = fake.lock().take_frame().unwrap();
    assert_eq!(sent.bytes, packet[14..96]);
    let added = fl::IPCS | 2 << fl::NEXT_HOP_SHIFT | fl::VLAN_INS | fl::CPL_REQ;
    assert_eq!((sent.flags, sent.tci), (fl::SOP | fl::EOP | added, 0x2005));
    // Nobody knows the gateway: the packet is had back.
    let gateway = Ipv4Addr::new(192, 0, 2, 9);
    fake.lock()
        .tx_complete(sent.index, st::ARP_MISS, gateway.to_bits());
    let done = nic.tx_completions().unwrap();
    let outcome = TxOutcome::NoNeighbour {
        next_hop: gateway,
        packet: packet[14..96].to_vec(),
        mode,
        vlan: Some(0x2005),
        segments: None,
    };
    assert_eq!((done[0].token, &done[0].outcome), (11, &outcome));
    nic.arm().unwrap();
    assert_eq!(fake.lock().slots_lent(), 16);
    fake.assert_content();
}

#[test]
fn what_cannot_be_sent_as_it_was_said_is_kept_and_the_reason_told() {
    let fake = Fake::new();
    let mut nic = fake.open(&small()).unwrap();
    let whole = |len: usize| InPlaceFrame::raw(0..len);
    let range = |start, end, min| TxError::Range {
        start,
        end,
        stored: 60,
        min,
    };
    let gateway = TxMode::Ip {
        next_hop: NextHop::Gateway(9),
        ip_checksum: false,
        l4_checksum: false,
    };
    let backwards = |start| InPlaceFrame {
        range: Range { start, end: 20 },
        ..whole(0)
    };
    let of_gateway = InPlaceFrame {
        mode: gateway,
        ..whole(60)
    };
    let wrong = [
        (whole(61), range(0, 61, 14)),
        (whole(13), range(0, 13, 14)),
        (InPlaceFrame::raw(70..90), range(70, 90, 14)),
        (InPlaceFrame::raw(50..60), range(50, 60, 14)),
        (backwards(40), range(40, 20, 14)),
        (backwards(usize::MAX - 5), range(usize::MAX - 5, 20, 14)),
        (of_gateway, TxError::Gateway(9)),
    ];
    for (said, why) in wrong {
        assert!(fake.lock().deliver(&marked(1, 60), 0));
        assert!(fake.lock().deliver(&marked(2, 60), 0));
        let (mut kept, mut number) = (Vec::new(), 0);
        let done = nic.forward(2, &mut kept, |_| {
            number += 1;
            Verdict::Forward(if number == 1 { said.clone() } else { whole(60) })
        });
        let expected = Forwarded {
            taken: 2,
            sent: 1,
            kept: 1,
            refused: Some(why),
        };
        assert_eq!(done.unwrap(), expected);
        assert_eq!(kept[0].to_vec(), marked(1, 60));
        assert_eq!(fake.lock().transmit().unwrap().bytes, marked(2, 60));
        assert_eq!(nic.tx_in_place(2, |_, _| Some(said.clone())).is_ok(), {
            // A buffer is longer than that frame was.
            matches!(why, TxError::Range { start, end, .. } if start < end && (14..=2_048).contains(&(end - start)))
        });
        while fake.lock().transmit().is_some() {}
        nic.tx_completions().unwrap();
    }
    // Longer than its slot.
    assert!(fake.lock().deliver(&marked(3, 2_100), 0));
    let mut kept = Vec::new();
    let done = nic.forward(1, &mut kept, |frame| {
        Verdict::Forward(whole(frame.stored_len()))
    });
    assert_eq!(done.unwrap().refused, Some(TxError::Cut { stored: 2_048 }));
    assert!(kept[0].truncated && kept[0].to_vec() == marked(3, 2_048));
    fake.assert_content();
}

#[test]
fn in_push_mode_nothing_is_sent_from_where_it_lies() {
    let fake = Fake::new();
    let caps = fake.lock().reg(regs::caps::OFFSET);
    fake.lock()
        .regs
        .insert(regs::caps::OFFSET, caps | regs::caps::PUSH.of(1));
    let config = NicConfig {
        push: true,
        ..small()
    };
    let mut nic = fake.open(&config).unwrap();
    assert!(matches!(forward_all(&mut nic), Err(NicError::InPushMode)));
    let made = nic.tx_in_place(1, |_, _| Some(InPlaceFrame::raw(0..60)));
    assert!(matches!(made, Err(NicError::InPushMode)));
}

#[test]
fn a_program_that_panics_loses_nothing_but_the_frame_that_it_looked_at() {
    let fake = Fake::new();
    let mut nic = fake.open(&small()).unwrap();
    for number in 0..5 {
        assert!(fake.lock().deliver(&marked(number, 60), 0));
    }
    let mut seen = 0;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        nic.forward(9, &mut Vec::new(), |_| {
            seen += 1;
            assert!(seen < 3, "as it is meant to");
            Verdict::Forward(InPlaceFrame::raw(0..60))
        })
    }));
    assert!(panicked.is_err());
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        nic.tx_in_place(2, |n, buffer| {
            buffer.write(0, &marked(9, 60));
            assert!(n == 0, "as it is meant to");
            Some(InPlaceFrame::raw(0..60))
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(forward_all(&mut nic).unwrap().sent, 2);
    for number in [0, 1, 9, 3, 4] {
        assert_eq!(fake.lock().transmit().unwrap().bytes, marked(number, 60));
    }
    nic.tx_completions().unwrap();
    nic.arm().unwrap();
    assert_eq!(fake.lock().slots_lent(), 16);
    fake.assert_content();
}

#[test]
fn a_frame_is_made_in_the_whole_of_its_buffer_and_not_beyond() {
    let fake = Fake::new();
    let mut nic = fake.open(&small()).unwrap();
    let bytes = marked(5, TxBuffer::LEN);
    let taken = nic.tx_in_place(3, |n, buffer| {
        buffer.write(0, &bytes);
        buffer.write(4 * n, &[0xEE; 4]);
        let past = catch_unwind(AssertUnwindSafe(|| {
            buffer.write(TxBuffer::LEN - 1, &[0; 2])
        }));
        assert!(past.is_err());
        let end = TxBuffer::LEN + usize::from(n == 2);
        Some(InPlaceFrame::raw(0..end))
    });
    assert_eq!(taken.unwrap(), 2, "the third is too long");
    for n in 0..2 {
        let mut expected = bytes.clone();
        expected[4 * n..4 * n + 4].fill(0xEE);
        assert_eq!(fake.lock().transmit().unwrap().bytes, expected);
    }
    let refused = nic.tx_in_place(1, |_, _| Some(InPlaceFrame::raw(0..3)));
    assert!(matches!(refused, Err(NicError::Tx(TxError::Range { .. }))));
    fake.assert_content();
}

/// A caller that was told of an error would send them again.
#[test]
fn frames_in_the_ring_are_taken_though_the_device_cannot_be_told_of_them() {
    let fake = Fake::new();
    let mut nic = fake.open(&small()).unwrap();
    assert!(fake.lock().deliver(&marked(2, 60), 0));
    fake.lock().unreachable = true;
    let made = nic.tx_in_place(2, |n, buffer| {
        buffer.write(0, &marked(n as u32, 60));
        Some(InPlaceFrame::raw(0..60))
    });
    assert_eq!(made.unwrap(), 2);
    assert_eq!(forward_all(&mut nic).unwrap().sent, 1);
    assert!(nic.tx_in_place(0, |_, _| None).is_err());
    assert!(fake.lock().transmit().is_none());
    fake.lock().unreachable = false;
    assert_eq!(forward_all(&mut nic).unwrap(), Forwarded::default());
    for number in 0..3 {
        assert_eq!(fake.lock().transmit().unwrap().bytes, marked(number, 60));
    }
    fake.assert_content();
}

#[derive(Clone, Debug)]
enum Step {
    Deliver(usize),
    Forward(usize),
    Receive(usize),
    /// Frames made in place.
    Make(usize),
    /// A frame that is copied to several buffers, mostly.
    Send(usize),
    /// The device takes a frame, and completes it or does not.
    Take(bool),
    Reap,
    Release,
    Recover,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (60_usize..2_000).prop_map(Step::Deliver),
        5 => (1_usize..20).prop_map(Step::Forward),
        1 => (1_usize..6).prop_map(Step::Receive),
        2 => (1_usize..6).prop_map(Step::Make),
        2 => (60_usize..6_000).prop_map(Step::Send),
        6 => any::<bool>().prop_map(Step::Take),
        2 => Just(Step::Reap),
        2 => Just(Step::Release),
        1 => Just(Step::Recover),
    ];
    prop::collection::vec(step, 1..200)
}

/// What is handed over, in its order: numbers, and the tokens of those that are to be reported.
#[derive(Default)]
struct Handed {
    wire: Vec<(u32, Vec<u8>)>,
    tokens: Vec<u64>,
}

impl Handed {
    fn add(&mut self, number: u32, bytes: Vec<u8>, report: bool) {
        self.wire.push((number, bytes));
        if report {
            self.tokens.push(number.into());
        }
    }
}

/// How a received frame is sent: one in two from byte 16 on, one in four with a report.
fn said(number: u32, len: usize) -> InPlaceFrame {
    let start = if number.is_multiple_of(2) { 16 } else { 0 };
    InPlaceFrame {
        token: number.into(),
        report: number.is_multiple_of(4),
        ..InPlaceFrame::raw(start..len)
    }
}

proptest! {
    /// Each frame is dropped, kept or forwarded as was said, and whatever is handed over reaches the wire in order, once but for what a reset has
    /// sent again; its slot comes back.
    #[test]
    fn whatever_happens_each_frame_is_where_it_should_be(steps in steps()) {
        const MADE: u32 = 1 << 30;
        let fake = Fake::new();
        let mut nic = fake.open(&small()).unwrap();
        let mut handed = Handed::default();
        let (mut delivered, mut made): (u32, u32) = (0, MADE);
        let (mut kept, mut given): (Vec<RxFrame>, Vec<u32>) = (vec![], vec![]);
        let (mut dropped, mut wire, mut reported) = (vec![], vec![], vec![]);
        let end = [Step::Recover, Step::Forward(99), Step::Receive(99), Step::Release];
        for step in steps.into_iter().chain(end) {
            let before = kept.len();
            match step {
                Step::Deliver(len) => delivered += u32::from(fake.lock().deliver(&marked(delivered, len), 0)),
                Step::Forward(max) => {
                    let done = nic.forward(max, &mut kept, |frame| {
                        let mut number = [0; 4];
                        frame.read(0, &mut number);
                        let number = u32::from_le_bytes(number);
                        let len = frame.stored_len();
                        match number % 5 {
                            0 => { dropped.push(number); Verdict::Drop }
                            1 => Verdict::Keep,
                            _ => {
                                let said = said(number, len);
                                let mut bytes = marked(number, len);
                                // Behind the number, which tells which frame it is.
                                bytes[20..23].fill(0xEE);
                                frame.write(20, &[0xEE; 3]);
                                handed.add(number, bytes[said.range.clone()].to_vec(), said.report);
                                Verdict::Forward(said)
                            }
                        }
                    }).unwrap();
                    prop_assert_eq!((done.kept, done.refused), (kept.len() - before, None));
                }
                Step::Receive(max) => { nic.rx_batch(max, &mut kept).unwrap(); }
                Step::Make(count) => {
                    // Now and then there are fewer than it might be.
                    let there = if made.is_multiple_of(3) { count / 2 } else { count };
                    let taken = nic.tx_in_place(count, |n, buffer| {
                        buffer.write(0, &marked(made + n as u32, 80));
                        (n < there).then(|| said(made + n as u32, 80))
                    }).unwrap();
                    prop_assert!(taken <= there);
                    for _ in 0..taken {
                        let said = said(made, 80);
                        handed.add(made, marked(made, 80)[said.range.clone()].to_vec(), said.report);
                        made += 1;
                    }
                }
                Step::Send(len) => {
                    let bytes = marked(made, len);
                    let report = made.is_multiple_of(4);
                    let frame = TxFrame { parts: &[&bytes], mode: TxMode::Raw, token: made.into(), report, ..TxFrame::default() };
                    if nic.send(&frame).unwrap() {
                        handed.add(made, bytes, report);
                        made += 1;
                    }
                }
                Step::Take(complete) => {
                    if fake.lock().cq_room(TX) {
                        let mut state = fake.lock();
                        let sent = if complete { state.transmit() } else { state.take_frame() };
                        wire.extend(sent.map(|s| s.bytes));
                    }
                }
                Step::Reap => reported.extend(nic.tx_completions().unwrap().into_iter().map(|d| d.token)),
                Step::Release => kept.clear(),
                Step::Recover => { nic.recover().unwrap(); }
            }
            for frame in kept.iter().skip(before) {
                let number = u32::from_le_bytes(frame.head[..4].try_into().unwrap());
                prop_assert_eq!(frame.to_vec(), marked(number, frame.wire_len.into()));
                given.push(number);
            }
        }
        while let Some(sent) = fake.lock().transmit() {
            wire.push(sent.bytes);
        }
        reported.extend(nic.tx_completions().unwrap().into_iter().map(|d| d.token));
        prop_assert_eq!(&reported, &handed.tokens);

        let mut next = 0;
        for bytes in &wire {
            let number = u32::from_le_bytes(bytes[..4].try_into().unwrap());
            let place = handed.wire.iter().position(|h| h.0 == number);
            prop_assert!(place.is_some_and(|p| p <= next && handed.wire[p].1 == *bytes), "frame {} before {:?}", number, handed.wire.get(next).map(|h| h.0));
            next = next.max(place.unwrap_or(0) + 1);
        }
        prop_assert_eq!(next, handed.wire.len());

        let forwarded = handed.wire.iter().map(|h| h.0).filter(|n| *n < MADE);
        let mut all: Vec<u32> = forwarded.chain(given).chain(dropped).collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..delivered).collect::<Vec<_>>());
        nic.arm().unwrap();
        prop_assert_eq!(fake.lock().slots_lent(), 16, "a slot is lost");
        prop_assert!(nic.close().is_ok());
        fake.assert_content();
    }
}
