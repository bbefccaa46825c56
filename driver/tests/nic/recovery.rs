//! A NIC that hangs or breaks a ring's contract: noticed, reset, and running again with all that it had.
use crate::fake::*;
use ferrule_abi::regs;
use ferrule_abi::ring::sqe_flags;
use ferrule_driver::nic::{
    LocalAddress, NicConfig, NicError, QueueName, Recovery, RxBuf, RxFrame, Segments, Stop,
    TxFrame, TxMode, TxOutcome,
};
use ferrule_driver::Nic;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const MS: u64 = 1_000_000;

fn config() -> NicConfig {
    NicConfig {
        sq_log2: 5,
        txcq_log2: 5,
        ..small()
    }
}

/// A frame whose bytes tell its number and their place.
fn pattern(number: u64, len: usize) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend(
        (8..len).map(|i| (number.wrapping_mul(31) ^ (i as u64 * 7) ^ (i >> 8) as u64) as u8),
    );
    bytes
}

fn send(nic: &mut Nic, number: u64, len: usize) -> bool {
    let bytes = pattern(number, len);
    nic.send(&TxFrame {
        parts: &[&bytes],
        mode: TxMode::Raw,
        token: number,
        report: true,
        ..TxFrame::default()
    })
    .unwrap()
}

fn sent_tokens(nic: &mut Nic) -> Vec<u64> {
    let done = nic.tx_completions().unwrap();
    assert!(done
        .iter()
        .all(|d| d.outcome == TxOutcome::Sent { timestamp: None }));
    done.iter().map(|d| d.token).collect()
}

#[test]
fn a_transmit_queue_that_stands_still_is_noticed_and_runs_again() {
    let (fake, clock) = (Fake::new(), Arc::new(JumpClock::default()));
    let mut nic = fake.open_on(Arc::clone(&clock), &config()).unwrap();
    fake.lock()
        .regs
        .insert(regs::status::OFFSET, regs::status::LINK_UP.of(1));
    assert_eq!(nic.watchdog().unwrap(), None, "nothing is outstanding");
    for number in 1..=5 {
        assert!(send(&mut nic, number, 100));
    }
    assert_eq!(fake.lock().transmit().unwrap().bytes, pattern(1, 100));
    // The second was on the wire, but its completion never came.
    fake.lock().take_frame().unwrap();
    let first_look = nic.watchdog().unwrap().unwrap();
    assert!(first_look <= 50 * MS);
    assert_eq!(sent_tokens(&mut nic), [1]);
    let reads = fake.lock().reads;
    let (mut looks, mut now) = (0, 0);
    let error = loop {
        match nic.watchdog() {
            Ok(Some(again)) => {
                assert!(again > now && again <= now + 50 * MS, "{again} at {now}");
                clock.advance(again - now);
                now = again;
                looks += 1;
            }
            other => break other,
        }
    };
    assert!(
        matches!(
            error,
            Err(NicError::Stuck {
                what: "sending",
                limit_ms: 5000
            })
        ),
        "{error:?}"
    );
    assert!((5000 * MS..5100 * MS).contains(&now), "{now}");
    assert!(
        fake.lock().reads - reads <= looks,
        "one register read in 50 ms"
    );
    let recovery = nic.recover().unwrap();
    assert_eq!(
        recovery,
        Recovery {
            sent_again: 4,
            received: 0,
            ..Recovery::default()
        }
    );
    for number in 2..=5 {
        assert_eq!(fake.lock().transmit().unwrap().bytes, pattern(number, 100));
    }
    assert_eq!(sent_tokens(&mut nic), [2, 3, 4, 5]);
    assert_eq!(nic.watchdog().unwrap(), None);
    fake.assert_content();
}

#[test]
fn what_gets_on_or_has_no_link_is_not_stuck() {
    let (fake, clock) = (Fake::new(), Arc::new(JumpClock::default()));
    let mut nic = fake.open_on(Arc::clone(&clock), &config()).unwrap();
    fake.lock()
        .regs
        .insert(regs::status::OFFSET, regs::status::LINK_UP.of(1));
    let mut number = 0;
    for _ in 0..8 {
        for _ in 0..2 {
            number += 1;
            assert!(send(&mut nic, number, 60));
        }
        nic.watchdog().unwrap();
        clock.advance(4_000 * MS);
        fake.lock().transmit().unwrap();
        nic.tx_completions().unwrap();
        nic.watchdog().unwrap();
    }
    fake.lock().regs.insert(regs::status::OFFSET, 0);
    for _ in 0..8 {
        clock.advance(4_000 * MS);
        nic.watchdog().unwrap();
    }
    // A completion that nobody has taken yet is progress.
    fake.lock()
        .regs
        .insert(regs::status::OFFSET, regs::status::LINK_UP.of(1));
    fake.lock().transmit().unwrap();
    clock.advance(6_000 * MS);
    nic.watchdog().unwrap();
}

/// Of a batch that ends in a frame that cannot be sent no completion was asked for: none is missing.
#[test]
fn frames_without_a_completion_to_come_are_not_stuck() {
    let (fake, clock) = (Fake::new(), Arc::new(JumpClock::default()));
    let mut nic = fake.open_on(Arc::clone(&clock), &config()).unwrap();
    let up = regs::status::LINK_UP.of(1);
    fake.lock().regs.insert(regs::status::OFFSET, up);
    let (good, bad): ([&[u8]; 1], [&[u8]; 1]) = ([&[1; 60]], [&[]]);
    let frames = [&good, &bad].map(|parts| TxFrame {
        parts,
        mode: TxMode::Raw,
        ..TxFrame::default()
    });
    assert_eq!(nic.tx_batch(&frames).unwrap(), 1);
    assert!(fake.lock().transmit().is_some());
    assert_eq!(nic.tx_outstanding(), 1);
    for _ in 0..3 {
        assert_eq!(nic.watchdog().unwrap(), None);
        clock.advance(4_000 * MS);
    }
}

#[test]
fn a_device_that_is_gone_is_found_while_frames_wait() {
    let (fake, clock) = (Fake::new(), Arc::new(JumpClock::default()));
    let mut nic = fake.open_on(Arc::clone(&clock), &config()).unwrap();
    assert!(send(&mut nic, 1, 60));
    let look = nic.watchdog().unwrap().unwrap();
    fake.lock().gone = true;
    clock.advance(look);
    let look = match nic.watchdog() {
        Ok(again) => again.unwrap(),
        Err(NicError::Gone) => look,
        Err(e) => panic!("{e}"),
    };
    assert!(look <= 100 * MS);
    clock.advance(100 * MS - look);
    assert!(matches!(nic.watchdog(), Err(NicError::Gone)));
    assert!(matches!(nic.recover(), Err(NicError::Gone)));
}

/// Registers that say what the NIC does, but for those that a command or a doorbell leaves.
fn set_up(fake: &Fake) -> BTreeMap<u32, u32> {
    let passing = [
        regs::snapshot::OFFSET,
        regs::arp_cmd::OFFSET,
        regs::arp_entry::OFFSET,
        regs::arp_addr::OFFSET,
        regs::arp_mac_lo::OFFSET,
        regs::arp_mac_hi::OFFSET,
        regs::vlan_word::OFFSET,
        regs::vlan_bits::OFFSET,
        regs::clock_step::OFFSET,
        regs::clock_step_hi::OFFSET,
    ];
    let mut registers = fake.lock().regs.clone();
    registers.retain(|offset, value| *value != 0 && !passing.contains(offset));
    registers
}

#[test]
fn it_is_set_up_as_it_was_at_last() {
    let fake = Fake::new();
    let local = |d| LocalAddress {
        address: [10, 1, 0, d].into(),
        prefix: 24,
    };
    let config = NicConfig {
        addresses: vec![local(1)],
        vlans: Some(vec![7]),
        vlan_strip: true,
        arp_announce: true,
        promiscuous: true,
        hash_key: [0x5A; 40],
        ..config()
    };
    let mut nic = fake.open(&config).unwrap();
    nic.set_addresses(&[local(2), local(3)], &[[10, 1, 0, 254].into()])
        .unwrap();
    for n in 0..20 {
        nic.join_multicast([1, 0, 0x5E, 0, 0, n]).unwrap();
    }
    nic.leave_multicast([1, 0, 0x5E, 0, 0, 3]).unwrap();
    nic.set_vlan(4_000, true).unwrap();
    nic.set_vlan(7, false).unwrap();
    nic.add_neighbour([10, 1, 0, 9].into(), [2; 6]).unwrap();
    nic.add_neighbour([10, 1, 0, 10].into(), [4; 6]).unwrap();
    nic.delete_neighbour([10, 1, 0, 9].into()).unwrap();
    nic.trim_clock(-1_000.0).unwrap();
    nic.step_clock(5).unwrap();
    nic.step_clock(-12).unwrap();
    let before = set_up(&fake);
    fake.lock().arp_commands.clear();
    nic.recover().unwrap();
    assert_eq!(set_up(&fake), before);
    let state = fake.lock();
    let word = |register| state.reg(register);
    // As docs/registers.md has them: a word of the VLAN table, a static entry added, the clock stepped by -7.
    assert_eq!([word(0x188), word(0x18C)], [125, 1]);
    assert_eq!(
        [word(0x1E0), word(0x1E4), word(0x1E8)],
        [0x0A01_000A, 0x0404_0404, 0x0404]
    );
    assert_eq!(word(regs::clock_step::OFFSET), -7_i32 as u32);
    assert_eq!(state.arp_commands, [2], "nothing is announced anew");
}

#[test]
fn a_reset_that_does_not_end_is_told_of_and_can_be_tried_again() {
    let fake = Fake::new();
    let mut nic = fake.open(&config()).unwrap();
    for number in 1..=3 {
        assert!(send(&mut nic, number, 500));
    }
    assert!(fake.lock().deliver(&pattern(9, 300), 0));
    fake.lock().resetting = u32::MAX;
    assert!(matches!(
        nic.recover(),
        Err(NicError::Stuck {
            what: "its reset",
            ..
        })
    ));
    fake.lock().resetting = 0;
    assert_eq!(
        nic.recover().unwrap(),
        Recovery {
            sent_again: 3,
            received: 1,
            ..Recovery::default()
        }
    );
    let mut frames = vec![];
    assert_eq!(nic.rx_batch(9, &mut frames).unwrap(), 1);
    assert_eq!(frames[0].to_vec(), pattern(9, 300));
    drop(frames);
    for number in 1..=3 {
        assert_eq!(fake.lock().transmit().unwrap().bytes, pattern(number, 500));
    }
    assert_eq!(sent_tokens(&mut nic), [1, 2, 3]);
    // A queue that does not start: what it was to send is kept until one does.
    assert!(send(&mut nic, 4, 500));
    let status = regs::rx_page(0) + regs::rx_status::OFFSET;
    fake.lock().refuse = Some((status, regs::event_status::ERROR.of(4)));
    assert!(matches!(
        nic.recover(),
        Err(NicError::Stopped {
            queue: QueueName::Receive(0),
            ..
        })
    ));
    assert!(matches!(nic.tx_completions(), Err(NicError::Gone)));
    fake.lock().refuse = None;
    assert_eq!(
        nic.recover().unwrap(),
        Recovery {
            sent_again: 1,
            received: 0,
            ..Recovery::default()
        }
    );
    assert_eq!(fake.lock().transmit().unwrap().bytes, pattern(4, 500));
    assert_eq!(fake.lock().slots_lent(), 16);
    nic.close().unwrap();
    fake.assert_content();
}

#[test]
fn how_a_frame_was_to_be_sent_is_kept() {
    let fake = Fake::new();
    let mut nic = fake.open(&config()).unwrap();
    let (packet, long) = (pattern(1, 1_000), pattern(2, 5_000));
    let frames = [
        TxFrame {
            parts: &[&packet],
            mode: TxMode::Raw,
            vlan: Some(0x2005),
            ..TxFrame::default()
        },
        TxFrame {
            parts: &[&long],
            mode: TxMode::IP,
            segments: Some(Segments {
                header_bytes: 40,
                mss: 1_000,
            }),
            ..TxFrame::default()
        },
    ];
    assert_eq!(nic.tx_batch(&frames).unwrap(), 2);
    let look = |fake: &Fake| {
        let sent = [(); 2].map(|()| fake.lock().take_frame().unwrap());
        sent.map(|s| (s.bytes, s.flags & !sqe_flags::CPL_REQ, s.tci, s.segments))
    };
    let before = look(&fake);
    nic.recover().unwrap();
    assert!(look(&fake) == before);
    fake.assert_content();
}

#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    /// The device takes a frame, and completes it or does not.
    Take(bool),
    Deliver(usize),
    Receive(usize),
    Reap,
    /// Drops the oldest body that is held.
    Release,
    /// The device completes a slot or an SQE that it does not have.
    Lie(bool),
    Recover,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (20_usize..6_000).prop_map(Step::Send),
        3 => any::<bool>().prop_map(Step::Take),
        4 => (20_usize..2_000).prop_map(Step::Deliver),
        3 => (1_usize..6).prop_map(Step::Receive),
        2 => Just(Step::Reap),
        2 => Just(Step::Release),
        1 => any::<bool>().prop_map(Step::Lie),
        2 => Just(Step::Recover),
    ];
    prop::collection::vec(step, 1..150)
}

proptest! {
    /// Whatever happens between resets: each frame that was handed over reaches the wire, in order but for repetitions, and is reported
    /// once; each received frame is given once, in order, and what is held of it stays as it is.
    #[test]
    fn nothing_is_lost_by_recoveries(steps in steps()) {
        let fake = Fake::new();
        let mut nic = fake.open(&config()).unwrap();
        let (mut handed, mut reported, mut wire) = (0, vec![], vec![]);
        let (mut delivered, mut received): (u64, Vec<RxFrame>) = (0, vec![]);
        let mut held: Vec<(RxBuf, Vec<u8>)> = vec![];
        // Frames behind a lie in the ring are not to be believed.
        let (mut lied, mut lens) = (false, vec![]);
        for step in steps.into_iter().chain([Step::Recover, Step::Receive(99), Step::Reap]) {
            match step {
                Step::Send(len) => if let Ok(true) = nic.send(&TxFrame {
                    parts: &[&pattern(handed, len)],
                    mode: TxMode::Raw,
                    token: handed,
                    report: true,
                    ..TxFrame::default()
                }) {
                    handed += 1;
                },
                Step::Take(complete) => {
                    if fake.lock().cq_room(TX) {
                        let mut state = fake.lock();
                        let sent = if complete { state.transmit() } else { state.take_frame() };
                        wire.extend(sent.map(|s| s.bytes));
                    }
                }
                Step::Deliver(len) => if !lied && fake.lock().deliver(&pattern(delivered, len), 0) {
                    delivered += 1;
                    lens.push(len);
                },
                Step::Receive(max) => { let _ = nic.rx_batch(max, &mut received); }
                Step::Reap => match nic.tx_completions() {
                    Ok(done) => reported.extend(done.into_iter().map(|d| d.token)),
                    Err(e) => prop_assert!(matches!(e, NicError::Stopped { why: Stop::Quarantined(_), .. }), "{}", e),
                },
                Step::Release => if !held.is_empty() {
                    held.remove(0);
                },
                Step::Lie(receive) => {
                    let queue = if receive { RX } else { TX };
                    if fake.lock().cq_room(queue) {
                        fake.lock().complete(queue, [60, 0, 0, 0x1FFF_0000]);
                        lied |= receive;
                    }
                }
                Step::Recover => {
                    nic.recover().unwrap();
                    lied = false;
                }
            }
            for frame in &received {
                if let Some(body) = &frame.body {
                    if !held.iter().any(|(_, bytes)| frame.to_vec().ends_with(bytes) && bytes.len() == body.len()) {
                        held.push((body.clone(), body.to_vec()));
                    }
                }
            }
            for (body, bytes) in &held {
                prop_assert_eq!(&body.to_vec(), bytes, "a held body has changed");
            }
        }
        while let Some(sent) = fake.lock().transmit() {
            wire.push(sent.bytes);
        }
        reported.extend(nic.tx_completions().unwrap().into_iter().map(|d| d.token));
        prop_assert_eq!(reported, (0..handed).collect::<Vec<_>>());
        let numbers: Vec<u64> = wire.iter().map(|b| u64::from_le_bytes(b[..8].try_into().unwrap())).collect();
        for (number, bytes) in numbers.iter().zip(&wire) {
            prop_assert_eq!(&pattern(*number, bytes.len()), bytes);
        }
        let mut next = 0;
        for number in numbers {
            prop_assert!(number <= next, "frame {} before {}", number, next);
            next = next.max(number + 1);
        }
        prop_assert_eq!(next, handed);
        let given: Vec<Vec<u8>> = received.iter().map(RxFrame::to_vec).collect();
        let expected: Vec<Vec<u8>> = lens.iter().enumerate().map(|(n, len)| pattern(n as u64, *len)).collect();
        prop_assert_eq!(given, expected);
        drop((held, received));
        nic.recover().unwrap();
        prop_assert_eq!(fake.lock().slots_lent(), 16, "a slot is lost");
        prop_assert!(nic.close().is_ok());
        fake.assert_content();
    }
}

#[test]
fn who_only_receives_learns_of_a_reset_by_all_interrupts_at_once_and_is_asked_for_nothing_else() {
    let fake = Fake::new();
    let mut nic = fake.open(&config()).unwrap();
    let receive = |nic: &mut Nic| nic.rx_batch(9, &mut Vec::new());
    nic.arm().unwrap();

    // For nothing: the queues still run.
    fake.lock().call_all();
    nic.drain_irqs().unwrap();
    assert_eq!(receive(&mut nic).unwrap(), 0);
    // With a frame there, or one interrupt alone, no register is read.
    let reads = fake.lock().reads;
    assert!(fake.lock().deliver(&pattern(1, 60), 0));
    fake.lock().call_all();
    nic.drain_irqs().unwrap();
    assert_eq!(receive(&mut nic).unwrap(), 1);
    nic.arm().unwrap();
    assert!(fake.lock().deliver(&pattern(2, 60), 0));
    assert_eq!(receive(&mut nic).unwrap(), 1);
    nic.drain_irqs().unwrap();
    assert_eq!(fake.lock().reads, reads);

    fake.lock().lose_state();
    nic.drain_irqs().unwrap();
    assert!(matches!(
        receive(&mut nic),
        Err(NicError::Stopped {
            why: Stop::Reset,
            ..
        })
    ));
    nic.recover().unwrap();
    assert!(fake.lock().deliver(&pattern(3, 60), 0));
    assert_eq!(receive(&mut nic).unwrap(), 1);
    fake.assert_content();

    fake.lock().gone = true;
    fake.lock().call_all();
    assert!(matches!(nic.drain_irqs(), Err(NicError::Gone)));
}
