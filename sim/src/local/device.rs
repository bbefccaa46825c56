//! A NIC of a simulator in process, as the driver has it.
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, MutexGuard};

use ferrule_abi::{port_offset, port_vector, BAR_MSIX, BAR_MSIX_SIZE, BAR_REGS, MSIX_ENTRY_SIZE};
use ferrule_driver::{Device, DeviceError, DmaBuf, Registers, SharedRegisters};

use super::{Shared, State};
use crate::config_space;
use crate::dma::{Backing, Rights};
use crate::host_side;
use crate::root_complex::Interrupt;

/// Register writes that may wait for the NIC before the program has to.
const MAX_QUEUED: usize = 64;
/// No device takes longer to take what was written to it.
const STUCK_NS: u64 = 1_000_000;
/// All bytes of a DW.
const ALL_BYTES: u8 = 0xF;
/// Number of the configuration space among the regions (linux/vfio.h).
const CONFIG_REGION: u32 = 7;

/// The NIC; dropped, with all handles for its registers, it is reset and can be opened again.
pub struct LocalDevice(Arc<Held>);

/// A NIC that is held.
struct Held {
    shared: Arc<Shared>,
    nic: usize,
    /// How many it has.
    ports: u8,
}

impl LocalDevice {
    pub(super) fn open(shared: Arc<Shared>, nic: usize) -> Result<Self, DeviceError> {
        let refused = |kind, text: &str| DeviceError::Os {
            doing: "opening a simulated NIC",
            source: io::Error::new(kind, text),
        };
        let mut state = shared.contend();
        gone(&state)?;
        match state.opened.get_mut(nic) {
            None => {
                return Err(refused(
                    io::ErrorKind::NotFound,
                    "there is none of that number",
                ))
            }
            Some(true) => {
                let text = "it is open; drop the device or host that has it";
                return Err(refused(io::ErrorKind::ResourceBusy, text));
            }
            Some(opened) => *opened = true,
        }
        let host = state.world.look(nic);
        host_side::open(host);
        let ports = host.config().ports();
        state.world.touch(nic);
        drop(state);
        shared.stir();
        let held = Held { shared, nic, ports };
        Ok(Self(Arc::new(held)))
    }
}

impl Held {
    /// Lets `call` use the simulator's state, then lets the world see what came of it.
    fn with<T>(
        &self,
        call: impl FnOnce(&Self, &mut MutexGuard<'_, State>) -> Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        let mut state = self.shared.contend();
        gone(&state)?;
        let result = call(self, &mut state);
        drop(state);
        self.shared.stir();
        result
    }

    /// A register; whether it is in the MSI-X table, which belongs to the root complex, as with the kernel's VFIO.
    fn register(&self, bar: u8, offset: u32) -> Result<bool, DeviceError> {
        if !offset.is_multiple_of(4) {
            return Err(DeviceError::Misaligned(offset));
        }
        let size = match bar {
            BAR_REGS => port_offset(self.ports),
            BAR_MSIX => BAR_MSIX_SIZE,
            _ => 0,
        };
        within(bar.into(), size.into(), offset.into(), 4)?;
        Ok(bar == BAR_MSIX && offset < u32::from(self.vectors()) * MSIX_ENTRY_SIZE)
    }

    fn vectors(&self) -> u16 {
        port_vector(self.ports)
    }

    /// Lets the NIC take register accesses until at most `left` wait.
    fn flush(&self, state: &mut State, left: usize) -> Result<(), DeviceError> {
        let until_ns = state.world.now_ns() + STUCK_NS;
        let nic = self.nic;
        state.run_while(&self.shared, |world| {
            world.look(nic).queued() > left && world.now_ns() < until_ns
        });
        gone(state)
    }
}

impl SharedRegisters for Held {
    fn read32(&self, bar: u8, offset: u32) -> Result<u32, DeviceError> {
        let in_table = self.register(bar, offset)?;
        self.with(|device, state| {
            let host = state.world.look(device.nic);
            let read = match in_table {
                true => None,
                false => host.read_register(bar, offset, ALL_BYTES),
            };
            let Some(id) = read else {
                return Ok(u32::MAX);
            };
            state.world.touch(device.nic);
            let mut value = None;
            state.run_while(&device.shared, |world| {
                value = world.look(device.nic).take_read(id);
                value.is_none()
            });
            gone(state)?;
            // A NIC that has come to rest without an answer has none.
            Ok(value.unwrap_or(u32::MAX))
        })
    }

    fn write32(&self, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError> {
        if self.register(bar, offset)? {
            return Ok(());
        }
        self.with(|device, state| {
            device.flush(state, MAX_QUEUED)?;
            let host = state.world.look(device.nic);
            host.write_register(bar, offset, ALL_BYTES, value);
            state.world.touch(device.nic);
            Ok(())
        })
    }

    fn write_block(&self, bar: u8, offset: u32, values: &[u32]) -> Result<(), DeviceError> {
        if self.register(bar, offset)? {
            return Ok(());
        }
        self.with(|device, state| {
            device.flush(state, MAX_QUEUED)?;
            let host = state.world.look(device.nic);
            host.write_block(bar, offset, values);
            state.world.touch(device.nic);
            Ok(())
        })
    }
}

/// The simulator may have ended.
fn gone(state: &State) -> Result<(), DeviceError> {
    match &state.failure {
        None => Ok(()),
        Some(failure) => Err(DeviceError::Gone(failure.text())),
    }
}

/// An access must lie within its region.
fn within(region: u32, size: u64, offset: u64, len: usize) -> Result<(), DeviceError> {
    match offset.checked_add(len as u64) {
        Some(end) if end <= size => Ok(()),
        _ => Err(DeviceError::OutOfRegion {
            region,
            size,
            offset,
            len,
        }),
    }
}

fn config(offset: u16, len: usize) -> Result<usize, DeviceError> {
    within(CONFIG_REGION, config_space::SIZE as u64, offset.into(), len)?;
    Ok(offset.into())
}

fn os(doing: &'static str, error: impl Into<io::Error>) -> DeviceError {
    DeviceError::Os {
        doing,
        source: error.into(),
    }
}

impl Registers for LocalDevice {
    fn read32(&mut self, bar: u8, offset: u32) -> Result<u32, DeviceError> {
        self.0.read32(bar, offset)
    }

    fn write32(&mut self, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError> {
        self.0.write32(bar, offset, value)
    }

    fn write_block(&mut self, bar: u8, offset: u32, values: &[u32]) -> Result<(), DeviceError> {
        self.0.write_block(bar, offset, values)
    }
}

impl Device for LocalDevice {
    fn backend(&self) -> &'static str {
        "sim"
    }

    fn share_registers(&mut self) -> Result<Option<Box<dyn Registers>>, DeviceError> {
        Ok(Some(Box::new(Arc::clone(&self.0))))
    }

    fn config_read(&mut self, offset: u16, data: &mut [u8]) -> Result<(), DeviceError> {
        let at = config(offset, data.len())?;
        self.0.with(|device, state| {
            state.world.look(device.nic).config().read(at, data);
            Ok(())
        })
    }

    fn config_write(&mut self, offset: u16, data: &[u8]) -> Result<(), DeviceError> {
        let at = config(offset, data.len())?;
        self.0.with(|device, state| {
            // It must not overtake the register writes before it.
            device.flush(state, 0)?;
            let host = state.world.look(device.nic);
            if host.config().write(at, data) {
                host.reset_device();
            }
            state.world.touch(device.nic);
            Ok(())
        })
    }

    fn registers_size(&self) -> u64 {
        port_offset(self.0.ports).into()
    }

    fn dma_map(&mut self, iova: u64, buf: &DmaBuf) -> Result<(), DeviceError> {
        const DOING: &str = "mapping memory for a simulated NIC";
        let fd = buf.file()?.try_clone_to_owned();
        let fd = fd.map_err(|e| os(DOING, e))?;
        let rights = Rights {
            read: true,
            write: true,
        };
        self.0.with(|device, state| {
            let dma = state.world.look(device.nic).dma();
            dma.map(iova, buf.len() as u64, rights, Backing::File(fd, 0))
                .map_err(|e| os(DOING, io::Error::other(e)))
        })
    }

    fn dma_unmap(&mut self, iova: u64, len: usize) -> Result<(), DeviceError> {
        self.0.with(|device, state| {
            let dma = state.world.look(device.nic).dma();
            dma.unmap(iova, len as u64)
                .map(drop)
                .map_err(|e| os("unmapping memory of a simulated NIC", io::Error::other(e)))
        })
    }

    fn enable_msix(&mut self, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        self.swap_vectors(0, eventfds)?;
        self.0.with(|device, state| {
            state.world.look(device.nic).config().set_msix(true);
            state.world.touch(device.nic);
            Ok(())
        })
    }

    fn swap_vectors(&mut self, first: u16, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        let want = usize::from(first) + eventfds.len();
        if want > usize::from(self.0.vectors()) {
            return Err(DeviceError::Vectors {
                have: self.0.vectors().into(),
                want: u32::try_from(want).unwrap_or(u32::MAX),
            });
        }
        let own: Vec<OwnedFd> = eventfds
            .iter()
            .map(|fd| fd.try_clone_to_owned())
            .collect::<io::Result<_>>()
            .map_err(|e| os("attaching an eventfd to a simulated NIC", e))?;
        self.0.with(|device, state| {
            let host = state.world.look(device.nic);
            for (vector, fd) in (first..).zip(own) {
                let (interrupts, event) = (Arc::clone(&device.shared.interrupts), Arc::new(fd));
                let raise = move || interrupts.raise(&event);
                host.set_vector(vector, Some(Interrupt::Callback(Box::new(raise))));
            }
            state.world.touch(device.nic);
            Ok(())
        })
    }

    fn disable_msix(&mut self) -> Result<(), DeviceError> {
        self.0.with(|device, state| {
            let host = state.world.look(device.nic);
            (0..device.vectors()).for_each(|vector| host.set_vector(vector, None));
            host.config().set_msix(false);
            state.world.touch(device.nic);
            Ok(())
        })
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        self.0.with(|device, state| {
            state.world.look(device.nic).reset_device();
            state.world.touch(device.nic);
            Ok(())
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.shared.contend();
        state.opened[self.nic] = false;
        host_side::give_back(state.world.look(self.nic));
        state.world.touch(self.nic);
        drop(state);
        self.shared.stir();
    }
}
