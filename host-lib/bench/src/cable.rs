//! Two NICs in plain Rust joined by a cable, in memory: what one sends is in the other's ring when the doorbell's write returns.
//!
//! They do what the hardware does for IPv4 packets in whole frames: the Ethernet header, and the verdict on checksums, which are taken for right
//! as nothing can spoil them on the way. There is no ARP, no TSO and no loss but for want of slots.
use std::collections::VecDeque;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use ferrule_abi::ring::{cqe_status, sqe_flags, Cqe, Sqe, ENTRY_SIZE};
use ferrule_abi::{regs, BAR_REGS};
use ferrule_driver::lock::Mutex;
use ferrule_driver::{Device, DeviceError, DmaBuf};
use ferrule_driver_bench::queue::{after_reset, slots, Queue, Registers};

/// Frames that wait for a slot: more than a window has, or the delayed ACKs of all connections that were asked while the other side did
/// something else.
const MAX_WAITING: usize = 16_384;
const ETHERNET: usize = 14;
/// MSI-X vectors.
const TX_VECTOR: usize = 1;
const RX_VECTOR: usize = 2;

/// A frame on its way: the first `len` bytes of memory that is used again and again.
#[derive(Default)]
struct Frame {
    memory: Vec<u8>,
    len: usize,
}

impl Frame {
    /// Room for `len` bytes more.
    fn extend(&mut self, len: usize) -> &mut [u8] {
        let begin = self.len;
        self.len += len;
        if self.memory.len() < self.len {
            self.memory.resize(self.len, 0);
        }
        &mut self.memory[begin..self.len]
    }

    fn bytes(&self) -> &[u8] {
        &self.memory[..self.len]
    }
}

#[derive(Default)]
struct State {
    registers: Registers,
    memory: Option<(u64, DmaBuf)>,
    transmit: Queue,
    receive: Queue,
    slots: u64,
    slot_log2: u32,
    waiting: VecDeque<Frame>,
    /// Those that have arrived, for their sender to use again.
    arrived: Vec<Frame>,
    interrupts: Vec<OwnedFd>,
}

/// One end.
pub struct End {
    ours: Arc<Mutex<State>>,
    theirs: Arc<Mutex<State>>,
    /// Frames on their way.
    frames: Vec<Frame>,
    spare: Vec<Frame>,
    when_sent: Option<Box<dyn FnMut() + Send>>,
}

/// Both ends of a cable.
pub fn cable() -> (End, End) {
    let state = |mac: u32| {
        let mut state = State {
            registers: after_reset(),
            ..State::default()
        };
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
        spare: vec![],
        when_sent: None,
    };
    (end(&a, &b), end(&b, &a))
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

    fn interrupt(&self, vector: usize) {
        if let Some(fd) = self.interrupts.get(vector) {
            // One that is full is readable already.
            let _ = rustix::io::write(fd, &1u64.to_ne_bytes());
        }
    }

    /// Takes what the driver has handed over.
    fn take_frames(&mut self, frames: &mut Vec<Frame>, spare: &mut Vec<Frame>) {
        let Some(memory) = &self.memory else { return };
        let queue = &mut self.transmit;
        let mut frame: Option<Frame> = None;
        while queue.requested() > 0 {
            let at = (queue.request(ENTRY_SIZE) - memory.0) as usize;
            let sqe = Sqe::from_words([0, 4, 8, 12].map(|n| memory.1.load(at + n)));
            let index = queue.take();
            let whole = frame.get_or_insert_with(|| {
                let mut frame = spare.pop().unwrap_or_default();
                frame.len = 0;
                if sqe.flags & sqe_flags::RAW == 0 {
                    let header = [2, 1, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 8, 0];
                    frame.extend(ETHERNET).copy_from_slice(&header);
                }
                frame
            });
            let at = (sqe.iova - memory.0) as usize;
            memory.1.read(at, whole.extend(sqe.len.into()));
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
        while queue.requested() > 0 && !queue.is_full() {
            let Some(frame) = self.waiting.pop_front() else {
                break;
            };
            let at = queue.request(2);
            let mut slot = [0; 2];
            memory.1.read((at - memory.0) as usize, &mut slot);
            let slot = u16::from_le_bytes(slot);
            queue.take();
            let at = self.slots + (u64::from(slot) << self.slot_log2);
            let bytes = frame.bytes();
            memory.1.write((at - memory.0) as usize, bytes);
            let l4 = match bytes.get(ETHERNET + 9) {
                Some(6) => cqe_status::TCP,
                Some(17) => cqe_status::UDP,
                _ => 0,
            };
            let right = cqe_status::IP_OK | cqe_status::L4_OK | cqe_status::CSUM_VALID;
            let done = Cqe {
                len: bytes.len() as u16,
                status: right | cqe_status::IPV4 | l4,
                index: slot,
                ..Cqe::default()
            };
            queue.complete(memory, done);
            self.arrived.push(frame);
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
        let mut theirs = self.theirs.lock();
        for frame in self.frames.drain(..) {
            if theirs.waiting.len() < MAX_WAITING {
                theirs.waiting.push_back(frame);
            }
        }
        theirs.fill_slots();
        self.spare.append(&mut theirs.arrived);
        if theirs.receive.fires() {
            theirs.interrupt(RX_VECTOR);
        }
        drop(theirs);
        if let Some(what) = &mut self.when_sent {
            what();
        }
    }
}

impl ferrule_driver::Registers for End {
    fn read32(&mut self, _: u8, offset: u32) -> Result<u32, DeviceError> {
        let state = self.ours.lock();
        Ok(state.registers.get(&offset).copied().unwrap_or(0))
    }

    fn write32(&mut self, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError> {
        const TRANSMIT: u32 = regs::tx_page(0) + regs::tx_doorbell::OFFSET;
        const RECEIVE: u32 = regs::rx_page(0) + regs::rx_doorbell::OFFSET;
        if bar != BAR_REGS {
            return Ok(());
        }
        let mut state = self.ours.lock();
        match offset {
            TRANSMIT => {
                state.transmit.ring(value);
                state.take_frames(&mut self.frames, &mut self.spare);
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
}

impl Device for End {
    fn backend(&self) -> &'static str {
        "cable"
    }

    fn config_read(&mut self, _: u16, data: &mut [u8]) -> Result<(), DeviceError> {
        data.fill(0);
        Ok(())
    }

    fn config_write(&mut self, _: u16, _: &[u8]) -> Result<(), DeviceError> {
        Ok(())
    }

    fn dma_map(&mut self, iova: u64, buf: &DmaBuf) -> Result<(), DeviceError> {
        self.ours.lock().memory = Some((iova, buf.clone()));
        Ok(())
    }

    fn dma_unmap(&mut self, _: u64, _: usize) -> Result<(), DeviceError> {
        self.ours.lock().memory = None;
        Ok(())
    }

    fn enable_msix(&mut self, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        let interrupts = eventfds.iter().map(|fd| fd.try_clone_to_owned());
        let interrupts = interrupts.collect::<Result<_, _>>().unwrap_or_default();
        self.ours.lock().interrupts = interrupts;
        Ok(())
    }

    fn swap_vectors(&mut self, first: u16, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        let mut state = self.ours.lock();
        let vectors = state.interrupts.iter_mut().skip(first.into());
        for (slot, fd) in vectors.zip(eventfds) {
            let own = fd.try_clone_to_owned();
            *slot = own.map_err(|source| DeviceError::Os {
                doing: "keeping an eventfd",
                source,
            })?;
        }
        Ok(())
    }

    fn disable_msix(&mut self) -> Result<(), DeviceError> {
        self.ours.lock().interrupts.clear();
        Ok(())
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        Err(DeviceError::NoReset)
    }
}
