//! The host's end of the PCIe link: answers the device's reads and writes from mapped memory, turns register accesses into TLPs and MSI-X
//! messages into wake-ups, and counts.
//!
//! Ordering: what goes to the device leaves in the order in which it arose, except that a register read which waits for a free tag is
//! passed (PCI Express Base Specification 2.1, table 2-23); what comes from the device is acted upon in the order it comes, so that
//! everything the device wrote before it answered a register read is in memory when the answer is handed out.
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use ferrule_abi::{regs, BAR_MSIX, BAR_REGS};
use ferrule_rtl::pins::{Inputs, Outputs, TlpBeat};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::config_space::{ConfigSpace, Way};
use crate::dma::DmaTable;
use crate::tlp::{enabled_ranges, to_beats, Assembler, Status, Tlp, TlpError};

mod interrupts;
mod pinless;
mod stats;
#[cfg(test)]
mod tests;
mod whole;

pub use interrupts::Interrupt;
pub use pinless::Access;
pub use stats::{Flow, TlpStats, FRAMING_BYTES};

use interrupts::{TableWrite, Vectors};

/// The device's bus, device and function.
pub const DEVICE_ID: u16 = 0x0100;
/// The root complex' own.
const HOST_ID: u16 = 0x0000;
/// Register reads that may be under way at once.
const TAGS: u8 = 32;
/// A register read that is not answered within this many cycles reads all-ones; 65 us at 125 MHz (the specification allows from 50 us).
const REGISTER_TIMEOUT_CYCLES: u64 = 8192;
/// Cycles for which a reset is held.
const RESET_CYCLES: u32 = 16;
/// Read completion boundary of a root complex: it splits completions only at multiples of this (section 2.3.1.1).
const RCB_BYTES: u64 = 64;

/// How answers to the device's reads are split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// At multiples of the largest payload: as few completions as can be.
    #[default]
    Largest,
    /// At every multiple of 64 bytes, as many root complexes do.
    Cacheline,
    /// At random ones, with random delays, so that the answers to different reads interleave and overtake each other.
    Random {
        /// Seed.
        seed: u64,
    },
}

/// Settings of a root complex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// From a read request of the device to its first completion, in nanoseconds.
    pub read_latency_ns: u64,
    /// How answers are split.
    pub split: Split,
    /// How many ports the device has, 1 to [`ferrule_abi::MAX_PORTS`]: so large is BAR0, and so many vectors there are.
    pub ports: u8,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            read_latency_ns: 1_000,
            split: Split::Largest,
            ports: 1,
        }
    }
}

/// Stands for a register read under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReadId(u64);

/// Something for the device that has not left yet.
enum Downstream {
    Write {
        bar: u8,
        tlp: Tlp,
    },
    Read {
        bar: u8,
        id: ReadId,
        addr: u64,
        first_be: u8,
    },
    Completion(Tlp),
}

struct RegisterRead {
    id: ReadId,
    sent_at_cycle: u64,
}

/// Something that happens at a time.
enum Event {
    /// A read of the device reaches memory.
    Read(DeviceRead),
    /// A completion starts its way to the device.
    Send(Tlp),
}

#[derive(Clone, Copy)]
struct DeviceRead {
    tag: u8,
    addr: u64,
    dwords: u16,
    first_be: u8,
    last_be: u8,
}

impl DeviceRead {
    /// First byte that is asked for, and how many: byte count of table 2-37. A read without any byte enable still counts one.
    fn bytes(&self) -> (u64, u64) {
        let start = self.addr + u64::from(self.first_be.trailing_zeros().min(4) % 4);
        let last = match self.dwords {
            1 => self.first_be,
            _ => self.last_be,
        };
        let end =
            self.addr + 4 * u64::from(self.dwords - 1) + u64::from(8 - last.leading_zeros()).max(1);
        (start, end - start)
    }
}

/// The root complex, with the configuration space and the memory that belong to the device.
pub struct RootComplex {
    /// The device's configuration space.
    pub config: ConfigSpace,
    /// The memory the device may reach.
    pub dma: DmaTable,
    settings: Settings,
    random: StdRng,
    vectors: Vectors,
    cycle: u64,
    reset_cycles: u32,
    queue: VecDeque<Downstream>,
    beats: VecDeque<TlpBeat>,
    assembler: Assembler,
    next_read: u64,
    reads: [Option<RegisterRead>; TAGS as usize],
    answers: HashMap<ReadId, u32>,
    events: HashMap<u64, Event>,
    schedule: BinaryHeap<Reverse<(u64, u64)>>,
    next_event: u64,
    /// Tags of the device's reads that are not fully answered.
    device_tags: [bool; 256],
    receiver: Receiver,
    stats: TlpStats,
    last_violation: Option<String>,
}

/// Whether the host has switched the NIC's receiver on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Receiver {
    Off,
    /// And nobody has been told yet.
    JustOn,
    On,
}

impl RootComplex {
    /// A root complex whose device is in reset for the first cycles.
    pub fn new(settings: Settings) -> Self {
        let seed = match settings.split {
            Split::Random { seed } => seed,
            _ => 0,
        };
        let config = ConfigSpace::of(Way::Express, settings.ports);
        Self {
            vectors: Vectors::new(config.vectors()),
            config,
            dma: DmaTable::default(),
            settings,
            random: StdRng::seed_from_u64(seed),
            cycle: 0,
            reset_cycles: RESET_CYCLES,
            queue: VecDeque::new(),
            beats: VecDeque::new(),
            assembler: Assembler::default(),
            next_read: 0,
            reads: [const { None }; TAGS as usize],
            answers: HashMap::new(),
            events: HashMap::new(),
            schedule: BinaryHeap::new(),
            next_event: 0,
            device_tags: [false; 256],
            receiver: Receiver::Off,
            stats: TlpStats::default(),
            last_violation: None,
        }
    }

    /// Sets the pins of a step at `now_ns` that belong to the host side.
    pub fn drive(&mut self, now_ns: u64, inputs: &mut Inputs) {
        self.cycle += 1;
        inputs.reset = self.reset_cycles > 0;
        inputs.completer_id = DEVICE_ID;
        inputs.bus_master = self.config.bus_master();
        inputs.max_payload = self.config.max_payload();
        inputs.max_read = self.config.max_read();
        inputs.msix_enable = self.config.msix_enabled();
        inputs.msix_mask = self.config.msix_masked();
        inputs.tlp_tx_ready = !inputs.reset;
        if inputs.reset {
            inputs.tlp_rx = None;
            self.reset_cycles -= 1;
            return;
        }
        self.run_schedule(now_ns);
        self.time_out();
        if self.beats.is_empty() {
            self.send_next();
        }
        inputs.tlp_rx = self.beats.front().copied();
    }

    /// Takes what came out of a step; `inputs` are those that [`RootComplex::drive`] made for it.
    pub fn observe(&mut self, now_ns: u64, inputs: &Inputs, outputs: &Outputs) {
        if inputs.reset {
            return;
        }
        if inputs.tlp_rx.is_some() && outputs.tlp_rx_ready {
            self.beats.pop_front();
        }
        if let (Some(beat), true) = (outputs.tlp_tx, inputs.tlp_tx_ready) {
            if let Some(dws) = self.assembler.push(beat) {
                self.receive(now_ns, &dws);
            }
        }
    }

    /// Whether nothing is under way in either direction.
    pub fn is_idle(&self) -> bool {
        self.reset_cycles == 0
            && self.queue.is_empty()
            && self.beats.is_empty()
            && !self.assembler.in_tlp()
            && self.events.is_empty()
            && self.reads.iter().all(Option::is_none)
    }

    /// Starts a read of a register: the DW at `offset` of `bar`, `first_be` the bytes wanted. Gives nothing where the device does not
    /// decode memory: such a read is all-ones.
    pub fn read_register(&mut self, bar: u8, offset: u32, first_be: u8) -> Option<ReadId> {
        if !self.config.memory_enabled() {
            return None;
        }
        let id = ReadId(self.next_read);
        self.next_read += 1;
        let addr = self.bar_address(bar, offset);
        self.queue.push_back(Downstream::Read {
            bar,
            id,
            addr,
            first_be,
        });
        Some(id)
    }

    /// The value read, once it is there; all-ones if the device refused the read or did not answer.
    pub fn take_read(&mut self, id: ReadId) -> Option<u32> {
        self.answers.remove(&id)
    }

    /// Writes a register: posted, so it is done when the device takes it. Without memory decoding it goes nowhere.
    pub fn write_register(&mut self, bar: u8, offset: u32, first_be: u8, value: u32) {
        if self.config.memory_enabled() {
            // RX_EN is in the first byte. Whoever asks has the cable of the first port.
            if (bar, offset) == (BAR_REGS, regs::ctrl::OFFSET) && first_be & 1 != 0 {
                self.receiver = match (regs::ctrl::RX_EN.get(value), self.receiver) {
                    (0, _) => Receiver::Off,
                    (_, Receiver::Off) => Receiver::JustOn,
                    (_, on) => on,
                };
            }
            self.post(bar, offset, first_be, 0, value.to_le_bytes().to_vec());
        }
    }

    /// Writes DWs to a BAR from `offset` on, as few TLPs as the largest payload allows: posted, like [`RootComplex::write_register`].
    pub fn write_block(&mut self, bar: u8, offset: u32, values: &[u32]) {
        let most = (128 << self.config.max_payload()) / 4;
        let mut at = 0;
        while at < values.len() && self.config.memory_enabled() {
            let here = offset + 4 * at as u32;
            // No request crosses a 4 KiB border (PCIe 2.1, section 2.2.7).
            let room = (4096 - here as usize % 4096) / 4;
            let n = most.min(room).min(values.len() - at);
            match &values[at..at + n] {
                [value] => self.write_register(bar, here, 0xF, *value),
                some => {
                    let data = some.iter().flat_map(|v| v.to_le_bytes()).collect();
                    self.post(bar, here, 0xF, 0xF, data);
                }
            }
            at += n;
        }
    }

    /// Whether the host has switched the NIC's receiver on (CTRL.RX_EN) since this was asked last.
    pub fn take_receiver_on(&mut self) -> bool {
        let just_on = self.receiver == Receiver::JustOn;
        if just_on {
            self.receiver = Receiver::On;
        }
        just_on
    }

    fn post(&mut self, bar: u8, offset: u32, first_be: u8, last_be: u8, data: Vec<u8>) {
        let tlp = Tlp::MemWrite {
            requester: HOST_ID,
            tag: 0,
            addr: self.bar_address(bar, offset),
            first_be,
            last_be,
            poisoned: false,
            data,
        };
        self.queue.push_back(Downstream::Write { bar, tlp });
    }

    /// The bus address of a register: the BAR as the host has set it, plus the offset.
    fn bar_address(&self, bar: u8, offset: u32) -> u64 {
        let mut base = [0; 4];
        self.config.read(0x10 + 4 * usize::from(bar), &mut base);
        u64::from((u32::from_le_bytes(base) & !0xF).wrapping_add(offset & !3))
    }

    /// Gives an MSI-X vector to somebody, or takes it away: the device's table is written to suit. The host's own accesses never reach
    /// the table, as with the kernel's VFIO.
    pub fn set_vector(&mut self, vector: u16, interrupt: Option<Interrupt>) {
        let writes = self.vectors.set(vector, interrupt);
        self.write_table(writes);
    }

    fn write_table(&mut self, writes: Vec<TableWrite>) {
        for w in writes {
            self.post(BAR_MSIX, w.offset, 0xF, 0, w.value.to_le_bytes().to_vec());
        }
    }

    /// Wakes whoever has a vector, as if the device had asked for it.
    pub fn trigger(&mut self, vector: u16) {
        self.vectors.raise(vector);
    }

    /// Wakes everybody who has a vector: the device has lost its state, and can tell nobody. A driver that finds nothing in its rings looks.
    pub fn trigger_all(&mut self) {
        self.vectors.raise_all();
    }

    /// How many TLPs wait for their way to the device.
    pub fn queued(&self) -> usize {
        self.queue.len() + usize::from(!self.beats.is_empty())
    }

    /// Whether any vector belongs to somebody.
    pub fn has_vectors(&self) -> bool {
        self.vectors.any()
    }

    /// Takes all vectors away and unmaps all memory: the program behind the device is gone. The device should be reset as well.
    pub fn release(&mut self) {
        self.vectors.clear();
        self.dma.clear();
    }

    /// Resets the device: everything under way is forgotten, register reads answer all-ones. Configuration, memory and vectors stay; the
    /// device's MSI-X table is written anew.
    pub fn reset_device(&mut self) {
        self.reset_cycles = RESET_CYCLES;
        self.receiver = Receiver::Off;
        for item in std::mem::take(&mut self.queue) {
            if let Downstream::Read { id, .. } = item {
                self.answers.insert(id, u32::MAX);
            }
        }
        for read in self.reads.iter_mut().filter_map(Option::take) {
            self.answers.insert(read.id, u32::MAX);
        }
        self.beats.clear();
        self.assembler = Assembler::default();
        self.events.clear();
        self.schedule.clear();
        self.device_tags = [false; 256];
        let writes = self.vectors.reprogramme();
        self.write_table(writes);
    }

    /// What was counted so far.
    pub fn stats(&self) -> TlpStats {
        self.stats
    }

    /// The last TLP of the device that broke the protocol, in words.
    pub fn last_violation(&self) -> Option<&str> {
        self.last_violation.as_deref()
    }

    fn violation(&mut self, text: String) {
        tracing::warn!("TLP from the device: {text}");
        self.stats.violations += 1;
        self.last_violation = Some(text);
    }

    fn time_out(&mut self) {
        for read in &mut self.reads {
            if let Some(r) =
                read.take_if(|r| self.cycle - r.sent_at_cycle > REGISTER_TIMEOUT_CYCLES)
            {
                self.stats.register_timeouts += 1;
                self.answers.insert(r.id, u32::MAX);
            }
        }
    }

    /// Makes beats of the next TLP that may leave.
    fn send_next(&mut self) {
        let free_tag = self.reads.iter().position(Option::is_none);
        let may_leave =
            |item: &Downstream| free_tag.is_some() || !matches!(item, Downstream::Read { .. });
        let Some(item) = self
            .queue
            .iter()
            .position(may_leave)
            .and_then(|i| self.queue.remove(i))
        else {
            return;
        };
        let (bar, tlp) = match (item, free_tag) {
            (Downstream::Write { bar, tlp }, _) => (bar, tlp),
            (Downstream::Completion(tlp), _) => (0, tlp),
            (
                Downstream::Read {
                    bar,
                    id,
                    addr,
                    first_be,
                },
                Some(tag),
            ) => {
                self.reads[tag] = Some(RegisterRead {
                    id,
                    sent_at_cycle: self.cycle,
                });
                let tlp = Tlp::MemRead {
                    requester: HOST_ID,
                    tag: tag as u8,
                    addr,
                    dwords: 1,
                    first_be,
                    last_be: 0,
                };
                (bar, tlp)
            }
            (read @ Downstream::Read { .. }, None) => {
                self.queue.push_front(read);
                return;
            }
        };
        let dws = tlp.encode();
        self.stats.down.count(&tlp, dws.len());
        self.beats.extend(to_beats(&dws, bar));
    }

    fn receive(&mut self, now_ns: u64, dws: &[u32]) {
        let tlp = match Tlp::decode(dws) {
            Ok(tlp) => tlp,
            Err(e) => {
                self.refuse_malformed(now_ns, dws, e);
                return;
            }
        };
        self.stats.up.count(&tlp, dws.len());
        match tlp {
            Tlp::MemRead {
                requester,
                tag,
                addr,
                dwords,
                first_be,
                last_be,
            } => {
                if requester != DEVICE_ID {
                    self.violation(format!(
                        "a read of {addr:#x} with requester id {requester:#06x}"
                    ));
                }
                let limit = 128usize << self.config.max_read();
                if usize::from(dwords) * 4 > limit {
                    self.violation(format!(
                        "a read of {dwords} DWs where {limit} bytes is the most"
                    ));
                }
                if std::mem::replace(&mut self.device_tags[usize::from(tag)], true) {
                    self.violation(format!(
                        "a read of {addr:#x} with tag {tag}, which is in use"
                    ));
                }
                let read = DeviceRead {
                    tag,
                    addr,
                    dwords,
                    first_be,
                    last_be,
                };
                let delay = self.settings.read_latency_ns + self.jitter();
                self.at(now_ns + delay, Event::Read(read));
            }
            Tlp::MemWrite {
                requester,
                addr,
                first_be,
                last_be,
                poisoned,
                data,
                ..
            } => {
                if requester != DEVICE_ID {
                    self.violation(format!(
                        "a write to {addr:#x} with requester id {requester:#06x}"
                    ));
                }
                self.write_memory(addr, first_be, last_be, poisoned, &data);
            }
            Tlp::Completion {
                status,
                requester,
                tag,
                poisoned,
                data,
                byte_count,
                ..
            } => {
                let read = self
                    .reads
                    .get_mut(usize::from(tag))
                    .filter(|_| requester == HOST_ID)
                    .and_then(Option::take);
                let Some(read) = read else {
                    self.violation(format!(
                        "a completion for {requester:#06x} tag {tag} that nothing waits for"
                    ));
                    return;
                };
                let value = match (status, <[u8; 4]>::try_from(&data[..])) {
                    (Status::Success, Ok(data)) if !poisoned && (1..=4).contains(&byte_count) => {
                        u32::from_le_bytes(data)
                    }
                    (Status::Success, _) => {
                        self.violation(format!(
                            "a completion of tag {tag} with {} bytes, byte count {byte_count}",
                            data.len()
                        ));
                        u32::MAX
                    }
                    _ => u32::MAX,
                };
                self.answers.insert(read.id, value);
            }
        }
    }

    /// A request that cannot be acted upon is still answered if it wants an answer: the device would wait for it.
    fn refuse_malformed(&mut self, now_ns: u64, dws: &[u32], error: TlpError) {
        self.violation(error.to_string());
        if let (&[dw0, dw1, ..], 0x00 | 0x20) = (dws, dws.first().map_or(0xFF, |d| d >> 24)) {
            let refusal = refusal((dw1 >> 8) as u8, (dw0 & 0x3FF) as u16 * 4, 0);
            self.at(now_ns + self.settings.read_latency_ns, Event::Send(refusal));
        }
    }

    fn write_memory(&mut self, addr: u64, first_be: u8, last_be: u8, poisoned: bool, data: &[u8]) {
        let limit = 128usize << self.config.max_payload();
        if data.len() > limit {
            self.violation(format!(
                "a write of {} bytes where {limit} is the most",
                data.len()
            ));
            return;
        }
        if poisoned || !self.config.bus_master() {
            self.stats.refused_writes += 1;
            return;
        }
        let ranges = enabled_ranges(data.len() / 4, first_be, last_be);
        if Vectors::covers(addr) {
            if first_be == 0xF && self.vectors.message(addr, data) {
                self.stats.interrupts += 1;
            } else {
                self.violation(format!(
                    "a message {data:02x?} to {addr:#x}, which no vector sends"
                ));
            }
            return;
        }
        // All of it is checked before a byte moves.
        let allowed = ranges
            .iter()
            .try_for_each(|r| self.dma.check_write(addr + r.start as u64, r.len()));
        let done = allowed.and_then(|()| {
            ranges
                .into_iter()
                .try_for_each(|r| self.dma.write(addr + r.start as u64, &data[r]))
        });
        if let Err(e) = done {
            tracing::debug!("a write of the device to {addr:#x} is refused: {e}");
            self.stats.refused_writes += 1;
        }
    }

    fn jitter(&mut self) -> u64 {
        match self.settings.split {
            Split::Random { .. } => self.random.random_range(0..500),
            _ => 0,
        }
    }

    fn at(&mut self, due_ns: u64, event: Event) {
        self.schedule.push(Reverse((due_ns, self.next_event)));
        self.events.insert(self.next_event, event);
        self.next_event += 1;
    }

    fn run_schedule(&mut self, now_ns: u64) {
        while let Some(&Reverse((due, id))) = self.schedule.peek() {
            if due > now_ns {
                return;
            }
            self.schedule.pop();
            match self.events.remove(&id) {
                Some(Event::Read(read)) => self.answer(due, &read),
                Some(Event::Send(tlp)) => self.complete(tlp),
                None => {}
            }
        }
    }

    /// Queues a completion; with the last one of a read its tag is free again.
    fn complete(&mut self, tlp: Tlp) {
        if let Tlp::Completion {
            tag,
            status,
            byte_count,
            ref data,
            lower_addr,
            ..
        } = tlp
        {
            let carried = data.len() as u64 - u64::from(lower_addr & 3).min(data.len() as u64);
            if status != Status::Success || u64::from(byte_count) <= carried {
                self.device_tags[usize::from(tag)] = false;
            }
        }
        self.queue.push_back(Downstream::Completion(tlp));
    }

    /// Reads memory and makes the completions (section 2.3.1.1).
    fn answer(&mut self, due_ns: u64, read: &DeviceRead) {
        let (start, count) = read.bytes();
        let mut data = vec![0; usize::from(read.dwords) * 4];
        let from = (start - read.addr) as usize;
        let wanted = if read.first_be == 0 {
            0
        } else {
            count as usize
        };
        let allowed = self.config.bus_master() && !Vectors::covers(read.addr);
        if !allowed
            || self
                .dma
                .read(start, &mut data[from..from + wanted])
                .is_err()
        {
            self.stats.refused_reads += 1;
            self.complete(refusal(read.tag, count as u16, (start & 0x7F) as u8));
            return;
        }
        let payload = 128u64 << self.config.max_payload();
        let (mut at, mut left, mut due) = (start, count, due_ns);
        while left > 0 {
            let step = match self.settings.split {
                Split::Largest => payload,
                Split::Cacheline => RCB_BYTES,
                Split::Random { .. } => {
                    RCB_BYTES * self.random.random_range(1..=payload / RCB_BYTES)
                }
            };
            // A step from the boundary below keeps every border on a multiple of 64 and the payload within its limit.
            let below = match self.settings.split {
                Split::Largest => at & !(payload - 1),
                _ => at & !(RCB_BYTES - 1),
            };
            let len = (below + step - at).min(left);
            let first = ((at & !3) - read.addr) as usize;
            let last = ((at + len).div_ceil(4) * 4 - read.addr) as usize;
            let tlp = Tlp::Completion {
                completer: HOST_ID,
                status: Status::Success,
                byte_count: left as u16,
                requester: DEVICE_ID,
                tag: read.tag,
                lower_addr: (at & 0x7F) as u8,
                poisoned: false,
                data: data[first..last].to_vec(),
            };
            due += self.jitter();
            if due == due_ns {
                self.complete(tlp);
            } else {
                self.at(due, Event::Send(tlp));
            }
            at += len;
            left -= len;
        }
    }
}

/// A completion that says Unsupported Request.
fn refusal(tag: u8, byte_count: u16, lower_addr: u8) -> Tlp {
    Tlp::Completion {
        completer: HOST_ID,
        status: Status::UnsupportedRequest,
        byte_count,
        requester: DEVICE_ID,
        tag,
        lower_addr,
        poisoned: false,
        data: vec![],
    }
}
