//! Width conversion: beats to words and words to beats keep every byte and every end.
use super::gmii;
use crate::common::verilator_lint;
use ferrule_rtl::mac::narrow::Narrow;
use ferrule_rtl::mac::widen::Widen;
use ferrule_rtl::native::Native;
use proptest::prelude::*;
use std::collections::VecDeque;

/// A frame's beats: d0, d1, keep, last; invalid bytes are not zero.
pub(super) fn beats(frame: &[u8]) -> VecDeque<(u32, u32, u64, bool)> {
    let n = frame.chunks(8).len();
    frame
        .chunks(8)
        .enumerate()
        .map(|(i, chunk)| {
            let mut b = [0xEE; 8];
            b[..chunk.len()].copy_from_slice(chunk);
            let x = u64::from_le_bytes(b);
            (
                x as u32,
                (x >> 32) as u32,
                (1u64 << chunk.len()) - 1,
                i + 1 == n,
            )
        })
        .collect()
}

proptest! {
    #![proptest_config(crate::common::cases(24))]
    #[test]
    fn narrow_then_widen_is_the_identity(
        lens in proptest::collection::vec(1usize..40, 1..12),
        seed in any::<u32>(),
        stalls in any::<u64>(),
        holds in any::<u64>(),
    ) {
        let mut narrow = Native::<Narrow>::default();
        let mut widen = Native::<Widen>::default();
        let frames: Vec<_> = lens.iter().enumerate().map(|(i, &n)| gmii::bytes(n, seed ^ i as u32)).collect();
        let mut offered: VecDeque<_> = frames.iter().flat_map(|f| beats(f)).collect();
        let (mut got, mut frame) = (Vec::new(), Vec::new());
        for t in 0..2000 {
            narrow.u.clock.next = false.into();
            widen.u.clock.next = false.into();
            let (d0, d1, keep, last) = offered.front().copied().unwrap_or((1, 2, 0xFF, true));
            let u = &mut narrow.u;
            u.hold.next = (holds >> (t / 3 % 64)) & 1 == 1;
            u.s.valid.next = !offered.is_empty();
            u.s.d0.next = u64::from(d0).into();
            u.s.d1.next = u64::from(d1).into();
            u.s.keep.next = keep.into();
            u.s.last.next = last;
            let ready = (stalls >> (t % 64)) & 1 == 0;
            u.m.ready.next = ready;
            narrow.settle();
            let (n, u) = (&narrow.u, &mut widen.u);
            // A frame only begins while it may.
            prop_assert!(!n.m.valid.val() || n.open.val() || !n.hold.val());
            u.s.valid.next = n.m.valid.val() && ready;
            u.s.data.next = n.m.data.val();
            u.s.count.next = n.m.count.val();
            u.s.last.next = n.m.last.val();
            u.s.bad.next = 5.into();
            widen.settle();
            if narrow.u.s.ready.val() && narrow.u.s.valid.val() {
                offered.pop_front();
            }
            let m = &widen.u.m;
            if m.valid.val() {
                let keep = m.keep.val().to_u64();
                prop_assert!(keep != 0 && (keep & (keep + 1)) == 0);
                prop_assert!(m.last.val() || keep == 0xFF);
                prop_assert_eq!(m.bad.val().to_u64(), if m.last.val() { 5 } else { 0 });
                let x = u64::from(m.d1.val().to_u32()) << 32 | u64::from(m.d0.val().to_u32());
                frame.extend_from_slice(&x.to_le_bytes()[..keep.count_ones() as usize]);
                if m.last.val() {
                    got.push(std::mem::take(&mut frame));
                }
            }
            narrow.u.clock.next = true.into();
            widen.u.clock.next = true.into();
            narrow.settle();
            widen.settle();
            if offered.is_empty() && t > 100 && got.len() == frames.len() {
                break;
            }
        }
        if stalls != u64::MAX && holds != u64::MAX {
            prop_assert_eq!(got, frames);
        }
        prop_assert!(!widen.u.busy.val() || !frame.is_empty());
    }
}

#[test]
fn verilog_is_clean() {
    verilator_lint(
        "narrow",
        &ferrule_rtl::verilog::emit::<Narrow>("narrow").expect("emits"),
    );
    verilator_lint(
        "widen",
        &ferrule_rtl::verilog::emit::<Widen>("widen").expect("emits"),
    );
}
