//! Testbenches of the link over a UART.
mod fcs;
mod line;
mod link;
mod pack;
mod peer;
mod stuff;
mod unit;

use crate::common::verilator_lint;
use ferrule_rtl::uart;
use ferrule_rtl::verilog::emit;

#[test]
fn verilog_is_clean() {
    verilator_lint(
        "line_rx",
        &emit::<uart::line_rx::LineRx>("line_rx").expect("emits"),
    );
    verilator_lint(
        "line_tx",
        &emit::<uart::line_tx::LineTx>("line_tx").expect("emits"),
    );
    verilator_lint(
        "uart_fcs",
        &emit::<uart::fcs::SerialFcs>("uart_fcs").expect("emits"),
    );
    verilator_lint(
        "stuff",
        &emit::<uart::stuff::Stuff>("stuff").expect("emits"),
    );
    verilator_lint(
        "unstuff",
        &emit::<uart::stuff::Unstuff>("unstuff").expect("emits"),
    );
    verilator_lint(
        "unit_rx",
        &emit::<uart::unit_rx::UnitRx>("unit_rx").expect("emits"),
    );
    verilator_lint(
        "unit_tx",
        &emit::<uart::unit_tx::UnitTx>("unit_tx").expect("emits"),
    );
    verilator_lint(
        "session",
        &emit::<uart::session::Session>("session").expect("emits"),
    );
    verilator_lint(
        "packer",
        &emit::<uart::packer::Packer>("packer").expect("emits"),
    );
    verilator_lint(
        "unpacker",
        &emit::<uart::unpacker::Unpacker>("unpacker").expect("emits"),
    );
    verilator_lint(
        "uart_link",
        &emit::<uart::UartLink>("uart_link").expect("emits"),
    );
}
