//! `TxAlign`: the layout of the frame, for every length and with every stall.
use crate::lockstep::Trace;
use crate::rx::frames::{mac_words, Rng, OWN};
use crate::rx::harness::beats;
use ferrule_rtl::{native::Native, tx::align::TxAlign};
use proptest::prelude::*;

struct Bench {
    dut: Native<TxAlign>,
    rng: Rng,
    trace: Trace,
}

/// What came of a packet.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    /// The frame's bytes from its first beat on, to the end of its last beat.
    bytes: Vec<u8>,
    first_beat: usize,
    len: usize,
    abort: bool,
    too_long: bool,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let mut bench = Self {
            dut: Native::default(),
            rng: Rng(seed),
            trace: Trace::default(),
        };
        let (lo, hi) = mac_words(OWN);
        bench.dut.u.mac_lo.next = u64::from(lo).into();
        bench.dut.u.mac_hi.next = u64::from(hi).into();
        bench.dut.u.reset.next = true;
        bench.settle();
        bench.rise();
        bench.dut.u.reset.next = false;
        bench
    }

    fn settle(&mut self) {
        self.dut.u.clock.next = false.into();
        self.dut.settle();
        self.trace.record(&*self.dut.u);
    }

    fn rise(&mut self) {
        self.dut.u.clock.next = true.into();
        self.dut.settle();
    }

    fn packet(&mut self, bytes: &[u8], raw: bool, abort: bool) -> Frame {
        let all = beats(bytes);
        let mut sent = 0;
        let mut out: Vec<(usize, Vec<u8>)> = vec![];
        let frame = loop {
            let offer = sent < all.len() && self.rng.percent(80);
            let (d0, d1, keep, last) = all[sent.min(all.len() - 1)];
            let u = &mut self.dut.u;
            u.room.next = self.rng.percent(80);
            u.restart.next = false;
            u.packet.valid.next = offer;
            u.packet.d0.next = u64::from(d0).into();
            u.packet.d1.next = u64::from(d1).into();
            u.packet.keep.next = u64::from(keep).into();
            u.packet.last.next = last;
            u.packet.abort.next = abort && last;
            u.packet.raw.next = raw;
            self.settle();
            let u = &self.dut.u;
            sent += usize::from(offer && u.packet.ready.val());
            if u.valid.val() {
                let words = [
                    u.d0.val().to_u32().to_le_bytes(),
                    u.d1.val().to_u32().to_le_bytes(),
                ];
                out.push((u.beat.val().to_u32() as usize, words.concat()));
            }
            let ended = u.ended.val();
            let (len, abort, too_long) = (
                u.len.val().to_u32() as usize,
                u.forget.val(),
                u.too_long.val(),
            );
            self.rise();
            if ended {
                assert_eq!(sent, all.len());
                let first_beat = out.first().map_or(0, |o| o.0);
                for (i, (number, _)) in out.iter().enumerate() {
                    assert_eq!(*number, first_beat + i);
                }
                let bytes = out.into_iter().flat_map(|o| o.1).collect();
                break Frame {
                    bytes,
                    first_beat,
                    len,
                    abort,
                    too_long,
                };
            }
        };
        // Nothing more is taken before the restart.
        for restart in [false, false, true] {
            let u = &mut self.dut.u;
            u.packet.valid.next = true;
            u.room.next = true;
            u.restart.next = restart;
            self.settle();
            assert!(!self.dut.u.packet.ready.val() && !self.dut.u.valid.val());
            self.rise();
        }
        frame
    }
}

proptest! {
    #![proptest_config(crate::common::cases(24))]
    #[test]
    fn the_frame_has_the_layout_of_ethernet(seed: u64) {
        let mut bench = Bench::new(seed);
        let mut r = Rng(seed);
        for _ in 0..30 {
            let n = 1 + r.below(90);
            let bytes = r.bytes(n);
            let (raw, abort) = (r.percent(40), r.percent(10));
            let got = bench.packet(&bytes, raw, abort);
            prop_assert_eq!(got.abort, abort);
            prop_assert!(!got.too_long);
            if abort {
                continue;
            }
            let header = [&[2, 9, 9, 9, 9, 9][..], &OWN, &[8, 0]].concat();
            let whole = if raw { bytes } else { [header, bytes].concat() };
            prop_assert_eq!(got.len, whole.len());
            prop_assert_eq!(got.first_beat, usize::from(!raw));
            let want = &whole[got.first_beat * 8..];
            prop_assert_eq!(&got.bytes[..want.len()], want);
            prop_assert_eq!(got.bytes.len(), want.len().div_ceil(8) * 8);
        }
    }
}

#[test]
fn an_endless_packet_is_swallowed_and_marked() {
    let mut r = Rng(2);
    let mut bench = Bench::new(2);
    for raw in [true, false] {
        let bytes = r.bytes(12_000);
        let got = bench.packet(&bytes, raw, false);
        assert!(got.too_long);
        assert!(got.bytes.len() <= 9040);
        assert!(!bench.packet(&bytes[..60], raw, false).too_long);
    }
}

#[test]
fn the_verilog_does_the_same() {
    let mut r = Rng(3);
    let mut bench = Bench::new(3);
    for n in 0..40 {
        let len = 1 + r.below(60);
        let bytes = r.bytes(len);
        bench.packet(&bytes, n % 3 == 0, n % 7 == 0);
    }
    bench.trace.check::<TxAlign>("tx_align");
}

#[test]
fn verilator_accepts_the_verilog() {
    let text = ferrule_rtl::verilog::emit::<TxAlign>("tx_align").expect("emits");
    crate::common::verilator_lint("tx_align", &text);
}
