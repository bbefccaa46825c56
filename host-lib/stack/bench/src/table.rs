//! The table of results: which jobs are run beside which, and what they should show.

use std::path::Path;
use std::process::Command;

use crate::callgrind::instructions;
use crate::jobs::{prepare, Counts, JobKind, StackKind};
use crate::record::{Limit, Record};
use crate::timing::medians;
use crate::{Error, Result};
use StackKind::{Ours, Theirs};

const NS_SEGMENT: &str = "CPU ns a segment";
const NS_TRIP: &str = "CPU ns a round trip";
const NS_POLL: &str = "CPU ns a poll";
const NS_CONNECTION: &str = "CPU ns a connection";
const INSTRUCTIONS: &str = "instructions";
/// Times each job is timed.
const ROUNDS: usize = 9;
const MANY: usize = 10_000;
const VERY_MANY: usize = 100_000;

/// A job that is timed: who, what, among how many connections, operations of one round.
type Entry = (StackKind, JobKind, usize, u64);

fn timed(entries: &[Entry]) -> Result<(Vec<f64>, Vec<Counts>)> {
    let mut jobs = entries
        .iter()
        .map(|&(stack, kind, connections, n)| Ok((prepare(stack, kind, connections)?, n)))
        .collect::<Result<Vec<_>>>()?;
    let times = medians(ROUNDS, &mut jobs)?;
    Ok((times, jobs.iter().map(|(job, _)| job.counts()).collect()))
}

fn acks(counts: &Counts) -> f64 {
    counts.acks as f64 / counts.segments.max(1) as f64
}

fn mean_bytes(counts: &Counts) -> f64 {
    counts.bytes as f64 / counts.segments.max(1) as f64
}

/// How much was done for it, so that nothing wins by doing less.
fn shape(records: &mut Vec<Record>, what: &str, counts: &[Counts]) {
    let [ours, theirs] = counts else {
        return;
    };
    for (name, of, unit) in [
        ("ACKs", acks as fn(&Counts) -> f64, "a segment"),
        ("mean segment", mean_bytes, "bytes"),
        ("copies by the wire", |c| c.wire_copies, "a byte"),
    ] {
        records.push(Record::new(format!("{what}: {name}"), of(ours), unit).with_peer(of(theirs)));
    }
}

fn bulk(records: &mut Vec<Record>) -> Result<()> {
    let (times, counts) = timed(&[
        (Ours, JobKind::Bulk, 1, 100_000),
        (Theirs, JobKind::Bulk, 1, 100_000),
    ])?;
    records.push(
        Record::new("bulk, MSS 1460, copying calls", times[0], NS_SEGMENT)
            .with_peer(times[1])
            .limit(Limit::AtMostTimes(0.65)),
    );
    shape(records, "bulk, MSS 1460", &counts);
    let (times, counts) = timed(&[
        (Ours, JobKind::BulkLarge, 1, 3_000),
        (Theirs, JobKind::BulkLarge, 1, 3_000),
    ])?;
    // Bits a nanosecond are Gbit a second.
    let rate = |i: usize| 8.0 * mean_bytes(&counts[i]) / times[i];
    records.push(
        Record::new(
            "bulk, large segments, copying calls",
            rate(0),
            "Gbit a CPU second",
        )
        .with_peer(rate(1))
        .limit(Limit::AtLeastTimes(1.15)),
    );
    shape(records, "bulk, large segments", &counts);
    Ok(())
}

fn round_trips(records: &mut Vec<Record>) -> Result<()> {
    let (times, counts) = timed(&[
        (Ours, JobKind::RoundTrip, 1, 100_000),
        (Theirs, JobKind::RoundTrip, 1, 100_000),
    ])?;
    records.push(
        Record::new("1-byte round trip", times[0], NS_TRIP)
            .with_peer(times[1])
            .limit(Limit::AtMostTimes(0.65)),
    );
    shape(records, "1-byte round trip", &counts);
    let (times, _) = timed(&[
        (Ours, JobKind::RoundTripHot, 1, 100_000),
        (Ours, JobKind::RoundTripHot, MANY, 100_000),
        (Ours, JobKind::RoundTripRandom, MANY, 100_000),
        (Ours, JobKind::RoundTripRandom, VERY_MANY, 100_000),
        (Theirs, JobKind::RoundTripHot, MANY, 20),
    ])?;
    for (what, i, peer, limit) in [
        (
            "one hot connection among 10,000 (peer: ours alone)",
            1,
            0,
            Some(1.3),
        ),
        (
            "one hot connection among 10,000 (peer: smoltcp's)",
            1,
            4,
            None,
        ),
        ("random among 10,000 (peer: ours alone)", 2, 0, Some(3.0)),
        ("random among 100,000 (peer: ours alone)", 3, 0, Some(5.0)),
    ] {
        let record = Record::new(what, times[i], NS_TRIP).with_peer(times[peer]);
        records.push(match limit {
            Some(limit) => record.limit(Limit::AtMostTimes(limit)),
            None => record,
        });
    }
    Ok(())
}

fn idle(records: &mut Vec<Record>) -> Result<()> {
    let (times, _) = timed(&[
        (Ours, JobKind::IdlePoll, MANY, 100_000),
        (Theirs, JobKind::IdlePoll, MANY, 50),
    ])?;
    records.push(
        Record::new(
            "idle poll, 10,000 connections with a timer each",
            times[0],
            NS_POLL,
        )
        .with_peer(times[1])
        .limit(Limit::AtMost(50.0)),
    );
    Ok(())
}

fn short_lived(records: &mut Vec<Record>) -> Result<()> {
    let (times, _) = timed(&[
        (Ours, JobKind::ShortLived, MANY, 30_000),
        (Ours, JobKind::ShortLived, 1, 30_000),
        (Theirs, JobKind::ShortLived, 1, 30_000),
    ])?;
    let what = "connect and close, TIME-WAIT on, among 10,000";
    records.push(
        Record::new(
            format!("{what} (peer: smoltcp among one)"),
            times[0],
            NS_CONNECTION,
        )
        .with_peer(times[2])
        .limit(Limit::AtMostTimes(1.1)),
    );
    records.push(
        Record::new(
            format!("{what} (peer: ours among one)"),
            times[0],
            NS_CONNECTION,
        )
        .with_peer(times[1])
        .limit(Limit::AtMostTimes(1.2)),
    );
    Ok(())
}

/// Instructions of `kind`, ours and smoltcp's, against a budget.
fn counted(records: &mut Vec<Record>, program: &Path) -> Result<()> {
    for (what, kind, operations, budget) in [
        (
            "bulk, MSS 1460, copying calls, a segment",
            JobKind::Bulk,
            20_000,
            1_800.0,
        ),
        ("1-byte round trip", JobKind::RoundTrip, 20_000, 3_000.0),
    ] {
        let Some(ours) = instructions(program, Ours, kind, 1, operations)? else {
            eprintln!("instructions are not counted: valgrind is not installed");
            return Ok(());
        };
        let theirs = instructions(program, Theirs, kind, 1, operations)?.unwrap_or(f64::NAN);
        records.push(
            Record::new(what, ours, INSTRUCTIONS)
                .with_peer(theirs)
                .limit(Limit::AtMost(budget)),
        );
    }
    if let Some(ours) = instructions(program, Ours, JobKind::BulkHandles, 1, 20_000)? {
        records.push(
            Record::new(
                "bulk, MSS 1460, calls by handle, a segment",
                ours,
                INSTRUCTIONS,
            )
            .limit(Limit::AtMost(1_000.0)),
        );
    }
    let hot = |n| instructions(program, Ours, JobKind::RoundTripHot, n, 20_000);
    if let (Some(among), Some(alone)) = (hot(MANY)?, hot(1)?) {
        records.push(
            Record::new(
                "1-byte round trip, one hot among 10,000 (peer: ours alone)",
                among,
                INSTRUCTIONS,
            )
            .with_peer(alone)
            .limit(Limit::AtMostTimes(1.1)),
        );
    }
    Ok(())
}

/// The program beside this one whose allocator counts.
fn memory(records: &mut Vec<Record>, program: &Path) -> Result<()> {
    let program = program.with_file_name("ferrule-stack-memory");
    let failed = |source| Error::Io {
        what: program.display().to_string(),
        source,
    };
    let output = Command::new(&program).output().map_err(failed)?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Output(format!("{}: {text}", program.display())));
    }
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let record = serde_json::from_str(line)
            .map_err(|e| Error::Output(format!("{}: {e}: {line}", program.display())))?;
        records.push(record);
    }
    Ok(())
}

/// Measures everything; `program` is this crate's, which is run under Callgrind and has its companion beside it.
pub fn measure(program: &Path) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    bulk(&mut records)?;
    round_trips(&mut records)?;
    idle(&mut records)?;
    short_lived(&mut records)?;
    counted(&mut records, program)?;
    memory(&mut records, program)?;
    Ok(records)
}
