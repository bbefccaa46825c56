//! How fast a design is: `sta` of Yosys, the report of nextpnr.
use std::collections::BTreeMap;

use serde::Deserialize;

use super::error::SynthError;

/// The longest way through logic alone, without wires, in picoseconds: what `sta` says, if it found any.
pub(super) fn logic_ps(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("Latest arrival time in ")?;
    let (_, rest) = rest.split_once("' is ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// What nextpnr found with one seed.
#[derive(Deserialize)]
pub(super) struct Report {
    fmax: BTreeMap<String, Clock>,
    critical_paths: Vec<Path>,
}

#[derive(Deserialize)]
struct Clock {
    /// MHz.
    achieved: f64,
}

#[derive(Deserialize)]
struct Path {
    from: String,
    to: String,
    path: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    /// Nanoseconds.
    delay: f64,
    #[serde(rename = "type")]
    kind: String,
    from: Pin,
    to: Pin,
}

#[derive(Deserialize)]
struct Pin {
    cell: String,
}

/// The slowest path of a clock.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Critical {
    pub(super) clock: String,
    /// The cells at its ends, by their names in the design.
    pub(super) from: String,
    pub(super) to: String,
    /// Wires between slices on the way: a carry chain is one cell, however long.
    pub(super) hops: usize,
    /// Time in cells, set-up included, and on wires.
    pub(super) logic_ns: f64,
    pub(super) wire_ns: f64,
}

/// A clock as the design calls it.
fn clock_name(net: &str) -> &str {
    let net = net.strip_prefix("posedge ").unwrap_or(net);
    net.strip_prefix("$glbnet$").unwrap_or(net)
}

/// The register that a mapped flip-flop is a bit of; any other cell as it is called.
fn register(cell: &str) -> String {
    let name = cell
        .split_once("_TRELLIS_FF")
        .map_or(cell, |(name, _)| name);
    name.replace('$', ".")
}

impl Report {
    /// # Errors
    /// When `text` is not what nextpnr writes.
    pub(super) fn parse(text: &str) -> Result<Self, SynthError> {
        serde_json::from_str(text).map_err(|source| SynthError::Output {
            what: "the report of nextpnr",
            source,
        })
    }

    /// MHz by clock.
    pub(super) fn fmax_mhz(&self) -> impl Iterator<Item = (&str, f64)> {
        let clocks = self.fmax.iter();
        clocks.map(|(net, clock)| (clock_name(net), clock.achieved))
    }

    /// The slowest path of each clock; paths from or to ports are none.
    pub(super) fn critical(&self) -> Vec<Critical> {
        let within = |path: &&Path| path.from == path.to && path.from.starts_with("posedge ");
        let describe = |path: &Path| {
            let sum = |wires: bool| -> f64 {
                let steps = path.path.iter();
                let kind = steps.filter(|step| (step.kind == "routing") == wires);
                kind.map(|step| step.delay).sum()
            };
            let end = |pin: Option<&Pin>| pin.map(|pin| register(&pin.cell)).unwrap_or_default();
            let steps = path.path.iter();
            let hops = steps.filter(|step| step.kind == "routing" && step.delay > 0.0);
            Critical {
                clock: clock_name(&path.from).to_owned(),
                from: end(path.path.first().map(|step| &step.from)),
                to: end(path.path.last().map(|step| &step.to)),
                hops: hops.count(),
                logic_ns: sum(false),
                wire_ns: sum(true),
            }
        };
        self.critical_paths
            .iter()
            .filter(within)
            .map(describe)
            .collect()
    }
}

/// Of each clock the MHz in the middle of the seeds, of an even number the lower of the two, and the slowest path with that seed.
pub(super) fn medians(reports: &[Report]) -> (BTreeMap<String, f64>, Vec<Critical>) {
    let mut by_clock = BTreeMap::<String, Vec<(f64, &Report)>>::new();
    for report in reports {
        for (clock, mhz) in report.fmax_mhz() {
            let seeds = by_clock.entry(clock.to_owned()).or_default();
            seeds.push((mhz, report));
        }
    }
    let (mut fmax_mhz, mut critical) = (BTreeMap::new(), vec![]);
    for (clock, mut seeds) in by_clock {
        seeds.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mhz, report) = seeds[(seeds.len() - 1) / 2];
        critical.extend(report.critical().into_iter().filter(|p| p.clock == clock));
        fmax_mhz.insert(clock, mhz);
    }
    (fmax_mhz, critical)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sta_says_how_long_logic_takes() {
        assert_eq!(logic_ps(include_str!("samples/xc7.sta")), Some(5_308));
        assert_eq!(logic_ps("Executing STA pass.\n"), None);
    }

    /// Of the whole NIC by nextpnr-ecp5 0.11, with all but two of its paths left out.
    fn report() -> Report {
        Report::parse(include_str!("samples/nextpnr.json")).expect("a report")
    }

    #[test]
    fn a_report_tells_of_each_clock() {
        let report = report();
        let rounded = report.fmax_mhz().map(|(clock, mhz)| (clock, mhz.round()));
        let expected = [
            ("clock", 56.0),
            ("gmii_rx_clk", 84.0),
            ("gmii_tx_clk", 107.0),
        ];
        assert!(rounded.eq(expected));
    }

    #[test]
    fn a_slow_path_is_told_by_its_registers_and_where_its_time_goes() {
        let critical = report().critical();
        let [path] = &critical[..] else {
            panic!("the crossing between clocks is none: {critical:?}");
        };
        assert_eq!(path.clock, "gmii_tx_clk");
        assert_eq!(path.from, "mac.mac_tx.count.q");
        assert_eq!(path.to, "mac.mac_tx.fcs.value");
        assert_eq!(path.hops, 11);
        // 106.96 MHz.
        let period_ns = path.logic_ns + path.wire_ns;
        assert!((period_ns - 9.349).abs() < 0.001, "{path:?}");
    }

    #[test]
    fn the_middle_seed_counts_with_its_paths() {
        let seed = |mhz: f64, to: &str| Report {
            fmax: [("clock".to_owned(), Clock { achieved: mhz })].into(),
            critical_paths: vec![Path {
                from: "posedge clock".into(),
                to: "posedge clock".into(),
                path: vec![Step {
                    delay: 1.0,
                    kind: "setup".into(),
                    from: Pin { cell: "a".into() },
                    to: Pin { cell: to.into() },
                }],
            }],
        };
        let reports = [seed(90.0, "x"), seed(70.0, "y"), seed(80.0, "z")];
        let (fmax_mhz, critical) = medians(&reports);
        assert_eq!(fmax_mhz, [("clock".to_owned(), 80.0)].into());
        assert_eq!(critical.len(), 1);
        assert_eq!(critical[0].to, "z");
        let (fmax_mhz, _) = medians(&reports[..2]);
        assert_eq!(fmax_mhz["clock"], 70.0);
        assert!(medians(&[]).0.is_empty());
    }
}
