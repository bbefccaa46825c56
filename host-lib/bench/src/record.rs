//! What is measured of both, and its targets.
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::jobs::{Job, Spent};
use crate::preloaded::Preloaded;
use crate::{crowd, kernel, one_thread, ours, Error, Sides};

/// Rounds of a job, both kinds in turn; the fastest counts, as the others were disturbed. They are short, so that one is not.
const ROUNDS: usize = 40;
/// Round trips of a round in which sides sleep.
const SLEEPS: usize = 200;
/// Rounds of programs that are started anew for each.
const PRELOADED_ROUNDS: usize = 15;
/// How long a spinning side looks before it would sleep.
const BUSY: Duration = Duration::from_millis(10);

/// One thing measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// What.
    pub what: String,
    /// Ours.
    pub ours: f64,
    /// The other's, where it could be measured: the kernel's, if `what` does not say whose.
    pub peer: Option<f64>,
    /// Its unit.
    pub unit: String,
    /// The target: at most so many times the other's.
    pub most: Option<f64>,
    /// The target: at least so many times the other's.
    pub least: Option<f64>,
}

/// The best of some rounds, ours and the kernel's in turn: time and CPU of a unit, in nanoseconds.
fn best(
    ours: &Sides,
    kernel: Option<&Sides>,
    job: Job,
    units: usize,
) -> Result<(Spent, Option<Spent>), Error> {
    let each = |spent: Spent| {
        let all = units as f64 * job.per_unit();
        Spent {
            wall_ns: spent.wall_ns / all,
            cpu_ns: spent.cpu_ns / all,
        }
    };
    let least = |a: Option<Spent>, b: Spent| {
        let a = a.unwrap_or(b);
        Some(Spent {
            wall_ns: a.wall_ns.min(b.wall_ns),
            cpu_ns: a.cpu_ns.min(b.cpu_ns),
        })
    };
    let (mut first, mut second) = (None, None);
    for _ in 0..ROUNDS {
        first = least(first, each(ours.run(job, units)?));
        if let Some(kernel) = kernel {
            second = least(second, each(kernel.run(job, units)?));
        }
    }
    Ok((first.ok_or(Error::Ended)?, second))
}

/// Does a job with our sockets and measures nothing; without one, round trips on one thread.
///
/// # Errors
/// When our sockets fail.
pub fn alone(job: Option<Job>, units: usize) -> Result<(), Error> {
    let Some(job) = job else {
        return one_thread::trips(units);
    };
    let busy = match job {
        Job::Spinning | Job::Connections => BUSY,
        Job::Sleeping | Job::Bulk => Duration::ZERO,
    };
    ours(busy)?.run(job, units).map(|_| ())
}

/// Measures all of it; `program` is this benchmark's own, and `library` what is preloaded into it.
///
/// # Errors
/// When our sockets fail; why the kernel's could not be measured goes to standard error.
pub fn measure(program: &Path, library: Option<&Path>) -> Result<Vec<Record>, Error> {
    let spinning = ours(BUSY)?;
    let sleeping = ours(Duration::ZERO)?;
    let kernel = kernel();
    let kernel = match kernel.run(Job::Sleeping, 10) {
        Ok(_) => Some(kernel),
        Err(e) => {
            eprintln!("the kernel's sockets are not measured: {e}");
            None
        }
    };
    let kernel = kernel.as_ref();
    let mut records = vec![];
    let mut tell = |what: &str, unit: &str, ours: f64, kernel: Option<f64>| {
        records.push(Record {
            what: what.to_owned(),
            ours,
            peer: kernel,
            unit: unit.to_owned(),
            most: None,
            least: None,
        });
        records.len() - 1
    };
    let (us, them) = best(&spinning, kernel, Job::Spinning, 200)?;
    let a = tell(
        "round trip of a byte, both sides spinning",
        "us",
        us.wall_ns / 1e3,
        them.map(|t| t.wall_ns / 1e3),
    );
    tell(
        "CPU of both for it",
        "us",
        us.cpu_ns / 1e3,
        them.map(|t| t.cpu_ns / 1e3),
    );
    let (us, them) = best(&sleeping, kernel, Job::Sleeping, SLEEPS)?;
    let slept = us;
    let b = tell(
        "round trip of a byte, both sides sleeping",
        "us",
        us.wall_ns / 1e3,
        them.map(|t| t.wall_ns / 1e3),
    );
    tell(
        "CPU of both for it",
        "us",
        us.cpu_ns / 1e3,
        them.map(|t| t.cpu_ns / 1e3),
    );
    let (us, them) = best(&sleeping, kernel, Job::Bulk, 50)?;
    let c = tell(
        "CPU of both for 1,460 bytes of a stream",
        "ns",
        us.cpu_ns,
        them.map(|t| t.cpu_ns),
    );
    tell(
        "a stream's bytes",
        "Mbit/s",
        1_460.0 * 8e3 / us.wall_ns,
        them.map(|t| 1_460.0 * 8e3 / t.wall_ns),
    );
    let (us, them) = best(&spinning, kernel, Job::Connections, 50)?;
    let d = tell(
        "connections one after the other, the server closes first",
        "per second",
        1e9 / us.wall_ns,
        them.map(|t| 1e9 / t.wall_ns),
    );
    let alone = one_thread::measure()?;
    for (what, ns, most) in [
        ("", alone.sockets_ns, None),
        (
            ", less that of drivers and NICs alone",
            alone.sockets_ns - alone.drivers_ns,
            Some(1.5),
        ),
    ] {
        records.push(Record {
            what: format!(
                "CPU of a round trip, both hosts on one thread{what}, beside two bare stacks"
            ),
            ours: ns / 1e3,
            peer: Some(alone.stack_ns / 1e3),
            unit: "us".to_owned(),
            most,
            least: None,
        });
    }
    let cost = crowd::measure()?;
    records.push(Record {
        what: "CPU of a message there and back among 100,000 connections, beside among 100"
            .to_owned(),
        ours: cost.among_many_ns / 1e3,
        peer: Some(cost.among_few_ns / 1e3),
        unit: "us".to_owned(),
        most: None,
        least: None,
    });
    if let Some(library) = library {
        let mut preloaded = Preloaded::start(program, library)?;
        let mut best = f64::INFINITY;
        for _ in 0..PRELOADED_ROUNDS {
            let spent = preloaded.run(Job::Sleeping, SLEEPS)?;
            best = best.min(spent.wall_ns / SLEEPS as f64);
        }
        records.push(Record {
            what: "round trip of a byte by preloaded programs that sleep, beside the library"
                .to_owned(),
            ours: best / 1e3,
            peer: Some(slept.wall_ns / 1e3),
            unit: "us".to_owned(),
            most: Some(3.0),
            least: None,
        });
    }
    records[a].most = Some(0.2);
    records[b].most = Some(1.0);
    records[c].most = Some(0.25);
    records[d].least = Some(10.0);
    Ok(records)
}
