//! What the demo found, as a table for people and as JSON for scripts.
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use comfy_table::{presets::UTF8_BORDERS_ONLY, Cell, Table};
use ferrule_abi::counter as c;
use ferrule_driver::nic::Stats;
use ferrule_sim::simulator;
use ferrule_sim::wire::impair::{ImpairStats, LaneStats};
use serde::Serialize;

use crate::size::Size;

/// One step of the conversation.
#[derive(Debug, Serialize)]
pub(crate) struct Step {
    /// Its name.
    pub(crate) name: &'static str,
    /// Whether all of it was right.
    pub(crate) ok: bool,
    /// What was found, or what went wrong.
    pub(crate) detail: String,
}

/// Everything.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Every step was right and the hardware dropped nothing.
    pub(crate) ok: bool,
    /// The engine that ran.
    pub(crate) engine: String,
    /// The wire.
    pub(crate) wire: String,
    /// The seed.
    pub(crate) seed: u64,
    /// The steps.
    pub(crate) steps: Vec<Step>,
    /// Bytes echoed over TCP, each way.
    pub(crate) tcp_bytes: u64,
    /// TCP goodput of the echo in one direction, in bits per simulated second.
    pub(crate) goodput_bits_per_s: Option<f64>,
    /// Median round trip of a ping to the peer, in simulated nanoseconds.
    pub(crate) ping_ns: Option<u64>,
    /// The hardware's counters by name.
    pub(crate) counters: BTreeMap<&'static str, u64>,
    /// What the wire did to the frames, if it was told to do anything.
    pub(crate) impairments: Option<ImpairStats>,
    /// TLPs and bytes on PCIe.
    pub(crate) tlps: ferrule_sim::root_complex::TlpStats,
    /// TLPs of the data path, both directions, per frame on the wire.
    pub(crate) tlps_per_frame: f64,
    /// Clock cycles simulated.
    pub(crate) cycles: u64,
    /// CPU seconds that the simulator used.
    pub(crate) cpu_s: f64,
    /// Cycles per CPU second.
    pub(crate) cycles_per_cpu_s: f64,
    /// Simulated time at the end, in nanoseconds.
    pub(crate) simulated_ns: u64,
    /// Wall time of the conversation in seconds.
    pub(crate) wall_s: f64,
    /// Files written.
    pub(crate) files: Vec<PathBuf>,
}

/// What a finished run hands to the report.
pub(crate) struct Run {
    /// The steps.
    pub(crate) steps: Vec<Step>,
    /// Bytes echoed over TCP.
    pub(crate) tcp_bytes: u64,
    /// How long the echo took on the host's clock.
    pub(crate) tcp_time: Option<Duration>,
    /// Median ping.
    pub(crate) ping: Option<Duration>,
    /// The hardware's counters, if they could be read.
    pub(crate) counters: Option<Stats>,
    /// The simulator's.
    pub(crate) sim: simulator::Stats,
    /// Wall time.
    pub(crate) wall: Duration,
    /// Files written.
    pub(crate) files: Vec<PathBuf>,
}

impl Report {
    /// The report of `run`.
    pub(crate) fn new(engine: &str, wire: &str, seed: u64, run: Run) -> Self {
        let counters: BTreeMap<_, _> = run
            .counters
            .iter()
            .flat_map(Stats::iter)
            .map(|(counter, n)| (counter.name, n))
            .collect();
        let frames = run.counters.as_ref().map_or(0, |s| {
            s.get(c::RX_FRAMES) + s.get(c::RX_ARP) + s.get(c::TX_FRAMES)
        });
        let cpu_s = run.sim.cpu_seconds;
        let rate = |n: u64, s: f64| if s > 0.0 { n as f64 / s } else { 0.0 };
        Self {
            ok: run.steps.iter().all(|s| s.ok)
                && run
                    .counters
                    .as_ref()
                    .is_some_and(|s| lost(s, &run.sim) == 0),
            engine: engine.to_owned(),
            wire: wire.to_owned(),
            seed,
            steps: run.steps,
            tcp_bytes: run.tcp_bytes,
            goodput_bits_per_s: run
                .tcp_time
                .map(|t| rate(8 * run.tcp_bytes, t.as_secs_f64())),
            ping_ns: run
                .ping
                .map(|t| u64::try_from(t.as_nanos()).unwrap_or(u64::MAX)),
            counters,
            impairments: run.sim.impairments,
            tlps: run.sim.tlps,
            tlps_per_frame: run.sim.tlps.per_packet(frames),
            cycles: run.sim.cycles,
            cpu_s,
            cycles_per_cpu_s: run.sim.cycles_per_cpu_second(),
            simulated_ns: run.sim.simulated_ns,
            wall_s: run.wall.as_secs_f64(),
            files: run.files,
        }
    }

    /// The tables.
    pub(crate) fn text(&self) -> String {
        let mut steps = Table::new();
        steps
            .load_preset(UTF8_BORDERS_ONLY)
            .set_header(["", "step", "found"]);
        for step in &self.steps {
            steps.add_row([if step.ok { "✓" } else { "✗" }, step.name, &step.detail]);
        }
        let count = |name: &str| self.counters.get(name).copied().unwrap_or(0);
        let mut figures = Table::new();
        figures
            .load_preset(UTF8_BORDERS_ONLY)
            .set_header(["measured", "", ""]);
        let mut row = |what: &str, value: String, note: String| {
            figures.add_row([Cell::new(what), Cell::new(value), Cell::new(note)]);
        };
        row(
            "frames sent",
            count("tx_frames").to_string(),
            format!(
                "{} bytes, {} ARP requests, {} ARP replies",
                count("tx_bytes"),
                count("arp_requests_sent"),
                count("arp_replies_sent")
            ),
        );
        row(
            "frames received",
            (count("rx_frames") + count("rx_arp")).to_string(),
            format!(
                "{} bytes, {} ARP handled in hardware",
                count("rx_bytes"),
                count("rx_arp")
            ),
        );
        row(
            "dropped",
            self.counters
                .iter()
                .filter(|(n, _)| n.starts_with("rx_drop_"))
                .map(|(_, n)| n)
                .sum::<u64>()
                .to_string(),
            self.drops(),
        );
        if let Some(wire) = &self.impairments {
            let lanes = [
                ("wire to NIC", wire.to_nic),
                ("wire from NIC", wire.from_nic),
            ];
            for (what, lane) in lanes {
                row(what, lane.entered.to_string(), treatment(&lane));
            }
        }
        if let Some(ns) = self.ping_ns {
            row(
                "round trip (ping)",
                format!("{:.1?}", Duration::from_nanos(ns)),
                "simulated time, median".to_owned(),
            );
        }
        if let Some(bits) = self.goodput_bits_per_s {
            row(
                "TCP goodput",
                format!("{:.1} Mbit/s", bits / 1e6),
                format!("{} each way, simulated time", Size(self.tcp_bytes)),
            );
        }
        row(
            "PCIe up",
            format!("{} TLPs", self.tlps.up.total()),
            format!(
                "{} bytes: {} writes, {} reads",
                self.tlps.up.link_bytes, self.tlps.up.writes, self.tlps.up.reads
            ),
        );
        row(
            "PCIe down",
            format!("{} TLPs", self.tlps.down.total()),
            format!(
                "{} bytes: {} completions with data, {} register writes",
                self.tlps.down.link_bytes, self.tlps.down.data_completions, self.tlps.down.writes
            ),
        );
        row(
            "TLPs per frame",
            format!("{:.1}", self.tlps_per_frame),
            format!(
                "all of the run, set-up included; {} interrupts",
                self.tlps.interrupts
            ),
        );
        let simulated = format!("{:.3} ms", self.simulated_ns as f64 / 1e6);
        let times = format!("{:.1} s of CPU, {:.1} s in all", self.cpu_s, self.wall_s);
        if self.cycles == 0 {
            let note = format!("the {} has no clock cycles; {times}", self.engine);
            row("simulated", simulated, note);
        } else {
            let note = format!("{} clock cycles; idle time is skipped", self.cycles);
            row("simulated", simulated, note);
            row(
                "clock rate",
                format!("{:.0} cycles/s", self.cycles_per_cpu_s),
                format!("per CPU second of the {} engine; {times}", self.engine),
            );
        }
        let mut text = format!("{steps}\n{figures}\n");
        for file in &self.files {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "wrote {}", file.display());
        }
        text.push_str(if self.ok {
            "All of it was right.\n"
        } else {
            "NOT all of it was right.\n"
        });
        text
    }

    /// Drops by reason, in words.
    fn drops(&self) -> String {
        let reasons: Vec<String> = self
            .counters
            .iter()
            .filter(|(name, n)| name.starts_with("rx_drop_") && **n > 0)
            .map(|(name, n)| format!("{}: {n}", &name["rx_drop_".len()..]))
            .collect();
        if reasons.is_empty() {
            "none, for any reason".to_owned()
        } else {
            reasons.join(", ")
        }
    }
}

/// What was done to the frames of a direction, in words.
fn treatment(lane: &LaneStats) -> String {
    let done = [
        ("lost", lane.lost),
        ("dropped from the full queue", lane.overflowed),
        ("corrupted", lane.corrupted),
        ("mangled", lane.mangled),
        ("duplicated", lane.duplicated),
        ("held back", lane.reordered),
    ];
    let done: Vec<String> = done
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(what, n)| format!("{n} {what}"))
        .collect();
    if done.is_empty() {
        "frames, none of them lost or changed".to_owned()
    } else {
        format!("frames: {}", done.join(", "))
    }
}

/// Frames that the hardware lost; what was not for this station is no loss, and what the wire damaged must be dropped.
fn lost(stats: &Stats, sim: &simulator::Stats) -> u64 {
    let drops = stats
        .iter()
        .filter(|(counter, _)| counter.name.starts_with("rx_drop_"));
    let to_nic = sim.impairments.unwrap_or_default().to_nic;
    let bad_fcs = stats.get(c::RX_DROP_FCS).min(sim.phy.rx_damaged);
    let bad_sums = [c::RX_DROP_IP_HEADER, c::RX_DROP_L4_CSUM, c::RX_DROP_LENGTH];
    let bad_sums: u64 = bad_sums.into_iter().map(|c| stats.get(c)).sum();
    // A mangled frame may have been doubled.
    let mangled = match to_nic.mangled {
        0 => 0,
        n => n + to_nic.duplicated,
    };
    drops.map(|(_, n)| n).sum::<u64>()
        - stats.get(c::RX_DROP_FILTER)
        - stats.get(c::RX_DROP_DISABLED)
        - bad_fcs
        - bad_sums.min(mangled)
        + stats.get(c::TX_UNDERRUN)
        + stats.get(c::TX_DMA_ERR)
        + stats.get(c::TX_BAD_DESC)
}
