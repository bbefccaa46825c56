//! The event queue against a host that reads events by their phase.
use super::host::{drive_bus, sample_writer, Bus, Memory, Rng, Writer};
use crate::common::verilator_lint;
use ferrule_abi::regs::{self, queue_error};
use ferrule_abi::ring::{event_code, Event};
use ferrule_rtl::{native::Native, queue::event::EventQueue};
use proptest::prelude::*;
use std::collections::VecDeque;

const RING: u64 = 0x7_FFFF_FFC0;

struct Bench {
    dut: Native<EventQueue>,
    memory: Memory,
    writer: Writer,
    rng: Rng,
    now: u32,
    bus: Bus,
    neigh: VecDeque<(bool, u32)>,
    link: bool,
    /// Queues that fail in the next cycle, a bit each.
    tx_failed: u8,
    rx_failed: u8,
    /// The transmit queue's part: cycles until the barrier is over.
    delay: u64,
    left: Option<u64>,
    barriers: u32,
    read: u32,
    events: Vec<Event>,
    irqs: u32,
    enabled: bool,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let mut rng = Rng(seed);
        let mut writer = Writer::new(20 + rng.below(81));
        writer.max_payload = 64;
        writer.allowed.push(RING..RING + 256);
        let mut b = Self {
            dut: Native::default(),
            memory: Memory::default(),
            writer,
            now: 0xFFFF_FF00,
            bus: Bus::default(),
            neigh: VecDeque::new(),
            link: false,
            tx_failed: 0,
            rx_failed: 0,
            delay: rng.below(30),
            left: None,
            barriers: 0,
            read: 0,
            events: vec![],
            irqs: 0,
            enabled: false,
            rng,
        };
        let u = &mut b.dut.u;
        u.reset.next = true;
        b.cycle();
        b.dut.u.reset.next = false;
        b.bus.write(regs::event_cq_base_lo::OFFSET, RING as u32);
        b.bus
            .write(regs::event_cq_base_hi::OFFSET, (RING >> 32) as u32);
        b.bus.write(regs::event_cfg::OFFSET, 4 << 8 | 3 << 16);
        b.write_all();
        b
    }
    /// Lets the host write what it has to.
    fn write_all(&mut self) {
        while !self.bus.is_empty() {
            self.cycle();
        }
    }
    fn enable(&mut self, on: bool) {
        self.bus.write(regs::event_ctrl::OFFSET, u32::from(on));
        self.enabled = on;
        self.write_all();
        (0..4).for_each(|_| self.cycle());
    }
    fn doorbell(&mut self, consumer: u32, arm: bool) {
        let bell = (consumer % (1 << 15)) << 16 | u32::from(arm) << 31;
        self.bus.write(regs::event_doorbell::OFFSET, bell);
        self.write_all();
        self.cycle();
    }
    fn cycle(&mut self) {
        self.now = self.now.wrapping_add(8);
        self.writer.before(&mut self.rng);
        let u = &mut self.dut.u;
        u.clock.next = false.into();
        u.now_lo.next = u64::from(self.now).into();
        u.m.ready.next = self.writer.ready;
        drive_bus!(u.bus, self.bus);
        u.neigh.valid.next = !self.neigh.is_empty();
        let (failed, address) = self.neigh.front().copied().unwrap_or_default();
        u.neigh.failed.next = failed;
        u.neigh.address.next = u64::from(address).into();
        u.link_up.next = self.link;
        u.tx_failed.next = u64::from(std::mem::take(&mut self.tx_failed)).into();
        u.rx_failed.next = u64::from(std::mem::take(&mut self.rx_failed)).into();
        u.barrier_done.next = self.left == Some(0);
        self.dut.settle();
        let u = &self.dut.u;
        self.left = match (u.barrier.val(), self.left) {
            (false, _) => None,
            (true, None) => {
                self.barriers += 1;
                Some(self.delay)
            }
            (true, Some(n)) => Some(n.saturating_sub(1)),
        };
        if u.neigh.ready.val() && !self.neigh.is_empty() {
            let done = u.barrier_done.val() || !u.bus.status.val().get_bit(4);
            assert!(
                done || !self.enabled || u.bus.status.val().to_u32() & 15 != 0,
                "taken before its barrier"
            );
            self.neigh.pop_front();
        }
        sample_writer!(u.m, self.writer, &mut self.memory);
        let irq = u.irq.val().to_u32();
        assert!(irq == 0 || irq == 1 << 3);
        self.irqs += u32::from(irq != 0);
        self.dut.u.clock.next = true.into();
        self.dut.settle();
    }
    fn poll(&mut self) {
        loop {
            let e = Event::from_words(self.memory.entry(RING + 16 * u64::from(self.read % 16)));
            if e.phase != ((self.read >> 4) & 1 == 0) {
                return;
            }
            self.events.push(e);
            self.read += 1;
        }
    }
    fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..20_000 {
            self.cycle();
            quiet = if self.dut.u.busy.val() || self.left.is_some_and(|n| n > 0) {
                0
            } else {
                quiet + 1
            };
            if quiet > 10 {
                self.poll();
                return;
            }
        }
        panic!("never idle");
    }
    fn error(&self) -> u32 {
        self.dut.u.bus.status.val().to_u32() & 15
    }
}

proptest! {
    #![proptest_config(crate::common::cases(12))]
    #[test]
    fn every_neighbour_event_is_written_once_in_order(seed: u64) {
        let mut b = Bench::new(seed);
        b.enable(true);
        let total = 200;
        let mut sent = vec![];
        let (mut told, mut links, mut errors) = (0, 0u32, 0u32);
        let mut patience = 0;
        while b.events.iter().filter(|e| e.code <= 2).count() < total {
            patience += 1;
            prop_assert!(patience < 200_000, "stuck after {} events", b.events.len());
            if sent.len() < total && b.rng.percent(5) {
                let e = (b.rng.percent(50), b.rng.next() as u32);
                sent.push(e);
                b.neigh.push_back(e);
            }
            if b.rng.percent(1) {
                b.link = !b.link;
                links += 1;
            }
            if b.rng.percent(1) {
                b.tx_failed = 1;
                errors += 1;
            }
            if b.rng.percent(3) {
                b.poll();
                told += b.rng.below(u64::from(b.read - told) + 1) as u32;
                let arm = b.rng.percent(50);
                b.doorbell(told, arm);
            } else {
                b.cycle();
            }
        }
        b.poll();
        b.doorbell(b.read, false);
        b.settle();
        let got: Vec<_> = b.events.iter().filter(|e| e.code <= 2).map(|e| (e.code == event_code::NEIGH_FAILED, e.address)).collect();
        prop_assert_eq!(got, sent);
        prop_assert!(b.barriers as usize >= total, "a barrier for each");
        let count = |code: u16| b.events.iter().filter(|e| e.code == code).count() as u32;
        prop_assert!(count(event_code::LINK) <= links && count(event_code::QUEUE_ERROR) <= errors);
        if let Some(last) = b.events.iter().rfind(|e| e.code == event_code::LINK) {
            prop_assert_eq!(last.detail, u16::from(b.link), "the last state is told");
        }
        prop_assert!(b.events.iter().filter(|e| e.code == event_code::QUEUE_ERROR).all(|e| e.detail == 1));
        for pair in b.events.windows(2) {
            prop_assert!(pair[1].timestamp.wrapping_sub(pair[0].timestamp) < 1 << 31, "time goes on");
        }
    }
}

#[test]
fn events_say_what_happened() {
    let mut b = Bench::new(1);
    b.enable(true);
    b.neigh.push_back((false, 0x0A00_0001));
    b.settle();
    b.link = true;
    b.settle();
    b.rx_failed = 1;
    b.settle();
    b.link = false;
    b.settle();
    b.neigh.push_back((true, 0x0A00_0002));
    b.settle();
    b.tx_failed = 1;
    b.settle();
    let got: Vec<_> = b
        .events
        .iter()
        .map(|e| (e.code, e.detail, e.address))
        .collect();
    let want = [
        (event_code::NEIGH_RESOLVED, 0, 0x0A00_0001),
        (event_code::LINK, 1, 0),
        (event_code::QUEUE_ERROR, 2, 0),
        (event_code::LINK, 0, 0),
        (event_code::NEIGH_FAILED, 0, 0x0A00_0002),
        (event_code::QUEUE_ERROR, 1, 0),
    ];
    assert_eq!(got, want);
}

#[test]
fn nothing_is_told_or_held_while_the_queue_is_off() {
    let mut b = Bench::new(2);
    b.link = true;
    b.tx_failed = 1;
    b.neigh.extend([(false, 1), (true, 2)]);
    b.settle();
    assert!(b.neigh.is_empty(), "the neighbour block is not held up");
    b.enable(true);
    b.settle();
    assert!(b.events.is_empty() && b.writer.log.is_empty());
}

#[test]
fn an_impossible_consumer_stops_the_queue_with_an_event_of_its_own() {
    let mut b = Bench::new(3);
    b.enable(true);
    b.neigh.extend([(false, 1), (false, 2)]);
    b.settle();
    b.doorbell(1, true);
    b.settle();
    assert_eq!(b.irqs, 1, "there is one beyond");
    b.doorbell(3, false);
    b.settle();
    assert_eq!(b.error(), queue_error::BAD_INDEX);
    assert!(!b.dut.u.bus.status.val().get_bit(4));
    let last = b.events.last().expect("an event");
    assert_eq!((last.code, last.detail), (event_code::QUEUE_ERROR, 0));
    b.enable(false);
    for i in 0..16 {
        b.memory.set_entry(RING + 16 * i, [0; 4]);
    }
    (b.read, b.events) = (0, vec![]);
    b.enable(true);
    assert_eq!(b.error(), 0);
    b.neigh.push_back((false, 3));
    b.settle();
    assert_eq!(b.events.len(), 1);
}

#[test]
fn a_full_ring_keeps_errors_and_neighbours_waiting() {
    let mut b = Bench::new(4);
    b.enable(true);
    b.neigh.extend((0..20).map(|i| (false, i)));
    b.settle();
    assert_eq!(b.events.len(), 16);
    b.rx_failed = 1;
    b.tx_failed = 1;
    b.settle();
    b.doorbell(16, false);
    b.settle();
    assert_eq!(b.events.len(), 22);
    b.enable(false);
    b.settle();
    assert!(!b.dut.u.bus.status.val().get_bit(4));
    b.bus.write(regs::event_cfg::OFFSET, 3 << 8);
    b.enable(true);
    b.settle();
    assert_eq!(
        (b.error(), b.dut.u.bus.status.val().get_bit(4)),
        (queue_error::BAD_SETUP, false)
    );
}

#[test]
fn exports_to_clean_verilog() {
    let text = ferrule_rtl::verilog::emit::<EventQueue>("event_queue").expect("emits");
    verilator_lint("event_queue", &text);
}
