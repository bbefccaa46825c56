//! Synchroniser: two flip-flops, marked for the tools.
use crate::common::verilator_lint;
use ferrule_rtl::mac::sync::Sync;
use ferrule_rtl::native::Native;

#[test]
fn a_change_comes_out_after_the_second_edge() {
    let mut dut = Native::<Sync<5>>::default();
    let mut seen = Vec::new();
    for d in [0u64, 21, 21, 21, 10, 0, 0, 0] {
        dut.u.clock.next = false.into();
        dut.u.d.next = d.into();
        dut.settle();
        dut.u.clock.next = true.into();
        dut.settle();
        seen.push(dut.u.q.val().to_u64());
    }
    assert_eq!(seen, [0, 0, 21, 21, 21, 10, 0, 0]);
}

#[test]
fn both_registers_carry_async_reg() {
    let text = ferrule_rtl::verilog::emit::<Sync<5>>("sync5").expect("emits");
    assert_eq!(
        text.matches("(* ASYNC_REG = \"TRUE\" *) reg [4:0]").count(),
        2
    );
    verilator_lint("sync5", &text);
}
