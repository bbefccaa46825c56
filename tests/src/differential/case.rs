//! One case: the host's side of the rings, what is compared, and when.
use ferrule_abi::ring::{doorbell, INDEX_MODULUS};
use ferrule_abi::{counter, regs};
use ferrule_sim::root_complex::{ReadId, Settings, Split};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::subject::{HostSetup, Subject};
use super::traffic::{Station, GROUPS, VLANS};
use super::view::View;
use super::Coverage;
use crate::bench::memory::{HostMemory, IOVA, PAGE};
use crate::bench::rings::{CompletionRing, SubmissionRing};

/// Bytes of a transmit buffer; there is one for each SQE.
pub(super) const TX_BUFFER: u64 = 2048;
/// Bits of RXCTL below MAX_FRAME.
pub(super) const RXCTL_BITS: u32 = 0x3FF;
/// Steps of a case.
const STEPS: std::ops::Range<usize> = 3..9;

/// The three queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    Event,
    Tx,
    Rx,
}

impl Queue {
    pub(super) const ALL: [Self; 3] = [Self::Event, Self::Tx, Self::Rx];

    /// Its page.
    pub(super) fn page(self) -> u32 {
        match self {
            Self::Event => regs::event_page(),
            Self::Tx => regs::tx_page(0),
            Self::Rx => regs::rx_page(0),
        }
    }
}

/// A case under way.
pub struct Case<'a> {
    pub(super) subjects: &'a mut [Box<dyn Subject>],
    coverage: &'a mut Coverage,
    pub(super) random: StdRng,
    /// What was done so far, to be read by a human.
    pub steps: Vec<String>,
    pub(super) now_ns: u64,
    /// What is added to an address of the host's to make it the device's.
    pub(super) shift: u64,
    pub(super) memory_end: u64,
    pub(super) sq: SubmissionRing,
    pub(super) txcq: CompletionRing,
    pub(super) rxq: SubmissionRing,
    pub(super) rxcq: CompletionRing,
    pub(super) events: CompletionRing,
    pub(super) buffers: u64,
    pub(super) slots: u64,
    pub(super) slot_count: u16,
    pub(super) stride_log2: u32,
    /// The transmit queue is in PUSH mode.
    pub(super) pushes: bool,
    /// Bytes of frames that were pushed since all was quiet.
    pub(super) pushed: u32,
    /// Slots are used in their order.
    in_order: bool,
    /// Slots that the host holds.
    pub(super) free_slots: Vec<u16>,
    pub(super) own: Station,
    pub(super) max_frame: usize,
    pub(super) ctrl: u32,
    pub(super) link_up: bool,
    /// As the PHY reports it: 0: 10, 1: 100, else 1000 Mbit/s.
    pub(super) speed: u8,
    /// SQEs of a frame that has not ended.
    pub(super) open_sqes: u64,
    /// The TXCQ is not where the host looks.
    pub(super) wild: bool,
    /// Completions that the host cannot read since their ring is not where it looks, at most.
    pub(super) unseen: u64,
    /// Frames that wait for CTRL.TX_EN: bytes.
    pub(super) held_bytes: usize,
    /// In this step, ARP requests and packets may go out in either order.
    pub(super) merged: bool,
    /// In this case, frames come and go one at a time.
    pub(super) sparse: bool,
    /// In this case, completions may have been written several at once.
    pub(super) grouped: bool,
    /// In this case, something was cut off at a cycle of its own.
    pub(super) cut: bool,
    /// Answers to the device's reads are split at random.
    split_at_random: bool,
    /// How many TLPs that can have saved.
    pub(super) completions: u64,
}

impl<'a> Case<'a> {
    /// Makes a host for each subject and resets all of them.
    pub fn new(
        subjects: &'a mut [Box<dyn Subject>],
        seed: u64,
        coverage: &'a mut Coverage,
    ) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let r = &mut random;
        let log2 = |r: &mut StdRng| *[4, 4, 4, 4, 5, 6].choose(r).unwrap_or(&4);
        let (sq_log2, tx_log2, rxq_log2, rx_log2, event_log2) =
            (log2(r).min(5), log2(r), log2(r), log2(r), 4);
        let stride_log2: u32 = if r.random_bool(0.1) { 12 } else { 11 };
        let slot_count: u16 = r.random_range(4..=16);
        let in_order = r.random_bool(0.3);
        let (rxq_log2, slot_count) = if in_order {
            // The RXQ's indices are the slots' numbers; sometimes there are fewer of these.
            (4, if r.random_bool(0.9) { 16 } else { slot_count })
        } else {
            (rxq_log2, slot_count)
        };
        let need = [
            16 << tx_log2,
            16 << sq_log2,
            16 << rx_log2,
            2 << rxq_log2,
            16 << event_log2,
            u64::from(slot_count) << stride_log2,
            TX_BUFFER << sq_log2,
        ];
        // Slots are aligned to their size from the host's view and from the device's.
        let pages = need.iter().map(|n: &u64| n.div_ceil(PAGE)).sum::<u64>() + 1;
        let iova = match r.random_range(0..3) {
            0 => IOVA,
            1 => 0x4000_0000,
            // Somewhere in it, the upper half of an address changes.
            _ => (1 << 32) - r.random_range(1..pages) * PAGE,
        };
        let split = match r.random_range(0..4) {
            0 => Split::Cacheline,
            1 => Split::Random { seed },
            _ => Split::Largest,
        };
        let stalls = match r.random_range(0..3) {
            0 => (r.random_range(0.0..0.6), r.random_range(0.0..0.6)),
            _ => (0.0, 0.0),
        };
        let sparse = r.random_bool(0.3);
        let setup = HostSetup {
            settings: Settings {
                split,
                read_latency_ns: r.random_range(50..1_000),
                ports: 1,
            },
            stalls,
            sizes: (r.random_range(0..2), r.random_range(0..4)),
            memory: pages * PAGE,
            iova,
        };
        for s in subjects.iter_mut() {
            s.begin(&setup);
        }
        // Every host's memory is laid out the same way; this one only hands out addresses.
        let mut layout = HostMemory::new(setup.memory);
        let slots = layout.take(u64::from(slot_count) << stride_log2);
        let now_ns = r.random_range(0..1 << 50) & !0xFFFF_FFFF | u64::from(r.random::<u32>());
        let mut case = Self {
            subjects,
            coverage,
            steps: vec![format!("{setup:?}")],
            now_ns,
            shift: iova.wrapping_sub(IOVA),
            memory_end: IOVA + setup.memory,
            sq: SubmissionRing::new(&mut layout, sq_log2, 16),
            txcq: CompletionRing::new(&mut layout, tx_log2),
            rxq: SubmissionRing::new(&mut layout, rxq_log2, 2),
            rxcq: CompletionRing::new(&mut layout, rx_log2),
            events: CompletionRing::new(&mut layout, event_log2),
            buffers: layout.take(TX_BUFFER << sq_log2),
            slots,
            slot_count,
            stride_log2,
            pushes: false,
            pushed: 0,
            in_order,
            free_slots: vec![],
            own: Station {
                mac: super::subject::BOARD_MAC,
                ip: crate::bench::ADDRESS,
            },
            max_frame: 1518,
            ctrl: 0,
            link_up: true,
            speed: 0,
            open_sqes: 0,
            wild: false,
            unseen: 0,
            held_bytes: 0,
            merged: false,
            sparse,
            grouped: false,
            cut: false,
            split_at_random: matches!(split, Split::Random { .. }),
            completions: 0,
            random,
        };
        case.speed = case.random.random_range(0..4);
        let speed = case.speed;
        case.each(|s| {
            s.set_time(now_ns);
            s.set_link(true, speed);
        });
        case
    }

    pub(super) fn each(&mut self, mut call: impl FnMut(&mut dyn Subject)) {
        self.subjects.iter_mut().for_each(|s| call(s.as_mut()));
    }

    /// Writes a register of BAR0.
    pub(super) fn write(&mut self, offset: u32, value: u32) {
        self.each(|s| s.host().write(offset, value));
    }

    fn write_address(&mut self, offset: u32, host_address: u64) {
        let address = host_address.wrapping_add(self.shift);
        self.write(offset, address as u32);
        self.write(offset + 4, (address >> 32) as u32);
    }

    /// Writes host memory.
    pub(super) fn store(&mut self, at: u64, bytes: &[u8]) {
        self.each(|s| s.host().memory.write(at, bytes));
    }

    /// Runs the case.
    pub(super) fn run(&mut self) -> Result<(), String> {
        self.settle()?;
        self.configure();
        self.settle()?;
        self.compare()?;
        for _ in 0..self.random.random_range(STEPS) {
            self.step()?;
        }
        self.finish()
    }

    /// Programs a NIC that is as after its reset.
    pub(super) fn configure(&mut self) {
        let r = &mut self.random;
        let ip = u32::from_be_bytes(self.own.ip);
        let mask = *[0xFFFF_0000, 0xFFFF_0000, 0xFFFF_FF00, 0xFFFF_FFFE, 0]
            .choose(r)
            .unwrap_or(&0);
        let n = r.random_range(0..regs::LOCAL_ADDRESSES);
        let gateway = *[u32::from_be_bytes([192, 0, 2, 254]), ip + 1, 0]
            .choose(r)
            .unwrap_or(&0);
        let gateway_number = r.random_range(0..regs::GATEWAYS);
        self.max_frame = *[1518, 1518, 1518, 1522, 600, 3_000, 9_018]
            .choose(r)
            .unwrap_or(&1518);
        let mut rxctl = r.random::<u32>() & RXCTL_BITS;
        if r.random_bool(0.6) {
            // With it, no other filter matters.
            rxctl &= !regs::rxctl::PROMISC.mask();
        }
        if r.random_bool(0.5) {
            rxctl = 2;
        }
        rxctl = regs::rxctl::MAX_FRAME.set(rxctl, self.max_frame as u32);
        let arpctl = if r.random_bool(0.3) {
            r.random_range(0..16)
        } else {
            7
        };
        let arptime = regs::arptime::AGE.of(r.random_range(1..2_000))
            | regs::arptime::RETRY.of(r.random_range(1..1_000));
        self.ctrl = regs::ctrl::RX_EN.of(r.random_bool(0.95).into())
            | regs::ctrl::TX_EN.of(r.random_bool(0.95).into());
        self.write(regs::local_addr::REGISTER.offset_of(n), ip);
        self.write(regs::local_mask::REGISTER.offset_of(n), mask);
        if self.random.random_bool(0.2) {
            let n = self.random.random_range(0..regs::LOCAL_ADDRESSES);
            let (address, mask) = (self.random.random(), self.random.random());
            self.write(regs::local_addr::REGISTER.offset_of(n), address);
            self.write(regs::local_mask::REGISTER.offset_of(n), mask);
        }
        for n in 0..regs::HASH_KEY_WORDS {
            let word = self.random.random();
            self.write(regs::hash_key::REGISTER.offset_of(n), word);
        }
        self.write(regs::gateway::REGISTER.offset_of(0), gateway);
        self.write(regs::gateway::REGISTER.offset_of(gateway_number), gateway);
        for _ in 0..self.random.random_range(0..8) {
            self.write_filter();
        }
        self.write(regs::rxctl::OFFSET, rxctl);
        self.write(regs::arpctl::OFFSET, arpctl);
        self.write(regs::arptime::OFFSET, arptime);
        for queue in Queue::ALL {
            self.start(queue);
        }
        self.write(regs::ctrl::OFFSET, self.ctrl);
        self.give_slots(u16::MAX);
        self.ring(Queue::Rx, false);
    }

    /// Writes an entry of the multicast or VLAN filter, so that some of what comes is found there.
    pub(super) fn write_filter(&mut self) {
        let r = &mut self.random;
        let [a, b, c, d, e, f] = *GROUPS.choose(r).unwrap_or(&GROUPS[0]);
        let n = r.random_range(0..regs::MULTICAST_ADDRESSES);
        let id = u32::from(*VLANS.choose(r).unwrap_or(&0));
        let writes = match r.random_range(0..5) {
            0 | 1 => vec![
                (
                    regs::mc_lo::REGISTER.offset_of(n),
                    u32::from_le_bytes([a, b, c, d]),
                ),
                (
                    regs::mc_hi::REGISTER.offset_of(n),
                    u32::from_le_bytes([e, f, 0, 0]),
                ),
            ],
            2 => vec![(regs::mc_hash::REGISTER.offset_of(n % 2), r.random())],
            3 => vec![(regs::mc_lo::REGISTER.offset_of(n), 0)],
            _ => vec![
                (regs::vlan_word::OFFSET, id / 32),
                (
                    regs::vlan_bits::OFFSET,
                    1 << (id % 32) | r.random::<u32>() & r.random::<u32>(),
                ),
            ],
        };
        for (offset, value) in writes {
            self.write(offset, value);
        }
    }

    /// Starts a queue from index 0, mostly with a set-up that is right.
    pub(super) fn start(&mut self, queue: Queue) {
        let page = queue.page();
        let r = &mut self.random;
        let vector = if r.random_bool(0.05) {
            r.random_range(3..16)
        } else {
            queue as u32
        };
        let wrong = r.random_bool(0.04).then(|| r.random_range(0..16));
        let wild = r.random_bool(0.02);
        let pushes = r.random_bool(0.3);
        let (ring, cq) = match queue {
            Queue::Event => (None, &mut self.events),
            Queue::Tx => (Some(&mut self.sq), &mut self.txcq),
            Queue::Rx => (Some(&mut self.rxq), &mut self.rxcq),
        };
        cq.consumer = 0;
        let (cq_at, cq_log2) = (cq.iova, cq.log2);
        let ring = ring.map(|ring| {
            ring.producer = 0;
            (ring.iova, ring.log2)
        });
        self.store(cq_at, &vec![0; 16 << cq_log2]);
        // The three pages have their fields in the same places.
        let mut cfg =
            regs::tx_cfg::CQ_LOG2.of(wrong.unwrap_or(cq_log2)) | regs::tx_cfg::VECTOR.of(vector);
        if let Some((at, log2)) = ring {
            cfg |= regs::tx_cfg::SQ_LOG2.of(log2);
            self.write_address(page + regs::tx_sq_base_lo::OFFSET, at);
        }
        match queue {
            Queue::Event => {}
            Queue::Tx => {
                self.pushes = pushes;
                cfg |= regs::tx_cfg::PUSH.of(pushes.into());
            }
            Queue::Rx => cfg |= regs::rx_cfg::IN_ORDER.of(self.in_order.into()),
        }
        self.write(page + regs::tx_cfg::OFFSET, cfg);
        let cq_at = if wild { self.memory_end } else { cq_at };
        self.write_address(page + regs::tx_cq_base_lo::OFFSET, cq_at);
        if queue == Queue::Tx {
            self.open_sqes = 0;
            (self.unseen, self.wild) = (0, wild);
        }
        if queue == Queue::Rx {
            self.write_address(page + regs::rx_slot_base_lo::OFFSET, self.slots);
            let slots = regs::rx_slot_cfg::STRIDE_LOG2.of(self.stride_log2)
                | regs::rx_slot_cfg::COUNT.of(self.slot_count.into());
            self.write(page + regs::rx_slot_cfg::OFFSET, slots);
            self.free_slots = (0..self.slot_count).rev().collect();
        }
        self.write(page + regs::tx_ctrl::OFFSET, 1);
    }

    /// Puts slots into the RXQ, up to `most`; the doorbell is the caller's.
    pub(super) fn give_slots(&mut self, most: u16) {
        for _ in 0..most {
            let outstanding = self.rxq.producer - self.rxcq.consumer;
            if outstanding >= self.rxq.size() {
                return;
            }
            let Some(slot) = self.free_slots.pop() else {
                return;
            };
            let at = self.rxq.iova + self.rxq.slot() * 2;
            self.store(at, &slot.to_le_bytes());
            self.rxq.producer += 1;
        }
    }

    /// Rings a doorbell.
    pub(super) fn ring(&mut self, queue: Queue, arm: bool) {
        let value = match queue {
            Queue::Event => self.events.doorbell(),
            Queue::Tx => self.sq.doorbell() | self.txcq.doorbell(),
            Queue::Rx => self.rxq.doorbell() | self.rxcq.doorbell(),
        };
        let value = value | doorbell::ARM.of(arm.into());
        self.write(queue.page() + regs::tx_doorbell::OFFSET, value);
    }

    /// Completions that the host has not read: of the first subject, which the others agree with.
    pub(super) fn unread(&mut self, queue: Queue) -> u64 {
        let mut ring = match queue {
            Queue::Event => self.events.clone(),
            Queue::Tx => self.txcq.clone(),
            Queue::Rx => self.rxcq.clone(),
        };
        let memory = &self.subjects[0].host().memory;
        let from = ring.consumer;
        while ring.consumer - from < 1 << ring.log2 && ring.pop(memory).is_some() {}
        ring.consumer - from
    }

    /// Reads `count` completions of a queue.
    pub(super) fn consume(&mut self, queue: Queue, count: u64) {
        let memory = &self.subjects[0].host().memory;
        for _ in 0..count {
            let ring = match queue {
                Queue::Event => &mut self.events,
                Queue::Tx => &mut self.txcq,
                Queue::Rx => &mut self.rxcq,
            };
            let Some(words) = ring.pop(memory) else {
                return;
            };
            if queue == Queue::Rx {
                self.free_slots.insert(0, (words[3] >> 16 & 0x7FFF) as u16);
            }
        }
    }

    /// The transmit queue may be held up, with frames taken of which the host does not know.
    pub(super) fn is_held_up(&mut self) -> bool {
        self.unread(Queue::Tx).max(self.unseen) >= 1 << self.txcq.log2
    }

    /// Lets everything end that is under way.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        self.pushed = 0;
        for s in self.subjects.iter_mut() {
            s.settle().map_err(|e| format!("{}: {e}", s.name()))?;
        }
        Ok(())
    }

    /// Reads registers and compares the answers.
    pub(super) fn read(&mut self, accesses: &[(u8, u32, u8)]) -> Result<Vec<u32>, String> {
        let ids: Vec<Vec<ReadId>> = self
            .subjects
            .iter_mut()
            .map(|s| {
                let read = |(bar, offset, be): &(u8, u32, u8)| s.host().read(*bar, *offset, *be);
                accesses.iter().map(read).collect()
            })
            .collect();
        self.settle()?;
        let mut values: Vec<(String, Vec<u32>)> = vec![];
        for (s, ids) in self.subjects.iter_mut().zip(ids) {
            let name = s.name();
            let answers = ids
                .into_iter()
                .map(|id| s.host().root_complex.take_read(id))
                .collect::<Option<Vec<u32>>>()
                .ok_or_else(|| format!("{name}: a register read is not answered"))?;
            values.push((name, answers));
        }
        let (first, others) = values.split_first().ok_or("no subjects")?;
        for other in others {
            for (i, (bar, offset, be)) in accesses.iter().enumerate() {
                if first.1[i] != other.1[i] {
                    return Err(format!(
                        "BAR{bar} + {offset:#x} (byte enables {be:#x}) reads {:#010x} from {}, {:#010x} from {}",
                        first.1[i], first.0, other.1[i], other.0
                    ));
                }
            }
        }
        Ok(values.swap_remove(0).1)
    }

    /// Compares everything but the counters.
    pub(super) fn compare(&mut self) -> Result<(), String> {
        let merged = std::mem::take(&mut self.merged);
        let (first, others) = self.subjects.split_first_mut().ok_or("no subjects")?;
        let one = View::of(first.as_mut(), merged)?;
        for s in others {
            let other = View::of(s.as_mut(), merged)?;
            one.compare(&other)
                .map_err(|e| format!("{e} ({} and {})", one.name, other.name))?;
        }
        Ok(())
    }

    /// The end: whatever waits is let go, then the counters are compared.
    fn finish(&mut self) -> Result<(), String> {
        self.steps.push("the end".into());
        for _ in 0..40 {
            let unread = Queue::ALL.map(|q| self.unread(q));
            if unread == [0; 3] {
                break;
            }
            for (queue, count) in Queue::ALL.into_iter().zip(unread) {
                self.consume(queue, count);
                self.ring(queue, false);
            }
            self.merged = true;
            self.grouped |= unread[Queue::Tx as usize] >= 1 << self.txcq.log2;
            self.settle()?;
            self.compare()?;
        }
        self.compare_counters()
    }

    /// Compares all counters and the clock.
    pub(super) fn compare_counters(&mut self) -> Result<(), String> {
        self.write(regs::snapshot::OFFSET, 1);
        let mut reads = vec![
            (0, regs::time_lo::OFFSET, 0xF),
            (0, regs::time_hi::OFFSET, 0xF),
            (0, regs::bad_access::OFFSET, 0xF),
        ];
        let first = reads.len();
        let (grouped, split) = (self.grouped, self.split_at_random);
        let exact = counter::ALL.iter().map(|c| c.index).filter(|n| match *n {
            counter::TLP_WRITES => !grouped,
            counter::TLP_COMPLETIONS => !split,
            _ => true,
        });
        let exact: Vec<u32> = exact.collect();
        let low = |n: &u32| (0, regs::counters::OFFSET + 8 * n, 0xF);
        reads.extend(exact.iter().map(low));
        let values = self.read(&reads)?;
        for (n, value) in exact.into_iter().zip(&values[first..]) {
            self.coverage.add(n, u64::from(*value));
        }
        if self.grouped {
            self.compare_writes()?;
        } else if !self.split_at_random && !self.cut {
            self.compare_links()?;
        }
        Ok(())
    }

    /// Compares what has gone over the link in either direction.
    fn compare_links(&mut self) -> Result<(), String> {
        let mut stats = self
            .subjects
            .iter_mut()
            .map(|s| (s.name(), s.host().root_complex.stats()));
        let first = stats.next().ok_or("no subjects")?;
        match stats.find(|other| other.1 != first.1) {
            None => Ok(()),
            Some(other) => Err(format!("over the link: {first:?} and {other:?}")),
        }
    }

    /// Of completions that may have been written together, at least one write has gone for each four of them.
    fn compare_writes(&mut self) -> Result<(), String> {
        let mut written = vec![];
        for s in self.subjects.iter_mut() {
            let offset = regs::counters::OFFSET + 8 * counter::TLP_WRITES;
            let id = s.host().read(0, offset, 0xF);
            s.settle()?;
            let value = s.host().root_complex.take_read(id);
            written.push(value.ok_or("a register read is not answered")?);
        }
        let (most, least) = (written.iter().max(), written.iter().min());
        let apart = most.zip(least).map_or(0, |(most, least)| most - least);
        if u64::from(apart) > self.completions {
            return Err(format!(
                "TLP_WRITES {written:?} where {} could be saved",
                self.completions
            ));
        }
        Ok(())
    }
}

/// An index as doorbells have it.
pub(super) fn index(free_running: u64) -> u32 {
    (free_running % u64::from(INDEX_MODULUS)) as u32
}
