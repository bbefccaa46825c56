//! `ferrule neigh`: the ARP cache in the hardware.
use std::net::Ipv4Addr;

use comfy_table::{presets::UTF8_BORDERS_ONLY, Table};
use ferrule_driver::nic::{
    mac_text, LocalAddress, Neighbour, NeighbourState, NicConfig, NicEvent, RawNic, TxFrame, TxMode,
};
use ferrule_driver::{Nic, NicError};
use serde::Serialize;

use crate::args::{Look, Neigh, NeighCommand};
use crate::device::Nics;
use crate::error::Error;
use crate::output;

/// How long an answer may take in nanoseconds: three requests, a second apart, and then some for a slow simulator.
const ANSWER_NS: u64 = 20_000_000_000;
/// How often to look for it.
const LOOK_NS: u64 = 1_000_000;

/// An entry as it is printed.
#[derive(Serialize)]
struct Entry {
    address: Ipv4Addr,
    /// None while it is asked for.
    mac: Option<String>,
    state: &'static str,
    /// Seconds since it was confirmed, asked for or added.
    age_seconds: f64,
}

impl From<&Neighbour> for Entry {
    fn from(neighbour: &Neighbour) -> Self {
        let (state, mac) = match neighbour.state {
            NeighbourState::Pending => ("pending", None),
            NeighbourState::Learned(mac) => ("learned", Some(mac)),
            NeighbourState::Static(mac) => ("static", Some(mac)),
        };
        Self {
            address: neighbour.address,
            mac: mac.map(|mac| mac_text(&mac)),
            state,
            age_seconds: neighbour.age.as_secs_f64(),
        }
    }
}

/// Does what is asked and prints what the cache holds then.
///
/// # Errors
/// When there is no NIC, it has no such cache, or it refuses.
pub(crate) fn run(args: &Neigh) -> Result<(), Error> {
    match &args.command {
        NeighCommand::Show(look) => change(look, |_| Ok(())),
        NeighCommand::Flush(look) => change(look, RawNic::flush_neighbours),
        NeighCommand::Del { address, look } => change(look, |nic| nic.delete_neighbour(*address)),
        NeighCommand::Add { address, mac, look } => {
            change(look, |nic| nic.add_neighbour(*address, *mac))
        }
        NeighCommand::Ask {
            host,
            address,
            look,
        } => ask(look, *host, *address),
    }
}

fn change(
    look: &Look,
    change: impl FnOnce(&mut RawNic) -> Result<(), NicError>,
) -> Result<(), Error> {
    let nics = Nics::find(&look.device)?;
    let mut nic = nics.raw()?;
    change(&mut nic)?;
    let neighbours = nic.neighbours()?;
    drop(nic);
    nics.end()?;
    print(look, &neighbours)
}

fn print(look: &Look, neighbours: &[Neighbour]) -> Result<(), Error> {
    let entries: Vec<Entry> = neighbours.iter().map(Entry::from).collect();
    if look.json {
        return output::json(&entries);
    }
    if entries.is_empty() {
        return output::line("the ARP cache is empty");
    }
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY);
    table.set_header(["address", "MAC address", "state", "age"]);
    for entry in entries {
        table.add_row([
            entry.address.to_string(),
            entry.mac.unwrap_or_else(|| "-".to_owned()),
            entry.state.to_owned(),
            format!("{:.1} s", entry.age_seconds),
        ]);
    }
    output::text(&table)
}

/// Lets the hardware resolve `host`, as it does for a packet that is to be sent there.
fn ask(look: &Look, host: Ipv4Addr, address: ferrule::Cidr) -> Result<(), Error> {
    if !address.contains(host) {
        return Err(Error::Usage(format!(
            "{host} is not in the subnet of {}/{}; choose an --address that shares one with it",
            address.addr(),
            address.prefix_len()
        )));
    }
    let nics = Nics::find(&look.device)?;
    let clock = nics.clock();
    let local = LocalAddress {
        address: address.addr(),
        prefix: address.prefix_len(),
    };
    let config = NicConfig {
        addresses: vec![local],
        ..NicConfig::default()
    };
    let mut nic = Nic::open(nics.open()?, nics.clock(), &config)?;
    let packet = empty_packet(address.addr(), host);
    nic.send(&TxFrame {
        parts: &[&packet],
        mode: TxMode::IP,
        ..TxFrame::default()
    })?;
    let until = clock.now() + ANSWER_NS;
    let mut answered = None;
    while answered.is_none() && clock.now() < until {
        for event in nic.events()? {
            match event {
                NicEvent::NeighbourResolved(who) if who == host => answered = Some(true),
                NicEvent::NeighbourFailed(who) if who == host => answered = Some(false),
                _ => {}
            }
        }
        // The packet comes back for want of a neighbour, and is not sent again.
        nic.tx_completions()?;
        clock
            .wait(&[], Some(clock.now() + LOOK_NS))
            .map_err(Error::doing("waiting for an answer"))?;
    }
    let neighbours = nic.neighbours()?;
    nic.close()?;
    nics.end()?;
    print(look, &neighbours)?;
    match answered {
        Some(true) => Ok(()),
        _ => Err(Error::Wrong(format!(
            "nobody answers for {host}: look at the cable, and whether that host is up and in this subnet"
        ))),
    }
}

/// An IPv4 header with no payload, of protocol 253 (RFC 3692: for experiments); its checksum is the hardware's to insert.
fn empty_packet(from: Ipv4Addr, to: Ipv4Addr) -> [u8; 20] {
    let mut packet = [
        0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    packet[12..16].copy_from_slice(&from.octets());
    packet[16..].copy_from_slice(&to.octets());
    packet
}
