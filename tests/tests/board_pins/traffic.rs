//! The driver on a whole board: bring-up, the link by MDIO, frames both ways, a hot reset, and all of it again; other cables, with other speeds.
use std::sync::Arc;

use crate::engine::{Gaps, Outside, PARTNER, PARTNER_10, PARTNER_100};
use crate::open;
use crate::phy_model::Partner;
use ferrule_driver::nic::{NicConfig, NicEvent, RxFrame, TxFrame, TxMode};
use ferrule_driver::{Clock, Nic};
use ferrule_rtl::board::description::Board;
use ferrule_rtl::board::{ac701, kc705};
use ferrule_sim::engine::Engine;
use ferrule_sim::local::{LocalClock, LocalSimulator, NicSetup};
use ferrule_sim::station::Core;
use ferrule_sim::wire::loopback::Loopback;

/// How long a link may take from power-up, with milliseconds of 4 us: reset, rest, three writes and a round of reads at 33 us each, negotiation; thrice, where
/// two other addresses are tried first.
pub(crate) const LINK_NS: u64 = 6_000_000;
/// How long frames may take on their way.
const FRAMES_NS: u64 = 1_000_000;

/// The address that a board makes of the number which the model of DNA_PORT has: 40 bits, the first ones over the last ones.
fn mac_of_dna() -> [u8; 6] {
    let number = 0x155_AA33_CC0F_F177_u64;
    let mut bits = 0_u64;
    for bit in (0..57).rev() {
        let top = bits >> 39 & 1;
        bits = (bits << 1 & ((1 << 40) - 1)) | (top ^ number >> bit & 1);
    }
    let [a, b, c, d, e, ..] = bits.to_le_bytes();
    [2, a, b, c, d, e]
}

/// Lengths of frames.
pub(crate) const LENGTHS: &[usize] = &[60, 61, 64, 127, 128, 129, 511, 1_000, 1_513, 1_514];
/// For cables on which a byte takes 80 or 800 ns.
pub(crate) const FEW_LENGTHS: &[usize] = &[60, 129, 300];

/// Frames of these lengths, each with bytes of its own.
pub(crate) fn frames(round: u8, lengths: &[usize]) -> Vec<Vec<u8>> {
    lengths
        .iter()
        .map(|&len| {
            let mut frame: Vec<u8> = (0..len)
                .map(|i| (i as u8).wrapping_mul(31) ^ round)
                .collect();
            // To a station of its own, from another, with an EtherType for experiments (IEEE 802: 88B5).
            frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8]);
            frame[12..14].copy_from_slice(&[0x88, 0xB5]);
            frame
        })
        .collect()
}

/// A NIC on a board, its simulator, and what to say when something is wrong.
pub(crate) struct Bench<'a> {
    pub(crate) simulator: &'a LocalSimulator,
    pub(crate) clock: LocalClock,
    pub(crate) nic: Nic,
    pub(crate) outside: &'a Outside,
    pub(crate) what: String,
    /// How long some frames may take on their way.
    frames_ns: u64,
    /// What events have told of the link.
    links: Vec<bool>,
}

impl<'a> Bench<'a> {
    /// Opens the first NIC; the end of the last one that did has reset the function.
    pub(crate) fn open(
        simulator: &'a LocalSimulator,
        outside: &'a Outside,
        frames_ns: u64,
        what: String,
    ) -> Self {
        let clock = simulator.clock();
        let config = NicConfig {
            promiscuous: true,
            ..NicConfig::default()
        };
        let device = Box::new(simulator.device(0).expect("opens"));
        let nic = Nic::open(device, Arc::new(clock.clone()), &config).expect("opens");
        assert_eq!(nic.mac(), mac_of_dna(), "{what}");
        Self {
            simulator,
            clock,
            nic,
            outside,
            what,
            frames_ns,
            links: vec![],
        }
    }

    fn wait(&self, ns: u64) {
        let until = self.clock.now() + ns;
        self.clock.wait(&[], Some(until)).expect("time passes");
    }

    /// Waits until STATUS and the LED say that the link is up, or down; its speed.
    pub(crate) fn wait_link(&mut self, up: bool, limit_ns: u64) -> u32 {
        let until = self.clock.now() + limit_ns;
        while self.nic.link().expect("reads").up != up {
            assert!(
                self.clock.now() < until,
                "{}: link {up} for ever",
                self.what
            );
            self.wait(20_000);
        }
        assert_eq!(self.outside.leds() & 1, u32::from(up), "{}", self.what);
        self.nic.link().expect("reads").speed_mbps
    }

    fn send(&mut self, frame: &[u8], report: bool) {
        let frame = TxFrame {
            parts: &[frame],
            mode: TxMode::Raw,
            report,
            ..TxFrame::default()
        };
        assert!(self.nic.send(&frame).expect("sends"), "{}", self.what);
    }

    /// What comes until there are so many frames, or no more can come.
    fn receive(&mut self, count: usize) -> Vec<Vec<u8>> {
        let (mut received, until) = (vec![], self.clock.now() + self.frames_ns);
        while received.len() < count && self.clock.now() < until {
            self.wait(5_000);
            self.nic.rx_batch(64, &mut received).expect("receives");
            self.nic.tx_completions().expect("completes");
            let events = self.nic.events().expect("events");
            self.links.extend(events.iter().filter_map(|e| match e {
                NicEvent::Link { up } => Some(*up),
                _ => None,
            }));
        }
        received.iter().map(RxFrame::to_vec).collect()
    }

    /// Sends frames, and expects that the cable brings them back.
    pub(crate) fn exchange(&mut self, sent: &[Vec<u8>]) {
        for frame in sent {
            self.send(frame, false);
        }
        let got = self.receive(sent.len());
        assert!(
            got == sent,
            "{}: {} frames of {}",
            self.what,
            got.len(),
            sent.len()
        );
    }

    /// Pulls the cable out, and plugs it in with this partner at its other end: the link goes down and comes up with this speed, as STATUS, events and LED
    /// say, and frames go again. One that was sent meanwhile is lost.
    pub(crate) fn change(&mut self, partner: Partner, mbps: u32, lengths: &[usize]) {
        self.what += &format!(", {mbps} Mbit/s");
        self.links.clear();
        self.simulator.set_link(0, false);
        self.wait_link(false, LINK_NS);
        self.send(&frames(200, &[100])[0], true);
        let until = self.clock.now() + self.frames_ns;
        while self.nic.tx_completions().expect("completes").is_empty() {
            assert!(self.clock.now() < until, "{}: a frame stays", self.what);
            self.wait(20_000);
        }
        self.outside.set_partner(partner);
        self.simulator.set_link(0, true);
        assert_eq!(self.wait_link(true, LINK_NS), mbps, "{}", self.what);
        self.exchange(&frames(mbps as u8, lengths));
        assert_eq!(self.links, [false, true], "{}", self.what);
    }
}

fn brings_frames_back(board: &'static Board, address: u8, gaps: Gaps, changes: bool) {
    let Some(engine) = open(board, address, gaps) else {
        return;
    };
    let outside = engine.outside();
    let engine: Box<dyn Engine> = Box::new(engine);
    let nic = NicSetup::new(Core::from(engine), Box::new(Loopback::new(1_000)));
    let simulator = LocalSimulator::builder().nic(nic).start().expect("starts");
    let clock = simulator.clock();
    let _attached = clock.attach();
    for round in 0..2 {
        let what = format!("{}, {gaps:?}, round {round}", board.name);
        let mut bench = Bench::open(&simulator, &outside, FRAMES_NS, what);
        // The first time the PHY negotiates; a reset of the NIC leaves its link alone.
        let limit_ns = if round == 0 { LINK_NS } else { FRAMES_NS };
        assert_eq!(bench.wait_link(true, limit_ns), 1_000, "{}", bench.what);
        bench.exchange(&frames(round, LENGTHS));
        assert_eq!(outside.leds() & 4, 0, "{}: an error", bench.what);
        if changes && round == 1 {
            bench.change(PARTNER_100, 100, FEW_LENGTHS);
            bench.change(PARTNER_10, 10, FEW_LENGTHS);
            bench.change(PARTNER, 1_000, LENGTHS);
        }
    }
    let stats = simulator.stats(0).expect("a NIC");
    assert_eq!(
        (stats.phy.tx_faults, stats.tlps.violations),
        (0, 0),
        "{:?}",
        stats.violation
    );
}

#[test]
fn an_ac701_brings_frames_back_after_a_hot_reset_and_at_each_speed_of_another_cable() {
    brings_frames_back(
        &ac701::BOARD,
        7,
        Gaps {
            seed: 1,
            of_eight: 8,
        },
        true,
    );
}

#[test]
fn one_with_its_phy_at_another_address_does_so_with_gaps_on_its_bus() {
    brings_frames_back(
        &ac701::BOARD,
        9,
        Gaps {
            seed: 2,
            of_eight: 5,
        },
        false,
    );
}

#[test]
fn a_kc705_does_so_at_each_speed_with_a_bus_that_mostly_stands_still() {
    brings_frames_back(
        &kc705::BOARD,
        7,
        Gaps {
            seed: 3,
            of_eight: 2,
        },
        true,
    );
}
