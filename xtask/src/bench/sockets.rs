//! Our sockets beside the Linux kernel's: `ferrule-socket-bench` measures.
use std::error::Error;
use std::process::Command;

use ferrule_socket_bench::Record;

use crate::row::Row;

const PACKAGE: &str = "ferrule-socket-bench";

fn row(record: Record) -> Row {
    let mut row = Row::new(record.what, record.ours, record.unit);
    if let Some(kernel) = record.kernel {
        row = row.with_peer(kernel);
    }
    match (record.most, record.least) {
        (Some(most), _) => row.at_most_times(most),
        (None, Some(least)) => row.at_least_times(least),
        (None, None) => row,
    }
}

pub(super) fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let program = super::build(PACKAGE)?;
    let output = Command::new(program)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{PACKAGE} failed").into());
    }
    String::from_utf8(output.stdout)?
        .lines()
        .map(|line| Ok(row(serde_json::from_str(line)?)))
        .collect()
}
