//! Our sockets beside the Linux kernel's: `ferrule-socket-bench` measures.
use std::error::Error;
use std::process::Command;

use ferrule_socket_bench::Record;

use crate::row::Row;

const PACKAGE: &str = "ferrule-socket-bench";
const PRELOAD: &str = "ferrule-preload";

fn row(record: Record) -> Row {
    let mut row = Row::new(record.what, record.ours, record.unit);
    if let Some(peer) = record.peer {
        row = row.with_peer(peer);
    }
    match (record.most, record.least) {
        (Some(most), _) => row.at_most_times(most),
        (None, Some(least)) => row.at_least_times(least),
        (None, None) => row,
    }
}

pub(super) fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let program = super::build(PACKAGE)?;
    let library = super::build(PRELOAD)?.with_file_name("libferrule_preload.so");
    let output = Command::new(program)
        .arg("--library")
        .arg(library)
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
