//! The receiver by itself: what it hands to the read engine, beat by beat.
use super::tlp::{beats, Completion, Rng};
use ferrule_rtl::{native::Native, pcie::tlp_rx::TlpRx};
use proptest::prelude::*;

/// What came out for one completion: the payload, and whether it was called bad.
type Outcome = (Vec<u32>, bool);

fn run(dws: &[Vec<u32>], rng: &mut Rng, outcomes: usize) -> Vec<Outcome> {
    let mut n = Native::<TlpRx>::default();
    let mut queue: std::collections::VecDeque<_> = dws.iter().flat_map(|d| beats(d, 0)).collect();
    let (mut offered, mut got, mut payload) = (false, vec![], vec![]);
    n.u.completer_id.next = 0x0310_u64.into();
    n.u.reset.next = true;
    for cycle in 0..5000 {
        n.u.clock.next = false.into();
        n.u.reset.next = cycle == 0;
        offered = cycle > 0 && (offered || (!queue.is_empty() && rng.chance(2, 3)));
        let beat = queue.front().copied().unwrap_or_default();
        n.u.tlp.d0.next = u64::from(beat.d0).into();
        n.u.tlp.d1.next = u64::from(beat.d1).into();
        n.u.tlp.half.next = beat.half;
        n.u.tlp.last.next = beat.last;
        n.u.tlp.valid.next = offered;
        n.u.completion.ready.next = rng.chance(2, 3);
        n.settle();
        if offered && n.u.tlp.ready.val() {
            queue.pop_front();
            offered = false;
        }
        let c = &n.u.completion;
        if c.valid.val() && c.ready.val() {
            let d = [c.d0.val().to_u32(), c.d1.val().to_u32()];
            payload.extend_from_slice(&d[..c.count.val().index()]);
            if c.last.val() {
                got.push((std::mem::take(&mut payload), c.bad.val()));
            }
        }
        n.u.clock.next = true.into();
        n.settle();
        if queue.is_empty() && got.len() == outcomes && !n.u.busy.val() {
            return got;
        }
    }
    panic!("{} of {outcomes} completions come out: {got:x?}", got.len());
}

fn completion(rng: &mut Rng, n: u64) -> Completion {
    Completion {
        completer: 8,
        status: 0,
        bytes: 4 * n as u32,
        requester: 0x0310,
        tag: rng.below(8) as u8,
        lower: 0,
        tc: 0,
        attr: 0,
        poisoned: false,
        data: (0..n).map(|_| rng.next() as u32).collect(),
    }
}

proptest! {
    #![proptest_config(crate::common::cases(24))]

    /// Payload of the announced length comes out whole, with or without a digest; a longer or shorter one is cut to it and called bad.
    #[test]
    fn payloads_come_out_as_announced(seed: u64) {
        let mut rng = Rng(seed);
        let (mut tlps, mut want) = (vec![], vec![]);
        for _ in 0..12 {
            let n = rng.below(20);
            let c = completion(&mut rng, n);
            let mut d = c.encode();
            let mut outcome = (c.data.clone(), false);
            if rng.chance(1, 4) {
                d[0] |= 1 << 15;
                d.push(0x0D16_E570);
            }
            match rng.below(4) {
                0 if n > 1 => {
                    // One DW or more are missing, the digest first.
                    let digest = (d[0] >> 15 & 1) as usize;
                    let cut = digest + 1 + rng.below(n - 1) as usize;
                    d.truncate(d.len() - cut);
                    outcome = (c.data[..n as usize - (cut - digest)].to_vec(), true);
                }
                1 => {
                    d.extend((0..1 + rng.below(5)).map(|_| rng.next() as u32));
                    outcome.1 = true;
                }
                _ => {}
            }
            tlps.push(d);
            want.push(outcome);
        }
        prop_assert_eq!(run(&tlps, &mut rng, want.len()), want);
    }
}
