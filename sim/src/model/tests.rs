//! What the differential bench cannot see, since its clock stands: how fast frames leave, and when the model wants to be called.
use ferrule_abi::regs::{self, ctrl, tx_cfg};
use ferrule_abi::ring::sqe_flags::{EOP, RAW, SOP};
use ferrule_abi::ring::{doorbell, Sqe};
use ferrule_abi::{BAR_REGS, TICK_NS};
use proptest::prelude::*;

use super::bus::{Bus, ReadOutcome};
use super::Model;

mod queues;

const SQ: u64 = 0x1000;
const CQ: u64 = 0x2000;
const BUFFERS: u64 = 0x4000;
const BUFFER: u64 = 0x1000;
const RING_LOG2: u32 = 4;
/// Preamble with SFD, FCS (IEEE 802.3 clause 3.1.1).
const AROUND: u64 = 8 + 4;
/// Interpacket gap (clause 4.4.2), in byte times.
const GAP: u64 = 12;
const BYTE_NS: u64 = 8;

/// Memory from address 0.
struct Memory(Vec<u8>);

impl Bus for Memory {
    fn read(&mut self, address: u64, out: &mut [u8], _: u64) -> ReadOutcome {
        let at = address as usize;
        out.copy_from_slice(&self.0[at..at + out.len()]);
        ReadOutcome {
            requests: 1,
            completions: 1,
            errors: 0,
        }
    }
    fn write(&mut self, address: u64, data: &[u8], _: u64) -> u64 {
        let at = address as usize;
        self.0[at..at + data.len()].copy_from_slice(data);
        1
    }
    fn bus_master(&self) -> bool {
        true
    }
    fn max_payload(&self) -> u64 {
        128
    }
    fn max_read(&self) -> u64 {
        512
    }
    fn messages(&self) -> bool {
        false
    }
}

/// A model whose transmit queue runs.
struct Bench {
    model: Model,
    memory: Memory,
    now_ns: u64,
    producer: u32,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self {
            model: Model::new([2, 0, 0, 0, 0, 1]),
            memory: Memory(vec![0; (BUFFERS + (BUFFER << RING_LOG2)) as usize]),
            now_ns: 5_000,
            producer: 0,
        };
        let page = regs::tx_page(0);
        let cfg = tx_cfg::SQ_LOG2.of(RING_LOG2) | tx_cfg::CQ_LOG2.of(RING_LOG2);
        bench.write(page + tx_cfg::OFFSET, cfg);
        bench.write(page + regs::tx_sq_base_lo::OFFSET, SQ as u32);
        bench.write(page + regs::tx_cq_base_lo::OFFSET, CQ as u32);
        bench.write(page + regs::tx_ctrl::OFFSET, 1);
        bench.write(ctrl::OFFSET, ctrl::TX_EN.of(1) | ctrl::RX_EN.of(1));
        bench
    }

    fn write(&mut self, offset: u32, value: u32) {
        self.model
            .write_register(&mut self.memory, self.now_ns, BAR_REGS, offset, 0xF, value);
    }

    fn post(&mut self, data: &[u8], flags: u16) {
        let buffer = BUFFERS + u64::from(self.producer) * BUFFER;
        self.memory.write(buffer, data, 0);
        let sqe = Sqe {
            iova: buffer,
            len: data.len() as u16,
            flags: flags | SOP | EOP,
            ..Sqe::default()
        };
        let words = sqe.to_words().map(u32::to_le_bytes);
        self.memory
            .write(SQ + u64::from(self.producer) * 16, words.as_flattened(), 0);
        self.producer += 1;
    }

    fn ring(&mut self) {
        let offset = regs::tx_page(0) + regs::tx_doorbell::OFFSET;
        self.write(offset, doorbell::PRODUCER.of(self.producer));
    }

    /// Frames that leave, and when, if the model is called exactly when it wants to be.
    fn run(&mut self, calls: usize) -> Vec<(u64, Vec<u8>)> {
        let mut sent = vec![];
        for _ in 0..calls {
            while let Some(frame) = self.model.transmit(&mut self.memory, self.now_ns) {
                sent.push((self.now_ns, frame));
            }
            match self.model.next_deadline() {
                Some(at_ns) => self.now_ns = self.now_ns.max(at_ns),
                None => break,
            }
        }
        sent
    }
}

proptest! {
    #[test]
    fn frames_leave_whole_and_at_the_pace_of_the_wire(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 14..1_500), 1..8),
    ) {
        let mut b = Bench::new();
        let begin_ns = b.now_ns;
        frames.iter().for_each(|f| b.post(f, RAW));
        b.ring();
        let sent = b.run(100);
        prop_assert_eq!(sent.len(), frames.len());
        let mut at_ns = begin_ns;
        for ((ended_ns, got), frame) in sent.iter().zip(&frames) {
            let mut padded = frame.clone();
            padded.resize(frame.len().max(60), 0);
            prop_assert_eq!(got, &padded);
            at_ns += (padded.len() as u64 + AROUND) * BYTE_NS;
            prop_assert_eq!(*ended_ns, at_ns);
            at_ns += GAP * BYTE_NS;
        }
        prop_assert_eq!(b.model.next_deadline(), None);
    }
}

#[test]
fn a_time_that_jumps_ahead_finds_the_frames_where_they_were() {
    let mut b = Bench::new();
    for n in 0..3 {
        b.post(&[n; 100], RAW);
    }
    b.ring();
    let later_ns = b.now_ns + 3 * (100 + AROUND + GAP) * BYTE_NS;
    let at_once: Vec<u8> = std::iter::from_fn(|| b.model.transmit(&mut b.memory, later_ns))
        .map(|f| f[0])
        .collect();
    assert_eq!(at_once, [0, 1, 2]);
}

#[test]
fn frames_wait_for_tx_en_and_nothing_is_due() {
    let mut b = Bench::new();
    b.write(ctrl::OFFSET, 0);
    b.post(&[1; 100], RAW);
    b.ring();
    assert_eq!(b.run(10), []);
    assert_eq!(b.model.next_deadline(), None);
    b.write(ctrl::OFFSET, ctrl::TX_EN.of(1));
    assert_eq!(b.run(10).len(), 1);
}

#[test]
fn a_silent_next_hop_is_asked_three_times_at_the_times_that_arptime_says() {
    const RETRY_TICKS: u32 = 7;
    let mut b = Bench::new();
    b.write(regs::local_addr::OFFSET, 0xC000_0201);
    b.write(regs::local_mask::OFFSET, 0xFFFF_FF00);
    let arptime = regs::arptime::AGE.of(100) | regs::arptime::RETRY.of(RETRY_TICKS);
    b.write(regs::arptime::OFFSET, arptime);
    let mut packet = [0; 40];
    packet[..4].copy_from_slice(&[0x45, 0, 0, 40]);
    packet[16..20].copy_from_slice(&[192, 0, 2, 9]);
    b.post(&packet, 0);
    let first_tick = b.now_ns / TICK_NS;
    b.ring();
    let sent = b.run(100);
    let on_the_wire_ns = (60 + AROUND) * BYTE_NS;
    let asked: Vec<u64> = sent
        .iter()
        .map(|(ended_ns, _)| (ended_ns - on_the_wire_ns).div_ceil(TICK_NS))
        .collect();
    let retry = u64::from(RETRY_TICKS);
    assert_eq!(
        asked[1..],
        [first_tick + retry, first_tick + 2 * retry],
        "the first one at once"
    );
    assert_eq!(asked.len(), 3);
    assert!(sent.iter().all(|(_, f)| f[12..14] == [0x08, 0x06]));
    assert_eq!(b.model.next_deadline(), None, "given up");
}

#[test]
fn accesses_that_are_none_are_refused_and_counted() {
    let mut b = Bench::new();
    assert_eq!(
        b.model.read_register(0, BAR_REGS, 0, 0xF),
        Some(regs::MAGIC)
    );
    assert_eq!(b.model.read_register(0, BAR_REGS, 0, 0x3), None);
    assert_eq!(b.model.read_register(0, 1, 0, 0xF), None);
    assert_eq!(
        b.model.read_register(0, BAR_REGS, 0x3FC, 0xF),
        Some(u32::MAX)
    );
    let count = b
        .model
        .read_register(0, BAR_REGS, regs::bad_access::OFFSET, 0xF);
    assert_eq!(count, Some(3));
}

#[test]
fn a_full_receive_buffer_asks_the_link_partner_for_a_pause_until_it_is_empty() {
    let mut bench = Bench::new();
    let page = regs::rx_page(0);
    let slot_cfg = regs::rx_slot_cfg::STRIDE_LOG2.of(11) | regs::rx_slot_cfg::COUNT.of(16);
    let cfg = regs::rx_cfg::RXQ_LOG2.of(RING_LOG2) | regs::rx_cfg::CQ_LOG2.of(RING_LOG2);
    for (offset, value) in [
        (page + regs::rx_slot_cfg::OFFSET, slot_cfg),
        (page + regs::rx_cfg::OFFSET, cfg),
        (page + regs::rx_ctrl::OFFSET, 1),
        (regs::ctrl::OFFSET, ctrl::RX_EN.of(1) | ctrl::TX_EN.of(1)),
        (regs::flow::OFFSET, regs::flow::TX_PAUSE.of(1)),
    ] {
        bench.write(offset, value);
    }
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x88, 0xB5];
    frame.resize(1_024 - 8, 0);
    let sent = |bench: &mut Bench, frames: usize| {
        for _ in 0..frames {
            bench.model.receive(&mut bench.memory, bench.now_ns, &frame);
        }
        bench.model.poll(&mut bench.memory, bench.now_ns);
        bench.now_ns += 1_000;
        let frame = bench.model.transmit(&mut bench.memory, bench.now_ns);
        frame.map(|f| (f[..6].to_vec(), f[12..18].to_vec()))
    };
    let group = vec![0x01, 0x80, 0xC2, 0, 0, 1];
    // Each takes 1 KiB with its description.
    assert_eq!(sent(&mut bench, 11), None);
    let asked = Some((group.clone(), vec![0x88, 0x08, 0, 1, 0xFF, 0xFF]));
    assert_eq!(sent(&mut bench, 1), asked);
    assert_eq!(sent(&mut bench, 1), None);
    let again = bench.model.next_deadline().expect("it is asked for anew");
    assert!(again - bench.now_ns <= 1 << 23);
    bench.now_ns = again;
    assert_eq!(sent(&mut bench, 0), asked);
    bench.write(page + regs::rx_ctrl::OFFSET, 0);
    assert_eq!(
        sent(&mut bench, 0),
        Some((group, vec![0x88, 0x08, 0, 1, 0, 0]))
    );
    assert_eq!(sent(&mut bench, 0), None);
}
