//! All files of a board: Verilog, constraints, scripts.
use super::description::{Board, Top, DELAY_TAPS};
use super::pcie_nic::PcieNic;
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
    let core = || emit::<PcieNic>("ferrule_core");
    let around = || file("ferrule_pcie", include_str!("tops/pcie.v").to_owned());
    Ok(match board.top {
        Top::PcieRgmii { delayed } => {
            let rgmii = match delayed {
                true => emit::<Rgmii<DELAY_TAPS>>("ferrule_rgmii")?,
                false => emit::<Rgmii<0>>("ferrule_rgmii")?,
            };
            vec![
                file("ferrule_core", core()?),
                file("ferrule_rgmii", rgmii),
                around(),
                file(
                    &board.module(),
                    top(board, include_str!("tops/pcie_rgmii.v")),
                ),
            ]
        }
        Top::Uart(_) => vec![
            file("ferrule_core", emit::<UartBoard>("ferrule_core")?),
            file(&board.module(), top(board, include_str!("tops/arty.v"))),
        ],
        Top::PcieGmii => vec![
            file("ferrule_core", core()?),
            around(),
            file(
                &board.module(),
                top(board, include_str!("tops/pcie_gmii.v")),
            ),
        ],
    })
}

/// A top module with the names and numbers of `board` in it.
fn top(board: &Board, text: &str) -> String {
    text.replace("__TOP__", &board.module())
        .replace("__PHY__", &board.phy.address.to_string())
}
