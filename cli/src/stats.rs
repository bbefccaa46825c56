//! `ferrule stats`: a NIC's counters.
use std::sync::Arc;
use std::time::Duration;

use comfy_table::{presets::UTF8_BORDERS_ONLY, Cell, CellAlignment, Table};
use ferrule_driver::nic::{self, Link, NicConfig, RawNic};
use ferrule_driver::{Clock, Nic, NicError};
use serde::Serialize;

use crate::args::Stats;
use crate::device::Nics;
use crate::error::Error;
use crate::output;
use crate::signal::Interrupt;

mod prometheus;

/// Frames that are thrown away at a time.
const BATCH: usize = 256;
/// How often to throw them away at least, in nanoseconds: before the receive ring is full at any rate.
const DRAIN_NS: u64 = 1_000_000;

/// The NIC as it is found, or brought up to receive.
enum Watched {
    Found(RawNic),
    Up(Box<Nic>),
}

/// What is told, at one moment.
#[derive(Serialize)]
struct Moment {
    /// The NIC's clock.
    time_ns: u64,
    link_up: bool,
    speed_mbps: u32,
    counters: Vec<Count>,
}

/// A counter.
#[derive(Serialize)]
struct Count {
    name: &'static str,
    value: u64,
    /// What it grew by in a second, since the moment before.
    #[serde(skip_serializing_if = "Option::is_none")]
    per_second: Option<f64>,
    #[serde(skip)]
    meaning: &'static str,
}

impl Watched {
    fn open(args: &Stats, nics: &Nics) -> Result<Self, Error> {
        if !args.up {
            return Ok(Self::Found(nics.raw()?));
        }
        let config = NicConfig {
            promiscuous: true,
            all_multicast: true,
            deliver_arp: true,
            ..NicConfig::default()
        };
        Ok(Self::Up(Box::new(Nic::open(
            nics.open()?,
            nics.clock(),
            &config,
        )?)))
    }

    fn look(&mut self) -> Result<(nic::Stats, Link), NicError> {
        Ok(match self {
            Self::Found(nic) => (nic.stats()?, nic.link()?),
            Self::Up(nic) => (nic.stats()?, nic.link()?),
        })
    }

    /// Throws received frames away until `until_ns`, or an interrupt of the program.
    fn wait(
        &mut self,
        clock: &Arc<dyn Clock>,
        until_ns: u64,
        interrupt: &Interrupt,
    ) -> Result<(), Error> {
        while clock.now() < until_ns && !interrupt.is_raised() {
            let mut next = until_ns;
            if let Self::Up(nic) = self {
                let mut frames = Vec::new();
                while nic.rx_batch(BATCH, &mut frames)? > 0 {
                    frames.clear();
                }
                nic.events()?;
                next = until_ns.min(clock.now() + DRAIN_NS);
            }
            clock
                .wait(&[interrupt.fd()], Some(next))
                .map_err(Error::doing("waiting"))?;
        }
        Ok(())
    }
}

/// Looks and prints, as often as is asked.
///
/// # Errors
/// When there is no NIC, or it fails.
pub(crate) fn run(args: &Stats) -> Result<(), Error> {
    let interrupt = Interrupt::catch()?;
    let nics = Nics::find(&args.device)?;
    let clock = nics.clock();
    let mut watched = Watched::open(args, &nics)?;
    let mut before: Option<nic::Stats> = None;
    let times = match args.watch {
        None => 1,
        Some(_) => args.count.unwrap_or(u64::MAX),
    };
    let pause = args.watch.unwrap_or(Duration::ZERO);
    let mut due = clock.now();
    for time in 0..times {
        if time > 0 || args.up {
            due = due.saturating_add(u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX));
            watched.wait(&clock, due, &interrupt)?;
        }
        if interrupt.is_raised() {
            break;
        }
        let (stats, link) = watched.look()?;
        let moment = Moment::new(args, &stats, link, before.as_ref());
        print(args, &moment)?;
        before = Some(stats);
    }
    drop(watched);
    nics.end()
}

impl Moment {
    fn new(args: &Stats, stats: &nic::Stats, link: Link, before: Option<&nic::Stats>) -> Self {
        let count = |(counter, value): (&ferrule_abi::counter::Counter, u64)| {
            let per_second = before.map(|before| {
                let seconds = stats.time_ns.saturating_sub(before.time_ns) as f64 / 1e9;
                let grown = value.wrapping_sub(before.get(counter.index)) as f64;
                if seconds > 0.0 {
                    grown / seconds
                } else {
                    0.0
                }
            });
            Count {
                name: counter.name,
                value,
                per_second,
                meaning: counter.doc,
            }
        };
        Self {
            time_ns: stats.time_ns,
            link_up: link.up,
            speed_mbps: link.speed_mbps,
            counters: stats
                .iter()
                .filter(|(_, value)| !args.nonzero || *value != 0)
                .map(count)
                .collect(),
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(UTF8_BORDERS_ONLY);
        let number = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        for count in &self.counters {
            let mut row = vec![Cell::new(count.name), number(count.value.to_string())];
            row.extend(count.per_second.map(|rate| number(format!("{rate:.1}/s"))));
            row.push(Cell::new(count.meaning));
            table.add_row(row);
        }
        table
    }
}

fn print(args: &Stats, moment: &Moment) -> Result<(), Error> {
    if args.prometheus {
        return output::text(&prometheus::Exposition {
            device: &args.device.device,
            moment,
        });
    }
    match (args.json, args.watch) {
        (true, None) => output::json(moment),
        (true, Some(_)) => output::json_line(moment),
        (false, _) => output::line(&moment.table().to_string()),
    }
}
