//! The whole MAC: between core and GMII or MII at odd clock ratios, loopback, resets, and idle when it says so.
use super::gmii::{self, carrier, carriers, gap, nibbles, padded, with_fcs, Received, Rising};
use super::width::beats;
use crate::common::verilator_lint;
use crate::lockstep::Trace;
use ferrule_abi::counter::TX_UNDERRUN;
use ferrule_rtl::mac::Mac;
use ferrule_rtl::native::Native;
use ferrule_rtl::pins::Gmii;
use proptest::prelude::*;
use std::collections::VecDeque;

pub(super) struct Bench {
    dut: Native<Mac>,
    clocks: Rising<3>,
    pub(super) reset: bool,
    pub(super) max_frame: u64,
    pub(super) link_speed: u64,
    pub(super) loopback: bool,
    pub(super) to_send: VecDeque<(u32, u32, u64, bool)>,
    pub(super) on_wire: VecDeque<Gmii>,
    pub(super) sent: Vec<Gmii>,
    frame: Vec<u8>,
    pub(super) received: Vec<Received>,
    pub(super) events: u32,
    /// Every instant's ports, where a test asks for it.
    pub(super) trace: Option<Trace>,
}

impl Bench {
    /// As it powers up; periods and phases of core, receive and transmit clock.
    pub(super) fn untouched(period: [u64; 3], phase: [u64; 3]) -> Self {
        Self {
            dut: Native::default(),
            clocks: Rising::new(period, phase),
            reset: false,
            max_frame: 1518,
            link_speed: 2,
            loopback: false,
            to_send: VecDeque::new(),
            on_wire: VecDeque::new(),
            sent: Vec::new(),
            frame: Vec::new(),
            received: Vec::new(),
            events: 0,
            trace: None,
        }
    }

    /// After a reset.
    pub(super) fn new(period: [u64; 3], phase: [u64; 3]) -> Self {
        let mut bench = Self::untouched(period, phase);
        bench.reset_for(1);
        bench.settle_down();
        bench
    }

    /// Reset for some clocks of the core, as a flip-flop of its domain does it.
    pub(super) fn reset_for(&mut self, clocks: usize) {
        self.reset = true;
        for _ in 0..clocks {
            while !self.clocks.peek()[0] {
                self.step();
            }
            self.step();
        }
        self.reset = false;
    }

    pub(super) fn send(&mut self, frame: &[u8]) {
        self.to_send.extend(beats(frame));
    }

    pub(super) fn wire(&mut self, symbols: impl IntoIterator<Item = Gmii>) {
        self.on_wire.extend(symbols);
    }

    pub(super) fn step(&mut self) -> bool {
        let rises = self.clocks.step();
        let rx = self.on_wire.front().copied().unwrap_or_default();
        let beat = self.to_send.front().copied();
        let u = &mut self.dut.u;
        u.clock.next = false.into();
        u.gmii_rx_clk.next = false.into();
        u.gmii_tx_clk.next = false.into();
        u.reset.next = self.reset;
        u.max_frame.next = self.max_frame.into();
        u.link_speed.next = self.link_speed.into();
        u.loopback.next = self.loopback;
        u.gmii_rxd.next = u64::from(rx.data).into();
        u.gmii_rx_dv.next = rx.valid;
        u.gmii_rx_er.next = rx.error;
        let (d0, d1, keep, last) = beat.unwrap_or_default();
        u.tx.d0.next = u64::from(d0).into();
        u.tx.d1.next = u64::from(d1).into();
        u.tx.keep.next = keep.into();
        u.tx.last.next = last;
        u.tx.valid.next = beat.is_some();
        self.dut.settle();
        let u = &self.dut.u;
        let tx = Gmii {
            data: u.gmii_txd.val().to_u64() as u8,
            valid: u.gmii_tx_en.val(),
            error: u.gmii_tx_er.val(),
        };
        let m = &u.rx;
        let received = m.valid.val().then(|| {
            (
                m.d0.val().to_u32(),
                m.d1.val().to_u32(),
                m.keep.val().to_u64(),
                m.last.val(),
                m.bad.val().to_u64(),
            )
        });
        let (ready, events, busy) = (u.tx.ready.val(), u.events.val().to_u32(), u.busy.val());
        if let Some(trace) = &mut self.trace {
            trace.record_where(
                &**u,
                |clock| match clock {
                    "gmii_rx_clk" => rises[1],
                    "gmii_tx_clk" => rises[2],
                    _ => rises[0],
                },
                // The beat itself, where there is none.
                |port| m.valid.val() || port == "rx$valid" || !port.starts_with("rx$"),
            );
        }
        if rises[0] {
            if ready {
                self.to_send.pop_front();
            }
            self.events += u32::from(events == 1 << TX_UNDERRUN);
            if let Some((d0, d1, keep, last, bad)) = received {
                let x = u64::from(d1) << 32 | u64::from(d0);
                self.frame
                    .extend_from_slice(&x.to_le_bytes()[..keep.count_ones() as usize]);
                if last {
                    self.received.push((std::mem::take(&mut self.frame), bad));
                }
            }
        }
        if rises[1] {
            self.on_wire.pop_front();
        }
        if rises[2] {
            self.sent.push(tx);
        }
        self.dut.u.clock.next = rises[0].into();
        self.dut.u.gmii_rx_clk.next = rises[1].into();
        self.dut.u.gmii_tx_clk.next = rises[2].into();
        self.dut.settle();
        busy
    }

    /// At another speed, with other clocks.
    fn change_speed(&mut self, speed: u64, period: [u64; 3]) {
        self.link_speed = speed;
        self.clocks = Rising::new(period, [0, 1, 2]);
    }

    /// Until everything is through.
    pub(super) fn settle_down(&mut self) {
        for _ in 0..200_000 {
            // What this very edge takes is not within the MAC yet when it says that it is idle.
            let waiting = !self.to_send.is_empty() || !self.on_wire.is_empty();
            if !self.step() && !waiting {
                return;
            }
        }
        panic!("busy for ever");
    }
}

/// Periods of core, receive and transmit clock: 62.5 to 250 MHz against 125 MHz, and odd ones.
pub(super) fn periods() -> impl Strategy<Value = [u64; 3]> {
    prop_oneof![
        Just([8, 8, 8]),
        Just([16, 8, 8]),
        Just([4, 8, 8]),
        Just([3, 4, 4]),
        Just([4, 3, 3]),
        Just([10, 4, 4]),
        Just([4, 10, 10]),
        Just([1000, 1001, 999]),
        (50u64..=200, Just(100u64), 97u64..=103).prop_map(|(c, r, t)| [c, r, t]),
    ]
}

fn frames(lens: &[usize], seed: u32) -> Vec<Vec<u8>> {
    lens.iter()
        .enumerate()
        .map(|(i, &n)| gmii::bytes(n, seed ^ (i as u32) << 8))
        .collect()
}

proptest! {
    #![proptest_config(crate::common::cases(24))]
    #[test]
    fn both_directions_at_once_at_any_ratio(
        period in periods(),
        phase in [0u64..50, 0u64..50, 0u64..50],
        out in proptest::collection::vec(prop_oneof![1usize..1515, 1usize..80], 0..5),
        back in proptest::collection::vec((prop_oneof![60usize..1515, Just(60usize)], 0usize..=15, 8usize..20), 0..5),
        seed in any::<u32>(),
    ) {
        let mut bench = Bench::new(period, phase);
        let out = frames(&out, seed);
        let lens: Vec<_> = back.iter().map(|b| b.0).collect();
        let inbound = frames(&lens, !seed);
        out.iter().for_each(|f| bench.send(f));
        for (f, (_, preamble, after)) in inbound.iter().zip(&back) {
            bench.wire(carrier(*preamble, &with_fcs(f)));
            bench.wire(gap(*after));
        }
        bench.settle_down();
        let expected: Vec<Received> = inbound.into_iter().map(|f| (f, 0)).collect();
        prop_assert_eq!(&bench.received, &expected);
        let sent = carriers(&bench.sent);
        prop_assert_eq!(sent.len(), out.len());
        for (i, (c, f)) in sent.iter().zip(&out).enumerate() {
            prop_assert_eq!(c.frame(), &padded(f)[..]);
            prop_assert!(i == 0 || c.gap == 12, "gap {}", c.gap);
        }
        prop_assert_eq!(bench.events, 0);
        // Idle means that nothing changes any more.
        for _ in 0..20 {
            prop_assert!(!bench.step());
        }
    }

    #[test]
    fn loopback_brings_back_what_is_sent_and_keeps_the_wire_out(
        period in periods(),
        lens in proptest::collection::vec(1usize..300, 1..5),
        seed in any::<u32>(),
        switch_at in 0usize..400,
    ) {
        let mut bench = Bench::new(period, [0, 1, 2]);
        let (wire, own) = (frames(&[200, 64, 90], seed), frames(&lens, !seed));
        for f in &wire {
            bench.wire(carrier(7, &with_fcs(f)));
            bench.wire(gap(12));
        }
        for _ in 0..switch_at {
            bench.step();
        }
        bench.loopback = true;
        own.iter().for_each(|f| bench.send(f));
        bench.settle_down();
        // Frames of the wire came whole until the switch, own ones after it.
        let from_wire = bench.received.iter().take_while(|(f, _)| wire.contains(f)).count();
        let expected: Vec<Received> = wire[..from_wire].iter().cloned().chain(own.iter().map(|f| padded(f))).map(|f| (f, 0)).collect();
        prop_assert_eq!(&bench.received, &expected);
        prop_assert!(bench.sent.iter().all(|s| !s.valid));
        bench.loopback = false;
        bench.send(&[9; 70]);
        bench.wire(carrier(7, &with_fcs(&[8; 70])));
        bench.received.clear();
        bench.settle_down();
        let last = carriers(&bench.sent);
        prop_assert_eq!(last.len(), 1);
        prop_assert_eq!(last[0].frame(), [9; 70]);
    }

    #[test]
    fn after_a_reset_anywhere_it_is_clean(
        period in periods(),
        phase in [0u64..50, 0u64..50, 0u64..50],
        reset_at in 0usize..600,
        reset_for in 1usize..6,
        seed in any::<u32>(),
    ) {
        let mut bench = Bench::new(period, phase);
        for f in frames(&[200, 60, 90], seed) {
            bench.send(&f);
            bench.wire(carrier(7, &with_fcs(&f)));
            bench.wire(gap(8));
        }
        for _ in 0..reset_at {
            bench.step();
        }
        bench.reset_for(reset_for);
        bench.to_send.clear();
        bench.on_wire.clear();
        bench.frame.clear();
        for _ in 0..3 {
            bench.step();
        }
        bench.to_send.clear();
        bench.settle_down();
        bench.frame.clear();
        bench.received.clear();
        bench.sent.clear();
        let f = gmii::udp_frame(b"after the reset");
        bench.send(&f);
        bench.wire(carrier(7, &with_fcs(&padded(&f))));
        bench.settle_down();
        prop_assert_eq!(&bench.received, &[(padded(&f), 0)]);
        let sent = carriers(&bench.sent);
        prop_assert_eq!(sent.len(), 1);
        prop_assert_eq!(sent[0].frame(), &padded(&f)[..]);
    }
}

/// Periods of core, receive and transmit clock, in ns: 125 and 62.5 MHz against 25 and 2.5 MHz, and a little beside.
fn slow_periods() -> impl Strategy<Value = (u64, [u64; 3])> {
    (
        prop_oneof![Just(8u64), Just(16u64)],
        prop_oneof![3 => Just((1u64, 40u64)), 1 => Just((0u64, 400u64))],
        0u64..3,
        0u64..3,
    )
        .prop_map(|(core, (speed, mii), a, b)| (speed, [core, mii + a, mii + b]))
}

proptest! {
    #![proptest_config(crate::common::cases(16))]
    #[test]
    fn line_rate_both_ways_on_the_mii(
        (speed, period) in slow_periods(),
        lens in proptest::collection::vec(prop_oneof![1usize..300, 1usize..80], 1..5),
        preambles in proptest::collection::vec((0usize..=15, any::<bool>()), 4),
        seed in any::<u32>(),
    ) {
        let mut bench = Bench::new([8, 8, 8], [0, 1, 2]);
        bench.change_speed(speed, period);
        bench.settle_down();
        let (out, inbound) = (frames(&lens, seed), frames(&lens, !seed));
        for (i, (to, from)) in out.iter().zip(&inbound).enumerate() {
            bench.send(to);
            let (preamble, odd) = preambles[i];
            let symbols = nibbles(carrier(preamble, &with_fcs(&padded(from))));
            // Half a byte of preamble may be missing at the start, half a byte of anything follow at the end.
            let skip = usize::from(odd && preamble > 0);
            let dribble = odd.then(|| symbols[30]);
            bench.wire(symbols.into_iter().skip(skip).chain(dribble));
            bench.wire(gap(16));
        }
        bench.settle_down();
        let expected: Vec<Received> = inbound.iter().map(|f| (padded(f), 0)).collect();
        prop_assert_eq!(&bench.received, &expected);
        let sent = carriers(&bench.sent);
        prop_assert!(sent.iter().skip(1).all(|c| c.gap == 24), "{:?}", sent);
        let sent = gmii::mixed(&bench.sent);
        prop_assert_eq!(sent.len(), out.len());
        for (c, f) in sent.iter().zip(&out) {
            prop_assert_eq!(c.frame(), &padded(f)[..]);
        }
        prop_assert_eq!(bench.events, 0);
        for _ in 0..20 {
            prop_assert!(!bench.step());
        }
    }

    /// The far end goes from one speed to another at its own time, the MAC at some other. Frames that both sides have whole in one mode arrive;
    /// of the others nothing arrives that was not sent.
    #[test]
    fn a_speed_change_loses_the_frame_under_way_at_most(
        speeds in [0u64..3, 0u64..3],
        change_at in 0usize..4_000,
        pause in 0usize..300,
        lens in proptest::collection::vec(1usize..200, 4..8),
        seed in any::<u32>(),
    ) {
        let period = |speed: u64| [8, [400, 40, 8][speed as usize], [400, 40, 8][speed as usize]];
        let symbols = |speed: u64, f: &[u8]| {
            let bytes = carrier(7, &with_fcs(&padded(f)));
            if speed == 2 { bytes } else { nibbles(bytes) }
        };
        let mut bench = Bench::new(period(speeds[0]), [0, 1, 2]);
        bench.link_speed = speeds[0];
        bench.settle_down();
        let all = frames(&lens, seed);
        let half = all.len() / 2;
        for (i, f) in all.iter().enumerate() {
            bench.wire(symbols(speeds[usize::from(i >= half)], f));
            bench.wire(gap(24));
            if i + 1 == half {
                bench.wire(gap(pause));
            }
            bench.send(f);
        }
        let total = bench.on_wire.len();
        for _ in 0..change_at {
            bench.step();
        }
        let left = bench.on_wire.len();
        bench.change_speed(speeds[1], period(speeds[1]));
        bench.settle_down();
        let change = total - left;
        let same = (speeds[0] == 2) == (speeds[1] == 2);
        let mut at = 0;
        let mut good = bench.received.iter().filter(|(_, bad)| *bad == 0).map(|(f, _)| f);
        for (i, f) in all.iter().enumerate() {
            let length = symbols(speeds[usize::from(i >= half)], f).len();
            let (begin, end) = (at, at + length);
            at = end + 24 + if i + 1 == half { pause } else { 0 };
            // The change reaches the other clock a few of its cycles later, and is made in the next gap.
            let whole = same || if i < half { end <= change } else { begin >= change + 12 };
            if whole {
                prop_assert!(good.any(|g| *g == padded(f)), "frame {} of {:?} is lost, change at {} of {}", i, lens, change, total);
            }
        }
        prop_assert!(bench.received.iter().all(|(f, bad)| *bad != 0 || all.iter().any(|a| padded(a) == *f)));
        let sent = gmii::mixed(&bench.sent);
        prop_assert_eq!(sent.len(), all.len());
        for (c, f) in sent.iter().zip(&all) {
            prop_assert_eq!(c.frame(), &padded(f)[..]);
        }
        prop_assert_eq!(bench.events, 0);
        // And after it all is as ever, both ways.
        let f = gmii::bytes(77, seed ^ 1);
        bench.received.clear();
        bench.sent.clear();
        bench.wire(symbols(speeds[1], &f));
        bench.send(&f);
        bench.settle_down();
        prop_assert_eq!(&bench.received, &[(f.clone(), 0)]);
        let sent = gmii::mixed(&bench.sent);
        prop_assert_eq!(sent.len(), 1);
        prop_assert_eq!(sent[0].frame(), &f[..]);
    }
}

#[test]
fn the_shortest_gap_between_frames_is_still_receiving_and_a_longer_one_is_not() {
    for period in [[8, 8, 8], [10, 8, 8], [16, 8, 8]] {
        for (idle, breaks) in [(8, 0), (12, 0), (60, 1)] {
            let mut bench = Bench::new(period, [0, 1, 2]);
            assert!(!bench.dut.u.receiving.val());
            for _ in 0..3 {
                bench.wire(carrier(7, &with_fcs(&[5; 60])));
                bench.wire(gap(idle));
            }
            // Falls while the wire still has a frame to bring.
            let (mut falls, mut before) = (0, false);
            while bench.on_wire.len() > 80 {
                bench.step();
                let now = bench.dut.u.receiving.val();
                falls += u32::from(before && !now);
                before = now;
            }
            assert_eq!(falls, 2 * breaks, "{period:?}, a gap of {idle}");
            bench.settle_down();
            assert!(!bench.dut.u.receiving.val());
        }
    }
}

#[test]
fn a_frame_of_one_beat_taken_while_idle_is_waited_for() {
    let mut bench = Bench::new([8, 8, 8], [0, 1, 2]);
    bench.loopback = true;
    for _ in 0..4 {
        bench.send(&[7]);
        bench.settle_down();
    }
    assert_eq!(bench.received, vec![(padded(&[7]), 0); 4]);
}

#[test]
fn minimum_frames_at_line_rate_arrive_without_loss() {
    for period in [[8, 8, 8], [16, 8, 8], [10, 4, 4], [4, 8, 8]] {
        let mut bench = Bench::new(period, [0, 3, 5]);
        let frames: Vec<_> = (0..60).map(|i| gmii::bytes(60, i)).collect();
        for f in &frames {
            bench.wire(carrier(0, &with_fcs(f)));
            bench.wire(gap(8));
        }
        bench.settle_down();
        let expected: Vec<Received> = frames.into_iter().map(|f| (f, 0)).collect();
        assert_eq!(bench.received, expected, "{period:?}");
    }
}

#[test]
fn a_late_beat_is_an_underrun_and_counted_once() {
    let mut bench = Bench::new([8, 8, 8], [0, 1, 2]);
    bench.send(&[1; 400]);
    let rest = bench.to_send.split_off(5);
    for _ in 0..400 {
        bench.step();
    }
    assert_eq!(bench.events, 1);
    bench.to_send = rest;
    bench.send(&[2; 64]);
    bench.settle_down();
    let sent = carriers(&bench.sent);
    assert!(sent[0].error);
    assert_eq!(sent[1].frame(), [2; 64]);
    assert_eq!(bench.events, 1);
}

#[test]
fn longer_than_max_frame_is_cut_and_flagged() {
    let mut bench = Bench::new([8, 8, 8], [0, 1, 2]);
    bench.max_frame = 1000;
    bench.settle_down();
    for n in [996, 997, 1500, 996] {
        bench.wire(carrier(7, &with_fcs(&vec![n as u8; n])));
        bench.wire(gap(8));
    }
    bench.settle_down();
    let got: Vec<_> = bench
        .received
        .iter()
        .map(|(f, bad)| (f.len(), *bad))
        .collect();
    assert_eq!(got, [(996, 0), (996, 8), (996, 8), (996, 0)]);
}

#[test]
fn verilog_is_clean() {
    verilator_lint(
        "mac",
        &ferrule_rtl::verilog::emit::<Mac>("mac").expect("emits"),
    );
}
