//! The TCP/IP stack beside smoltcp: `ferrule-stack-bench` measures, partly in programs of its own that Callgrind runs or
//! whose allocator counts.
use std::error::Error;
use std::process::Command;

use ferrule_stack_bench::{Limit, Record};

use crate::row::Row;

const PACKAGE: &str = "ferrule-stack-bench";

fn row(record: Record) -> Row {
    let mut row = Row::new(record.what, record.ours, record.unit);
    if let Some(peer) = record.peer {
        row = row.with_peer(peer);
    }
    match record.limit {
        Some(Limit::AtMost(limit)) => row.at_most(limit),
        Some(Limit::AtMostTimes(limit)) => row.at_most_times(limit),
        Some(Limit::AtLeastTimes(limit)) => row.at_least_times(limit),
        None => row,
    }
}

pub(super) fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--package", PACKAGE])
        .status()?;
    if !built.success() {
        return Err(format!("{PACKAGE} was not built").into());
    }
    // Its programs lie beside this one, which is built in release mode as well.
    let program = std::env::current_exe()?.with_file_name(PACKAGE);
    let records = ferrule_stack_bench::measure(&program)?;
    Ok(records.into_iter().map(row).collect())
}
