//! `FrameStore` against a queue of frames that are written in any order.
use crate::lockstep::Trace;
use crate::rx::frames::Rng;
use crate::rx::harness::{beats, Beat};
use ferrule_rtl::{native::Native, store::FrameStore};
use proptest::prelude::*;

/// Places in the memory.
const PLACES: usize = 4096;

/// A frame that came out, with the upper word of its description.
type Read = (u32, Vec<u8>);

struct Bench {
    dut: Native<FrameStore>,
    rng: Rng,
    ready_percent: usize,
    base: usize,
    out: Vec<Read>,
    partial: Option<Read>,
    /// Every cycle's ports, where a test asks for it.
    trace: Option<Trace>,
}

impl Bench {
    fn new(seed: u64, ready_percent: usize) -> Self {
        let mut bench = Self {
            dut: Native::default(),
            rng: Rng(seed),
            ready_percent,
            base: 0,
            out: vec![],
            partial: None,
            trace: None,
        };
        bench.dut.u.reset.next = true;
        bench.cycle(None);
        bench.dut.u.reset.next = false;
        bench
    }

    /// One cycle, in which the lower, the upper or both words of a place may be written.
    fn cycle(&mut self, write: Option<(usize, Option<u32>, Option<u32>)>) {
        let ready = self.rng.percent(self.ready_percent);
        let (place, d0, d1) = write.unwrap_or_default();
        let u = &mut self.dut.u;
        u.clock.next = false.into();
        u.base.next = (self.base as u64).into();
        u.ready.next = ready;
        u.place.next = ((place % PLACES) as u64).into();
        u.d0.next = u64::from(d0.unwrap_or(0xDEAD)).into();
        u.d1.next = u64::from(d1.unwrap_or(0xBEEF)).into();
        u.write0.next = d0.is_some();
        u.write1.next = d1.is_some();
        self.dut.settle();
        if let Some(trace) = &mut self.trace {
            trace.record(&*self.dut.u);
        }
        let u = &self.dut.u;
        let words = [u.q0.val().to_u32(), u.q1.val().to_u32()];
        if u.describes.val() {
            assert!(!u.valid.val() && self.partial.is_none());
            self.partial = Some((words[1], vec![]));
        } else if let Some((_, bytes)) = &mut self.partial {
            assert!(u.valid.val(), "a gap in a frame");
            if ready {
                let n = u.keep.val().to_u8().count_ones() as usize;
                assert_eq!(u.keep.val().to_u32(), (1 << n) - 1);
                bytes.extend(&words.map(u32::to_le_bytes).concat()[..n]);
                if u.last.val() {
                    self.out.extend(self.partial.take());
                }
            }
        } else {
            assert!(!u.valid.val(), "data before its description");
        }
        self.dut.u.clock.next = true.into();
        self.dut.settle();
    }

    /// Puts a frame in, the halves of its words in any order, and commits it.
    fn put(&mut self, about: u32, bytes: &[u8]) {
        let all = beats(bytes);
        let used = |b: &Self| (b.base + PLACES - b.dut.u.rd.val().to_u32() as usize) % PLACES;
        for waited in 0.. {
            assert!(waited < 50_000, "nothing is read");
            if used(self) + all.len() + 2 < PLACES {
                break;
            }
            self.cycle(None);
        }
        let length = (bytes.len() as u32, about, 0, false);
        let mut writes = vec![];
        for (i, (d0, d1, ..)) in std::iter::once::<Beat>(length)
            .chain(all.clone())
            .enumerate()
        {
            let place = self.base + i;
            writes.push((place, Some(d0), None));
            writes.push((place, None, Some(d1)));
        }
        for i in (1..writes.len()).rev() {
            let with = self.rng.below(i + 1);
            writes.swap(i, with);
        }
        for write in writes {
            self.cycle(Some(write));
        }
        self.base = (self.base + 1 + all.len()) % PLACES;
    }

    fn drain(&mut self) {
        for _ in 0..50_000 {
            self.cycle(None);
            if !self.dut.u.busy.val() {
                return;
            }
        }
        panic!("never empty");
    }
}

/// Puts frames of these lengths in, empties the store and compares.
fn run(mut bench: Bench, lengths: &[usize]) -> Bench {
    let mut want = vec![];
    for &len in lengths {
        let frame = (len as u32 * 77, bench.rng.bytes(len));
        bench.put(frame.0, &frame.1);
        want.push(frame);
    }
    bench.drain();
    assert!(bench.out == want, "{lengths:?}");
    bench
}

proptest! {
    #![proptest_config(crate::common::cases(12))]
    #[test]
    fn what_is_put_in_comes_out(
        seed: u64,
        ready in prop::sample::select(vec![100_usize, 60, 15]),
        lengths in prop::collection::vec(prop_oneof![1_usize..70, 1_usize..1519], 1..16),
    ) {
        run(Bench::new(seed, ready), &lengths);
    }
}

#[test]
fn every_length_of_the_last_beat_across_the_end_of_the_memory() {
    let lengths: Vec<_> = (1..=40).chain([9000, 7001]).chain(1..=40).collect();
    run(Bench::new(3, 80), &lengths);
}

#[test]
fn the_verilog_does_the_same() {
    let mut bench = Bench::new(4, 70);
    bench.trace = Some(Trace::default());
    bench.dut.u.reset.next = true;
    bench.cycle(None);
    bench.dut.u.reset.next = false;
    let bench = run(bench, &[1, 8, 9, 63, 64, 1500, 7]);
    let trace = bench.trace.expect("recorded");
    trace.check::<FrameStore>("frame_store");
}

#[test]
fn verilator_accepts_the_verilog() {
    let text = ferrule_rtl::verilog::emit::<FrameStore>("frame_store").expect("emits");
    crate::common::verilator_lint("frame_store", &text);
}
