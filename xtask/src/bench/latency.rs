//! Latency of the idle NIC in cycles of the core's clock, as `docs/architecture.md` defines it.
use ferrule_abi::ring::sqe_flags;
use ferrule_rtl::nic::Nic;
use ferrule_sim::engine::{open, Kind, Options};
use ferrule_tests::bench::{Bench, Layout};
use ferrule_tests::{frames, latency};

use crate::row::Row;

const FCS_BYTES: usize = 4;

pub(super) fn measure() -> Result<Vec<Row>, Box<dyn std::error::Error>> {
    let mut bench = Bench::new(
        open::<Nic>(Kind::Auto, &Options::default())?,
        &Layout::default(),
    );
    let mut rows: Vec<Row> = latency::BUDGET
        .map(|(len, most)| {
            let what = format!(
                "last FCS byte of {} bytes to the completion's TLP",
                len + FCS_BYTES
            );
            let cycles = latency::receive(&mut bench, len);
            Row::new(what, cycles as f64, "core cycles").at_most(most as f64)
        })
        .into();
    let layout = Layout {
        push: true,
        ..Layout::default()
    };
    let mut bench = Bench::new(open::<Nic>(Kind::Auto, &Options::default())?, &layout);
    // To everybody: no neighbour is asked for.
    let mut frame = frames::udp_of_length(60, 0x5A);
    frame[30..34].fill(255);
    let whole = sqe_flags::SOP | sqe_flags::EOP;
    let ip = sqe_flags::IPCS | sqe_flags::L4CS;
    for (what, packet, flags) in [
        ("raw", &frame[..], sqe_flags::RAW),
        ("IP mode, both checksums", &frame[14..], ip),
    ] {
        let cycles = latency::push(&mut bench, packet, whole | flags);
        rows.push(
            Row::new(
                format!("last beat of a pushed frame of 64 bytes to its preamble, {what}"),
                cycles as f64,
                "core cycles",
            )
            .at_most(latency::PUSH_BUDGET as f64),
        );
    }
    Ok(rows)
}
