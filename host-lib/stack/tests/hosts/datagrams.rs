//! UDP, ICMP, fragments and packets to ourselves.

use crate::common::*;
use ferrule_stack::{Error, Instant, Readiness, RxMeta};
use proptest::prelude::*;
use std::net::Ipv4Addr;
use std::time::Duration;

#[test]
fn a_datagram_of_65507_bytes_crosses_an_mtu_of_1500_and_65508_does_not() {
    let mut net = Net::new(
        Wire {
            delay_us: 10,
            jitter_us: 1000,
            duplicate: 10,
            ..Wire::default()
        },
        3,
    );
    let from = net.hosts[0].udp_bind(at(A, 1)).expect("free");
    let to = net.hosts[1].udp_bind(at(B, 2)).expect("free");
    for len in [65_507, 1473, 1472, 0] {
        assert_eq!(
            net.hosts[0].udp_send_to(from, &pattern(0, len), Some(at(B, 2))),
            Ok(len)
        );
        net.run_for(Duration::from_millis(10));
        let mut buf = vec![0; 70_000];
        let got = net.hosts[1]
            .udp_recv_from(to, &mut buf)
            .expect("a datagram");
        assert_eq!(
            (got.len, got.copied, got.from, got.to),
            (len, len, at(A, 1), B)
        );
        assert!(buf[..len] == pattern(0, len));
        while net.hosts[1].udp_recv_from(to, &mut buf).is_ok() {}
    }
    let large = pattern(0, 65_508);
    assert_eq!(
        net.hosts[0].udp_send_to(from, &large, Some(at(B, 2))),
        Err(Error::MessageTooLong)
    );
}

#[test]
fn fragments_are_whole_ipv4_packets_to_an_independent_parser() {
    let mut a = stack(A);
    let from = a.udp_bind(at(A, 1)).expect("free");
    a.udp_send_to(from, &pattern(0, 5000), Some(at(B, 2)))
        .expect("room");
    let mut payload = Vec::new();
    let mut idents = Vec::new();
    while let Some(packet) = a.poll_transmit(Instant::ZERO) {
        let bytes = packet.to_vec();
        assert!(bytes.len() <= 1500);
        let (ip, rest) = etherparse::Ipv4Header::from_slice(&bytes).expect("a header");
        assert_eq!(ip.header_checksum, ip.calc_header_checksum());
        assert_eq!(usize::from(ip.fragment_offset.value()) * 8, payload.len());
        payload.extend_from_slice(rest);
        assert_eq!(ip.more_fragments, payload.len() < 5008);
        idents.push(ip.identification);
    }
    assert!(idents.len() == 4 && idents.iter().all(|i| *i == idents[0]));
    let (udp, data) = etherparse::UdpHeader::from_slice(&payload).expect("a header");
    assert!(data == pattern(0, 5000));
    let sum = etherparse::UdpHeader::with_ipv4_checksum(
        1,
        2,
        &etherparse::Ipv4Header::new(5008, 64, etherparse::IpNumber::UDP, A.octets(), B.octets())
            .expect("short enough"),
        data,
    )
    .expect("short enough");
    assert_eq!(udp.checksum, sum.checksum);
}

#[test]
fn truncation_tells_the_true_length_and_peek_takes_nothing() {
    let mut net = Net::new(Wire::default(), 1);
    let from = net.hosts[0].udp_bind(at(A, 1)).expect("free");
    let to = net.hosts[1]
        .udp_bind(at(Ipv4Addr::UNSPECIFIED, 2))
        .expect("free");
    net.hosts[0]
        .udp_send_to(from, b"hello world", Some(at(B, 2)))
        .expect("room");
    net.hosts[0]
        .udp_send_to(from, b"", Some(at(B, 2)))
        .expect("room");
    net.pump();
    let mut buf = [0; 5];
    for _ in 0..2 {
        let got = net.hosts[1]
            .udp_peek_from(to, &mut buf)
            .expect("a datagram");
        assert_eq!((got.len, got.copied, &buf), (11, 5, b"hello"));
    }
    assert_eq!(
        net.hosts[1].udp_recv_from(to, &mut buf).map(|r| r.len),
        Ok(11)
    );
    assert_eq!(
        net.hosts[1]
            .readiness(to)
            .map(|r| r.contains(Readiness::READABLE)),
        Ok(true)
    );
    assert_eq!(
        net.hosts[1].udp_recv_from(to, &mut buf).map(|r| r.len),
        Ok(0)
    );
    assert_eq!(
        net.hosts[1].udp_recv_from(to, &mut buf),
        Err(Error::WouldBlock)
    );
}

#[test]
fn an_unbound_port_is_connection_refused_to_a_connected_socket_only() {
    let mut net = Net::new(
        Wire {
            delay_us: 100,
            ..Wire::default()
        },
        1,
    );
    let connected = net.hosts[0].udp_bind(at(A, 1)).expect("free");
    net.hosts[0]
        .udp_connect(connected, Some(at(B, 9)))
        .expect("a peer");
    let other = net.hosts[0].udp_bind(at(A, 2)).expect("free");
    net.hosts[0]
        .udp_send_to(connected, b"x", None)
        .expect("room");
    net.hosts[0]
        .udp_send_to(other, b"x", Some(at(B, 9)))
        .expect("room");
    net.run_for(Duration::from_millis(1));
    assert_eq!(net.hosts[1].stats().icmp_errors_out, 2);
    let mut buf = [0; 8];
    assert_eq!(
        net.hosts[0].udp_recv_from(connected, &mut buf),
        Err(Error::ConnectionRefused)
    );
    assert_eq!(
        net.hosts[0].udp_recv_from(connected, &mut buf),
        Err(Error::WouldBlock)
    );
    assert_eq!(
        net.hosts[0].udp_recv_from(other, &mut buf),
        Err(Error::WouldBlock)
    );
}

#[test]
fn a_connected_socket_hears_its_peer_only() {
    let mut net = Net::new(Wire::default(), 1);
    let server = net.hosts[1].udp_bind(at(B, 53)).expect("free");
    net.hosts[1]
        .udp_connect(server, Some(at(A, 1)))
        .expect("a peer");
    for port in [2, 1] {
        let from = net.hosts[0].udp_bind(at(A, port)).expect("free");
        net.hosts[0]
            .udp_send_to(from, &port.to_be_bytes(), Some(at(B, 53)))
            .expect("room");
    }
    net.pump();
    let mut buf = [0; 8];
    assert_eq!(
        net.hosts[1].udp_recv_from(server, &mut buf).map(|r| r.from),
        Ok(at(A, 1))
    );
    assert_eq!(
        net.hosts[1].udp_recv_from(server, &mut buf),
        Err(Error::WouldBlock)
    );
}

#[test]
fn a_full_receive_queue_drops_and_counts() {
    let mut net = Net::new(Wire::default(), 1);
    let to = net.hosts[1].udp_bind(at(B, 2)).expect("free");
    let now = net.now;
    net.hosts[1].set_recv_buffer(now, to, 4000).expect("open");
    let from = net.hosts[0].udp_bind(at(A, 1)).expect("free");
    for _ in 0..10 {
        net.hosts[0]
            .udp_send_to(from, &[7; 1000], Some(at(B, 2)))
            .expect("room");
    }
    net.pump();
    let mut n = 0;
    while net.hosts[1].udp_recv_from(to, &mut [0; 2000]).is_ok() {
        n += 1;
    }
    assert_eq!((n, net.hosts[1].udp_drops(to)), (3, Ok(7)));
    assert_eq!(net.hosts[1].stats().dropped_receive_full, 7);
}

#[test]
fn packets_to_ourselves_never_leave() {
    let mut s = stack(A);
    let now = Instant::ZERO;
    let listener = s.tcp_listen(at(A, 80), 1).expect("free");
    let client = s.tcp_connect(now, None, at(A, 80)).expect("free");
    assert!(s.poll_transmit(now).is_none());
    let (server, _) = s.tcp_accept(listener).expect("complete");
    assert_eq!(s.tcp_send(now, client, &pattern(0, 50_000)), Ok(50_000));
    let mut got = Vec::new();
    while got.len() < 50_000 {
        assert!(s.poll_transmit(now).is_none());
        got.extend(read_all(&mut s, now, server).0);
    }
    assert!(got == pattern(0, 50_000));
    let refused = s.tcp_connect(now, None, at(A, 81)).expect("free");
    assert!(s.poll_transmit(now).is_none());
    assert_eq!(s.take_error(refused), Ok(Some(Error::ConnectionRefused)));
    let ping = s.ping_open().expect("free");
    s.ping_send(ping, A, 3, b"me").expect("room");
    assert!(s.poll_transmit(now).is_none());
    let mut buf = [0; 4];
    assert_eq!(
        s.ping_recv(ping, &mut buf).map(|r| (r.seq, r.len)),
        Ok((3, 2))
    );
}

#[test]
fn an_echo_request_is_answered_but_not_a_broadcast_or_a_broken_one() {
    let mut a = stack(A);
    let echo = |to: Ipv4Addr| {
        let mut packet = Vec::new();
        etherparse::PacketBuilder::ipv4(B.octets(), to.octets(), 64)
            .icmpv4_echo_request(1, 2)
            .write(&mut packet, b"ping")
            .expect("a vector takes all");
        packet
    };
    feed(&mut a, Instant::ZERO, &echo(A));
    let reply = a.poll_transmit(Instant::ZERO).expect("a reply").to_vec();
    let parsed = etherparse::PacketHeaders::from_ip_slice(&reply).expect("a packet");
    let Some(etherparse::TransportHeader::Icmpv4(icmp)) = parsed.transport else {
        panic!("not ICMP");
    };
    assert_eq!(
        icmp.icmp_type,
        etherparse::Icmpv4Type::EchoReply(etherparse::IcmpEchoHeader { id: 1, seq: 2 })
    );
    assert_eq!(icmp.checksum, icmp.icmp_type.calc_checksum(b"ping"));
    feed(&mut a, Instant::ZERO, &echo(Ipv4Addr::new(10, 0, 0, 255)));
    let mut broken = echo(A);
    broken[30] ^= 4;
    feed(&mut a, Instant::ZERO, &broken);
    a.on_packet(
        Instant::ZERO,
        RxMeta {
            l2_broadcast: true,
            ..RxMeta::default()
        },
        &echo(A),
        empty(),
    );
    assert!(a.poll_transmit(Instant::ZERO).is_none());
}

#[test]
fn what_the_device_checks_and_inserts_is_left_to_it() {
    let mut config = config(A);
    config.offload.tx_ipv4_checksum = true;
    config.offload.tx_l4_checksum = true;
    let mut a = ferrule_stack::Stack::<ferrule_stack::Bytes>::new(config);
    let from = a.udp_bind(at(A, 1)).expect("free");
    a.udp_send_to(from, &pattern(0, 100), Some(at(B, 2)))
        .expect("room");
    let packet = a.poll_transmit(Instant::ZERO).expect("a datagram");
    let bytes = packet.to_vec();
    assert!(packet.insert_ipv4_checksum && packet.insert_l4_checksum);
    assert_eq!((&bytes[10..12], &bytes[26..28]), (&[0, 0][..], &[0, 0][..]));
    // A fragment's checksum is beyond the device.
    a.udp_send_to(from, &pattern(0, 2000), Some(at(B, 2)))
        .expect("room");
    let first = a.poll_transmit(Instant::ZERO).expect("a fragment");
    assert!(first.insert_ipv4_checksum && !first.insert_l4_checksum);
}

#[test]
fn every_call_with_a_stale_id_is_an_error() {
    let mut a = stack(A);
    let id = a.udp_bind(at(A, 1)).expect("free");
    a.close(Instant::ZERO, id).expect("open");
    let again = a.udp_bind(at(A, 1)).expect("free again");
    assert_ne!(id, again);
    assert_eq!(a.readiness(id), Err(Error::Stale));
    assert_eq!(a.udp_send_to(id, b"x", Some(at(B, 2))), Err(Error::Stale));
    assert_eq!(a.tcp_send(Instant::ZERO, id, b"x"), Err(Error::Stale));
    assert_eq!(
        a.tcp_recv(Instant::ZERO, again, &mut [0]),
        Err(Error::Unsupported)
    );
    assert_eq!(a.close(Instant::ZERO, id), Err(Error::Stale));
}

/// Sends datagrams of these lengths over a wire; whatever arrives must be one of them, whole.
fn whole_or_not_at_all(lens: &[usize], wire: Wire, seed: u64) -> Result<(), TestCaseError> {
    let mut net = Net::new(wire, seed);
    let from = net.hosts[0].udp_bind(at(A, 1)).expect("free");
    let to = net.hosts[1].udp_bind(at(B, 2)).expect("free");
    for len in lens {
        net.hosts[0]
            .udp_send_to(from, &pattern(*len, *len), Some(at(B, 2)))
            .expect("room");
    }
    net.run_for(Duration::from_secs(100));
    let mut buf = vec![0; 10_000];
    while let Ok(got) = net.hosts[1].udp_recv_from(to, &mut buf) {
        prop_assert!(lens.contains(&got.len), "seed {seed}");
        prop_assert!(buf[..got.len] == pattern(got.len, got.len), "seed {seed}");
    }
    prop_assert_eq!(net.hosts[1].next_deadline(), None, "seed {}", seed);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn datagrams_of_any_length_arrive_whole_or_not_at_all(lens in proptest::collection::vec(0usize..9000, 1..12), seed: u64, loss in 0u64..20) {
        // No corruption: two bits flipped in two fragments of one datagram may cancel out in its checksum.
        let wire = Wire { loss, jitter_us: 500, duplicate: 5, delay_us: 10, ..Wire::default() };
        whole_or_not_at_all(&lens, wire, seed)?;
    }

    #[test]
    fn a_flipped_bit_is_never_delivered(lens in proptest::collection::vec(0usize..=1472, 1..30), seed: u64) {
        let wire = Wire { corrupt: 50, jitter_us: 500, duplicate: 5, delay_us: 10, ..Wire::default() };
        whole_or_not_at_all(&lens, wire, seed)?;
    }
}
