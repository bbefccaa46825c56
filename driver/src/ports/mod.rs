//! Ethernet ports that share one PCIe function, and so one process: each is a [`Device`] of its own.
//!
//! The kernel gives a function out once, with all of its interrupts; [`Function`] has it and lends its [`ferrule_abi::MAX_PORTS`] ports at most. A port has
//! its registers and its vectors for itself. What the ports share is divided here: I/O virtual addresses (`iovas`), the bits of the command
//! register (`command`), MSI-X, which is on while any port uses it. A function with one port is opened as it is, without any of this.
mod command;
mod iovas;
mod open;
mod port;

pub use open::open;
pub use port::PortDevice;

use crate::irq::Irq;
use crate::lock::{Mutex, MutexGuard};
use crate::{Device, DeviceError};
use command::Wants;
use ferrule_abi::{port_offset, regs, BAR_REGS, BAR_REGS_SIZE, MAX_PORTS};
use iovas::Iovas;
use std::sync::Arc;

/// A function and its ports. A clone is another handle; the function is let go of when all handles and all ports are dropped.
pub struct Function(Arc<Shared>);

/// What handles and ports have in common.
struct Shared {
    ports: u8,
    backend: &'static str,
    state: Mutex<State>,
}

struct State {
    /// Nothing once nobody holds it any more.
    device: Option<Box<dyn Device>>,
    /// Handles and open ports.
    holders: usize,
    /// Of each port, while it is open.
    open: [Option<Open>; MAX_PORTS as usize],
    iovas: Iovas,
    /// Takes the interrupts of vectors that no port has attached anything to.
    parked: Irq,
}

/// An open port.
#[derive(Clone, Copy)]
struct Open {
    wants: Wants,
    /// Whether its vectors are attached.
    has_vectors: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    /// The device, which is there as long as anybody holds it.
    fn device(&mut self) -> Result<&mut dyn Device, DeviceError> {
        match &mut self.device {
            Some(device) => Ok(&mut **device),
            None => Err(DeviceError::Gone("it was closed".into())),
        }
    }

    /// Whether a port other than this one has its vectors attached.
    fn others_have_vectors(&self, port: u8) -> bool {
        self.others(port).any(|open| open.has_vectors)
    }

    fn others(&self, port: u8) -> impl Iterator<Item = &Open> {
        let others = (0..).zip(&self.open).filter(move |(n, _)| *n != port);
        others.filter_map(|(_, open)| open.as_ref())
    }

    /// One holder less; without any the device goes.
    fn let_go(&mut self) {
        self.holders -= 1;
        if self.holders == 0 {
            self.device = None;
        }
    }
}

impl Function {
    /// Takes a device that is open and looks how many ports it has: as many as fit into BAR0 and have their MAGIC. One whose first port has none is taken for a
    /// function with one port, of which [`crate::Nic`] says what it is not.
    ///
    /// # Errors
    /// What the device's registers report; [`DeviceError::Os`] without descriptors.
    pub fn over(mut device: Box<dyn Device>) -> Result<Self, DeviceError> {
        let ports = count_ports(&mut *device)?;
        Self::with_ports(device, ports)
    }

    fn with_ports(device: Box<dyn Device>, ports: u8) -> Result<Self, DeviceError> {
        let parked = Irq::new().map_err(DeviceError::os("making an eventfd"))?;
        Ok(Self(Arc::new(Shared {
            ports,
            backend: device.backend(),
            state: Mutex::new(State {
                device: Some(device),
                holders: 1,
                open: [None; MAX_PORTS as usize],
                iovas: Iovas::default(),
                parked,
            }),
        })))
    }

    /// Another handle, if the function is still held by somebody: the last one to let go of it does so with the state locked.
    fn again(shared: Arc<Shared>) -> Option<Self> {
        let mut state = shared.lock();
        state.device.as_ref()?;
        state.holders += 1;
        drop(state);
        Some(Self(shared))
    }

    /// How many ports it has.
    pub fn ports(&self) -> u8 {
        self.0.ports
    }

    /// Opens a port, counted from 0; dropped, it can be opened again.
    ///
    /// # Errors
    /// [`DeviceError::NoPort`] if there is none of that number, [`DeviceError::PortOpen`] if it is open.
    pub fn open(&self, port: u32) -> Result<PortDevice, DeviceError> {
        PortDevice::open(Arc::clone(&self.0), port)
    }
}

impl Clone for Function {
    fn clone(&self) -> Self {
        self.0.lock().holders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.0.lock().let_go();
    }
}

/// How many ports, one at least, a BAR0 of so many bytes has room for.
pub(crate) fn room(bytes: u64) -> u8 {
    let room = bytes / u64::from(BAR_REGS_SIZE);
    u8::try_from(room).map_or(MAX_PORTS, |room| room.clamp(1, MAX_PORTS))
}

/// How many ports the device has. Where BAR0 has room for one there is one, and nothing is read.
fn count_ports(device: &mut dyn Device) -> Result<u8, DeviceError> {
    let room = room(device.registers_size());
    if room == 1 {
        return Ok(1);
    }
    command::enable_memory(device)?;
    let mut ports = 0;
    while ports < room {
        let magic = device.read32(BAR_REGS, port_offset(ports) + regs::magic::OFFSET)?;
        if magic != regs::MAGIC {
            break;
        }
        ports += 1;
    }
    Ok(ports.max(1))
}

#[cfg(test)]
mod tests;
