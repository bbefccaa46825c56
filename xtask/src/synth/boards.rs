//! Whole boards: what the top of each takes of its FPGA. The PCI Express block, which Vivado makes, is a box.
use std::io::{self, Write};
use std::path::Path;

use comfy_table::{presets, CellAlignment, Table};
use ferrule_rtl::board::description::Board;
use ferrule_rtl::board::{export, find, BOARDS};

use super::area::Xc7;
use super::error::SynthError;
use super::flow::{yosys_args, Place};
use super::tools::Tool;
use super::{SynthArgs, MOST_PERCENT};
use crate::document::Markers;
use crate::progress;

/// The document, and where in it the figures go.
pub(crate) const DOCUMENT: (&str, Markers) = (
    concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/boards.md"),
    Markers {
        begin: "<!-- begin: cargo xtask synth --board all --document -->",
        end: "<!-- end: cargo xtask synth --board all --document -->",
    },
);
/// The block's ports.
const BLOCK: &str = include_str!("../../../rtl/tests/boards/pcie_7x_0.v");

/// Measures, prints, and does what else was asked for.
///
/// # Errors
/// When a name is no board's, a board cannot be exported, a tool fails, or, with `--check`, a board takes too much.
pub(super) fn run(args: &SynthArgs) -> Result<(), SynthError> {
    let boards: Vec<&Board> = match args.board.iter().any(|name| name == "all") {
        true => BOARDS.to_vec(),
        false => {
            let of = |name: &String| find(name).ok_or_else(|| SynthError::Board(name.clone()));
            args.board.iter().map(of).collect::<Result<_, _>>()?
        }
    };
    if args.document && boards.len() < BOARDS.len() {
        return Err(SynthError::Partial);
    }
    let yosys = Tool::yosys(args.yosys.as_deref())?;
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header([
        "board",
        "part",
        "LUTs",
        "of",
        "flip-flops",
        "of",
        "block RAMs",
        "of",
    ]);
    let mut broken = vec![];
    for board in boards {
        let spinner = progress::spinner();
        spinner.set_message(format!("{}: synth_xilinx", board.name));
        let taken = measure(&yosys, board, args)?;
        spinner.finish_and_clear();
        let mut row = vec![board.name.to_owned(), board.part.to_owned()];
        for (what, used, there) in [
            ("LUTs", f64::from(taken.lut + taken.lutram), board.size.lut),
            ("flip-flops", f64::from(taken.ff), board.size.ff),
            ("block RAMs", taken.bram36, board.size.bram36),
        ] {
            let percent = 100.0 * used / f64::from(there);
            if percent > MOST_PERCENT {
                broken.push(format!("{}: {percent:.1}% of the {what}", board.name));
            }
            row.extend([used.to_string(), format!("{percent:.1}%")]);
        }
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    writeln!(io::stdout(), "{table}").map_err(|source| SynthError::File {
        path: Path::new("standard output").into(),
        source,
    })?;
    if args.document {
        let (path, markers) = DOCUMENT;
        let section = format!(
            "By Yosys {}, without place and route and without the PCI Express block; block RAMs of 36 Kbit.\n\n{table}",
            yosys.version
        );
        markers.write(Path::new(path), &section)?;
    }
    match args.check && !broken.is_empty() {
        true => Err(SynthError::Full {
            most: MOST_PERCENT,
            broken,
        }),
        false => Ok(()),
    }
}

fn measure(yosys: &Tool, board: &'static Board, args: &SynthArgs) -> Result<Xc7, SynthError> {
    let files = export::files(board).map_err(|reason| SynthError::Export {
        module: board.name,
        reason,
    })?;
    let verilog = files.iter().filter(|f| f.name.ends_with(".v"));
    let verilog: Vec<&str> = [BLOCK]
        .into_iter()
        .chain(verilog.map(|f| f.text.as_str()))
        .collect();
    let folder = args.folder.join("boards").join(board.name);
    let place = Place::prepare(board.name, folder, &verilog.concat(), args.fresh)?;
    let script = format!(
        "read_verilog design.v; synth_xilinx -family xc7 -top {} -flatten; check -assert; tee -q -o xc7.json stat -json",
        board.module()
    );
    place.step("xc7", yosys, &yosys_args(&script), "")?;
    Xc7::parse(&place.read("xc7.json")?)
}
