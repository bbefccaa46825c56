//! The queue engines together: what is ordered between rings, and a loop from TX to RX.
use super::host::{
    drive_bus, drive_reader, sample_reader, sample_writer, Bus, Memory, Reader, Rng, Writer,
};
use crate::common::verilator_lint;
use crate::lockstep::Trace;
use ferrule_abi::regs::{self, queue_error};
use ferrule_abi::ring::{cqe_status as cs, event_code, sqe_flags as sf, Cqe, Event, Sqe};
use ferrule_rtl::{native::Native, queue::queues::Queues};
use proptest::prelude::*;
use std::collections::VecDeque;

const SQ: u64 = 0x10_0000;
const TXCQ: u64 = 0x11_0000;
const RQ: u64 = 0x12_0000;
const RXCQ: u64 = 0x13_0000;
const EVENTS: u64 = 0x14_0000;
const SLOTS: u64 = 0x20_0000;
const DATA: u64 = 0x40_0000;

struct Bench {
    dut: Native<Queues>,
    memory: Memory,
    readers: [Reader; 3],
    writers: [Writer; 4],
    rng: Rng,
    now: u64,
    /// The pages of the event, transmit and receive queue.
    buses: [Bus; 3],
    /// The world: packets go back as frames; every fifth finds no neighbour, who is told of at once.
    miss: bool,
    current: Vec<u8>,
    packets: u32,
    verdicts: VecDeque<(u64, Option<u32>)>,
    frames: VecDeque<Vec<u8>>,
    beat: usize,
    neigh: VecDeque<u32>,
    link: bool,
    tx: Vec<Cqe>,
    rx: Vec<(Cqe, Vec<u8>)>,
    events: Vec<Event>,
    irqs: [u32; 8],
    busy: bool,
    /// Every cycle's ports, where a test asks for it.
    trace: Option<Trace>,
}

impl Bench {
    fn new(seed: u64) -> Self {
        Self::with(seed, None)
    }

    fn with(seed: u64, trace: Option<Trace>) -> Self {
        let mut rng = Rng(seed);
        let latency = rng.below(100);
        let readers =
            std::array::from_fn(|_| Reader::new(30 + rng.below(71), 30 + rng.below(71), latency));
        let mut writers: [Writer; 4] = std::array::from_fn(|_| Writer::new(20 + rng.below(81)));
        writers[0].allowed.push(SLOTS..SLOTS + 16 * 2048);
        for (w, base) in writers[1..].iter_mut().zip([RXCQ, TXCQ, EVENTS]) {
            w.max_payload = 64;
            w.allowed.push(base..base + 256);
        }
        let mut b = Self {
            dut: Native::default(),
            memory: Memory::default(),
            readers,
            writers,
            rng,
            now: 0,
            buses: [Bus::default(), Bus::default(), Bus::default()],
            miss: true,
            current: vec![],
            packets: 0,
            verdicts: VecDeque::new(),
            frames: VecDeque::new(),
            beat: 0,
            neigh: VecDeque::new(),
            link: false,
            tx: vec![],
            rx: vec![],
            events: vec![],
            irqs: [0; 8],
            busy: true,
            trace,
        };
        let u = &mut b.dut.u;
        u.max_read.next = 2.into();
        u.reset.next = true;
        b.cycle();
        b.dut.u.reset.next = false;
        b.start();
        b
    }
    /// Sets all queues up and enables them.
    fn start(&mut self) {
        let writes: [&[(u32, u32)]; 3] = [
            &[
                (regs::event_cq_base_lo::OFFSET, EVENTS as u32),
                (regs::event_cq_base_hi::OFFSET, 0),
                (regs::event_cfg::OFFSET, 4 << 8),
            ],
            &[
                (regs::tx_sq_base_lo::OFFSET, SQ as u32),
                (regs::tx_sq_base_hi::OFFSET, 0),
                (regs::tx_cq_base_lo::OFFSET, TXCQ as u32),
                (regs::tx_cq_base_hi::OFFSET, 0),
                (regs::tx_cfg::OFFSET, 4 | 4 << 8 | 1 << 16),
            ],
            &[
                (regs::rx_rxq_base_lo::OFFSET, RQ as u32),
                (regs::rx_rxq_base_hi::OFFSET, 0),
                (regs::rx_cq_base_lo::OFFSET, RXCQ as u32),
                (regs::rx_cq_base_hi::OFFSET, 0),
                (regs::rx_slot_base_lo::OFFSET, SLOTS as u32),
                (regs::rx_slot_base_hi::OFFSET, 0),
                (regs::rx_slot_cfg::OFFSET, 11 | 16 << 16),
                (regs::rx_cfg::OFFSET, 4 | 4 << 8 | 2 << 16),
            ],
        ];
        for (bus, writes) in self.buses.iter_mut().zip(writes) {
            writes
                .iter()
                .for_each(|&(offset, value)| bus.write(offset, value));
        }
        self.enable(true);
    }
    /// Enables or disables all queues, once the host has written what it has to.
    fn enable(&mut self, on: bool) {
        for bus in &mut self.buses {
            bus.write(regs::event_ctrl::OFFSET, u32::from(on));
        }
        self.write_all();
        (0..4).for_each(|_| self.cycle());
    }
    fn write_all(&mut self) {
        while self.buses.iter().any(|bus| !bus.is_empty()) {
            self.cycle();
        }
    }
    fn ring(&mut self, queue: usize, producer: u32, consumer: u32, arm: bool) {
        let word = (producer % (1 << 15)) | (consumer % (1 << 15)) << 16 | u32::from(arm) << 31;
        self.buses[queue].write(regs::event_doorbell::OFFSET, word);
        self.write_all();
        self.cycle();
    }
    fn cycle(&mut self) {
        self.now += 1;
        let u = &mut self.dut.u;
        u.clock.next = false.into();
        u.now_lo.next = self.now.into();
        drive_reader!(
            u.sq_req,
            u.sq_data,
            self.readers[0],
            self.now,
            &mut self.rng,
            &self.memory
        );
        drive_reader!(
            u.rq_req,
            u.rq_data,
            self.readers[1],
            self.now,
            &mut self.rng,
            &self.memory
        );
        drive_reader!(
            u.pay_req,
            u.pay_data,
            self.readers[2],
            self.now,
            &mut self.rng,
            &self.memory
        );
        self.writers
            .iter_mut()
            .for_each(|w| w.before(&mut self.rng));
        u.rx_payload.ready.next = self.writers[0].ready;
        u.rx_cq.ready.next = self.writers[1].ready;
        u.tx_cq.ready.next = self.writers[2].ready;
        u.event_cq.ready.next = self.writers[3].ready;
        drive_bus!(u.event_bus, self.buses[0]);
        drive_bus!(u.tx_bus, self.buses[1]);
        drive_bus!(u.rx_bus, self.buses[2]);
        u.tx_packet.ready.next = true;
        let verdict = self
            .verdicts
            .front()
            .filter(|v| v.0 <= self.now)
            .map(|v| v.1);
        u.tx_verdict.valid.next = verdict.is_some();
        u.tx_verdict.arp_miss.next = matches!(verdict, Some(Some(_)));
        u.tx_verdict.address.next = u64::from(verdict.flatten().unwrap_or(0)).into();
        u.neigh.valid.next = !self.neigh.is_empty();
        u.neigh.address.next = u64::from(self.neigh.front().copied().unwrap_or(0)).into();
        u.link_up.next = self.link;
        u.rx_packet.valid.next = !self.frames.is_empty();
        if let Some(f) = self.frames.front() {
            let rest = &f[8 * self.beat..];
            let mut beat = [0; 8];
            let n = rest.len().min(8);
            beat[..n].copy_from_slice(&rest[..n]);
            let word = u64::from_le_bytes(beat);
            u.rx_packet.d0.next = (word & 0xFFFF_FFFF).into();
            u.rx_packet.d1.next = (word >> 32).into();
            u.rx_packet.keep.next = ((1u64 << n) - 1).into();
            u.rx_packet.last.next = rest.len() <= 8;
            u.rx_packet.len.next = (f.len() as u64).into();
        }
        self.dut.settle();
        let u = &self.dut.u;
        if let Some(trace) = &mut self.trace {
            trace.record(&**u);
        }
        sample_reader!(
            u.sq_req,
            u.sq_data,
            self.readers[0],
            self.now,
            &mut self.rng
        );
        sample_reader!(
            u.rq_req,
            u.rq_data,
            self.readers[1],
            self.now,
            &mut self.rng
        );
        sample_reader!(
            u.pay_req,
            u.pay_data,
            self.readers[2],
            self.now,
            &mut self.rng
        );
        sample_writer!(u.rx_payload, self.writers[0], &mut self.memory);
        sample_writer!(u.rx_cq, self.writers[1], &mut self.memory);
        sample_writer!(u.tx_cq, self.writers[2], &mut self.memory);
        sample_writer!(u.event_cq, self.writers[3], &mut self.memory);
        if verdict.is_some() && u.tx_verdict.ready.val() {
            self.verdicts.pop_front();
        }
        if u.neigh.ready.val() {
            self.neigh.pop_front();
        }
        if !self.frames.is_empty() && u.rx_packet.ready.val() {
            self.beat += 1;
            if u.rx_packet.last.val() {
                self.frames.pop_front();
                self.beat = 0;
            }
        }
        let p = &u.tx_packet;
        if p.valid.val() {
            let word = u64::from(p.d0.val().to_u32()) | u64::from(p.d1.val().to_u32()) << 32;
            let n = p.keep.val().to_u32().count_ones() as usize;
            self.current.extend(&word.to_le_bytes()[..n]);
            if p.last.val() && !p.abort.val() {
                let bytes = std::mem::take(&mut self.current);
                self.packets += 1;
                let due = self.now + 1 + self.rng.below(30);
                if self.miss && bytes[0].is_multiple_of(5) {
                    // The answer of the neighbour comes at the worst time: with the lookup itself.
                    self.neigh.push_back(self.packets);
                    self.verdicts.push_back((due, Some(self.packets)));
                } else {
                    self.frames.push_back(bytes);
                    self.verdicts.push_back((due, None));
                }
            }
        }
        for (i, n) in self.irqs.iter_mut().enumerate() {
            *n += u32::from(u.irq.val().get_bit(i));
        }
        self.busy = u.busy.val();
        self.dut.u.clock.next = true.into();
        self.dut.settle();
        self.poll();
    }
    /// Reads all rings, the event ring first: what came before an event must stand in the others by then.
    fn poll(&mut self) {
        loop {
            let at = self.events.len();
            let e = Event::from_words(self.memory.entry(EVENTS + 16 * (at as u64 % 16)));
            if e.phase != ((at >> 4) & 1 == 0) {
                break;
            }
            self.events.push(e);
        }
        loop {
            let at = self.tx.len();
            let e = Cqe::from_words(self.memory.entry(TXCQ + 16 * (at as u64 % 16)));
            if e.phase != ((at >> 4) & 1 == 0) {
                break;
            }
            self.tx.push(e);
        }
        loop {
            let at = self.rx.len();
            let e = Cqe::from_words(self.memory.entry(RXCQ + 16 * (at as u64 % 16)));
            if e.phase != ((at >> 4) & 1 == 0) {
                break;
            }
            let base = SLOTS + 2048 * u64::from(e.index);
            let bytes = (0..u64::from(e.len))
                .map(|i| self.memory.byte(base + i))
                .collect();
            self.rx.push((e, bytes));
        }
        for e in self
            .events
            .iter()
            .filter(|e| e.code == event_code::NEIGH_RESOLVED)
        {
            assert!(
                self.tx
                    .iter()
                    .any(|c| c.status & cs::ARP_MISS != 0 && c.hash == e.address),
                "the event for {} is seen before its ARP_MISS",
                e.address
            );
        }
    }
    /// Sends `total` packets round the loop, doorbells at random times; gives what was sent.
    fn carry(&mut self, total: u32) -> Vec<Vec<u8>> {
        let mut sent: Vec<Vec<u8>> = vec![];
        let (mut given, mut patience) = (0u32, 0);
        while self.tx.len() < total as usize || self.rx.len() + self.events.len() < total as usize {
            patience += 1;
            assert!(
                patience < 60_000,
                "stuck: {} sent, {} and {} back",
                sent.len(),
                self.tx.len(),
                self.rx.len()
            );
            match self.rng.below(60) {
                0 => {
                    while (sent.len() as u32) < total && sent.len() < self.tx.len() + 16 {
                        let i = sent.len() as u64;
                        let at = DATA + 0x800 * (i % 16) + self.rng.below(8);
                        let bytes: Vec<u8> = (0..1 + self.rng.below(200))
                            .map(|_| self.rng.next() as u8)
                            .collect();
                        for (k, &v) in bytes.iter().enumerate() {
                            self.memory.set(at + k as u64, v);
                        }
                        let flags = sf::SOP | sf::EOP | sf::CPL_REQ;
                        let sqe = Sqe {
                            iova: at,
                            len: bytes.len() as u16,
                            flags,
                            ..Sqe::default()
                        };
                        self.memory.set_entry(SQ + 16 * (i % 16), sqe.to_words());
                        sent.push(bytes);
                        if self.rng.percent(20) {
                            break;
                        }
                    }
                    let (p, c) = (sent.len() as u32, self.tx.len() as u32);
                    self.ring(1, p, c, true);
                }
                1 => {
                    while given < self.rx.len() as u32 + 16 {
                        self.memory
                            .set(RQ + 2 * u64::from(given % 16), (given % 16) as u8);
                        given += 1;
                    }
                    let c = self.rx.len() as u32;
                    self.ring(2, given, c, true);
                }
                2 => {
                    let c = self.events.len() as u32;
                    self.ring(0, 0, c, true);
                }
                _ => self.cycle(),
            }
        }
        sent
    }
    fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..100_000 {
            self.cycle();
            let world =
                self.readers.iter().map(Reader::outstanding).sum::<usize>() + self.verdicts.len();
            quiet = if self.busy || world > 0 { 0 } else { quiet + 1 };
            if quiet > 20 {
                return;
            }
        }
        panic!("never idle");
    }
}

proptest! {
    #![proptest_config(crate::common::cases(6))]
    #[test]
    fn a_loop_carries_every_frame_and_misses_come_before_their_events(seed: u64) {
        let mut b = Bench::new(seed);
        let sent = b.carry(80);
        b.settle();
        prop_assert_eq!(b.tx.len(), sent.len());
        let through: Vec<_> = sent.iter().filter(|s| !s[0].is_multiple_of(5)).collect();
        prop_assert_eq!(b.rx.len(), through.len());
        for (got, want) in b.rx.iter().zip(through) {
            prop_assert_eq!(&got.1, want);
        }
        for (i, (c, s)) in b.tx.iter().zip(&sent).enumerate() {
            let missed = s[0].is_multiple_of(5);
            prop_assert_eq!(c.status, if missed { cs::ARP_MISS } else { 0 });
            prop_assert_eq!(u32::from(c.index), i as u32 % 16);
        }
        prop_assert!(b.irqs[1] > 0 && b.irqs[2] > 0 && b.irqs[3] == 0);
        prop_assert!(b.events.is_empty() || b.irqs[0] > 0);
    }
}

#[test]
fn a_queue_that_stops_is_reported_and_the_others_go_on() {
    stop_all(&mut Bench::new(5));
}

/// Makes one queue after the other fail; each is reported.
fn stop_all(b: &mut Bench) {
    b.miss = false;
    b.ring(1, 17, 0, false);
    b.settle();
    assert_eq!(
        b.dut.u.tx_bus.status.val().to_u32() & 15,
        queue_error::BAD_INDEX
    );
    b.memory.set(RQ, 200);
    b.ring(2, 1, 0, false);
    b.settle();
    assert_eq!(
        b.dut.u.rx_bus.status.val().to_u32() & 15,
        queue_error::BAD_SLOT
    );
    b.link = true;
    b.settle();
    let got: Vec<_> = b.events.iter().map(|e| (e.code, e.detail)).collect();
    assert_eq!(
        got,
        [
            (event_code::QUEUE_ERROR, 1),
            (event_code::QUEUE_ERROR, 2),
            (event_code::LINK, 1)
        ]
    );
    b.ring(0, 0, 9, false);
    b.settle();
    assert_eq!(
        b.dut.u.event_bus.status.val().to_u32() & 15,
        queue_error::BAD_INDEX
    );
    assert_eq!(
        b.events.last().map(|e| (e.code, e.detail)),
        Some((event_code::QUEUE_ERROR, 0))
    );
}

#[test]
fn exports_to_clean_verilog() {
    let text = ferrule_rtl::verilog::emit::<Queues>("queues").expect("emits");
    verilator_lint("queues", &text);
}

#[test]
fn the_verilog_does_the_same() {
    let mut b = Bench::with(77, Some(Trace::default()));
    b.carry(40);
    // Disabled with frames under way, reset, and from the start again.
    b.ring(1, 45, 40, true);
    (0..60).for_each(|_| b.cycle());
    for enable in [false, true] {
        match enable {
            true => b.start(),
            false => b.enable(false),
        }
        b.settle();
        b.dut.u.reset.next = !enable;
        b.cycle();
        b.dut.u.reset.next = false;
    }
    b.ring(2, 16, 0, true);
    b.ring(1, 9, 0, true);
    b.settle();
    assert!(b.events.len() > 2 && b.packets > 45 && b.irqs[1] > 0);
    let trace = b.trace.take().expect("recorded");
    trace.check::<Queues>("queues");

    let mut b = Bench::with(5, Some(Trace::default()));
    stop_all(&mut b);
    let trace = b.trace.take().expect("recorded");
    trace.check::<Queues>("queues");
}
