//! The figures of each module, what is not covered, and why: as a table, as JSON and in `docs/coverage.md`.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use comfy_table::{presets, CellAlignment, Table};
use serde::Serialize;

use crate::document::{DocumentError, Markers};

use super::design::Design;
use super::points::{Counts, What};
use super::reasons::Reason;

/// The document, and where in it they go.
pub(crate) const DOCUMENT: (&str, Markers) = (
    concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/coverage.md"),
    Markers {
        begin: "<!-- begin: cargo xtask coverage --document -->",
        end: "<!-- end: cargo xtask coverage --document -->",
    },
);
/// Bytes of a line of Verilog that are shown.
const SHOWN: usize = 100;

/// A module with its registers and memories.
#[derive(Debug, Default, Serialize)]
pub(super) struct Figures {
    /// Its place in the design.
    module: String,
    lines: usize,
    lines_covered: usize,
    toggles: usize,
    toggles_covered: usize,
    explained: usize,
    unexplained: usize,
    /// Points that are neither covered nor explained.
    unexplained_points: Vec<String>,
}

/// A point by the names that people know, branches first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    Branch { line: usize, text: String },
    Bit(String, u32),
}

/// What a run came to.
pub(super) struct Report {
    pub(super) modules: Vec<Figures>,
    /// For each reason, in their order: how many points it explains, and in which modules.
    explained: Vec<(usize, BTreeSet<String>)>,
    reasons: Vec<Reason>,
}

impl Report {
    /// Sorts points by module, and what is not covered by reason.
    pub(super) fn new(counts: &Counts, design: &Design, reasons: Vec<Reason>) -> Self {
        // A module's port and what it is connected to may be one name: it is covered if either is.
        let mut named: BTreeMap<(String, Named), bool> = BTreeMap::new();
        for (point, covered) in counts.points() {
            let (place, within) = design.place(&point.module);
            let name = match &point.what {
                What::Line { line, kind } => Named::Branch {
                    line: *line,
                    text: branch(&within, kind, design.line(*line)),
                },
                What::Toggle { signal, bit } => {
                    let dot = if within.is_empty() { "" } else { "." };
                    let signal = signal.replace("__024", ".").replace('$', ".");
                    Named::Bit(format!("{within}{dot}{signal}"), *bit)
                }
            };
            *named.entry((place, name)).or_default() |= covered;
        }
        let mut modules: BTreeMap<String, Figures> = BTreeMap::new();
        let mut explained = vec![(0, BTreeSet::new()); reasons.len()];
        for ((place, name), covered) in named {
            let figures = modules.entry(place.clone()).or_default();
            let (all, done, text) = match name {
                Named::Branch { text, .. } => {
                    (&mut figures.lines, &mut figures.lines_covered, text)
                }
                Named::Bit(name, bit) => {
                    let text = format!("{name}[{bit}]");
                    (&mut figures.toggles, &mut figures.toggles_covered, text)
                }
            };
            *all += 1;
            if covered {
                *done += 1;
                continue;
            }
            match reasons.iter().position(|r| r.is_for(&place, &text)) {
                Some(n) => {
                    figures.explained += 1;
                    explained[n].0 += 1;
                    explained[n].1.insert(place);
                }
                None => {
                    figures.unexplained += 1;
                    figures.unexplained_points.push(text);
                }
            }
        }
        let modules = modules.into_iter().map(|(module, mut figures)| {
            figures.unexplained_points = ranges(&figures.unexplained_points);
            figures.module = module;
            figures
        });
        Self {
            modules: modules.collect(),
            explained,
            reasons,
        }
    }

    /// Points that are neither covered nor explained.
    pub(super) fn unexplained(&self) -> usize {
        self.modules.iter().map(|m| m.unexplained).sum()
    }

    /// Reasons that explain nothing any more.
    pub(super) fn idle_reasons(&self) -> impl Iterator<Item = &str> {
        let both = self.reasons.iter().zip(&self.explained);
        both.filter(|(_, (count, _))| *count == 0)
            .map(|(r, _)| r.why.as_str())
    }

    /// A line for each module and one for all.
    pub(super) fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(presets::ASCII_MARKDOWN);
        table.set_header([
            "module",
            "branches",
            "covered",
            "bits",
            "covered",
            "explained",
            "unexplained",
        ]);
        let row = |name: &str, of: &[&Figures]| {
            let sum = |field: fn(&Figures) -> usize| of.iter().map(|m| field(m)).sum::<usize>();
            let (lines, toggles) = (sum(|m| m.lines), sum(|m| m.toggles));
            vec![
                name.to_owned(),
                lines.to_string(),
                share(sum(|m| m.lines_covered), lines),
                toggles.to_string(),
                share(sum(|m| m.toggles_covered), toggles),
                sum(|m| m.explained).to_string(),
                sum(|m| m.unexplained).to_string(),
            ]
        };
        for module in &self.modules {
            table.add_row(row(&module.module, &[module]));
        }
        table.add_row(row("**all**", &self.modules.iter().collect::<Vec<_>>()));
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// What is neither covered nor explained.
    pub(super) fn list(&self) -> String {
        self.modules
            .iter()
            .filter(|m| m.unexplained > 0)
            .fold(String::new(), |mut text, m| {
                let _ = writeln!(text, "- {}: {}", m.module, m.unexplained_points.join("; "));
                text
            })
    }

    fn section(&self) -> String {
        let mut text = format!("{}\n\n## Not covered, and why\n\n", self.table());
        for (reason, (count, modules)) in self.reasons.iter().zip(&self.explained) {
            let modules: Vec<&str> = modules.iter().map(String::as_str).collect();
            let _ = writeln!(
                text,
                "- {count} in {}: {}",
                modules.join(", "),
                reason.why.trim()
            );
        }
        let list = self.list();
        let rest = if list.is_empty() {
            "Nothing.\n".into()
        } else {
            list
        };
        let _ = write!(text, "\n## Not covered and unexplained\n\n{rest}");
        text
    }

    /// Writes the figures into the document.
    ///
    /// # Errors
    /// When it cannot be read or written, or has no place for them.
    pub(super) fn write(&self) -> Result<(), DocumentError> {
        let (path, markers) = DOCUMENT;
        markers.write(Path::new(path), self.section().trim_end())
    }
}

/// A branch as it is listed.
fn branch(within: &str, kind: &str, line: &str) -> String {
    let shown = line.char_indices().nth(SHOWN);
    let line = shown.map_or(line, |(at, _)| &line[..at]);
    let cell = if within.is_empty() { "" } else { ": " };
    format!("{within}{cell}{kind} of `{line}`")
}

/// A share as people read it; rounded down, so that 100 means all.
fn share(part: usize, all: usize) -> String {
    match (part * 1000).checked_div(all) {
        Some(share) => format!("{}.{} %", share / 10, share % 10),
        None => "-".into(),
    }
}

/// Texts in their order, bits of the same signal that follow each other as one range.
fn ranges(points: &[String]) -> Vec<String> {
    let mut out: Vec<(String, Option<(u32, u32)>)> = vec![];
    for point in points {
        let bit = point.strip_suffix(']').and_then(|p| p.rsplit_once('['));
        let bit = bit.and_then(|(name, bit)| Some((name, bit.parse::<u32>().ok()?)));
        match (bit, out.last_mut()) {
            (Some((name, bit)), Some((last, Some((_, to))))) if last == name && bit == *to + 1 => {
                *to = bit;
            }
            (Some((name, bit)), _) => out.push((name.to_owned(), Some((bit, bit)))),
            (None, _) => out.push((point.clone(), None)),
        }
    }
    let show = |(name, range)| match range {
        None => name,
        Some((from, to)) if from == to => format!("{name}[{from}]"),
        Some((from, to)) => format!("{name}[{to}:{from}]"),
    };
    out.into_iter().map(show).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_become_ranges_and_shares_are_rounded_down() {
        let points = ["x[0]", "x[1]", "x[2]", "x[4]", "y[5]", "else of `a[1]`"].map(String::from);
        assert_eq!(
            ranges(&points),
            ["x[2:0]", "x[4]", "y[5]", "else of `a[1]`"]
        );
        assert_eq!(share(9_999, 10_000), "99.9 %");
        assert_eq!(share(3, 3), "100.0 %");
        assert_eq!(share(0, 0), "-");
    }
}
