//! The queue engines together.
use crate::common::verilator_lint;
use ferrule_rtl::queue::queues::Queues;

#[test]
fn exports_to_clean_verilog() {
    let text = ferrule_rtl::verilog::emit::<Queues>("queues").expect("emits");
    verilator_lint("queues", &text);
}
