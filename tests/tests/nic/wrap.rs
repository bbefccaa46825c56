//! Small rings gone round many times, with a host that is late at random: nothing is lost, doubled or out of order.
use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use ferrule_abi::counter;
use ferrule_abi::ring::sqe_flags::{CPL_REQ, EOP, IPCS, L4CS, RAW, SOP};
use ferrule_abi::ring::Sqe;
use ferrule_sim::engine::Engine;
use ferrule_sim::root_complex::{Settings, Split};
use ferrule_tests::bench::{Bench, Layout, TX_BUFFER};
use ferrule_tests::{engines, frames};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Bytes towards the NIC that its buffer is sure to hold.
const IN_FLIGHT_BYTES: usize = 4096;
/// Interrupts: the transmit and the receive vector.
const VECTORS: [usize; 2] = [1, 2];

/// Host and wire of one run.
struct Traffic {
    random: StdRng,
    left: [u32; 2],
    /// Frames on their way to the host.
    to_host: VecDeque<Vec<u8>>,
    /// Frames on their way to the wire.
    to_wire: VecDeque<Vec<u8>>,
    /// Completions to come: SQ index of the last SQE, and how many SQEs each of them retires.
    completions: VecDeque<(u16, u64)>,
    /// SQEs in use, and those since the last frame that asked for a completion.
    used: u64,
    unasked: u64,
    /// Slots that the host has.
    slots: Vec<u16>,
    /// Interrupts seen when a queue was armed; it is not looked at before there is another.
    asleep: [Option<u32>; 2],
}

impl Traffic {
    fn length(&mut self) -> usize {
        match self.random.random_range(0..10) {
            0 => self.random.random_range(0..1473),
            1..4 => self.random.random_range(0..300),
            _ => self.random.random_range(0..40),
        }
    }

    fn payload(&mut self) -> Vec<u8> {
        let length = self.length();
        (0..length).map(|_| self.random.random()).collect()
    }

    /// The peer sends, if the host has had time for what it sent before.
    fn peer_sends(&mut self, b: &mut Bench) {
        let waiting: usize = self.to_host.iter().map(Vec::len).sum();
        if self.left[0] == 0 || waiting > IN_FLIGHT_BYTES {
            return;
        }
        self.left[0] -= 1;
        let payload = self.payload();
        let mut frame = match self.random.random_bool(0.5) {
            true => frames::udp(&payload),
            false => frames::tcp(&payload[..payload.len().min(1460)]),
        };
        b.phy.receive(&frame);
        frame.resize(frame.len().max(60), 0);
        self.to_host.push_back(frame);
    }

    /// The host sends, if its ring has room: raw frames and packets, in one to three pieces at any alignment.
    fn host_sends(&mut self, b: &mut Bench) {
        let pieces = self.random.random_range(1..=3);
        if self.left[1] == 0 || self.used + pieces > b.sq.size() {
            return;
        }
        self.left[1] -= 1;
        let payload = self.payload();
        let packet = match self.random.random_bool(0.5) {
            true => frames::udp_packet(frames::PEER, &payload),
            false => frames::tcp_packet(frames::PEER, &payload[..payload.len().min(1460)]),
        };
        let header = [&frames::PEER_MAC[..], &ferrule_tests::bench::MAC, &[8, 0]].concat();
        let mut frame = [header, packet.clone()].concat();
        let (data, mut flags) = match self.random.random_bool(0.3) {
            true => (frame.clone(), RAW),
            false => (frames::without_checksums(packet), IPCS | L4CS),
        };
        self.unasked += pieces;
        self.used += pieces;
        if self.unasked > 5 || self.random.random_bool(0.4) {
            flags |= CPL_REQ;
        }
        let mut cuts: Vec<usize> = (1..pieces)
            .map(|_| self.random.random_range(1..data.len()))
            .collect();
        cuts.extend([0, data.len()]);
        cuts.sort_unstable();
        // Two cuts at the same place would make an empty piece.
        while let Some(n) = cuts.windows(2).position(|w| w[0] == w[1]) {
            cuts.remove(n);
            self.unasked -= 1;
            self.used -= 1;
        }
        let last = cuts.len() - 2;
        for (n, cut) in cuts.windows(2).enumerate() {
            let offset = self.random.random_range(0..64);
            let buffer = b.buffers + b.sq.slot() * TX_BUFFER + offset;
            b.memory.write(buffer, &data[cut[0]..cut[1]]);
            let sop = if n == 0 { SOP } else { 0 };
            let eop = if n == last { EOP } else { 0 };
            if n == last && flags & CPL_REQ != 0 {
                let retired = std::mem::take(&mut self.unasked);
                self.completions.push_back((b.sq.slot() as u16, retired));
            }
            b.post_sqe(Sqe {
                iova: buffer,
                len: (cut[1] - cut[0]) as u16,
                flags: flags | sop | eop,
                ..Sqe::default()
            });
        }
        frame.resize(frame.len().max(60), 0);
        self.to_wire.push_back(frame);
        self.ring(b, 0);
    }

    fn ring(&mut self, b: &mut Bench, queue: usize) {
        let arm = self.random.random_bool(0.3);
        if arm {
            self.asleep[queue] = Some(b.interrupts[VECTORS[queue]].load(Ordering::Relaxed));
        }
        match queue {
            0 => b.ring_tx(arm),
            _ => b.ring_rx(arm),
        }
    }

    fn awake(&mut self, b: &Bench, queue: usize) -> bool {
        let now = b.interrupts[VECTORS[queue]].load(Ordering::Relaxed);
        if self.asleep[queue].is_some_and(|then| then != now) {
            self.asleep[queue] = None;
        }
        self.asleep[queue].is_none()
    }

    /// The host looks at its transmit completions.
    fn host_reaps(&mut self, b: &mut Bench) {
        for got in b.tx_completions() {
            let (index, retired) = self.completions.pop_front().expect("nothing was asked for");
            assert_eq!((got.index, got.status), (index, 0));
            self.used -= retired;
        }
        self.ring(b, 0);
    }

    /// The host looks at its frames and gives some of its slots back, in no particular order.
    fn host_receives(&mut self, b: &mut Bench) {
        for got in b.received() {
            let want = self.to_host.pop_front().expect("nothing was sent");
            assert!(got.bytes == want, "got {:x?}\nfor {want:x?}", got.bytes);
            self.slots.push(got.cqe.index);
        }
        while !self.slots.is_empty() && self.random.random_bool(0.9) {
            let n = self.random.random_range(0..self.slots.len());
            b.post_slot(self.slots.swap_remove(n));
        }
        self.ring(b, 1);
    }

    fn done(&self) -> bool {
        self.left == [0, 0]
            && self.to_host.is_empty()
            && self.to_wire.is_empty()
            && self.completions.is_empty()
    }
}

fn run(engine: Box<dyn Engine>, seed: u64, count: u32) {
    println!("{}, seed {seed}, {count} frames each way", engine.name());
    let settings = Settings {
        split: Split::Random { seed },
        ..Settings::default()
    };
    let layout = Layout {
        settings,
        ..Layout::default()
    };
    let mut b = Bench::new(engine, &layout);
    b.phy.receive(&frames::arp_request(
        (frames::PEER_MAC, frames::PEER),
        ferrule_tests::bench::ADDRESS,
    ));
    b.settle();
    assert_eq!(b.frames().len(), 1, "the answer");
    b.stalls().random = StdRng::seed_from_u64(seed);
    (b.stalls().take, b.stalls().give) = (0.2, 0.2);
    let mut t = Traffic {
        random: StdRng::seed_from_u64(!seed),
        left: [count; 2],
        to_host: VecDeque::new(),
        to_wire: VecDeque::new(),
        completions: VecDeque::new(),
        used: 0,
        unasked: 0,
        slots: vec![],
        asleep: [None; 2],
    };
    b.until(
        "end of the traffic",
        u64::from(count) * 3_000 + 50_000,
        |b| {
            for frame in b.frames() {
                let want = t.to_wire.pop_front().expect("nothing was to be sent");
                assert!(frame == want, "sent {frame:x?}\nfor {want:x?}");
            }
            if b.phy.receive_idle() && t.random.random_bool(0.02) {
                t.peer_sends(b);
            }
            if t.random.random_bool(0.008) {
                t.host_sends(b);
            }
            if t.random.random_bool(0.004) && t.awake(b, 0) {
                t.host_reaps(b);
            }
            if t.random.random_bool(0.004) && t.awake(b, 1) {
                t.host_receives(b);
            }
            t.done().then_some(())
        },
    );
    b.settle();
    assert_eq!(b.frames(), Vec::<Vec<u8>>::new());
    assert!(b.tx_completions().is_empty() && b.received().is_empty());
    let counters = b.counters();
    assert_eq!(counters[counter::RX_FRAMES as usize], u64::from(count));
    assert_eq!(counters[counter::TX_FRAMES as usize], u64::from(count) + 1);
    b.check_link();
}

#[test]
fn thousands_of_frames_both_ways() {
    match engines::verilated() {
        Some(engine) => run(engine, 1, 3_000),
        None => run(engines::native(), 1, 60),
    }
}

#[test]
fn some_frames_both_ways_on_both_engines() {
    run(engines::all(), 2, 40);
}
