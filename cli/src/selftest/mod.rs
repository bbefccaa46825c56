//! `ferrule selftest`: whether a NIC's hardware works, by itself and without a wire.
use std::os::fd::AsFd;

use comfy_table::{presets::UTF8_BORDERS_ONLY, Table};
use ferrule_abi::MSIX_VECTORS;
use ferrule_driver::irq::Irq;
use ferrule_driver::nic::{mac_text, RawNic};
use ferrule_driver::{pci, DeviceError, NicError};
use serde::Serialize;

use crate::args::Selftest;
use crate::device::Nics;
use crate::error::Error;
use crate::output;

mod pairs;
mod registers;
mod rings;
#[cfg(test)]
mod tests;
mod traffic;

use rings::Rings;
use traffic::Traffic;

/// Why a check did not pass.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The hardware does something else than it should.
    #[error("{0}")]
    Wrong(String),
    /// It could not be made.
    #[error("{0}")]
    Skipped(String),
    /// The NIC could not be used.
    #[error(transparent)]
    Nic(#[from] NicError),
    /// Nor the way to it.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Pass,
    Fail,
    Skipped,
}

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    name: String,
    verdict: Verdict,
    /// What was seen, or why it failed or was skipped.
    seen: String,
}

/// The whole run, for `--json`.
#[derive(Debug, Serialize)]
struct Report {
    device: String,
    mac: String,
    passed: usize,
    failed: usize,
    skipped: usize,
    checks: Vec<Check>,
}

/// Checks made so far.
#[derive(Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn note(&mut self, name: impl Into<String>, result: Result<String, Failure>) {
        let (verdict, seen) = match result {
            Ok(seen) => (Verdict::Pass, seen),
            Err(Failure::Skipped(why)) => (Verdict::Skipped, why),
            Err(e) => (Verdict::Fail, e.to_string()),
        };
        let name = name.into();
        tracing::info!(name, ?verdict, seen, "check");
        self.0.push(Check {
            name,
            verdict,
            seen,
        });
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.0.iter().filter(|c| c.verdict == verdict).count()
    }
}

/// Tests the NIC and prints.
///
/// # Errors
/// When there is no NIC, or a check failed.
pub(crate) fn run(args: &Selftest) -> Result<(), Error> {
    let nics = Nics::find(&args.device)?;
    let mut nic = nics.raw()?;
    let mac = nic.mac()?;
    let mut checks = Checks::default();
    test(args, &nics, &mut nic, &mut checks);
    checks.note("queue pairs", pairs::check(nic, nics.clock()));
    nics.end()?;
    let report = Report {
        device: args.device.device.clone(),
        mac: mac_text(&mac),
        passed: checks.count(Verdict::Pass),
        failed: checks.count(Verdict::Fail),
        skipped: checks.count(Verdict::Skipped),
        checks: checks.0,
    };
    print(args, &report)?;
    match report.failed {
        0 => Ok(()),
        n => Err(Error::Wrong(format!(
            "{n} of {} checks failed on {}; if a reset of the board does not help, its bitstream, slot or memory is at fault",
            report.checks.len(),
            report.device
        ))),
    }
}

fn print(args: &Selftest, report: &Report) -> Result<(), Error> {
    if args.json {
        return output::json(report);
    }
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY);
    for check in &report.checks {
        let mark = match check.verdict {
            Verdict::Pass => "✓",
            Verdict::Fail => "✗",
            Verdict::Skipped => "-",
        };
        let seen = match check.verdict {
            Verdict::Skipped => format!("skipped: {}", check.seen),
            _ => check.seen.clone(),
        };
        table.add_row([mark, &check.name, &seen]);
    }
    output::line(&format!(
        "{table}\n{} ({}): {} passed, {} failed, {} skipped",
        report.device, report.mac, report.passed, report.failed, report.skipped
    ))
}

/// Makes all checks, and leaves the NIC reset, with the MAC address that it had.
fn test(args: &Selftest, nics: &Nics, nic: &mut RawNic, checks: &mut Checks) {
    checks.note("identity", registers::identity(nic));
    checks.note("reset", registers::reset(nic));
    checks.note("reset values", registers::reset_values(nic));
    checks.note("write masks", registers::write_masks(nic));
    checks.note("holes", holes(args, nic));
    // What was written is taken back.
    checks.note("reset again", registers::reset(nic));
    checks.note("link", link(nic));
    checks.note("clock", traffic::clock(nic, &*nics.clock()));
    if let Err(e) = with_memory(args, nics, nic, checks) {
        checks.note("memory", Err(e));
    }
    checks.note("left reset", registers::reset(nic));
}

fn holes(args: &Selftest, nic: &mut RawNic) -> Result<String, Failure> {
    if nic.device().backend() == "vfio" && !args.holes {
        return Err(Failure::Skipped(
            "on a real bus a hole is answered with Unsupported Request, which some machines take for a fault; --holes reads them".to_owned(),
        ));
    }
    registers::holes(nic)
}

fn link(nic: &mut RawNic) -> Result<String, Failure> {
    let link = nic.link()?;
    match (link.up, link.speed_mbps) {
        (false, _) => Err(Failure::Skipped(
            "it is down: plug in a cable to see it".to_owned(),
        )),
        (true, 0) => Err(Failure::Wrong(
            "it is up with a speed that is not defined".to_owned(),
        )),
        (true, speed) => Ok(format!("up, {speed} Mbit/s")),
    }
}

/// The checks that need memory, and its return.
fn with_memory(
    args: &Selftest,
    nics: &Nics,
    nic: &mut RawNic,
    checks: &mut Checks,
) -> Result<(), Failure> {
    if nic.caps().push_only {
        return Err(Failure::Skipped(
            "CAPS.PUSH_ONLY is 1: such a NIC fetches nothing from memory".to_owned(),
        ));
    }
    let mac = nic.mac()?;
    let rings = Rings::map(nic, nics.clock())?;
    let mut traffic = Traffic::new(rings, nics.clock(), mac, args.quick, nic.stats()?);
    let sizes = traffic.sizes(nic);
    traffic.note(nic, checks, "DMA", sizes)?;
    let jumbo = traffic.jumbo(nic);
    traffic.note(nic, checks, "DMA, jumbo frames", jumbo)?;
    let timestamps = traffic.timestamps(nic);
    traffic.note(nic, checks, "timestamps", timestamps)?;
    if let Err(e) = interrupts(nic, &mut traffic, checks) {
        checks.note("interrupts", Err(e));
    }
    checks.note("counters", traffic.counters(nic));
    // Last, because its refused accesses are counted too.
    let isolation = match (args.isolation, nic.device().is_isolated()) {
        // It would read and write whatever is there.
        (true, false) => Err(Failure::Skipped(
            "nothing keeps this device from memory that it was not given, so that the accesses would be made: no IOMMU is in front of it".to_owned(),
        )),
        (true, true) => traffic.isolation(nic),
        (false, _) => Err(Failure::Skipped(
            "a refused access is reported by the kernel as a fault, and some machines take it badly; --isolation makes two".to_owned(),
        )),
    };
    traffic.note(nic, checks, "isolation", isolation)?;
    // Whatever still runs is ended before the memory goes.
    nic.reset()?;
    traffic.rings.unmap(nic)
}

fn interrupts(nic: &mut RawNic, traffic: &mut Traffic, checks: &mut Checks) -> Result<(), Failure> {
    let vectors = pci::msix_vectors(nic.device())?;
    if vectors == 0 {
        return Err(Failure::Wrong("the device has no MSI-X".to_owned()));
    }
    let irqs: Vec<Irq> = (0..vectors.min(MSIX_VECTORS))
        .map(|_| Irq::new())
        .collect::<Result<_, _>>()
        .map_err(|source| DeviceError::Os {
            doing: "making an eventfd",
            source,
        })?;
    let fds: Vec<_> = irqs.iter().map(|irq| irq.as_fd()).collect();
    nic.device().enable_msix(&fds)?;
    for vector in 0..irqs.len() {
        let result = traffic.interrupt(nic, &irqs, vector);
        traffic.note(nic, checks, &format!("interrupt vector {vector}"), result)?;
    }
    Ok(nic.device().disable_msix()?)
}
