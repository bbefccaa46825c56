//! Two NICs in plain Rust joined by a cable, in memory: what one sends is in the other's ring when the doorbell's write returns.
//!
//! They do what the hardware does for IPv4 packets in whole frames: the Ethernet header, and the verdict on checksums, which are taken for right
//! as nothing can spoil them on the way. There is no ARP, no TSO and no loss but for want of slots.
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ferrule_abi::ring::{cqe_status, doorbell, sqe_flags, Cqe, Sqe, ENTRY_SIZE, INDEX_MODULUS};
use ferrule_abi::{regs, BAR_REGS};
use ferrule_driver::{Device, DeviceError, DmaBuf};

/// Frames that wait for a slot.
const MAX_WAITING: usize = 1_024;
const ETHERNET: usize = 14;
/// MSI-X vectors.
const TX_VECTOR: usize = 1;
const RX_VECTOR: usize = 2;

/// The device's side of a queue.
#[derive(Default)]
struct Queue {
    completions: u64,
    requests: u64,
    completions_log2: u32,
    requests_log2: u32,
    /// Completions written, and read by the driver.
    written: u64,
    read: u64,
    /// Requests that the driver has made, and those taken of them.
    filled: u64,
    taken: u64,
    armed: bool,
}

#[derive(Default)]
struct State {
    registers: BTreeMap<u32, u32>,
    memory: Option<(u64, DmaBuf)>,
    transmit: Queue,
    receive: Queue,
    slots: u64,
    slot_log2: u32,
    waiting: VecDeque<Vec<u8>>,
    spare: Vec<Vec<u8>>,
    interrupts: Vec<OwnedFd>,
}

/// One end.
pub struct End {
    ours: Arc<Mutex<State>>,
    theirs: Arc<Mutex<State>>,
    /// Frames on their way.
    frames: Vec<Vec<u8>>,
    when_sent: Option<Box<dyn FnMut() + Send>>,
}

/// Both ends of a cable.
pub fn cable() -> (End, End) {
    let state = |mac: u32| {
        let mut state = State::default();
        for register in regs::PORT {
            state.registers.insert(register.offset, register.reset);
        }
        if let Some(caps) = state.registers.get_mut(&regs::caps::OFFSET) {
            *caps &= !regs::caps::TSO.mask();
        }
        state.registers.insert(regs::mac_lo::OFFSET, mac);
        Arc::new(Mutex::new(state))
    };
    let (a, b) = (state(0x0102), state(0x0202));
    let end = |ours: &Arc<Mutex<State>>, theirs: &Arc<Mutex<State>>| End {
        ours: Arc::clone(ours),
        theirs: Arc::clone(theirs),
        frames: vec![],
        when_sent: None,
    };
    (end(&a, &b), end(&b, &a))
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
        self.armed = doorbell::ARM.get(word) == 1;
    }

    /// Where entry `count` of a ring is.
    fn entry(base: u64, log2: u32, count: u64, bytes: u64) -> u64 {
        base + (count & ((1 << log2) - 1)) * bytes
    }

    fn complete(&mut self, memory: &(u64, DmaBuf), mut cqe: Cqe) {
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

    /// Whether the interrupt is due; asking takes it.
    fn fires(&mut self) -> bool {
        let due = self.armed && self.written > self.read;
        self.armed &= !due;
        due
    }
}

impl State {
    fn pair(&self, low: u32) -> u64 {
        let word = |offset| u64::from(self.registers.get(&offset).copied().unwrap_or(0));
        word(low + 4) << 32 | word(low)
    }

    fn start(&mut self, page: u32) {
        let word = |at| self.registers.get(&(page + at)).copied().unwrap_or(0);
        let cfg = word(regs::tx_cfg::OFFSET);
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
            self.slot_log2 = regs::rx_slot_cfg::STRIDE_LOG2.get(word(regs::rx_slot_cfg::OFFSET));
            self.slots = self.pair(page + regs::rx_slot_base_lo::OFFSET);
            self.receive = queue;
        }
    }

    fn interrupt(&self, vector: usize) {
        if let Some(fd) = self.interrupts.get(vector) {
            // One that is full is readable already.
            let _ = rustix::io::write(fd, &1u64.to_ne_bytes());
        }
    }

    /// Takes what the driver has handed over.
    fn take_frames(&mut self, frames: &mut Vec<Vec<u8>>, spare: &mut Vec<Vec<u8>>) {
        let Some(memory) = &self.memory else { return };
        let queue = &mut self.transmit;
        let mut frame: Option<Vec<u8>> = None;
        while queue.taken < queue.filled {
            let bytes = ENTRY_SIZE as u64;
            let at = Queue::entry(queue.requests, queue.requests_log2, queue.taken, bytes);
            let at = (at - memory.0) as usize;
            let sqe = Sqe::from_words([0, 4, 8, 12].map(|n| memory.1.load(at + n)));
            let index = (queue.taken & ((1 << queue.requests_log2) - 1)) as u16;
            queue.taken += 1;
            let whole = frame.get_or_insert_with(|| {
                let mut frame = spare.pop().unwrap_or_default();
                frame.clear();
                if sqe.flags & sqe_flags::RAW == 0 {
                    frame.extend([2, 1, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 8, 0]);
                }
                frame
            });
            let begin = whole.len();
            whole.resize(begin + usize::from(sqe.len), 0);
            memory
                .1
                .read((sqe.iova - memory.0) as usize, &mut whole[begin..]);
            if sqe.flags & sqe_flags::CPL_REQ != 0 {
                let done = Cqe {
                    index,
                    ..Cqe::default()
                };
                queue.complete(memory, done);
            }
            if sqe.flags & sqe_flags::EOP != 0 {
                frames.extend(frame.take());
            }
        }
    }

    /// Puts what waits into slots, as far as there are some.
    fn fill_slots(&mut self) {
        let Some(memory) = &self.memory else { return };
        let queue = &mut self.receive;
        while queue.taken < queue.filled {
            if queue.written - queue.read >= 1 << queue.completions_log2 {
                break;
            }
            let Some(frame) = self.waiting.pop_front() else {
                break;
            };
            let at = Queue::entry(queue.requests, queue.requests_log2, queue.taken, 2);
            let mut slot = [0; 2];
            memory.1.read((at - memory.0) as usize, &mut slot);
            let slot = u16::from_le_bytes(slot);
            queue.taken += 1;
            let at = self.slots + (u64::from(slot) << self.slot_log2);
            memory.1.write((at - memory.0) as usize, &frame);
            let l4 = match frame.get(ETHERNET + 9) {
                Some(6) => cqe_status::TCP,
                Some(17) => cqe_status::UDP,
                _ => 0,
            };
            let right = cqe_status::IP_OK | cqe_status::L4_OK | cqe_status::CSUM_VALID;
            let done = Cqe {
                len: frame.len() as u16,
                status: right | cqe_status::IPV4 | l4,
                index: slot,
                ..Cqe::default()
            };
            queue.complete(memory, done);
            self.spare.push(frame);
        }
    }
}

impl End {
    /// Has something done whenever frames have been carried to the other end, before the doorbell's write returns.
    pub fn when_sent(&mut self, what: impl FnMut() + Send + 'static) {
        self.when_sent = Some(Box::new(what));
    }

    /// Carries frames to the other end.
    fn carry(&mut self) {
        if self.frames.is_empty() {
            return;
        }
        let mut theirs = locked(&self.theirs);
        for frame in self.frames.drain(..) {
            if theirs.waiting.len() < MAX_WAITING {
                theirs.waiting.push_back(frame);
            }
        }
        theirs.fill_slots();
        if theirs.receive.fires() {
            theirs.interrupt(RX_VECTOR);
        }
        drop(theirs);
        if let Some(what) = &mut self.when_sent {
            what();
        }
    }
}

impl Device for End {
    fn backend(&self) -> &'static str {
        "cable"
    }

    fn read32(&mut self, _: u8, offset: u32) -> Result<u32, DeviceError> {
        let state = locked(&self.ours);
        Ok(state.registers.get(&offset).copied().unwrap_or(0))
    }

    fn write32(&mut self, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError> {
        const TRANSMIT: u32 = regs::tx_page(0) + regs::tx_doorbell::OFFSET;
        const RECEIVE: u32 = regs::rx_page(0) + regs::rx_doorbell::OFFSET;
        if bar != BAR_REGS {
            return Ok(());
        }
        let mut state = locked(&self.ours);
        match offset {
            TRANSMIT => {
                state.transmit.ring(value);
                let mut spare = std::mem::take(&mut state.spare);
                state.take_frames(&mut self.frames, &mut spare);
                state.spare = spare;
                if state.transmit.fires() {
                    state.interrupt(TX_VECTOR);
                }
                drop(state);
                self.carry();
            }
            RECEIVE => {
                state.receive.ring(value);
                state.fill_slots();
                if state.receive.fires() {
                    state.interrupt(RX_VECTOR);
                }
            }
            _ => {
                let reset = offset == regs::ctrl::OFFSET && regs::ctrl::RESET.get(value) == 1;
                let kept = if reset { 0 } else { value };
                state.registers.insert(offset, kept);
                for page in [regs::tx_page(0), regs::rx_page(0)] {
                    if offset == page + regs::tx_ctrl::OFFSET && value != 0 {
                        state.start(page);
                    }
                }
            }
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
        locked(&self.ours).memory = Some((iova, buf.clone()));
        Ok(())
    }

    fn dma_unmap(&mut self, _: u64, _: usize) -> Result<(), DeviceError> {
        locked(&self.ours).memory = None;
        Ok(())
    }

    fn enable_msix(&mut self, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        let interrupts = eventfds.iter().map(|fd| fd.try_clone_to_owned());
        let interrupts = interrupts.collect::<Result<_, _>>().unwrap_or_default();
        locked(&self.ours).interrupts = interrupts;
        Ok(())
    }

    fn disable_msix(&mut self) -> Result<(), DeviceError> {
        locked(&self.ours).interrupts.clear();
        Ok(())
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        Err(DeviceError::NoReset)
    }
}
