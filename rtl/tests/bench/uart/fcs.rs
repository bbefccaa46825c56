//! The serial FCS against crc32fast, and the residue of RFC 1662.
use ferrule_rtl::native::Native;
use ferrule_rtl::uart::fcs::SerialFcs;
use proptest::prelude::*;

fn cycle(dut: &mut Native<SerialFcs>, byte: Option<u8>, clear: bool) {
    dut.u.clock.next = false.into();
    dut.u.clear.next = clear;
    dut.u.enable.next = byte.is_some();
    dut.u.data.next = u64::from(byte.unwrap_or(0xA5)).into();
    dut.settle();
    dut.u.clock.next = true.into();
    dut.settle();
}

proptest! {
    #![proptest_config(crate::common::cases(24))]
    #[test]
    fn is_the_crc_of_ethernet_and_knows_a_good_end(
        before: Vec<u8>,
        data in proptest::collection::vec(any::<u8>(), 0..80),
        gap in 8usize..12,
        flip in any::<proptest::sample::Index>(),
        bit in 0u32..8,
    ) {
        let mut dut = Native::<SerialFcs>::default();
        let feed = |dut: &mut Native<SerialFcs>, bytes: &[u8]| {
            for byte in bytes {
                cycle(dut, Some(*byte), false);
                for _ in 0..gap {
                    cycle(dut, None, false);
                }
            }
        };
        feed(&mut dut, &before);
        // In the middle of a byte.
        cycle(&mut dut, Some(0x55), false);
        cycle(&mut dut, None, false);
        cycle(&mut dut, None, true);
        feed(&mut dut, &data);
        let fcs = crc32fast::hash(&data);
        prop_assert_eq!(dut.u.value.val().to_u32(), fcs);
        feed(&mut dut, &fcs.to_le_bytes());
        prop_assert!(dut.u.good.val());
        cycle(&mut dut, None, true);
        let mut damaged = [&data[..], &fcs.to_le_bytes()].concat();
        let at = flip.index(damaged.len());
        damaged[at] ^= 1 << bit;
        feed(&mut dut, &damaged);
        prop_assert!(!dut.u.good.val());
    }
}
