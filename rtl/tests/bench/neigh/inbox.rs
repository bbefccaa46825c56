//! The queue of received ARP packets, against a `VecDeque`.
use super::harness::Dice;
use crate::common;
use ferrule_rtl::{native::Native, neigh::inbox::Inbox};
use proptest::prelude::*;
use std::collections::VecDeque;

/// Entries it holds: one less than its memory, so that full and empty differ.
const DEPTH: usize = 7;

proptest! {
    #![proptest_config(crate::common::cases(60))]
    #[test]
    fn keeps_requests_and_replies_in_order(seed: u64, arrive in 1_u64..100, take in 1_u64..100) {
        let mut dut = Native::<Inbox>::default();
        let mut dice = Dice::new(seed);
        let mut waiting = VecDeque::new();
        for n in 0..400_u64 {
            let op = dice.next() % 4;
            let packet = (n.wrapping_mul(0x9E37_79B9) & 0xFFFF_FFFF, n & 0xFFFF);
            let arrives = dice.percent(arrive);
            let u = &mut dut.u;
            u.arp.valid.next = arrives;
            u.arp.op.next = op.into();
            u.arp.sha_lo.next = packet.0.into();
            u.arp.sha_hi.next = packet.1.into();
            u.arp.spa.next = (packet.0 ^ 1).into();
            u.arp.tpa.next = (packet.0 ^ 2).into();
            u.take.next = false;
            u.clock.next = false.into();
            dut.settle();
            prop_assert_eq!(dut.u.busy.val(), arrives || !waiting.is_empty());
            let room = waiting.len() < DEPTH;
            if dut.u.valid.val() {
                let u = &dut.u;
                let got = (
                    u.is_request.val(),
                    (u.sha_lo.val().to_u64(), u.sha_hi.val().to_u64()),
                );
                prop_assert_eq!(Some(&got), waiting.front());
                prop_assert_eq!(u.spa.val().to_u64(), got.1.0 ^ 1);
                prop_assert_eq!(u.tpa.val().to_u64(), got.1.0 ^ 2);
                if dice.percent(take) {
                    dut.u.take.next = true;
                    dut.settle();
                    waiting.pop_front();
                }
            }
            if arrives && room && (op == 1 || op == 2) {
                waiting.push_back((op == 1, packet));
            }
            dut.u.clock.next = true.into();
            dut.settle();
        }
        // Whatever waits comes out.
        dut.u.arp.valid.next = false;
        for _ in 0..3 * DEPTH {
            dut.u.clock.next = false.into();
            dut.u.take.next = false;
            dut.settle();
            if dut.u.valid.val() {
                prop_assert_eq!(dut.u.sha_hi.val().to_u64(), waiting.pop_front().expect("one").1.1);
                dut.u.take.next = true;
                dut.settle();
            }
            dut.u.clock.next = true.into();
            dut.settle();
        }
        prop_assert!(waiting.is_empty());
        prop_assert!(!dut.u.busy.val());
    }
}

#[test]
fn the_verilog_is_clean() {
    let text = ferrule_rtl::verilog::emit::<Inbox>("inbox").expect("emits");
    common::verilator_lint("inbox", &text);
}
