//! `cargo xtask bench`: what is measured, each by name, ours and its peer in one run.
use std::borrow::Cow;
use std::io::Write;

use clap::{Args, ValueEnum};
use comfy_table::{presets, CellAlignment, Table};
use rustix::time::{clock_gettime, ClockId};
use serde::Serialize;

mod engines;
mod latency;
mod stack;
mod tlps;
mod traffic;

/// Arguments of `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct BenchArgs {
    /// What to measure
    #[arg(required_unless_present = "list")]
    name: Option<Name>,
    /// Say what each measures and how long it takes
    #[arg(long)]
    list: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// The benchmarks.
#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// Cycles per CPU second of each engine on the whole NIC, start-up, frames looped, ping, TCP over the model (30 s)
    Engines,
    /// TLPs and PCIe bytes per 64-byte frame sent and one received, doorbells per 16 packets (5 s)
    Tlps,
    /// Cycles from the end of a frame on the wire to its completion on PCIe, on an idle NIC (2 s)
    Latency,
    /// CPU time, instructions (with valgrind) and memory of the TCP/IP stack beside smoltcp (90 s)
    Stack,
}

/// One thing measured.
#[derive(Debug, Serialize)]
struct Row {
    what: String,
    ours: f64,
    /// The other one of the comparison.
    peer: Option<f64>,
    /// Ours to the peer's.
    ratio: Option<f64>,
    target: Option<String>,
    unit: Cow<'static, str>,
    /// Whether the target is reached.
    holds: Option<bool>,
}

impl Row {
    fn new(what: impl Into<String>, ours: f64, unit: impl Into<Cow<'static, str>>) -> Self {
        Self {
            what: what.into(),
            ours,
            peer: None,
            ratio: None,
            target: None,
            unit: unit.into(),
            holds: None,
        }
    }
    fn with_peer(mut self, peer: f64) -> Self {
        self.peer = Some(peer);
        self.ratio = Some(self.ours / peer);
        self
    }
    fn at_least(mut self, limit: f64) -> Self {
        self.target = Some(format!("at least {limit}"));
        self.holds = Some(self.ours >= limit);
        self
    }
    /// Of the ratio to the peer.
    fn at_least_times(mut self, limit: f64) -> Self {
        self.target = Some(format!("at least {limit} times"));
        self.holds = self.ratio.map(|ratio| ratio >= limit);
        self
    }
    /// Of the ratio to the peer.
    fn at_most_times(mut self, limit: f64) -> Self {
        self.target = Some(format!("at most {limit} times"));
        self.holds = self.ratio.map(|ratio| ratio <= limit);
        self
    }
    fn at_most(mut self, limit: f64) -> Self {
        self.target = Some(format!("at most {limit}"));
        self.holds = Some(self.ours <= limit);
        self
    }
}

/// CPU time of this thread so far.
fn thread_cpu_seconds() -> f64 {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
}

/// Three digits that count; whole numbers in groups of three.
fn number(value: f64) -> String {
    if value.abs() < 1_000.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header(["what", "ours", "peer", "ratio", "target", "unit", "holds"]);
    let or_dash = |v: Option<String>| v.unwrap_or_else(|| "-".into());
    for row in rows {
        table.add_row([
            row.what.clone(),
            number(row.ours),
            or_dash(row.peer.map(number)),
            or_dash(row.ratio.map(number)),
            or_dash(row.target.clone()),
            row.unit.to_string(),
            or_dash(
                row.holds
                    .map(|h| if h { "holds" } else { "falls short" }.into()),
            ),
        ]);
    }
    for column in table.column_iter_mut().skip(1).take(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Measures and prints.
pub(crate) fn run(args: &BenchArgs) -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    let rows = match args.name {
        Some(name) if !args.list => match name {
            Name::Engines => engines::measure()?,
            Name::Tlps => tlps::measure()?,
            Name::Latency => latency::measure()?,
            Name::Stack => stack::measure()?,
        },
        _ => {
            for name in Name::value_variants() {
                if let Some(value) = name.to_possible_value() {
                    let help = value.get_help().map(ToString::to_string);
                    writeln!(out, "{:8} {}", value.get_name(), help.unwrap_or_default())?;
                }
            }
            return Ok(());
        }
    };
    if args.json {
        for row in &rows {
            writeln!(out, "{}", serde_json::to_string(row)?)?;
        }
    } else {
        writeln!(out, "{}", table(&rows))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(number(3.456), "3.46");
        assert_eq!(number(1_234.4), "1,234");
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(number(12_345.0), "12,345");
    }

    #[test]
    fn a_row_says_whether_its_target_is_reached() {
        let row = Row::new("x", 3.0, "u").with_peer(6.0).at_most(4.0);
        assert_eq!((row.ratio, row.holds), (Some(0.5), Some(true)));
        assert_eq!(Row::new("x", 4.1, "u").at_most(4.0).holds, Some(false));
        let text = table(&[row]).to_string();
        assert!(
            text.contains("holds") && text.contains("at most 4"),
            "{text}"
        );
        let json = serde_json::to_value(Row::new("x", 4.0, "u")).expect("JSON");
        for key in ["what", "ours", "peer", "ratio", "target", "unit", "holds"] {
            assert!(json.get(key).is_some(), "{key}");
        }
    }
}
