//! Whole boards, simulated at their pins: the top as it is exported with models of the vendor's cells, the PCI Express block's AXI4-Streams with
//! any gaps and the root complex behind them, the PHY's pins and MDIO with a partner that negotiates.
mod arty;
mod converter;
mod engine;
#[path = "../../../rtl/tests/bench/phy/phy_model.rs"]
#[allow(dead_code, reason = "the PHY's own bench uses more of it")]
mod phy_model;
mod phy_pins;
mod ports;
mod tlps;
mod traffic;

use std::sync::Mutex;

use engine::{BoardEngine, Gaps};
use ferrule_rtl::board::arty_a7::{ARTY_A7_100, ARTY_A7_35};
use ferrule_rtl::board::description::Board;
use ferrule_rtl::board::export::files;
use ferrule_sim::engine::EngineError;

/// The board with its PHY at `address`. Where Verilator is not installed: says so, and gives none.
fn open(board: &'static Board, address: u8, gaps: Gaps) -> Option<BoardEngine> {
    // Tests that run at once wait for one build instead of each doing it.
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one = BUILDING.lock();
    match BoardEngine::open(board, address, gaps) {
        Ok(engine) => Some(engine),
        Err(e @ EngineError::ToolMissing { .. }) => {
            ferrule_test_tools::missing(&e.to_string());
            None
        }
        Err(e) => panic!("{}: {e}", board.name),
    }
}

/// The Verilog of a board, without the top's name, which is all that two boards with the same top may differ in.
fn common(board: &Board) -> Vec<String> {
    let files = files(board).expect("is exported").into_iter();
    files
        .filter(|file| file.name.ends_with(".v"))
        .map(|file| file.text.replace(&board.module(), "top"))
        .collect()
}

#[test]
fn a_board_that_is_not_simulated_has_the_verilog_of_one_that_is() {
    let [there, here] = [&ARTY_A7_35, &ARTY_A7_100].map(common);
    assert!(there == here);
    assert!(there.iter().any(|text| text.contains("module top #(")));
}
