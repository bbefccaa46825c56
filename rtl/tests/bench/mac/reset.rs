//! Reset synchroniser: at once on, two edges long, off with the clock.
use crate::common::verilator_lint;
use ferrule_rtl::mac::reset::ResetSync;
use ferrule_rtl::native::Native;

fn cycle(dut: &mut Native<ResetSync>, d: bool) -> bool {
    dut.u.clock.next = false.into();
    dut.u.d.next = d;
    dut.settle();
    let q = dut.u.q.val();
    dut.u.clock.next = true.into();
    dut.settle();
    q
}

#[test]
fn in_reset_at_power_up_for_two_edges() {
    let mut dut = Native::default();
    let q: Vec<_> = (0..4).map(|_| cycle(&mut dut, false)).collect();
    assert_eq!(q, [true, true, false, false]);
}

#[test]
fn asserts_without_a_clock_and_holds_for_two_edges_after() {
    let mut dut = Native::default();
    for _ in 0..4 {
        cycle(&mut dut, false);
    }
    dut.u.clock.next = false.into();
    dut.u.d.next = true;
    dut.settle();
    assert!(dut.u.q.val());
    dut.u.d.next = false;
    dut.settle();
    let q: Vec<_> = (0..4).map(|_| cycle(&mut dut, false)).collect();
    assert_eq!(q, [true, true, false, false]);
}

#[test]
fn verilog_is_clean() {
    let text = ferrule_rtl::verilog::emit::<ResetSync>("reset_sync").expect("emits");
    assert_eq!(text.matches("(* ASYNC_REG = \"TRUE\" *)").count(), 2);
    verilator_lint("reset_sync", &text);
}
