//! Stuffing against the framing of RFC 1662 as the peer has it.
use super::peer::{framed, Rng};
use ferrule_rtl::native::Native;
use ferrule_rtl::uart::stuff::{Stuff, Unstuff};
use proptest::prelude::*;

/// Bytes among which those with a meaning are frequent.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        Just(0x7Eu8),
        Just(0x7D),
        Just(0x5E),
        Just(0x5D),
        any::<u8>()
    ];
    proptest::collection::vec(byte, 1..40)
}

/// What is on the line for a unit of these bytes.
fn stuffed(data: &[u8], seed: u64) -> Vec<u8> {
    let mut rng = Rng(seed);
    let mut dut = Native::<Stuff>::default();
    let mut line = vec![];
    let items: Vec<Option<u8>> = [None]
        .into_iter()
        .chain(data.iter().copied().map(Some))
        .chain([None])
        .collect();
    let mut at = 0;
    let mut clock = 0;
    while at < items.len() {
        dut.u.clock.next = false.into();
        dut.u.reset.next = clock == 0;
        dut.u.s.valid.next = clock > 0;
        dut.u.s.flag.next = items[at].is_none();
        dut.u.s.data.next = u64::from(items[at].unwrap_or(rng.next() as u8)).into();
        dut.u.ready.next = rng.below(3) == 0;
        dut.settle();
        if dut.u.valid.val() && dut.u.ready.val() {
            line.push(dut.u.data.val().to_u64() as u8);
        }
        at += usize::from(dut.u.s.ready.val() && clock > 0);
        dut.u.clock.next = true.into();
        dut.settle();
        clock += 1;
    }
    line
}

/// The units in a line, each with whether it is bad; a `None` on the line is a byte that broke.
fn unstuffed(line: &[Option<u8>]) -> Vec<(Vec<u8>, bool)> {
    let mut dut = Native::<Unstuff>::default();
    let (mut units, mut unit) = (vec![], vec![]);
    for (clock, byte) in [Some(0)].iter().chain(line).enumerate() {
        dut.u.clock.next = false.into();
        dut.u.reset.next = clock == 0;
        dut.u.valid.next = clock > 0 && byte.is_some();
        dut.u.broken.next = byte.is_none();
        dut.u.data.next = u64::from(byte.unwrap_or(0x7E)).into();
        dut.settle();
        if dut.u.octet_valid.val() {
            unit.push(dut.u.octet.val().to_u64() as u8);
        }
        if dut.u.flag.val() {
            units.push((std::mem::take(&mut unit), dut.u.bad.val()));
        }
        dut.u.clock.next = true.into();
        dut.settle();
    }
    units
}

proptest! {
    #![proptest_config(crate::common::cases(32))]
    #[test]
    fn is_as_in_rfc_1662_both_ways(data in bytes(), seed: u64) {
        let line = stuffed(&data, seed);
        prop_assert_eq!(&line, &framed(&data));
        let line: Vec<_> = line.into_iter().map(Some).collect();
        prop_assert_eq!(unstuffed(&line), [(vec![], false), (data, false)]);
    }

    #[test]
    fn a_broken_byte_spoils_its_unit_and_no_other(one in bytes(), other in bytes(), at in any::<proptest::sample::Index>()) {
        let mut line: Vec<_> = framed(&one).into_iter().map(Some).collect();
        // Not the flags.
        let at = 1 + at.index(line.len() - 2);
        line[at] = None;
        line.extend(framed(&other).into_iter().map(Some));
        let units = unstuffed(&line);
        prop_assert!(units[1].1);
        prop_assert_eq!(units.last(), Some(&(other, false)));
        prop_assert!(units.iter().filter(|u| u.1).count() == 1);
    }
}

#[test]
fn an_escape_before_a_flag_aborts() {
    let line = [0x7E, 1, 2, 0x7D, 0x7E, 3, 0x7E].map(Some);
    assert_eq!(
        unstuffed(&line),
        [(vec![], false), (vec![1, 2], true), (vec![3], false)]
    );
}
