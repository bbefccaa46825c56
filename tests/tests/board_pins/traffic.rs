//! The driver on a whole board: bring-up, the link by MDIO, frames both ways, a hot reset, and all of it again.
use std::sync::Arc;

use crate::engine::Gaps;
use crate::open;
use ferrule_driver::nic::{NicConfig, RxFrame, TxFrame, TxMode};
use ferrule_driver::{Clock, Nic};
use ferrule_rtl::board::description::Board;
use ferrule_rtl::board::{ac701, kc705};
use ferrule_sim::engine::Engine;
use ferrule_sim::local::{LocalSimulator, NicSetup};
use ferrule_sim::station::Core;
use ferrule_sim::wire::loopback::Loopback;

/// How long a link may take from power-up, with milliseconds of 4 us: reset, rest, three writes and a round of reads at 33 us each, negotiation; thrice, where
/// two other addresses are tried first.
const LINK_NS: u64 = 6_000_000;
/// How long frames may take on their way.
const FRAMES_NS: u64 = 400_000;

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

/// Frames of many lengths, each with bytes of its own.
fn frames(round: u8) -> Vec<Vec<u8>> {
    [60, 61, 64, 127, 128, 129, 511, 1_000, 1_513, 1_514]
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

fn brings_frames_back(board: &'static Board, address: u8, gaps: Gaps) {
    let Some(engine) = open(board, address, gaps) else {
        return;
    };
    let engine: Box<dyn Engine> = Box::new(engine);
    let nic = NicSetup::new(Core::from(engine), Box::new(Loopback::new(1_000)));
    let simulator = LocalSimulator::builder().nic(nic).start().expect("starts");
    let clock = simulator.clock();
    let _attached = clock.attach();
    let config = NicConfig {
        promiscuous: true,
        ..NicConfig::default()
    };
    for round in 0..2 {
        let what = format!("{}, {gaps:?}, round {round}", board.name);
        // The last device's end has reset the function: a hot reset on this bus.
        let device = simulator.device(0).expect("opens");
        let mut nic = Nic::open(Box::new(device), Arc::new(clock.clone()), &config).expect("opens");
        assert_eq!(nic.mac(), mac_of_dna(), "{what}");
        // The first time the PHY negotiates; a reset of the NIC leaves its link alone.
        let until = clock.now() + if round == 0 { LINK_NS } else { FRAMES_NS };
        while !nic.link().expect("reads").up {
            assert!(clock.now() < until, "{what}: no link");
            clock
                .wait(&[], Some(clock.now() + 20_000))
                .expect("time passes");
        }
        assert_eq!(nic.link().expect("reads").speed_mbps, 1_000, "{what}");
        let sent = frames(round);
        for frame in &sent {
            let parts: [&[u8]; 1] = [frame];
            let frame = TxFrame {
                parts: &parts,
                mode: TxMode::Raw,
                ..TxFrame::default()
            };
            assert!(nic.send(&frame).expect("sends"), "{what}");
        }
        let (mut received, until) = (vec![], clock.now() + FRAMES_NS);
        while received.len() < sent.len() && clock.now() < until {
            clock
                .wait(&[], Some(clock.now() + 5_000))
                .expect("time passes");
            nic.rx_batch(64, &mut received).expect("receives");
            nic.tx_completions().expect("completes");
            nic.events().expect("events");
        }
        let got: Vec<Vec<u8>> = received.iter().map(RxFrame::to_vec).collect();
        assert!(
            got == sent,
            "{what}: {} frames of {}",
            got.len(),
            sent.len()
        );
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
fn an_ac701_brings_frames_back_and_does_so_again_after_a_hot_reset() {
    brings_frames_back(
        &ac701::BOARD,
        7,
        Gaps {
            seed: 1,
            of_eight: 8,
        },
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
    );
}

#[test]
fn a_kc705_does_so_with_a_bus_that_mostly_stands_still() {
    brings_frames_back(
        &kc705::BOARD,
        7,
        Gaps {
            seed: 3,
            of_eight: 2,
        },
    );
}
