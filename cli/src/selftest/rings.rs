//! A queue pair by its descriptors, with the MAC looped back: a test of the hardware chooses each address, piece and vector itself.
use std::sync::Arc;

use ferrule_abi::regs;
use ferrule_abi::ring::cqe_status::{DMA_ERR, TS_VALID};
use ferrule_abi::ring::{doorbell, sqe_flags as fl, Cqe, Sqe, ENTRY_SIZE};
use ferrule_driver::nic::{NicConfig, RawNic};
use ferrule_driver::{barriers, Clock, DmaBuf};

use super::Failure;

/// Entries of each ring, log2.
const LOG2: u32 = 6;
const ENTRIES: u16 = 1 << LOG2;
/// Frames under way at most: each may have four pieces.
pub(crate) const BATCH: usize = 16;
/// Receive slots.
const SLOTS: u16 = 32;
/// Where rings, frames and slots are in the memory.
const SQ: usize = 0;
const TXCQ: usize = 0x1000;
const RXQ: usize = 0x2000;
const RXCQ: usize = 0x3000;
const FRAMES: usize = 0x4000;
/// Room for a frame at any offset.
const FRAME_ROOM: usize = 0x4000;
const SLOT_AREA: usize = FRAMES + BATCH * FRAME_ROOM;
/// Size of the smallest slot and of the largest, log2 of bytes.
pub(crate) const SMALL_SLOT: u32 = 11;
pub(crate) const LARGE_SLOT: u32 = 14;
/// What lies in a slot behind the frame.
const GUARD: u8 = 0xA5;
/// How much of it is looked at.
const GUARD_BYTES: usize = 64;
/// From the start of the memory to where nothing is mapped.
const OUTSIDE: u64 = 1 << 30;
/// How long frames may be under way, in nanoseconds: the slowest simulator takes seconds for what is microseconds.
const LIMIT_NS: u64 = 30_000_000_000;

/// How a frame is to be sent.
pub(crate) struct Sent {
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// Offset of its first byte from a multiple of 4096 of memory, below 8192.
    pub(crate) offset: usize,
    /// Lengths of its pieces, four at most, which are all of it together.
    pub(crate) pieces: Vec<usize>,
    /// Whether to ask when it leaves.
    pub(crate) timestamp: bool,
}

/// What came back of it.
pub(crate) struct Returned {
    /// Clock when it left, low 32 bits, if that was asked for.
    pub(crate) left: Option<u32>,
    /// Clock when it came.
    pub(crate) came: Option<u32>,
}

/// The queue pair.
pub(crate) struct Rings {
    clock: Arc<dyn Clock>,
    memory: DmaBuf,
    iova: u64,
    /// Where the device finds the slots.
    slots_iova: u64,
    slot_log2: u32,
    submitted: u16,
    /// Completions read of either kind.
    tx_read: u16,
    rx_read: u16,
    posted: u16,
}

impl Rings {
    /// Gives the device memory.
    ///
    /// # Errors
    /// When there is none, or the device refuses it.
    pub(crate) fn map(nic: &mut RawNic, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let device = nic.device();
        let memory = device.dma_memory(SLOT_AREA + (usize::from(SLOTS) << LARGE_SLOT))?;
        let own = device.bus_address(&memory)?;
        let iova = own.unwrap_or(NicConfig::default().iova.start);
        device.dma_map(iova, &memory)?;
        nic.set_bus_master(true)?;
        Ok(Self {
            clock,
            memory,
            iova,
            slots_iova: iova + SLOT_AREA as u64,
            slot_log2: SMALL_SLOT,
            submitted: 0,
            tx_read: 0,
            rx_read: 0,
            posted: 0,
        })
    }

    /// Takes the memory back.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) fn unmap(self, nic: &mut RawNic) -> Result<(), Failure> {
        nic.set_bus_master(false)?;
        Ok(nic.device().dma_unmap(self.iova, self.memory.len())?)
    }

    /// Starts both queues, transmit interrupts at `vector`, and loops the MAC back.
    ///
    /// # Errors
    /// When a queue does not start.
    pub(crate) fn start(
        &mut self,
        nic: &mut RawNic,
        slot_log2: u32,
        vector: u32,
    ) -> Result<(), Failure> {
        self.slot_log2 = slot_log2;
        (self.submitted, self.tx_read, self.rx_read, self.posted) = (0, 0, 0, 0);
        self.memory.zero(0, FRAMES);
        let halves = |address: u64| (address as u32, (address >> 32) as u32);
        let at = |offset: usize| halves(self.iova + offset as u64);
        let (tx, rx) = (regs::tx_page(0), regs::rx_page(0));
        let (sq, txcq, rxq, rxcq) = (at(SQ), at(TXCQ), at(RXQ), at(RXCQ));
        let slots = halves(self.slots_iova);
        let tx_cfg = regs::tx_cfg::SQ_LOG2.of(LOG2)
            | regs::tx_cfg::CQ_LOG2.of(LOG2)
            | regs::tx_cfg::VECTOR.of(vector);
        let rx_cfg = regs::rx_cfg::RXQ_LOG2.of(LOG2) | regs::rx_cfg::CQ_LOG2.of(LOG2);
        let slot_cfg = regs::rx_slot_cfg::STRIDE_LOG2.of(slot_log2)
            | regs::rx_slot_cfg::COUNT.of(SLOTS.into());
        let loopback = regs::ctrl::LOOPBACK.of(1);
        let run = loopback | regs::ctrl::RX_EN.of(1) | regs::ctrl::TX_EN.of(1);
        for (offset, value) in [
            (tx + regs::tx_cfg::OFFSET, tx_cfg),
            (tx + regs::tx_sq_base_lo::OFFSET, sq.0),
            (tx + regs::tx_sq_base_hi::OFFSET, sq.1),
            (tx + regs::tx_cq_base_lo::OFFSET, txcq.0),
            (tx + regs::tx_cq_base_hi::OFFSET, txcq.1),
            (tx + regs::tx_ctrl::OFFSET, regs::tx_ctrl::ENABLE.of(1)),
            (rx + regs::rx_cfg::OFFSET, rx_cfg),
            (rx + regs::rx_rxq_base_lo::OFFSET, rxq.0),
            (rx + regs::rx_rxq_base_hi::OFFSET, rxq.1),
            (rx + regs::rx_cq_base_lo::OFFSET, rxcq.0),
            (rx + regs::rx_cq_base_hi::OFFSET, rxcq.1),
            (rx + regs::rx_slot_base_lo::OFFSET, slots.0),
            (rx + regs::rx_slot_base_hi::OFFSET, slots.1),
            (rx + regs::rx_slot_cfg::OFFSET, slot_cfg),
            (rx + regs::rx_ctrl::OFFSET, regs::rx_ctrl::ENABLE.of(1)),
            // Looped first, so that nothing reaches the wire or comes from it.
            (regs::ctrl::OFFSET, loopback),
            (regs::ctrl::OFFSET, run),
        ] {
            nic.write(offset, value)?;
        }
        self.look(nic)?;
        for slot in 0..SLOTS {
            self.post(slot);
        }
        self.ring_rx(nic)
    }

    /// Stops both queues and waits until the device is done with the memory.
    ///
    /// # Errors
    /// When a queue does not stop.
    pub(crate) fn stop(&mut self, nic: &mut RawNic) -> Result<(), Failure> {
        for page in [regs::rx_page(0), regs::tx_page(0)] {
            nic.write(page + regs::tx_ctrl::OFFSET, 0)?;
            let status = page + regs::tx_status::OFFSET;
            nic.wait_clear(status, regs::tx_status::RUNNING, "stopping a queue")?;
        }
        Ok(nic.write(regs::ctrl::OFFSET, 0)?)
    }

    /// Whether both queues run.
    fn look(&self, nic: &mut RawNic) -> Result<(), Failure> {
        for (name, page) in [
            ("transmit", regs::tx_page(0)),
            ("receive", regs::rx_page(0)),
        ] {
            let status = nic.read(page + regs::tx_status::OFFSET)?;
            let error = regs::tx_status::ERROR.get(status);
            if error != 0 || regs::tx_status::RUNNING.get(status) == 0 {
                return Err(Failure::Wrong(format!(
                    "the {name} queue does not run: STATUS is {status:#010x}, error {error}"
                )));
            }
        }
        Ok(())
    }

    fn slot_at(&self, slot: u16) -> usize {
        SLOT_AREA + (usize::from(slot) << self.slot_log2)
    }

    /// Puts a slot into the receive ring, nothing of a frame in it.
    fn post(&mut self, slot: u16) {
        let clean = vec![GUARD; 1 << self.slot_log2];
        self.memory.write(self.slot_at(slot), &clean);
        let entry = usize::from(self.posted % ENTRIES);
        self.memory.store_u16(RXQ + 2 * entry, slot);
        self.posted = self.posted.wrapping_add(1);
    }

    fn ring(
        nic: &mut RawNic,
        page: u32,
        producer: u16,
        consumer: u16,
        arm: bool,
    ) -> Result<(), Failure> {
        let word = doorbell::PRODUCER.of(producer.into())
            | doorbell::CONSUMER.of(consumer.into())
            | doorbell::ARM.of(arm.into());
        barriers::before_doorbell();
        Ok(nic.write(page + regs::tx_doorbell::OFFSET, word)?)
    }

    fn ring_rx(&self, nic: &mut RawNic) -> Result<(), Failure> {
        Self::ring(nic, regs::rx_page(0), self.posted, self.rx_read, false)
    }

    /// Asks for an interrupt at the next transmit completion.
    ///
    /// # Errors
    /// When the device cannot be accessed.
    pub(crate) fn arm(&self, nic: &mut RawNic) -> Result<(), Failure> {
        Self::ring(nic, regs::tx_page(0), self.submitted, self.tx_read, true)
    }

    /// The next entry of a completion ring, of which `read` were read.
    fn completion(&self, ring: usize, read: u16) -> Option<Cqe> {
        let at = ring + usize::from(read % ENTRIES) * ENTRY_SIZE;
        let last = self.memory.load_acquire(at + 12);
        let words = [0, 4, 8].map(|offset| self.memory.load(at + offset));
        let cqe = Cqe::from_words([words[0], words[1], words[2], last]);
        let is_first_pass = (read / ENTRIES).is_multiple_of(2);
        (cqe.phase == is_first_pass).then_some(cqe)
    }

    /// Waits for an entry of a completion ring.
    fn wait(
        &self,
        nic: &mut RawNic,
        (ring, read): (usize, u16),
        what: &str,
    ) -> Result<Cqe, Failure> {
        let until = self.clock.now() + LIMIT_NS;
        let mut pause = 5_000;
        loop {
            if let Some(cqe) = self.completion(ring, read) {
                return Ok(cqe);
            }
            if self.clock.now() >= until {
                self.look(nic)?;
                let seconds = LIMIT_NS / 1_000_000_000;
                return Err(Failure::Wrong(format!("{what}: nothing in {seconds} s")));
            }
            self.pause(pause)?;
            pause = (2 * pause).min(1_000_000);
        }
    }

    fn pause(&self, ns: u64) -> Result<(), Failure> {
        let until = self.clock.now() + ns;
        self.clock
            .wait(&[], Some(until))
            .map_err(|e| Failure::Wrong(format!("waiting: {e}")))
    }

    /// Writes a frame and its descriptors.
    fn submit(&mut self, place: usize, frame: &Sent) {
        let start = FRAMES + place * FRAME_ROOM + frame.offset;
        self.memory.write(start, &frame.bytes);
        let mut at = start;
        for (n, len) in frame.pieces.iter().enumerate() {
            let first = n == 0;
            let last = n + 1 == frame.pieces.len();
            let set = |on: bool, flag: u16| if on { flag } else { 0 };
            let sqe = Sqe {
                iova: self.iova + at as u64,
                len: *len as u16,
                flags: set(first, fl::SOP | fl::RAW)
                    | set(first && frame.timestamp, fl::TS_REQ)
                    | set(last, fl::EOP | fl::CPL_REQ),
                ..Sqe::default()
            };
            self.put(sqe);
            at += len;
        }
    }

    fn put(&mut self, sqe: Sqe) {
        let entry = SQ + usize::from(self.submitted % ENTRIES) * ENTRY_SIZE;
        for (word, value) in sqe.to_words().into_iter().enumerate() {
            self.memory.store(entry + 4 * word, value);
        }
        self.submitted = self.submitted.wrapping_add(1);
    }

    /// Has the device read a frame from where nothing is mapped: it must be refused.
    ///
    /// # Errors
    /// When it was not.
    pub(crate) fn read_outside(&mut self, nic: &mut RawNic) -> Result<(), Failure> {
        self.put(Sqe {
            iova: self.iova + OUTSIDE,
            len: 100,
            flags: fl::SOP | fl::RAW | fl::EOP | fl::CPL_REQ,
            ..Sqe::default()
        });
        Self::ring(nic, regs::tx_page(0), self.submitted, self.tx_read, false)?;
        let what = "the completion of a frame outside the memory";
        let sent = self.wait(nic, (TXCQ, self.tx_read), what)?;
        self.tx_read = self.tx_read.wrapping_add(1);
        match sent.status & DMA_ERR {
            0 => Err(Failure::Wrong(format!(
                "the device has read memory that it was not given, at {:#x}: status {:#06x}",
                self.iova + OUTSIDE,
                sent.status
            ))),
            _ => Ok(()),
        }
    }

    /// Whether the slots that are told to the device next are where nothing is mapped.
    pub(crate) fn slots_outside(&mut self, outside: bool) {
        self.slots_iova = self.iova + if outside { OUTSIDE } else { SLOT_AREA as u64 };
    }

    /// All that the device has no business to write when its slots are elsewhere.
    fn own_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.memory.len()];
        self.memory.read(0, &mut bytes);
        for ring in [TXCQ, RXCQ] {
            bytes[ring..ring + (ENTRY_SIZE << LOG2)].fill(0);
        }
        bytes
    }

    /// Has the device write a frame to where nothing is mapped: no byte of the memory may change.
    ///
    /// # Errors
    /// When one has.
    pub(crate) fn write_outside(&mut self, nic: &mut RawNic, frame: &Sent) -> Result<(), Failure> {
        self.submit(0, frame);
        let before = self.own_bytes();
        Self::ring(nic, regs::tx_page(0), self.submitted, self.tx_read, false)?;
        self.wait(
            nic,
            (TXCQ, self.tx_read),
            "the completion of a frame that was sent",
        )?;
        self.tx_read = self.tx_read.wrapping_add(1);
        let what = "a frame that came to a slot outside the memory";
        self.wait(nic, (RXCQ, self.rx_read), what)?;
        self.rx_read = self.rx_read.wrapping_add(1);
        let after = self.own_bytes();
        match before.iter().zip(&after).position(|(b, a)| b != a) {
            Some(n) => Err(Failure::Wrong(format!(
                "the device was to write outside the memory, and byte {n:#x} of it has changed"
            ))),
            None => Ok(()),
        }
    }

    /// Sends at most [`BATCH`] frames and compares what comes back, byte for byte; gives the times.
    ///
    /// # Errors
    /// What is wrong with which frame.
    pub(crate) fn exchange(
        &mut self,
        nic: &mut RawNic,
        frames: &[Sent],
    ) -> Result<Vec<Returned>, Failure> {
        for (place, frame) in frames.iter().enumerate() {
            self.submit(place, frame);
        }
        Self::ring(nic, regs::tx_page(0), self.submitted, self.tx_read, false)?;
        let mut returned = Vec::new();
        for frame in frames {
            let len = frame.bytes.len();
            let what = format!("the completion of a frame of {len} bytes that was sent");
            let sent = self.wait(nic, (TXCQ, self.tx_read), &what)?;
            self.tx_read = self.tx_read.wrapping_add(1);
            if sent.status & !TS_VALID != 0 {
                return Err(Failure::Wrong(format!(
                    "a frame of {len} bytes at offset {} was not sent: status {:#06x}",
                    frame.offset, sent.status
                )));
            }
            let what = format!("a frame of {len} bytes that was looped back");
            let came = self.wait(nic, (RXCQ, self.rx_read), &what)?;
            self.compare(frame, &came)?;
            self.rx_read = self.rx_read.wrapping_add(1);
            self.post(came.index);
            let time = |cqe: &Cqe| (cqe.status & TS_VALID != 0).then_some(cqe.timestamp);
            returned.push(Returned {
                left: time(&sent).filter(|_| frame.timestamp),
                came: time(&came),
            });
        }
        self.ring_rx(nic)?;
        Self::ring(nic, regs::tx_page(0), self.submitted, self.tx_read, false)?;
        Ok(returned)
    }

    fn compare(&self, frame: &Sent, came: &Cqe) -> Result<(), Failure> {
        let len = frame.bytes.len();
        let wrong = |what: String| {
            Err(Failure::Wrong(format!(
                "a frame of {len} bytes sent from offset {} in pieces of {:?} bytes: {what}",
                frame.offset, frame.pieces
            )))
        };
        if came.status & !TS_VALID != 0 {
            return wrong(format!("came with status {:#06x}", came.status));
        }
        if usize::from(came.len) != len {
            return wrong(format!("came with {} bytes", came.len));
        }
        if came.index >= SLOTS {
            return wrong(format!("came in slot {}", came.index));
        }
        let mut bytes = vec![0; len + GUARD_BYTES];
        self.memory.read(self.slot_at(came.index), &mut bytes);
        let differing = (0..len).find(|n| bytes[*n] != frame.bytes[*n]);
        if let Some(n) = differing {
            return wrong(format!(
                "byte {n} is {:#04x} where {:#04x} was sent, in slot {}",
                bytes[n], frame.bytes[n], came.index
            ));
        }
        match bytes[len..].iter().position(|b| *b != GUARD) {
            Some(n) => wrong(format!(
                "byte {n} behind it in slot {} was written to",
                came.index
            )),
            None => Ok(()),
        }
    }
}
