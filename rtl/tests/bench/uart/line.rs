//! Bytes through the pins: all rates, drift, noise, lines that are down.
use crate::lockstep::Trace;
use ferrule_rtl::native::Native;
use ferrule_rtl::uart::line_rx::LineRx;
use ferrule_rtl::uart::line_tx::LineTx;
use proptest::prelude::*;

/// Of the core's clock.
const CLOCK_HZ: f64 = 62.5e6;

/// Units of 2^-16 bits a clock.
fn rate(baud: f64) -> u64 {
    (baud / CLOCK_HZ * 65536.0).round() as u64
}

/// A line that is low and high for so many clocks each, starting at `offset`.
struct Wave {
    /// Times at which it changes, in clocks.
    edges: Vec<f64>,
}

impl Wave {
    /// Bytes at `bits` clocks a bit, `gap` bits between them.
    fn of(bytes: &[u8], bits: f64, offset: f64, gap: f64) -> (Self, f64) {
        let (mut edges, mut at, mut level) = (vec![], offset, true);
        for byte in bytes {
            let frame = [false]
                .into_iter()
                .chain((0..8).map(|i| byte >> i & 1 == 1))
                .chain([true]);
            for bit in frame {
                if bit != level {
                    edges.push(at);
                    level = bit;
                }
                at += bits;
            }
            at += gap * bits;
        }
        (Self { edges }, at)
    }

    fn level(&self, at: f64) -> bool {
        self.edges
            .iter()
            .filter(|e| **e <= at)
            .count()
            .is_multiple_of(2)
    }
}

#[derive(Default)]
struct Receiver {
    dut: Native<LineRx>,
    got: Vec<u8>,
    broken: usize,
    trace: Option<Trace>,
}

impl Receiver {
    fn cycle(&mut self, rate: u64, level: bool, reset: bool) {
        let u = &mut self.dut.u;
        u.clock.next = false.into();
        u.reset.next = reset;
        u.rate.next = rate.into();
        u.line.next = level;
        self.dut.settle();
        if let Some(trace) = &mut self.trace {
            trace.record(&*self.dut.u);
        }
        if self.dut.u.valid.val() {
            self.got.push(self.dut.u.data.val().to_u64() as u8);
        }
        self.broken += usize::from(self.dut.u.broken.val());
        self.dut.u.clock.next = true.into();
        self.dut.settle();
    }
}

proptest! {
    #![proptest_config(crate::common::cases(24))]
    #[test]
    fn every_byte_arrives_at_every_rate_with_two_per_cent_of_drift(
        bytes in proptest::collection::vec(any::<u8>(), 1..6),
        baud in prop_oneof![Just(115_200.0), Just(921_600.0), Just(3e6), Just(8e6), Just(12e6), 115_200.0..12e6],
        drift in -0.02..0.02,
        offset in 3.0..8.0,
        gap in prop_oneof![Just(0.0), 0.0..3.0],
    ) {
        let mut receiver = Receiver::default();
        let (wave, end) = Wave::of(&bytes, CLOCK_HZ / baud * (1.0 + drift), offset, gap);
        for clock in 0..end as usize + 8 {
            receiver.cycle(rate(baud), wave.level(clock as f64), clock < 2);
        }
        prop_assert_eq!(receiver.got, bytes);
        prop_assert_eq!(receiver.broken, 0);
    }

    #[test]
    fn what_is_sent_has_the_form_and_the_rate_of_a_uart(
        bytes in proptest::collection::vec(any::<u8>(), 1..5),
        baud in prop_oneof![Just(115_200.0), Just(3e6), Just(12e6), 115_200.0..12e6],
        pauses in proptest::collection::vec(0usize..200, 5),
    ) {
        let mut dut = Native::<LineTx>::default();
        let mut line = vec![];
        let mut next = bytes.iter().copied().zip(&pauses);
        let mut waiting = next.next();
        let mut pause = 0;
        let bit = CLOCK_HZ / baud;
        let total = bytes.len() * (11.0 * bit + 202.0) as usize + 20;
        for clock in 0..total {
            dut.u.clock.next = false.into();
            dut.u.reset.next = clock < 2;
            dut.u.rate.next = rate(baud).into();
            let here = waiting.filter(|_| pause == 0 && clock >= 2);
            dut.u.valid.next = here.is_some();
            dut.u.data.next = u64::from(here.map_or(0, |(b, _)| b)).into();
            dut.settle();
            line.push(dut.u.line.val());
            if let (Some((_, p)), true) = (here, dut.u.ready.val()) {
                pause = *p;
                waiting = next.next();
            } else {
                pause = pause.saturating_sub(1);
            }
            dut.u.clock.next = true.into();
            dut.settle();
        }
        // Read by the middles of the bits, as the other side's UART does.
        let (mut got, mut at) = (vec![], 0.0);
        while let Some(start) = line[at as usize..].iter().position(|l| !l) {
            let start = at + start as f64;
            let sample = |n: f64| line[(start + (n + 0.5) * bit) as usize];
            prop_assert!(!sample(0.0) && sample(9.0), "start and stop bits");
            got.push((0..8).fold(0u8, |b, i| b | u8::from(sample(1.0 + f64::from(i))) << i));
            at = (start + 9.5 * bit).floor();
        }
        prop_assert_eq!(got, bytes);
    }

    #[test]
    fn after_any_noise_a_byte_that_follows_silence_is_right(seed: u64, byte: u8, baud in 115_200.0..12e6) {
        let mut rng = super::peer::Rng(seed);
        let mut receiver = Receiver::default();
        receiver.cycle(rate(baud), true, true);
        let bit = CLOCK_HZ / baud;
        for _ in 0..(40.0 * bit) as usize {
            let level = rng.below(3) > 0;
            for _ in 0..1 + rng.below(2 * bit as u64) {
                receiver.cycle(rate(baud), level, false);
            }
            if receiver.got.len() + receiver.broken > 20 {
                break;
            }
        }
        for _ in 0..(12.0 * bit) as usize {
            receiver.cycle(rate(baud), true, false);
        }
        receiver.got.clear();
        let (wave, end) = Wave::of(&[byte], bit, 1.0, 0.0);
        for clock in 0..end as usize + 8 {
            receiver.cycle(rate(baud), wave.level(clock as f64), false);
        }
        prop_assert_eq!(receiver.got, [byte]);
    }
}

#[test]
fn a_spike_is_no_start_bit_and_a_line_that_is_down_is_told_once() {
    let mut receiver = Receiver {
        trace: Some(Trace::default()),
        ..Receiver::default()
    };
    let rate = rate(3e6);
    let run = |receiver: &mut Receiver, level: bool, clocks: usize| {
        for _ in 0..clocks {
            receiver.cycle(rate, level, false);
        }
    };
    receiver.cycle(rate, true, true);
    run(&mut receiver, true, 10);
    run(&mut receiver, false, 8);
    run(&mut receiver, true, 300);
    assert_eq!((receiver.got.len(), receiver.broken), (0, 0));
    run(&mut receiver, false, 2_000);
    assert_eq!((receiver.got.len(), receiver.broken), (0, 1));
    run(&mut receiver, true, 50);
    let (wave, end) = Wave::of(&[0x5A, 0xFF, 0x00], CLOCK_HZ / 3e6, 1.0, 0.0);
    for clock in 0..end as usize + 8 {
        receiver.cycle(rate, wave.level(clock as f64), false);
    }
    assert_eq!(
        (&receiver.got[..], receiver.broken),
        (&[0x5A, 0xFF, 0x00][..], 1)
    );
    receiver
        .trace
        .take()
        .expect("kept")
        .check::<LineRx>("line_rx");
}
