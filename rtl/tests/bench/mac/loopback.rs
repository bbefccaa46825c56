//! Loopback: frames come back padded, at the pace of a wire.
use super::gmii::{self, padded};
use crate::common::verilator_lint;
use ferrule_rtl::mac::loopback::Loopback;
use ferrule_rtl::native::Native;
use proptest::prelude::*;
use std::collections::VecDeque;

proptest! {
    #![proptest_config(crate::common::cases(24))]
    #[test]
    fn frames_come_back_padded_and_no_faster_than_a_wire(
        lens in proptest::collection::vec(prop_oneof![1usize..70, 1usize..400], 1..6),
        seed in any::<u32>(),
    ) {
        let mut dut = Native::<Loopback>::default();
        let frames: Vec<_> = lens.iter().enumerate().map(|(i, &n)| gmii::bytes(n, seed ^ i as u32)).collect();
        let mut words = VecDeque::new();
        for f in &frames {
            let n = f.chunks(4).len();
            for (i, chunk) in f.chunks(4).enumerate() {
                let mut word = [0xEE; 4];
                word[..chunk.len()].copy_from_slice(chunk);
                words.push_back((u32::from_le_bytes(word), chunk.len() as u64 - 1, i + 1 == n));
            }
        }
        let (mut got, mut frame, mut times) = (Vec::new(), Vec::new(), Vec::new());
        for t in 0..8000u64 {
            let u = &mut dut.u;
            u.clock.next = false.into();
            let (data, count, last) = words.front().copied().unwrap_or((7, 1, true));
            u.s.valid.next = !words.is_empty();
            u.s.data.next = u64::from(data).into();
            u.s.count.next = count.into();
            u.s.last.next = last;
            dut.settle();
            let u = &dut.u;
            if u.s.ready.val() {
                words.pop_front();
            }
            if u.m.valid.val() {
                frame.extend_from_slice(&u.m.data.val().to_u32().to_le_bytes()[..u.m.count.val().to_u64() as usize + 1]);
                prop_assert_eq!(u.m.bad.val().to_u64(), 0);
                if u.m.last.val() {
                    got.push(std::mem::take(&mut frame));
                    times.push(t);
                }
            }
            let busy = u.busy.val();
            dut.u.clock.next = true.into();
            dut.settle();
            if got.len() == frames.len() && !busy {
                break;
            }
        }
        let expected: Vec<_> = frames.iter().map(|f| padded(f)).collect();
        prop_assert_eq!(&got, &expected);
        for (pair, f) in times.windows(2).zip(&expected[1..]) {
            // Frame, FCS, gap, preamble and SFD: a byte a clock.
            prop_assert!(pair[1] - pair[0] >= (f.len() + 4 + 12 + 8) as u64 - 3);
        }
    }
}

#[test]
fn verilog_is_clean() {
    verilator_lint(
        "loopback",
        &ferrule_rtl::verilog::emit::<Loopback>("loopback").expect("emits"),
    );
}
