//! Each board's Verilog in the tools that people have: Verilator's lint, and Yosys with its own cells of the 7-series.
use ferrule_rtl::board::description::{Board, Top};
use ferrule_rtl::board::export::files;
use ferrule_rtl::board::{vivado, BOARDS};
use ferrule_test_tools::have;
use std::path::Path;
use std::process::Command;

/// Warnings that the Verilog may have, each with its reason.
const WAIVERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/verilator.vlt");
/// The vendor's cells, as far as lint and simulation need them.
const CELLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/boards/cells.v");

/// The PCI Express block's ports.
const BLOCK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/boards/pcie_7x_0.v");

/// How many of a kind of cell.
type Cells = (usize, &'static str);

/// Writes a board's files and gives the names of those in Verilog.
fn written(board: &Board, dir: &Path) -> Vec<String> {
    let files = files(board).expect("the board is exported");
    for file in &files {
        std::fs::write(dir.join(&file.name), &file.text).expect("written");
    }
    let names = files.into_iter().map(|f| f.name);
    names.filter(|name| name.ends_with(".v")).collect()
}

fn run(dir: &Path, program: &str, args: &[&str]) {
    let out = Command::new(program).current_dir(dir).args(args).output();
    let out = out.unwrap_or_else(|e| panic!("{program}: {e}"));
    let [said, log] = [&out.stdout, &out.stderr].map(|t| String::from_utf8_lossy(t));
    assert!(out.status.success(), "{program} {args:?}:\n{said}{log}");
}

#[test]
fn verilator_finds_nothing_wrong() {
    if !have(&["verilator"]) {
        return;
    }
    for board in BOARDS {
        let dir = tempfile::tempdir().expect("temporary folder");
        let sources = written(board, dir.path());
        let top = board.module();
        let mut args = vec![
            "--lint-only",
            "-Wall",
            "--top-module",
            &top,
            WAIVERS,
            CELLS,
            BLOCK,
        ];
        args.extend(sources.iter().map(String::as_str));
        run(dir.path(), "verilator", &args);
    }
}

/// The NIC itself is synthesised elsewhere (`cli/tests/program/verilog.rs`), and takes minutes: here it is a box with its ports.
#[test]
fn yosys_knows_every_cell_and_its_ports() {
    if !have(&["yosys"]) {
        return;
    }
    for board in BOARDS {
        let dir = tempfile::tempdir().expect("temporary folder");
        let sources = written(board, dir.path());
        let top = board.module();
        let ports = usize::from(board.top.ports());
        // Of each port, and of the board.
        let (each, once): (&[Cells], &[Cells]) = match board.top {
            Top::PcieRgmii { .. } => (
                &[
                    (5, "IDDR"),
                    (6, "ODDR"),
                    (5, "IDELAYE2"),
                    (4, "BUFGMUX_CTRL"),
                    (1, "BUFR"),
                ],
                &[(1, "IBUFDS_GTE2"), (1, "IDELAYCTRL")],
            ),
            Top::PcieGmii => (&[(1, "ODDR"), (1, "BUFGMUX_CTRL")], &[(1, "IBUFDS_GTE2")]),
            Top::Uart(_) => (&[], &[(4, "BUFG")]),
        };
        let each = each.iter().map(|(n, cell)| (n * ports, cell));
        let counts = each.chain(once.iter().map(|(n, cell)| (*n, cell)));
        let counts: String = counts
            .map(|(n, cell)| format!("select -assert-count {n} t:{cell}; "))
            .collect();
        let script = format!(
            "read_verilog {} {BLOCK}; blackbox ferrule_core; \
             synth_xilinx -family xc7 -top {top} -flatten; check -assert; {counts}select -assert-count 1 t:MMCME2_BASE; \
             select -assert-count 1 t:DNA_PORT; select -assert-count {ports} t:IOBUF",
            sources.join(" ")
        );
        run(dir.path(), "yosys", &["-q", "-p", &script]);
    }
}

#[test]
fn make_goes_from_the_verilog_to_the_bitstream_by_open_tools() {
    if !have(&["make"]) {
        return;
    }
    let mut open_boards = 0;
    for board in BOARDS {
        let Top::Uart(open) = board.top else {
            continue;
        };
        open_boards += 1;
        let dir = tempfile::tempdir().expect("temporary folder");
        let sources = written(board, dir.path());
        let out = Command::new("make")
            .current_dir(dir.path())
            .args(["-n", "program"])
            .output();
        let out = out.expect("make runs");
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(
            out.status.success(),
            "{said}{}",
            String::from_utf8_lossy(&out.stderr)
        );
        let said: Vec<&str> = said.lines().collect();
        let top = board.module();
        // Each step by its program, and what it must be told.
        let steps: [(&str, Vec<String>); 5] = [
            (
                "yosys",
                [
                    sources,
                    vec![format!("-top {top}"), format!("write_json {top}.json")],
                ]
                .concat(),
            ),
            (
                "nextpnr-xilinx",
                ["xdc", "json", "fasm"].map(|e| format!("{top}.{e}")).into(),
            ),
            ("fasm2frames", vec![open.part.into(), format!("{top}.fasm")]),
            (
                "xc7frames2bit",
                vec![open.part.into(), format!("{top}.bit")],
            ),
            (
                "openFPGALoader",
                vec![open.loader.into(), format!("{top}.bit")],
            ),
        ];
        assert_eq!(said.len(), steps.len(), "{said:?}");
        for (line, (program, words)) in said.iter().zip(steps) {
            assert!(line.starts_with(program), "{program}: {line}");
            for word in words {
                assert!(line.contains(&word), "{word}: {line}");
            }
        }
    }
    assert_eq!(open_boards, 2);
}

/// PG054 and the driver agree about the function.
#[test]
fn the_script_makes_the_function_that_the_driver_expects() {
    for (ports, registers, vectors) in [(1, "1", "8"), (2, "2", "10")] {
        let properties = vivado::pcie_properties(ports);
        let of = |name: &str| {
            let found: Vec<_> = properties.iter().filter(|(n, _)| *n == name).collect();
            assert_eq!(found.len(), 1, "{name}");
            found[0].1.as_str()
        };
        // The registers are a MiB a port in BAR0, the vectors' table and pending bits a page in BAR2: docs/registers.md.
        for (name, value) in [
            ("Vendor_ID", "1234"),
            ("Device_ID", "4645"),
            ("Class_Code_Base", "02"),
            ("Class_Code_Sub", "00"),
            ("Bar0_Scale", "Megabytes"),
            ("Bar0_Size", registers),
            ("Bar2_Scale", "Kilobytes"),
            ("Bar2_Size", "4"),
            ("MSIx_Table_Size", vectors),
            ("MSIx_Table_BIR", "BAR_2"),
            ("MSIx_Table_Offset", "0"),
            ("MSIx_PBA_Offset", "800"),
            ("Interface_Width", "64_bit"),
            ("User_Clk_Freq", "125"),
        ] {
            assert_eq!(of(name), value, "{ports} ports: {name}");
        }
    }
    for board in BOARDS {
        let files = files(board).expect("the board is exported");
        let script = files
            .iter()
            .find(|f| f.name.ends_with(".tcl"))
            .expect("a script");
        assert!(script.text.contains(board.part), "{}", script.text);
        for source in files.iter().filter(|f| f.name.ends_with(".v")) {
            let read = format!("read_verilog {}\n", source.name);
            assert!(
                script.text.contains(&read),
                "{}: {}",
                board.name,
                source.name
            );
        }
        let brackets = |c: char| script.text.matches(c).count();
        assert_eq!(brackets('['), brackets(']'), "{}", board.name);
        assert_eq!(brackets('{'), brackets('}'), "{}", board.name);
    }
}
