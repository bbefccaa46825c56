//! The hardware's ARP cache as the host sees it: reading, adding and deleting entries; announcements and probes.
use super::config::{is_host, is_station, mac_text, LocalAddress, MacAddress};
use super::error::NicError;
use super::port::Port;
use super::stats::Caps;
use super::Nic;
use ferrule_abi::regs::{self, arp_cmd, arp_entry, arp_op, arp_result};
use ferrule_abi::TICK_NS;
use std::net::Ipv4Addr;
use std::time::Duration;

/// Entries of the cache.
const PLACES: u32 = 1 << arp_cmd::PLACE.width;

/// An entry of the hardware's ARP cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Its IPv4 address.
    pub address: Ipv4Addr,
    /// What is known of it.
    pub state: NeighbourState,
    /// Time since it was confirmed, asked for or added last, in steps of 2^20 ns, modulo 52 days. A learned entry that is older than
    /// [`NicConfig::arp_age`](super::NicConfig::arp_age) is asked for again when a packet needs it.
    pub age: Duration,
}

/// What is known of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighbourState {
    /// It is being asked for.
    Pending,
    /// It has told its MAC address.
    Learned(MacAddress),
    /// The host has told its MAC address: it does not age and no packet changes it.
    Static(MacAddress),
}

/// Why an entry cannot be added or deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NeighbourError {
    /// Not an address of a single host.
    #[error("{0} is not the address of a host")]
    Address(Ipv4Addr),
    /// Not a MAC address of a single station.
    #[error("{} is not the MAC address of a station: it is zero or a group's", mac_text(.0))]
    Mac(MacAddress),
    /// Deleting: there is no such entry.
    #[error("the ARP cache has no entry for {0}")]
    Absent(Ipv4Addr),
    /// Adding: of the four ways of the address's set three may be static, and none of them is free.
    #[error("the ARP cache has no room for a static entry for {0} now: the three ways of its set are static or being asked for")]
    Full(Ipv4Addr),
}

/// Begins a command and waits for its end; ARP_ENTRY.
fn command(port: &mut Port, op: u32, place: u32) -> Result<u32, NicError> {
    let value = arp_cmd::OP.of(op) | arp_cmd::PLACE.of(place);
    port.write(arp_cmd::OFFSET, value)?;
    port.wait_clear(
        arp_entry::OFFSET,
        arp_entry::BUSY,
        "a command for its ARP cache",
    )?;
    port.read(arp_entry::OFFSET)
}

/// Reads the entry at a place, if it is not free.
fn entry(port: &mut Port, place: u32) -> Result<Option<Neighbour>, NicError> {
    let rest = command(port, arp_op::READ, place)?;
    let address = port.read(regs::arp_entry_addr::OFFSET)?;
    if address == 0 {
        return Ok(None);
    }
    let age_ticks = port.read(regs::arp_entry_age::OFFSET)?;
    let [a, b, c, d] = port.read(regs::arp_entry_mac::OFFSET)?.to_le_bytes();
    let [e, f, ..] = arp_entry::MAC_HI.get(rest).to_le_bytes();
    let mac = [a, b, c, d, e, f];
    let state = match (arp_entry::PENDING.get(rest), arp_entry::STATIC.get(rest)) {
        (1, _) => NeighbourState::Pending,
        (_, 1) => NeighbourState::Static(mac),
        _ => NeighbourState::Learned(mac),
    };
    Ok(Some(Neighbour {
        address: Ipv4Addr::from_bits(address),
        state,
        age: Duration::from_nanos(u64::from(age_ticks) * TICK_NS),
    }))
}

fn check(address: Ipv4Addr) -> Result<(), NeighbourError> {
    match is_host(address) {
        true => Ok(()),
        false => Err(NeighbourError::Address(address)),
    }
}

fn check_caps(caps: &Caps) -> Result<(), NicError> {
    match caps.arp_entries {
        true => Ok(()),
        false => Err(NicError::Unsupported(
            "access to the entries of its ARP cache",
        )),
    }
}

/// What is done to the cache, by its registers; see [`Nic`]'s functions of the same names.
impl Port {
    fn send_arp(&mut self, caps: &Caps, op: u32, address: Ipv4Addr) -> Result<(), NicError> {
        check_caps(caps)?;
        check(address)?;
        self.write(regs::arp_addr::OFFSET, address.to_bits())?;
        command(self, op, 0).map(drop)
    }

    pub(super) fn neighbours(&mut self, caps: &Caps) -> Result<Vec<Neighbour>, NicError> {
        check_caps(caps)?;
        let mut all = Vec::new();
        for place in 0..PLACES {
            all.extend(entry(self, place)?);
        }
        Ok(all)
    }

    pub(super) fn add_neighbour(
        &mut self,
        caps: &Caps,
        address: Ipv4Addr,
        mac: MacAddress,
    ) -> Result<(), NicError> {
        check_caps(caps)?;
        check(address)?;
        if !is_station(&mac) {
            return Err(NeighbourError::Mac(mac).into());
        }
        let [a, b, c, d, e, f] = mac;
        self.write(regs::arp_addr::OFFSET, address.to_bits())?;
        self.write(regs::arp_mac_lo::OFFSET, u32::from_le_bytes([a, b, c, d]))?;
        self.write(regs::arp_mac_hi::OFFSET, u16::from_le_bytes([e, f]).into())?;
        match arp_entry::RESULT.get(command(self, arp_op::ADD, 0)?) {
            arp_result::DONE => Ok(()),
            _ => Err(NeighbourError::Full(address).into()),
        }
    }

    pub(super) fn delete_neighbour(
        &mut self,
        caps: &Caps,
        address: Ipv4Addr,
    ) -> Result<(), NicError> {
        check_caps(caps)?;
        check(address)?;
        self.write(regs::arp_addr::OFFSET, address.to_bits())?;
        match arp_entry::RESULT.get(command(self, arp_op::DELETE, 0)?) {
            arp_result::DONE => Ok(()),
            _ => Err(NeighbourError::Absent(address).into()),
        }
    }

    pub(super) fn flush_neighbours(&mut self) -> Result<(), NicError> {
        let control = self.read(regs::arpctl::OFFSET)?;
        let flush = regs::arpctl::FLUSH.set(control, 1);
        self.write(regs::arpctl::OFFSET, flush)
    }
}

impl Nic {
    /// Sends one ARP announcement of an address (RFC 5227 section 2.3): others that know it learn who has it now. Hosts send two, 2 s apart.
    ///
    /// # Errors
    /// [`NicError::Neighbour`] if it is no address of a host, and those of [`neighbours`](Self::neighbours).
    pub fn announce(&mut self, address: Ipv4Addr) -> Result<(), NicError> {
        self.port.send_arp(&self.caps, arp_op::ANNOUNCE, address)
    }

    /// Sends one ARP probe for an address (RFC 5227 section 2.1.1): who has it answers, which is told of if it is a local address
    /// ([`NicEvent::AddressConflict`](super::NicEvent::AddressConflict)). Hosts send three, 1 to 2 s apart.
    ///
    /// # Errors
    /// As [`announce`](Self::announce).
    pub fn probe(&mut self, address: Ipv4Addr) -> Result<(), NicError> {
        self.port.send_arp(&self.caps, arp_op::PROBE, address)
    }

    /// Announces these addresses, if that is wanted.
    pub(super) fn announce_all(&mut self, addresses: &[LocalAddress]) -> Result<(), NicError> {
        if self.announces {
            for local in addresses {
                self.announce(local.address)?;
            }
        }
        Ok(())
    }

    /// The entries of the hardware's ARP cache, in the order of their places. Each is read at a time of its own, while the cache is at work.
    ///
    /// # Errors
    /// [`NicError::Unsupported`], [`NicError::Gone`], [`NicError::Stuck`], [`NicError::Device`].
    pub fn neighbours(&mut self) -> Result<Vec<Neighbour>, NicError> {
        self.port.neighbours(&self.caps)
    }

    /// Adds a static entry to the ARP cache, or makes the one there is static, with this MAC address: it does not age,
    /// [`flush_neighbours`](Self::flush_neighbours) leaves it, and no packet changes it. Packets that wait for this neighbour are told of
    /// by [`NicEvent::NeighbourResolved`](super::NicEvent::NeighbourResolved).
    ///
    /// # Errors
    /// [`NicError::Neighbour`], and those of [`neighbours`](Self::neighbours).
    pub fn add_neighbour(&mut self, address: Ipv4Addr, mac: MacAddress) -> Result<(), NicError> {
        self.port.add_neighbour(&self.caps, address, mac)?;
        self.static_neighbours.insert(address, mac);
        Ok(())
    }

    /// Deletes an entry of the ARP cache, static or not. If it is being asked for, that has failed:
    /// [`NicEvent::NeighbourFailed`](super::NicEvent::NeighbourFailed).
    ///
    /// # Errors
    /// [`NicError::Neighbour`], and those of [`neighbours`](Self::neighbours).
    pub fn delete_neighbour(&mut self, address: Ipv4Addr) -> Result<(), NicError> {
        self.port.delete_neighbour(&self.caps, address)?;
        self.static_neighbours.remove(&address);
        Ok(())
    }

    /// Forgets all neighbours but static ones and those being asked for.
    ///
    /// # Errors
    /// [`NicError::Gone`], [`NicError::Device`].
    pub fn flush_neighbours(&mut self) -> Result<(), NicError> {
        self.port.flush_neighbours()
    }
}
