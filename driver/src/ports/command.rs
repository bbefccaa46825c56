//! The PCI command register of a function that several ports share: a bit is set while any of them wants it.
use crate::{Device, DeviceError};

/// Offset of the register in configuration space, and its length (PCI Local Bus 3.0, table 6-1).
pub(super) const COMMAND: u16 = 4;
pub(super) const COMMAND_BYTES: usize = 2;
const MEMORY_SPACE: u16 = 1 << 1;
const BUS_MASTER: u16 = 1 << 2;
/// What one port must not take away from another.
const SHARED: u16 = MEMORY_SPACE | BUS_MASTER;

/// What a port has set of the shared bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wants(u16);

impl Wants {
    /// Of a port that was just opened: the function answers its registers, and it accesses no memory.
    pub(super) const OPENED: Self = Self(MEMORY_SPACE);

    /// What a port is to see where the register holds `register`.
    pub(super) fn seen(self, register: u16) -> u16 {
        register & !SHARED | self.0
    }

    /// What a port wants that writes `register`.
    pub(super) fn of(register: u16) -> Self {
        Self(register & SHARED)
    }
}

/// What the register must hold for a port that writes `register` while others want something too.
pub(super) fn joint(register: u16, others: impl Iterator<Item = Wants>) -> u16 {
    others.fold(register, |register, wants| register | wants.0)
}

pub(super) fn read(device: &mut dyn Device) -> Result<u16, DeviceError> {
    let mut bytes = [0; COMMAND_BYTES];
    device.config_read(COMMAND, &mut bytes)?;
    Ok(u16::from_le_bytes(bytes))
}

pub(super) fn write(device: &mut dyn Device, register: u16) -> Result<(), DeviceError> {
    device.config_write(COMMAND, &register.to_le_bytes())
}

/// Lets the function answer accesses of its registers.
pub(super) fn enable_memory(device: &mut dyn Device) -> Result<(), DeviceError> {
    let register = read(device)?;
    match register & MEMORY_SPACE {
        0 => write(device, register | MEMORY_SPACE),
        _ => Ok(()),
    }
}
