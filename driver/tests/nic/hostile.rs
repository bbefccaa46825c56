//! A device that lies: its queue is quarantined with a clear error, the others go on, nothing panics, nothing outside is read.
use crate::fake::*;
use ferrule_abi::ring::{cqe_status as st, Event};
use ferrule_driver::nic::{
    InPlaceFrame, NicConfig, NicError, NicEvent, QueueName, RingFault, Stop, TxFrame, TxMode,
    Verdict,
};
use ferrule_driver::Nic;
use proptest::prelude::*;

fn config() -> NicConfig {
    NicConfig {
        slots: 8,
        ..small()
    }
}

fn cqe(len: u16, status: u16, index: u16) -> [u32; 4] {
    [
        u32::from(len) | u32::from(status) << 16,
        0,
        0,
        u32::from(index) << 16,
    ]
}

/// The reason for which the queue stopped.
#[track_caller]
fn reason<T: std::fmt::Debug>(result: Result<T, NicError>, queue: QueueName) -> RingFault {
    match result {
        Err(NicError::Stopped {
            queue: q,
            why: Stop::Quarantined(fault),
        }) if q == queue => fault,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn still_sends(fake: &Fake, nic: &mut Nic) {
    let part: &[u8] = &[1; 60];
    assert!(nic
        .send(&TxFrame {
            parts: &[part],
            mode: TxMode::Raw,
            vlan: None,
            token: 5,
            report: true,
            ..TxFrame::default()
        })
        .unwrap());
    fake.lock().transmit().unwrap();
    assert_eq!(nic.tx_completions().unwrap().len(), 1);
}

#[test]
fn lies_about_received_frames_end_the_receive_queue_only() {
    let lies = [
        (cqe(60, 0, 8), RingFault::NoSuchSlot { slot: 8, count: 8 }),
        (
            cqe(60, 0, 0x7FFF),
            RingFault::NoSuchSlot {
                slot: 0x7FFF,
                count: 8,
            },
        ),
        (
            cqe(13, 0, 1),
            RingFault::Length {
                len: 13,
                slot_size: 2048,
                truncated: false,
            },
        ),
        (
            cqe(0, 0, 1),
            RingFault::Length {
                len: 0,
                slot_size: 2048,
                truncated: false,
            },
        ),
        (
            cqe(2049, 0, 1),
            RingFault::Length {
                len: 2049,
                slot_size: 2048,
                truncated: false,
            },
        ),
        (
            cqe(u16::MAX, 0, 1),
            RingFault::Length {
                len: u16::MAX,
                slot_size: 2048,
                truncated: false,
            },
        ),
        (
            cqe(2048, st::TRUNC, 1),
            RingFault::Length {
                len: 2048,
                slot_size: 2048,
                truncated: true,
            },
        ),
        (
            cqe(60, st::ARP_MISS, 1),
            RingFault::Status {
                status: st::ARP_MISS,
            },
        ),
        (
            cqe(60, st::TCP | st::UDP, 1),
            RingFault::Status {
                status: st::TCP | st::UDP,
            },
        ),
        (
            cqe(60, st::IPV4 | st::IPV6, 1),
            RingFault::Status {
                status: st::IPV4 | st::IPV6,
            },
        ),
    ];
    for (words, expected) in lies {
        let fake = Fake::new();
        let mut nic = fake.open(&config()).unwrap();
        assert!(fake.lock().deliver(&[9; 100], 0));
        fake.lock().complete(RX, words);
        let mut frames = Vec::new();
        assert_eq!(
            nic.rx_batch(9, &mut frames).unwrap(),
            1,
            "what came before is right"
        );
        assert_eq!(
            reason(nic.rx_batch(9, &mut frames), QueueName::Receive(0)),
            expected
        );
        assert_eq!(frames.len(), 1);
        assert!(fake.lock().ops.contains(&Op::Enable(RX as u32, false)));
        still_sends(&fake, &mut nic);
        nic.arm().unwrap();
        nic.close().unwrap();
    }
}

#[test]
fn a_slot_that_is_the_hosts_cannot_be_completed() {
    let fake = Fake::new();
    let mut nic = fake.open(&config()).unwrap();
    assert!(fake.lock().deliver(&[9; 1000], 0));
    let mut frames = Vec::new();
    nic.rx_batch(9, &mut frames).unwrap();
    // The device writes the same slot once more, while the packet is held.
    fake.lock().complete(RX, cqe(60, 0, 0));
    assert_eq!(
        reason(nic.rx_batch(9, &mut frames), QueueName::Receive(0)),
        RingFault::SlotNotLent { slot: 0 }
    );
}

#[test]
fn the_head_is_private_and_the_body_is_only_ever_copied() {
    let fake = Fake::new();
    let mut nic = fake.open(&config()).unwrap();
    assert!(fake.lock().deliver(&[9; 1000], 0));
    let mut frames = Vec::new();
    nic.rx_batch(9, &mut frames).unwrap();
    fake.lock().fill_slot(0, &[0xEE; 1000]);
    assert_eq!(frames[0].head[..], [9; 128]);
    assert_eq!(frames[0].body.as_ref().unwrap().to_vec(), [0xEE; 872]);
}

#[test]
fn lies_about_sent_frames_end_the_transmit_queue_only() {
    // Outstanding: SQEs 0 to 2 are one frame of 5,000 bytes, 3 is a raw frame without a completion asked for, 4 is one with.
    let lies = [
        (cqe(0, 0, 5), RingFault::NotOutstanding { index: 5 }),
        (cqe(0, 0, 15), RingFault::NotOutstanding { index: 15 }),
        (cqe(0, 0, 16), RingFault::NotOutstanding { index: 16 }),
        (
            cqe(0, 0, 0x7FFF),
            RingFault::NotOutstanding { index: 0x7FFF },
        ),
        (cqe(0, 0, 1), RingFault::NotDue { index: 1 }),
        (cqe(0, 0, 2), RingFault::NotDue { index: 2 }),
        (
            cqe(0, st::ARP_MISS, 3),
            RingFault::Status {
                status: st::ARP_MISS,
            },
        ),
        (
            cqe(0, st::DMA_ERR | st::BAD_DESC, 4),
            RingFault::Status {
                status: st::DMA_ERR | st::BAD_DESC,
            },
        ),
        (
            cqe(0, st::IP_OK, 4),
            RingFault::Status { status: st::IP_OK },
        ),
    ];
    for (words, expected) in lies {
        let fake = Fake::new();
        let mut nic = fake
            .open(&NicConfig {
                sq_log2: 4,
                ..config()
            })
            .unwrap();
        let (long, short): ([&[u8]; 1], [&[u8]; 1]) = ([&[1; 5000]], [&[2; 100]]);
        let frame = |parts, mode| TxFrame {
            parts,
            mode,
            vlan: None,
            token: 0,
            report: false,
            ..TxFrame::default()
        };
        let frames = [
            frame(&long, TxMode::IP),
            frame(&short, TxMode::Raw),
            frame(&short, TxMode::Raw),
        ];
        assert_eq!(nic.tx_batch(&frames).unwrap(), 3);
        fake.lock().complete(TX, words);
        assert_eq!(
            reason(nic.tx_completions(), QueueName::Transmit(0)),
            expected
        );
        assert_eq!(
            reason(nic.send(&frames[1]), QueueName::Transmit(0)),
            expected
        );
        assert!(fake.lock().deliver(&[9; 100], 0));
        assert_eq!(nic.rx_batch(9, &mut Vec::new()).unwrap(), 1);
        nic.close().unwrap();
    }
}

/// A batch that is cut short by what the device has written tells how much of it was taken: the rest, and no more, is the caller's.
#[test]
fn frames_taken_before_a_lie_is_seen_are_told_of() {
    let fake = Fake::new();
    let mut nic = fake.open(&config()).unwrap();
    let part: [&[u8]; 1] = [&[1; 60]];
    let frame = TxFrame {
        parts: &part,
        mode: TxMode::Raw,
        ..TxFrame::default()
    };
    assert_eq!(nic.tx_batch(&[frame; 14]).unwrap(), 14);
    fake.lock().complete(TX, cqe(0, 0, 16));
    // Two find room; for the third the completions are looked at.
    assert_eq!(nic.tx_batch(&[frame; 4]).unwrap(), 2);
    let lie = RingFault::NotOutstanding { index: 16 };
    assert_eq!(
        reason(nic.tx_batch(&[frame; 4]), QueueName::Transmit(0)),
        lie
    );
}

#[test]
fn a_completion_that_comes_twice_is_noticed() {
    let fake = Fake::new();
    let mut nic = fake.open(&config()).unwrap();
    still_sends(&fake, &mut nic);
    fake.lock().tx_complete(0, 0, 0);
    assert_eq!(
        reason(nic.tx_completions(), QueueName::Transmit(0)),
        RingFault::NotOutstanding { index: 0 }
    );
}

#[test]
fn events_that_are_not_defined_end_the_event_queue_only() {
    for (code, detail) in [
        (0, 0),
        (6, 0),
        (u16::MAX, 1),
        (3, 2),
        (4, 3),
        (4, u16::MAX),
        (1, 1),
    ] {
        let fake = Fake::new();
        let mut nic = fake.open(&config()).unwrap();
        fake.lock().event(Event {
            code: 3,
            detail: 1,
            ..Event::default()
        });
        fake.lock().event(Event {
            code,
            detail,
            ..Event::default()
        });
        assert_eq!(nic.events().unwrap(), [NicEvent::Link { up: true }]);
        assert_eq!(
            reason(nic.events(), QueueName::Events),
            RingFault::Event { code, detail }
        );
        still_sends(&fake, &mut nic);
    }
}

proptest! {
    #[test]
    fn whatever_the_device_writes_nothing_panics(entries in prop::collection::vec((0usize..3, any::<[u32; 4]>(), 0u32..24, any::<bool>()), 1..60)) {
        let fake = Fake::new();
        let mut nic = fake.open(&config()).unwrap();
        let (long, short): (&[u8], &[u8]) = (&[1; 5000], &[2; 100]);
        let mut frames = Vec::new();
        for (queue, mut words, index, plausible) in entries {
            let _ = nic.tx_batch(&[
                TxFrame { parts: &[long], mode: TxMode::IP, vlan: None, token: 0, report: true, ..TxFrame::default() },
                TxFrame { parts: &[short], mode: TxMode::Raw, vlan: None, token: 1, report: false, ..TxFrame::default() },
            ]);
            if plausible {
                // Near to what is right, so that the checks behind the first are reached too.
                words[0] &= 0x0FFF | (words[1] & 0x7FFF_0000 & words[2]);
                words[3] = words[3] & 0xFFFF | index << 16;
            }
            if fake.lock().cq_room(queue) {
                fake.lock().complete(queue, words);
            }
            let before = frames.len();
            if let Ok(count) = nic.rx_batch(16, &mut frames) {
                prop_assert_eq!(frames.len(), before + count);
            }
            for frame in &frames {
                prop_assert!(frame.stored_len() <= 2048 && frame.to_vec().len() == frame.stored_len());
            }
            frames.truncate(4);
            let _ = nic.tx_in_place(3, |_, _| Some(InPlaceFrame::raw(0..70)));
            let _ = nic.forward(3, &mut frames, |frame| {
                assert!(frame.stored_len() <= 2048);
                Verdict::Forward(InPlaceFrame::raw(0..frame.stored_len()))
            });
            let _ = nic.tx_completions();
            let _ = nic.events();
            let _ = nic.arm();
        }
        prop_assert!(nic.close().is_ok());
        prop_assert_eq!(fake.lock().mapped(), 0);
    }
}
