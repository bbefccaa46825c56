//! A NIC that is looked at as it is: nothing is reset, set up or started, and it gets no memory.
use super::config::MacAddress;
use super::error::NicError;
use super::neighbours::Neighbour;
use super::port::Port;
use super::stats::{Caps, Link, Stats};
use crate::{Clock, Device};
use ferrule_abi::{regs, Field};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// A NIC by its registers, for tools: it stays as it is found, but for what is asked of it. Dropping it lets go of the device and undoes
/// nothing; the kernel's VFIO and the simulators' servers reset a device themselves when it is opened or let go of.
pub struct RawNic {
    port: Port,
    caps: Caps,
}

impl RawNic {
    /// Lets the device answer register accesses, and checks what it is.
    ///
    /// # Errors
    /// [`NicError::Magic`], [`NicError::Version`], [`NicError::Gone`], [`NicError::Device`].
    pub fn attach(device: Box<dyn Device>, clock: Arc<dyn Clock>) -> Result<Self, NicError> {
        let mut port = Port { device, clock };
        port.enable_memory()?;
        let caps = port.identify()?;
        Ok(Self { port, caps })
    }

    /// The device itself: its memory, its interrupts, its configuration space.
    pub fn device(&mut self) -> &mut dyn Device {
        &mut *self.port.device
    }

    /// The device, as it is.
    pub fn into_device(self) -> Box<dyn Device> {
        self.port.device
    }

    /// What this build of the hardware can do.
    pub fn caps(&self) -> Caps {
        self.caps
    }

    /// The register at this byte offset of BAR0.
    ///
    /// # Errors
    /// [`NicError::Gone`], [`NicError::Device`].
    pub fn read(&mut self, offset: u32) -> Result<u32, NicError> {
        self.port.read(offset)
    }

    /// Writes a register.
    ///
    /// # Errors
    /// [`NicError::Device`].
    pub fn write(&mut self, offset: u32, value: u32) -> Result<(), NicError> {
        self.port.write(offset, value)
    }

    /// Waits until `field` of the register is 0: `what` is done.
    ///
    /// # Errors
    /// [`NicError::Stuck`] if that takes longer than a second; [`NicError::Gone`], [`NicError::Device`].
    pub fn wait_clear(
        &mut self,
        offset: u32,
        field: Field,
        what: &'static str,
    ) -> Result<(), NicError> {
        self.port.wait_clear(offset, field, what)
    }

    /// Resets it by CTRL.RESET and waits until that is done.
    ///
    /// # Errors
    /// [`NicError::Stuck`], [`NicError::Gone`], [`NicError::Device`].
    pub fn reset(&mut self) -> Result<(), NicError> {
        self.port.reset()
    }

    /// Lets the device access memory of its own accord, or forbids it.
    ///
    /// # Errors
    /// [`NicError::Device`].
    pub fn set_bus_master(&mut self, on: bool) -> Result<(), NicError> {
        Ok(self.port.set_bus_master(on)?)
    }

    /// The MAC address.
    ///
    /// # Errors
    /// [`NicError::Gone`], [`NicError::Device`].
    pub fn mac(&mut self) -> Result<MacAddress, NicError> {
        self.port.mac()
    }

    /// Counters and clock of the hardware.
    ///
    /// # Errors
    /// [`NicError::Gone`], [`NicError::Stuck`], [`NicError::Device`].
    pub fn stats(&mut self) -> Result<Stats, NicError> {
        Stats::take(&mut self.port)
    }

    /// State of the link.
    ///
    /// # Errors
    /// [`NicError::Gone`], [`NicError::Device`].
    pub fn link(&mut self) -> Result<Link, NicError> {
        let status = self.port.read(regs::status::OFFSET)?;
        Ok(Link::from_status(status))
    }

    /// The entries of the hardware's ARP cache: see [`Nic::neighbours`](super::Nic::neighbours).
    ///
    /// # Errors
    /// As there.
    pub fn neighbours(&mut self) -> Result<Vec<Neighbour>, NicError> {
        self.port.neighbours(&self.caps)
    }

    /// Adds a static entry to the ARP cache: see [`Nic::add_neighbour`](super::Nic::add_neighbour).
    ///
    /// # Errors
    /// As there.
    pub fn add_neighbour(&mut self, address: Ipv4Addr, mac: MacAddress) -> Result<(), NicError> {
        self.port.add_neighbour(&self.caps, address, mac)
    }

    /// Deletes an entry of the ARP cache: see [`Nic::delete_neighbour`](super::Nic::delete_neighbour).
    ///
    /// # Errors
    /// As there.
    pub fn delete_neighbour(&mut self, address: Ipv4Addr) -> Result<(), NicError> {
        self.port.delete_neighbour(&self.caps, address)
    }

    /// Forgets all neighbours but static ones and those being asked for.
    ///
    /// # Errors
    /// [`NicError::Gone`], [`NicError::Device`].
    pub fn flush_neighbours(&mut self) -> Result<(), NicError> {
        self.port.flush_neighbours()
    }
}
