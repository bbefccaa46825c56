//! One port of a function as a device.
use super::command::{self, Wants, COMMAND, COMMAND_BYTES};
use super::{Open, Shared, State};
use crate::lock::MutexGuard;
use crate::{Device, DeviceError, DmaBuf, Registers, SharedRegisters};
use ferrule_abi::{port_offset, port_vector, regs, BAR_REGS, BAR_REGS_SIZE, MSIX_VECTORS};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// How often a port that is let go of is asked whether its reset is done. What it would still do to memory after so many reads, the IOMMU refuses; without
/// one the memory stays the function's.
const RESET_READS: u32 = 1_000;

/// A port, with its own registers, vectors and memory. It is in memory space and lets go of what it has when it is dropped: it is reset by CTRL.RESET
/// then, as a function is that is let go of.
///
/// What would touch the other ports is refused: a function-level reset ([`DeviceError::NoReset`]) and writes to the configuration space but for the
/// command register, whose bits for memory space and bus mastering are set in the function while any port has set them.
pub struct PortDevice {
    held: Arc<Held>,
    gone: Option<OwnedFd>,
}

/// A port that is held: it is closed when its device and all handles for its registers are dropped.
struct Held {
    shared: Arc<Shared>,
    port: u8,
}

impl PortDevice {
    pub(super) fn open(shared: Arc<Shared>, port: u32) -> Result<Self, DeviceError> {
        let ports = shared.ports;
        let Some(port) = u8::try_from(port).ok().filter(|port| *port < ports) else {
            return Err(DeviceError::NoPort { port, ports });
        };
        let mut state = shared.lock();
        let device = state.device()?;
        let gone = match device.gone_fd() {
            None => None,
            Some(fd) => {
                let own = fd.try_clone_to_owned();
                Some(own.map_err(DeviceError::os("copying a descriptor"))?)
            }
        };
        if state.open[usize::from(port)].is_some() {
            return Err(DeviceError::PortOpen { port, ports });
        }
        command::enable_memory(state.device()?)?;
        state.open[usize::from(port)] = Some(Open {
            wants: Wants::OPENED,
            has_vectors: false,
        });
        state.holders += 1;
        drop(state);
        Ok(Self {
            held: Arc::new(Held { shared, port }),
            gone,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.held.shared.lock()
    }
}

impl Held {
    /// Where in the function's BAR `len` bytes of this port's are.
    fn place(&self, bar: u8, offset: u32, len: usize) -> Result<u32, DeviceError> {
        if bar != BAR_REGS {
            return Ok(offset);
        }
        let size = u64::from(BAR_REGS_SIZE);
        match u64::from(offset).checked_add(len as u64) {
            Some(end) if end <= size => Ok(port_offset(self.port) + offset),
            _ => Err(DeviceError::OutOfRegion {
                region: bar.into(),
                size,
                offset: offset.into(),
                len,
            }),
        }
    }

    /// This port's own books.
    fn open_of<'a>(&self, state: &'a mut State) -> Result<&'a mut Open, DeviceError> {
        let open = state.open[usize::from(self.port)].as_mut();
        open.ok_or_else(|| DeviceError::Gone("it was closed".into()))
    }

    /// Attaches eventfds to this port's first vectors.
    fn attach(&self, state: &mut State, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        let is_enabled = state.open.iter().flatten().any(|open| open.has_vectors);
        let State { device, parked, .. } = state;
        let Some(device) = device else {
            return Err(DeviceError::Gone("it was closed".into()));
        };
        // The kernel gives the function its vectors once, all of them; what nobody has taken is attached to something that nobody looks at.
        let first = port_vector(self.port);
        let mut fds = vec![parked.as_fd(); port_vector(self.shared.ports).into()];
        let own = usize::from(first)..usize::from(first + MSIX_VECTORS);
        for (slot, fd) in fds[own.clone()].iter_mut().zip(eventfds) {
            *slot = *fd;
        }
        match is_enabled {
            // Another port's interrupts are not to be lost meanwhile.
            true => device.swap_vectors(first, &fds[own]),
            false => device.enable_msix(&fds),
        }
    }

    fn detach(&self, state: &mut State) -> Result<(), DeviceError> {
        if !std::mem::take(&mut self.open_of(state)?.has_vectors) {
            return Ok(());
        }
        match state.others_have_vectors(self.port) {
            true => self.attach(state, &[]),
            false => state.device()?.disable_msix(),
        }
    }

    /// Sets the shared bits of the command register to what this port and the others want.
    fn set_command(&self, state: &mut State, register: u16) -> Result<(), DeviceError> {
        let others: Vec<_> = state.others(self.port).map(|open| open.wants).collect();
        let register = command::joint(register, others.into_iter());
        command::write(state.device()?, register)
    }

    /// Lets go of everything that this port has; what fails does not keep the rest from being done.
    fn close(&self, state: &mut State) -> Result<(), DeviceError> {
        let reset = self.reset_port(state);
        let detached = self.detach(state);
        let mut result = reset.and(detached);
        for (iova, len) in state.iovas.close(self.port) {
            let unmapped = state
                .device()
                .and_then(|device| device.dma_unmap(iova, len as usize));
            result = result.and(unmapped);
        }
        let left = match state.others(self.port).next() {
            Some(_) => Wants::default(),
            // Whoever opens a port next finds the registers.
            None => Wants::OPENED,
        };
        let register = command::read(state.device()?)?;
        self.set_command(state, left.seen(register))?;
        result
    }

    fn reset_port(&self, state: &mut State) -> Result<(), DeviceError> {
        let registers = port_offset(self.port);
        let device = state.device()?;
        let reset = regs::ctrl::RESET.of(1);
        device.write32(BAR_REGS, registers + regs::ctrl::OFFSET, reset)?;
        for _ in 0..RESET_READS {
            let status = device.read32(BAR_REGS, registers + regs::status::OFFSET)?;
            // A device that is gone reads all-ones.
            if regs::status::RESETTING.get(status) == 0 || status == u32::MAX {
                break;
            }
        }
        Ok(())
    }
}

impl SharedRegisters for Held {
    fn read32(&self, bar: u8, offset: u32) -> Result<u32, DeviceError> {
        let offset = self.place(bar, offset, 4)?;
        self.shared.lock().device()?.read32(bar, offset)
    }

    fn write32(&self, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError> {
        let offset = self.place(bar, offset, 4)?;
        self.shared.lock().device()?.write32(bar, offset, value)
    }

    fn write_block(&self, bar: u8, offset: u32, values: &[u32]) -> Result<(), DeviceError> {
        let offset = self.place(bar, offset, 4 * values.len())?;
        let mut state = self.shared.lock();
        state.device()?.write_block(bar, offset, values)
    }
}

/// Those bytes of the command register that an access of `len` bytes at `offset` of configuration space has, and where they are in its data.
fn in_command(offset: u16, len: usize) -> impl Iterator<Item = (usize, usize)> {
    let (command, offset) = (usize::from(COMMAND), usize::from(offset));
    (0..COMMAND_BYTES).filter_map(move |byte| {
        let at = (command + byte).checked_sub(offset)?;
        (at < len).then_some((byte, at))
    })
}

impl Registers for PortDevice {
    fn read32(&mut self, bar: u8, offset: u32) -> Result<u32, DeviceError> {
        self.held.read32(bar, offset)
    }

    fn write32(&mut self, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError> {
        self.held.write32(bar, offset, value)
    }

    fn write_block(&mut self, bar: u8, offset: u32, values: &[u32]) -> Result<(), DeviceError> {
        self.held.write_block(bar, offset, values)
    }
}

impl Device for PortDevice {
    fn backend(&self) -> &'static str {
        self.held.shared.backend
    }

    fn share_registers(&mut self) -> Result<Option<Box<dyn Registers>>, DeviceError> {
        Ok(Some(Box::new(Arc::clone(&self.held))))
    }

    fn config_read(&mut self, offset: u16, data: &mut [u8]) -> Result<(), DeviceError> {
        let mut state = self.lock();
        let wants = self.held.open_of(&mut state)?.wants;
        state.device()?.config_read(offset, data)?;
        for (byte, at) in in_command(offset, data.len()) {
            let mut register = [0; COMMAND_BYTES];
            register[byte] = data[at];
            let seen = wants.seen(u16::from_le_bytes(register)).to_le_bytes();
            data[at] = seen[byte];
        }
        Ok(())
    }

    fn config_write(&mut self, offset: u16, data: &[u8]) -> Result<(), DeviceError> {
        if in_command(offset, data.len()).count() != data.len() {
            return Err(DeviceError::Shared { offset });
        }
        let mut state = self.lock();
        let wants = self.held.open_of(&mut state)?.wants;
        let mut register = wants.seen(command::read(state.device()?)?).to_le_bytes();
        for (byte, at) in in_command(offset, data.len()) {
            register[byte] = data[at];
        }
        let register = u16::from_le_bytes(register);
        self.held.set_command(&mut state, register)?;
        self.held.open_of(&mut state)?.wants = Wants::of(register);
        Ok(())
    }

    fn reserve_iova(&mut self, range: &Range<u64>, len: u64) -> Option<u64> {
        self.lock().iovas.reserve(self.held.port, range, len)
    }

    fn is_isolated(&self) -> bool {
        // What was closed reaches nothing.
        let mut state = self.lock();
        state.device().map_or(true, |device| device.is_isolated())
    }

    fn dma_memory(&mut self, len: usize) -> Result<DmaBuf, DeviceError> {
        self.lock().device()?.dma_memory(len)
    }

    fn bus_address(&self, buf: &DmaBuf) -> Result<Option<u64>, DeviceError> {
        self.lock().device()?.bus_address(buf)
    }

    fn dma_map(&mut self, iova: u64, buf: &DmaBuf) -> Result<(), DeviceError> {
        let len = buf.len() as u64;
        let mut state = self.lock();
        state.iovas.map(self.held.port, iova, len)?;
        let mapped = state.device().and_then(|device| device.dma_map(iova, buf));
        if mapped.is_err() {
            state.iovas.free(iova);
        }
        mapped
    }

    fn dma_unmap(&mut self, iova: u64, len: usize) -> Result<(), DeviceError> {
        let mut state = self.lock();
        if !state.iovas.has_mapped(self.held.port, iova, len as u64) {
            return Err(DeviceError::NotMapped { iova, len });
        }
        state.device()?.dma_unmap(iova, len)?;
        state.iovas.free(iova);
        Ok(())
    }

    fn enable_msix(&mut self, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        if eventfds.len() > usize::from(MSIX_VECTORS) {
            return Err(DeviceError::Vectors {
                have: MSIX_VECTORS.into(),
                want: u32::try_from(eventfds.len()).unwrap_or(u32::MAX),
            });
        }
        let mut state = self.lock();
        self.held.attach(&mut state, eventfds)?;
        self.held.open_of(&mut state)?.has_vectors = true;
        Ok(())
    }

    fn swap_vectors(&mut self, first: u16, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        if usize::from(first) + eventfds.len() > usize::from(MSIX_VECTORS) {
            return Err(DeviceError::Vectors {
                have: MSIX_VECTORS.into(),
                want: u32::try_from(usize::from(first) + eventfds.len()).unwrap_or(u32::MAX),
            });
        }
        let mut state = self.lock();
        if !self.held.open_of(&mut state)?.has_vectors {
            return Err(DeviceError::Vectors {
                have: 0,
                want: u32::from(first) + eventfds.len() as u32,
            });
        }
        let first = port_vector(self.held.port) + first;
        state.device()?.swap_vectors(first, eventfds)
    }

    fn disable_msix(&mut self) -> Result<(), DeviceError> {
        self.held.detach(&mut self.lock())
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        Err(DeviceError::NoReset)
    }

    fn gone_fd(&self) -> Option<BorrowedFd<'_>> {
        self.gone.as_ref().map(AsFd::as_fd)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if let Err(e) = self.close(&mut state) {
            tracing::warn!(port = self.port, error = %e, "the port was not closed in order");
        }
        state.open[usize::from(self.port)] = None;
        state.let_go();
    }
}
