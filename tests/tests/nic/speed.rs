//! What the hardware promises of its speed: line rate, PCIe traffic and latency, in cycles, TLPs and bytes.
use ferrule_abi::counter;
use ferrule_tests::bench::{Bench, Layout};
use ferrule_tests::engines::compiled;
use ferrule_tests::{latency, line_rate};

#[test]
fn full_line_rate_both_ways_loses_nothing_and_spares_the_bus() {
    let mut b = Bench::new(compiled(), &line_rate::layout());
    let before = b.root_complex.stats();
    let pairs = 10_000;
    let gap = line_rate::run_lengths(&mut b, pairs, |_| line_rate::SHORTEST);
    assert!(gap <= 12, "a gap of {gap}");
    let stats = b.root_complex.stats().since(&before);
    let counters = b.counters();
    assert_eq!(counters[counter::RX_FRAMES as usize], pairs);
    assert_eq!(counters[counter::RX_DROP_OVERFLOW as usize], 0);
    let per_pair = |n: u64| n as f64 / pairs as f64;
    assert!(stats.per_packet(pairs) <= 4.0, "{stats:?}");
    assert!(per_pair(stats.up.link_bytes) <= 160.0, "{stats:?}");
    assert!(per_pair(stats.down.link_bytes) <= 110.0, "{stats:?}");
}

#[test]
fn long_frames_and_mixed_ones_keep_the_line_rate_too() {
    let mixed = |n: u64| [60, 61, 64, 65, 128, 300, 777, 1_514][(n * n / 3 % 8) as usize];
    for (count, lengths) in [
        (1_008, &(|_| line_rate::LONGEST) as &dyn Fn(u64) -> usize),
        (4_000, &mixed),
    ] {
        let mut b = Bench::new(compiled(), &line_rate::layout());
        let gap = line_rate::run_lengths(&mut b, count, lengths);
        assert_eq!(b.counter(counter::RX_DROP_OVERFLOW), 0);
        assert!(gap <= 12, "a gap of {gap}");
    }
}

#[test]
fn jumbo_frames_and_mixes_with_them_keep_the_line_rate_too() {
    // The first is long: while it is on its way, the buffer fills.
    let mixed = |n: u64| [9_014, 60, 61, 1_514, 9_014, 300, 5_000, 64][(n * n / 3 % 8) as usize];
    for (count, lengths) in [
        (208, &(|_| line_rate::JUMBO) as &dyn Fn(u64) -> usize),
        (800, &mixed),
    ] {
        let mut b = Bench::new(compiled(), &line_rate::jumbo_layout());
        line_rate::accept_jumbo(&mut b);
        let gap = line_rate::run_lengths(&mut b, count, lengths);
        let counters = b.counters();
        assert_eq!(counters[counter::RX_FRAMES as usize], count);
        assert_eq!(counters[counter::RX_DROP_OVERFLOW as usize], 0);
        assert_eq!(counters[counter::RX_TRUNCATED as usize], 0);
        assert!(gap <= 12, "a gap of {gap}");
    }
}

#[test]
fn a_frame_that_comes_alone_is_told_at_once() {
    let mut b = Bench::new(compiled(), &Layout::default());
    for (len, most) in latency::BUDGET {
        let cycles = latency::receive(&mut b, len);
        assert!(cycles <= most, "{cycles} cycles for {len} bytes");
    }
}

#[test]
fn at_10_and_100_mbits_frames_leave_as_fast_as_the_mii_takes_them() {
    let mut b = Bench::new(compiled(), &line_rate::layout());
    let mut frames = 0;
    // A gap of 24 nibbles, in cycles of the core; from one speed to the other while it runs.
    for (speed, count, nibble_cycles) in [(1, 96, 5), (0, 16, 50), (1, 32, 5)] {
        b.set_speed(speed);
        b.settle();
        let gap = line_rate::run_lengths(&mut b, count, |n| line_rate::SHORTEST + n as usize % 3);
        assert!(gap <= 24 * nibble_cycles, "a gap of {gap}");
        frames += count;
    }
    b.set_speed(2);
    b.settle();
    assert!(line_rate::run_lengths(&mut b, 32, |_| line_rate::SHORTEST) <= 12);
    let counters = b.counters();
    assert_eq!(counters[counter::RX_FRAMES as usize], frames + 32);
    assert_eq!(counters[counter::TX_FRAMES as usize], frames + 32);
}
