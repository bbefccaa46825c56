//! A row of what is measured: ours, its peer, the target; as a table for people and as JSON for programs.
use std::borrow::Cow;
use std::io::{self, Write};

use comfy_table::{presets, CellAlignment, Table};
use serde::Serialize;

/// One thing measured.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) ours: f64,
    /// The other one of the comparison.
    pub(crate) peer: Option<f64>,
    /// Ours to the peer's.
    pub(crate) ratio: Option<f64>,
    pub(crate) target: Option<String>,
    pub(crate) unit: Cow<'static, str>,
    /// Whether the target is reached.
    pub(crate) holds: Option<bool>,
}

impl Row {
    pub(crate) fn new(
        what: impl Into<String>,
        ours: f64,
        unit: impl Into<Cow<'static, str>>,
    ) -> Self {
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
    pub(crate) fn with_peer(mut self, peer: f64) -> Self {
        self.peer = Some(peer);
        // Where the peer has none of it there is nothing to divide by.
        self.ratio = (peer != 0.0).then(|| self.ours / peer);
        self
    }
    pub(crate) fn at_least(mut self, limit: f64) -> Self {
        self.target = Some(format!("at least {limit}"));
        self.holds = Some(self.ours >= limit);
        self
    }
    /// Of the ratio to the peer.
    pub(crate) fn at_least_times(mut self, limit: f64) -> Self {
        self.target = Some(format!("at least {limit} times"));
        self.holds = self.ratio.map(|ratio| ratio >= limit);
        self
    }
    /// Of the ratio to the peer.
    pub(crate) fn at_most_times(mut self, limit: f64) -> Self {
        self.target = Some(format!("at most {limit} times"));
        self.holds = self.ratio.map(|ratio| ratio <= limit);
        self
    }
    pub(crate) fn at_most(mut self, limit: f64) -> Self {
        self.target = Some(format!("at most {limit}"));
        self.holds = Some(self.ours <= limit);
        self
    }
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

/// Prints `rows`: a table, or with `json` one object a line.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn print(rows: &[Row], json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        for row in rows {
            writeln!(out, "{}", serde_json::to_string(row)?)?;
        }
        Ok(())
    } else {
        writeln!(out, "{}", table(rows))
    }
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

    #[test]
    fn a_peer_that_has_none_gives_no_ratio() {
        assert_eq!(Row::new("x", 1.0, "u").with_peer(0.0).ratio, None);
    }
}
