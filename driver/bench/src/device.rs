//! A NIC in plain Rust that does what a benchmark tells it to, when it tells it: it takes frames from the SQ, puts frames into slots, and
//! writes completions, in the memory that it shares with the driver and on the thread that drives.
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ferrule_abi::ring::{sqe_flags, Cqe, ENTRY_SIZE};
use ferrule_abi::{regs, BAR_REGS};
use ferrule_driver::{Device, DeviceError, DmaBuf};

use crate::queue::{after_reset, slots, Queue, Registers};

#[derive(Default)]
struct State {
    registers: Registers,
    memory: Option<(u64, DmaBuf)>,
    transmit: Queue,
    receive: Queue,
    slots: u64,
    slot_log2: u32,
}

/// The device that a driver opens.
pub(crate) struct EmulatedNic {
    state: Arc<Mutex<State>>,
    doorbells: Arc<Doorbells>,
}

/// The benchmark's hold on it.
pub(crate) struct Hardware {
    state: Arc<Mutex<State>>,
    doorbells: Arc<Doorbells>,
}

/// What the driver last wrote to them: a store, as where a BAR is mapped.
#[derive(Default)]
struct Doorbells {
    transmit: AtomicU32,
    receive: AtomicU32,
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn start(&mut self, page: u32) {
        let queue = Queue::start(&self.registers, page);
        if page == regs::tx_page(0) {
            self.transmit = queue;
        } else {
            self.receive = queue;
            (self.slots, self.slot_log2) = slots(&self.registers, page);
        }
    }
}

/// A device, and the hold on it.
pub(crate) fn emulated() -> (EmulatedNic, Hardware) {
    let mut state = State {
        registers: after_reset(),
        ..State::default()
    };
    state.registers.insert(regs::mac_lo::OFFSET, 2);
    let state = Arc::new(Mutex::new(state));
    let doorbells = Arc::<Doorbells>::default();
    let device = EmulatedNic {
        state: Arc::clone(&state),
        doorbells: Arc::clone(&doorbells),
    };
    (device, Hardware { state, doorbells })
}

impl Hardware {
    /// Sends all frames that the driver has handed over, and completes those for which it wants to know.
    pub(crate) fn transmit(&self) {
        let state = &mut *locked(&self.state);
        let Some(memory) = &state.memory else {
            return;
        };
        let queue = &mut state.transmit;
        queue.ring(self.doorbells.transmit.load(Ordering::Acquire));
        while queue.requested() > 0 {
            let at = queue.request(ENTRY_SIZE);
            let flags = memory.1.load((at - memory.0) as usize + 8) >> 16;
            let index = queue.take();
            if flags & u32::from(sqe_flags::CPL_REQ) != 0 {
                queue.complete(
                    memory,
                    Cqe {
                        index,
                        ..Cqe::default()
                    },
                );
            }
        }
    }

    /// Receives `count` frames of these bytes, if there are so many slots.
    pub(crate) fn receive(&self, count: usize, frame: &[u8]) {
        let state = &mut *locked(&self.state);
        let Some(memory) = &state.memory else {
            return;
        };
        let queue = &mut state.receive;
        queue.ring(self.doorbells.receive.load(Ordering::Acquire));
        let count = count.min(queue.requested());
        for _ in 0..count {
            let at = queue.request(2);
            let mut slot = [0; 2];
            memory.1.read((at - memory.0) as usize, &mut slot);
            let slot = u16::from_le_bytes(slot);
            queue.take();
            let at = state.slots + (u64::from(slot) << state.slot_log2);
            memory.1.write((at - memory.0) as usize, frame);
            queue.complete(
                memory,
                Cqe {
                    len: frame.len() as u16,
                    index: slot,
                    ..Cqe::default()
                },
            );
        }
    }
}

impl ferrule_driver::Registers for EmulatedNic {
    fn read32(&mut self, _: u8, offset: u32) -> Result<u32, DeviceError> {
        let state = locked(&self.state);
        Ok(state.registers.get(&offset).copied().unwrap_or(0))
    }

    fn write32(&mut self, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError> {
        const TRANSMIT: u32 = regs::tx_page(0) + regs::tx_doorbell::OFFSET;
        const RECEIVE: u32 = regs::rx_page(0) + regs::rx_doorbell::OFFSET;
        match offset {
            TRANSMIT => self.doorbells.transmit.store(value, Ordering::Release),
            RECEIVE => self.doorbells.receive.store(value, Ordering::Release),
            _ if bar == BAR_REGS => {
                let mut state = locked(&self.state);
                let reset = offset == regs::ctrl::OFFSET && regs::ctrl::RESET.get(value) == 1;
                state
                    .registers
                    .insert(offset, if reset { 0 } else { value });
                for page in [regs::tx_page(0), regs::rx_page(0)] {
                    if offset == page + regs::tx_ctrl::OFFSET && value != 0 {
                        state.start(page);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Device for EmulatedNic {
    fn backend(&self) -> &'static str {
        "emulated"
    }

    fn config_read(&mut self, _: u16, data: &mut [u8]) -> Result<(), DeviceError> {
        data.fill(0);
        Ok(())
    }

    fn config_write(&mut self, _: u16, _: &[u8]) -> Result<(), DeviceError> {
        Ok(())
    }

    fn dma_map(&mut self, iova: u64, buf: &DmaBuf) -> Result<(), DeviceError> {
        locked(&self.state).memory = Some((iova, buf.clone()));
        Ok(())
    }

    fn dma_unmap(&mut self, _: u64, _: usize) -> Result<(), DeviceError> {
        locked(&self.state).memory = None;
        Ok(())
    }

    fn enable_msix(&mut self, _: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        Ok(())
    }

    fn swap_vectors(&mut self, _: u16, _: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        Ok(())
    }

    fn disable_msix(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        Err(DeviceError::NoReset)
    }
}
