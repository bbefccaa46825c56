//! A NIC in plain Rust behind `Device`: registers in a map, and the hardware's side of the rings played on demand by the test.
//!
//! It keeps free-running 64-bit counts and notes every breach of the contract by the driver in `complaints`.

use ferrule_abi::regs::{self, queue_error};
use ferrule_abi::ring::{cqe_status, doorbell, sqe_flags, Cqe, Event, Sqe};
use ferrule_abi::{BAR_REGS, BAR_REGS_SIZE};
use ferrule_driver::nic::{Nic, NicConfig, NicError};
use ferrule_driver::{Clock, Device, DeviceError, DmaBuf, Registers};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// The MAC address that the fake has of its own.
pub(crate) const MAC: [u8; 6] = [0x02, 0x11, 0x22, 0x33, 0x44, 0x55];

/// A clock that jumps to whatever is waited for.
#[derive(Default)]
pub(crate) struct JumpClock(AtomicU64);

impl JumpClock {
    pub(crate) fn advance(&self, ns: u64) {
        self.0.fetch_add(ns, Ordering::Relaxed);
    }
}

impl Clock for JumpClock {
    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
    fn wait(&self, _: &[BorrowedFd<'_>], deadline_ns: Option<u64>) -> io::Result<()> {
        self.0
            .fetch_max(deadline_ns.expect("a deadline"), Ordering::Relaxed);
        Ok(())
    }
}

/// The smallest rings there are: they wrap soonest.
pub(crate) fn small() -> NicConfig {
    NicConfig {
        sq_log2: 4,
        txcq_log2: 4,
        rxq_log2: 4,
        rxcq_log2: 4,
        event_log2: 4,
        slots: 16,
        ..NicConfig::default()
    }
}

/// What the driver did that is not a register write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Reset,
    Map(u64, usize),
    Unmap(u64, usize),
    Msix(usize),
    BusMaster(bool),
    Enable(u32, bool),
    PortControl(u32),
}

/// The producing side of a completion ring.
#[derive(Clone, Debug, Default)]
pub(crate) struct Producer {
    written: u64,
    read: u64,
    armed: bool,
}

/// A frame that the fake took from the SQ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) bytes: Vec<u8>,
    /// Flags of the first SQE.
    pub(crate) flags: u16,
    /// Its VLAN tag control information.
    pub(crate) tci: u16,
    /// A completion was asked for.
    pub(crate) wanted: bool,
    /// Index of the last SQE, modulo the ring.
    pub(crate) index: u16,
    /// Of one that is to be cut: bytes of headers, MSS, and bytes of payload as the second SQE tells.
    pub(crate) segments: Option<(u16, u16, Option<u16>)>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) regs: BTreeMap<u32, u32>,
    pub(crate) ops: Vec<Op>,
    pub(crate) complaints: Vec<String>,
    pub(crate) reads: u64,
    /// Bits of registers that this build does not have.
    pub(crate) absent: BTreeMap<u32, u32>,
    pub(crate) doorbells: u64,
    pub(crate) gone: bool,
    /// Register writes fail (with whatever error).
    pub(crate) unreachable: bool,
    /// STATUS.RESETTING stays for this many reads.
    pub(crate) resetting: u32,
    /// STATUS.RUNNING of a disabled queue stays for this many reads.
    pub(crate) lingering: u32,
    /// Its registers cannot be shared.
    pub(crate) for_one_thread: bool,
    /// DMA_UNMAP fails (with whatever error).
    pub(crate) keep_memory: bool,
    /// Where it sees all memory, if it has no say in that.
    pub(crate) bus_address: Option<u64>,
    /// A queue's STATUS register that reads this once the queue is enabled.
    pub(crate) refuse: Option<(u32, u32)>,
    pub(crate) counters: BTreeMap<u32, u64>,
    /// Entries of the ARP cache that are not free, by their places: the words ARP_ENTRY_ADDR to ARP_ENTRY.
    pub(crate) arp_entries: BTreeMap<u32, [u32; 4]>,
    /// ARP_CMD as written.
    pub(crate) arp_commands: Vec<u32>,
    /// ARP_ENTRY.RESULT of commands that add or delete.
    pub(crate) arp_result: u32,
    /// ARP_ENTRY.BUSY stays for this many reads.
    pub(crate) arp_busy: u32,
    config: Vec<u8>,
    maps: BTreeMap<u64, DmaBuf>,
    irqs: Vec<OwnedFd>,
    cqs: [Producer; PAGES.len()],
    pairs: [PairState; regs::QUEUE_PAIRS as usize],
}

/// What the device knows of a queue pair's SQ and RXQ.
#[derive(Default)]
struct PairState {
    sq_posted: u64,
    sq_taken: u64,
    rxq_posted: u64,
    rxq_taken: u64,
    /// Slots that the driver lent.
    slots: VecDeque<u16>,
    lent: Vec<bool>,
}

pub(crate) const EVENTS: usize = 0;
/// Queues of pair 0; those of pair n come 2n behind them, as their pages do.
pub(crate) const TX: usize = 1;
pub(crate) const RX: usize = 2;
pub(crate) const PAGES: [u32; regs::PAGES as usize] = {
    let mut pages = [regs::event_page(); regs::PAGES as usize];
    let mut pair = 0;
    while pair < regs::QUEUE_PAIRS {
        pages[2 * pair as usize + TX] = regs::tx_page(pair);
        pages[2 * pair as usize + RX] = regs::rx_page(pair);
        pair += 1;
    }
    pages
};

/// The transmit queue of a pair.
pub(crate) fn tx(pair: usize) -> usize {
    2 * pair + TX
}

/// The receive queue of a pair.
pub(crate) fn rx(pair: usize) -> usize {
    2 * pair + RX
}

/// The test's hold on the fake.
#[derive(Clone)]
pub(crate) struct Fake(pub(crate) Arc<Mutex<State>>);

impl Fake {
    pub(crate) fn new() -> Self {
        let mut state = State {
            config: vec![0; 256],
            ..State::default()
        };
        for register in regs::PORT {
            state.regs.insert(register.offset, register.reset);
        }
        state.power_on();
        Self(Arc::new(Mutex::new(state)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn open(&self, config: &NicConfig) -> Result<Nic, NicError> {
        self.open_on(Arc::new(JumpClock::default()), config)
    }

    pub(crate) fn open_on(
        &self,
        clock: Arc<JumpClock>,
        config: &NicConfig,
    ) -> Result<Nic, NicError> {
        Nic::open(Box::new(FakeDevice(self.clone())), clock, config)
    }

    /// The driver kept to the contract.
    #[track_caller]
    pub(crate) fn assert_content(&self) {
        assert_eq!(self.lock().complaints, Vec::<String>::new());
    }
}

fn catch_up(count: u64, index: u32) -> u64 {
    count + u64::from(index.wrapping_sub(count as u32) & 0x7FFF)
}

impl State {
    /// As after a reset that was not the driver's: no queue runs, and who sends interrupts instead is the link to the device.
    pub(crate) fn lose_state(&mut self) {
        self.regs.clear();
        for register in regs::PORT {
            self.regs.insert(register.offset, register.reset);
        }
        self.power_on();
        self.call_all();
    }

    /// All vectors at once.
    pub(crate) fn call_all(&mut self) {
        for irq in &self.irqs {
            rustix::io::write(irq, &1u64.to_ne_bytes()).unwrap();
        }
    }

    fn power_on(&mut self) {
        let [a, b, c, d, e, f] = MAC;
        self.regs
            .insert(regs::mac_lo::OFFSET, u32::from_le_bytes([a, b, c, d]));
        self.regs
            .insert(regs::mac_hi::OFFSET, u16::from_le_bytes([e, f]).into());
    }

    pub(crate) fn reg(&self, offset: u32) -> u32 {
        self.regs.get(&offset).copied().unwrap_or(0)
    }

    fn pair(&self, low: u32, high: u32) -> u64 {
        u64::from(self.reg(high)) << 32 | u64::from(self.reg(low))
    }

    fn complain(&mut self, text: String) {
        self.complaints.push(text);
    }

    /// The memory at an I/O virtual address, as the IOMMU sees it.
    pub(crate) fn dma(&self, iova: u64, len: usize) -> (&DmaBuf, usize) {
        let (start, buf) = self
            .maps
            .range(..=iova)
            .next_back()
            .expect("DMA to what is mapped");
        let offset = (iova - start) as usize;
        assert!(offset + len <= buf.len(), "DMA beyond the mapping");
        (buf, offset)
    }

    pub(crate) fn mapped(&self) -> usize {
        self.maps.len()
    }

    fn running(&self, queue: usize) -> bool {
        self.reg(PAGES[queue] + regs::event_ctrl::OFFSET) == 1
    }

    fn cq_log2(&self, queue: usize) -> u32 {
        regs::event_cfg::CQ_LOG2.get(self.reg(PAGES[queue] + regs::event_cfg::OFFSET))
    }

    /// Whether there is room for a completion.
    pub(crate) fn cq_room(&self, queue: usize) -> bool {
        let cq = &self.cqs[queue];
        cq.written - cq.read < 1 << self.cq_log2(queue)
    }

    /// Writes an entry (its phase is set here) to a completion ring, as DMA does, and fires the interrupt if armed.
    pub(crate) fn complete(&mut self, queue: usize, mut words: [u32; 4]) {
        assert!(self.cq_room(queue), "the fake must not overrun the ring");
        let log2 = self.cq_log2(queue);
        let page = PAGES[queue];
        let base = self.pair(
            page + regs::event_cq_base_lo::OFFSET,
            page + regs::event_cq_base_hi::OFFSET,
        );
        let written = self.cqs[queue].written;
        let phase = (written >> log2) & 1 == 0;
        words[3] = words[3] & 0x7FFF_FFFF | u32::from(phase) << 31;
        let at = base + (written & ((1 << log2) - 1)) * 16;
        let (buf, offset) = self.dma(at, 16);
        for (i, word) in words[..3].iter().enumerate() {
            buf.store(offset + 4 * i, *word);
        }
        buf.store_release(offset + 12, words[3]);
        self.cqs[queue].written += 1;
        self.fire(queue);
    }

    fn fire(&mut self, queue: usize) {
        let cq = &mut self.cqs[queue];
        if cq.armed && cq.written > cq.read {
            cq.armed = false;
            let vector =
                regs::event_cfg::VECTOR.get(self.reg(PAGES[queue] + regs::event_cfg::OFFSET));
            rustix::io::write(&self.irqs[vector as usize], &1u64.to_ne_bytes()).unwrap();
        }
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.complete(EVENTS, event.to_words());
    }

    /// A frame comes from the wire to pair 0: into a slot, with a completion. False: no slot or no room for a completion.
    pub(crate) fn deliver(&mut self, frame: &[u8], status: u16) -> bool {
        self.deliver_to(0, frame, status)
    }

    /// As [`deliver`](Self::deliver), to another pair.
    pub(crate) fn deliver_to(&mut self, pair: usize, frame: &[u8], status: u16) -> bool {
        if !self.cq_room(rx(pair)) {
            return false;
        }
        let Some(slot) = self.take_slot_of(pair) else {
            return false;
        };
        let size = self.slot_size();
        let stored = &frame[..frame.len().min(size)];
        self.fill_slot_of(pair, slot, stored);
        let truncated = if frame.len() > size {
            cqe_status::TRUNC
        } else {
            0
        };
        let cqe = Cqe {
            len: frame.len() as u16,
            status: status | truncated,
            index: slot,
            ..Cqe::default()
        };
        self.complete(rx(pair), cqe.to_words());
        true
    }

    pub(crate) fn slot_size(&self) -> usize {
        let cfg = self.reg(PAGES[RX] + regs::rx_slot_cfg::OFFSET);
        1 << regs::rx_slot_cfg::STRIDE_LOG2.get(cfg)
    }

    pub(crate) fn fill_slot(&mut self, slot: u16, bytes: &[u8]) {
        self.fill_slot_of(0, slot, bytes);
    }

    fn fill_slot_of(&mut self, pair: usize, slot: u16, bytes: &[u8]) {
        let page = PAGES[rx(pair)];
        let base = self.pair(
            page + regs::rx_slot_base_lo::OFFSET,
            page + regs::rx_slot_base_hi::OFFSET,
        );
        let at = base + u64::from(slot) * self.slot_size() as u64;
        let (buf, offset) = self.dma(at, bytes.len());
        buf.write(offset, bytes);
    }

    /// The next slot that the driver lent; it is the driver's again.
    pub(crate) fn take_slot(&mut self) -> Option<u16> {
        self.take_slot_of(0)
    }

    fn take_slot_of(&mut self, pair: usize) -> Option<u16> {
        let pair = &mut self.pairs[pair];
        let slot = pair.slots.pop_front()?;
        pair.lent[usize::from(slot)] = false;
        Some(slot)
    }

    pub(crate) fn slots_lent(&self) -> usize {
        self.slots_lent_by(0)
    }

    pub(crate) fn slots_lent_by(&self, pair: usize) -> usize {
        self.pairs[pair].slots.len()
    }

    /// Takes the next frame from pair 0's SQ, if there is a whole one; nothing is completed.
    pub(crate) fn take_frame(&mut self) -> Option<Sent> {
        self.take_frame_of(0)
    }

    /// As [`take_frame`](Self::take_frame), from another pair's SQ.
    pub(crate) fn take_frame_of(&mut self, pair: usize) -> Option<Sent> {
        let page = PAGES[tx(pair)];
        let log2 = regs::tx_cfg::SQ_LOG2.get(self.reg(page + regs::tx_cfg::OFFSET));
        let base = self.pair(
            page + regs::tx_sq_base_lo::OFFSET,
            page + regs::tx_sq_base_hi::OFFSET,
        );
        let mut sent: Option<Sent> = None;
        while self.pairs[pair].sq_taken < self.pairs[pair].sq_posted {
            let index = self.pairs[pair].sq_taken & ((1 << log2) - 1);
            let (buf, offset) = self.dma(base + index * 16, 16);
            let words = [0, 4, 8, 12].map(|o| buf.load(offset + o));
            let sqe = Sqe::from_words(words);
            let mut bytes = vec![0; sqe.len.into()];
            let (buf, offset) = self.dma(sqe.iova, bytes.len());
            buf.read(offset, &mut bytes);
            self.pairs[pair].sq_taken += 1;
            let start = sqe.flags & sqe_flags::SOP != 0;
            if start != sent.is_none() || sqe.len == 0 {
                self.complain(format!("SQE {index} out of order: {sqe:?}"));
            }
            let frame = sent.get_or_insert(Sent {
                bytes: Vec::new(),
                flags: sqe.flags,
                tci: sqe.vlan_tci,
                wanted: false,
                index: 0,
                segments: (sqe.flags & sqe_flags::TSO != 0).then_some((sqe.len, sqe.mss, None)),
            });
            if let (Some((_, _, said @ None)), false) = (&mut frame.segments, start) {
                *said = Some(sqe.tso_bytes());
            }
            frame.bytes.extend(bytes);
            if sqe.flags & sqe_flags::EOP != 0 {
                frame.wanted = sqe.flags & sqe_flags::CPL_REQ != 0;
                frame.index = index as u16;
                return sent;
            }
        }
        if sent.is_some() {
            self.complain("a frame without its end".into());
        }
        None
    }

    /// Takes a frame and completes it as sent, if that was asked for.
    pub(crate) fn transmit(&mut self) -> Option<Sent> {
        self.transmit_of(0)
    }

    /// As [`transmit`](Self::transmit), of another pair.
    pub(crate) fn transmit_of(&mut self, pair: usize) -> Option<Sent> {
        let sent = self.take_frame_of(pair)?;
        if sent.wanted {
            self.complete_frame(pair, sent.index, 0, 0);
        }
        Some(sent)
    }

    pub(crate) fn tx_complete(&mut self, index: u16, status: u16, hash: u32) {
        self.complete_frame(0, index, status, hash);
    }

    fn complete_frame(&mut self, pair: usize, index: u16, status: u16, hash: u32) {
        let cqe = Cqe {
            status,
            hash,
            index,
            ..Cqe::default()
        };
        self.complete(tx(pair), cqe.to_words());
    }

    fn write(&mut self, offset: u32, value: u32) {
        if offset == regs::ctrl::OFFSET {
            if regs::ctrl::RESET.get(value) == 1 {
                self.ops.push(Op::Reset);
                let mac = [regs::mac_lo::OFFSET, regs::mac_hi::OFFSET].map(|r| (r, self.reg(r)));
                self.regs.clear();
                for register in regs::PORT {
                    self.regs.insert(register.offset, register.reset);
                }
                self.regs.extend(mac);
                return;
            }
            self.ops.push(Op::PortControl(value));
        }
        if offset == regs::arp_cmd::OFFSET {
            self.arp_commands.push(value);
            self.arp_command(value);
        }
        let queue = PAGES
            .iter()
            .position(|p| (*p..*p + regs::QUEUE_PAGE_SIZE).contains(&offset));
        match queue.map(|q| (q, offset - PAGES[q])) {
            Some((q, o)) if o == regs::event_doorbell::OFFSET => return self.doorbell(q, value),
            Some((q, o)) if o == regs::event_ctrl::OFFSET => {
                self.ops.push(Op::Enable(q as u32, value == 1));
                if value == 1 {
                    self.cqs[q] = Producer::default();
                    let cfg = self.reg(PAGES[q] + regs::rx_slot_cfg::OFFSET);
                    let count = regs::rx_slot_cfg::COUNT.get(cfg);
                    if let Some(pair) = q.checked_sub(1).map(|q| &mut self.pairs[q / 2]) {
                        match q % 2 {
                            TX => (pair.sq_posted, pair.sq_taken) = (0, 0),
                            _ => {
                                (pair.rxq_posted, pair.rxq_taken) = (0, 0);
                                pair.slots.clear();
                                pair.lent = vec![false; count as usize];
                            }
                        }
                    }
                }
            }
            Some((q, o)) if self.running(q) => {
                self.complain(format!("queue {q} runs, but {o:#x} is written"))
            }
            _ => {}
        }
        self.regs.insert(offset, value);
    }

    fn arp_command(&mut self, value: u32) {
        if regs::arp_cmd::OP.get(value) != regs::arp_op::READ {
            let result = regs::arp_entry::RESULT.of(self.arp_result);
            self.regs.insert(regs::arp_entry::OFFSET, result);
            return;
        }
        let place = regs::arp_cmd::PLACE.get(value);
        let words = self.arp_entries.get(&place).copied().unwrap_or_default();
        let offsets = [
            regs::arp_entry_addr::OFFSET,
            regs::arp_entry_age::OFFSET,
            regs::arp_entry_mac::OFFSET,
            regs::arp_entry::OFFSET,
        ];
        self.regs.extend(offsets.into_iter().zip(words));
    }

    fn doorbell(&mut self, q: usize, value: u32) {
        self.doorbells += 1;
        if !self.running(q) {
            return self.complain(format!("a doorbell for queue {q}, which is off"));
        }
        let read = catch_up(self.cqs[q].read, doorbell::CONSUMER.get(value));
        if read > self.cqs[q].written {
            return self.complain(format!("queue {q}: consumer passes producer: {read}"));
        }
        self.cqs[q].read = read;
        let producer = doorbell::PRODUCER.get(value);
        match (q, q % 2) {
            (EVENTS, _) => {}
            (_, TX) => {
                let cfg = self.reg(PAGES[q] + regs::tx_cfg::OFFSET);
                let pair = &mut self.pairs[q / 2];
                pair.sq_posted = catch_up(pair.sq_posted, producer);
                if pair.sq_posted - pair.sq_taken > 1 << regs::tx_cfg::SQ_LOG2.get(cfg) {
                    let posted = pair.sq_posted;
                    self.complain(format!("SQ overrun of queue {q}: {posted}"));
                }
            }
            _ => self.new_slots((q - 1) / 2, producer),
        }
        if doorbell::ARM.get(value) == 1 {
            self.cqs[q].armed = true;
            self.fire(q);
        }
    }

    fn new_slots(&mut self, number: usize, producer: u32) {
        let page = PAGES[rx(number)];
        let log2 = regs::rx_cfg::RXQ_LOG2.get(self.reg(page + regs::rx_cfg::OFFSET));
        let base = self.pair(
            page + regs::rx_rxq_base_lo::OFFSET,
            page + regs::rx_rxq_base_hi::OFFSET,
        );
        let posted = catch_up(self.pairs[number].rxq_posted, producer);
        self.pairs[number].rxq_posted = posted;
        while self.pairs[number].rxq_taken < posted {
            let at = base + (self.pairs[number].rxq_taken & ((1 << log2) - 1)) * 2;
            let mut bytes = [0; 2];
            let (buf, offset) = self.dma(at, 2);
            buf.read(offset, &mut bytes);
            let slot = u16::from_le_bytes(bytes);
            let pair = &mut self.pairs[number];
            match pair.lent.get_mut(usize::from(slot)) {
                Some(lent) if !*lent => *lent = true,
                other => {
                    let text = format!("slot {slot} lent wrongly: {other:?}");
                    return self.complain(text);
                }
            }
            pair.slots.push_back(slot);
            pair.rxq_taken += 1;
        }
        if self.pairs[number].slots.len() > 1 << log2 {
            self.complain("more slots than the RXQ holds".into());
        }
    }

    fn read(&mut self, offset: u32) -> u32 {
        self.reads += 1;
        if self.gone {
            return u32::MAX;
        }
        if offset == regs::status::OFFSET && self.resetting > 0 {
            self.resetting -= 1;
            return self.reg(offset) | regs::status::RESETTING.of(1);
        }
        if offset == regs::arp_entry::OFFSET && self.arp_busy > 0 {
            self.arp_busy -= 1;
            return self.reg(offset) | regs::arp_entry::BUSY.of(1);
        }
        for (q, page) in PAGES.iter().enumerate() {
            if offset == page + regs::event_status::OFFSET {
                let lingers = self.lingering > 0;
                self.lingering = self.lingering.saturating_sub(1);
                if let Some((_, value)) = self.refuse.filter(|r| r.0 == offset && self.running(q)) {
                    return value;
                }
                let runs = self.running(q) || lingers;
                return self.reg(offset) | regs::event_status::RUNNING.of(runs.into());
            }
        }
        let counters = regs::counters::REGISTER;
        if (counters.offset..counters.offset + 4 * counters.count).contains(&offset) {
            let word = (offset - counters.offset) / 4;
            let value = self.counters.get(&(word / 2)).copied().unwrap_or(0);
            return (value >> (32 * (word % 2))) as u32;
        }
        self.reg(offset)
    }

    /// The device stops a queue and tells so.
    pub(crate) fn stop_queue(&mut self, q: usize) {
        let error = regs::event_status::ERROR.of(queue_error::BAD_INDEX);
        self.regs
            .insert(PAGES[q] + regs::event_status::OFFSET, error);
        let event = Event {
            code: ferrule_abi::ring::event_code::QUEUE_ERROR,
            detail: q as u16,
            ..Event::default()
        };
        self.event(event);
    }
}

pub(crate) struct FakeDevice(pub(crate) Fake);

impl Registers for FakeDevice {
    fn read32(&mut self, bar: u8, offset: u32) -> Result<u32, DeviceError> {
        assert!(bar == BAR_REGS && offset.is_multiple_of(4) && offset < BAR_REGS_SIZE);
        let mut state = self.0.lock();
        let absent = state.absent.get(&offset).copied().unwrap_or(0);
        Ok(state.read(offset) & !absent)
    }
    fn write32(&mut self, bar: u8, offset: u32, value: u32) -> Result<(), DeviceError> {
        assert!(bar == BAR_REGS && offset.is_multiple_of(4) && offset < BAR_REGS_SIZE);
        let mut state = self.0.lock();
        if state.unreachable {
            return Err(DeviceError::NoReset);
        }
        state.write(offset, value);
        Ok(())
    }
}

impl Device for FakeDevice {
    fn backend(&self) -> &'static str {
        "fake"
    }
    fn share_registers(&mut self) -> Result<Option<Box<dyn Registers>>, DeviceError> {
        let shared = !self.0.lock().for_one_thread;
        Ok(shared.then(|| Box::new(Self(self.0.clone())) as _))
    }
    fn config_read(&mut self, offset: u16, data: &mut [u8]) -> Result<(), DeviceError> {
        let at = usize::from(offset);
        data.copy_from_slice(&self.0.lock().config[at..at + data.len()]);
        Ok(())
    }
    fn config_write(&mut self, offset: u16, data: &[u8]) -> Result<(), DeviceError> {
        let at = usize::from(offset);
        let mut state = self.0.lock();
        let before = state.config[4] & 4;
        state.config[at..at + data.len()].copy_from_slice(data);
        let after = state.config[4] & 4;
        if before != after {
            state.ops.push(Op::BusMaster(after != 0));
        }
        Ok(())
    }
    fn bus_address(&self, _: &DmaBuf) -> Result<Option<u64>, DeviceError> {
        Ok(self.0.lock().bus_address)
    }
    fn dma_map(&mut self, iova: u64, buf: &DmaBuf) -> Result<(), DeviceError> {
        let mut state = self.0.lock();
        state.ops.push(Op::Map(iova, buf.len()));
        state.maps.insert(iova, buf.clone());
        Ok(())
    }
    fn dma_unmap(&mut self, iova: u64, len: usize) -> Result<(), DeviceError> {
        let mut state = self.0.lock();
        if state.keep_memory {
            return Err(DeviceError::NoReset);
        }
        state.ops.push(Op::Unmap(iova, len));
        assert_eq!(state.maps.remove(&iova).map(|b| b.len()), Some(len));
        Ok(())
    }
    fn enable_msix(&mut self, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        let mut state = self.0.lock();
        state.ops.push(Op::Msix(eventfds.len()));
        state.irqs = eventfds
            .iter()
            .map(|fd| fd.try_clone_to_owned().unwrap())
            .collect();
        Ok(())
    }
    fn swap_vectors(&mut self, first: u16, eventfds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        let mut state = self.0.lock();
        for (slot, fd) in state.irqs[first.into()..].iter_mut().zip(eventfds) {
            *slot = fd.try_clone_to_owned().unwrap();
        }
        Ok(())
    }
    fn disable_msix(&mut self) -> Result<(), DeviceError> {
        let mut state = self.0.lock();
        state.ops.push(Op::Msix(0));
        state.irqs.clear();
        Ok(())
    }
    fn reset(&mut self) -> Result<(), DeviceError> {
        Err(DeviceError::NoReset)
    }
}
