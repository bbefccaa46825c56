//! The TCP/IP stack beside smoltcp: `ferrule-stack-bench` measures, partly in programs of its own that Callgrind runs or
//! whose allocator counts.
use std::error::Error;

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
    let program = super::build(PACKAGE)?;
    let records = ferrule_stack_bench::measure(&program)?;
    Ok(records.into_iter().map(row).collect())
}
