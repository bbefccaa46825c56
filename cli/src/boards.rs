//! `ferrule boards`: the boards that there are, what each needs, and what was tested how.
use comfy_table::{presets::UTF8_BORDERS_ONLY, Table};
use ferrule_rtl::board::description::{Board, Top};
use ferrule_rtl::board::BOARDS;
use serde::Serialize;

use crate::args::Boards;
use crate::error::Error;
use crate::output;

/// A board, as it is told of.
#[derive(Serialize)]
struct Told {
    name: &'static str,
    title: &'static str,
    part: &'static str,
    host: &'static str,
    phy: String,
    tools: &'static str,
    guide: String,
    tested: Tested,
}

/// What was tested how.
#[derive(Serialize)]
struct Tested {
    simulation: &'static str,
    lint: &'static str,
    synthesis: &'static str,
    place_and_route: bool,
    silicon: bool,
}

impl Told {
    fn of(board: &'static Board) -> Self {
        let (host, tools) = match board.top {
            Top::PcieRgmii { .. } | Top::PcieGmii => ("PCI Express Gen1 x4", "Vivado"),
            Top::Uart(_) => (
                "USB-UART, 3 Mbaud",
                "Yosys, nextpnr-xilinx and prjxray, or Vivado",
            ),
        };
        Self {
            name: board.name,
            title: board.title,
            part: board.part,
            host,
            phy: format!("{}, {}", board.phy.chip, board.phy.interface),
            tools,
            guide: match board.top {
                Top::Uart(_) => "docs/boards/arty-a7.md".to_owned(),
                _ => format!("docs/boards/{}.md", board.name),
            },
            tested: Tested {
                simulation: match board.name {
                    "arty-a7-100" => "its Verilog is the arty-a7-35's",
                    _ => "the whole top at its pins, with models of the vendor's cells",
                },
                lint: "Verilator",
                synthesis: "Yosys",
                place_and_route: false,
                silicon: false,
            },
        }
    }
}

/// Prints them.
///
/// # Errors
/// When they cannot be written.
pub(crate) fn run(args: &Boards) -> Result<(), Error> {
    let all: Vec<Told> = BOARDS.into_iter().map(Told::of).collect();
    if args.json {
        return output::json(&all);
    }
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY);
    table.set_header(["name", "board", "part", "host", "PHY", "bitstream by"]);
    for b in &all {
        table.add_row([b.name, b.title, b.part, b.host, &b.phy, b.tools]);
    }
    output::text(&table)?;
    output::line(
        "None of them has run on silicon, or been placed and routed. Each passes Verilator's lint and Yosys; --json says what was simulated, docs/boards.md more, and how to bring one up",
    )
}
