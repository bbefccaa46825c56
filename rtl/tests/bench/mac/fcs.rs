//! FCS: published check values, crc32fast on random bytes.
use super::gmii;
use crate::common::verilator_lint;
use ferrule_rtl::mac::fcs::Fcs;
use ferrule_rtl::native::Native;
use proptest::prelude::*;

fn cycle(dut: &mut Native<Fcs>, clear: bool, byte: Option<u8>) {
    let u = &mut dut.u;
    u.clock.next = false.into();
    u.clear.next = clear;
    u.enable.next = byte.is_some();
    u.data.next = u64::from(byte.unwrap_or(0xA5)).into();
    dut.settle();
    dut.u.clock.next = true.into();
    dut.settle();
}

fn fcs(dut: &mut Native<Fcs>, bytes: &[u8]) -> u32 {
    cycle(dut, true, None);
    for &b in bytes {
        cycle(dut, false, Some(b));
    }
    dut.u.value.val().to_u32()
}

#[test]
fn check_value_of_crc_32() {
    // "CRC-32/ISO-HDLC" in the catalogue of parametrised CRC algorithms.
    assert_eq!(fcs(&mut Native::default(), b"123456789"), 0xCBF4_3926);
}

#[test]
fn a_frame_with_its_fcs_is_good_and_any_flipped_bit_is_not() {
    let mut dut = Native::default();
    let frame = gmii::with_fcs(&gmii::udp_frame(b"check"));
    fcs(&mut dut, &frame);
    assert!(dut.u.good.val());
    for bit in 0..frame.len() * 8 {
        let mut bad = frame.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        fcs(&mut dut, &bad);
        assert!(!dut.u.good.val(), "bit {bit}");
    }
}

proptest! {
    #![proptest_config(crate::common::cases(24))]
    #[test]
    fn same_as_crc32fast(bytes in proptest::collection::vec(any::<u8>(), 0..200), stalls in any::<u64>()) {
        let mut dut = Native::default();
        cycle(&mut dut, true, Some(0xFF));
        for (i, &b) in bytes.iter().enumerate() {
            if (stalls >> (i % 64)) & 1 == 1 {
                cycle(&mut dut, false, None);
            }
            cycle(&mut dut, false, Some(b));
            prop_assert_eq!(dut.u.value.val().to_u32(), crc32fast::hash(&bytes[..=i]));
        }
    }
}

#[test]
fn verilog_is_clean() {
    verilator_lint(
        "fcs",
        &ferrule_rtl::verilog::emit::<Fcs>("fcs").expect("emits"),
    );
}
