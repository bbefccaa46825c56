//! `Tagger` against etherparse.
use super::harness::with_tag;
use crate::common::verilator_lint;
use crate::lockstep::Trace;
use crate::rx::frames::Rng;
use crate::rx::harness::beats;
use ferrule_rtl::{native::Native, tx::tagger::Tagger};
use proptest::prelude::*;

/// Sends the frames through, each without a gap, to somebody who is ready in so many of a hundred cycles; gives what comes out.
fn pass(
    frames: &[(Vec<u8>, Option<u16>)],
    r: &mut Rng,
    ready: usize,
    trace: &mut Trace,
) -> Vec<Vec<u8>> {
    let mut n = Native::<Tagger>::default();
    let (mut got, mut partial, mut offered) = (vec![], vec![], None);
    let mut cycle = |r: &mut Rng,
                     reset: bool,
                     describes: Option<Option<u16>>,
                     beat: Option<(u32, u32, u8, bool)>| {
        let take = r.percent(ready);
        let u = &mut n.u;
        u.clock.next = false.into();
        u.reset.next = reset;
        u.describes.next = describes.is_some();
        u.tag.next = describes.flatten().is_some();
        u.tci.next = u64::from(describes.flatten().unwrap_or(0x5555)).into();
        let (d0, d1, keep, last) = beat.unwrap_or_default();
        u.data.d0.next = u64::from(d0).into();
        u.data.d1.next = u64::from(d1).into();
        u.data.keep.next = u64::from(keep).into();
        u.data.last.next = last;
        u.data.valid.next = beat.is_some();
        u.frame.ready.next = take;
        n.settle();
        trace.record(&*n.u);
        let f = &n.u.frame;
        let word = [f.d0.val().to_u32(), f.d1.val().to_u32()]
            .map(u32::to_le_bytes)
            .concat();
        let now = (word, f.keep.val().to_u32(), f.last.val());
        assert!(
            f.valid.val() || partial.is_empty() || reset,
            "a gap in a frame"
        );
        if let Some(before) = offered.take() {
            assert!(f.valid.val() && now == before, "what was offered stays");
        }
        if f.valid.val() && take {
            let count = now.1.trailing_ones() as usize;
            assert!(count == 8 || now.2, "a short beat that is not the last");
            partial.extend_from_slice(&now.0[..count]);
            if now.2 {
                got.push(std::mem::take(&mut partial));
            }
        } else if f.valid.val() && !reset {
            offered = Some(now);
        }
        let took = n.u.data.ready.val() && beat.is_some();
        let busy = n.u.busy.val();
        n.u.clock.next = true.into();
        n.settle();
        (took, busy)
    };
    cycle(r, true, None, None);
    for (bytes, tag) in frames {
        for _ in 0..r.below(3) {
            cycle(r, false, None, None);
        }
        cycle(r, false, Some(*tag), None);
        for beat in beats(bytes) {
            let mut waited = 0;
            while !cycle(r, false, None, Some(beat)).0 {
                waited += 1;
                assert!(waited < 1_000, "stuck");
            }
        }
    }
    let mut waited = 0;
    while cycle(r, false, None, None).1 {
        waited += 1;
        assert!(waited < 1_000, "stuck");
    }
    got
}

/// Frames of 14 bytes and more, with and without a tag to be inserted.
fn frames(r: &mut Rng, count: usize) -> Vec<(Vec<u8>, Option<u16>)> {
    (0..count)
        .map(|_| {
            let len = 14 + r.below(40);
            (r.bytes(len), r.percent(60).then(|| r.next() as u16))
        })
        .collect()
}

proptest! {
    #![proptest_config(crate::common::cases(20))]
    #[test]
    fn frames_leave_with_the_tags_that_etherparse_writes(seed: u64, ready in 10_usize..=100) {
        let mut r = Rng(seed);
        let frames = frames(&mut r, 80);
        let got = pass(&frames, &mut r, ready, &mut Trace::default());
        let want: Vec<_> = frames.into_iter().map(|(f, tag)| with_tag(f, tag)).collect();
        prop_assert_eq!(got, want);
    }
}

#[test]
fn the_verilog_does_the_same() {
    let mut r = Rng(5);
    let frames = frames(&mut r, 40);
    let mut trace = Trace::default();
    pass(&frames, &mut r, 60, &mut trace);
    trace.check::<Tagger>("tagger");
    verilator_lint(
        "tagger",
        &ferrule_rtl::verilog::emit::<Tagger>("tagger").expect("emits"),
    );
}
