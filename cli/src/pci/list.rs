//! `ferrule list`: the NICs of the machine, and what is missing to use them.
use comfy_table::{presets::UTF8_BORDERS_ONLY, Table};
use ferrule_driver::vfio::{PciDevice, Sysfs, VfioProblem};
use serde::Serialize;

use super::sysfs;
use crate::args::List;
use crate::error::Error;
use crate::output;

/// A device as it is printed.
#[derive(Serialize)]
struct Row {
    address: String,
    /// `vendor:device` in hexadecimal.
    id: String,
    is_ferrule: bool,
    /// Of a Ferrule NIC, what its BAR0 has room for.
    #[serde(skip_serializing_if = "Option::is_none")]
    ports: Option<u8>,
    driver: Option<String>,
    iommu_group: Option<String>,
    /// The group is one that the kernel has made for a device without an IOMMU.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    no_iommu: bool,
    group_others: Vec<Other>,
    held_by: Vec<Process>,
    interfaces: Vec<String>,
    /// It can be opened.
    ready: bool,
    /// What is missing, with what mends it.
    missing: Option<String>,
}

/// Another device of the group.
#[derive(Serialize)]
struct Other {
    address: String,
    driver: Option<String>,
}

/// A process that has the group open.
#[derive(Serialize)]
struct Process {
    pid: u32,
    name: String,
}

/// Looks and prints.
///
/// # Errors
/// When nothing can be written.
pub(crate) fn run(args: &List) -> Result<(), Error> {
    let sysfs = sysfs(&args.machine);
    let devices = sysfs.devices().into_iter();
    let rows: Vec<Row> = devices
        .filter(|device| is_wanted(device, args.all))
        .map(|device| row(&sysfs, device))
        .collect();
    if args.json {
        return output::json(&rows);
    }
    if rows.is_empty() {
        return output::line(match args.all {
            true => "this machine shows no network controller on PCI",
            false => "no Ferrule NIC on PCI; `ferrule list --all` shows every network controller, `ferrule demo` needs none",
        });
    }
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY);
    table.set_header(["address", "id", "", "driver", "group", "held by", ""]);
    for row in &rows {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
        let others = match row.group_others.len() {
            0 => String::new(),
            n => format!(" and {n} other(s)"),
        };
        let guard = if row.no_iommu { ", no IOMMU" } else { "" };
        let holders = row
            .held_by
            .iter()
            .map(|p| format!("{} ({})", p.name, p.pid));
        table.add_row([
            row.address.clone(),
            row.id.clone(),
            match row.ports {
                Some(1) => "Ferrule NIC".to_owned(),
                Some(ports) => format!("Ferrule NIC, {ports} ports"),
                None => String::new(),
            },
            or_none(&row.driver),
            format!("{}{others}{guard}", or_none(&row.iommu_group)),
            holders.collect::<Vec<_>>().join(", "),
            if row.ready { "ready" } else { "not ready" }.to_owned(),
        ]);
    }
    let missing = rows
        .iter()
        .filter_map(|row| Some(format!("{}: {}", row.address, row.missing.as_ref()?)));
    let lines: Vec<String> = [table.to_string()].into_iter().chain(missing).collect();
    output::line(&lines.join("\n"))
}

/// Ours, and network controllers that somebody has given to programs, as a board with ids of its own is; or every network controller.
fn is_wanted(device: &PciDevice, all: bool) -> bool {
    let is_given = device.driver.as_deref() == Some("vfio-pci");
    device.is_ferrule() || device.is_network() && (all || is_given)
}

fn row(sysfs: &Sysfs, device: PciDevice) -> Row {
    let missing = missing(sysfs, &device);
    let PciDevice {
        address,
        vendor,
        device: id,
        driver,
        group,
        no_iommu,
        others,
        holders,
        interfaces,
        ..
    } = &device;
    Row {
        address: address.clone(),
        id: format!("{vendor:04x}:{id:04x}"),
        is_ferrule: device.is_ferrule(),
        ports: device.is_ferrule().then_some(device.ports),
        driver: driver.clone(),
        iommu_group: group.clone(),
        no_iommu: *no_iommu,
        group_others: others
            .iter()
            .map(|other| Other {
                address: other.address.clone(),
                driver: other.driver.clone(),
            })
            .collect(),
        held_by: holders
            .iter()
            .map(|holder| Process {
                pid: holder.pid,
                name: holder.name.clone(),
            })
            .collect(),
        interfaces: interfaces.iter().map(|i| i.name.clone()).collect(),
        ready: missing.is_none(),
        missing,
    }
}

fn missing(sysfs: &Sysfs, device: &PciDevice) -> Option<String> {
    let holders: Vec<_> = device
        .holders
        .iter()
        .map(|h| format!("process {} ({})", h.pid, h.name))
        .collect();
    let checked = match device.no_iommu {
        true => sysfs.check_no_iommu(&device.address),
        false => sysfs.check(&device.address),
    };
    match checked {
        // The holder's number is better than that somebody has it.
        Ok(_) | Err(VfioProblem::Busy(_)) if !holders.is_empty() => Some(format!(
            "it is held by {}: end that first",
            holders.join(", ")
        )),
        Ok(_) => None,
        Err(problem) => Some(problem.to_string()),
    }
}
