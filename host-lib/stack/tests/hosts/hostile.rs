//! Hostile packets: random and mutated bytes into a live set of sockets never panic and never take memory for good.

use crate::common::*;
use ferrule_stack::{Bytes, Error, Instant, RxMeta, SocketId, Stack, Token};
use proptest::prelude::*;
use std::time::Duration;

/// A stack with one of everything, and the packets its life so far consisted of.
fn lively() -> (Net, Vec<Vec<u8>>, SocketId) {
    let mut net = Net::new(
        Wire {
            delay_us: 100,
            ..Wire::default()
        },
        1,
    );
    net.air.log = Some(Vec::new());
    let (client, server) = net.connect(80);
    net.hosts[0]
        .tcp_send(net.now, client, &pattern(0, 4000))
        .expect("room");
    net.hosts[1]
        .tcp_send(net.now, server, &pattern(0, 300))
        .expect("room");
    let udp = net.hosts[1].udp_bind(at(B, 53)).expect("free");
    net.hosts[1]
        .udp_connect(udp, Some(at(A, 99)))
        .expect("a peer");
    let other = net.hosts[0].udp_bind(at(A, 99)).expect("free");
    net.hosts[0]
        .udp_send_to(other, &pattern(0, 4000), Some(at(B, 53)))
        .expect("room");
    net.hosts[1].udp_send_to(udp, b"x", None).expect("room");
    let ping = net.hosts[0].ping_open().expect("free");
    net.hosts[0]
        .ping_send(ping, B, 1, &pattern(0, 64))
        .expect("room");
    net.hosts[0]
        .udp_send_to(other, b"to nobody", Some(at(B, 54)))
        .expect("room");
    net.hosts[0]
        .tcp_connect(net.now, None, at(B, 81))
        .expect("free");
    net.run_for(Duration::from_millis(50));
    net.hosts[0]
        .tcp_connect(net.now, None, at(B, 80))
        .expect("free");
    net.run_for(Duration::from_micros(150));
    let log = net.air.log.take().expect("was set");
    let packets = log.into_iter().map(|(_, _, p)| p).collect();
    (net, packets, server)
}

fn drain(stack: &mut Stack<Bytes>, now: Instant) -> Vec<Token> {
    let mut tokens = Vec::new();
    for _ in 0..10_000 {
        match stack.poll_transmit(now) {
            Some(packet) => tokens.push(packet.token),
            None => return tokens,
        }
    }
    panic!("a few packets made ten thousand");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn mutated_packets_never_panic(
        edits in proptest::collection::vec((any::<u16>(), any::<u16>(), any::<u8>(), any::<u16>(), any::<bool>()), 1..300),
        checked: bool,
    ) {
        let (mut net, packets, server) = lively();
        for (which, at, value, cut, swap) in edits {
            let mut packet = packets[usize::from(which) % packets.len()].clone();
            let n = packet.len();
            packet[usize::from(at) % n.min(64)] = value;
            if cut % 4 == 0 {
                packet.truncate(usize::from(cut) % n);
            }
            if swap && packet.len() >= 20 {
                let (src, dst) = packet.split_at_mut(16);
                src[12..16].swap_with_slice(&mut dst[..4]);
            }
            // Checksums taken as verified, so that the mutation gets through to the state machines.
            let meta = RxMeta { ipv4_checksum_ok: checked, l4_checksum_ok: checked, l2_broadcast: false };
            let split = packet.len().min(128);
            for host in &mut net.hosts {
                host.on_packet(net.now, meta, &packet[..split], Bytes::from(&packet[split..]));
                for token in drain(host, net.now) {
                    match value % 4 {
                        0 => host.on_parked(net.now, token),
                        1 => host.on_released(net.now, token),
                        2 => host.on_unreachable(net.now, token),
                        _ => {}
                    }
                }
            }
            net.now += Duration::from_millis(u64::from(value) * 7);
        }
        let mut buf = [0; 9000];
        match net.hosts[1].tcp_recv(net.now, server, &mut buf) {
            Ok(_) | Err(Error::WouldBlock | Error::ConnectionReset | Error::TimedOut | Error::Stale) => {}
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    #[test]
    fn random_bytes_never_panic(packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..50)) {
        let (mut net, _, _) = lively();
        for (i, mut packet) in packets.into_iter().enumerate() {
            if packet.len() >= 20 {
                // Enough of a header to be looked at.
                packet[0] = 0x45;
                let len = packet.len() as u16;
                packet[2..4].copy_from_slice(&len.to_be_bytes());
                packet[6..8].fill(0);
                packet[9] = [1, 2, 6, 17][i % 4];
                packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
            }
            let meta = RxMeta { ipv4_checksum_ok: true, l4_checksum_ok: true, l2_broadcast: i % 7 == 0 };
            net.hosts[1].on_packet(net.now, meta, &packet, empty());
            drain(&mut net.hosts[1], net.now);
        }
    }
}

#[test]
fn a_syn_flood_leaves_other_connections_working() {
    let (mut net, packets, server) = lively();
    let syn = packets[0].clone();
    let before = net.hosts[1].stats().tcp_syn_cookies_sent;
    for i in 0..20_000u32 {
        let mut packet = syn.clone();
        packet[12..16].copy_from_slice(&(0x0a00_0100 + i).to_be_bytes());
        let meta = RxMeta {
            ipv4_checksum_ok: true,
            l4_checksum_ok: true,
            l2_broadcast: false,
        };
        net.hosts[1].on_packet(net.now, meta, &packet, empty());
        drain(&mut net.hosts[1], net.now);
    }
    assert!(net.hosts[1].stats().tcp_syn_cookies_sent - before > 19_000);
    let (data, _) = read_all(&mut net.hosts[1], net.now, server);
    assert!(data == pattern(0, 4000));
    assert_eq!(
        net.hosts[1].tcp_send(net.now, server, b"still here"),
        Ok(10)
    );
}
