//! Several queue pairs: which queue a frame goes to and when it waits, who sends in turn, whose error it is.
use etherparse::PacketBuilder;
use ferrule_abi::regs::{self, ctrl, queue_error};
use ferrule_abi::ring::sqe_flags::{CPL_REQ, EOP, RAW, SOP};
use ferrule_abi::ring::{cqe_status, doorbell, event_code, Cqe, Event, Sqe};
use ferrule_abi::{counter, BAR_REGS};

use super::{Memory, RING_LOG2};
use crate::model::bus::Bus;
use crate::model::Model;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PAIRS: u32 = regs::QUEUE_PAIRS;
const SIZE: u32 = 1 << RING_LOG2;
/// Bytes of a pair's rings, slots and buffers.
const AREA: u64 = 0x1_C000;
const EVENTS: u64 = AREA * PAIRS as u64;
const TXCQ: u64 = 0x1000;
const RXQ: u64 = 0x2000;
const RXCQ: u64 = 0x3000;
const SLOTS: u64 = 0x4000;
const BUFFERS: u64 = 0xC000;

/// A model, and a host with all rings, which reads each completion once and gives slots only when told to.
struct Bench {
    model: Model,
    memory: Memory,
    now_ns: u64,
    /// SQEs written and completions read, slots given and completions read.
    sent: [(u32, u32); PAIRS as usize],
    received: [(u32, u32); PAIRS as usize],
    events: u32,
}

impl Bench {
    /// Everything off but for the event queue.
    fn new() -> Self {
        let mut bench = Self {
            model: Model::new(MAC),
            memory: Memory(vec![0; EVENTS as usize + 0x1000]),
            now_ns: 5_000,
            sent: Default::default(),
            received: Default::default(),
            events: 0,
        };
        bench.model.set_byte_ns(0);
        let page = regs::event_page();
        let cfg = regs::event_cfg::CQ_LOG2.of(RING_LOG2);
        bench.write(page + regs::event_cfg::OFFSET, cfg);
        bench.write(page + regs::event_cq_base_lo::OFFSET, EVENTS as u32);
        bench.write(page + regs::event_ctrl::OFFSET, 1);
        bench.write(ctrl::OFFSET, ctrl::TX_EN.of(1) | ctrl::RX_EN.of(1));
        bench
    }

    fn write(&mut self, offset: u32, value: u32) {
        self.model
            .write_register(&mut self.memory, self.now_ns, BAR_REGS, offset, 0xF, value);
    }

    fn read(&mut self, offset: u32) -> u32 {
        let value = self.model.read_register(self.now_ns, BAR_REGS, offset, 0xF);
        value.expect("an answer")
    }

    fn start_tx(&mut self, queue: u32, more_cfg: u32) {
        let (page, area) = (regs::tx_page(queue), AREA as u32 * queue);
        let cfg = regs::tx_cfg::SQ_LOG2.of(RING_LOG2) | regs::tx_cfg::CQ_LOG2.of(RING_LOG2);
        self.sent[queue as usize] = (0, 0);
        self.clear(u64::from(area) + TXCQ);
        self.write(page + regs::tx_cfg::OFFSET, cfg | more_cfg);
        self.write(page + regs::tx_sq_base_lo::OFFSET, area);
        self.write(page + regs::tx_cq_base_lo::OFFSET, area + TXCQ as u32);
        self.write(page + regs::tx_ctrl::OFFSET, 1);
    }

    fn start_rx(&mut self, queue: u32, more_cfg: u32) {
        let (page, area) = (regs::rx_page(queue), AREA as u32 * queue);
        let cfg = regs::rx_cfg::RXQ_LOG2.of(RING_LOG2) | regs::rx_cfg::CQ_LOG2.of(RING_LOG2);
        let slots = regs::rx_slot_cfg::STRIDE_LOG2.of(11) | regs::rx_slot_cfg::COUNT.of(SIZE);
        self.received[queue as usize] = (0, 0);
        self.clear(u64::from(area) + RXCQ);
        for slot in 0..SIZE {
            let at = u64::from(area) + RXQ + 2 * u64::from(slot);
            self.memory.write(at, &(slot as u16).to_le_bytes(), 0);
        }
        for (offset, value) in [
            (regs::rx_cfg::OFFSET, cfg | more_cfg),
            (regs::rx_rxq_base_lo::OFFSET, area + RXQ as u32),
            (regs::rx_cq_base_lo::OFFSET, area + RXCQ as u32),
            (regs::rx_slot_base_lo::OFFSET, area + SLOTS as u32),
            (regs::rx_slot_cfg::OFFSET, slots),
            (regs::rx_ctrl::OFFSET, 1),
        ] {
            self.write(page + offset, value);
        }
    }

    fn clear(&mut self, ring: u64) {
        self.memory.write(ring, &[0; 16 << RING_LOG2], 0);
    }

    fn entry(&self, ring: u64, index: u32) -> Option<[u32; 4]> {
        let at = (ring + 16 * u64::from(index % SIZE)) as usize;
        let words = self.memory.0[at..at + 16].chunks_exact(4);
        let mut entry = [0; 4];
        for (word, bytes) in entry.iter_mut().zip(words) {
            *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        (entry[3] >> 31 == u32::from((index / SIZE).is_multiple_of(2))).then_some(entry)
    }

    /// Gives a receive queue so many more slots, and says that all completions taken are read.
    fn give(&mut self, queue: u32, slots: u32) {
        let (given, read) = &mut self.received[queue as usize];
        *given += slots;
        let value = doorbell::PRODUCER.of(*given) | doorbell::CONSUMER.of(*read);
        self.write(regs::rx_page(queue) + regs::rx_doorbell::OFFSET, value);
    }

    /// New completions of a receive queue, each with the first byte behind the UDP header in its slot.
    fn received(&mut self, queue: u32) -> Vec<(Cqe, u8)> {
        let area = AREA * u64::from(queue);
        let mut all = vec![];
        while let Some(words) = self.entry(area + RXCQ, self.received[queue as usize].1) {
            self.received[queue as usize].1 += 1;
            let cqe = Cqe::from_words(words);
            let slot = area + SLOTS + (u64::from(cqe.index) << 11);
            all.push((cqe, self.memory.0[slot as usize + 42]));
        }
        all
    }

    /// The frames' numbers alone.
    fn numbers(&mut self, queue: u32) -> Vec<u8> {
        self.received(queue).iter().map(|r| r.1).collect()
    }

    fn receive(&mut self, frame: &[u8]) {
        self.model.receive(&mut self.memory, self.now_ns, frame);
    }

    fn post(&mut self, queue: u32, data: &[u8], flags: u16) {
        let area = AREA * u64::from(queue);
        let place = u64::from(self.sent[queue as usize].0 % SIZE);
        let buffer = area + BUFFERS + (place << 12);
        self.memory.write(buffer, data, 0);
        let sqe = Sqe {
            iova: buffer,
            len: data.len() as u16,
            flags,
            ..Sqe::default()
        };
        let words = sqe.to_words().map(u32::to_le_bytes);
        self.memory
            .write(area + place * 16, words.as_flattened(), 0);
        self.sent[queue as usize].0 += 1;
    }

    fn ring(&mut self, queue: u32) {
        let (posted, read) = self.sent[queue as usize];
        let value = doorbell::PRODUCER.of(posted) | doorbell::CONSUMER.of(read);
        self.write(regs::tx_page(queue) + regs::tx_doorbell::OFFSET, value);
    }

    fn tx_completions(&mut self, queue: u32) -> Vec<Cqe> {
        let ring = AREA * u64::from(queue) + TXCQ;
        let mut all = vec![];
        while let Some(words) = self.entry(ring, self.sent[queue as usize].1) {
            self.sent[queue as usize].1 += 1;
            all.push(Cqe::from_words(words));
        }
        all
    }

    /// The first byte of each frame that has left.
    fn left(&mut self) -> Vec<u8> {
        let next = || self.model.transmit(&mut self.memory, self.now_ns);
        std::iter::from_fn(next).map(|f| f[0]).collect()
    }

    fn events(&mut self) -> Vec<Event> {
        let mut all = vec![];
        while let Some(words) = self.entry(EVENTS, self.events) {
            self.events += 1;
            all.push(Event::from_words(words));
        }
        let consumer = doorbell::CONSUMER.of(self.events);
        self.write(regs::event_page() + regs::event_doorbell::OFFSET, consumer);
        all
    }

    /// Pages of the queues that have failed, in the order of the events.
    fn failed_pages(&mut self) -> Vec<u16> {
        let events = self.events();
        let failed = events.iter().filter(|e| e.code == event_code::QUEUE_ERROR);
        failed.map(|e| e.detail).collect()
    }

    fn error(&mut self, page: u32) -> u32 {
        regs::event_status::ERROR.get(self.read(page + regs::event_status::OFFSET))
    }

    fn counter(&mut self, index: u32) -> u32 {
        self.write(regs::snapshot::OFFSET, 1);
        self.read(regs::counters::REGISTER.offset_of(2 * index))
    }

    /// A key of the hash that has many different bits.
    fn set_key(&mut self) {
        for n in 0..regs::HASH_KEY_WORDS {
            let word = (n + 1).wrapping_mul(0x9E37_79B1);
            self.write(regs::hash_key::REGISTER.offset_of(n), word);
        }
    }

    /// Each entry of the table in its two bits.
    fn set_table(&mut self, queue: impl Fn(u32) -> u32) {
        for n in 0..regs::INDIRECTION_ENTRIES / 16 {
            let word = (0..16).fold(0, |word, i| word | queue(16 * n + i) << (2 * i));
            self.write(regs::indirection::REGISTER.offset_of(n), word);
        }
    }
}

/// A UDP frame whose hash depends on `port`, with its number as payload.
fn udp(port: u16, number: u8) -> Vec<u8> {
    let mut frame = vec![];
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 9], MAC)
        .ipv4([192, 0, 2, 2], [192, 0, 2, 1], 64)
        .udp(port, 53)
        .write(&mut frame, &[number; 30])
        .expect("a frame");
    frame
}

/// A frame without a hash, whose number is where that of [`udp`] is.
fn plain(number: u8) -> Vec<u8> {
    let mut frame = [&MAC[..], &[2, 0, 0, 0, 0, 9], &[0x88, 0xB5]].concat();
    frame.resize(60, number);
    frame
}

/// Two ports whose frames the table sends to queues 0 and 1, and all else to queue 2.
fn two_flows(b: &mut Bench) -> [u16; 2] {
    b.set_key();
    b.start_rx(3, 0);
    b.set_table(|_| 3);
    b.give(3, 16);
    for port in 1_000..1_016 {
        b.receive(&udp(port, 0));
    }
    let hashes: Vec<u32> = b.received(3).iter().map(|r| r.0.hash % 128).collect();
    assert_eq!(hashes.len(), 16);
    let other = hashes.iter().position(|h| *h != hashes[0] && *h != 0);
    let other = other.expect("hashes differ");
    assert_ne!(hashes[0], 0, "the entry of frames without a hash");
    let (first, second) = (hashes[0], hashes[other]);
    b.set_table(|entry| match entry {
        e if e == first => 0,
        e if e == second => 1,
        _ => 2,
    });
    [1_000, 1_000 + other as u16]
}

#[test]
fn the_hash_finds_the_queue_in_the_table_and_a_frame_without_one_goes_by_entry_0() {
    let mut b = Bench::new();
    b.set_key();
    for queue in 0..PAIRS {
        b.start_rx(queue, 0);
        b.give(queue, SIZE);
    }
    // All to one queue: what their hashes are.
    b.set_table(|_| 2);
    for port in 0..12 {
        b.receive(&udp(port, port as u8));
    }
    let hashes: Vec<u32> = b.received(2).iter().map(|r| r.0.hash).collect();
    assert_eq!(hashes.len(), 12);
    b.give(2, 12);
    let queue_of = |entry: u32| (entry + entry / 4 + entry / 16) % PAIRS;
    b.set_table(queue_of);
    for port in 0..12 {
        b.receive(&udp(port, port as u8));
    }
    for queue in 0..PAIRS {
        let its = |port: &u8| queue_of(hashes[usize::from(*port)] % 128) == queue;
        let expected: Vec<u8> = (0..12).filter(its).collect();
        assert_eq!(b.numbers(queue), expected, "queue {queue}");
    }
    for queue in [3, 1] {
        b.set_table(|entry| if entry == 0 { queue } else { 0 });
        b.receive(&plain(9));
        assert_eq!(b.numbers(queue), [9]);
    }
}

#[test]
fn the_table_is_looked_at_when_a_frame_becomes_the_first_that_waits() {
    let mut b = Bench::new();
    b.start_rx(0, 0);
    b.start_rx(1, 0);
    b.give(1, 4);
    b.receive(&plain(1));
    b.receive(&plain(2));
    assert_eq!((b.numbers(0), b.numbers(1)), (vec![], vec![]));
    b.set_table(|_| 1);
    assert_eq!((b.numbers(0), b.numbers(1)), (vec![], vec![]));
    b.give(0, 2);
    assert_eq!((b.numbers(0), b.numbers(1)), (vec![1], vec![2]));
}

#[test]
fn a_frame_without_a_slot_waits_and_what_is_behind_it_for_other_queues() {
    let mut b = Bench::new();
    let [first, second] = two_flows(&mut b);
    for queue in 0..2 {
        b.start_rx(queue, 0);
        b.give(queue, 1);
    }
    for (port, number) in [(first, 1), (first, 2), (second, 3), (first, 4)] {
        b.receive(&udp(port, number));
    }
    assert_eq!((b.numbers(0), b.numbers(1)), (vec![1], vec![]));
    b.give(0, 1);
    assert_eq!((b.numbers(0), b.numbers(1)), (vec![2], vec![3]));
    b.give(0, 1);
    let last: Vec<_> = b.received(0).into_iter().map(lost_before).collect();
    assert_eq!(last, [(4, false)]);
    // A queue that does not run keeps nobody waiting.
    b.receive(&udp(first, 5));
    b.receive(&udp(second, 6));
    b.write(regs::rx_page(0) + regs::rx_ctrl::OFFSET, 0);
    b.give(1, 1);
    assert_eq!(b.numbers(1), [6]);
    assert_eq!(b.counter(counter::RX_DROP_NO_SLOT), 1);
}

#[test]
fn a_frame_for_which_the_rxcq_has_no_room_is_not_begun() {
    for drop in [0, 1] {
        let mut b = Bench::new();
        b.start_rx(0, regs::rx_cfg::DROP.of(drop));
        b.give(0, SIZE);
        for number in 1..=SIZE as u8 {
            b.receive(&plain(number));
        }
        assert_eq!(b.received(0).len(), SIZE as usize);
        // Slots again, but as if nothing had been read.
        let read = std::mem::take(&mut b.received[0].1);
        b.give(0, SIZE);
        b.receive(&plain(98));
        assert_eq!(b.memory.0[SLOTS as usize + 42], 1, "its slot's old frame");
        assert_eq!(b.counter(counter::RX_DROP_NO_SLOT), drop);
        b.received[0].1 = read;
        b.give(0, 0);
        b.receive(&plain(99));
        let told: Vec<(u8, bool)> = b.received(0).into_iter().map(lost_before).collect();
        match drop {
            0 => assert_eq!(told, [(98, false), (99, false)]),
            _ => assert_eq!(told, [(99, true)]),
        }
    }
}

/// A frame's number, and whether others were lost before it.
fn lost_before((cqe, number): (Cqe, u8)) -> (u8, bool) {
    (number, cqe.status & cqe_status::DROPPED_BEFORE != 0)
}

#[test]
fn with_drop_a_frame_without_a_slot_is_forgotten_and_the_next_one_tells() {
    let mut b = Bench::new();
    let [first, second] = two_flows(&mut b);
    b.start_rx(0, regs::rx_cfg::DROP.of(1));
    b.start_rx(1, 0);
    b.give(0, 1);
    b.give(1, 4);
    for (port, number) in [(first, 1), (first, 2), (second, 3)] {
        b.receive(&udp(port, number));
    }
    b.give(0, 2);
    b.receive(&udp(first, 4));
    b.receive(&udp(first, 5));
    let told: [Vec<_>; 2] =
        [0, 1].map(|queue| b.received(queue).into_iter().map(lost_before).collect());
    let expected = [vec![(1, false), (4, true), (5, false)], vec![(3, false)]];
    assert_eq!(told, expected);
    assert_eq!(b.counter(counter::RX_DROP_NO_SLOT), 1);
}

#[test]
fn an_overflow_is_told_by_each_queue_that_runs() {
    let mut b = Bench::new();
    b.start_rx(0, 0);
    b.start_rx(1, 0);
    let mut large = plain(1);
    large.resize(1_514, 1);
    for _ in 0..30 {
        b.receive(&large);
    }
    assert!(b.counter(counter::RX_DROP_OVERFLOW) > 0);
    // Started anew, a queue has lost nothing; what waited for it is forgotten.
    b.write(regs::rx_page(0) + regs::rx_ctrl::OFFSET, 0);
    b.start_rx(0, 0);
    for (queue, expected) in [(0, [(4, false), (5, false)]), (1, [(4, true), (5, false)])] {
        b.set_table(|_| queue);
        b.give(queue, 2);
        b.receive(&plain(4));
        b.receive(&plain(5));
        let told: Vec<_> = b.received(queue).into_iter().map(lost_before).collect();
        assert_eq!(told, expected, "queue {queue}");
    }
}

const WHOLE: u16 = SOP | EOP | RAW;

#[test]
fn transmit_queues_have_their_turns_and_completions_of_their_own() {
    let mut b = Bench::new();
    b.write(ctrl::OFFSET, 0);
    for queue in [1, 3] {
        b.start_tx(queue, 0);
        for n in 0..12 {
            b.post(queue, &[16 * queue as u8 + n; 60], WHOLE | CPL_REQ);
        }
        b.ring(queue);
    }
    b.write(ctrl::OFFSET, ctrl::TX_EN.of(1));
    let left = b.left();
    let of = |queue: u8| -> Vec<u8> { left.iter().copied().filter(|f| f / 16 == queue).collect() };
    assert_eq!(left.len(), 24);
    assert_eq!(of(1), (16..28).collect::<Vec<u8>>());
    assert_eq!(of(3), (48..60).collect::<Vec<u8>>());
    for queue in [1, 3] {
        let indices: Vec<u16> = b.tx_completions(queue).iter().map(|c| c.index).collect();
        assert_eq!(indices, (0..12).collect::<Vec<u16>>());
    }
}

#[test]
fn a_queue_with_much_to_send_lets_others_send_in_between() {
    let mut b = Bench::new();
    // So that frames collect in the queues: the buffer is full of large ones of queue 0.
    b.write(ctrl::OFFSET, 0);
    b.start_tx(0, 0);
    b.start_tx(2, 0);
    let large = |n: u8| vec![n; 4_000];
    (0..16).for_each(|n| b.post(0, &large(n), WHOLE));
    b.ring(0);
    (0..16).for_each(|n| b.post(2, &large(0x20 + n), WHOLE));
    b.ring(2);
    b.write(ctrl::OFFSET, ctrl::TX_EN.of(1));
    let left = b.left();
    assert_eq!(left.len(), 32);
    let first_of_2 = left.iter().position(|f| *f >= 0x20).expect("some");
    let last_of_0 = left.iter().rposition(|f| *f < 0x20).expect("some");
    assert!(first_of_2 < last_of_0, "{left:x?}");
}

#[test]
fn a_frame_that_has_only_begun_keeps_the_others_waiting_until_it_ends() {
    let mut b = Bench::new();
    b.start_tx(0, 0);
    b.start_tx(1, 0);
    b.post(0, &[1; 30], SOP | RAW);
    b.ring(0);
    b.post(1, &[2; 60], WHOLE);
    b.ring(1);
    assert_eq!(b.left(), [0; 0]);
    b.post(0, &[1; 30], EOP | CPL_REQ);
    b.ring(0);
    assert_eq!(b.left(), [1, 2]);
    // Disabled, the queue forgets the frame.
    b.post(0, &[3; 30], SOP | RAW);
    b.ring(0);
    b.post(1, &[4; 60], WHOLE);
    b.ring(1);
    assert_eq!(b.left(), [0; 0]);
    b.write(regs::tx_page(0) + regs::tx_ctrl::OFFSET, 0);
    assert_eq!(b.left(), [4]);
    assert_eq!(b.read(regs::tx_page(0) + regs::tx_status::OFFSET), 0);
}

#[test]
fn a_queue_whose_txcq_is_full_keeps_nobody_else_waiting() {
    let mut b = Bench::new();
    b.start_tx(0, 0);
    b.start_tx(1, 0);
    for n in 0..2 {
        (0..SIZE).for_each(|_| b.post(0, &[n; 60], WHOLE | CPL_REQ));
        // As if no completion had ever been read.
        b.ring(0);
    }
    let before = b.left().len();
    assert!(before < 2 * SIZE as usize);
    b.post(1, &[9; 60], WHOLE | CPL_REQ);
    b.ring(1);
    assert_eq!(b.left(), [9]);
    assert_eq!(b.tx_completions(1).len(), 1);
    b.tx_completions(0);
    b.ring(0);
    assert_eq!(before + b.left().len(), 2 * SIZE as usize);
}

#[test]
fn an_error_stops_its_queue_alone_and_is_told_with_its_page() {
    let mut b = Bench::new();
    for queue in 0..PAIRS {
        b.start_tx(queue, 0);
        b.start_rx(queue, 0);
        b.give(queue, 4);
    }
    let impossible = doorbell::PRODUCER.of(SIZE + 1);
    b.write(regs::tx_page(2) + regs::tx_doorbell::OFFSET, impossible);
    b.write(regs::rx_page(3) + regs::rx_doorbell::OFFSET, impossible);
    assert_eq!(b.failed_pages(), [5, 8]);
    for page in 1..regs::PAGES {
        let expected = match page {
            5 | 8 => regs::event_status::ERROR.of(queue_error::BAD_INDEX),
            _ => regs::event_status::RUNNING.of(1),
        };
        let status = regs::queue_page(page) + regs::event_status::OFFSET;
        assert_eq!(b.read(status), expected, "page {page}");
    }
}

#[test]
fn of_errors_that_wait_the_transmit_queues_are_told_first_then_by_their_pages() {
    let mut b = Bench::new();
    for queue in 0..PAIRS {
        b.start_tx(queue, 0);
        b.start_rx(queue, 0);
    }
    // The event ring is full: no link, link, no link.
    for n in 0..=SIZE {
        b.model.set_link(n.is_multiple_of(2), 2);
        b.model.poll(&mut b.memory, b.now_ns);
    }
    let impossible = doorbell::PRODUCER.of(SIZE + 1);
    for page in [8, 5, 2, 7, 4, 1] {
        b.write(regs::queue_page(page), impossible);
    }
    assert_eq!(b.events().len(), SIZE as usize);
    assert_eq!(b.failed_pages(), [1, 5, 7, 2, 4, 8]);
}

#[test]
fn push_is_for_transmit_queue_0_alone_and_for_it_alone() {
    let push = regs::tx_cfg::PUSH.of(1);
    let [zero, one, two] = [0, 1, 2].map(regs::tx_page);
    let mut b = Bench::new();
    b.start_tx(1, push);
    assert_eq!(b.error(one), queue_error::BAD_SETUP);
    b.write(one + regs::tx_ctrl::OFFSET, 0);
    b.start_tx(2, 0);
    b.start_tx(0, push);
    assert_eq!(
        (b.error(zero), b.error(two)),
        (queue_error::BAD_SETUP, queue_error::NONE)
    );
    for page in [zero, two] {
        b.write(page + regs::tx_ctrl::OFFSET, 0);
    }
    b.start_tx(0, push);
    assert_eq!(b.error(zero), queue_error::NONE);
    b.start_tx(2, 0);
    assert_eq!(b.error(two), queue_error::BAD_SETUP);
    assert_eq!(b.failed_pages(), [3, 1, 5]);
    // Queue 0 goes on, and its window alone is open.
    let sqe = Sqe {
        len: 60,
        flags: WHOLE,
        ..Sqe::default()
    };
    let mut image = sqe.to_words().to_vec();
    image.resize(4 + 16, 0x0707_0707);
    for queue in 0..PAIRS {
        let window = regs::push_window(queue);
        b.model
            .write_block(&mut b.memory, b.now_ns, BAR_REGS, window, &image);
    }
    assert_eq!(b.left(), [7]);
    assert_eq!(b.read(regs::bad_access::OFFSET), PAIRS - 1);
    // With queue 0 off, others may run.
    b.write(zero + regs::tx_ctrl::OFFSET, 0);
    b.write(two + regs::tx_ctrl::OFFSET, 0);
    b.start_tx(2, 0);
    assert_eq!(b.error(two), queue_error::NONE);
}

#[test]
fn a_neighbours_event_waits_for_the_completions_of_all_transmit_queues() {
    let mut b = Bench::new();
    b.write(regs::local_addr::OFFSET, 0xC000_0201);
    b.write(regs::local_mask::OFFSET, 0xFFFF_FF00);
    b.start_tx(0, 0);
    b.start_tx(1, 0);
    // Queue 1's ring is full, and one more completion waits.
    for n in 0..2 {
        let frames = [SIZE, 1][n];
        (0..frames).for_each(|_| b.post(1, &[9; 60], WHOLE | CPL_REQ));
        b.ring(1);
    }
    b.left();
    // No route: a miss, and its failure at once.
    let mut packet = vec![0; 40];
    packet[..4].copy_from_slice(&[0x45, 0, 0, 40]);
    packet[16..20].copy_from_slice(&[198, 51, 100, 7]);
    b.post(0, &packet, SOP | EOP);
    b.ring(0);
    let missed = b.tx_completions(0);
    assert_eq!(missed[0].status, cqe_status::ARP_MISS);
    assert_eq!(b.events(), []);
    b.tx_completions(1);
    b.ring(1);
    let codes: Vec<u16> = b.events().iter().map(|e| e.code).collect();
    assert_eq!(codes, [event_code::NEIGH_FAILED]);
}

#[test]
fn more_misses_at_once_than_news_fit_all_end() {
    let mut b = Bench::new();
    b.start_tx(0, 0);
    // No route: a miss, and its failure at once.
    let mut packet = vec![0; 40];
    packet[..4].copy_from_slice(&[0x45, 0, 0, 40]);
    packet[16..20].copy_from_slice(&[198, 51, 100, 7]);
    (0..SIZE).for_each(|_| b.post(0, &packet, SOP | EOP));
    b.ring(0);
    assert_eq!(b.tx_completions(0).len(), SIZE as usize);
    assert_eq!(b.events().len(), SIZE as usize);
}

#[test]
fn a_reset_stops_all_queues_and_empties_the_table() {
    let mut b = Bench::new();
    for queue in 0..PAIRS {
        b.start_tx(queue, 0);
        b.start_rx(queue, 0);
    }
    b.set_table(|_| 3);
    b.write(ctrl::OFFSET, ctrl::RESET.of(1));
    for page in 0..regs::PAGES {
        let page = regs::queue_page(page);
        for offset in [regs::event_status::OFFSET, regs::event_ctrl::OFFSET] {
            assert_eq!(b.read(page + offset), 0, "{page:#x}");
        }
    }
    assert_eq!(b.read(regs::indirection::REGISTER.offset_of(7)), 0);
}
