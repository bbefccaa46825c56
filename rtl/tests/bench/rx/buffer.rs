//! `RxBuffer` against a queue of frames.
use super::frames::Rng;
use crate::lockstep::Trace;
use ferrule_rtl::{native::Native, rx::buffer::RxBuffer};
use proptest::prelude::*;
use std::collections::VecDeque;

/// What the reader sees of a frame: beats, length, status, offsets, hash, time.
type Frame = (Vec<(u32, u32)>, usize, u16, u16, u32, u32);

struct Bench {
    dut: Native<RxBuffer>,
    rng: Rng,
    ready_percent: usize,
    /// Committed and not yet read.
    model: VecDeque<Frame>,
    read: Vec<(u32, u32)>,
    got: usize,
    trace: Trace,
}

#[derive(Clone, Copy, Default)]
struct Input {
    data: (u32, u32),
    write: bool,
    commit: bool,
    rollback: bool,
    len: usize,
    status: u16,
    l4_offset: u16,
    hash: u32,
    timestamp: u32,
}

impl Bench {
    fn new(seed: u64, ready_percent: usize) -> Self {
        let mut bench = Self {
            dut: Native::default(),
            rng: Rng(seed),
            ready_percent,
            model: VecDeque::new(),
            read: vec![],
            got: 0,
            trace: Trace::default(),
        };
        bench.dut.u.reset.next = true;
        bench.cycle(Input::default());
        bench.dut.u.reset.next = false;
        bench
    }

    fn cycle(&mut self, input: Input) {
        let ready = self.rng.percent(self.ready_percent);
        let u = &mut self.dut.u;
        u.clock.next = false.into();
        u.d0.next = u64::from(input.data.0).into();
        u.d1.next = u64::from(input.data.1).into();
        u.write.next = input.write;
        u.commit.next = input.commit;
        u.rollback.next = input.rollback;
        u.len.next = (input.len as u64).into();
        u.status.next = u64::from(input.status & 0x7F).into();
        u.is_ipv6.next = input.status & 0x8000 != 0;
        u.fcs_err.next = input.status & 0x100 != 0;
        u.l4_offset.next = u64::from(input.l4_offset).into();
        u.hash.next = u64::from(input.hash).into();
        u.timestamp.next = u64::from(input.timestamp).into();
        u.packet.ready.next = ready;
        self.dut.settle();
        self.trace.record(&*self.dut.u);
        let p = &self.dut.u.packet;
        if p.valid.val() && ready {
            self.read.push((p.d0.val().to_u32(), p.d1.val().to_u32()));
            let (beats, len, status, offsets, hash, timestamp) =
                self.model.front().expect("nothing was committed");
            assert_eq!(usize::from(p.len.val().to_u16()), *len);
            assert_eq!(p.status.val().to_u16(), *status);
            assert_eq!(p.offsets.val().to_u16(), *offsets);
            assert_eq!(p.hash.val().to_u32(), *hash);
            assert_eq!(p.timestamp.val().to_u32(), *timestamp);
            assert_eq!(p.last.val(), self.read.len() == beats.len());
            let keep = if p.last.val() {
                0xFF_u8 >> ((8 - len % 8) % 8)
            } else {
                0xFF
            };
            assert_eq!(p.keep.val().to_u8(), keep);
            if p.last.val() {
                assert_eq!(&self.read, beats);
                self.model.pop_front();
                self.read.clear();
                self.got += 1;
            }
        }
        self.dut.u.clock.next = true.into();
        self.dut.settle();
    }

    /// Writes a frame and ends it; says whether the buffer lost it.
    fn frame(&mut self, len: usize, keep: bool) -> bool {
        let beats: Vec<_> = (0..len.div_ceil(8))
            .map(|_| (self.rng.next() as u32, self.rng.next() as u32))
            .collect();
        for &data in &beats {
            while self.rng.percent(10) {
                self.cycle(Input::default());
            }
            self.cycle(Input {
                data,
                write: true,
                ..Input::default()
            });
        }
        let status = (self.rng.next() as u16) & 0x817F;
        let l4_offset = (self.rng.next() as u16) & 63;
        let (hash, timestamp) = (self.rng.next() as u32, self.rng.next() as u32);
        let lost = self.dut.u.lost.val();
        if keep && !lost {
            let l3 = if status & 0x8008 != 0 { 7 } else { 0 };
            let shown = if status & 1 != 0 { hash } else { 0 };
            self.model
                .push_back((beats, len, status, l3 | l4_offset << 8, shown, timestamp));
        }
        self.cycle(Input {
            commit: keep,
            rollback: !keep,
            len,
            status,
            l4_offset,
            hash,
            timestamp,
            ..Input::default()
        });
        lost
    }

    fn drain(&mut self) {
        self.ready_percent = 80;
        for _ in 0..20_000 {
            self.cycle(Input::default());
            if !self.dut.u.busy.val() {
                break;
            }
        }
        assert!(self.model.is_empty() && !self.dut.u.busy.val());
    }
}

proptest! {
    #![proptest_config(crate::common::cases(24))]
    #[test]
    fn committed_frames_come_out_whole_and_others_never(
        seed: u64, ready in prop::sample::select(vec![100_usize, 50, 10, 0]), longest in prop::sample::select(vec![80_usize, 3000, LONGEST]),
    ) {
        let mut bench = Bench::new(seed, ready);
        let mut r = Rng(seed);
        for _ in 0..12 {
            let len = 1 + r.below(longest);
            let keep = r.percent(70);
            bench.frame(len, keep);
        }
        bench.drain();
    }
}

/// Bytes of the longest frame that RXCTL.MAX_FRAME lets pass, without FCS.
const LONGEST: usize = 16_379;

#[test]
fn a_frame_that_fills_the_buffer_to_the_last_place_is_kept_and_one_more_beat_is_not() {
    for (at, beats, fits) in [
        (0, 2047, true),
        (0, 2048, false),
        (3, 2047, true),
        (900, 2047, true),
        (900, 2048, false),
    ] {
        let mut bench = Bench::new(1, 100);
        for _ in 0..at {
            bench.frame(8, true);
            bench.drain();
        }
        bench.ready_percent = 0;
        // Half of the places, but for the description: that is read at once.
        assert!(!bench.frame(2047 * 8, true));
        for _ in 0..4 {
            bench.cycle(Input::default());
        }
        assert_eq!(bench.frame(beats * 8, true), !fits, "{at} {beats}");
        if fits {
            assert!(bench.frame(8, true), "no place is left");
        }
        bench.drain();
        assert_eq!(bench.got, at + 1 + usize::from(fits));
        assert!(!bench.frame(300, true));
        bench.drain();
    }
}

#[test]
fn each_of_as_many_frames_as_fit_keeps_its_hash() {
    let mut bench = Bench::new(2, 100);
    for turn in 0..3 {
        bench.ready_percent = 0;
        let before = bench.got;
        // The reader holds the first one's description already.
        for n in 0..2048 / 9 {
            assert!(!bench.frame(60, true), "turn {turn}, frame {n}");
        }
        bench.drain();
        assert_eq!(bench.got - before, 2048 / 9);
    }
}

#[test]
fn the_verilog_does_the_same() {
    let mut bench = Bench::new(8, 40);
    for n in 0..40 {
        let len = 1 + bench.rng.below(500);
        bench.frame(len, n % 3 != 0);
    }
    bench.drain();
    bench.trace.check::<RxBuffer>("rx_buffer");
}

#[test]
fn verilator_accepts_the_verilog() {
    let text = ferrule_rtl::verilog::emit::<RxBuffer>("rx_buffer").expect("emits");
    crate::common::verilator_lint("rx_buffer", &text);
}
