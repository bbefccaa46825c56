//! `ferrule verilog`: the NIC as Verilog, alone or with all that a board's bitstream is made of.
use std::fs;
use std::path::Path;

use ferrule_rtl::board::description::{Board, Top};
use ferrule_rtl::board::export;
use ferrule_rtl::nic::Nic;

use crate::args::Verilog;
use crate::error::Error;
use crate::output;

/// Name of the top module of the NIC alone.
const TOP: &str = "ferrule_nic";

/// Writes the export and says what was written.
///
/// # Errors
/// When the design cannot be exported or the folder cannot be written.
pub(crate) fn run(args: &Verilog) -> Result<(), Error> {
    let Some(board) = args.board else {
        let text = ferrule_rtl::verilog::emit::<Nic>(TOP).map_err(Error::Export)?;
        return write(&args.output, &format!("{TOP}.v"), &text);
    };
    for file in export::files(board).map_err(Error::Export)? {
        write(&args.output, &file.name, &file.text)?;
    }
    output::line(&format!("{}: {}", board.title, next(board)))
}

/// What to do with the files.
fn next(board: &Board) -> String {
    let module = board.module();
    let vivado = format!("`vivado -mode batch -source {module}.tcl`");
    let tool = match board.top {
        Top::Uart(_) => format!("`make`, with yosys, nextpnr-xilinx and prjxray, or {vivado}"),
        Top::PcieRgmii { .. } | Top::PcieGmii => vivado,
    };
    format!("in that folder {tool} makes {module}.bit; docs/boards.md goes on from there")
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), Error> {
    let path = folder.join(name);
    let failed = |source| Error::Write {
        path: path.clone(),
        source,
    };
    fs::create_dir_all(folder).map_err(failed)?;
    fs::write(&path, text).map_err(failed)?;
    let modules = text.lines().filter(|l| l.starts_with("module ")).count();
    let lines = text.lines().count();
    let what = match (modules, name.strip_suffix(".v")) {
        (0, _) | (_, None) => format!("{lines} lines"),
        (1, Some(top)) => format!("module {top}, {lines} lines"),
        (_, Some(top)) => format!("{modules} modules, {lines} lines; top module {top}"),
    };
    output::line(&format!("{}: {what}", path.display()))
}
