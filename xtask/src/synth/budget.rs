//! The budget: what each module may take and how fast it must be, in a file beside this crate.
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::SynthError;
use super::figures::{Kind, Measured};
use super::flow::file;
use crate::row::Row;

/// The budget of the repository.
pub(super) const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/synth-budget.toml");

/// All limits.
#[derive(Debug)]
pub(super) struct Budget {
    path: PathBuf,
    modules: BTreeMap<String, Limits>,
}

/// Of one module: at most, but for the clocks.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    lut: Option<f64>,
    lutram: Option<f64>,
    ff: Option<f64>,
    bram36: Option<f64>,
    lut4: Option<f64>,
    /// At least.
    #[serde(default)]
    fmax_mhz: BTreeMap<String, f64>,
}

impl Limits {
    fn of(&self, kind: &Kind) -> Option<f64> {
        match kind {
            Kind::Lut => self.lut,
            Kind::LutRam => self.lutram,
            Kind::Ff => self.ff,
            Kind::Bram36 => self.bram36,
            Kind::Logic => None,
            Kind::Lut4 => self.lut4,
            Kind::Fmax(clock) => self.fmax_mhz.get(clock).copied(),
        }
    }
}

impl Budget {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read or is no budget.
    pub(super) fn read(path: &Path) -> Result<Self, SynthError> {
        let text = fs::read_to_string(path).map_err(file(path))?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, SynthError> {
        let modules = toml::from_str(text).map_err(|source| SynthError::Budget {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            modules,
        })
    }

    /// A row for each figure of `measured`, with its limit and the peer's figure where there are such.
    pub(super) fn rows(&self, measured: &Measured) -> Vec<Row> {
        let module = measured.module;
        let limits = self.modules.get(module.name());
        let row = |(kind, value): (Kind, f64)| {
            let what = match &kind {
                Kind::Fmax(clock) => format!("{}, {clock}", module.name()),
                _ => module.name().to_owned(),
            };
            let mut row = Row::new(what, value, kind.unit());
            if let Some(peer) = module.peer().and_then(|peer| peer.figure(&kind)) {
                row = row.with_peer(peer);
            }
            match limits.and_then(|limits| limits.of(&kind)) {
                Some(limit) if matches!(kind, Kind::Fmax(_)) => row.at_least(limit),
                Some(limit) => row.at_most(limit),
                None => row,
            }
        };
        measured.figures.list().into_iter().map(row).collect()
    }

    /// That there is a limit for each figure of `measured`, and no limit for a clock that there is not.
    ///
    /// # Errors
    /// The first for which this does not hold.
    pub(super) fn covers(&self, measured: &Measured) -> Result<(), SynthError> {
        let name = measured.module.name();
        let none = Limits::default();
        let limits = self.modules.get(name).unwrap_or(&none);
        for (kind, _) in measured.figures.list() {
            // How long logic takes varies with the mapping more than with the design; Fmax is the measure.
            if kind != Kind::Logic && limits.of(&kind).is_none() {
                let clock = match &kind {
                    Kind::Fmax(clock) => format!(" of {clock}"),
                    _ => String::new(),
                };
                return Err(SynthError::Unbudgeted {
                    what: format!("{name}: {}{clock}", kind.unit()),
                    path: self.path.clone(),
                });
            }
        }
        let clocks = &measured.figures.fmax_mhz;
        let unknown = limits.fmax_mhz.keys().find(|c| !clocks.contains_key(*c));
        match unknown {
            Some(clock) if !clocks.is_empty() => Err(SynthError::UnknownClock {
                path: self.path.clone(),
                module: name,
                clock: clock.clone(),
                found: clocks.keys().cloned().collect::<Vec<_>>().join(", "),
            }),
            _ => Ok(()),
        }
    }

    /// That every row which has a limit keeps it.
    ///
    /// # Errors
    /// All that do not, each with its module, figure and limit.
    pub(super) fn kept(&self, rows: &[Row]) -> Result<(), SynthError> {
        let broken: Vec<String> = rows
            .iter()
            .filter(|row| row.holds == Some(false))
            .map(|row| {
                let limit = row.target.as_deref().unwrap_or_default();
                format!("{}: {} {}, budget {limit}", row.what, row.ours, row.unit)
            })
            .collect();
        if broken.is_empty() {
            return Ok(());
        }
        Err(SynthError::Broken {
            path: self.path.clone(),
            broken,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::area::{Ecp5, Xc7};
    use super::super::figures::Figures;
    use super::super::modules::Module;
    use super::*;

    const TEXT: &str = "[mac]\nlut = 500\nlutram = 0\nff = 510\nbram36 = 2.5\nlut4 = 990\nfmax_mhz = { clock = 125 }\n";

    fn budget(text: &str) -> Budget {
        Budget::parse(text, Path::new("budget.toml")).expect("a budget")
    }

    fn measured(lut: u32, mhz: f64) -> Measured {
        Measured {
            module: Module::Mac,
            figures: Figures {
                xc7: Some(Xc7 {
                    lut,
                    lutram: 0,
                    ff: 510,
                    bram36: 2.5,
                }),
                logic_ps: Some(4_000),
                ecp5: Some(Ecp5 { lut4: 990 }),
                fmax_mhz: [("clock".to_owned(), mhz)].into(),
                critical: vec![],
            },
        }
    }

    #[test]
    fn what_is_within_the_budget_passes() {
        let (budget, measured) = (budget(TEXT), measured(500, 125.0));
        budget.covers(&measured).expect("all have limits");
        let rows = budget.rows(&measured);
        assert_eq!(rows.len(), 7);
        budget.kept(&rows).expect("all are kept");
    }

    #[test]
    fn a_broken_budget_names_module_figure_and_limit() {
        let budget = budget(TEXT);
        let rows = budget.rows(&measured(501, 124.9));
        let error = budget.kept(&rows).expect_err("two are broken").to_string();
        for part in [
            "budget.toml",
            "mac: 501 xc7 LUT, budget at most 500",
            "mac, clock: 124.9 ECP5 MHz, budget at least 125",
        ] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("FF"), "{error}");
    }

    #[test]
    fn a_figure_without_a_limit_is_refused() {
        for without in ["lut = 500\n", "ff = 510\n", "fmax_mhz = { clock = 125 }\n"] {
            let budget = budget(&TEXT.replace(without, ""));
            let error = budget.covers(&measured(1, 200.0)).expect_err(without);
            let text = error.to_string();
            assert!(
                text.contains("mac") && text.contains("budget.toml"),
                "{text}"
            );
        }
        let error = budget("").covers(&measured(1, 200.0));
        error.expect_err("no module at all");
    }

    #[test]
    fn a_clock_that_is_gone_is_refused() {
        let budget = budget(&TEXT.replace("clock = 125", "clock = 125, old = 1"));
        let error = budget.covers(&measured(1, 200.0)).expect_err("old");
        let text = error.to_string();
        assert!(text.contains("`old`") && text.contains("clock"), "{text}");
        // Without place and route there are no clocks to know.
        let mut area = measured(1, 200.0);
        area.figures.fmax_mhz.clear();
        budget.covers(&area).expect("nothing is missing");
    }

    #[test]
    fn a_word_that_is_no_limit_is_refused() {
        let error = Budget::parse("[mac]\nluts = 5\n", Path::new("budget.toml"));
        let text = error.expect_err("luts").to_string();
        assert!(
            text.contains("budget.toml") && text.contains("luts"),
            "{text}"
        );
    }

    #[test]
    fn the_budget_of_the_repository_names_modules_that_there_are() {
        use clap::ValueEnum;
        let budget = Budget::read(Path::new(PATH)).expect("a budget");
        let modules = Module::value_variants();
        for name in budget.modules.keys() {
            assert!(modules.iter().any(|m| m.name() == name), "{name}");
        }
        assert_eq!(budget.modules.len(), modules.len());
    }
}
