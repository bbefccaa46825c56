//! Timestamps at the pins: how long after its SFD a frame is stamped, and that it does not depend on what else goes on.
use std::ops::RangeInclusive;
use std::sync::Arc;

use ferrule_abi::ring::{cqe_status, sqe_flags};
use ferrule_abi::{regs, TICK_NS};
use ferrule_driver::nic::{widen_timestamp, TxFrame, TxMode, TxOutcome};
use ferrule_driver::{Clock, Nic, NicConfig};
use ferrule_sim::engine::{Engine, Kind, Options};
use ferrule_sim::local::{LocalSimulator, NicSetup};
use ferrule_sim::station::Core;
use ferrule_sim::wire::loopback::Loopback;
use ferrule_tests::bench::{Bench, Layout, CYCLE_NS};
use ferrule_tests::{engines, frames};

/// Cycles from the cycle in which the SFD is at the pins to the clock that is told, as docs/architecture.md has it. Clocks that stand in a
/// fixed relation leave no jitter; others would add a cycle.
const RX_CYCLES: RangeInclusive<i64> = 16..=18;
const TX_CYCLES: RangeInclusive<i64> = 0..=1;
const WHOLE: u16 = sqe_flags::SOP | sqe_flags::EOP | sqe_flags::RAW;
/// Cycles after which what has not happened never will.
const PATIENCE: u64 = 20_000;

fn cycles(from_ns: u64, timestamp: u32) -> i64 {
    let ns = i64::from(timestamp.wrapping_sub(from_ns as u32) as i32);
    assert_eq!(ns % CYCLE_NS as i64, 0);
    ns / CYCLE_NS as i64
}

/// Steps until nothing is under way; gives the times of the SFDs that were at the transmit pins.
fn sfds(b: &mut Bench) -> Vec<u64> {
    let (mut at, mut preamble, mut quiet) = (vec![], false, 0);
    for _ in 0..PATIENCE {
        let now = b.now_ns;
        b.step();
        let tx = b.outputs.gmii_tx;
        if tx.valid && preamble && tx.data == 0xD5 {
            at.push(now);
        }
        preamble = tx.valid && tx.data == 0x55;
        quiet = if b.is_idle() { quiet + 1 } else { 0 };
        if quiet > 64 {
            return at;
        }
    }
    panic!("still busy");
}

fn raw(len: usize, first: u8) -> Vec<u8> {
    let mut frame = vec![first; len];
    frame[12..14].copy_from_slice(&[0x88, 0xB5]);
    frame
}

fn received_after(engine: Box<dyn Engine>, len: usize) -> i64 {
    let mut b = Bench::new(engine, &Layout::default());
    b.settle();
    let began = b.now_ns;
    b.phy.receive(&frames::udp_of_length(len, 1));
    b.settle();
    let [got] = &b.receive()[..] else {
        panic!("a frame");
    };
    assert_ne!(got.cqe.status & cqe_status::TS_VALID, 0);
    // Seven bytes of preamble, then the SFD.
    cycles(began + 7 * CYCLE_NS, got.cqe.timestamp)
}

#[test]
fn a_received_frame_is_stamped_as_long_after_its_sfd_whatever_its_length() {
    let first = received_after(engines::compiled(), 60);
    assert!(RX_CYCLES.contains(&first), "{first} cycles");
    for len in [61, 64, 500, 1_514] {
        assert_eq!(
            received_after(engines::compiled(), len),
            first,
            "{len} bytes"
        );
    }
}

#[test]
fn a_sent_frame_is_stamped_as_long_after_its_sfd_however_many_wait_before_it() {
    let mut b = Bench::new(engines::compiled(), &Layout::default());
    for before in [0, 1, 5] {
        for n in 0..before {
            b.post_tx(&raw(1_000, n), WHOLE);
        }
        b.post_tx(&raw(300, 0xFF), WHOLE | sqe_flags::TS_REQ);
        b.post_tx(&raw(60, 0xFE), WHOLE | sqe_flags::CPL_REQ);
        b.ring_tx(false);
        let at = sfds(&mut b);
        assert_eq!(at.len(), usize::from(before) + 2);
        let done = b.tx_completions();
        let [stamped, plain] = &done[..] else {
            panic!("{done:?}");
        };
        assert_eq!(stamped.status, cqe_status::TS_VALID);
        assert_eq!((plain.status, plain.timestamp), (0, 0));
        let late = cycles(at[usize::from(before)], stamped.timestamp);
        assert!(TX_CYCLES.contains(&late), "{late} cycles behind {before}");
        b.ring_tx(false);
        b.settle();
    }
}

#[test]
fn every_frame_may_ask_for_its_time_and_each_gets_its_own() {
    let mut b = Bench::new(engines::compiled(), &Layout::default());
    for n in 0..8 {
        b.post_tx(
            &raw(60 + 100 * usize::from(n), n),
            WHOLE | sqe_flags::TS_REQ,
        );
    }
    b.ring_tx(false);
    let at = sfds(&mut b);
    let done = b.tx_completions();
    assert_eq!((at.len(), done.len()), (8, 8));
    for (at, done) in at.iter().zip(&done) {
        assert_eq!(done.status, cqe_status::TS_VALID);
        assert!(TX_CYCLES.contains(&cycles(*at, done.timestamp)));
    }
}

#[test]
fn without_tx_en_a_frame_completes_at_once_and_without_a_time() {
    let mut b = Bench::new(engines::compiled(), &Layout::default());
    b.write(regs::ctrl::OFFSET, regs::ctrl::RX_EN.of(1));
    b.post_tx(&raw(60, 1), WHOLE | sqe_flags::TS_REQ);
    b.ring_tx(false);
    b.settle();
    assert_eq!(b.frames().len(), 0);
    let done = b.tx_completions();
    assert_eq!((done.len(), done[0].status, done[0].timestamp), (1, 0, 0));
    // It leaves later; the next one's time is its own.
    let both = regs::ctrl::RX_EN.of(1) | regs::ctrl::TX_EN.of(1);
    b.write(regs::ctrl::OFFSET, both);
    b.post_tx(&raw(60, 2), WHOLE | sqe_flags::TS_REQ);
    b.ring_tx(false);
    b.settle();
    assert_eq!(b.frames().len(), 2);
    let done = b.tx_completions();
    assert_eq!((done.len(), done[0].status), (1, cqe_status::TS_VALID));
}

#[test]
fn a_looped_frame_is_received_after_it_was_sent() {
    let mut b = Bench::new(engines::compiled(), &Layout::default());
    let on = [regs::ctrl::RX_EN, regs::ctrl::TX_EN, regs::ctrl::LOOPBACK];
    b.write(regs::ctrl::OFFSET, on.iter().fold(0, |v, f| f.set(v, 1)));
    let mut frame = frames::udp_of_length(200, 9);
    frame[..6].copy_from_slice(&ferrule_tests::bench::MAC);
    b.post_tx(&frame, WHOLE | sqe_flags::TS_REQ);
    b.ring_tx(false);
    b.settle();
    let (sent, got) = (b.tx_completions(), b.receive());
    assert_eq!((sent.len(), got.len()), (1, 1));
    assert_eq!(sent[0].status, cqe_status::TS_VALID);
    let way = cycles(sent[0].timestamp.into(), got[0].cqe.timestamp);
    assert!((1..=12).contains(&way), "{way} cycles");
}

#[test]
fn the_clock_is_stepped_trimmed_and_reset_through_its_registers() {
    let mut b = Bench::new(engines::compiled(), &Layout::default());
    let read = |b: &mut Bench| {
        b.write(regs::snapshot::OFFSET, 1);
        b.settle();
        let at = b.now_ns;
        let low = b.read(regs::time_lo::OFFSET);
        let high = b.read(regs::time_hi::OFFSET);
        // The snapshot was taken at most so long ago.
        (u64::from(high) << 32 | u64::from(low), at)
    };
    let ahead = |b: &mut Bench| {
        let (clock, at) = read(b);
        i128::from(clock) - i128::from(at)
    };
    let none = ahead(&mut b);
    assert!((-10_000..0).contains(&none), "{none}");
    b.write(regs::clock_step_hi::OFFSET, 1);
    b.write(regs::clock_step::OFFSET, -5i32 as u32);
    assert_eq!(ahead(&mut b) - none, (1 << 32) - 5);
    b.write(regs::clock_step_hi::OFFSET, u32::MAX);
    b.write(regs::clock_step::OFFSET, 5);
    assert_eq!(ahead(&mut b), none);
    // 2^-12 faster, over a second that is skipped.
    b.write(regs::clock_rate::OFFSET, 1 << 20);
    b.settle();
    b.now_ns += 954 * TICK_NS;
    let gained = ahead(&mut b) - none;
    let want = i128::from(954 * TICK_NS) >> 12;
    assert!((want..want + 10).contains(&gained), "{gained} and {want}");
    b.write(regs::ctrl::OFFSET, regs::ctrl::RESET.of(1));
    b.settle();
    assert_eq!(b.read(regs::clock_rate::OFFSET), 0);
    assert_eq!(ahead(&mut b), none);
}

/// A minute is skipped at once, which is longer than the hardware's clock takes in one cycle.
#[test]
fn the_driver_steps_trims_and_reads_the_clock_and_gets_times_of_frames() {
    const MINUTE_NS: u64 = 60_000_000_000;
    const STEP_NS: i64 = -86_400_000_000_123;
    for kind in [Kind::Model, Kind::Compiled] {
        let core = Core::open(kind, &Options::default()).expect("an engine");
        let setup = NicSetup::new(core, Box::new(Loopback::new(500)));
        let simulator = LocalSimulator::builder().nic(setup).start();
        let simulator = simulator.expect("starts");
        let time = Arc::new(simulator.clock());
        let _attached = time.attach();
        let device = Box::new(simulator.device(0).expect("a device"));
        let config = NicConfig {
            promiscuous: true,
            ..NicConfig::default()
        };
        let mut nic =
            Nic::open(device, Arc::clone(&time) as Arc<dyn Clock>, &config).expect("opens");
        assert!(nic.caps().timestamps);
        nic.step_clock(STEP_NS).expect("steps");
        let set = time.now();
        // 2^-12.
        nic.trim_clock(1e9 / 4096.0).expect("trims");
        let trimmed = time.now();
        time.wait(&[], Some(trimmed + MINUTE_NS)).expect("waits");
        let from = time.now();
        let clock = nic.clock_ns().expect("reads");
        let to = time.now();
        let show = |time: u64, passed: u64| time.wrapping_add_signed(STEP_NS) + (passed >> 12);
        let earliest = show(from, from - trimmed);
        let latest = show(to, to - set) + 1;
        let within =
            earliest.wrapping_sub(clock) as i64 <= 0 && clock.wrapping_sub(latest) as i64 <= 0;
        assert!(within, "{kind:?}: {earliest} {clock} {latest}");

        let bytes = raw(100, 7);
        let frame = TxFrame {
            parts: &[&bytes],
            mode: TxMode::Raw,
            vlan: None,
            token: 1,
            report: false,
            timestamp: true,
            ..TxFrame::default()
        };
        assert!(nic.send(&frame).expect("sends"));
        let (mut sent, mut got) = (vec![], vec![]);
        while sent.is_empty() || got.is_empty() {
            let soon = time.now() + 10_000;
            time.wait(&[], Some(soon)).expect("waits");
            sent.extend(nic.tx_completions().expect("completions"));
            nic.rx_batch(1, &mut got).expect("receives");
        }
        let after = nic.clock_ns().expect("reads");
        let TxOutcome::Sent {
            timestamp: Some(left),
        } = sent[0].outcome
        else {
            panic!("{kind:?}: {sent:?}");
        };
        let left = widen_timestamp(left, after);
        let came = widen_timestamp(got[0].timestamp.expect("a time"), after);
        let times = [clock, left, came, after];
        let in_order = times
            .windows(2)
            .all(|t| (t[1].wrapping_sub(t[0]) as i64) > 0);
        assert!(
            in_order && after.wrapping_sub(clock) < 1_000_000,
            "{kind:?}: {times:?}"
        );
    }
}
