//! Several queue pairs: how the device is told of them, how they are given away and come back, and what becomes of those that are away when the NIC fails.
use crate::fake::*;
use ferrule_abi::{regs, BAR_REGS};
use ferrule_driver::nic::{
    ConfigError, InPlaceFrame, Nic, NicConfig, NicError, NicEvent, QueueName, QueuePair, Recovery,
    RxFrame, SteeringError, Stop, TxFrame, TxMode, TxOutcome, Verdict,
};
use ferrule_driver::Device;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

const MS: u64 = 1_000_000;

fn with(queue_pairs: u8) -> NicConfig {
    NicConfig {
        queue_pairs,
        hash_key: [7; 40],
        ..small()
    }
}

fn frame(byte: u8) -> Vec<u8> {
    vec![byte; 60 + usize::from(byte)]
}

fn raw<'a>(parts: &'a [&'a [u8]], token: u64) -> TxFrame<'a> {
    TxFrame {
        parts,
        mode: TxMode::Raw,
        token,
        report: true,
        ..TxFrame::default()
    }
}

fn send(pair: &mut QueuePair, byte: u8) {
    let bytes = frame(byte);
    assert!(pair.send(&raw(&[&bytes], byte.into())).unwrap());
}

fn tokens(pair: &mut QueuePair) -> Vec<u64> {
    let done = pair.tx_completions().unwrap();
    let sent = TxOutcome::Sent { timestamp: None };
    assert!(done.iter().all(|d| d.outcome == sent));
    done.iter().map(|d| d.token).collect()
}

fn received(pair: &mut QueuePair) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    pair.rx_batch(64, &mut frames).unwrap();
    frames.iter().map(RxFrame::to_vec).collect()
}

fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).unwrap() == 1
}

#[track_caller]
fn assert_recalled<T: std::fmt::Debug>(result: Result<T, NicError>) {
    assert!(matches!(result, Err(NicError::Recalled)), "{result:?}");
}

/// Every operation of it that can fail fails, because it is recalled.
#[track_caller]
fn assert_all_recalled(pair: &mut QueuePair) {
    assert!(pair.has_work() && !pair.is_quiet());
    assert_recalled(pair.rx_batch(1, &mut Vec::new()));
    assert_recalled(pair.tx_batch(&[raw(&[&frame(1)], 0)]));
    assert_recalled(pair.send(&raw(&[&frame(1)], 0)));
    assert_recalled(pair.tx_completions());
    assert_recalled(pair.forward(1, &mut Vec::new(), |_| Verdict::Drop));
    assert_recalled(pair.tx_in_place(1, |_, _| Some(InPlaceFrame::raw(0..60))));
    assert_recalled(pair.arm());
    assert_recalled(pair.watchdog());
    assert_recalled(pair.check_present());
}

#[test]
fn a_pair_can_be_given_to_another_thread() {
    fn send<T: Send>() {}
    send::<QueuePair>();
}

#[test]
fn each_pair_has_rings_slots_and_a_vector_of_its_own() {
    let fake = Fake::new();
    let _nic = fake.open(&with(4)).unwrap();
    let state = fake.lock();
    assert!(state.ops.contains(&Op::Msix(6)), "{:?}", state.ops);
    let mut places = Vec::new();
    let reg = |offset| state.reg(offset);
    for pair in 0..4 {
        let (tx, rx) = (regs::tx_page(pair), regs::rx_page(pair));
        // docs/registers.md: SQ_LOG2, CQ_LOG2 and VECTOR; RXQ_LOG2, CQ_LOG2, VECTOR and DROP.
        let (tx_vector, rx_vector) = match pair {
            0 => (1, 2),
            n => (2 + n, 2 + n),
        };
        assert_eq!(reg(tx + 0x0C), 4 | 4 << 8 | tx_vector << 16);
        assert_eq!(reg(rx + 0x0C), 4 | 4 << 8 | rx_vector << 16 | 1 << 25);
        assert_eq!(reg(rx + 0x28), 11 | 16 << 16);
        assert_eq!([reg(tx + 4), reg(rx + 4)], [1, 1]);
        let areas = [
            (tx + 0x10, 16 << 4),
            (tx + 0x18, 16 << 4),
            (rx + 0x10, 2 << 4),
            (rx + 0x18, 16 << 4),
            (rx + 0x20, 16 << 11),
        ];
        for (low, len) in areas {
            let start = u64::from(reg(low + 4)) << 32 | u64::from(reg(low));
            state.dma(start, len);
            places.push(start..start + len as u64);
        }
    }
    places.sort_by_key(|place| place.start);
    let apart = places.windows(2).all(|two| two[0].end <= two[1].start);
    assert!(apart, "{places:x?}");
    // Entry 16n + i in bits 2i of INDIRECTION n, and entry n is pair n modulo 4.
    for n in 0..8 {
        assert_eq!(reg(0xE0 + 4 * n), 0xE4E4_E4E4);
    }
    drop(state);
    fake.assert_content();
}

#[test]
fn one_pair_is_set_up_as_ever() {
    let fake = Fake::new();
    let mut nic = fake.open(&small()).unwrap();
    assert!(nic.take_pair(0).is_none() && nic.take_pair(1).is_none());
    assert_eq!(nic.pairs_away(), 0);
    let state = fake.lock();
    assert!(state.ops.contains(&Op::Msix(3)));
    assert_eq!(state.reg(regs::rx_page(0) + 0x0C) >> 25 & 1, 0, "DROP");
    assert_eq!(state.reg(regs::tx_page(1) + 4), 0);
}

#[test]
fn pairs_that_cannot_be_are_refused_and_the_reason_told() {
    let open = |change: fn(&mut State), config: &NicConfig| {
        let fake = Fake::new();
        change(&mut fake.lock());
        let error = fake.open(config).err().expect("refused");
        assert_eq!(fake.lock().mapped(), 0);
        error
    };
    let two_queues = |state: &mut State| {
        let caps = regs::caps::QUEUES.set(state.reg(regs::caps::OFFSET), 2);
        state.regs.insert(regs::caps::OFFSET, caps);
    };
    let error = open(two_queues, &with(3));
    assert!(matches!(
        error,
        NicError::TooManyPairs { asked: 3, there: 2 }
    ));
    let error = open(|state| state.for_one_thread = true, &with(2));
    assert!(matches!(error, NicError::NotShared { backend: "fake" }));
    let no_hash = |state: &mut State| {
        let hash = regs::caps::HASH.of(1);
        state.absent.insert(regs::caps::OFFSET, hash);
    };
    assert!(matches!(
        open(no_hash, &with(2)),
        NicError::Unsupported("flow hash")
    ));
    let no_key = NicConfig {
        hash_key: [0; 40],
        ..with(2)
    };
    let error = open(|_| {}, &no_key);
    assert!(matches!(
        error,
        NicError::Config(ConfigError::NoHashKey { pairs: 2 })
    ));
    let pushing = NicConfig {
        push: true,
        ..with(2)
    };
    let push = open(|_| {}, &pushing).to_string();
    assert!(push.contains("queue_pairs in PUSH mode"), "{push}");
    let only = |state: &mut State| {
        let caps = state.reg(regs::caps::OFFSET) | regs::caps::PUSH_ONLY.of(1);
        state.regs.insert(regs::caps::OFFSET, caps);
    };
    let push = open(only, &with(2)).to_string();
    assert!(push.contains("queue_pairs in PUSH mode"), "{push}");
}

#[test]
fn pairs_send_and_receive_side_by_side_while_all_indices_wrap() {
    let fake = Fake::new();
    let mut nic = fake.open(&with(3)).unwrap();
    let mut one = nic.take_pair(1).unwrap();
    let mut two = nic.take_pair(2).unwrap();
    assert_eq!((one.number(), two.number(), nic.pairs_away()), (1, 2, 2));
    assert!(nic.take_pair(1).is_none(), "it is away");
    let reads = fake.lock().reads;
    for round in 0..100 {
        for (n, pair) in [(1, &mut one), (2, &mut two)] {
            let byte = (10 * round + n) as u8;
            send(pair, byte);
            assert_eq!(pair.tx_outstanding(), 1);
            let sent = fake.lock().transmit_of(n).unwrap();
            assert_eq!(sent.bytes, frame(byte));
            assert!(pair.has_work() && !pair.is_quiet());
            assert_eq!(tokens(pair), [u64::from(byte)]);
            assert!(fake.lock().deliver_to(n, &frame(byte), 0));
            assert_eq!(received(pair), [frame(byte)]);
            assert!(!pair.has_work());
        }
        // What goes to pair 0 is the NIC's, and nobody else's.
        assert!(fake.lock().deliver(&frame(round as u8), 0));
        let mut frames = Vec::new();
        assert_eq!(nic.rx_batch(9, &mut frames).unwrap(), 1);
    }
    assert_eq!(fake.lock().reads, reads, "no register is read");
    assert_eq!(nic.tx_max_frame(), one.tx_max_frame());
    assert_eq!(nic.max_segmented(), one.max_segmented());
    fake.assert_content();
}

#[test]
fn a_pair_forwards_from_its_own_slots_and_builds_in_its_own_buffers() {
    let fake = Fake::new();
    let mut nic = fake.open(&with(2)).unwrap();
    let mut pair = nic.take_pair(1).unwrap();
    for round in 0..50 {
        assert!(fake.lock().deliver_to(1, &frame(round), 0));
        let done = pair.forward(9, &mut Vec::new(), |frame| {
            let len = frame.stored_len();
            Verdict::Forward(InPlaceFrame::raw(0..len))
        });
        assert_eq!(done.unwrap().sent, 1);
        let built = pair.tx_in_place(1, |_, buffer| {
            buffer.write(0, &frame(round + 1));
            Some(InPlaceFrame::raw(0..frame(round + 1).len()))
        });
        assert_eq!(built.unwrap(), 1);
        for byte in [round, round + 1] {
            assert_eq!(fake.lock().transmit_of(1).unwrap().bytes, frame(byte));
        }
    }
    fake.assert_content();
}

#[test]
fn an_interrupt_of_either_queue_wakes_the_pairs_thread_and_no_other() {
    let fake = Fake::new();
    let mut nic = fake.open(&with(3)).unwrap();
    let mut one = nic.take_pair(1).unwrap();
    let mut two = nic.take_pair(2).unwrap();
    send(&mut one, 1);
    one.arm().unwrap();
    two.arm().unwrap();
    nic.arm().unwrap();
    assert!(!is_readable(one.irq_fd()));
    fake.lock().transmit_of(1).unwrap();
    assert!(is_readable(one.irq_fd()) && one.has_work());
    one.drain_irq().unwrap();
    assert!(!is_readable(one.irq_fd()));
    assert_eq!(tokens(&mut one), [1]);
    assert!(fake.lock().deliver_to(1, &frame(3), 0));
    assert!(is_readable(one.irq_fd()) && !is_readable(two.irq_fd()));
    assert!(nic.irq_fds().iter().all(|fd| !is_readable(*fd)));
    fake.assert_content();
}

#[test]
fn a_pair_whose_slots_are_out_holds_up_nobody() {
    let fake = Fake::new();
    let mut nic = fake.open(&with(2)).unwrap();
    // Nobody has taken pair 1.
    let mut state = fake.lock();
    assert_eq!((state.slots_lent(), state.slots_lent_by(1)), (16, 16));
    while state.deliver_to(1, &frame(0), 0) {}
    assert_eq!((state.slots_lent(), state.slots_lent_by(1)), (16, 0));
    assert!(state.deliver(&frame(1), 0));
    drop(state);
    assert_eq!(nic.rx_batch(9, &mut Vec::new()).unwrap(), 1);
    // Whoever takes it later finds what fitted.
    let mut pair = nic.take_pair(1).unwrap();
    assert_eq!(received(&mut pair).len(), 16);
}

#[test]
fn a_pair_goes_home_when_it_is_dropped_and_also_by_a_panic() {
    let fake = Fake::new();
    let mut nic = fake.open(&with(2)).unwrap();
    let mut pair = nic.take_pair(1).unwrap();
    send(&mut pair, 5);
    assert!(fake.lock().deliver_to(1, &frame(6), 0));
    drop(pair);
    assert_eq!(nic.pairs_away(), 0);
    let mut pair = nic.take_pair(1).unwrap();
    let thread = std::thread::spawn(move || {
        send(&mut pair, 7);
        let done = pair.forward(9, &mut Vec::new(), |_| panic!("a program's"));
        unreachable!("{done:?}");
    });
    thread.join().unwrap_err();
    assert_eq!(nic.pairs_away(), 0);
    let mut pair = nic.take_pair(1).unwrap();
    for byte in [5, 7] {
        assert_eq!(fake.lock().transmit_of(1).unwrap().bytes, frame(byte));
    }
    assert_eq!(tokens(&mut pair), [5, 7]);
    for byte in 0..40 {
        assert!(fake.lock().deliver_to(1, &frame(byte), 0));
        assert_eq!(received(&mut pair), [frame(byte)]);
    }
    fake.assert_content();
}

#[test]
fn a_pair_that_is_recalled_does_nothing_more_until_it_has_been_home() {
    let fake = Fake::new();
    let mut nic = fake.open(&with(3)).unwrap();
    let mut one = nic.take_pair(1).unwrap();
    let doorbells = fake.lock().doorbells;
    nic.recall();
    assert!(is_readable(one.irq_fd()), "who sleeps wakes up");
    assert_all_recalled(&mut one);
    assert_eq!(fake.lock().doorbells, doorbells);
    // What was at home is not concerned.
    let mut two = nic.take_pair(2).unwrap();
    send(&mut two, 1);
    drop(one);
    let mut one = nic.take_pair(1).unwrap();
    send(&mut one, 2);
    assert_eq!(fake.lock().transmit_of(1).unwrap().bytes, frame(2));
    assert_eq!(fake.lock().transmit_of(2).unwrap().bytes, frame(1));
    fake.assert_content();
}

#[test]
fn a_recovery_waits_for_all_pairs_and_loses_nothing_of_any() {
    let fake = Fake::new();
    let mut nic = fake.open(&with(3)).unwrap();
    let mut table = [0; 128];
    (table[3], table[127]) = (2, 1);
    nic.set_indirection(&table).unwrap();
    let mut one = nic.take_pair(1).unwrap();
    let mut two = nic.take_pair(2).unwrap();
    for byte in 1..=4 {
        send(&mut one, byte);
        send(&mut two, 10 + byte);
    }
    assert_eq!(fake.lock().transmit_of(1).unwrap().bytes, frame(1));
    // It was on the wire, but nobody knows.
    fake.lock().take_frame_of(2).unwrap();
    for byte in 20..25 {
        assert!(fake.lock().deliver_to(2, &frame(byte), 0));
    }
    let resets = |fake: &Fake| {
        let ops = &fake.lock().ops;
        ops.iter().filter(|op| **op == Op::Reset).count()
    };
    let before = resets(&fake);
    assert!(matches!(nic.recover(), Err(NicError::PairsAway(2))));
    drop(one);
    let error = nic.recover().unwrap_err();
    assert!(matches!(error, NicError::PairsAway(1)), "{error}");
    assert!(error.to_string().contains("recall"), "{error}");
    assert_eq!(resets(&fake), before, "nothing was done");
    nic.recall();
    assert_all_recalled(&mut two);
    drop(two);
    let recovery = nic.recover().unwrap();
    assert_eq!(
        recovery,
        Recovery {
            // Of the eight, one was completed.
            sent_again: 7,
            received: 5,
            failed: 0,
        }
    );
    let words: Vec<_> = (0..8).map(|n| fake.lock().reg(0xE0 + 4 * n)).collect();
    assert_eq!(words, [2 << 6, 0, 0, 0, 0, 0, 0, 1 << 30]);
    let mut one = nic.take_pair(1).unwrap();
    let mut two = nic.take_pair(2).unwrap();
    for byte in 2..=4 {
        assert_eq!(fake.lock().transmit_of(1).unwrap().bytes, frame(byte));
    }
    for byte in 11..=14 {
        assert_eq!(fake.lock().transmit_of(2).unwrap().bytes, frame(byte));
    }
    assert_eq!(tokens(&mut one), [1, 2, 3, 4]);
    assert_eq!(tokens(&mut two), [11, 12, 13, 14]);
    let came: Vec<_> = (20..25).map(frame).collect();
    assert_eq!(received(&mut two), came);
    assert!(fake.lock().deliver_to(2, &frame(9), 0));
    assert_eq!(received(&mut two), [frame(9)]);
    fake.assert_content();
}

#[test]
fn a_queue_of_a_pair_that_is_away_is_stopped_and_the_pair_hears_of_it() {
    let fake = Fake::new();
    let mut nic = fake.open(&with(3)).unwrap();
    let mut one = nic.take_pair(1).unwrap();
    let mut two = nic.take_pair(2).unwrap();
    fake.lock().stop_queue(rx(2));
    fake.lock().stop_queue(tx(1));
    let error = regs::queue_error::BAD_INDEX;
    let stopped = |queue| NicEvent::QueueError { queue, error };
    assert_eq!(
        nic.events().unwrap(),
        [
            stopped(QueueName::Receive(2)),
            stopped(QueueName::Transmit(1))
        ]
    );
    assert!(is_readable(one.irq_fd()) && one.has_work() && !one.is_quiet());
    let (rx, tx) = (QueueName::Receive(2), QueueName::Transmit(1));
    for _ in 0..2 {
        match one.send(&raw(&[&frame(1)], 0)) {
            Err(NicError::Stopped {
                queue,
                why: Stop::ByDevice(code),
            }) => assert_eq!((queue, code), (tx, error)),
            other => panic!("{other:?}"),
        }
        match two.rx_batch(9, &mut Vec::new()) {
            Err(NicError::Stopped {
                queue,
                why: Stop::ByDevice(code),
            }) => assert_eq!((queue, code), (rx, error)),
            other => panic!("{other:?}"),
        }
    }
    // The other direction goes on.
    assert!(fake.lock().deliver_to(1, &frame(3), 0));
    assert_eq!(received(&mut one), [frame(3)]);
    send(&mut two, 4);
    assert!(matches!(
        two.watchdog(),
        Err(NicError::Stopped { queue, .. }) if queue == rx
    ));
    nic.watchdog().unwrap();
    drop((one, two));
    // At home they are the NIC's to look after.
    assert!(matches!(nic.watchdog(), Err(NicError::Stopped { .. })));
    nic.recover().unwrap();
    let mut one = nic.take_pair(1).unwrap();
    send(&mut one, 8);
    assert_eq!(fake.lock().transmit_of(1).unwrap().bytes, frame(8));
}

#[test]
fn an_event_of_a_pair_that_was_not_set_up_is_a_lie() {
    let fake = Fake::new();
    let mut nic = fake.open(&with(2)).unwrap();
    fake.lock().stop_queue(tx(2));
    assert!(matches!(
        nic.events(),
        Err(NicError::Stopped {
            queue: QueueName::Events,
            why: Stop::Quarantined(_)
        })
    ));
}

#[test]
fn a_lie_ends_one_queue_of_one_pair() {
    let fake = Fake::new();
    let mut nic = fake.open(&with(3)).unwrap();
    let mut one = nic.take_pair(1).unwrap();
    let mut two = nic.take_pair(2).unwrap();
    fake.lock().complete(rx(1), [60, 0, 0, 99 << 16]);
    assert!(matches!(
        one.rx_batch(9, &mut Vec::new()),
        Err(NicError::Stopped {
            queue: QueueName::Receive(1),
            why: Stop::Quarantined(_)
        })
    ));
    assert_eq!(fake.lock().reg(regs::rx_page(1) + 4), 0, "it is disabled");
    send(&mut one, 1);
    assert!(fake.lock().deliver_to(2, &frame(1), 0));
    assert_eq!(received(&mut two), [frame(1)]);
    fake.assert_content();
}

#[test]
fn each_pair_has_a_watchdog_and_the_nic_looks_after_those_at_home() {
    let (fake, clock) = (Fake::new(), Arc::new(JumpClock::default()));
    let mut nic = fake.open_on(Arc::clone(&clock), &with(3)).unwrap();
    let up = regs::status::LINK_UP.of(1);
    fake.lock().regs.insert(regs::status::OFFSET, up);
    let mut one = nic.take_pair(1).unwrap();
    send(&mut one, 1);
    assert!(one.watchdog().unwrap().is_some());
    assert_eq!(nic.watchdog().unwrap(), None, "it is away");
    clock.advance(5_000 * MS);
    let stuck = one.watchdog();
    assert!(
        matches!(
            stuck,
            Err(NicError::Stuck {
                what: "sending",
                limit_ms: 5_000
            })
        ),
        "{stuck:?}"
    );
    drop(one);
    let stuck = nic.watchdog();
    assert!(matches!(stuck, Err(NicError::Stuck { .. })), "{stuck:?}");
    nic.recover().unwrap();
    assert!(nic.watchdog().unwrap().is_some());
    fake.lock().transmit_of(1).unwrap();
    assert_eq!(tokens(&mut nic.take_pair(1).unwrap()), [1]);
    assert_eq!(nic.watchdog().unwrap(), None);
}

#[test]
fn a_device_that_is_gone_is_told_by_a_pair_as_by_the_nic() {
    let (fake, clock) = (Fake::new(), Arc::new(JumpClock::default()));
    let mut nic = fake.open_on(Arc::clone(&clock), &with(2)).unwrap();
    let mut pair = nic.take_pair(1).unwrap();
    pair.check_present().unwrap();
    send(&mut pair, 1);
    pair.watchdog().unwrap();
    fake.lock().gone = true;
    assert!(matches!(pair.check_present(), Err(NicError::Gone)));
    clock.advance(50 * MS);
    assert!(matches!(pair.watchdog(), Err(NicError::Gone)));
    assert!(matches!(nic.check_present(), Err(NicError::Gone)));
}

#[test]
fn pairs_learn_of_a_reset_by_the_nic_that_looks_for_it() {
    let fake = Fake::new();
    let mut nic = fake.open(&with(3)).unwrap();
    let mut one = nic.take_pair(1).unwrap();
    fake.lock().lose_state();
    nic.drain_irqs().unwrap();
    let error = one.rx_batch(9, &mut Vec::new()).unwrap_err();
    assert!(matches!(
        error,
        NicError::Stopped {
            queue: QueueName::Receive(1),
            why: Stop::Reset
        }
    ));
    drop(one);
    nic.recover().unwrap();
    send(&mut nic.take_pair(1).unwrap(), 4);
    assert_eq!(fake.lock().transmit_of(1).unwrap().bytes, frame(4));
}

#[test]
fn a_nic_that_is_dropped_recalls_its_pairs_and_leaves_them_what_they_had_received() {
    let fake = Fake::new();
    let mut nic = fake.open(&with(2)).unwrap();
    let mut pair = nic.take_pair(1).unwrap();
    let long: Vec<u8> = (0..1_000).map(|n| n as u8).collect();
    assert!(fake.lock().deliver_to(1, &long, 0));
    let mut frames = Vec::new();
    pair.rx_batch(9, &mut frames).unwrap();
    assert!(frames[0].body.as_ref().unwrap().holds_slot());
    fake.lock().ops.clear();
    nic.close().unwrap();
    let state = fake.lock();
    assert_eq!(state.mapped(), 0);
    assert_eq!(state.ops[0], Op::Reset, "{:?}", state.ops);
    let doorbells = state.doorbells;
    drop(state);
    assert!(is_readable(pair.irq_fd()));
    assert_all_recalled(&mut pair);
    assert_eq!(fake.lock().doorbells, doorbells);
    assert_eq!(frames[0].to_vec(), long);
    drop(pair);
    assert_eq!(frames[0].to_vec(), long);
    fake.assert_content();
}

#[test]
fn a_nic_whose_pairs_are_home_is_closed_in_order() {
    let fake = Fake::new();
    let mut nic = fake.open(&with(2)).unwrap();
    drop(nic.take_pair(1));
    fake.lock().ops.clear();
    nic.close().unwrap();
    let state = fake.lock();
    let stops: Vec<_> = state.ops.iter().take(6).cloned().collect();
    let stop = |queue: usize| Op::Enable(queue as u32, false);
    let wanted = [rx(0), rx(1), tx(0), tx(1), EVENTS].map(stop);
    assert_eq!(stops[..5], wanted);
    assert_eq!(stops[5], Op::PortControl(0));
    assert!(!state.ops.contains(&Op::Reset), "{:?}", state.ops);
    assert_eq!(state.mapped(), 0);
}

#[test]
fn a_device_that_refuses_a_pairs_set_up_is_left_reset_and_without_memory() {
    for queue in [tx(1), rx(2)] {
        let fake = Fake::new();
        let status = PAGES[queue] + regs::event_status::OFFSET;
        fake.lock().refuse = Some((status, regs::queue_error::BAD_SETUP << 4));
        let error = fake.open(&with(3)).err().expect("refused");
        assert!(matches!(error, NicError::Stopped { .. }), "{error}");
        let state = fake.lock();
        assert_eq!(state.mapped(), 0);
        assert_eq!(state.ops.iter().filter(|op| **op == Op::Reset).count(), 2);
    }
}

#[test]
fn the_indirection_table_is_checked_and_kept() {
    let fake = Fake::new();
    let mut nic = fake.open(&with(3)).unwrap();
    let expected: [u8; 128] = std::array::from_fn(|n| (n % 3) as u8);
    assert_eq!(nic.indirection(), &expected);
    let mut table = expected;
    table[5] = 3;
    let refused = nic.set_indirection(&table);
    let error = SteeringError {
        entry: 5,
        pair: 3,
        last: 2,
    };
    assert!(matches!(refused, Err(NicError::Steering(e)) if e == error));
    assert_eq!(nic.indirection(), &expected);
    nic.set_indirection(&[1; 128]).unwrap();
    assert_eq!(fake.lock().reg(0xE0 + 28), 0x5555_5555);
    nic.recover().unwrap();
    assert_eq!(nic.indirection(), &[1; 128]);
    assert_eq!(fake.lock().reg(0xE0), 0x5555_5555);
    // Of one pair there is nothing to choose.
    let mut alone: Nic = Fake::new().open(&small()).unwrap();
    alone.set_indirection(&[0; 128]).unwrap();
    alone.set_indirection(&[1; 128]).unwrap_err();
}

#[test]
fn a_handle_for_the_registers_keeps_the_device_open() {
    // A port is the device whose being let go of can be seen: it is reset then.
    let fake = Fake::new();
    let function = ferrule_driver::ports::Function::over(Box::new(FakeDevice(fake.clone())));
    let mut port = function.unwrap().open(0).unwrap();
    let mut registers = port.share_registers().unwrap().unwrap();
    let is_reset = |fake: &Fake| fake.lock().ops.contains(&Op::Reset);
    registers
        .write32(BAR_REGS, regs::scratch::OFFSET, 7)
        .unwrap();
    assert_eq!(port_read(&mut port), 7);
    drop(port);
    assert!(!is_reset(&fake));
    let seven = registers.read32(BAR_REGS, regs::scratch::OFFSET);
    assert_eq!(seven.unwrap(), 7);
    drop(registers);
    assert!(is_reset(&fake));
}

fn port_read(port: &mut dyn Device) -> u32 {
    port.read32(BAR_REGS, regs::scratch::OFFSET).unwrap()
}
