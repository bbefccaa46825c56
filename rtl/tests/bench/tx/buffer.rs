//! `TxBuffer` against a queue of frames.
use crate::lockstep::Trace;
use crate::rx::frames::Rng;
use crate::rx::harness::{beats, shown};
use ferrule_rtl::{native::Native, tx::buffer::TxBuffer};
use proptest::prelude::*;

/// What is written in one cycle: beat, words and which of them; or a commit with its length.
#[derive(Clone, Copy)]
enum Step {
    Nothing,
    Write(usize, (u32, u32), (bool, bool)),
    Commit(usize),
}

struct Bench {
    dut: Native<TxBuffer>,
    rng: Rng,
    ready_percent: usize,
    frames: Vec<Vec<u8>>,
    partial: Vec<u8>,
    /// The beat written last in the frame, which `room` looks at.
    at: usize,
    trace: Trace,
}

impl Bench {
    fn new(seed: u64, ready_percent: usize) -> Self {
        let mut bench = Self {
            dut: Native::default(),
            rng: Rng(seed),
            ready_percent,
            frames: vec![],
            partial: vec![],
            at: 0,
            trace: Trace::default(),
        };
        bench.dut.u.reset.next = true;
        bench.cycle(Step::Nothing);
        bench.dut.u.reset.next = false;
        bench
    }

    fn cycle(&mut self, step: Step) {
        let ready = self.rng.percent(self.ready_percent);
        let u = &mut self.dut.u;
        u.clock.next = false.into();
        u.frame.ready.next = ready;
        (u.write0.next, u.write1.next, u.commit.next) = (false, false, false);
        u.beat.next = (self.at as u64).into();
        match step {
            Step::Nothing => {}
            Step::Write(beat, (d0, d1), (write0, write1)) => {
                self.at = beat;
                u.beat.next = (beat as u64).into();
                u.d0.next = u64::from(d0).into();
                u.d1.next = u64::from(d1).into();
                (u.write0.next, u.write1.next) = (write0, write1);
            }
            Step::Commit(len) => {
                u.len.next = (len as u64).into();
                u.commit.next = true;
            }
        }
        self.dut.settle();
        self.trace.record(&*self.dut.u);
        let f = &self.dut.u.frame;
        assert!(f.valid.val() || self.partial.is_empty(), "a gap in a frame");
        if f.valid.val() && ready {
            self.partial.extend(shown(f));
            if f.last.val() {
                self.frames.push(std::mem::take(&mut self.partial));
            }
        }
        self.dut.u.clock.next = true.into();
        self.dut.settle();
    }

    /// Writes a frame, first with rubbish in some words, which are then written again.
    fn frame(&mut self, bytes: &[u8], commit: bool) {
        let all = beats(bytes);
        let mut again = vec![];
        for (i, &(d0, d1, ..)) in all.iter().enumerate() {
            for waited in 0.. {
                assert!(waited < 20_000, "no room for beat {i}");
                if self.dut.u.room.val() {
                    break;
                }
                self.cycle(Step::Nothing);
            }
            let spoil = (self.rng.percent(10), self.rng.percent(10));
            let word = |spoilt: bool, word: u32| if spoilt { !word } else { word };
            self.cycle(Step::Write(
                i,
                (word(spoil.0, d0), word(spoil.1, d1)),
                (true, true),
            ));
            again.push(Step::Write(i, (d0, d1), spoil));
        }
        for step in again {
            self.cycle(step);
        }
        self.at = 0;
        if commit {
            self.cycle(Step::Commit(bytes.len()));
            self.cycle(Step::Nothing);
        }
    }

    fn drain(&mut self) {
        self.ready_percent = 80;
        for _ in 0..20_000 {
            self.cycle(Step::Nothing);
            if !self.dut.u.busy.val() {
                return;
            }
        }
        panic!("still busy");
    }
}

proptest! {
    #![proptest_config(crate::common::cases(16))]
    #[test]
    fn committed_frames_come_out_whole_and_others_never(
        seed: u64, ready in prop::sample::select(vec![100_usize, 50, 10]), longest in prop::sample::select(vec![60_usize, 2000, 9000]),
    ) {
        let mut bench = Bench::new(seed, ready);
        let mut r = Rng(seed);
        let mut want = vec![];
        for _ in 0..12 {
            let n = 1 + r.below(longest);
            let bytes = r.bytes(n);
            let commit = r.percent(75);
            bench.frame(&bytes, commit);
            if commit {
                want.push(bytes);
            }
        }
        bench.drain();
        assert_eq!(bench.frames, want);
    }
}

#[test]
fn room_ends_before_the_buffer_does_and_comes_back() {
    let mut bench = Bench::new(3, 0);
    let mut r = Rng(3);
    let mut want = vec![];
    // 13 beats and a length each.
    for _ in 0..(4095 - 24) / 14 {
        let bytes = r.bytes(100);
        bench.frame(&bytes, true);
        want.push(bytes);
    }
    // What is left does not hold another beat for long.
    let mut beat = 0;
    while bench.dut.u.room.val() {
        bench.cycle(Step::Write(beat, (0, 0), (true, true)));
        beat += 1;
        assert!(beat < 4095 - 14 * want.len());
    }
    bench.at = 0;
    bench.drain();
    assert_eq!(bench.frames, want);
    bench.cycle(Step::Nothing);
    assert!(bench.dut.u.room.val());
}

#[test]
fn the_verilog_does_the_same() {
    let mut bench = Bench::new(8, 40);
    let mut r = Rng(8);
    for n in 0..30 {
        let len = 1 + r.below(400);
        let bytes = r.bytes(len);
        bench.frame(&bytes, n % 3 != 0);
    }
    bench.drain();
    bench.trace.check::<TxBuffer>("tx_buffer");
}

#[test]
fn verilator_accepts_the_verilog() {
    let text = ferrule_rtl::verilog::emit::<TxBuffer>("tx_buffer").expect("emits");
    crate::common::verilator_lint("tx_buffer", &text);
}
