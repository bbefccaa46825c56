//! The transmit queue against a host and a transmit path that follow the design's words.
use super::tx_bench::{mixed, random_sqes, run, Bench, Verdict, CQ, DATA, SQ};
use crate::common::verilator_lint;
use ferrule_abi::regs::queue_error;
use ferrule_abi::ring::{cqe_status as cs, sqe_flags as sf, Sqe, INDEX_MODULUS};
use ferrule_rtl::queue::tx::TxQueues;
use proptest::prelude::*;

proptest! {
    #![proptest_config(crate::common::cases(12))]
    #[test]
    fn every_frame_is_sent_once_or_reported_once(seed: u64, sq_log2 in 4u32..7, cq_log2 in 4u32..6, wrong in prop_oneof![Just(0u64), Just(5), Just(25)]) {
        let mut b = Bench::new(seed, sq_log2, cq_log2);
        b.answer = mixed;
        if b.rng.percent(50) {
            b.pay.poison = vec![DATA + 0x1F00..DATA + 0x2010, DATA + 0x5003..DATA + 0x5004];
        }
        let longest = if b.rng.percent(50) { 2000 } else { 90 };
        let n = if longest > 100 { 80 } else { 250 };
        let sqes = random_sqes(&mut b.rng, n, longest, wrong);
        run(b, &sqes, seed % 2 == 0);
    }
}

#[test]
fn every_alignment_and_length_up_to_twenty() {
    let mut sqes = vec![];
    for at in 0..8 {
        for len in 1..=20u16 {
            // Two parts, so that the second begins at every place in a beat.
            let first = Sqe {
                iova: DATA + 256 + at,
                len,
                flags: sf::SOP,
                ..Sqe::default()
            };
            let second = Sqe {
                iova: DATA + 512 + (at * 3) % 8,
                len: 21 - len,
                flags: sf::EOP | sf::CPL_REQ,
                ..Sqe::default()
            };
            sqes.extend([first, second]);
        }
    }
    run(Bench::new(5, 6, 6), &sqes, false);
}

#[test]
fn reads_are_split_at_256_bytes_or_the_read_size_and_several_are_in_flight() {
    for (mrrs, block) in [(2u64, 256u64), (1, 256), (0, 128)] {
        let mut b = Bench::new(11, 4, 4);
        (b.pay.accept, b.pay.offer, b.pay.latency) = (100, 100, 0);
        b.dut.u.max_read.next = mrrs.into();
        b.pay.max_read = block as u32;
        b.enable(true);
        b.pay.latency = 400;
        b.post(
            0,
            Sqe {
                iova: DATA + 0xFB1,
                len: 1500,
                flags: sf::SOP | sf::EOP,
                ..Sqe::default()
            },
        );
        b.doorbell(1, 0, false);
        b.settle();
        let (start, end) = (DATA + 0xFB1, DATA + 0xFB1 + 1500);
        let mut want = vec![];
        let mut at = start;
        while at < end {
            let stop = ((at / block + 1) * block).min(end);
            want.push((at & !3, (stop.div_ceil(4) - at / 4) as u32));
            at = stop;
        }
        assert_eq!(b.pay.log, want);
        assert!(b.pay.deepest >= 4, "{} reads in flight", b.pay.deepest);
        assert_eq!(b.packets[0].0.len(), 1500);
    }
}

#[test]
fn the_ring_is_fetched_eight_sqes_a_read_with_two_in_flight() {
    let mut b = Bench::new(12, 5, 5);
    b.sq.latency = 300;
    b.enable(true);
    for i in 0..20 {
        b.post(
            i,
            Sqe {
                iova: DATA,
                len: 64,
                flags: sf::SOP | sf::EOP,
                ..Sqe::default()
            },
        );
    }
    b.doorbell(20, 0, false);
    b.settle();
    assert_eq!(b.sq.log, [(SQ, 32), (SQ + 128, 32), (SQ + 256, 16)]);
    assert_eq!(b.sq.deepest, 2);
    assert_eq!(b.packets.len(), 20);
}

#[test]
fn a_frame_may_total_65_535_bytes_and_not_one_more() {
    for (over, status) in [(0, 0), (1, cs::BAD_DESC)] {
        let mut b = Bench::new(13, 4, 4);
        (b.pay.accept, b.pay.offer, b.pay.latency, b.packet_ready) = (100, 100, 20, 100);
        b.enable(true);
        let lens = [20_000u16, 20_000, 20_000, 5_535 + over];
        for (i, &len) in lens.iter().enumerate() {
            let mut flags = if i == 0 { sf::SOP } else { 0 };
            if i + 1 == lens.len() {
                flags |= sf::EOP | sf::CPL_REQ;
            }
            b.post(
                i as u32,
                Sqe {
                    iova: DATA + 3,
                    len,
                    flags,
                    ..Sqe::default()
                },
            );
        }
        b.doorbell(4, 0, false);
        b.settle();
        b.poll();
        assert_eq!(b.cqes.len(), 1);
        assert_eq!((b.cqes[0].status, b.cqes[0].index), (status, 3));
        assert_eq!(b.packets.len(), usize::from(status == 0));
        assert_eq!(b.aborted, u32::from(status != 0));
    }
}

#[test]
fn indices_survive_the_wrap_of_the_index_space() {
    let mut b = Bench::new(14, 4, 4);
    (b.sq.accept, b.sq.offer, b.sq.latency) = (100, 100, 1);
    (b.pay.accept, b.pay.offer, b.pay.latency) = (100, 100, 1);
    (b.packet_ready, b.cq.accept, b.verdict_delay) = (100, 100, 1);
    for i in 0..64 {
        b.memory.set(DATA + i, i as u8);
    }
    b.enable(true);
    let total = INDEX_MODULUS + 100;
    let mut posted = 0;
    while posted < total {
        let n = (16).min(total - posted);
        for i in 0..n {
            let mut flags = sf::SOP | sf::EOP;
            if i + 1 == n {
                flags |= sf::CPL_REQ;
            }
            let sqe = Sqe {
                iova: DATA + u64::from(posted + i) % 8,
                len: 8,
                flags,
                ..Sqe::default()
            };
            b.post(posted + i, sqe);
        }
        posted += n;
        b.doorbell(posted, b.cq_read, false);
        let mut patience = 0;
        let before = b.cq_read;
        while b.cq_read == before {
            b.cycle();
            b.poll();
            patience += 1;
            assert!(patience < 2000, "no completion for {posted}");
        }
        assert_eq!(
            u32::from(b.cqes.last().expect("one").index),
            (posted - 1) % 16
        );
    }
    assert_eq!(b.error(), 0);
    assert_eq!(b.packets.len() as u32, total);
    for (i, p) in b.packets.iter().enumerate() {
        let want: Vec<u8> = (0..8).map(|k| (i % 8 + k) as u8).collect();
        assert_eq!(p.0, want, "packet {i}");
    }
}

#[test]
fn an_impossible_index_stops_the_queue_and_enabling_again_starts_it() {
    // (producer, consumer): a ring is 16 entries, 4 are posted, 4 completions written, 2 of them read.
    for (p, c) in [
        (21u32, 2u32),
        (3, 2),
        (4, 5),
        (4, 1),
        (INDEX_MODULUS - 1, 2),
        (20 + 1, 3),
    ] {
        let mut b = Bench::new(15, 4, 4);
        b.enable(true);
        let sqe = Sqe {
            iova: DATA,
            len: 60,
            flags: sf::SOP | sf::EOP | sf::CPL_REQ,
            ..Sqe::default()
        };
        for i in 0..4 {
            b.post(i, sqe);
        }
        b.doorbell(4, 0, false);
        b.settle();
        b.doorbell(4, 2, false);
        b.settle();
        assert_eq!((b.error(), b.failures), (queue_error::NONE, 0));
        b.doorbell(p, c, false);
        b.settle();
        assert_eq!(
            (b.error(), b.failures),
            (queue_error::BAD_INDEX, 1),
            "{p} {c}"
        );
        assert!(!b.running());
        b.doorbell(5, 2, false);
        b.settle();
        assert_eq!(b.packets.len(), 4, "a stopped queue ignores doorbells");
        b.enable(false);
        assert_eq!(
            b.error(),
            queue_error::BAD_INDEX,
            "the error stays until the queue is enabled"
        );
        b.enable(true);
        assert_eq!(b.error(), 0);
        for i in 0..16 {
            b.memory.set_entry(CQ + 16 * i, [0; 4]);
        }
        (b.cq_read, b.cqes) = (0, vec![]);
        b.doorbell(4, 0, false);
        b.settle();
        b.poll();
        assert_eq!((b.packets.len(), b.cqes.len()), (8, 4));
    }
    // The most that is allowed: a whole ring.
    let mut b = Bench::new(16, 4, 4);
    b.enable(true);
    for i in 0..16 {
        b.post(
            i,
            Sqe {
                iova: DATA,
                len: 60,
                flags: sf::SOP | sf::EOP,
                ..Sqe::default()
            },
        );
    }
    b.doorbell(16, 0, false);
    b.settle();
    b.doorbell(32, 0, false);
    b.settle();
    assert_eq!((b.error(), b.packets.len()), (0, 32));
}

#[test]
fn a_refused_ring_read_stops_the_queue() {
    let mut b = Bench::new(17, 4, 4);
    b.sq.poison.push(SQ + 128..SQ + 256);
    b.enable(true);
    for i in 0..10 {
        b.post(
            i,
            Sqe {
                iova: DATA,
                len: 60,
                flags: sf::SOP | sf::EOP | sf::CPL_REQ,
                ..Sqe::default()
            },
        );
    }
    b.doorbell(10, 0, false);
    b.settle();
    b.poll();
    assert_eq!((b.error(), b.failures), (queue_error::DMA, 1));
    assert!(!b.running());
    assert!(b.packets.len() <= 8 && b.packets.len() == b.cqes.len());
}

#[test]
fn a_wrong_setup_is_refused() {
    for (sq, cq) in [(3, 4), (15, 4), (4, 3), (4, 15)] {
        let mut b = Bench::new(18, 4, 4);
        b.setup(sq | cq << 8);
        b.enable(true);
        b.settle();
        assert_eq!(
            (b.error(), b.failures, b.running()),
            (queue_error::BAD_SETUP, 1, false)
        );
        b.enable(false);
        b.setup(14 | 14 << 8);
        b.enable(true);
        assert_eq!((b.error(), b.running()), (0, true));
    }
}

proptest! {
    #![proptest_config(crate::common::cases(24))]
    #[test]
    fn disabling_at_any_time_comes_to_rest_and_a_new_start_is_clean(seed: u64, cycles in 0u64..1500) {
        let mut b = Bench::new(seed, 4, 4);
        b.answer = mixed;
        b.sq.errors = if seed % 3 == 0 { 100 } else { 0 };
        b.pay.errors = if seed % 5 == 0 { 100 } else { 0 };
        let sqes = random_sqes(&mut b.rng, 16, 700, 10);
        b.enable(true);
        for (i, s) in sqes.iter().enumerate() {
            b.post(i as u32, *s);
        }
        // The host reads nothing: the completion ring may be full as well.
        b.doorbell(16, 0, true);
        for _ in 0..cycles {
            b.cycle();
        }
        b.enable(false);
        b.settle();
        prop_assert!(!b.running());
        prop_assert_eq!(b.current_flags, None, "no packet is left open");
        prop_assert_eq!(b.given.len(), b.packets.len());
        b.poll();
        let status: Vec<u16> = b.cqes.iter().map(|c| c.status).collect();
        prop_assert!(status.len() <= 16);
        // Again, from index 0 and phase 1.
        for i in 0..16 {
            b.memory.set_entry(CQ + 16 * i, [0; 4]);
        }
        (b.sq.errors, b.pay.errors) = (0, 0);
        (b.cq_read, b.cqes, b.packets, b.given) = (0, vec![], vec![], vec![]);
        b.counts = [0; 32];
        b.irqs = 0;
        run(b, &sqes, false);
    }
}

#[test]
fn the_barrier_waits_for_verdicts_and_written_completions() {
    let mut b = Bench::new(19, 4, 4);
    (b.verdict_delay, b.packet_ready, b.cq.accept) = (0, 100, 5);
    b.answer = |_| Verdict::Miss(0x0A00_0001);
    b.enable(true);
    for round in 0..40u32 {
        b.post(
            round,
            Sqe {
                iova: DATA,
                len: 60,
                flags: sf::SOP | sf::EOP,
                ..Sqe::default()
            },
        );
        b.verdict_delay = u64::from(round * 5);
        b.doorbell(round + 1, b.cq_read, false);
        while b.packets.len() as u32 <= round {
            b.cycle();
        }
        b.barrier = true;
        let mut patience = 0;
        while !b.dut.u.barrier_done.val() {
            b.cycle();
            patience += 1;
            assert!(patience < 5000, "the barrier never ends");
        }
        b.poll();
        assert_eq!(
            b.cqes.len() as u32,
            round + 1,
            "the completion is in memory before the barrier ends"
        );
        b.barrier = false;
        b.cycle();
        b.cycle();
        assert!(!b.dut.u.barrier_done.val());
    }
}

/// With the events full a lookup may wait for the room of the very event that the barrier is for.
#[test]
fn the_barrier_passes_a_frame_whose_lookup_waits_for_room() {
    let mut b = Bench::new(23, 4, 4);
    (b.verdict_delay, b.packet_ready) = (0, 100);
    b.answer = |_| Verdict::Miss(0x0A00_0001);
    b.enable(true);
    for index in 0..3 {
        let flags = sf::SOP | sf::EOP;
        let (iova, len) = (DATA, 60);
        b.post(
            index,
            Sqe {
                iova,
                len,
                flags,
                ..Sqe::default()
            },
        );
    }
    b.doorbell(3, 0, false);
    while b.packets.len() < 3 {
        b.cycle();
        if let Some(third) = b.verdicts.get_mut(2 - b.given.len()) {
            third.0 = u64::MAX;
        }
    }
    b.barrier = true;
    for _ in 0..2_000 {
        b.cycle();
    }
    assert!(!b.dut.u.barrier_done.val(), "it has no verdict");
    b.dut.u.stalled.next = true;
    for _ in 0..200 {
        b.cycle();
    }
    assert!(b.dut.u.barrier_done.val(), "it is not waited for");
    b.poll();
    assert_eq!(b.cqes.len(), 2, "those before it are in memory");
    (b.barrier, b.dut.u.stalled.next) = (false, false);
    b.verdicts[0].0 = 0;
    b.settle();
    b.poll();
    assert_eq!(b.cqes.len(), 3);
}

#[test]
fn exports_to_clean_verilog() {
    let text = ferrule_rtl::verilog::emit::<TxQueues>("tx_queues").expect("emits");
    verilator_lint("tx_queues", &text);
}
