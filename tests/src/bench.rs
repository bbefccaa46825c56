//! The whole NIC on a bench: an engine, the root complex and a PHY, all in one thread, with rings in host memory.
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

use ferrule_abi::ring::{doorbell, sqe_flags, Cqe, Event, Sqe};
use ferrule_abi::{counter, regs, BAR_REGS, MSIX_VECTORS};
use ferrule_rtl::pins::{Clocks, Inputs, Outputs};
use ferrule_sim::engine::Engine;
use ferrule_sim::phy::{Phy, Sent};
use ferrule_sim::root_complex::{Interrupt, RootComplex, Settings};
use ferrule_sim::tlp::Tlp;

pub mod link;
pub mod memory;
pub mod rings;

use crate::frames::check_sent;
use link::{Link, Stalls};
use memory::HostMemory;
use rings::{push_image, CompletionRing, SubmissionRing};

/// The NIC's MAC address.
pub const MAC: [u8; 6] = [0x02, 0xF0, 0x0D, 0x12, 0x34, 0x56];
/// The NIC's IPv4 address.
pub const ADDRESS: [u8; 4] = [192, 0, 2, 1];
/// Its mask.
pub const MASK: [u8; 4] = [255, 255, 255, 0];
/// Its gateway 1.
pub const GATEWAY: [u8; 4] = [192, 0, 2, 254];
/// Core clock cycle.
pub const CYCLE_NS: u64 = 8;
/// Where the host puts the BARs.
const BARS: [(usize, u32); 2] = [(0x10, 0xE010_0000), (0x18, 0xE000_0000)];
/// A register read takes a hundredth of this; resets take longer.
const REGISTER_CYCLES: u64 = 50_000;
/// Bytes of a transmit buffer: more than any frame.
pub const TX_BUFFER: u64 = 1 << 14;
/// Vectors of the queues.
const EVENT_VECTOR: u32 = 0;
const TX_VECTOR: u32 = 1;
const RX_VECTOR: u32 = 2;

/// Ring sizes and slots.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// log2 of the entries of the SQ and the TXCQ.
    pub tx_log2: (u32, u32),
    /// log2 of the entries of the RXQ and the RXCQ.
    pub rx_log2: (u32, u32),
    /// log2 of the entries of the event ring.
    pub event_log2: u32,
    /// Receive slots.
    pub slots: u16,
    /// log2 of their bytes.
    pub slot_log2: u32,
    /// PUSH mode: packets and slot numbers do not come from host memory.
    pub push: bool,
    /// How the root complex answers.
    pub settings: Settings,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            tx_log2: (4, 4),
            rx_log2: (4, 4),
            event_log2: 4,
            slots: 16,
            slot_log2: 11,
            push: false,
            settings: Settings::default(),
        }
    }
}

/// A received frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its completion.
    pub cqe: Cqe,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The bench.
pub struct Bench {
    /// What evaluates the NIC.
    pub engine: Box<dyn Engine>,
    /// The host's PCIe.
    pub root_complex: RootComplex,
    /// The wire.
    pub phy: Phy,
    /// Host memory.
    pub memory: HostMemory,
    /// The time; a test may set it on.
    pub now_ns: u64,
    /// Cycles of the core's clock in one of the wire's.
    wire_cycles: u64,
    /// Inputs that neither the root complex nor the PHY drives.
    pub inputs: Inputs,
    /// Outputs of the last step.
    pub outputs: Outputs,
    /// The NIC took the last beat of a TLP of the host in the last step.
    pub host_ended: bool,
    /// What the NIC has sent.
    pub sent: Vec<Sent>,
    /// Interrupts per vector.
    pub interrupts: [Arc<AtomicU32>; MSIX_VECTORS as usize],
    /// Transmit queue.
    pub sq: SubmissionRing,
    /// Its completions.
    pub txcq: CompletionRing,
    /// Receive queue.
    pub rxq: SubmissionRing,
    /// Its completions.
    pub rxcq: CompletionRing,
    /// Event queue.
    pub events: CompletionRing,
    /// Slot 0.
    pub slots: u64,
    /// How many.
    pub slot_count: u16,
    /// log2 of their bytes.
    pub slot_log2: u32,
    /// See [`Layout::push`].
    pub push: bool,
    /// Transmit buffer 0; there is one for each SQE.
    pub buffers: u64,
    link: Link,
}

impl Bench {
    /// Host memory of `layout`'s rings, and a NIC that comes out of reset with its BARs set, bus mastering and MSI-X on. The queues are
    /// off.
    pub fn off(engine: Box<dyn Engine>, layout: &Layout) -> Self {
        let (sq_log2, rxq_log2) = (layout.tx_log2.0, layout.rx_log2.0);
        let need = [
            16 << layout.tx_log2.1,
            16 << sq_log2,
            16 << layout.rx_log2.1,
            2 << rxq_log2,
            16 << layout.event_log2,
            u64::from(layout.slots) << layout.slot_log2,
            TX_BUFFER << sq_log2,
        ];
        let size = need.iter().map(|n: &u64| n.next_multiple_of(memory::PAGE));
        let mut memory = HostMemory::new(size.sum::<u64>() + 16 * memory::PAGE);
        let mut root_complex = RootComplex::new(layout.settings);
        memory.map(&mut root_complex.dma);
        for (at, address) in BARS {
            let _ = root_complex.config.write(at, &address.to_le_bytes());
        }
        // Memory space and bus master.
        let _ = root_complex.config.write(4, &[6, 0]);
        root_complex.config.set_msix(true);
        let interrupts: [Arc<AtomicU32>; MSIX_VECTORS as usize] = Default::default();
        for (vector, count) in (0..).zip(&interrupts) {
            let count = Arc::clone(count);
            let call = Box::new(move || {
                count.fetch_add(1, Ordering::Relaxed);
            });
            root_complex.set_vector(vector, Some(Interrupt::Callback(call)));
        }
        let mut bench = Self {
            engine,
            root_complex,
            phy: Phy::new(),
            now_ns: 1_000_000,
            wire_cycles: 1,
            inputs: Inputs {
                mac: MAC,
                link_up: true,
                link_speed: 2,
                ..Inputs::default()
            },
            outputs: Outputs::default(),
            host_ended: false,
            sent: vec![],
            interrupts,
            sq: SubmissionRing::new(&mut memory, sq_log2, 16),
            txcq: CompletionRing::new(&mut memory, layout.tx_log2.1),
            rxq: SubmissionRing::new(&mut memory, rxq_log2, 2),
            rxcq: CompletionRing::new(&mut memory, layout.rx_log2.1),
            events: CompletionRing::new(&mut memory, layout.event_log2),
            slots: memory.take(u64::from(layout.slots) << layout.slot_log2),
            slot_count: layout.slots,
            slot_log2: layout.slot_log2,
            push: layout.push,
            buffers: memory.take(TX_BUFFER << sq_log2),
            memory,
            link: Link::default(),
        };
        bench.settle();
        bench
    }

    /// As [`Bench::off`], then addresses set, all queues running, all slots posted that the RXQ takes, both directions on.
    pub fn new(engine: Box<dyn Engine>, layout: &Layout) -> Self {
        let mut bench = Self::off(engine, layout);
        bench.start();
        bench
    }

    /// Programs a NIC that is as after its reset: addresses, rings from index 0 on, slots, both directions on.
    pub fn start(&mut self) {
        self.start_again();
        self.settle();
    }

    /// As [`Bench::start`], without waiting.
    pub fn start_again(&mut self) {
        let [address, mask, gateway] = [ADDRESS, MASK, GATEWAY].map(u32::from_be_bytes);
        self.write(regs::local_addr::OFFSET, address);
        self.write(regs::local_mask::OFFSET, mask);
        self.write(regs::gateway::OFFSET, gateway);
        self.start_events();
        self.start_tx();
        self.start_rx();
        let ctrl = regs::ctrl::RX_EN.of(1) | regs::ctrl::TX_EN.of(1);
        self.write(regs::ctrl::OFFSET, ctrl);
    }

    fn clear(&mut self, iova: u64, log2: u32) {
        self.memory.write(iova, &vec![0; 16 << log2]);
    }

    /// Starts the event queue from index 0.
    pub fn start_events(&mut self) {
        self.events.consumer = 0;
        self.clear(self.events.iova, self.events.log2);
        let page = regs::event_page();
        let cfg = regs::event_cfg::CQ_LOG2.of(self.events.log2)
            | regs::event_cfg::VECTOR.of(EVENT_VECTOR);
        self.write(page + regs::event_cfg::OFFSET, cfg);
        self.write64(page + regs::event_cq_base_lo::OFFSET, self.events.iova);
        self.write(page + regs::event_ctrl::OFFSET, 1);
    }

    /// Starts the transmit queue from index 0.
    pub fn start_tx(&mut self) {
        (self.sq.producer, self.txcq.consumer) = (0, 0);
        self.clear(self.txcq.iova, self.txcq.log2);
        let page = regs::tx_page(0);
        let cfg = regs::tx_cfg::SQ_LOG2.of(self.sq.log2)
            | regs::tx_cfg::CQ_LOG2.of(self.txcq.log2)
            | regs::tx_cfg::VECTOR.of(TX_VECTOR)
            | regs::tx_cfg::PUSH.of(self.push.into());
        self.write(page + regs::tx_cfg::OFFSET, cfg);
        self.write64(page + regs::tx_sq_base_lo::OFFSET, self.sq.iova);
        self.write64(page + regs::tx_cq_base_lo::OFFSET, self.txcq.iova);
        self.write(page + regs::tx_ctrl::OFFSET, 1);
    }

    /// Starts the receive queue from index 0, with as many slots as the RXQ takes.
    pub fn start_rx(&mut self) {
        (self.rxq.producer, self.rxcq.consumer) = (0, 0);
        self.clear(self.rxcq.iova, self.rxcq.log2);
        let page = regs::rx_page(0);
        let cfg = regs::rx_cfg::RXQ_LOG2.of(self.rxq.log2)
            | regs::rx_cfg::CQ_LOG2.of(self.rxcq.log2)
            | regs::rx_cfg::VECTOR.of(RX_VECTOR)
            | regs::rx_cfg::IN_ORDER.of(self.push.into());
        self.write(page + regs::rx_cfg::OFFSET, cfg);
        self.write64(page + regs::rx_rxq_base_lo::OFFSET, self.rxq.iova);
        self.write64(page + regs::rx_cq_base_lo::OFFSET, self.rxcq.iova);
        self.write64(page + regs::rx_slot_base_lo::OFFSET, self.slots);
        let slots = regs::rx_slot_cfg::STRIDE_LOG2.of(self.slot_log2)
            | regs::rx_slot_cfg::COUNT.of(self.slot_count.into());
        self.write(page + regs::rx_slot_cfg::OFFSET, slots);
        self.write(page + regs::rx_ctrl::OFFSET, 1);
        for slot in 0..self.slot_count.min(self.rxq.size() as u16) {
            self.post_slot(slot);
        }
        self.ring_rx(false);
    }

    // Time.

    /// At another speed from now on: 0, 1 or 2 as in STATUS.SPEED.
    pub fn set_speed(&mut self, speed: u8) {
        self.inputs.link_speed = speed;
        self.phy.set_speed(speed);
        // 125, 25 or 2.5 MHz.
        self.wire_cycles = [50, 5, 1][usize::from(speed)];
    }

    /// One cycle of the core's clock, and of the others as often as the speed has them.
    pub fn step(&mut self) {
        let mut inputs = self.inputs;
        inputs.time_ns = self.now_ns;
        self.root_complex.drive(self.now_ns, &mut inputs);
        self.link.drive(&mut inputs);
        let wire = self.engine.cycles().is_multiple_of(self.wire_cycles);
        if wire {
            self.inputs.gmii_rx = self.phy.next_rx();
        }
        inputs.gmii_rx = self.inputs.gmii_rx;
        let clocks = Clocks {
            core: true,
            rx: wire,
            tx: wire,
        };
        let outputs = self.engine.step(clocks, &inputs);
        self.host_ended = outputs.tlp_rx_ready && inputs.tlp_rx.is_some_and(|beat| beat.last);
        self.link
            .observe(&mut self.root_complex, self.now_ns, &inputs, &outputs);
        if wire {
            self.sent.extend(self.phy.tx(outputs.gmii_tx));
        }
        self.outputs = outputs;
        self.now_ns += CYCLE_NS;
    }

    /// `cycles` steps.
    pub fn run(&mut self, cycles: u64) {
        (0..cycles).for_each(|_| self.step());
    }

    /// Whether nothing is under way in the NIC, on the link and on the wire.
    pub fn is_idle(&self) -> bool {
        !self.outputs.busy
            && self.root_complex.is_idle()
            && self.link.is_idle()
            && self.phy.receive_idle()
            && self.phy.transmit_idle()
    }

    /// Steps until nothing is under way.
    ///
    /// # Panics
    /// If that takes too long.
    pub fn settle(&mut self) {
        // What was put in last must have been seen.
        self.step();
        self.until("idle", 100_000, |b| b.is_idle().then_some(()));
    }

    /// Steps until `done` gives something.
    ///
    /// # Panics
    /// After `cycles`, with `what` was waited for.
    pub fn until<T>(
        &mut self,
        what: &str,
        cycles: u64,
        mut done: impl FnMut(&mut Self) -> Option<T>,
    ) -> T {
        for _ in 0..cycles {
            if let Some(result) = done(self) {
                return result;
            }
            self.step();
        }
        panic!(
            "no {what} within {cycles} cycles: busy {}, deadline {:?}, root complex idle {}, {:?}, {} frames sent",
            self.outputs.busy,
            self.outputs.deadline,
            self.root_complex.is_idle(),
            self.root_complex.stats(),
            self.sent.len(),
        );
    }

    /// When idle: jumps to the NIC's deadline and settles; gives the deadline in ticks.
    ///
    /// # Panics
    /// If the NIC has none.
    pub fn skip_to_deadline(&mut self) -> u32 {
        assert!(self.is_idle(), "only an idle NIC lets time pass");
        let deadline = self.outputs.deadline.expect("a deadline");
        self.now_ns = u64::from(deadline) * ferrule_abi::TICK_NS;
        self.settle();
        deadline
    }

    // Registers.

    /// Writes a register.
    pub fn write(&mut self, offset: u32, value: u32) {
        self.root_complex
            .write_register(BAR_REGS, offset, 0xF, value);
    }

    fn write64(&mut self, offset: u32, value: u64) {
        self.write(offset, value as u32);
        self.write(offset + 4, (value >> 32) as u32);
    }

    /// Reads a register.
    ///
    /// # Panics
    /// If there is no answer at all.
    pub fn read(&mut self, offset: u32) -> u32 {
        let id = self
            .root_complex
            .read_register(BAR_REGS, offset, 0xF)
            .expect("memory decoding is on");
        self.until("answer to a register read", REGISTER_CYCLES, |b| {
            b.root_complex.take_read(id)
        })
    }

    fn take_counters(&mut self) {
        self.write(regs::snapshot::OFFSET, 1);
        while regs::status::SNAPSHOT_BUSY.get(self.read(regs::status::OFFSET)) != 0 {}
    }

    fn shadow(&mut self, index: u32) -> u64 {
        let [low, high] = [0, 4].map(|half| self.read(regs::counters::OFFSET + 8 * index + half));
        u64::from(high) << 32 | u64::from(low)
    }

    /// A counter, one of [`counter`].
    pub fn counter(&mut self, index: u32) -> u64 {
        self.take_counters();
        self.shadow(index)
    }

    /// All counters.
    pub fn counters(&mut self) -> Vec<u64> {
        self.take_counters();
        let last = counter::ALL.iter().map(|c| c.index).max();
        (0..=last.unwrap_or(0)).map(|n| self.shadow(n)).collect()
    }

    /// Sends DWs to the device as a TLP of the host, after what the root complex has to send.
    pub fn send_tlp(&mut self, dws: &[u32], bar: u8) {
        self.link.send(dws, bar);
    }

    /// Answers to reads of [`Bench::send_tlp`] with tags from [`link::OWN_TAGS`] on.
    pub fn answers(&mut self) -> Vec<Tlp> {
        std::mem::take(&mut self.link.answers)
    }

    /// How often each side of the link stalls.
    pub fn stalls(&mut self) -> &mut Stalls {
        &mut self.link.stalls
    }

    /// Collects the device's TLPs from now on; gives those collected so far.
    pub fn tap(&mut self) -> Vec<Vec<u32>> {
        self.link.tap.replace(vec![]).unwrap_or_default()
    }

    // Transmit.

    /// Puts `data` and its SQE in the ring; the doorbell is the caller's.
    pub fn post_tx(&mut self, data: &[u8], flags: u16) {
        self.post_tagged(data, flags, 0);
    }

    /// As [`Bench::post_tx`], with the tag control information for VLAN_INS.
    pub fn post_tagged(&mut self, data: &[u8], flags: u16, vlan_tci: u16) {
        let buffer = self.buffers + self.sq.slot() * TX_BUFFER;
        self.memory.write(buffer, data);
        self.post_sqe(Sqe {
            iova: buffer,
            len: data.len() as u16,
            flags,
            vlan_tci,
            ..Sqe::default()
        });
    }

    /// Puts a packet that is to be cut into segments of `mss` bytes in the ring, its headers and its payload; with a completion.
    pub fn post_segmented(
        &mut self,
        packet: &[u8],
        header_bytes: usize,
        mss: u16,
        flags: u16,
        vlan_tci: u16,
    ) {
        let buffer = self.buffers + self.sq.slot() * TX_BUFFER;
        self.memory.write(buffer, packet);
        let payload_bytes = (packet.len() - header_bytes) as u16;
        self.post_sqe(Sqe {
            iova: buffer,
            len: header_bytes as u16,
            flags: sqe_flags::SOP | sqe_flags::TSO | flags,
            vlan_tci,
            mss,
        });
        self.post_sqe(Sqe {
            iova: buffer + header_bytes as u64,
            len: payload_bytes,
            flags: sqe_flags::EOP | sqe_flags::CPL_REQ,
            vlan_tci: payload_bytes,
            mss: 0,
        });
    }

    /// In PUSH mode: writes `data` and its SQE to the push window.
    pub fn push_tx(&mut self, data: &[u8], flags: u16) {
        let sqe = Sqe {
            len: data.len() as u16,
            flags,
            ..Sqe::default()
        };
        let values = push_image(sqe, data, 0);
        self.root_complex
            .write_block(BAR_REGS, regs::push_window(0), &values);
    }

    /// Puts an SQE in the ring.
    pub fn post_sqe(&mut self, sqe: Sqe) {
        let at = self.sq.iova + self.sq.slot() * 16;
        self.memory.write_entry(at, sqe.to_words());
        self.sq.producer += 1;
    }

    /// Rings the transmit doorbell.
    pub fn ring_tx(&mut self, arm: bool) {
        let value = self.sq.doorbell() | self.txcq.doorbell() | doorbell::ARM.of(arm.into());
        self.write(regs::tx_page(0) + regs::tx_doorbell::OFFSET, value);
    }

    /// New transmit completions.
    pub fn tx_completions(&mut self) -> Vec<Cqe> {
        std::iter::from_fn(|| self.txcq.pop(&self.memory))
            .map(Cqe::from_words)
            .collect()
    }

    // Receive.

    /// Puts a slot in the RXQ; the doorbell is the caller's.
    pub fn post_slot(&mut self, slot: u16) {
        let at = self.rxq.iova + self.rxq.slot() * 2;
        self.memory.write(at, &slot.to_le_bytes());
        self.rxq.producer += 1;
    }

    /// Rings the receive doorbell.
    pub fn ring_rx(&mut self, arm: bool) {
        let value = self.rxq.doorbell() | self.rxcq.doorbell() | doorbell::ARM.of(arm.into());
        self.write(regs::rx_page(0) + regs::rx_doorbell::OFFSET, value);
    }

    /// New frames; their slots stay with the host.
    pub fn received(&mut self) -> Vec<Received> {
        std::iter::from_fn(|| self.rxcq.pop(&self.memory))
            .map(Cqe::from_words)
            .map(|cqe| {
                let slot = self.slots + (u64::from(cqe.index) << self.slot_log2);
                let bytes = self
                    .memory
                    .read(slot, usize::from(cqe.len).min(1 << self.slot_log2));
                Received { cqe, bytes }
            })
            .collect()
    }

    /// New frames, whose slots go back to the NIC at once.
    pub fn receive(&mut self) -> Vec<Received> {
        let received = self.received();
        for r in &received {
            self.post_slot(r.cqe.index);
        }
        if !received.is_empty() {
            self.ring_rx(false);
        }
        received
    }

    // Events.

    /// New events; the doorbell says that they are read.
    pub fn take_events(&mut self) -> Vec<Event> {
        let events: Vec<Event> = std::iter::from_fn(|| self.events.pop(&self.memory))
            .map(Event::from_words)
            .collect();
        if !events.is_empty() {
            let doorbell = self.events.doorbell();
            self.write(regs::event_page() + regs::event_doorbell::OFFSET, doorbell);
        }
        events
    }

    /// Whether the NIC has sent a frame that nobody has taken.
    pub fn has_sent(&self) -> bool {
        !self.sent.is_empty()
    }

    /// Frames sent since the last call.
    ///
    /// # Panics
    /// If one was faulty, or [`check_sent`] finds something wrong with it.
    pub fn frames(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.sent)
            .into_iter()
            .map(|s| match s {
                Sent::Frame(f) => {
                    check_sent(&f);
                    f
                }
                Sent::Faulty(fault, f) => panic!("the NIC sent a faulty frame ({fault:?}): {f:x?}"),
            })
            .collect()
    }

    /// # Panics
    /// If the device has broken PCIe's rules or left a register read unanswered.
    pub fn check_link(&self) {
        let stats = self.root_complex.stats();
        assert_eq!(
            (stats.violations, stats.register_timeouts),
            (0, 0),
            "{:?}",
            self.root_complex.last_violation()
        );
    }
}
