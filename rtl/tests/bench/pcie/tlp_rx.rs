//! The receiver by itself: what it hands to the read engine and to the push window, beat by beat.
use super::tlp::{beats, Completion, Rng};
use ferrule_abi::regs;
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

/// What came out for a write to the push window: its first DW's place, the DWs, and whether it was called bad.
type Pushed = (u32, Vec<u32>, bool);

/// The writes that `dws` are, and how often an access was refused and a TLP unexpected.
fn pushes(dws: &[Vec<u32>], rng: &mut Rng, open: bool) -> (Vec<Pushed>, usize, usize) {
    let mut n = Native::<TlpRx>::default();
    let mut queue: std::collections::VecDeque<_> = dws.iter().flat_map(|d| beats(d, 0)).collect();
    let (mut offered, mut got, mut under_way) = (false, vec![], None::<Pushed>);
    let (mut refused, mut unexpected) = (0, 0);
    for cycle in 0..20_000 {
        n.u.clock.next = false.into();
        n.u.reset.next = cycle == 0;
        n.u.push.open.next = open;
        offered = cycle > 0 && (offered || (!queue.is_empty() && rng.chance(2, 3)));
        let beat = queue.front().copied().unwrap_or_default();
        n.u.tlp.d0.next = u64::from(beat.d0).into();
        n.u.tlp.d1.next = u64::from(beat.d1).into();
        n.u.tlp.half.next = beat.half;
        n.u.tlp.last.next = beat.last;
        n.u.tlp.valid.next = offered;
        // The register file refuses what it does not have.
        n.u.regs.done.next = true;
        n.settle();
        if offered && n.u.tlp.ready.val() {
            queue.pop_front();
            offered = false;
        }
        refused += usize::from(n.u.bad_access.val() || n.u.regs.valid.val());
        unexpected += usize::from(n.u.events.val().any());
        let p = &n.u.push;
        if p.valid.val() {
            assert_eq!(
                p.first.val(),
                under_way.is_none(),
                "first beats begin a write"
            );
            let (_, dws, _) = under_way.get_or_insert((p.offset.val().to_u32(), vec![], false));
            let d = [p.d0.val().to_u32(), p.d1.val().to_u32()];
            dws.extend_from_slice(&d[..p.count.val().index()]);
            if p.last.val() {
                let (place, dws, _) = under_way.take().expect("a write");
                got.push((place, dws, p.bad.val()));
            }
        }
        n.u.clock.next = true.into();
        n.settle();
        if cycle > 2 && queue.is_empty() && !n.u.busy.val() {
            return (got, refused, unexpected);
        }
    }
    panic!("stuck");
}

proptest! {
    #![proptest_config(crate::common::cases(24))]

    #[test]
    fn writes_to_the_push_window_are_passed_on_whatever_their_shape(seed: u64, open: bool) {
        let mut rng = Rng(seed);
        let (mut tlps, mut want, mut refused, mut unexpected) = (vec![], vec![], 0, 0);
        for _ in 0..12 {
            let wide = rng.chance(1, 2);
            let data: Vec<u32> = (0..1 + rng.below(20)).map(|_| rng.next() as u32).collect();
            let place = rng.below(512) as u32;
            let inside = rng.chance(3, 4);
            let base = if inside { regs::push_window(0) } else { regs::push_window(0) ^ 0x800 };
            let mut be = if data.len() == 1 { 0x0F } else { 0xFF };
            let mut head = 0x4000_0000 | u32::from(wide) << 29 | data.len() as u32;
            let passes = inside && open;
            let mut ok = passes;
            match rng.below(8) {
                // Not all bytes, or poisoned.
                0 => {
                    be ^= 1 << rng.below(8);
                    ok = false;
                }
                1 => {
                    head |= 1 << 14;
                    ok = false;
                }
                _ => {}
            }
            let mut d = vec![head, 0x0100_0000 | be];
            if wide {
                d.push(0);
            }
            d.push(0xE010_0000 + base + 4 * place);
            let mut sent = data.clone();
            let mut bad = false;
            // Too short or too long.
            if ok && data.len() > 2 && rng.chance(1, 5) {
                bad = true;
                if rng.chance(1, 2) {
                    sent.pop();
                } else {
                    sent.push(1);
                }
            }
            // The first byte of a DW in memory is its first on the link.
            d.extend(sent.iter().map(|v| v.swap_bytes()));
            if rng.chance(1, 5) && !bad {
                d[0] |= 1 << 15;
                d.push(0x0D16_E570);
            }
            if ok {
                let n = sent.len().min(data.len());
                want.push((place, data[..n].to_vec(), bad));
                unexpected += usize::from(bad);
            } else {
                refused += 1;
            }
            tlps.push(d);
        }
        let (got, no, odd) = pushes(&tlps, &mut rng, open);
        prop_assert_eq!(got, want);
        prop_assert_eq!((no, odd), (refused, unexpected));
    }
}
