//! `ferrule info`: what a NIC is.
use comfy_table::{presets::UTF8_BORDERS_ONLY, Table};
use ferrule_abi::regs;
use ferrule_driver::nic::{mac_text, RawNic};
use ferrule_driver::pci::{self, Express};
use serde::Serialize;

use crate::args::Look;
use crate::device::Nics;
use crate::error::Error;
use crate::output;

/// What is told.
#[derive(Serialize)]
struct Info {
    device: String,
    /// The way to it: `vfio`, `vfio-user`, `sim`.
    access: &'static str,
    /// `vendor:device` in hexadecimal.
    pci_id: String,
    subsystem_id: String,
    class: String,
    revision: u8,
    /// Version of the register map.
    register_map: String,
    mac: String,
    link_up: bool,
    speed_mbps: u32,
    capabilities: Vec<Capability>,
    queue_pairs: u32,
    ring_entries_min: u32,
    ring_entries_max: u32,
    msix_vectors: u16,
    pcie: Option<Pcie>,
}

/// A bit of CAPS.
#[derive(Serialize)]
struct Capability {
    name: &'static str,
    there: bool,
    meaning: &'static str,
}

/// Its link on the bus.
#[derive(Serialize)]
struct Pcie {
    /// Billions of transfers a second on each lane.
    speed_gt_per_s: f64,
    width: u8,
    max_speed_gt_per_s: f64,
    max_width: u8,
    max_payload_bytes: u16,
    max_payload_supported_bytes: u16,
    max_read_request_bytes: u16,
    function_level_reset: bool,
}

impl From<Express> for Pcie {
    fn from(link: Express) -> Self {
        let gigas = |hundred_megas: u16| f64::from(hundred_megas) / 10.0;
        Self {
            speed_gt_per_s: gigas(link.speed),
            width: link.width,
            max_speed_gt_per_s: gigas(link.max_speed),
            max_width: link.max_width,
            max_payload_bytes: link.max_payload,
            max_payload_supported_bytes: link.max_payload_supported,
            max_read_request_bytes: link.max_read_request,
            function_level_reset: link.has_reset,
        }
    }
}

/// Looks and prints.
///
/// # Errors
/// When there is no NIC, or it is none of ours.
pub(crate) fn run(args: &Look) -> Result<(), Error> {
    let nics = Nics::find(&args.device)?;
    let mut nic = nics.raw()?;
    let info = look(&args.device.device, &mut nic)?;
    drop(nic);
    nics.end()?;
    match args.json {
        true => output::json(&info),
        false => output::line(&table(&info).to_string()),
    }
}

fn look(device: &str, nic: &mut RawNic) -> Result<Info, Error> {
    let version = nic.read(regs::version::OFFSET)?;
    let caps = nic.read(regs::caps::OFFSET)?;
    let link = nic.link()?;
    let id = pci::identity(nic.device())?;
    let flags = regs::caps::REGISTER.fields.iter();
    Ok(Info {
        device: device.to_owned(),
        access: nic.device().backend(),
        pci_id: format!("{:04x}:{:04x}", id.vendor, id.device),
        subsystem_id: format!("{:04x}:{:04x}", id.subsystem_vendor, id.subsystem),
        class: format!("{:06x}", id.class),
        revision: id.revision,
        register_map: format!(
            "{}.{}",
            regs::version::MAJOR.get(version),
            regs::version::MINOR.get(version)
        ),
        mac: mac_text(&nic.mac()?),
        link_up: link.up,
        speed_mbps: link.speed_mbps,
        capabilities: flags
            .filter(|x| x.field.width == 1)
            .map(|x| Capability {
                name: x.name,
                there: x.field.get(caps) == 1,
                meaning: x.doc,
            })
            .collect(),
        queue_pairs: regs::caps::QUEUES.get(caps),
        ring_entries_min: 1 << regs::RING_LOG2_MIN,
        ring_entries_max: 1 << regs::RING_LOG2_MAX,
        msix_vectors: pci::msix_vectors(nic.device())?,
        pcie: pci::express(nic.device())?.map(Pcie::from),
    })
}

fn table(info: &Info) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY);
    let mut row = |name: &str, value: String| {
        table.add_row([name.to_owned(), value]);
    };
    row("device", format!("{} ({})", info.device, info.access));
    row(
        "PCI",
        format!(
            "{}, subsystem {}, class {}, revision {}",
            info.pci_id, info.subsystem_id, info.class, info.revision
        ),
    );
    row("register map", info.register_map.clone());
    row("MAC address", info.mac.clone());
    row(
        "link",
        match info.link_up {
            true => format!("up, {} Mbit/s", info.speed_mbps),
            false => "down".to_owned(),
        },
    );
    row(
        "queues",
        format!(
            "{} pair(s), rings of {} to {} entries",
            info.queue_pairs, info.ring_entries_min, info.ring_entries_max
        ),
    );
    row("MSI-X vectors", info.msix_vectors.to_string());
    row(
        "PCI Express",
        match &info.pcie {
            None => "not in its configuration space".to_owned(),
            Some(p) => format!(
                "{} GT/s x{} of {} GT/s x{}, payloads of up to {} of {} bytes, read requests of up to {}, {} function-level reset",
                p.speed_gt_per_s,
                p.width,
                p.max_speed_gt_per_s,
                p.max_width,
                p.max_payload_bytes,
                p.max_payload_supported_bytes,
                p.max_read_request_bytes,
                if p.function_level_reset { "with" } else { "no" },
            ),
        },
    );
    for capability in &info.capabilities {
        let mark = if capability.there { "✓" } else { "-" };
        row(
            &format!("{mark} {}", capability.name),
            capability.meaning.to_owned(),
        );
    }
    table
}
