//! Boards: what is around the NIC on each, and the files that tools make a bitstream of.
//!
//! | module | is |
//! |---|---|
//! | [`description`] | what is known of a board: part, pins, clocks, crossings |
//! | [`ac701`], [`arty_a7`], [`ax7203`], [`kc705`] | the boards |
//! | [`pcie_nic`], [`pcie_two_ports`] | a PCIe board with one port or two but for its cells; the cells are Verilog, in `tops` |
//! | [`gmii_port`] | one port of such a board |
//! | [`uart_board`] | a board with a UART but for its cells |
//! | [`services`] | time, MAC address and LEDs, as every board has them |
//! | [`phy_port`] | what is around each PHY |
//! | [`time`], [`dna`], [`leds`] | the parts of that |
//! | [`export`] | all files of a board |
//! | [`xdc`], [`vivado`], [`makefile`] | constraints; the script for Vivado; the Makefile for open tools |

pub mod ac701;
pub mod arty_a7;
pub mod ax7203;
pub mod description;
pub mod dna;
pub mod export;
pub mod gmii_port;
pub mod kc705;
pub mod leds;
pub mod makefile;
pub mod pcie_nic;
pub mod pcie_two_ports;
pub mod phy_port;
pub mod services;
pub mod time;
pub mod uart_board;
pub mod vivado;
pub mod xdc;

use description::Board;

/// All boards.
pub const BOARDS: [&Board; 5] = [
    &arty_a7::ARTY_A7_35,
    &arty_a7::ARTY_A7_100,
    &ac701::BOARD,
    &ax7203::BOARD,
    &kc705::BOARD,
];

/// The board of a name.
pub fn find(name: &str) -> Option<&'static Board> {
    BOARDS.into_iter().find(|board| board.name == name)
}
