//! The generated part of `docs/synthesis.md`: the figures of all modules beside their peers', and what limits their clocks.
use std::path::Path;
use std::time::{Duration, SystemTime};

use comfy_table::{presets, CellAlignment, Table};

use crate::document::{DocumentError, Markers};

use super::figures::{Figures, Kind, Measured};
use super::flow::Plan;
use super::modules::{Peer, GROUPS};

/// The document, and where in it they go.
pub(crate) const DOCUMENT: (&str, Markers) = (
    concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/synthesis.md"),
    Markers {
        begin: "<!-- begin: cargo xtask synth --document -->",
        end: "<!-- end: cargo xtask synth --document -->",
    },
);
const SECONDS_A_DAY: u64 = 86_400;

/// Columns after the name, but for the clocks.
const COLUMNS: [(Kind, &str); 6] = [
    (Kind::Lut, "xc7 LUT"),
    (Kind::LutRam, "LUTRAM"),
    (Kind::Ff, "FF"),
    (Kind::Bram36, "BRAM36"),
    (Kind::Logic, "logic, ns"),
    (Kind::Lut4, "ECP5 LUT4"),
];

/// Writes the figures into the document.
///
/// # Errors
/// When it cannot be read or written, or has no place for them.
pub(super) fn write(plan: &Plan, measured: &[Measured]) -> Result<(), DocumentError> {
    let (path, markers) = DOCUMENT;
    markers.write(Path::new(path), &section(plan, measured))
}

fn section(plan: &Plan, measured: &[Measured]) -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nextpnr = plan.nextpnr.as_ref();
    let seeds: Vec<String> = plan.seeds.iter().map(u32::to_string).collect();
    format!(
        "Measured on {} with Yosys {} and nextpnr-ecp5 {}, seeds {}; peers with Yosys 0.70 and nextpnr-ecp5 0.11, seeds 1, 2, 3.\n\n\
         {}\n\nThe slowest path of each clock, from flip-flop to flip-flop:\n\n{}",
        date(since.unwrap_or_default()),
        plan.yosys.version,
        nextpnr.map_or("-", |tool| tool.version.as_str()),
        seeds.join(", "),
        sizes(measured),
        paths(measured),
    )
}

/// Modules, each followed by its peer, and groups of them.
fn sizes(measured: &[Measured]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    let columns = COLUMNS.iter().map(|(_, title)| *title);
    table.set_header(["design"].into_iter().chain(columns).chain(["Fmax, MHz"]));
    for one in measured {
        add(
            &mut table,
            one.module.name(),
            &one.figures,
            one.module.peer(),
        );
    }
    for group in GROUPS {
        let parts = measured.iter().filter(|m| group.parts.contains(&m.module));
        if let Some(sum) = Figures::together(parts.map(|m| &m.figures)) {
            add(&mut table, group.name, &sum, Some(&group.peer));
        }
    }
    for column in table.column_iter_mut().skip(1).take(COLUMNS.len()) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Adds a line for ours, and one for the peer.
fn add(table: &mut Table, name: &str, ours: &Figures, peer: Option<&Peer>) {
    let list = ours.list();
    let own = |kind: &Kind| list.iter().find(|(k, _)| k == kind).map(|&(_, v)| v);
    let clocks = ours.fmax_mhz.iter();
    let clocks = clocks.map(|(name, &mhz)| (name.as_str(), mhz)).collect();
    table.add_row(line(format!("**{name}**"), own, clocks));
    if let Some(peer) = peer {
        let clocks = peer.fmax_mhz.to_vec();
        table.add_row(line(peer.name.into(), |kind| peer.figure(kind), clocks));
    }
}

fn line(
    name: String,
    figure: impl Fn(&Kind) -> Option<f64>,
    clocks: Vec<(&str, f64)>,
) -> Vec<String> {
    let cell = |kind: &Kind| figure(kind).map_or_else(|| "-".into(), |value| plain(kind, value));
    let clocks: Vec<String> = clocks
        .into_iter()
        .map(|(name, mhz)| format!("{name} {mhz:.0}"))
        .collect();
    let mut line = vec![name];
    line.extend(COLUMNS.iter().map(|(kind, _)| cell(kind)));
    line.push(clocks.join(", "));
    line
}

/// Counts as they are, times with a digit after the point.
fn plain(kind: &Kind, value: f64) -> String {
    match kind {
        Kind::Logic => format!("{value:.1}"),
        _ => value.to_string(),
    }
}

/// What limits the clocks.
pub(super) fn paths(measured: &[Measured]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header([
        "module",
        "clock",
        "from",
        "to",
        "hops",
        "logic, ns",
        "wires, ns",
    ]);
    for one in measured {
        for path in &one.figures.critical {
            table.add_row([
                one.module.name().to_owned(),
                path.clock.clone(),
                path.from.clone(),
                path.to.clone(),
                path.hops.to_string(),
                format!("{:.1}", path.logic_ns),
                format!("{:.1}", path.wire_ns),
            ]);
        }
    }
    for column in table.column_iter_mut().skip(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The day, in the Gregorian calendar of UTC, that long after 1970 began.
fn date(since_1970: Duration) -> String {
    let mut days = since_1970.as_secs() / SECONDS_A_DAY;
    let mut year = 1970;
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

#[cfg(test)]
mod tests {
    use super::super::area::Xc7;
    use super::super::modules::Module;
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // GNU date.
        for (seconds, expected) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_735_689_599, "2024-12-31"),
            (1_795_651_200, "2026-11-26"),
        ] {
            assert_eq!(date(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn a_peer_stands_under_ours() {
        let measured = Measured {
            module: Module::Neigh,
            figures: Figures {
                xc7: Some(Xc7 {
                    lut: 777,
                    lutram: 0,
                    ff: 1_234,
                    bram36: 1.5,
                }),
                fmax_mhz: [("clock".to_owned(), 98.7)].into(),
                ..Figures::default()
            },
        };
        let text = sizes(&[measured]).to_string();
        let lines: Vec<&str> = text.lines().collect();
        let ours: Vec<&str> = lines[2].split('|').map(str::trim).collect();
        let cells = [
            "",
            "**neigh**",
            "777",
            "0",
            "1234",
            "1.5",
            "-",
            "-",
            "clock 99",
            "",
        ];
        assert_eq!(ours, cells);
        assert!(lines[3].contains("verilog-ethernet arp"), "{text}");
    }
}
