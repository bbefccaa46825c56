//! `LaneSum` against smoltcp's checksum and RFC 1071's example.
use super::frames::Rng;
use ferrule_rtl::{native::Native, rx::sum::LaneSum};
use smoltcp::wire::checksum;

/// A cycle; `None` is a gap.
fn cycle(dut: &mut Native<LaneSum>, beat: Option<([u8; 8], u8, bool)>) {
    let (b, mask, first) = beat.unwrap_or_default();
    let word = |at: usize| u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]);
    dut.u.clock.next = false.into();
    dut.u.d0.next = u64::from(word(0)).into();
    dut.u.d1.next = u64::from(word(4)).into();
    dut.u.mask.next = u64::from(mask).into();
    dut.u.first.next = first;
    dut.u.valid.next = beat.is_some();
    dut.settle();
    dut.u.clock.next = true.into();
    dut.settle();
}

/// The folded sum as a number in network order.
fn folded(dut: &Native<LaneSum>) -> u16 {
    let mut sum = dut.u.sum.val().to_u32();
    while sum >> 16 != 0 {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    (sum as u16).swap_bytes()
}

#[test]
fn the_example_of_rfc_1071_comes_out() {
    let mut dut = Native::<LaneSum>::default();
    // Section 3: 00 01 f2 03 f4 f5 f6 f7 sums to ddf2.
    cycle(
        &mut dut,
        Some(([0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7], 15, true)),
    );
    cycle(&mut dut, None);
    assert_eq!(folded(&dut), 0xDDF2);
}

#[test]
fn chosen_half_words_of_many_beats_are_summed() {
    let mut r = Rng(1);
    let mut dut = Native::<LaneSum>::default();
    for round in 0..300 {
        let count = if round % 20 == 0 {
            2048 / 8
        } else {
            1 + r.below(40)
        };
        let mut chosen = vec![];
        for i in 0..count {
            let mut b = [0_u8; 8];
            b.copy_from_slice(&if r.percent(20) {
                vec![0xFF; 8]
            } else {
                r.bytes(8)
            });
            let mask = r.next() as u8 & 15;
            for lane in 0..4 {
                if mask >> lane & 1 == 1 {
                    chosen.extend(&b[2 * lane..2 * lane + 2]);
                }
            }
            cycle(&mut dut, Some((b, mask, i == 0)));
            while r.percent(20) {
                cycle(&mut dut, None);
            }
        }
        cycle(&mut dut, None);
        assert_eq!(folded(&dut), checksum::data(&chosen), "round {round}");
    }
}

#[test]
fn verilator_accepts_the_verilog() {
    let text = ferrule_rtl::verilog::emit::<LaneSum>("lane_sum").expect("emits");
    crate::common::verilator_lint("lane_sum", &text);
}
