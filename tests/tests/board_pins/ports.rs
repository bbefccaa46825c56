//! The driver on both ports of an AX7203, which a cable joins: each a NIC of its own, its interrupts, its link, its reset, at each speed of the cable.
use std::sync::Arc;

use crate::engine::{Gaps, PARTNER, PARTNER_10, PARTNER_100};
use crate::open;
use crate::traffic::{frames, FEW_LENGTHS, LENGTHS, LINK_NS};
use ferrule_driver::nic::{NicConfig, RxFrame, TxFrame, TxMode};
use ferrule_driver::ports::Function;
use ferrule_driver::{Clock, Nic};
use ferrule_rtl::board::ax7203;
use ferrule_sim::engine::Engine;
use ferrule_sim::local::{LocalClock, LocalSimulator, NicSetup};
use ferrule_sim::station::Core;
use ferrule_sim::wire::loopback::Loopback;

/// How long frames may take on their way.
const FRAMES_NS: u64 = 10_000_000;

struct Port {
    nic: Nic,
    received: Vec<RxFrame>,
    /// An interrupt of its own has come.
    called: bool,
}

impl Port {
    fn open(function: &Function, port: u32, clock: &LocalClock) -> Self {
        let config = NicConfig {
            promiscuous: true,
            ..NicConfig::default()
        };
        let device = Box::new(function.open(port).expect("opens"));
        Self {
            nic: Nic::open(device, Arc::new(clock.clone()), &config).expect("opens"),
            received: vec![],
            called: false,
        }
    }
}

/// Waits until the link of both is up, or down; its speed.
fn wait_link(ports: &mut [Port; 2], clock: &LocalClock, up: bool) -> u32 {
    let until = clock.now() + LINK_NS;
    loop {
        let [first, second] = [0, 1].map(|p: usize| ports[p].nic.link().expect("reads"));
        if (first.up, second.up) == (up, up) {
            assert_eq!(first.speed_mbps, second.speed_mbps);
            return first.speed_mbps;
        }
        assert!(clock.now() < until, "link {up} for ever");
        let next = clock.now() + 20_000;
        clock.wait(&[], Some(next)).expect("time passes");
    }
}

/// Sends frames from each to the other at once, and sleeps until interrupts tell that they have come.
fn exchange(ports: &mut [Port; 2], clock: &LocalClock, lengths: &[usize], what: &str) {
    let sent = [1, 2].map(|round| frames(round, lengths));
    for (port, frames) in ports.iter_mut().zip(&sent) {
        port.received.clear();
        port.called = false;
        for frame in frames {
            let frame = TxFrame {
                parts: &[frame],
                mode: TxMode::Raw,
                report: true,
                ..TxFrame::default()
            };
            assert!(port.nic.send(&frame).expect("sends"), "{what}");
        }
    }
    let until = clock.now() + FRAMES_NS;
    let mut completed = [0; 2];
    loop {
        for (port, completed) in ports.iter_mut().zip(&mut completed) {
            let nic = &mut port.nic;
            nic.rx_batch(64, &mut port.received).expect("receives");
            *completed += nic.tx_completions().expect("completes").len();
            nic.events().expect("events");
        }
        let all = lengths.len();
        if completed == [all; 2] && ports.iter().all(|p| p.received.len() >= all) {
            break;
        }
        for port in &mut *ports {
            port.nic.arm().expect("arms");
        }
        if ports.iter().any(|port| port.nic.has_work()) {
            continue;
        }
        let fds: Vec<_> = ports.iter().flat_map(|port| port.nic.irq_fds()).collect();
        let each = fds.len() / 2;
        let readable = clock.wait_for(&fds, Some(until)).expect("waits");
        assert!(
            clock.now() < until,
            "{what}: {completed:?} sent, {:?} received",
            [0, 1].map(|p: usize| ports[p].received.len())
        );
        for (p, port) in ports.iter_mut().enumerate() {
            port.called |= readable >> (p * each) & ((1 << each) - 1) != 0;
            port.nic.drain_irqs().expect("drains");
        }
    }
    for (port, sent) in ports.iter().zip([&sent[1], &sent[0]]) {
        let received: Vec<_> = port.received.iter().map(RxFrame::to_vec).collect();
        assert!(received == *sent, "{what}");
        assert!(port.called, "{what}: without an interrupt");
    }
}

#[test]
fn both_ports_of_an_ax7203_pass_frames_to_each_other_at_each_speed() {
    let gaps = Gaps {
        seed: 4,
        of_eight: 6,
    };
    let Some(engine) = open(&ax7203::BOARD, 1, gaps) else {
        return;
    };
    let outside = engine.outside();
    let engine: Box<dyn Engine> = Box::new(engine);
    // The cable is inside the engine: nothing comes from this wire.
    let nic = NicSetup::new(Core::from(engine), Box::new(Loopback::new(1_000))).ports(2);
    let simulator = LocalSimulator::builder().nic(nic).start().expect("starts");
    let clock = simulator.clock();
    let _attached = clock.attach();
    let device = Box::new(simulator.device(0).expect("opens"));
    let function = Function::over(device).expect("is taken");
    assert_eq!(function.ports(), 2);
    let mut ports = [0, 1].map(|port| Port::open(&function, port, &clock));
    let [first, second] = [0, 1].map(|p: usize| ports[p].nic.mac());
    assert_eq!((first[0], second[0]), (2, 6));
    assert_eq!(first[1..], second[1..]);

    assert_eq!(wait_link(&mut ports, &clock, true), 1_000);
    exchange(&mut ports, &clock, LENGTHS, "1000 Mbit/s");
    for (partner, mbps) in [(PARTNER_100, 100), (PARTNER_10, 10), (PARTNER, 1_000)] {
        simulator.set_link(0, false);
        wait_link(&mut ports, &clock, false);
        outside.set_partner(partner);
        simulator.set_link(0, true);
        assert_eq!(wait_link(&mut ports, &clock, true), mbps);
        let what = format!("{mbps} Mbit/s");
        exchange(&mut ports, &clock, FEW_LENGTHS, &what);
    }

    // One is closed and opened again, which resets it; the other does not notice.
    let [first, second] = ports;
    drop(second);
    let again = Port::open(&function, 1, &clock);
    let mut ports = [first, again];
    wait_link(&mut ports, &clock, true);
    exchange(&mut ports, &clock, LENGTHS, "after the second's reset");
    let [first, second] = [0, 1].map(|p: usize| ports[p].nic.stats().expect("counters"));
    let sent = LENGTHS.len() as u64;
    let all = 2 * sent + 3 * FEW_LENGTHS.len() as u64;
    let frames = |stats: &ferrule_driver::nic::Stats| {
        [
            ferrule_abi::counter::TX_FRAMES,
            ferrule_abi::counter::RX_FRAMES,
        ]
        .map(|c| stats.get(c))
    };
    assert_eq!(frames(&first), [all; 2]);
    assert_eq!(frames(&second), [sent; 2]);

    let stats = simulator.stats(0).expect("a NIC");
    assert_eq!(stats.tlps.violations, 0, "{:?}", stats.violation);
}
