//! How many bytes strangers can make a stack hold, by an allocator that counts.

mod common;
mod craft;
#[path = "hostile_peers/peer.rs"]
mod peer;
#[path = "hostile_peers/scene.rs"]
mod scene;

use common::*;
use craft::tcp::*;
use peer::{Offer, Peer};
use scene::{Scene, GOOD};
use stats_alloc::{StatsAlloc, INSTRUMENTED_SYSTEM};
use std::alloc::System;
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The allocator counts for all threads, so one test runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// What the harness may do meanwhile.
const NOISE: usize = 64 << 10;

fn in_use() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

struct Count {
    before: usize,
    _alone: MutexGuard<'static, ()>,
}

/// A scene, and what it holds before the attack. Nothing is logged, since logs grow.
fn counted(mut scene: Scene, alone: MutexGuard<'static, ()>) -> (Count, Scene) {
    scene.rest();
    scene.net.air.log = None;
    let before = in_use();
    let count = Count {
        before,
        _alone: alone,
    };
    (count, scene)
}

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Count {
    #[track_caller]
    fn at_most(&self, bytes: usize) {
        let grown = in_use().saturating_sub(self.before);
        assert!(grown <= bytes + NOISE, "{grown} bytes more, not {bytes}");
    }
}

#[test]
fn a_syn_flood_takes_what_the_queue_holds_and_gives_it_back() {
    let (count, mut scene) = counted(Scene::new(1), alone());
    let mut rng = Rng::new(1);
    for _ in 0..100_000 {
        let from = at(Ipv4Addr::from(0xc612_0000 | rng.below(1 << 17) as u32), 9);
        let syn = tcp(
            from,
            at(B, GOOD),
            |h| (h.syn, h.sequence_number) = (true, 1),
            &[],
        );
        scene.inject(&syn);
    }
    // 128 entries; the bench crate holds each to 64 bytes beside tables.
    count.at_most(128 * 256);
    scene.verify();
}

#[test]
fn single_octets_ahead_of_gaps_are_held_in_small_numbers() {
    let (count, mut scene) = counted(Scene::new(1), alone());
    let mut peer = Peer::open(&mut scene, 1000, Offer::default());
    let start = peer.seq;
    for i in 0..60_000u32 {
        let edit = |h: &mut etherparse::TcpHeader| {
            h.sequence_number = start.wrapping_add(1 + 2 * (i % 30_000));
        };
        peer.send(&mut scene, edit, &[], b"x");
    }
    // A thousand pieces, as reassembler.rs allows.
    count.at_most(1024 * 400);
    let now = scene.net.now;
    assert_eq!(scene.victim().tcp_abort(now, peer.id), Ok(()));
    count.at_most(0);
    scene.verify();
}

#[test]
fn unread_octets_take_no_more_than_the_buffer_twice() {
    let (count, mut scene) = counted(Scene::new(1), alone());
    let offer = Offer {
        shift: Some(7),
        ..Offer::default()
    };
    let mut peers: Vec<Peer> = (0..4)
        .map(|i| Peer::open(&mut scene, 1000 + i, offer))
        .collect();
    // Texts of an octet, of a handle just too short to keep, and of one just long enough.
    for (peer, len) in peers.iter_mut().zip([1, 600, 700, 1_400]) {
        for _ in 0..300_000 / len {
            peer.say(&mut scene, &vec![7; len]);
        }
    }
    count.at_most(4 * 2 * 256 * 1024);
    let now = scene.net.now;
    for peer in &peers {
        assert_eq!(scene.victim().tcp_abort(now, peer.id), Ok(()));
    }
    drop(peers);
    count.at_most(0);
    scene.verify();
}

#[test]
fn connections_stuck_at_a_zero_window_hold_their_text_and_a_kilobyte_and_go() {
    let scene = Scene::with(1, |config| config.tcp.max_retransmits = 5);
    let (count, mut scene) = counted(scene, alone());
    let offer = Offer {
        window: 0,
        ..Offer::default()
    };
    for i in 0..1_000 {
        let peer = Peer::open(&mut scene, 1000 + i, offer);
        let now = scene.net.now;
        let sent = scene.victim().tcp_send(now, peer.id, &[1; 3_000]);
        assert_eq!(sent, Ok(3_000));
        assert_eq!(scene.victim().close(now, peer.id), Ok(()));
    }
    scene.wait(Duration::from_secs(1));
    count.at_most(1_000 * (4_096 + 1_536));
    scene.wait(Duration::from_secs(120));
    scene.collect();
    // Tables keep their room for as many.
    count.at_most(1_000 * 128);
    scene.verify();
}

#[test]
fn short_writes_that_nobody_acknowledges_hold_little_more_than_their_bytes() {
    let (count, mut scene) = counted(Scene::new(1), alone());
    let offer = Offer {
        shift: Some(7),
        ..Offer::default()
    };
    let mut peer = Peer::open(&mut scene, 1000, offer);
    let id = peer.id;
    // A window of many segments, won by honest work.
    for len in (1..=10).map(|i| i * 50_000) {
        let now = scene.net.now;
        assert!(scene.victim().tcp_send(now, id, &[1; 50_000]).is_ok());
        peer.receive(&mut scene, len);
    }
    scene.victim().set_send_buffer(id, 256 << 10).expect("open");
    peer.got = Vec::new();
    for _ in 0..256 {
        let now = scene.net.now;
        assert_eq!(scene.victim().tcp_send(now, id, &[1; 1024]), Ok(1024));
        scene.collect();
    }
    count.at_most(4 * (256 << 10));
    scene.verify();
}

#[test]
fn fragments_from_everywhere_take_no_more_than_is_set_for_them() {
    let scene = Scene::with(1, |config| config.reassembly_bytes = 500_000);
    let (count, mut scene) = counted(scene, alone());
    let mut rng = Rng::new(2);
    for len in [8, 24, 200, 1_480] {
        for _ in 0..20_000 {
            let from = Ipv4Addr::from(0xc612_0000 | rng.below(1 << 17) as u32);
            let data = vec![0; len - 8];
            let piece = craft::udp_edited(at(from, 9), at(B, GOOD), &data, |ip| {
                ip.identification = rng.next() as u16;
                ip.more_fragments = true;
            });
            scene.inject(&piece);
        }
        // Tables have room for twice what is in them at most.
        count.at_most(500_000 * 2);
    }
    scene.wait(Duration::from_secs(61));
    // The tables stay as large as they were.
    count.at_most(600_000);
    scene.verify();
}

#[test]
fn reports_of_single_octets_do_not_swell_the_scoreboard() {
    let (count, mut scene) = counted(Scene::new(1), alone());
    let offer = Offer {
        shift: Some(7),
        sack: true,
        ..Offer::default()
    };
    let mut peer = Peer::open(&mut scene, 1000, offer);
    let now = scene.net.now;
    let sent = scene.victim().tcp_send(now, peer.id, &[1; 10_000]);
    assert_eq!(sent, Ok(10_000));
    peer.wait(&mut scene, Duration::ZERO);
    for at in (1..9_999).step_by(2) {
        let block = (peer.number(at), peer.number(at + 1));
        peer.send(&mut scene, |_| {}, &sack(&[block]), &[]);
    }
    // The text, and a record for each piece.
    count.at_most(16_384 + 2 * 10_000 / 48 * 64);
    scene.verify();
}
