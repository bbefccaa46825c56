//! Latency of the idle NIC in cycles of the core's clock, as `docs/architecture.md` defines it.
use ferrule_rtl::nic::Nic;
use ferrule_sim::engine::{open, Kind, Options};
use ferrule_tests::bench::{Bench, Layout};
use ferrule_tests::latency;

use crate::row::Row;

const FCS_BYTES: usize = 4;

pub(super) fn measure() -> Result<Vec<Row>, Box<dyn std::error::Error>> {
    let mut bench = Bench::new(
        open::<Nic>(Kind::Auto, &Options::default())?,
        &Layout::default(),
    );
    let rows = latency::BUDGET.map(|(len, most)| {
        let what = format!(
            "last FCS byte of {} bytes to the completion's TLP",
            len + FCS_BYTES
        );
        let cycles = latency::receive(&mut bench, len);
        Row::new(what, cycles as f64, "core cycles").at_most(most as f64)
    });
    Ok(rows.into())
}
