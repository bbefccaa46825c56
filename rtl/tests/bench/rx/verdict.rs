//! `RxVerdict`: frames that come while another is judged. The verdicts themselves are tested with the whole path.
use super::oracle::bad;
use ferrule_abi::counter;
use ferrule_rtl::{native::Native, rx::verdict::RxVerdict};

/// One cycle; gives the events in it.
fn cycle(dut: &mut Native<RxVerdict>, reset: bool, enable: bool, beat: Option<(bool, u8)>) -> u32 {
    let u = &mut dut.u;
    u.clock.next = false.into();
    u.reset.next = reset;
    u.enable.next = enable;
    u.rxctl.next = 1.into();
    u.pass.next = true;
    u.ether_type.next = 0x86DD.into();
    u.valid.next = beat.is_some();
    let (last, bad) = beat.unwrap_or_default();
    u.last.next = last;
    u.keep.next = 0xFF.into();
    u.bad.next = u64::from(bad).into();
    dut.settle();
    let events = dut.u.events.val().to_u32();
    dut.u.clock.next = true.into();
    dut.settle();
    events
}

#[test]
fn a_flood_of_one_beat_frames_is_counted_to_the_last() {
    for (enable, bad, reason) in [
        (true, bad::RUNT, counter::RX_DROP_RUNT),
        (true, bad::RUNT | bad::FCS, counter::RX_DROP_RUNT),
        (true, bad::OVERSIZE | bad::FCS, counter::RX_DROP_OVERSIZE),
        (false, bad::RUNT, counter::RX_DROP_DISABLED),
    ] {
        let mut dut = Native::<RxVerdict>::default();
        cycle(&mut dut, true, enable, None);
        let mut count = 0;
        for i in 0..60 {
            let beat = (i < 40).then_some((true, bad));
            let events = cycle(&mut dut, false, enable, beat);
            assert!(events & !(1 << reason) == 0, "{events:#x}");
            count += events >> reason & 1;
        }
        assert_eq!(count, 40, "reason {reason}");
        assert!(!dut.u.busy.val());
    }
}

#[test]
fn a_good_frame_in_the_way_of_a_verdict_counts_as_overflow() {
    let mut dut = Native::<RxVerdict>::default();
    cycle(&mut dut, true, true, None);
    let (mut good, mut lost, mut damaged) = (0, 0, 0);
    let mut beats = vec![];
    for bad in [0, 0, bad::FCS] {
        beats.extend((0..8).map(|i| Some((i == 7, bad))));
        beats.extend([None; 2]);
    }
    beats.extend([None; 10]);
    for beat in beats {
        let events = cycle(&mut dut, false, true, beat);
        good += events >> counter::RX_FRAMES & 1;
        lost += events >> counter::RX_DROP_OVERFLOW & 1;
        damaged += events >> counter::RX_DROP_FCS & 1;
    }
    assert_eq!((good, lost, damaged), (1, 1, 1));
}

#[test]
fn verilator_accepts_the_verilog() {
    let text = ferrule_rtl::verilog::emit::<RxVerdict>("rx_verdict").expect("emits");
    crate::common::verilator_lint("rx_verdict", &text);
}
