//! A receive queue against a host that gives slots back in any order.
use super::rx_bench::{frame, Bench, CQ, RQ, SLOTS};
use crate::common::verilator_lint;
use ferrule_abi::counter;
use ferrule_abi::regs::queue_error;
use ferrule_abi::ring::{cqe_status as cs, INDEX_MODULUS};
use ferrule_rtl::queue::rx::RxQueues;
use proptest::prelude::*;

proptest! {
    #![proptest_config(crate::common::cases(14))]
    #[test]
    fn every_frame_lands_once_in_the_next_slot(seed: u64, rq_log2 in 4u32..9, cq_log2 in 4u32..6, payload in 0u64..5, jumbo: bool) {
        let (stride_log2, slots) = (11 + seed as u32 % 4, 300);
        let mut b = Bench::new(seed, rq_log2, cq_log2, stride_log2, slots);
        b.max_payload(payload);
        b.enable(true);
        let mut free: Vec<u16> = (0..slots as u16).collect();
        let total = if jumbo { 12 } else { 150 };
        let (mut made, mut told, mut pulses, mut armed) = (0, 0, 0u32, false);
        let (mut idle, mut seen) = (0, 0);
        while b.cqes.len() < total {
            idle = if seen == b.cqes.len() { idle + 1 } else { 0 };
            seen = b.cqes.len();
            prop_assert!(idle < 100_000, "stuck at {} of {}", b.cqes.len(), total);
            if made < total && b.frames.len() < 6 && b.rng.percent(10) {
                // Around the size of a slot, or short.
                let len = if jumbo && b.rng.percent(50) {
                    b.stride - 20 + b.rng.below(60)
                } else {
                    1 + b.rng.below(300)
                };
                let f = frame(&mut b.rng, len as usize);
                b.frames.push_back(f);
                made += 1;
            }
            if b.rng.percent(2) {
                b.overflow = true;
                pulses += 1;
            }
            if b.rng.percent(5) {
                b.dut.u.incoming.next = b.rng.percent(50);
            }
            if b.rng.percent(4) {
                // Slots come back, in any order, as many as the ring takes.
                let read = b.cqes.len();
                let room = (1usize << rq_log2) - (b.given.len() - read);
                for _ in 0..b.rng.below(room as u64 + 1) {
                    if free.is_empty() {
                        break;
                    }
                    let k = b.rng.below(free.len() as u64) as usize;
                    let slot = free.swap_remove(k);
                    b.give(slot);
                }
                let producer = b.given.len() as u32;
                let consumer = told + b.rng.below((read as u32 - told) as u64 + 1) as u32;
                free.extend(b.cqes[told as usize..consumer as usize].iter().map(|c| c.index));
                told = consumer;
                let arm = b.rng.percent(20);
                armed |= arm;
                b.doorbell(producer, consumer, arm);
            } else {
                b.cycle();
            }
            prop_assert!(b.cq_read - told <= 1 << cq_log2, "the ring is overrun");
        }
        b.dut.u.incoming.next = false;
        b.settle();
        prop_assert_eq!((b.error(), b.failures), (0, 0));
        b.check(0);
        prop_assert!(!armed || b.irqs > 0);
        let marked = b.cqes.iter().filter(|c| c.status & cs::DROPPED_BEFORE != 0).count() as u32;
        prop_assert!(marked <= pulses);
        let cut = b.handed.iter().filter(|f| f.bytes.len() as u64 > b.stride).count() as u32;
        prop_assert_eq!(b.counts[counter::RX_TRUNCATED as usize], cut);
        prop_assert_eq!(b.counts[counter::RX_DROP_NO_SLOT as usize], 0);
    }
}

#[test]
fn writes_are_as_long_as_the_payload_size_allows() {
    for (code, max) in [
        (0u64, 128u32),
        (1, 256),
        (2, 512),
        (3, 1024),
        (4, 2048),
        (5, 2048),
    ] {
        let mut b = Bench::new(3, 4, 4, 11, 16);
        b.max_payload(code.min(4));
        b.dut.u.max_payload.next = code.into();
        b.enable(true);
        b.give(1);
        b.doorbell(1, 0, false);
        let f = frame(&mut b.rng, 1517);
        b.frames.push_back(f);
        b.settle();
        let base = SLOTS + 2048;
        let want: Vec<(u64, u32)> = (0..1517u32.div_ceil(max))
            .map(|i| (base + u64::from(i * max), max.min(1517 - i * max)))
            .collect();
        assert_eq!(b.payload.log, want);
        b.check(0);
    }
}

#[test]
fn slots_are_fetched_sixty_four_a_read() {
    let mut b = Bench::new(4, 8, 8, 11, 256);
    b.enable(true);
    for slot in 0..200 {
        b.give(slot);
    }
    b.doorbell(200, 0, false);
    for _ in 0..190 {
        let f = frame(&mut b.rng, 60);
        b.frames.push_back(f);
    }
    b.settle();
    b.check(0);
    assert_eq!(
        b.rq.log,
        [(RQ, 32), (RQ + 128, 32), (RQ + 256, 32), (RQ + 384, 4)]
    );
}

#[test]
fn frames_wait_for_slots_and_for_room_in_the_ring() {
    let mut b = Bench::new(5, 5, 4, 11, 64);
    b.enable(true);
    for _ in 0..40 {
        let f = frame(&mut b.rng, 60);
        b.frames.push_back(f);
    }
    b.settle();
    assert_eq!((b.cqes.len(), b.frames.len()), (0, 40), "no slot yet");
    for slot in 0..32 {
        b.give(slot);
    }
    b.doorbell(32, 0, true);
    b.settle();
    assert_eq!(b.cqes.len(), 16, "the completion ring is full");
    assert_eq!(b.irqs, 1);
    b.doorbell(32, 5, false);
    b.settle();
    assert_eq!(b.cqes.len(), 21);
    assert!(
        !b.dut.u.busy.val(),
        "waiting for the host is not being busy"
    );
    assert_eq!(
        (b.error(), b.counts[counter::RX_DROP_NO_SLOT as usize]),
        (0, 0)
    );
}

#[test]
fn a_drop_in_the_buffer_marks_the_next_completion_only() {
    let mut b = Bench::new(6, 4, 4, 11, 16);
    b.enable(true);
    for slot in 0..8 {
        b.give(slot);
    }
    b.doorbell(8, 0, false);
    for (i, drop) in [false, true, false, true, true, false]
        .into_iter()
        .enumerate()
    {
        b.overflow = drop;
        b.cycle();
        let f = frame(&mut b.rng, 60);
        b.frames.push_back(f);
        b.settle();
        assert_eq!(
            b.cqes[i].status & cs::DROPPED_BEFORE != 0,
            drop,
            "frame {i}"
        );
    }
}

#[test]
fn completions_of_a_burst_share_a_write() {
    let mut b = Bench::new(7, 4, 4, 11, 16);
    (b.payload.accept, b.cq.accept, b.offer) = (100, 100, 100);
    b.enable(true);
    for slot in 0..12 {
        b.give(slot);
    }
    for _ in 0..10 {
        let f = frame(&mut b.rng, 60);
        b.frames.push_back(f);
    }
    b.doorbell(12, 0, false);
    b.settle();
    assert_eq!(b.cq.log, [(CQ, 64), (CQ + 64, 64), (CQ + 128, 32)]);
}

/// Cycles from a frame's arrival in the buffer until its completion is in host memory, with a host that is never slow.
fn completion_time(b: &mut Bench) -> u64 {
    let (before, done) = (b.now, b.cqes.len());
    let f = frame(&mut b.rng, 60);
    b.frames.push_back(f);
    while b.cqes.len() == done {
        assert!(b.now < before + 1_000, "no completion");
        b.cycle();
    }
    b.now - before
}

#[test]
fn a_completion_waits_for_frames_that_come_in_but_not_for_long() {
    let mut b = Bench::new(7, 5, 5, 11, 32);
    (b.payload.accept, b.cq.accept, b.offer) = (100, 100, 100);
    b.enable(true);
    (0..32).for_each(|slot| b.give(slot));
    b.doorbell(32, 0, false);
    b.settle();
    let alone = completion_time(&mut b);
    b.settle();
    assert_eq!(b.cq.log, [(CQ, 16)]);

    // The next frame never ends: no company comes.
    b.dut.u.incoming.next = true;
    let waited = completion_time(&mut b);
    b.settle();
    assert!((alone + 64..=alone + 128).contains(&waited), "{waited}");
    assert_eq!(b.cq.log[1..], [(CQ + 16, 16)]);

    // It comes to nothing.
    let f = frame(&mut b.rng, 60);
    b.frames.push_back(f);
    (0..alone + 50).for_each(|_| b.cycle());
    assert_eq!(b.cqes.len(), 2);
    b.dut.u.incoming.next = false;
    (0..6).for_each(|_| b.cycle());
    assert_eq!(b.cqes.len(), 3);

    // As they follow each other on the wire: in lines.
    b.dut.u.incoming.next = true;
    for _ in 0..9 {
        let f = frame(&mut b.rng, 60);
        b.frames.push_back(f);
        (0..84).for_each(|_| b.cycle());
    }
    b.dut.u.incoming.next = false;
    b.settle();
    let lines = [(48, 16), (64, 64), (128, 64)].map(|(at, n)| (CQ + at, n));
    assert_eq!(b.cq.log[3..], lines);
    b.check(0);
}

#[test]
fn an_armed_ring_and_one_without_slots_wait_for_nobody() {
    for (slots, arm) in [(32, true), (1, false)] {
        let mut b = Bench::new(7, 5, 5, 11, 32);
        (b.payload.accept, b.cq.accept, b.offer) = (100, 100, 100);
        b.dut.u.incoming.next = true;
        b.enable(true);
        (0..slots).for_each(|slot| b.give(slot));
        b.doorbell(slots.into(), 0, arm);
        b.settle();
        assert!(completion_time(&mut b) < 60);
        b.settle();
        assert_eq!(b.irqs, u32::from(arm));
    }
}

#[test]
fn a_slot_number_out_of_range_stops_the_queue() {
    for bad in [16u16, 0x7FFF, 0x8000, 0xFFFF] {
        let mut b = Bench::new(8, 4, 4, 11, 16);
        b.enable(true);
        for slot in [3, 15, bad] {
            b.give(slot);
        }
        b.payload.allowed.truncate(2);
        b.doorbell(3, 0, false);
        for _ in 0..5 {
            let f = frame(&mut b.rng, 90);
            b.frames.push_back(f);
        }
        b.settle();
        assert_eq!(
            (b.error(), b.failures, b.running()),
            (queue_error::BAD_SLOT, 1, false)
        );
        assert!(b.cqes.len() <= 2);
        assert_eq!(b.handed.len(), 5, "the buffer empties all the same");
        assert_eq!(
            b.counts[counter::RX_DROP_NO_SLOT as usize] as usize,
            5 - b.cqes.len()
        );
    }
}

#[test]
fn an_impossible_index_stops_the_queue() {
    for (p, c) in [
        (19u32, 2u32),
        (3, 2),
        (INDEX_MODULUS - 1, 2),
        (6, 3),
        (6, INDEX_MODULUS - 1),
    ] {
        let mut b = Bench::new(9, 4, 4, 11, 64);
        b.enable(true);
        for slot in 0..6 {
            b.give(slot);
        }
        b.doorbell(6, 0, false);
        for _ in 0..2 {
            let f = frame(&mut b.rng, 60);
            b.frames.push_back(f);
        }
        b.settle();
        b.doorbell(6, 1, false);
        b.settle();
        assert_eq!(b.error(), queue_error::NONE);
        b.doorbell(p, c, false);
        b.settle();
        assert_eq!(
            (b.error(), b.failures),
            (queue_error::BAD_INDEX, 1),
            "{p} {c}"
        );
    }
    // A whole ring is fine: 2 came back, 16 beyond them.
    let mut b = Bench::new(9, 4, 4, 11, 64);
    b.enable(true);
    (0..16).for_each(|s| b.give(s));
    b.doorbell(16, 0, false);
    for _ in 0..2 {
        let f = frame(&mut b.rng, 60);
        b.frames.push_back(f);
    }
    b.settle();
    (16..18).for_each(|s| b.give(s));
    b.doorbell(18, 2, false);
    b.settle();
    assert_eq!(b.error(), 0);
}

#[test]
fn a_refused_ring_read_stops_the_queue() {
    let mut b = Bench::new(10, 8, 4, 11, 256);
    b.rq.poison.push(RQ + 128..RQ + 256);
    b.enable(true);
    (0..64).for_each(|s| b.give(s));
    b.doorbell(64, 0, false);
    b.settle();
    assert_eq!(
        (b.error(), b.failures, b.running()),
        (queue_error::NONE, 0, true),
        "not read yet"
    );
    // With the first slot used there is room for more.
    b.give(64);
    b.doorbell(65, 0, false);
    let f = frame(&mut b.rng, 60);
    b.frames.push_back(f);
    b.settle();
    assert_eq!(b.cqes.len(), 1);
    assert_eq!(
        (b.error(), b.failures, b.running()),
        (queue_error::DMA, 1, false)
    );
}

#[test]
fn a_wrong_setup_is_refused() {
    let good = [4, 4, 11];
    for (k, v) in [(0, 3), (0, 15), (1, 3), (1, 15), (2, 10), (2, 15)] {
        let mut c = good;
        c[k] = v;
        let mut b = Bench::new(11, 4, 4, 11, 16);
        let set = |b: &mut Bench, c: [u32; 3]| b.setup(c[0] | c[1] << 8, c[2] | 16 << 16);
        set(&mut b, c);
        b.enable(true);
        b.settle();
        assert_eq!(
            (b.error(), b.failures, b.running()),
            (queue_error::BAD_SETUP, 1, false)
        );
        b.enable(false);
        set(&mut b, good);
        b.enable(true);
        assert_eq!((b.error(), b.running()), (0, true));
    }
}

#[test]
fn indices_survive_the_wrap_of_the_index_space() {
    let mut b = Bench::new(12, 4, 4, 11, 64);
    (b.rq.accept, b.rq.offer, b.rq.latency) = (100, 100, 1);
    (b.payload.accept, b.cq.accept, b.offer) = (100, 100, 100);
    b.enable(true);
    let total = INDEX_MODULUS as usize + 50;
    while b.cqes.len() < total {
        while b.given.len() < b.cqes.len() + 16 {
            let slot = b.given.len() as u16 % 64;
            b.give(slot);
        }
        let (p, c) = (b.given.len() as u32, b.cq_read);
        b.doorbell(p, c, false);
        let before = b.cqes.len();
        for _ in 0..13 {
            let f = frame(&mut b.rng, 9);
            b.frames.push_back(f);
        }
        let mut patience = 0;
        while b.cqes.len() < before + 13 {
            b.cycle();
            patience += 1;
            assert!(
                patience < 3000,
                "stuck at {}, error {}",
                b.cqes.len(),
                b.error()
            );
        }
    }
    b.check(0);
    assert_eq!(b.error(), 0);
}

proptest! {
    #![proptest_config(crate::common::cases(16))]
    #[test]
    fn disabling_at_any_time_comes_to_rest_and_a_new_start_is_clean(seed: u64, cycles in 0u64..1200) {
        let mut b = Bench::new(seed, 5, 4, 11, 64);
        b.enable(true);
        (0..32).for_each(|s| b.give(s));
        b.doorbell(32, 0, true);
        for _ in 0..40 {
            let len = 1 + b.rng.below(200) as usize;
            let f = frame(&mut b.rng, len);
            b.frames.push_back(f);
        }
        for _ in 0..cycles {
            b.cycle();
        }
        b.enable(false);
        b.settle();
        prop_assert!(!b.running());
        prop_assert_eq!(b.handed.len(), 40, "the buffer empties");
        let done = b.cqes.len();
        let dropped = b.counts[counter::RX_DROP_NO_SLOT as usize] as usize;
        // The frame that was under way may have found no room for its completion.
        prop_assert!(done + dropped == 40 || (done == 16 && done + dropped == 39), "{} {}", done, dropped);
        for i in 0..16 {
            b.memory.set_entry(CQ + 16 * i, [0; 4]);
        }
        (b.cq_read, b.given, b.cqes, b.contents, b.handed) = (0, vec![], vec![], vec![], vec![]);
        b.payload.allowed.clear();
        b.enable(true);
        (10..20).for_each(|s| b.give(s));
        b.doorbell(10, 0, false);
        for _ in 0..10 {
            let len = 1 + b.rng.below(200) as usize;
            let f = frame(&mut b.rng, len);
            b.frames.push_back(f);
        }
        b.settle();
        b.check(0);
        prop_assert_eq!(b.cqes.len(), 10);
    }
}

#[test]
fn exports_to_clean_verilog() {
    let text = ferrule_rtl::verilog::emit::<RxQueues>("rx_queues").expect("emits");
    verilator_lint("rx_queues", &text);
}
