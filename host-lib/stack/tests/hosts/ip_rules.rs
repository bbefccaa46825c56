//! IPv4 and ICMP as a host keeps them: options, header fields by socket, errors sent and errors heard.

use crate::common::*;
use crate::craft::*;
use etherparse::IpNumber;
use ferrule_stack::{Bytes, Error, Instant, RxMeta, SocketId, Stack};
use proptest::prelude::*;
use std::net::Ipv4Addr;

const NOW: Instant = Instant::ZERO;

fn server() -> (Stack<Bytes>, SocketId) {
    let mut s = stack(A);
    let id = s.udp_bind(at(A, 7)).expect("free");
    (s, id)
}

fn with_options(options: &[u8]) -> Vec<u8> {
    udp_edited(at(B, 9), at(A, 7), b"data", |ip| {
        ip.options = options.try_into().expect("a multiple of four");
    })
}

#[test]
fn options_are_skipped_source_routes_dropped_and_nonsense_answered() {
    let (mut s, id) = server();
    let mut buf = [0; 16];
    // Router Alert; Record Route; Timestamp; an option that nobody has defined: 40 bytes, the most there can be.
    let mut long = vec![
        148, 4, 0, 0, 7, 7, 4, 0, 0, 0, 0, 68, 8, 5, 0, 0, 0, 0, 0, 222, 20,
    ];
    long.resize(39, 9);
    long.push(0);
    feed(&mut s, NOW, &with_options(&long));
    assert_eq!(s.udp_recv_from(id, &mut buf).map(|r| r.len), Ok(4));
    // RFC 7126: loose and strict source routes, even used up, are dropped; nobody is told.
    for kind in [131, 137] {
        feed(&mut s, NOW, &with_options(&[kind, 7, 8, 10, 0, 0, 9, 0]));
    }
    assert_eq!(s.udp_recv_from(id, &mut buf), Err(Error::WouldBlock));
    assert_eq!(
        (s.stats().dropped_options, drain(&mut s, NOW).len()),
        (2, 0)
    );
    // RFC 792: the pointer names the octet of the original header that is wrong, here the third option byte.
    let bad = with_options(&[1, 1, 148, 9]);
    feed(&mut s, NOW, &bad);
    let out = drain(&mut s, NOW);
    let (kind, rest, quote) = parse_icmp(&out[0]);
    assert_eq!((kind, rest[0]), ((12, 0), 22));
    assert!(quote == bad);
    assert_eq!(s.udp_recv_from(id, &mut buf), Err(Error::WouldBlock));
}

#[test]
fn ttl_and_tos_are_each_sockets_own_and_told_of_what_arrives() {
    let (mut s, id) = server();
    assert_eq!((s.ttl(id), s.tos(id)), (Ok(64), Ok(0)));
    assert_eq!(s.set_ttl(id, Some(0)), Err(Error::InvalidInput));
    s.set_ttl(id, Some(3)).expect("open");
    s.set_tos(id, 0xb9).expect("open");
    assert_eq!((s.ttl(id), s.tos(id)), (Ok(3), Ok(0xb9)));
    s.udp_send_to(id, &pattern(0, 2000), Some(at(B, 9)))
        .expect("room");
    let ping = s.ping_open().expect("free");
    s.set_tos(ping, 0x20).expect("open");
    s.ping_send(ping, B, 1, b"x").expect("room");
    let fields: Vec<(u8, u8)> = drain(&mut s, NOW)
        .iter()
        .map(|p| parse(p).0)
        .map(|ip| (ip.time_to_live, ip.dscp.value() << 2 | ip.ecn.value()))
        .collect();
    assert_eq!(fields, [(3, 0xb9), (3, 0xb9), (64, 0x20)]);
    s.set_ttl(id, None).expect("open");
    assert_eq!(s.ttl(id), Ok(64));
    let arriving = udp_edited(at(B, 9), at(A, 7), b"x", |ip| {
        ip.time_to_live = 17;
        ip.dscp = 46.try_into().expect("six bits");
        ip.ecn = 2.try_into().expect("two bits");
    });
    feed(&mut s, NOW, &arriving);
    let got = s.udp_recv_from(id, &mut [0; 4]).expect("a datagram");
    assert_eq!((got.ttl, got.tos, got.to), (17, 46 << 2 | 2, A));
    assert!(!got.is_truncated());
    let tcp = s.tcp_listen(at(A, 80), 1).expect("free");
    assert_eq!(s.set_broadcast(tcp, true), Err(Error::Unsupported));
}

/// A connection from A, which has its TTL and TOS, to a listener of B's with others: the marks of all packets each sent.
fn marked(verified: bool) -> [Vec<(u8, u8)>; 2] {
    let mut hosts = [stack(A), stack(B)];
    let mut now = NOW;
    let listener = hosts[1].tcp_listen(at(B, 80), 4).expect("free");
    hosts[1].set_ttl(listener, Some(255)).expect("open");
    // Linux' inet_sk_set_tos: of a stream the two ECN bits are not the program's.
    hosts[1].set_tos(listener, 0xbb).expect("open");
    assert_eq!(hosts[1].tos(listener), Ok(0xb8));
    let client = hosts[0].tcp_connect(now, None, at(B, 80)).expect("free");
    assert_eq!(
        hosts[0].set_ttl(client, Some(0)),
        Err(Error::InvalidInput),
        "as for datagrams"
    );
    hosts[0].set_ttl(client, Some(7)).expect("open");
    hosts[0].set_tos(client, 0x10).expect("open");
    let meta = RxMeta {
        ipv4_checksum_ok: verified,
        l4_checksum_ok: verified,
        l2_broadcast: false,
    };
    let mut seen = [Vec::new(), Vec::new()];
    let mut server = None;
    for round in 0..40 {
        for from in 0..2 {
            for packet in drain(&mut hosts[from], now) {
                let ip = parse(&packet).0;
                seen[from].push((ip.time_to_live, ip.dscp.value() << 2 | ip.ecn.value()));
                let split = packet.len().min(128);
                let body = Bytes::from(&packet[split..]);
                hosts[1 - from].on_packet(now, meta, &packet[..split], body);
            }
        }
        match server {
            None => server = hosts[1].tcp_accept(listener).ok().map(|(id, _)| id),
            Some(id) if round < 30 => {
                read_all(&mut hosts[1], now, id);
                read_all(&mut hosts[0], now, client);
                hosts[0]
                    .tcp_send(now, client, &pattern(0, 3000))
                    .expect("room");
                hosts[1].tcp_send(now, id, b"x").expect("room");
            }
            Some(id) if round == 30 => {
                hosts[1].close(now, id).expect("open");
                hosts[0].close(now, client).expect("open");
            }
            Some(_) => {}
        }
        now += std::time::Duration::from_millis(5);
    }
    seen
}

#[test]
fn a_connection_has_a_ttl_and_tos_and_a_listener_gives_its_own_on() {
    for verified in [true, false] {
        let [ours, theirs] = marked(verified);
        assert!(ours.len() > 60 && theirs.len() > 30, "{verified}");
        assert!(ours.iter().all(|marks| *marks == (7, 0x10)), "{ours:?}");
        assert!(
            theirs.iter().all(|marks| *marks == (255, 0xb8)),
            "{theirs:?}"
        );
    }
}

#[test]
fn an_error_is_never_sent_about_an_error_a_broadcast_a_later_fragment_or_to_nobody() {
    let mut s = stack(A);
    let all = Ipv4Addr::new(10, 0, 0, 255);
    let nobody = Ipv4Addr::UNSPECIFIED;
    let unknown = |src, dst, edit: fn(&mut etherparse::Ipv4Header)| {
        packet(header(IpNumber(200), src, dst, edit), &[0; 32])
    };
    for quiet in [
        unknown(B, all, |_| {}),
        unknown(B, Ipv4Addr::new(224, 0, 0, 1), |_| {}),
        unknown(nobody, A, |_| {}),
        unknown(all, A, |_| {}),
        unknown(B, A, |ip| {
            ip.fragment_offset = 8.try_into().expect("13 bits")
        }),
        udp(at(B, 9), at(all, 99), b"nobody listens"),
        // An ICMP error whose header has an option that cannot be read.
        {
            let (mut ip, rest) = parse(&icmp(B, A, (3, 3), [0; 4], &[0; 28]));
            ip.options = [7, 0, 0, 0].into();
            packet(ip, &rest)
        },
    ] {
        feed(&mut s, NOW, &quiet);
        assert!(drain(&mut s, NOW).is_empty(), "{quiet:?}");
    }
    feed(&mut s, NOW, &unknown(B, A, |_| {}));
    assert_eq!(parse_icmp(&drain(&mut s, NOW)[0]).0, (3, 2));
}

#[test]
fn a_connected_socket_hears_what_linux_lets_it_hear() {
    // Types and codes as RFC 792, 1122 and 1812 number them; the last column as net/ipv4/udp.c and icmp.c have it.
    let table: [((u8, u8), Option<Error>); 20] = [
        ((3, 0), None),
        ((3, 1), None),
        ((3, 2), Some(Error::ProtocolUnavailable)),
        ((3, 3), Some(Error::ConnectionRefused)),
        ((3, 5), None),
        ((3, 6), Some(Error::NetworkUnreachable)),
        ((3, 7), Some(Error::HostDown)),
        ((3, 8), Some(Error::NotOnNetwork)),
        ((3, 9), Some(Error::NetworkUnreachable)),
        ((3, 10), Some(Error::HostUnreachable)),
        ((3, 11), None),
        ((3, 12), None),
        ((3, 13), Some(Error::HostUnreachable)),
        ((3, 14), Some(Error::HostUnreachable)),
        ((3, 15), Some(Error::HostUnreachable)),
        ((3, 16), None),
        ((4, 0), None),
        ((5, 1), None),
        ((11, 0), None),
        ((12, 0), Some(Error::Protocol)),
    ];
    let soft = [(3, 0), (3, 1), (3, 5), (3, 11), (3, 12), (11, 0)];
    for (kind, expected) in table {
        let (mut s, id) = server();
        s.udp_connect(id, Some(at(B, 9))).expect("a peer");
        s.udp_send_to(id, b"x", None).expect("room");
        let sent = drain(&mut s, NOW).remove(0);
        let error = icmp_error(&sent, kind, [0; 4]);
        feed(&mut s, NOW, &error);
        assert_eq!(s.take_error(id), Ok(expected), "{kind:?}");
        // Who asks for all of them hears the soft ones as well.
        s.set_receive_errors(id, true).expect("open");
        feed(&mut s, NOW, &error);
        let heard = s.take_error(id).expect("open");
        assert_eq!(
            heard.is_some(),
            expected.is_some() || soft.contains(&kind),
            "{kind:?}"
        );
    }
}

#[test]
fn errors_reach_the_socket_they_are_about_and_no_other() {
    let (mut s, id) = server();
    s.udp_send_to(id, b"x", Some(at(B, 9))).expect("room");
    let sent = drain(&mut s, NOW).remove(0);
    let refused = icmp_error(&sent, (3, 3), [0; 4]);
    feed(&mut s, NOW, &refused);
    assert_eq!(s.take_error(id), Ok(None), "not connected");
    s.set_receive_errors(id, true).expect("open");
    feed(&mut s, NOW, &refused);
    assert_eq!(s.take_error(id), Ok(Some(Error::ConnectionRefused)));
    s.udp_connect(id, Some(at(B, 10))).expect("a peer");
    feed(&mut s, NOW, &refused);
    assert_eq!(s.take_error(id), Ok(None), "another peer");
    // Cut short, corrupt, or to a broadcast: about nothing.
    s.udp_send_to(id, b"x", None).expect("room");
    let sent = drain(&mut s, NOW).remove(0);
    let mut corrupt = icmp_error(&sent, (3, 3), [0; 4]);
    corrupt[40] ^= 1;
    let short = icmp(ROUTER, A, (3, 3), [0; 4], &sent[..27]);
    let (mut ip, rest) = parse(&icmp_error(&sent, (3, 3), [0; 4]));
    ip.destination = [10, 0, 0, 255];
    for nothing in [corrupt, short, packet(ip, &rest)] {
        feed(&mut s, NOW, &nothing);
        assert_eq!(s.take_error(id), Ok(None));
    }
}

#[test]
fn an_echo_reply_keeps_the_type_of_service_of_its_request() {
    let mut s = stack(A);
    let (mut ip, rest) = parse(&icmp(B, A, (8, 0), [0, 1, 0, 1], b"ping"));
    ip.dscp = 10.try_into().expect("six bits");
    feed(&mut s, NOW, &packet(ip, &rest));
    let reply = drain(&mut s, NOW).remove(0);
    assert_eq!(parse(&reply).0.dscp.value(), 10);
    assert_eq!(parse_icmp(&reply).0, (0, 0));
}

proptest! {
    #[test]
    fn any_options_leave_the_stack_standing(words in prop::collection::vec(any::<[u8; 4]>(), 0..=10)) {
        let (mut s, id) = server();
        feed(&mut s, NOW, &with_options(&words.concat()));
        let taken = s.udp_recv_from(id, &mut [0; 8]).is_ok();
        prop_assert_eq!(u64::from(taken) + s.stats().dropped_options, 1);
        prop_assert!(drain(&mut s, NOW).len() <= 1);
    }
}
