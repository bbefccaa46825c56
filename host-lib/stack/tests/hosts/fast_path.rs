//! Segments that the device has verified take a shorter way through the stack; nobody must be able to tell.

use crate::common::*;
use ferrule_stack::{Bytes, Cidr, Instant, RxMeta, Stack};
use std::net::Ipv4Addr;
use std::time::Duration;

const VERIFIED: RxMeta = RxMeta {
    ipv4_checksum_ok: true,
    l4_checksum_ok: true,
    l2_broadcast: false,
};

fn give(stack: &mut Stack<Bytes>, now: Instant, meta: RxMeta, packet: &[u8]) {
    let split = packet.len().min(128);
    stack.on_packet(now, meta, &packet[..split], Bytes::from(&packet[split..]));
}

fn drain(stack: &mut Stack<Bytes>, now: Instant) -> Vec<Vec<u8>> {
    core::iter::from_fn(|| stack.poll_transmit(now).map(|p| p.to_vec())).collect()
}

/// Two connections by turns over a bad wire; every packet sent, and the counters of both hosts.
fn talk(meta: RxMeta, seed: u64) -> (Vec<Vec<u8>>, [ferrule_stack::Stats; 2]) {
    let mut hosts = [stack(A), stack(B)];
    let mut now = Instant::ZERO;
    let mut rng = Rng::new(seed);
    let mut log = Vec::new();
    let listener = hosts[1].tcp_listen(at(B, 80), 4).expect("a free port");
    let clients = [1, 2].map(|port| {
        let from = Some(at(A, port));
        hosts[0].tcp_connect(now, from, at(B, 80)).expect("free")
    });
    let mut servers = Vec::new();
    for round in 0..400 {
        servers.extend(hosts[1].tcp_accept(listener).map(|(id, _)| id));
        let data = pattern(round, 1 + rng.below(4_000) as usize);
        for client in &clients {
            // A full buffer, or a handshake under way: the same in both runs.
            let _ = hosts[0].tcp_send(now, *client, &data);
        }
        for server in &servers {
            let (bytes, _) = read_all(&mut hosts[1], now, *server);
            let _ = hosts[1].tcp_send(now, *server, &bytes[..bytes.len().min(700)]);
        }
        for client in &clients {
            if hosts[0].tcp_unread(*client).unwrap_or(0) > 0 {
                read_all(&mut hosts[0], now, *client);
            }
        }
        for from in 0..2 {
            for mut packet in drain(&mut hosts[from], now) {
                // Identifications are drawn as packets are made, here sooner and there later; the checksum follows.
                let mut seen = packet.clone();
                seen[4..6].fill(0);
                seen[10..12].fill(0);
                log.push(seen);
                // Ethernet pads short packets; what follows the packet's own length is no part of it.
                packet.resize(packet.len().max(46) + rng.below(9) as usize, 0xee);
                let copies = [1, 1, 1, 1, 1, 1, 1, 0, 2][rng.below(9) as usize];
                for _ in 0..copies {
                    give(&mut hosts[1 - from], now, meta, &packet);
                }
            }
        }
        now += Duration::from_millis(1 + rng.below(60));
    }
    (log, [hosts[0].stats(), hosts[1].stats()])
}

#[test]
fn verified_segments_are_judged_like_all_others() {
    for seed in 0..20 {
        let (verified, unverified) = (talk(VERIFIED, seed), talk(RxMeta::default(), seed));
        assert!(verified.0.len() > 400, "seed {seed}: too little was sent");
        assert_eq!(verified.0, unverified.0, "seed {seed}: packets");
        assert_eq!(verified.1, unverified.1, "seed {seed}: counters");
    }
}

#[test]
fn a_connection_with_ourselves_is_not_heard_from_outside() {
    let mut host = stack(A);
    let now = Instant::ZERO;
    let listener = host.tcp_listen(at(A, 80), 4).expect("a free port");
    let client = host
        .tcp_connect(now, Some(at(A, 1)), at(A, 80))
        .expect("a free port");
    assert!(
        drain(&mut host, now).is_empty(),
        "it never leaves the stack"
    );
    let (server, _) = host.tcp_accept(listener).expect("connected");
    host.tcp_send(now, client, b"x").expect("room");
    assert!(drain(&mut host, now).is_empty());
    assert_eq!(read_all(&mut host, now, server), (b"x".to_vec(), false));
    // A reset that is right in all but where it comes from; both sequence numbers are tried.
    let before = host.stats();
    for (src, dst) in [(1u16, 80u16), (80, 1)] {
        for seq in 0..=u8::MAX {
            let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0];
            packet.extend(A.octets());
            packet.extend(A.octets());
            packet.extend(src.to_be_bytes());
            packet.extend(dst.to_be_bytes());
            packet.extend([seq, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x04, 0, 0, 0, 0, 0, 0]);
            give(&mut host, now, VERIFIED, &packet);
        }
    }
    let after = host.stats();
    assert_eq!(after.dropped_address - before.dropped_address, 512);
    assert_eq!(after.tcp_segments_in, before.tcp_segments_in);
}

#[test]
fn a_peer_whose_address_has_become_everyones_is_not_heard() {
    let peer = Ipv4Addr::new(10, 0, 0, 3);
    let mut hosts = [stack(A), stack(peer)];
    let now = Instant::ZERO;
    let listener = hosts[1].tcp_listen(at(peer, 80), 4).expect("a free port");
    hosts[0]
        .tcp_connect(now, None, at(peer, 80))
        .expect("a free port");
    for from in [0, 1, 0] {
        for packet in drain(&mut hosts[from], now) {
            give(&mut hosts[1 - from], now, VERIFIED, &packet);
        }
    }
    let (server, _) = hosts[1].tcp_accept(listener).expect("connected");
    hosts[1].tcp_send(now, server, b"x").expect("room");
    let segment = drain(&mut hosts[1], now).remove(0);
    let subnet = Cidr::new(Ipv4Addr::new(10, 0, 0, 2), 30).expect("a valid prefix");
    assert_eq!(subnet.broadcast(), Some(peer));
    hosts[0].add_address(subnet).expect("new");
    // RFC 1122 section 3.2.1.3: a broadcast address is no source.
    let before = hosts[0].stats();
    give(&mut hosts[0], now, VERIFIED, &segment);
    let after = hosts[0].stats();
    assert_eq!(after.dropped_address, before.dropped_address + 1);
    assert_eq!(after.tcp_segments_in, before.tcp_segments_in);
    hosts[0]
        .remove_address(subnet.addr())
        .expect("it was added");
    give(&mut hosts[0], now, VERIFIED, &segment);
    assert_eq!(hosts[0].stats().tcp_segments_in, before.tcp_segments_in + 1);
}
