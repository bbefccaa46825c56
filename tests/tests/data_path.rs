//! What the driver costs the bus under load, by the root complex's counters: no register is read, and a doorbell serves many packets.
use std::sync::Arc;

use ferrule_driver::nic::{NicConfig, TxFrame, TxMode};
use ferrule_driver::{Clock, Nic};
use ferrule_sim::engine::{Kind, Options};
use ferrule_sim::local::{LocalSimulator, NicSetup};
use ferrule_sim::root_complex::TlpStats;
use ferrule_sim::station::Core;
use ferrule_sim::wire::loopback::Loopback;

/// Packets in a batch: as many as an interrupt brings under load.
const BATCH: usize = 32;
/// How long a batch has, in nanoseconds: its time on the wire at 1 Gbit/s and some more.
const BATCH_NS: u64 = 40_000;

/// Sends batches of frames that a loop brings back; the TLPs of all of it, once it runs.
fn load(kind: Kind, batches: usize) -> TlpStats {
    let core = Core::open(kind, &Options::default()).expect("an engine");
    let nic = NicSetup::new(core, Box::new(Loopback::new(1_000)));
    let simulator = LocalSimulator::builder().nic(nic).start().expect("starts");
    let clock = simulator.clock();
    let _attached = clock.attach();
    let device = simulator.device(0).expect("opens");
    let config = NicConfig {
        promiscuous: true,
        ..NicConfig::default()
    };
    let mut nic = Nic::open(Box::new(device), Arc::new(clock.clone()), &config).expect("opens");
    let bytes: [&[u8]; 1] = [&[0x5A; 60]];
    let frame = TxFrame {
        parts: &bytes,
        mode: TxMode::Raw,
        ..TxFrame::default()
    };
    let before = simulator.stats(0).expect("a NIC").tlps;
    let mut received = Vec::new();
    for _ in 0..batches {
        assert_eq!(nic.tx_batch(&[frame; BATCH]).expect("sends"), BATCH);
        let until = clock.now() + BATCH_NS;
        clock.wait(&[], Some(until)).expect("time passes");
        nic.rx_batch(2 * BATCH, &mut received).expect("receives");
        nic.tx_completions().expect("completes");
        nic.events().expect("no event");
    }
    // One batch may still be under way.
    assert!(
        received.len() >= BATCH * (batches - 1),
        "{} came",
        received.len()
    );
    simulator.stats(0).expect("a NIC").tlps.since(&before)
}

#[test]
fn no_register_is_read_and_a_doorbell_serves_sixteen_packets() {
    for (kind, batches) in [(Kind::Model, 1_000), (Kind::Compiled, 50)] {
        let tlps = load(kind, batches);
        let packets = 2 * (batches * BATCH) as u64;
        assert_eq!(tlps.down.reads, 0, "{kind}: {tlps:?}");
        assert!(16 * tlps.down.writes <= packets, "{kind}: {tlps:?}");
        assert!(
            tlps.down.writes > 0 && tlps.violations == 0,
            "{kind}: {tlps:?}"
        );
    }
}
