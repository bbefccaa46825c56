//! What comes through a wire that loses at random is what the congestion control algorithm's own model says, not less.

use crate::common::*;
use ferrule_stack::{Algorithm, TcpOptions};
use std::time::Duration;

const RTT: Duration = Duration::from_millis(20);
/// One packet of a hundred.
const LOSS: f64 = 0.01;
/// Octets of text beside timestamps.
const SEGMENT: f64 = 1448.0;
const TIME: Duration = Duration::from_secs(60);
const SEEDS: u64 = 5;

/// Mean window of additive increase by `alpha` segments a round trip and multiplicative decrease to `beta` (RFC 9438 section
/// 4.3): "AVG_AIMD(alpha, beta) = sqrt(alpha * (1 + beta) / (2 * (1 - beta) * p))".
fn model(alpha: f64, beta: f64) -> f64 {
    (alpha * (1.0 + beta) / (2.0 * (1.0 - beta) * LOSS)).sqrt()
}

/// Segments that arrive in a round trip, over `TIME`.
fn measured(algorithm: Algorithm, seed: u64) -> f64 {
    let wire = Wire {
        loss: (LOSS * 100.0) as u64,
        delay_us: RTT.as_micros() as u64 / 2,
        ..Wire::default()
    };
    let mut net = Net::new(wire, seed);
    let (client, server) = net.connect(80);
    let mut options = TcpOptions::default();
    options.congestion = algorithm;
    net.hosts[0]
        .tcp_set_options(net.now, client, options)
        .expect("open");
    let data = pattern(0, 1 << 16);
    let until = net.now + TIME;
    let mut octets = 0;
    let mut going = true;
    while going {
        // Full is as good as taken: there is always something to send.
        let _ = net.hosts[0].tcp_send(net.now, client, &data);
        octets += read_all(&mut net.hosts[1], net.now, server).0.len();
        going = net.step(until);
    }
    let trips = TIME.as_secs_f64() / RTT.as_secs_f64();
    octets as f64 / SEGMENT / trips
}

fn holds(algorithm: Algorithm, expected: f64) {
    let windows: Vec<f64> = (1..=SEEDS).map(|seed| measured(algorithm, seed)).collect();
    let mean = windows.iter().sum::<f64>() / SEEDS as f64;
    // The model has no delayed ACKs, no slow start and no time for recovery; which seeds lose more is luck.
    assert!(
        (0.85..1.3).contains(&(mean / expected)),
        "{algorithm:?}: {mean:.1} segments a round trip, not {expected:.1}; seeds 1 to {SEEDS}: {windows:.1?}"
    );
}

#[test]
fn cubic_gets_what_aimd_of_053_and_07_gets() {
    // Section 4.3: "alpha_cubic = 3.0 * (1 - beta) / (1 + beta)" with beta 0.7.
    holds(Algorithm::Cubic, model(3.0 * 0.3 / 1.7, 0.7));
}

#[test]
fn new_reno_gets_what_aimd_of_1_and_a_half_gets() {
    holds(Algorithm::NewReno, model(1.0, 0.5));
}
