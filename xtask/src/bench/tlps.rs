//! TLPs and PCIe bytes per pair of a 64-byte frame sent and one received, as `docs/architecture.md` defines the counting.
use ferrule_rtl::nic::Nic;
use ferrule_sim::engine::{open, Kind, Options};
use ferrule_sim::root_complex::TlpStats;
use ferrule_tests::bench::Bench;
use ferrule_tests::line_rate;

use crate::row::Row;

/// Pairs with an engine that is fast, and with the native one.
const PAIRS: u64 = 2_048;
const PAIRS_NATIVE: u64 = 512;
/// What Corundum, the leading open NIC, needs under the same rules.
const PEER: f64 = 11.1;
const MOST_TLPS: f64 = 4.0;
const MOST_BYTES_UP: f64 = 160.0;
const MOST_BYTES_DOWN: f64 = 110.0;
const TLPS: &str = "TLPs per pair";
const BYTES: &str = "bytes per pair";

fn count() -> Result<(TlpStats, u64), Box<dyn std::error::Error>> {
    let engine = open::<Nic>(Kind::Auto, &Options::default())?;
    let pairs = match engine.name() {
        "native" => PAIRS_NATIVE,
        _ => PAIRS,
    };
    let mut bench = Bench::new(engine, &line_rate::layout());
    let before = bench.root_complex.stats();
    line_rate::run(&mut bench, pairs);
    Ok((bench.root_complex.stats().since(&before), pairs))
}

pub(super) fn measure() -> Result<Vec<Row>, Box<dyn std::error::Error>> {
    let (stats, pairs) = count()?;
    let per_pair = |n: u64| n as f64 / pairs as f64;
    let (up, down) = (stats.up, stats.down);
    let total = Row::new("TLPs, both directions", stats.per_packet(pairs), TLPS);
    Ok(vec![
        total.with_peer(PEER).at_most(MOST_TLPS),
        Row::new("reads by the device", per_pair(up.reads), TLPS),
        Row::new("writes by the device", per_pair(up.writes), TLPS),
        Row::new(
            "answers to its reads",
            per_pair(down.data_completions),
            TLPS,
        ),
        Row::new("doorbells", per_pair(down.writes), TLPS),
        Row::new("bytes up", per_pair(up.link_bytes), BYTES).at_most(MOST_BYTES_UP),
        Row::new("bytes down", per_pair(down.link_bytes), BYTES).at_most(MOST_BYTES_DOWN),
    ])
}
