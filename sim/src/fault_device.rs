//! A device that fails by seed, around any device that works: completions are lost, late, doubled, changed; interrupts are lost or come for
//! nothing; queues hang; the link flaps; the device is gone.
//!
//! The device below writes its completions into rings of this module's own, which carries them over to the driver's and does its harm on the way:
//! at every access by the driver, and whenever [`FaultHandle::pump`] is called. Frames, slots and submission rings are the driver's and the
//! device's alone.
use std::collections::VecDeque;
use std::ops::Range;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ferrule_abi::ring::{doorbell, event_code, Cqe, Event, ENTRY_SIZE, INDEX_MODULUS};
use ferrule_abi::{regs, BAR_REGS};
use ferrule_driver::{Device, DeviceError, DmaBuf, Registers};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Where the device finds our rings, if it may be anywhere: beyond the addresses that a driver uses by default.
const SHADOW_IOVA: u64 = 1 << 40;
/// Bytes of the largest ring.
const RING_BYTES: u64 = (ENTRY_SIZE as u64) << regs::RING_LOG2_MAX;
/// Completions that are remembered, to be written again when nobody expects them.
const REMEMBERED: usize = 16;
/// Events, then transmit and receive of each pair.
const QUEUES: usize = regs::PAGES as usize;
const EVENTS: usize = 0;

/// How often the device fails, each in 0..1. The first eight count for each completion, the others for each time that the device is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// A completion is lost.
    pub lose: f64,
    /// A completion comes after some of those that follow it.
    pub delay: f64,
    /// A completion comes twice.
    pub double: f64,
    /// Some bits of a completion are others.
    pub corrupt: f64,
    /// A completion has the phase of the pass before, so that the ring seems to end there.
    pub flip_phase: f64,
    /// A received frame has a length that cannot be.
    pub bad_length: f64,
    /// A completion is for another slot or SQE.
    pub bad_index: f64,
    /// A queue does nothing more until it is started again.
    pub hang: f64,
    /// An interrupt that was asked for does not come.
    pub lose_interrupt: f64,
    /// An interrupt comes for nothing.
    pub false_interrupt: f64,
    /// The link goes down or comes back.
    pub flap: f64,
    /// An old completion is written somewhere in a ring: also where the queue was reset meanwhile.
    pub late_write: f64,
    /// The device is gone: it reads all-ones and does nothing, until [`FaultHandle::revive`].
    pub vanish: f64,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Injected {
    /// Completions carried over to the driver, faulty ones included.
    pub completions: u64,
    /// Faults of all kinds.
    pub faults: u64,
    /// Of them those that a driver cannot tell from the truth in every case: a completion that is doubled, late after its slot was used again,
    /// or about another slot or length that could be.
    pub deceptions: u64,
}

struct Queue {
    page: u32,
    /// The ring that the device below writes, and where it finds it.
    shadow: DmaBuf,
    shadow_iova: u64,
    /// IOVA of the driver's ring: low and high half.
    base: [u32; 2],
    log2: u32,
    running: bool,
    hung: bool,
    /// Entries taken from our ring, and how many of them the device was told of.
    taken: u64,
    told: u64,
    /// Entries written to the driver's ring, and how far the driver has read.
    given: u64,
    read: u64,
    /// The producer index of the last doorbell.
    producer: u32,
    waiting: VecDeque<[u32; 4]>,
    /// Each with the number of pumps until it comes.
    late: Vec<(u32, [u32; 4])>,
}

struct State {
    inner: Box<dyn Device>,
    random: StdRng,
    faults: Faults,
    injected: Injected,
    /// What the driver has mapped.
    memory: Vec<(u64, DmaBuf)>,
    queues: [Queue; QUEUES],
    irqs: Vec<OwnedFd>,
    remembered: VecDeque<[u32; 4]>,
    link_down: bool,
    gone: bool,
}

/// The device that fails.
pub struct FaultDevice(Arc<Mutex<State>>);

/// A handle for its registers.
struct FaultRegisters(Arc<Mutex<State>>);

/// A hold on a [`FaultDevice`] that a driver has.
#[derive(Clone)]
pub struct FaultHandle(Arc<Mutex<State>>);

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn index(count: u64) -> u32 {
    (count % u64::from(INDEX_MODULUS)) as u32
}

impl Queue {
    fn new(page: u32, shadow: DmaBuf, shadow_iova: u64) -> Self {
        Self {
            page,
            shadow,
            shadow_iova,
            base: [0; 2],
            log2: 0,
            running: false,
            hung: false,
            taken: 0,
            told: 0,
            given: 0,
            read: 0,
            producer: 0,
            waiting: VecDeque::new(),
            late: Vec::new(),
        }
    }

    fn start(&mut self) {
        self.shadow.zero(0, ENTRY_SIZE << self.log2);
        (self.taken, self.told, self.given, self.read, self.producer) = (0, 0, 0, 0, 0);
        self.waiting.clear();
        self.late.clear();
        self.hung = false;
        self.running = true;
    }

    fn stop(&mut self) {
        self.running = false;
        self.hung = false;
    }

    fn position(&self, count: u64) -> usize {
        (count & ((1 << self.log2) - 1)) as usize * ENTRY_SIZE
    }

    fn phase(&self, count: u64) -> bool {
        count >> self.log2 & 1 == 0
    }

    /// The next completion of the device's.
    fn take(&mut self) -> Option<[u32; 4]> {
        let at = self.position(self.taken);
        let last = self.shadow.load_acquire(at + 12);
        if (Cqe::PHASE.get(last) == 1) != self.phase(self.taken) {
            return None;
        }
        self.taken += 1;
        Some([at, at + 4, at + 8].map(|at| self.shadow.load(at))).map(|[a, b, c]| [a, b, c, last])
    }

    /// What the device is told: what the driver says of the submission ring, and what we have taken.
    fn doorbell(&mut self, arm: bool) -> u32 {
        self.told = self.taken;
        doorbell::PRODUCER.of(self.producer)
            | doorbell::CONSUMER.of(index(self.taken))
            | doorbell::ARM.of(arm.into())
    }

    fn has_room(&self) -> bool {
        // A driver that was deceived may have read further than there was something.
        self.given.saturating_sub(self.read) < 1 << self.log2
    }
}

impl State {
    fn happens(&mut self, rate: f64) -> bool {
        rate > 0.0 && self.random.random_bool(rate.min(1.0))
    }

    fn fault(&mut self, rate: f64, deceives: bool) -> bool {
        let happens = self.happens(rate);
        self.injected.faults += u64::from(happens);
        self.injected.deceptions += u64::from(happens && deceives);
        happens
    }

    fn pump(&mut self) -> Result<(), DeviceError> {
        if self.gone || self.fault(self.faults.vanish, false) {
            self.gone = true;
            return Ok(());
        }
        for q in 0..self.queues.len() {
            if self.queues[q].running && !self.queues[q].hung {
                self.carry(q)?;
            }
        }
        if self.fault(self.faults.false_interrupt, false) && !self.irqs.is_empty() {
            let vector = self.random.random_range(0..self.irqs.len());
            // A full counter is readable as it should be.
            let _ = rustix::io::write(&self.irqs[vector], &1u64.to_ne_bytes());
        }
        if self.fault(self.faults.flap, false) {
            self.link_down = !self.link_down;
            let event = Event {
                code: event_code::LINK,
                detail: (!self.link_down).into(),
                ..Event::default()
            };
            self.queues[EVENTS].waiting.push_back(event.to_words());
        }
        if !self.remembered.is_empty() && self.fault(self.faults.late_write, true) {
            self.write_late();
        }
        Ok(())
    }

    /// Carries what the device has completed over to the driver.
    fn carry(&mut self, q: usize) -> Result<(), DeviceError> {
        while let Some(words) = self.queues[q].take() {
            self.remembered.push_back(words);
            if self.remembered.len() > REMEMBERED {
                self.remembered.pop_front();
            }
            self.harm(q, words);
        }
        let queue = &mut self.queues[q];
        for (left, words) in std::mem::take(&mut queue.late) {
            match left {
                0 => queue.waiting.push_back(words),
                _ => queue.late.push((left - 1, words)),
            }
        }
        while self.queues[q].has_room() && !self.queues[q].hung {
            let Some(words) = self.queues[q].waiting.pop_front() else {
                break;
            };
            self.give(q, words);
        }
        let queue = &mut self.queues[q];
        if queue.taken - queue.told >= 1 << (queue.log2 - 2) {
            let (at, value) = (
                queue.page + regs::event_doorbell::OFFSET,
                queue.doorbell(false),
            );
            self.inner.write32(BAR_REGS, at, value)?;
        }
        Ok(())
    }

    /// A completion on its way: what becomes of it.
    fn harm(&mut self, q: usize, mut words: [u32; 4]) {
        let faults = self.faults;
        if self.fault(faults.lose, false) {
            return;
        }
        if self.fault(faults.corrupt, true) {
            for _ in 0..self.random.random_range(1..4) {
                words[self.random.random_range(0..4)] ^= 1 << self.random.random_range(0..32);
            }
        }
        let receives = q != EVENTS && q.is_multiple_of(2);
        if receives && self.fault(faults.bad_length, false) {
            let lengths = [0, 1, 13, 0xFFFF, 0x4001];
            words[0] = words[0] & 0xFFFF_0000 | lengths[self.random.random_range(0..lengths.len())];
        }
        if self.fault(faults.bad_index, true) {
            words[3] ^= self.random.random_range(1..1 << 15) << 16;
        }
        if self.fault(faults.delay, true) {
            let pumps = self.random.random_range(0..8);
            self.queues[q].late.push((pumps, words));
            return;
        }
        self.queues[q].waiting.push_back(words);
        if self.fault(faults.double, true) {
            self.queues[q].waiting.push_back(words);
        }
        if self.fault(faults.hang, false) {
            self.queues[q].hung = true;
        }
    }

    /// Writes a completion to the driver's ring.
    fn give(&mut self, q: usize, mut words: [u32; 4]) {
        let wrong = self.fault(self.faults.flip_phase, false);
        let queue = &mut self.queues[q];
        let phase = queue.phase(queue.given) != wrong;
        words[3] = Cqe::PHASE.set(words[3], phase.into());
        let at = queue.position(queue.given);
        queue.given += 1;
        self.injected.completions += 1;
        self.write(q, at, words);
    }

    /// Writes to the driver's ring as DMA does, if the driver has memory there.
    fn write(&self, q: usize, at: usize, words: [u32; 4]) {
        let [low, high] = self.queues[q].base;
        let iova = (u64::from(high) << 32 | u64::from(low)) + at as u64;
        for (start, memory) in &self.memory {
            let Some(offset) = iova.checked_sub(*start).map(|o| o as usize) else {
                continue;
            };
            if offset + ENTRY_SIZE <= memory.len() {
                for (n, word) in words[..3].iter().enumerate() {
                    memory.store(offset + 4 * n, *word);
                }
                memory.store_release(offset + 12, words[3]);
            }
        }
    }

    fn write_late(&mut self) {
        let is_set_up = |q: &usize| self.queues[*q].log2 > 0;
        let set_up: Vec<_> = (0..QUEUES).filter(is_set_up).collect();
        let q = set_up[self.random.random_range(0..set_up.len())];
        let old = self.random.random_range(0..self.remembered.len());
        let at = self.random.random_range(0..1u64 << self.queues[q].log2);
        let mut words = self.remembered[old];
        words[3] = Cqe::PHASE.set(words[3], self.random.random_range(0..2));
        let at = self.queues[q].position(at);
        self.write(q, at, words);
    }

    /// A register write of the driver's.
    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        if offset == regs::ctrl::OFFSET && regs::ctrl::RESET.get(value) == 1 {
            self.queues.iter_mut().for_each(Queue::stop);
        }
        let mut value = value;
        let has =
            |queue: &Queue| (queue.page..queue.page + regs::QUEUE_PAGE_SIZE).contains(&offset);
        let q = self.queues.iter().position(has);
        if let Some(q) = q {
            let lost = self.fault_of_doorbell(q, offset, value);
            let queue = &mut self.queues[q];
            match offset - queue.page {
                regs::event_cfg::OFFSET => queue.log2 = regs::event_cfg::CQ_LOG2.get(value),
                regs::event_cq_base_lo::OFFSET => {
                    queue.base[0] = value;
                    value = queue.shadow_iova as u32;
                }
                regs::event_cq_base_hi::OFFSET => {
                    queue.base[1] = value;
                    value = (queue.shadow_iova >> 32) as u32;
                }
                regs::event_ctrl::OFFSET => match regs::event_ctrl::ENABLE.get(value) {
                    1 => queue.start(),
                    _ => queue.stop(),
                },
                regs::event_doorbell::OFFSET => {
                    let read = doorbell::CONSUMER.get(value);
                    queue.read += u64::from(read.wrapping_sub(index(queue.read)) % INDEX_MODULUS);
                    queue.producer = doorbell::PRODUCER.get(value);
                    if queue.hung {
                        return Ok(());
                    }
                    value = queue.doorbell(doorbell::ARM.get(value) == 1 && !lost);
                }
                _ => {}
            }
        }
        self.inner.write32(BAR_REGS, offset, value)
    }

    /// Whether the interrupt that this doorbell asks for is lost.
    fn fault_of_doorbell(&mut self, q: usize, offset: u32, value: u32) -> bool {
        offset == self.queues[q].page + regs::event_doorbell::OFFSET
            && doorbell::ARM.get(value) == 1
            && self.fault(self.faults.lose_interrupt, false)
    }
}

impl FaultDevice {
    /// Puts the faults around a device that nobody has mapped memory for yet.
    ///
    /// # Errors
    /// When there is no memory for its rings, or the device does not take it.
    pub fn new(
        mut inner: Box<dyn Device>,
        faults: Faults,
        seed: u64,
    ) -> Result<(Self, FaultHandle), DeviceError> {
        let mut queues = Vec::new();
        for (q, page) in (0..).zip((0..regs::PAGES).map(regs::queue_page)) {
            let shadow = inner.dma_memory(RING_BYTES as usize)?;
            let own = inner.bus_address(&shadow)?;
            let iova = own.unwrap_or(SHADOW_IOVA + q * RING_BYTES);
            inner.dma_map(iova, &shadow)?;
            queues.push(Queue::new(page, shadow, iova));
        }
        let state = State {
            inner,
            random: StdRng::seed_from_u64(seed),
            faults,
            injected: Injected::default(),
            memory: Vec::new(),
            queues: queues
                .try_into()
                .unwrap_or_else(|_| unreachable!("one for each page")),
            irqs: Vec::new(),
            remembered: VecDeque::new(),
            link_down: false,
            gone: false,
        };
        let state = Arc::new(Mutex::new(state));
        Ok((Self(Arc::clone(&state)), FaultHandle(state)))
    }
}

/// Lets `call` access the device, which does its harm then; of one that is gone there is `nothing`.
fn with<T>(
    state: &Mutex<State>,
    nothing: T,
    call: impl FnOnce(&mut State) -> Result<T, DeviceError>,
) -> Result<T, DeviceError> {
    let mut state = locked(state);
    if state.gone {
        return Ok(nothing);
    }
    let result = call(&mut state)?;
    state.pump()?;
    Ok(result)
}

fn read32(state: &Mutex<State>, bar: u8, offset: u32) -> Result<u32, DeviceError> {
    with(state, u32::MAX, |state| {
        let value = state.inner.read32(bar, offset)?;
        let is_status = bar == BAR_REGS && offset == regs::status::OFFSET;
        Ok(match is_status && state.link_down {
            true => regs::status::LINK_UP.set(value, 0),
            false => value,
        })
    })
}

fn write32(state: &Mutex<State>, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError> {
    with(state, (), |state| match bar {
        BAR_REGS => state.write_register(offset, value),
        _ => state.inner.write32(bar, offset, value),
    })
}

impl FaultHandle {
    /// Carries completions over, as every access of the driver's does.
    ///
    /// # Errors
    /// What the device reports.
    pub fn pump(&self) -> Result<(), DeviceError> {
        locked(&self.0).pump()
    }

    /// What was done so far.
    pub fn injected(&self) -> Injected {
        locked(&self.0).injected
    }

    /// How often it fails from now on.
    pub fn set(&self, faults: Faults) {
        locked(&self.0).faults = faults;
    }

    /// Hangs a queue at once: 0 events, 1 transmit, 2 receive, then those of the other pairs, as their pages come.
    pub fn hang(&self, queue: usize) {
        if let Some(queue) = locked(&self.0).queues.get_mut(queue) {
            queue.hung = true;
        }
    }

    /// Whether the device is gone.
    pub fn is_gone(&self) -> bool {
        locked(&self.0).gone
    }

    /// Makes the device be gone.
    pub fn vanish(&self) {
        locked(&self.0).gone = true;
    }

    /// The device is there again, in the state in which it was left.
    pub fn revive(&self) {
        locked(&self.0).gone = false;
    }
}

impl Registers for FaultDevice {
    fn read32(&mut self, bar: u8, offset: u32) -> Result<u32, DeviceError> {
        read32(&self.0, bar, offset)
    }

    fn write32(&mut self, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError> {
        write32(&self.0, bar, offset, value)
    }
}

impl Registers for FaultRegisters {
    fn read32(&mut self, bar: u8, offset: u32) -> Result<u32, DeviceError> {
        read32(&self.0, bar, offset)
    }

    fn write32(&mut self, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError> {
        write32(&self.0, bar, offset, value)
    }
}

impl Device for FaultDevice {
    fn backend(&self) -> &'static str {
        "fault"
    }

    fn share_registers(&mut self) -> Result<Option<Box<dyn Registers>>, DeviceError> {
        Ok(Some(Box::new(FaultRegisters(Arc::clone(&self.0)))))
    }

    fn config_read(&mut self, offset: u16, data: &mut [u8]) -> Result<(), DeviceError> {
        data.fill(0xFF);
        with(&self.0, (), |state| state.inner.config_read(offset, data))
    }

    fn config_write(&mut self, offset: u16, data: &[u8]) -> Result<(), DeviceError> {
        with(&self.0, (), |state| state.inner.config_write(offset, data))
    }

    fn registers_size(&self) -> u64 {
        locked(&self.0).inner.registers_size()
    }

    fn reserve_iova(&mut self, range: &Range<u64>, len: u64) -> Option<u64> {
        locked(&self.0).inner.reserve_iova(range, len)
    }

    fn is_isolated(&self) -> bool {
        locked(&self.0).inner.is_isolated()
    }

    // Memory, mappings and vectors are the host's: they are there even if the device is not.
    fn dma_memory(&mut self, len: usize) -> Result<DmaBuf, DeviceError> {
        locked(&self.0).inner.dma_memory(len)
    }

    fn bus_address(&self, buf: &DmaBuf) -> Result<Option<u64>, DeviceError> {
        locked(&self.0).inner.bus_address(buf)
    }

    fn dma_map(&mut self, iova: u64, buf: &DmaBuf) -> Result<(), DeviceError> {
        let mut state = locked(&self.0);
        state.inner.dma_map(iova, buf)?;
        state.memory.push((iova, buf.clone()));
        Ok(())
    }

    fn dma_unmap(&mut self, iova: u64, len: usize) -> Result<(), DeviceError> {
        let mut state = locked(&self.0);
        state.inner.dma_unmap(iova, len)?;
        state.memory.retain(|(start, _)| *start != iova);
        Ok(())
    }

    fn enable_msix(&mut self, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        let mut state = locked(&self.0);
        let own: std::io::Result<Vec<OwnedFd>> =
            eventfds.iter().map(|fd| fd.try_clone_to_owned()).collect();
        state.irqs = own.map_err(|source| DeviceError::Os {
            doing: "keeping an eventfd",
            source,
        })?;
        state.inner.enable_msix(eventfds)
    }

    fn swap_vectors(&mut self, first: u16, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        let mut state = locked(&self.0);
        let vectors = state.irqs.iter_mut().skip(first.into());
        for (slot, fd) in vectors.zip(eventfds) {
            let own = fd.try_clone_to_owned();
            *slot = own.map_err(|source| DeviceError::Os {
                doing: "keeping an eventfd",
                source,
            })?;
        }
        state.inner.swap_vectors(first, eventfds)
    }

    fn disable_msix(&mut self) -> Result<(), DeviceError> {
        let mut state = locked(&self.0);
        state.irqs.clear();
        state.inner.disable_msix()
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        with(&self.0, (), |state| {
            state.queues.iter_mut().for_each(Queue::stop);
            state.inner.reset()
        })
    }
}
