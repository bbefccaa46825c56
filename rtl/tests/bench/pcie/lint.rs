//! The exported Verilog passes Verilator's lint.
use crate::common::verilator_lint;
use ferrule_rtl::{pcie::HostSide, verilog::emit};

#[test]
fn host_side_is_clean() {
    let text = emit::<HostSide>("host_side").expect("emits");
    verilator_lint("host_side", &text);
}
