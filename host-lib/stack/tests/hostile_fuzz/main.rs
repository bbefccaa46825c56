//! Hostile packets by the million into a live set of sockets: nothing panics, spins, sends nonsense or grows for ever.
//!
//! `FERRULE_FUZZ_PACKETS` says how many, `FERRULE_FUZZ_SEED` which; a failure names its seed and packet.

#[path = "../common/mod.rs"]
mod common;
#[path = "../craft/mod.rs"]
mod craft;

mod calls;
mod check;
mod packets;
mod view;
mod world;

use stats_alloc::{StatsAlloc, INSTRUMENTED_SYSTEM};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes in use.
fn in_use() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Packets between two times at which everything is closed.
const ERA: u64 = 20_000;
/// What tables may keep beyond what the first era left: they grow to the most that was ever in them.
const KEPT_BYTES: usize = 1 << 20;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |n| n.parse().expect("a number"))
}

/// Tells where a panic happened.
struct Place {
    seed: u64,
    packet: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "FERRULE_FUZZ_SEED={} after {} packets",
                self.seed, self.packet
            );
        }
    }
}

#[test]
fn hostile_packets_break_nothing_and_leave_nothing() {
    let count = number("FERRULE_FUZZ_PACKETS", 2_000_000);
    let seed = number("FERRULE_FUZZ_SEED", 1);
    let mut place = Place { seed, packet: 0 };
    let mut world = world::World::new(seed);
    let mut kept = None;
    while place.packet < count {
        let era = ERA.min(count - place.packet);
        for _ in 0..era {
            world.step();
            place.packet += 1;
        }
        world.close_everything();
        let now = in_use();
        let first = *kept.get_or_insert(now);
        assert!(
            now <= first + KEPT_BYTES,
            "{now} bytes in use, {first} at first"
        );
    }
    let stats = world.stack.stats();
    // It was more than noise: every part of the stack had something to do.
    for (name, n) in [
        ("passive opens", stats.tcp_passive_opens),
        ("active opens", stats.tcp_active_opens),
        ("retransmissions", stats.tcp_retransmits),
        ("challenges", stats.tcp_challenge_acks),
        ("reassembled", stats.reassembled),
        ("datagrams", stats.udp_in),
        ("echoes", stats.icmp_echo_replies),
        ("IGMP", stats.igmp_in),
        ("path MTUs", stats.path_mtu_reductions),
        ("cookies", stats.tcp_syn_cookies_sent),
        ("zero-window probes", stats.tcp_zero_window_probes),
    ] {
        assert!(n > count / 100_000, "{name}: {n}");
    }
}
