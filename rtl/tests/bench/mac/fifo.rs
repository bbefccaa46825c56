//! Asynchronous FIFO: nothing lost, doubled or reordered at any ratio; full at sixteen; idle when it says so.
use super::gmii::Rising;
use crate::common::verilator_lint;
use ferrule_rtl::mac::fifo::AsyncFifo;
use ferrule_rtl::native::Native;
use proptest::prelude::*;

type Word = (u32, bool, u64, u64);

#[derive(Default)]
struct Bench {
    dut: Native<AsyncFifo>,
    reset: bool,
}

struct Step {
    ready: bool,
    word: Option<Word>,
    busy: bool,
}

impl Bench {
    fn step(&mut self, rises: [bool; 2], offer: Option<Word>, take: bool) -> Step {
        let u = &mut self.dut.u;
        u.write_clock.next = false.into();
        u.read_clock.next = false.into();
        u.write_reset.next = self.reset;
        u.read_reset.next = self.reset;
        let (data, last, count, bad) = offer.unwrap_or((0xDEAD_BEEF, true, 1, 9));
        u.s.data.next = u64::from(data).into();
        u.s.last.next = last;
        u.s.count.next = count.into();
        u.s.bad.next = bad.into();
        u.s.valid.next = offer.is_some();
        u.m.ready.next = take;
        self.dut.settle();
        let u = &self.dut.u;
        let step = Step {
            ready: u.s.ready.val(),
            word: u.m.valid.val().then(|| {
                (
                    u.m.data.val().to_u32(),
                    u.m.last.val(),
                    u.m.count.val().to_u64(),
                    u.m.bad.val().to_u64(),
                )
            }),
            busy: u.busy.val(),
        };
        self.dut.u.write_clock.next = rises[0].into();
        self.dut.u.read_clock.next = rises[1].into();
        self.dut.settle();
        step
    }
}

fn word(i: usize) -> Word {
    let x = (i as u32).wrapping_mul(0x9E37_79B9);
    (
        x,
        x & 8 == 0,
        u64::from(x >> 20) & 3,
        u64::from(x >> 24) & 15,
    )
}

proptest! {
    #![proptest_config(crate::common::cases(24))]
    #[test]
    fn every_word_once_and_in_order(
        (write_period, read_period) in prop_oneof![Just((3, 4)), Just((4, 3)), Just((4, 10)), Just((10, 4)), Just((8, 8)), (2u64..30, 2u64..30)],
        phase in 0u64..30,
        offers in any::<u64>(),
        takes in any::<u64>(),
    ) {
        let mut bench = Bench::default();
        let mut clocks = Rising::new([write_period, read_period], [0, phase]);
        let (mut sent, mut got, mut writes, mut reads) = (0, 0, 0usize, 0usize);
        for _ in 0..3000 {
            let rises = clocks.step();
            let offer = ((offers >> (writes % 64)) & 1 == 1).then(|| word(sent));
            let take = (takes >> (reads % 64)) & 1 == 1;
            let s = bench.step(rises, offer, take);
            if rises[0] {
                sent += usize::from(s.ready && offer.is_some());
                writes += 1;
            }
            if rises[1] {
                if let (Some(w), true) = (s.word, take) {
                    prop_assert_eq!(w, word(got));
                    got += 1;
                }
                reads += 1;
            }
            prop_assert!(got <= sent && sent - got <= 16);
        }
        // What is in it comes out, and then nothing moves any more.
        let mut busy = true;
        for _ in 0..400 {
            let rises = clocks.step();
            let s = bench.step(rises, None, true);
            if let (true, Some(w)) = (rises[1], s.word) {
                prop_assert_eq!(w, word(got));
                got += 1;
            }
            busy = s.busy;
        }
        prop_assert_eq!(sent, got);
        prop_assert!(!busy);
    }
}

#[test]
fn takes_sixteen_words_and_then_waits() {
    let mut bench = Bench::default();
    let taken = (0..40)
        .filter(|&i| bench.step([true, true], Some(word(i)), false).ready)
        .count();
    assert_eq!(taken, 16);
}

#[test]
fn reset_empties_it() {
    let mut bench = Bench::default();
    for i in 0..5 {
        bench.step([true, true], Some(word(i)), false);
    }
    bench.reset = true;
    for _ in 0..3 {
        bench.step([true, true], None, false);
    }
    bench.reset = false;
    for _ in 0..6 {
        let s = bench.step([true, true], None, true);
        assert!(s.word.is_none() && !s.busy);
    }
    for i in 20..24 {
        bench.step([true, true], Some(word(i)), false);
    }
    for _ in 0..3 {
        bench.step([true, true], None, false);
    }
    for i in 20..24 {
        assert_eq!(bench.step([true, true], None, true).word, Some(word(i)));
    }
}

#[test]
fn verilog_is_clean() {
    verilator_lint(
        "async_fifo",
        &ferrule_rtl::verilog::emit::<AsyncFifo>("async_fifo").expect("emits"),
    );
}
