//! The queue of events, against a `VecDeque`.
use super::harness::Dice;
use crate::common;
use ferrule_rtl::{native::Native, neigh::outbox::Outbox};
use proptest::prelude::*;
use std::collections::VecDeque;

/// Entries it holds: one less than its memory.
const DEPTH: usize = 15;

proptest! {
    #![proptest_config(crate::common::cases(60))]
    #[test]
    fn keeps_events_in_order_and_holds_them_back(
        seed: u64, push in 1_u64..100, ready in 0_u64..=100, hold in 0_u64..=100,
    ) {
        let mut dut = Native::<Outbox>::default();
        let mut dice = Dice::new(seed);
        let mut waiting = VecDeque::new();
        let (mut offered, mut held) = (false, false);
        for n in 0..500_u64 {
            // A phase of rest at the end, in which everything comes out.
            let rest = n >= 440;
            let hold_now = !rest && dice.percent(hold);
            let take = rest || dice.percent(ready);
            let item = (n % 3 == 0, n.wrapping_mul(0x9E37_79B9) & 0xFFFF_FFFF);
            let room = dut.u.room.val();
            prop_assert!(!room || waiting.len() < DEPTH);
            prop_assert!(room || n < 480);
            let push_now = !rest && room && dice.percent(push);
            let u = &mut dut.u;
            u.push.next = push_now;
            u.failed.next = item.0;
            u.address.next = item.1.into();
            u.hold.next = hold_now;
            u.source.ready.next = take;
            u.clock.next = false.into();
            dut.settle();
            let valid = dut.u.source.valid.val();
            prop_assert!(valid || !offered, "an offer was taken back");
            prop_assert!(!valid || offered || !held, "a new offer under hold");
            prop_assert_eq!(dut.u.busy.val(), !waiting.is_empty());
            offered = valid;
            if valid {
                let u = &dut.u;
                let got = (u.source.failed.val(), u.source.address.val().to_u64());
                prop_assert_eq!(Some(&got), waiting.front());
                if take {
                    waiting.pop_front();
                    offered = false;
                }
            }
            held = hold_now;
            if push_now {
                waiting.push_back(item);
            }
            dut.u.clock.next = true.into();
            dut.settle();
        }
        prop_assert!(waiting.is_empty());
    }
}

#[test]
fn holds_fifteen() {
    let mut dut = Native::<Outbox>::default();
    let mut pushed = 0;
    for _ in 0..100 {
        let room = dut.u.room.val();
        dut.u.push.next = room;
        pushed += usize::from(room);
        dut.u.clock.next = false.into();
        dut.settle();
        dut.u.clock.next = true.into();
        dut.settle();
    }
    assert_eq!(pushed, DEPTH);
}

#[test]
fn the_verilog_is_clean() {
    let text = ferrule_rtl::verilog::emit::<Outbox>("outbox").expect("emits");
    common::verilator_lint("outbox", &text);
}
