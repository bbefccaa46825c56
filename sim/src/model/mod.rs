//! The NIC as plain Rust: the same registers, rings and wire as the hardware description, without clock cycles.
//!
//! Work is done when something asks for it: a register write, a frame, a deadline. Within one call everything that can happen happens, in
//! the order in which the hardware would begin it, and host memory is accessed at once. What only cycles can tell is therefore not
//! modelled: how completions are grouped to lines when several become due within a microsecond, what is prefetched while a queue cannot
//! go on, how long anything takes but frames on the wire and the ARP engine's timers.
//!
//! | file | is |
//! |---|---|
//! | [`bus`] | what the model's DMA goes through |
//! | `registers`, `counters`, `msix`, `clock` | the host side |
//! | `transmitter`, `tx`, `push`, `packet`, `wire` | SQEs to frames |
//! | `flow` | PAUSE frames |
//! | `line`, `judge`, `hash`, `receiver`, `rx` | byte times to slots |
//! | `echo` | answers to ICMP echo requests |
//! | `neigh`, `cache`, `route`, `arp` | next hops |
//! | `event`, `completion`, `queue` | events, completion rings, what queues have in common |
//! | `ipv4`, `checksum` | what both directions look at in a packet |
use ferrule_abi::ring::{cqe_status, doorbell};
use ferrule_abi::{counter, regs, BAR_MSIX, BAR_REGS, BAR_REGS_SIZE, TICK_NS};
use ferrule_rtl::pins::Gmii;

pub mod bus;

mod arp;
mod cache;
mod checksum;
mod clock;
mod completion;
mod counters;
mod echo;
mod event;
mod flow;
mod hash;
mod io;
mod ipv4;
mod ipv6;
mod judge;
mod line;
mod msix;
mod neigh;
mod packet;
mod push;
mod queue;
mod receiver;
mod registers;
mod route;
mod rx;
mod segments;
#[cfg(test)]
mod tests;
mod transmitter;
mod tx;
mod wire;

pub use bus::{Bus, ReadOutcome};

use clock::Clock;
use counters::Counters;
use event::EventQueue;
use flow::{pause_end_ns, PauseSender};
use io::Io;
use judge::{judge, without_tag, Description, Faults, Filter, Verdict};
use line::LineReceiver;
use msix::Msix;
use neigh::Neigh;
use receiver::Receiver;
use registers::{Page, Registers, REFUSED};
use transmitter::Transmitter;
use tx::{Path, PUSHING};
use wire::{Mode, Wire, BYTE_NS_1000};

use crate::station::LINK_SPEED_1000;

/// Address bits of a register within BAR0.
const REGISTER_BITS: u32 = BAR_REGS_SIZE - 1;
/// Byte enables of an access that is one.
const WHOLE: u8 = 0xF;
/// Shortest frame without FCS.
const LEAST_FRAME: usize = 60;
const FCS_BYTES: usize = 4;

/// The NIC.
pub struct Model {
    now_ns: u64,
    board_mac: [u8; 6],
    link_up: bool,
    link_speed: u8,
    registers: Registers,
    counters: Counters,
    clock: Clock,
    msix: Msix,
    line: LineReceiver,
    rx: Receiver,
    tx: Transmitter,
    events: EventQueue,
    neigh: Neigh,
    wire: Wire,
    pauses: PauseSender,
}

impl Model {
    /// A NIC as after power-on and reset, with the MAC address that its board gives it. The link is down.
    pub fn new(mac: [u8; 6]) -> Self {
        Self {
            now_ns: 0,
            board_mac: mac,
            link_up: false,
            link_speed: 0,
            registers: Registers::new(mac),
            counters: Counters::default(),
            clock: Clock::default(),
            msix: Msix::new(),
            line: LineReceiver::new(),
            rx: Receiver::default(),
            tx: Transmitter::default(),
            events: EventQueue::default(),
            neigh: Neigh::new(),
            wire: Wire::new(BYTE_NS_1000),
            pauses: PauseSender::default(),
        }
    }

    /// The reset pin.
    pub fn reset(&mut self) {
        self.registers = Registers::new(self.board_mac);
        self.msix.reset();
        self.reset_core();
    }

    /// What both resets do.
    fn reset_core(&mut self) {
        self.counters = Counters::default();
        self.clock = Clock::default();
        self.line.reset();
        self.rx = Receiver::default();
        self.tx = Transmitter::default();
        self.events = EventQueue::default();
        self.neigh = Neigh::new();
        self.wire = Wire::new(self.wire.byte_ns());
        self.pauses = PauseSender::default();
    }

    /// What the PHY reports: a link or none, and 0: 10, 1: 100, 2: 1000 Mbit/s. An event follows with the next call.
    pub fn set_link(&mut self, up: bool, speed: u8) {
        if up != self.link_up {
            self.events.link_changed();
        }
        (self.link_up, self.link_speed) = (up, speed);
    }

    /// How long a byte takes on the wire when sending, in nanoseconds: 8 from the start, which is 1000 Mbit/s. With 0 a frame has been
    /// sent as soon as it is complete.
    pub fn set_byte_ns(&mut self, byte_ns: u64) {
        self.wire.set_byte_ns(byte_ns);
    }

    /// A register write of the host: the DW at `offset` of BAR `bar`, with the byte enables `first_be`.
    pub fn write_register(
        &mut self,
        bus: &mut dyn Bus,
        now_ns: u64,
        bar: u8,
        offset: u32,
        first_be: u8,
        value: u32,
    ) {
        self.now_ns = now_ns;
        if bar == BAR_REGS && first_be == WHOLE && self.push(offset, &[value]) {
            return self.settle(bus);
        }
        match bar {
            _ if first_be != WHOLE => self.registers.refuse(),
            BAR_REGS => self.write_port(bus, offset & REGISTER_BITS & !3, value),
            BAR_MSIX if self.msix.write(offset & !3, value) => {}
            _ => self.registers.refuse(),
        }
        self.settle(bus);
    }

    /// A write of the host of several DWs from `offset` of BAR `bar` on, all bytes of them: only the push window takes such.
    pub fn write_block(
        &mut self,
        bus: &mut dyn Bus,
        now_ns: u64,
        bar: u8,
        offset: u32,
        values: &[u32],
    ) {
        self.now_ns = now_ns;
        if bar != BAR_REGS || !self.push(offset, values) {
            self.registers.refuse();
        }
        self.settle(bus);
    }

    /// Gives the push window what is written there; whether it is, and open.
    fn push(&mut self, offset: u32, values: &[u32]) -> bool {
        let window = regs::push_window(PUSHING as u32);
        let queue = &mut self.tx.queues[PUSHING];
        let offset = offset & REGISTER_BITS & !3;
        let within = (window..window + regs::PUSH_WINDOW_BYTES).contains(&offset);
        if !within || !queue.takes_pushes() {
            return false;
        }
        if !queue.push((offset - window) as usize / 4, values) {
            self.registers.refuse();
        }
        true
    }

    /// A register read of the host; none is an answer of Unsupported Request, which the host sees as all-ones.
    pub fn read_register(
        &mut self,
        now_ns: u64,
        bar: u8,
        offset: u32,
        first_be: u8,
    ) -> Option<u32> {
        self.now_ns = now_ns;
        if first_be != WHOLE || !matches!(bar, BAR_REGS | BAR_MSIX) {
            self.registers.refuse();
            return None;
        }
        if bar == BAR_REGS {
            return Some(self.read_port(offset & REGISTER_BITS & !3));
        }
        Some(self.msix.read(offset & !3).unwrap_or_else(|| {
            self.registers.refuse();
            REFUSED
        }))
    }

    fn write_port(&mut self, bus: &mut dyn Bus, offset: u32, value: u32) {
        if self.is_frozen(offset) {
            self.registers.leave(offset);
            return;
        }
        if !self.registers.write(offset, value) {
            return;
        }
        let producer = doorbell::PRODUCER.get(value) as u16;
        let consumer = doorbell::CONSUMER.get(value) as u16;
        let arm = doorbell::ARM.get(value) != 0;
        let clock_ns = self.clock.at(self.now_ns);
        let mut io = io(bus, &mut self.counters, self.now_ns, clock_ns);
        match Page::of(offset) {
            Some((Page::Event, regs::event_doorbell::OFFSET)) => {
                self.events.doorbell(consumer, arm, &mut io);
            }
            Some((Page::Tx(queue), regs::tx_doorbell::OFFSET)) => {
                self.tx.queues[queue].doorbell(producer, consumer, arm, &mut io);
            }
            Some((Page::Rx(queue), regs::rx_doorbell::OFFSET)) => {
                self.rx.queues[queue].doorbell(producer, consumer, arm, &mut io);
            }
            _ => {}
        }
        match offset {
            regs::arpctl::OFFSET if regs::arpctl::FLUSH.get(value) != 0 => self.neigh.flush(),
            regs::arp_cmd::OFFSET => self.neigh.command(value),
            regs::snapshot::OFFSET if regs::snapshot::TAKE.get(value) != 0 => {
                self.registers.snapshot(clock_ns, io.counters);
            }
            regs::clock_rate::OFFSET => self.clock.set_rate(self.now_ns, value),
            regs::clock_step::OFFSET => self.clock.step(value),
            regs::clock_step_hi::OFFSET => self.clock.step_hi(value),
            regs::mdio_cmd::OFFSET if regs::mdio_cmd::START.get(value) != 0 => {
                self.registers.mdio();
            }
            regs::ctrl::OFFSET if regs::ctrl::RESET.get(value) != 0 => {
                // No read is ever outstanding between two calls, so there is nothing to wait for.
                self.registers.reset();
                self.msix.clear();
                self.reset_core();
                return;
            }
            _ => {}
        }
        self.msix.step(&mut io);
    }

    /// STATUS of the queue whose page that is.
    fn queue_status(&self, page: Page) -> u32 {
        match page {
            Page::Event => self.events.status(),
            Page::Tx(queue) => self.tx.queues[queue].status(),
            Page::Rx(queue) => self.rx.queues[queue].status(),
        }
    }

    /// Whether the register is one that its queue, which runs, was set up with.
    fn is_frozen(&self, offset: u32) -> bool {
        Page::of(offset).is_some_and(|(page, register)| {
            register > regs::event_status::OFFSET
                && regs::event_status::RUNNING.get(self.queue_status(page)) != 0
        })
    }

    fn read_port(&mut self, offset: u32) -> u32 {
        // All pages have STATUS at the same place.
        if let Some((page, regs::event_status::OFFSET)) = Page::of(offset) {
            return self.queue_status(page);
        }
        match offset {
            regs::status::OFFSET => {
                regs::status::LINK_UP.of(self.link_up.into())
                    | regs::status::SPEED.of(self.link_speed.into())
            }
            regs::arp_entry::OFFSET => {
                let busy = regs::arp_entry::BUSY.of(self.neigh.is_commanded().into());
                self.registers.read(offset) | busy
            }
            _ => self.registers.read(offset),
        }
    }

    /// A good frame from the wire, without FCS; a short one is padded, as whoever sent it must have done.
    pub fn receive(&mut self, bus: &mut dyn Bus, now_ns: u64, frame: &[u8]) {
        self.now_ns = now_ns;
        if !self.registers.ctrl(regs::ctrl::LOOPBACK) {
            if frame.len() < LEAST_FRAME {
                let mut padded = [0; LEAST_FRAME];
                padded[..frame.len()].copy_from_slice(frame);
                self.arrived(bus, &padded, self.faults_by_length(LEAST_FRAME));
            } else {
                self.arrived(bus, frame, self.faults_by_length(frame.len()));
            }
        }
        self.settle(bus);
    }

    /// Byte times from the wire as they are, on an MII as two nibbles each, the last of them at `now_ns`: bad FCS, runts, RX_ER, short gaps.
    pub fn receive_line(&mut self, bus: &mut dyn Bus, now_ns: u64, line: &[Gmii]) {
        self.now_ns = now_ns;
        let looped = self.registers.ctrl(regs::ctrl::LOOPBACK);
        let max_frame = self.max_frame();
        for byte in line {
            let ended = if self.link_speed == LINK_SPEED_1000 {
                [self.line.push(*byte, max_frame), None]
            } else {
                let upper = Gmii {
                    data: byte.data >> 4,
                    ..*byte
                };
                [*byte, upper].map(|nibble| self.line.push_nibble(nibble, max_frame))
            };
            for (frame, faults) in ended.into_iter().flatten() {
                if !looped {
                    self.arrived(bus, &frame, faults);
                    self.settle(bus);
                }
            }
        }
        self.settle(bus);
    }

    fn max_frame(&self) -> usize {
        regs::rxctl::MAX_FRAME.get(self.registers.port(regs::rxctl::OFFSET)) as usize
    }

    fn faults_by_length(&self, bytes: usize) -> Faults {
        Faults {
            oversize: bytes + FCS_BYTES > self.max_frame(),
            ..Faults::default()
        }
    }

    /// A frame without FCS has come to its end.
    fn arrived(&mut self, bus: &mut dyn Bus, frame: &[u8], faults: Faults) {
        let filter = Filter {
            enabled: receiver::is_on(&self.registers),
            rxctl: self.registers.port(regs::rxctl::OFFSET),
            registers: &self.registers,
        };
        // It began as long ago as its bytes and its FCS take.
        let took_ns = (frame.len() + FCS_BYTES) as u64 * self.wire.byte_ns();
        let clock_ns = self.clock.at(self.now_ns.saturating_sub(took_ns));
        let mut io = io(bus, &mut self.counters, self.now_ns, clock_ns);
        match judge(frame, faults, &filter) {
            Verdict::Drop(reason) => io.count(reason),
            Verdict::Pause(quanta) => {
                io.count(counter::RX_PAUSE);
                self.wire
                    .hold(pause_end_ns(quanta, self.link_speed, self.now_ns));
            }
            Verdict::Deliver(description) if is_stripped(description) => {
                self.rx
                    .accept(&without_tag(frame), description, &self.registers, &mut io);
            }
            Verdict::Deliver(description) => {
                self.rx.accept(frame, description, &self.registers, &mut io)
            }
            Verdict::Echo(reply, _) if self.wire.takes_echo() => {
                io.count(counter::ICMP_ECHOES);
                self.wire.send_echo(reply, self.now_ns);
            }
            Verdict::Echo(_, description) => {
                self.rx.accept(frame, description, &self.registers, &mut io)
            }
            Verdict::Arp(packet, description) => {
                io.count(counter::RX_ARP);
                self.neigh.receive(packet);
                if let Some(description) = description {
                    self.rx.accept(frame, description, &self.registers, &mut io);
                }
            }
        }
        self.msix.step(&mut io);
    }

    /// The next frame that has left by now, padded, without FCS.
    pub fn transmit(&mut self, bus: &mut dyn Bus, now_ns: u64) -> Option<Vec<u8>> {
        self.poll(bus, now_ns);
        self.wire.take_ended(now_ns, false)
    }

    /// Does everything that is due.
    pub fn poll(&mut self, bus: &mut dyn Bus, now_ns: u64) {
        self.now_ns = now_ns;
        self.settle(bus);
    }

    /// When [`Model::poll`] or [`Model::transmit`] has something to do next, if nothing else comes before: a frame ends or may begin, a
    /// request is to be repeated.
    pub fn next_deadline(&self) -> Option<u64> {
        let wire = self
            .wire
            .deadline_ns(self.registers.ctrl(regs::ctrl::TX_EN));
        let tick = self.now_ns / TICK_NS;
        let neigh = self.neigh.deadline().map(|due| {
            // Ticks wrap: the nearest such time is meant.
            let ahead = due.wrapping_sub(tick as u32) as i32;
            tick.saturating_add_signed(ahead.into())
                .saturating_mul(TICK_NS)
        });
        let again = self.pauses.deadline_ns();
        wire.into_iter().chain(neigh).chain(again).min()
    }

    /// Whether a frame is on its way out, or about to be.
    pub fn is_sending(&self) -> bool {
        let enabled = self.registers.ctrl(regs::ctrl::TX_EN);
        self.wire.deadline_ns(enabled).is_some()
    }

    /// The earliest timer in ticks of [`TICK_NS`], as the hardware exports it.
    pub fn deadline_ticks(&self) -> Option<u32> {
        if self.wire.is_held() {
            // A pause looks at the time with every tick.
            return Some(((self.now_ns / TICK_NS) as u32).wrapping_add(1));
        }
        self.neigh.deadline()
    }

    /// Whether something is due at this time.
    pub fn is_busy(&self, now_ns: u64) -> bool {
        self.next_deadline().is_some_and(|at| at <= now_ns)
    }

    /// Lets every part do what it can, until none can do more.
    fn settle(&mut self, bus: &mut dyn Bus) {
        loop {
            let clock_ns = self.clock.at(self.now_ns);
            let mut io = io(bus, &mut self.counters, self.now_ns, clock_ns);
            let mode = Mode {
                enabled: self.registers.ctrl(regs::ctrl::TX_EN),
                loopback: self.registers.ctrl(regs::ctrl::LOOPBACK),
                pauses: self.registers.flow(regs::flow::RX_PAUSE),
                mac: self.registers.mac(),
            };
            let mut moved = self
                .neigh
                .step(&mut self.registers, &mut self.wire, &mut io);
            let mut path = Path {
                registers: &self.registers,
                neigh: &mut self.neigh,
                wire: &mut self.wire,
                clock: &self.clock,
                enabled: mode.enabled,
            };
            moved |= self.tx.step(&mut path, &mut io);
            moved |= self.wire.step(mode, self.now_ns, io.counters);
            self.rx.step(&self.registers, &mut io);
            moved |= self.pauses.step(
                self.registers.flow(regs::flow::TX_PAUSE),
                self.rx.places_used(),
                &mut self.wire,
                self.now_ns,
            );
            self.events
                .queues_failed(self.tx.take_failed(), self.rx.take_failed());
            moved |= self.events.step(
                &self.registers,
                self.link_up,
                self.tx.is_told(self.neigh.has_room()),
                &mut self.neigh,
                &mut io,
            );
            self.msix.step(&mut io);
            while let Some(frame) = self.wire.take_ended(self.now_ns, true) {
                // Loopback does not look at the length.
                self.arrived(bus, &frame, Faults::default());
                moved = true;
            }
            if !moved {
                return;
            }
        }
    }
}

/// Its tag is told in the completion.
fn is_stripped(description: Description) -> bool {
    description.status & cqe_status::VLAN != 0
}

/// What the parts share, for one call.
fn io<'a>(bus: &'a mut dyn Bus, counters: &'a mut Counters, now_ns: u64, clock_ns: u64) -> Io<'a> {
    Io {
        bus,
        counters,
        now_ns,
        clock_ns,
        raised: 0,
    }
}
