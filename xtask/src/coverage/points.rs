//! What Verilator counts: a point for each branch of the exported Verilog and for each bit of its signals, in one file an engine.
//!
//! A line of such a file is `C '<keys>' <count>`, the keys each \x01, a name, \x02, a value (verilated_cov_key.h): t type, page the type
//! and the module, l line, o comment, which is a branch's kind or a bit's name, h the instance.
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::error::{file, CoverageError};

/// A place that is covered or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Point {
    /// The module in the Verilog.
    pub(super) module: String,
    pub(super) what: What,
}

/// Which place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// A branch, at this line of the Verilog: `block`, `if`, `else`, `elsif`, `case`.
    Line { line: usize, kind: String },
    /// A bit of a signal.
    Toggle { signal: String, bit: u32 },
}

/// How often each point was reached, or changed, in all that was read.
#[derive(Debug, Default)]
pub(super) struct Counts(BTreeMap<Point, u64>);

impl Counts {
    /// Adds every `.dat` file of a folder.
    ///
    /// # Errors
    /// When one cannot be read or understood.
    pub(super) fn add_folder(&mut self, folder: &Path) -> Result<usize, CoverageError> {
        let mut files = 0;
        for entry in fs::read_dir(folder).map_err(file(folder))? {
            let path = entry.map_err(file(folder))?.path();
            if path.extension().is_some_and(|e| e == "dat") {
                let text = fs::read_to_string(&path).map_err(file(&path))?;
                self.add(&text).map_err(|line| CoverageError::Format {
                    path: path.clone(),
                    line,
                })?;
                files += 1;
            }
        }
        Ok(files)
    }

    /// Adds what a file says; the line that is not understood where there is one.
    fn add(&mut self, text: &str) -> Result<(), String> {
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            let (point, count) = parse(line).ok_or_else(|| line.to_owned())?;
            *self.0.entry(point).or_default() += count;
        }
        Ok(())
    }

    /// All points in order, and whether they are covered.
    pub(super) fn points(&self) -> impl Iterator<Item = (&Point, bool)> {
        self.0.iter().map(|(point, count)| (point, *count > 0))
    }
}

fn parse(line: &str) -> Option<(Point, u64)> {
    let (keys, count) = line.strip_prefix("C '")?.rsplit_once("' ")?;
    let key = |name: &str| {
        let all = keys.split('\u{1}').filter_map(|k| k.split_once('\u{2}'));
        all.filter(|(n, _)| *n == name)
            .map(|(_, value)| value)
            .next()
    };
    let (kind, module) = key("page")?.split_once('/')?;
    let comment = key("o")?;
    let what = match kind {
        "v_toggle" => {
            let bit = |text: &str| text.strip_suffix(']')?.parse().ok();
            let (signal, bit) = match comment.rsplit_once('[') {
                Some((signal, index)) => (signal, bit(index)?),
                None => (comment, 0),
            };
            What::Toggle {
                signal: signal.to_owned(),
                bit,
            }
        }
        "v_line" | "v_branch" => What::Line {
            line: key("l")?.parse().ok()?,
            kind: comment.to_owned(),
        },
        _ => return None,
    };
    let module = module.to_owned();
    Some((Point { module, what }, count.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(page: &str, line: u32, comment: &str, count: u32) -> String {
        format!(
            "C '\u{1}f\u{2}a.v\u{1}l\u{2}{line}\u{1}page\u{2}{page}\u{1}o\u{2}{comment}\u{1}h\u{2}TOP.a' {count}\n"
        )
    }

    #[test]
    fn counts_of_all_files_are_added() {
        let mut counts = Counts::default();
        let first = entry("v_toggle/a$b", 3, "x$q[7]", 0) + &entry("v_line/a", 9, "else", 2);
        counts
            .add(&format!("# SystemC::Coverage-3\n{first}"))
            .unwrap();
        counts.add(&entry("v_toggle/a$b", 3, "y", 1)).unwrap();
        counts.add(&entry("v_line/a", 9, "else", 5)).unwrap();
        let toggle = |signal: &str, bit| Point {
            module: "a$b".into(),
            what: What::Toggle {
                signal: signal.into(),
                bit,
            },
        };
        let line = Point {
            module: "a".into(),
            what: What::Line {
                line: 9,
                kind: "else".into(),
            },
        };
        let all: Vec<_> = counts.points().map(|(p, c)| (p.clone(), c)).collect();
        let want = [
            (line.clone(), true),
            (toggle("x$q", 7), false),
            (toggle("y", 0), true),
        ];
        assert_eq!(all, want);
        assert_eq!(counts.0[&line], 7);
    }

    #[test]
    fn what_is_no_such_file_is_told() {
        for text in [
            "C 'x' y".to_owned(),
            "hello".into(),
            entry("v_user/a", 1, "x", 1),
        ] {
            assert!(Counts::default().add(&text).is_err(), "{text}");
        }
    }
}
