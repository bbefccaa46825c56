//! Exchanges over wires drawn by seed, for as long as FERRULE_KERNEL_SECONDS says; a few seconds without it.

use std::time::{Duration, Instant, SystemTime};

use ferrule_kernel_wire::Wire;
use ferrule_stack::Ecn;

use crate::lab::{run, Setup};
use crate::streams::exchange;

const SECONDS: u64 = 4;

const SYSCTLS: [&[(&str, &str)]; 6] = [
    &[],
    &[("net.ipv4.tcp_ecn", "1")],
    &[("net.ipv4.tcp_sack", "0")],
    &[("net.ipv4.tcp_timestamps", "0")],
    &[("net.ipv4.tcp_window_scaling", "0")],
    &[
        ("net.ipv4.tcp_sack", "0"),
        ("net.ipv4.tcp_timestamps", "0"),
        ("net.ipv4.tcp_ecn", "1"),
    ],
];

/// A setup, who connects, and how many bytes pass.
fn draw(seed: u64) -> (Setup, bool, usize) {
    // splitmix64: neighbouring seeds give wires that have nothing in common.
    let mut state = seed;
    let mut below = |n: u64| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    };
    let wire = Wire {
        delay: Duration::from_micros(below(10_000)),
        loss: below(500) as u32,
        duplicate: below(500) as u32,
        reorder: below(500) as u32,
        reorder_by: Duration::from_micros(below(10_000)),
        mark: below(300) as u32,
        rate_bits: [0, 0, 20_000_000, 200_000_000][below(4) as usize],
        queue_bytes: 20_000 + below(200_000),
    };
    let setup = Setup {
        seed,
        wire,
        sysctls: SYSCTLS[below(6) as usize],
        config: if below(2) == 0 {
            |config| config.tcp.ecn = Ecn::Always
        } else {
            |_| {}
        },
    };
    (setup, below(2) == 0, below(400_000) as usize)
}

#[test]
fn bytes_pass_both_ways_over_wires_drawn_by_seed() {
    let asked = std::env::var("FERRULE_KERNEL_SECONDS").ok();
    // A long run takes seeds that no run before it had; the short one is the same each time.
    let (seconds, first) = match asked.and_then(|s| s.parse().ok()) {
        Some(seconds) => {
            let epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            (seconds, epoch.map_or(0, |t| t.as_micros() as u64))
        }
        None => (SECONDS, 100),
    };
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut seed = first;
    while Instant::now() < end {
        let (setup, we_connect, len) = draw(seed);
        let ran = run(setup, move |lab| {
            exchange(lab, we_connect, len);
        });
        if !ran {
            return;
        }
        seed += 1;
    }
}
