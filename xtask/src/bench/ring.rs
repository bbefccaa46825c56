//! What a packet costs the driver, beside virtio-drivers: `ferrule-driver-bench` measures, partly in programs of its own that Callgrind runs.
use std::error::Error;

use ferrule_driver_bench::Record;

use crate::row::Row;

const PACKAGE: &str = "ferrule-driver-bench";

fn row(record: Record) -> Row {
    let mut row = Row::new(record.what, record.ours, record.unit);
    if let Some(peer) = record.peer {
        row = row.with_peer(peer);
    }
    match record.most {
        Some(most) => row.at_most(most),
        None => row,
    }
}

pub(super) fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let program = super::build(PACKAGE)?;
    let records = ferrule_driver_bench::measure(&program)?;
    Ok(records.into_iter().map(row).collect())
}
