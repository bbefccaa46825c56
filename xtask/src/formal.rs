//! `cargo xtask formal`: properties of the hardware, proved by yosys and an SMT solver, and the seeded faults that break them.
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use comfy_table::{presets, Table};

mod bind;
mod error;
mod modules;
mod mutant;
mod property;
mod run;
mod smtbmc;
mod table;

use error::FormalError;
use property::{Property, Set};
use run::{Options, Record};
use table::properties;

/// Arguments of `cargo xtask formal`.
#[derive(Args)]
#[command(after_help = "Example: cargo xtask formal queue_fifo cq_writer --json")]
pub(crate) struct FormalArgs {
    /// Properties to check; none: the core set
    names: Vec<String>,
    /// Check all properties
    #[arg(long, conflicts_with = "names")]
    deep: bool,
    /// Say what each property promises
    #[arg(long)]
    list: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Checks that run at the same time
    #[arg(long, default_value_t = 1, value_name = "N")]
    jobs: usize,
    /// Solver, as yosys-smtbmc names it: z3, yices, boolector, ...
    #[arg(long, default_value = "z3")]
    solver: String,
    /// Give a check up after this time
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    limit: u64,
    /// Folder for models and waveforms
    #[arg(long, default_value = "target/formal", value_name = "FOLDER")]
    output: PathBuf,
}

/// The properties that are asked for, in the order of the table.
fn chosen(args: &FormalArgs) -> Result<Vec<&'static Property>, FormalError> {
    for name in &args.names {
        if !properties().any(|p| p.name == name) {
            return Err(FormalError::NoSuchProperty(name.clone()));
        }
    }
    let wanted = |p: &&Property| match (&args.names[..], args.deep) {
        (_, true) => true,
        ([], false) => p.set == Set::Core,
        (names, false) => names.iter().any(|name| name == p.name),
    };
    Ok(properties().filter(wanted).collect())
}

fn list(properties: &[&Property]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header([
        "property",
        "module",
        "set",
        "how",
        "promise",
        "seeded faults",
    ]);
    for p in properties {
        let faults: Vec<_> = p.mutants.iter().map(|m| m.name).collect();
        table.add_row([
            p.name.into(),
            p.module.to_string(),
            p.set.to_string(),
            p.mode.to_string(),
            p.promise.into(),
            faults.join(", "),
        ]);
    }
    table
}

fn results(records: &[Record]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header([
        "property",
        "seeded fault",
        "result",
        "seconds",
        "as it must",
    ]);
    for r in records {
        table.add_row([
            r.property.into(),
            r.mutant.unwrap_or("-").into(),
            r.result.clone(),
            format!("{:.1}", r.seconds),
            if r.holds { "yes" } else { "NO" }.into(),
        ]);
    }
    table
}

/// Checks and prints.
pub(crate) fn run(args: &FormalArgs) -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    if args.list {
        let all: Vec<_> = properties().collect();
        writeln!(out, "{}", list(&all))?;
        return Ok(());
    }
    let wanted = chosen(args)?;
    let records = run::check(
        &wanted,
        &Options {
            solver: &args.solver,
            seconds: args.limit,
            jobs: args.jobs,
            folder: &args.output,
            shown: !args.json,
        },
    )?;
    if args.json {
        for record in &records {
            writeln!(out, "{}", serde_json::to_string(record)?)?;
        }
    } else {
        writeln!(out, "{}", results(&records))?;
    }
    let failed = records.iter().filter(|r| !r.holds).count();
    match failed {
        0 => Ok(()),
        _ => Err(FormalError::NotAsTheyMust(failed).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_the_table_that_the_command_lists() {
        let document = include_str!("../../docs/formal.md");
        let table = list(&properties().collect::<Vec<_>>()).to_string();
        assert!(
            document.contains(&table),
            "docs/formal.md needs this table:\n{table}"
        );
    }

    #[test]
    fn a_name_that_is_not_there_is_an_error_that_says_where_names_are() {
        let args = |names: &[&str], deep| FormalArgs {
            names: names.iter().map(|n| (*n).into()).collect(),
            deep,
            list: false,
            json: false,
            jobs: 1,
            solver: "z3".into(),
            limit: 1,
            output: PathBuf::new(),
        };
        let error = chosen(&args(&["queue_fifo", "no_such"], false)).expect_err("an error");
        assert!(error.to_string().contains("--list"), "{error}");
        assert_eq!(
            chosen(&args(&[], true)).expect("all").len(),
            properties().count()
        );
        let core = chosen(&args(&[], false)).expect("the core");
        assert!(!core.is_empty() && core.iter().all(|p| p.set == Set::Core));
    }
}
