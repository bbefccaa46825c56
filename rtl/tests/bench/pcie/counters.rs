//! The counters by themselves.
use super::tlp::Rng;
use ferrule_abi::counter;
use ferrule_rtl::{native::Native, pcie::counters::Counters};
use proptest::prelude::*;

fn cycle(n: &mut Native<Counters>) {
    n.u.clock.next = false.into();
    n.settle();
    n.u.clock.next = true.into();
    n.settle();
    n.u.inc.next = 0_u64.into();
}

fn fresh() -> Native<Counters> {
    let mut n = Native::<Counters>::default();
    n.u.reset.next = true;
    cycle(&mut n);
    n.u.reset.next = false;
    n
}

/// All 64 words of a copy.
fn snapshot(n: &mut Native<Counters>) -> Vec<u32> {
    let mut words = vec![None; 64];
    n.u.snapshot.next = true;
    for _ in 0..300 {
        n.u.clock.next = false.into();
        n.settle();
        if n.u.snapshot_valid.val() {
            let at = &mut words[n.u.snapshot_index.val().index()];
            assert_eq!(*at, None, "a word comes once");
            *at = Some(n.u.snapshot_data.val().to_u32());
        }
        let done = n.u.snapshot_done.val();
        cycle(n);
        if done {
            n.u.snapshot.next = false;
            return words
                .into_iter()
                .map(|w| w.expect("every word comes"))
                .collect();
        }
    }
    panic!("the copy does not end");
}

fn pulse(n: &mut Native<Counters>, inc: u32) {
    n.u.inc.next = u64::from(inc).into();
    cycle(n);
}

proptest! {
    #![proptest_config(crate::common::cases(16))]

    /// No pulse is lost or counted twice, with each counter pulsing in up to every third cycle, snapshots included.
    #[test]
    fn every_pulse_counts_once(seed: u64, gap in 3_u64..40) {
        let mut rng = Rng(seed);
        let mut n = fresh();
        let bytes = 1 << counter::RX_BYTES | 1 << counter::TX_BYTES;
        let mut want = [0_u64; 32];
        for _ in 0..120 {
            let inc = rng.next() as u32 & !bytes;
            let (rx, tx) = (rng.below(65536), rng.below(65536));
            n.u.rx_bytes.next = rx.into();
            n.u.tx_bytes.next = tx.into();
            for (i, w) in want.iter_mut().enumerate() {
                *w += u64::from(inc >> i & 1);
            }
            want[counter::RX_BYTES as usize] += rx * u64::from(inc >> counter::RX_FRAMES & 1);
            want[counter::TX_BYTES as usize] += tx * u64::from(inc >> counter::TX_FRAMES & 1);
            pulse(&mut n, inc);
            for _ in 1..gap {
                cycle(&mut n);
            }
            if rng.chance(1, 20) {
                snapshot(&mut n);
            }
        }
        for _ in 0..70 {
            cycle(&mut n);
        }
        prop_assert!(!n.u.busy.val());
        let words = snapshot(&mut n);
        for (i, w) in want.iter().enumerate() {
            prop_assert_eq!(u64::from(words[2 * i]) | u64::from(words[2 * i + 1]) << 32, *w, "counter {}", i);
        }
    }
}

#[test]
fn a_total_carries_into_its_high_half() {
    let mut n = fresh();
    let mut bytes = 0_u64;
    n.u.rx_bytes.next = 0xFFFF_u64.into();
    // A frame in every fourth cycle until past 2^32: the sums take it because a lap comes round in time.
    while bytes < 1 << 32 {
        pulse(&mut n, 1 << counter::RX_FRAMES);
        for _ in 0..3 {
            cycle(&mut n);
        }
        bytes += 0xFFFF;
    }
    for _ in 0..70 {
        cycle(&mut n);
    }
    let words = snapshot(&mut n);
    let at = 2 * counter::RX_BYTES as usize;
    assert_eq!(u64::from(words[at]) | u64::from(words[at + 1]) << 32, bytes);
}
