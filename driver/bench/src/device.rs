//! A NIC in plain Rust that does what a benchmark tells it to, when it tells it: it takes frames from the SQ, puts frames into slots, and
//! writes completions, in the memory that it shares with the driver and on the thread that drives.
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ferrule_abi::ring::{doorbell, sqe_flags, Cqe, ENTRY_SIZE, INDEX_MODULUS};
use ferrule_abi::{regs, BAR_REGS};
use ferrule_driver::{Device, DeviceError, DmaBuf};

/// The device's side of a queue.
#[derive(Default)]
struct Queue {
    /// IOVA of the completion ring and of the ring that the driver fills.
    completions: u64,
    requests: u64,
    /// log2 of their entries.
    completions_log2: u32,
    requests_log2: u32,
    /// Entries written, and read by the driver.
    written: u64,
    read: u64,
    /// Entries that the driver has filled, and those taken of them.
    filled: u64,
    taken: u64,
}

#[derive(Default)]
struct State {
    registers: BTreeMap<u32, u32>,
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

fn catch_up(count: u64, index: u32) -> u64 {
    count + u64::from(index.wrapping_sub(count as u32) % INDEX_MODULUS)
}

impl Queue {
    fn ring(&mut self, word: u32) {
        self.filled = catch_up(self.filled, doorbell::PRODUCER.get(word));
        self.read = catch_up(self.read, doorbell::CONSUMER.get(word));
    }

    /// Where entry `count` of a ring is.
    fn entry(base: u64, log2: u32, count: u64, bytes: u64) -> u64 {
        base + (count & ((1 << log2) - 1)) * bytes
    }

    fn complete(&mut self, memory: &(u64, DmaBuf), mut cqe: Cqe) {
        assert!(
            self.written - self.read < 1 << self.completions_log2,
            "the driver has not said that it has read"
        );
        let at = Self::entry(
            self.completions,
            self.completions_log2,
            self.written,
            ENTRY_SIZE as u64,
        );
        cqe.phase = self.written >> self.completions_log2 & 1 == 0;
        self.written += 1;
        let at = (at - memory.0) as usize;
        let words = cqe.to_words();
        for (n, word) in words[..3].iter().enumerate() {
            memory.1.store(at + 4 * n, *word);
        }
        memory.1.store_release(at + 12, words[3]);
    }
}

impl State {
    fn pair(&self, low: u32) -> u64 {
        let word = |offset| u64::from(self.registers.get(&offset).copied().unwrap_or(0));
        word(low + 4) << 32 | word(low)
    }

    fn start(&mut self, page: u32) {
        let cfg = self.registers.get(&(page + regs::tx_cfg::OFFSET));
        let cfg = cfg.copied().unwrap_or(0);
        let queue = Queue {
            completions: self.pair(page + regs::tx_cq_base_lo::OFFSET),
            requests: self.pair(page + regs::tx_sq_base_lo::OFFSET),
            completions_log2: regs::tx_cfg::CQ_LOG2.get(cfg),
            requests_log2: regs::tx_cfg::SQ_LOG2.get(cfg),
            ..Queue::default()
        };
        if page == regs::tx_page(0) {
            self.transmit = queue;
        } else {
            self.receive = queue;
            self.slots = self.pair(page + regs::rx_slot_base_lo::OFFSET);
            let cfg = self.registers.get(&(page + regs::rx_slot_cfg::OFFSET));
            self.slot_log2 = regs::rx_slot_cfg::STRIDE_LOG2.get(cfg.copied().unwrap_or(0));
        }
    }
}

/// A device, and the hold on it.
pub(crate) fn emulated() -> (EmulatedNic, Hardware) {
    let mut state = State::default();
    for register in regs::PORT {
        state.registers.insert(register.offset, register.reset);
    }
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
        while queue.taken < queue.filled {
            let bytes = ENTRY_SIZE as u64;
            let at = Queue::entry(queue.requests, queue.requests_log2, queue.taken, bytes);
            let flags = memory.1.load((at - memory.0) as usize + 8) >> 16;
            let index = (queue.taken & ((1 << queue.requests_log2) - 1)) as u16;
            queue.taken += 1;
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
        let count = count.min((queue.filled - queue.taken) as usize);
        for _ in 0..count {
            let at = Queue::entry(queue.requests, queue.requests_log2, queue.taken, 2);
            let mut slot = [0; 2];
            memory.1.read((at - memory.0) as usize, &mut slot);
            let slot = u16::from_le_bytes(slot);
            queue.taken += 1;
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

impl Device for EmulatedNic {
    fn backend(&self) -> &'static str {
        "emulated"
    }

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

    fn disable_msix(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        Err(DeviceError::NoReset)
    }
}
