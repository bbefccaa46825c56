//! All files of a board: Verilog, constraints, scripts.
use super::description::{Board, Top, DELAY_TAPS};
use super::pcie_nic::PcieNic;
use super::pcie_two_ports::PcieTwoPorts;
use super::uart_board::UartBoard;
use super::{makefile, vivado, xdc};
use crate::phy::rgmii::Rgmii;
use crate::verilog::emit;

/// A file, by its name in the board's folder.
#[derive(Debug)]
pub struct File {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// What a tool needs to make a bitstream for `board`.
///
/// # Errors
/// What rust-hdl's checks found in the hardware.
pub fn files(board: &Board) -> Result<Vec<File>, String> {
    let module = board.module();
    let mut files = verilog(board)?;
    let sources: Vec<String> = files.iter().map(|f| f.name.clone()).collect();
    let mut add = |extension: &str, text: String| {
        files.push(File {
            name: format!("{module}.{extension}"),
            text,
        });
    };
    add("xdc", xdc::write(board));
    add("tcl", vivado::script(board, &sources));
    if let Top::Uart(open) = &board.top {
        files.push(File {
            name: "Makefile".to_owned(),
            text: makefile::write(board, open, &sources),
        });
    }
    Ok(files)
}

fn verilog(board: &Board) -> Result<Vec<File>, String> {
    let file = |name: &str, text: String| File {
        name: format!("{name}.v"),
        text,
    };
    let around = || {
        let text = include_str!("tops/pcie.v");
        file("ferrule_pcie", each_port(text, board.top.ports()))
    };
    let top = |text: &str| file(&board.module(), top(board, text));
    Ok(match board.top {
        Top::PcieRgmii { delayed, two_ports } => {
            let core = match two_ports {
                true => emit::<PcieTwoPorts>("ferrule_core")?,
                false => emit::<PcieNic>("ferrule_core")?,
            };
            let rgmii = match delayed {
                true => emit::<Rgmii<DELAY_TAPS>>("ferrule_rgmii")?,
                false => emit::<Rgmii<0>>("ferrule_rgmii")?,
            };
            vec![
                file("ferrule_core", core),
                file("ferrule_rgmii", rgmii),
                around(),
                top(include_str!("tops/pcie_rgmii.v")),
            ]
        }
        Top::Uart(_) => vec![
            file("ferrule_core", emit::<UartBoard>("ferrule_core")?),
            top(include_str!("tops/arty.v")),
        ],
        Top::PcieGmii => vec![
            file("ferrule_core", emit::<PcieNic>("ferrule_core")?),
            around(),
            top(include_str!("tops/pcie_gmii.v")),
        ],
    })
}

/// A top module with the names and numbers of `board` in it.
fn top(board: &Board, text: &str) -> String {
    each_port(text, board.top.ports())
        .replace("__TOP__", &board.module())
        .replace("__PHY__", &board.phy.address.to_string())
}

/// `text` with what stands between `//: each port` and `//: end` once a port. There `%` is the port's number, nothing for port 0, and `[%]` its place in an
/// array of the core's, where it has arrays.
pub fn each_port(text: &str, ports: u8) -> String {
    let mut made = String::new();
    let mut parts = text.split("//: each port\n");
    made += parts.next().unwrap_or_default();
    for part in parts {
        let (block, rest) = part.split_once("//: end\n").unwrap_or((part, ""));
        for port in 0..ports {
            let number = match port {
                0 => String::new(),
                _ => port.to_string(),
            };
            let place = match ports {
                1 => String::new(),
                _ => format!("${port}"),
            };
            made += &block.replace("[%]", &place).replace('%', &number);
        }
        made += rest;
    }
    made
}
