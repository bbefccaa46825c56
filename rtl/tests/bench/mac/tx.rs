//! Transmitter: preamble, padding, FCS, gap; and what happens when words come too late.
use super::gmii::{self, carriers, padded};
use crate::common::verilator_lint;
use ferrule_rtl::mac::tx::MacTx;
use ferrule_rtl::native::Native;
use ferrule_rtl::pins::Gmii;
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Default)]
struct Bench {
    dut: Native<MacTx>,
    reset: bool,
    nibbles: bool,
    words: VecDeque<(u32, u64, bool)>,
    symbols: Vec<Gmii>,
}

impl Bench {
    fn push(&mut self, frame: &[u8]) {
        let n = frame.chunks(4).len();
        for (i, chunk) in frame.chunks(4).enumerate() {
            // What is not valid is not zero either.
            let mut word = [0xEE; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            self.words
                .push_back((u32::from_le_bytes(word), chunk.len() as u64 - 1, i + 1 == n));
        }
    }

    fn cycle(&mut self) -> bool {
        let u = &mut self.dut.u;
        u.clock.next = false.into();
        u.reset.next = self.reset;
        u.nibbles.next = self.nibbles;
        u.s.valid.next = !self.words.is_empty();
        let (data, count, last) = self
            .words
            .front()
            .copied()
            .unwrap_or((0x1234_5678, 2, true));
        u.s.data.next = u64::from(data).into();
        u.s.count.next = count.into();
        u.s.last.next = last;
        self.dut.settle();
        let u = &self.dut.u;
        if u.s.ready.val() {
            self.words.pop_front();
        }
        self.symbols.push(Gmii {
            data: u.txd.val().to_u64() as u8,
            valid: u.tx_en.val(),
            error: u.tx_er.val(),
        });
        let busy = u.busy.val();
        self.dut.u.clock.next = true.into();
        self.dut.settle();
        busy
    }

    fn drain(&mut self) {
        while self.cycle() || !self.words.is_empty() {}
        self.cycle();
    }
}

proptest! {
    #![proptest_config(crate::common::cases(24))]
    #[test]
    fn waiting_frames_go_out_whole_and_twelve_byte_times_apart(
        lens in proptest::collection::vec(prop_oneof![1usize..1600, 50usize..66], 1..8),
        seed in any::<u32>(),
    ) {
        let mut bench = Bench::default();
        let frames: Vec<_> = lens.iter().enumerate().map(|(i, &n)| gmii::bytes(n, seed ^ i as u32)).collect();
        frames.iter().for_each(|f| bench.push(f));
        bench.drain();
        let sent = carriers(&bench.symbols);
        prop_assert_eq!(sent.len(), frames.len());
        for (i, (c, f)) in sent.iter().zip(&frames).enumerate() {
            prop_assert_eq!(c.frame(), &padded(f)[..]);
            prop_assert!(i == 0 || c.gap == 12);
        }
        prop_assert_eq!(bench.dut.u.underruns.val().to_u64(), 0);
    }

    #[test]
    fn nibbles_go_out_low_first_and_the_mode_changes_between_frames(
        items in proptest::collection::vec((prop_oneof![1usize..200, 50usize..66], any::<bool>(), 0usize..400), 1..8),
        seed in any::<u32>(),
    ) {
        let mut bench = Bench::default();
        let mut frames = Vec::new();
        for (i, &(n, nibbles, pause)) in items.iter().enumerate() {
            frames.push(gmii::bytes(n, seed ^ i as u32));
            bench.push(&frames[i]);
            bench.nibbles = nibbles;
            for _ in 0..pause {
                bench.cycle();
            }
        }
        bench.drain();
        let sent = gmii::mixed(&bench.symbols);
        prop_assert_eq!(sent.len(), frames.len());
        for (i, (c, f)) in sent.iter().zip(&frames).enumerate() {
            prop_assert_eq!(c.frame(), &padded(f)[..]);
            prop_assert!(i == 0 || c.gap >= 12, "gap {}", c.gap);
        }
        prop_assert_eq!(bench.dut.u.underruns.val().to_u64(), 0);
    }
}

#[test]
fn waiting_frames_are_twenty_four_nibbles_apart() {
    let mut bench = Bench {
        nibbles: true,
        ..Bench::default()
    };
    let frames: Vec<_> = (0..6).map(|i| gmii::bytes(58 + i, i as u32)).collect();
    frames.iter().for_each(|f| bench.push(f));
    bench.drain();
    let gaps: Vec<_> = carriers(&bench.symbols).iter().map(|c| c.gap).collect();
    assert_eq!(gaps[1..], [24; 5]);
    let sent = gmii::mixed(&bench.symbols);
    for (c, f) in sent.iter().zip(&frames) {
        assert_eq!(c.frame(), padded(f));
    }
}

#[test]
fn an_underrun_on_the_mii_spoils_that_frame_only() {
    let mut bench = Bench {
        nibbles: true,
        ..Bench::default()
    };
    bench.push(&[1; 100]);
    let rest = bench.words.split_off(10);
    for _ in 0..160 {
        bench.cycle();
    }
    assert_eq!(bench.dut.u.underruns.val().to_u64(), 1);
    bench.words = rest;
    bench.push(&[2; 61]);
    bench.drain();
    let sent = gmii::mixed(&bench.symbols);
    assert_eq!(sent.len(), 2);
    assert!(sent[0].error);
    assert_eq!(sent[0].bytes.len(), 8 + 40 + 1);
    assert_eq!(sent[1].frame(), [2; 61]);
    assert_eq!(bench.dut.u.underruns.val().to_u64(), 1);
}

#[test]
fn the_gap_is_at_least_twelve_when_a_frame_comes_just_after() {
    for late in 0..20 {
        let mut bench = Bench::default();
        bench.push(&[1; 60]);
        while bench.cycle() || bench.symbols.len() < 4 {
            if bench.symbols.len() == 60 + late {
                bench.push(&[2; 60]);
            }
        }
        bench.push(&[3; 60]);
        bench.drain();
        let sent = carriers(&bench.symbols);
        assert!(sent.iter().skip(1).all(|c| c.gap >= 12), "{late}: {sent:?}");
        assert!(sent.iter().all(|c| c.frame().len() == 60));
    }
}

#[test]
fn an_underrun_spoils_that_frame_only() {
    let mut bench = Bench::default();
    bench.push(&[1; 100]);
    let rest = bench.words.split_off(10);
    for _ in 0..80 {
        bench.cycle();
    }
    assert_eq!(bench.dut.u.underruns.val().to_u64(), 1);
    bench.words = rest;
    bench.push(&[2; 61]);
    bench.drain();
    let sent = carriers(&bench.symbols);
    assert_eq!(sent.len(), 2);
    assert!(sent[0].error);
    assert_eq!(sent[0].bytes.len(), 8 + 40 + 1);
    assert!(sent[1].gap >= 12);
    assert_eq!(sent[1].frame(), [2; 61]);
}

#[test]
fn reset_cuts_the_frame_off() {
    let mut bench = Bench::default();
    bench.push(&[1; 100]);
    for _ in 0..50 {
        bench.cycle();
    }
    bench.reset = true;
    bench.words.clear();
    bench.cycle();
    bench.reset = false;
    bench.symbols.clear();
    assert!(!bench.cycle());
    assert!(!bench.symbols[0].valid);
    bench.push(&[2; 60]);
    bench.drain();
    assert_eq!(carriers(&bench.symbols)[0].frame(), [2; 60]);
}

#[test]
fn verilog_is_clean() {
    verilator_lint(
        "mac_tx",
        &ferrule_rtl::verilog::emit::<MacTx>("mac_tx").expect("emits"),
    );
}
