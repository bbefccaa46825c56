//! UDP sockets: opening, sharing, connecting, broadcasting, and the errors of calls, as Linux has them.

use crate::common::*;
use crate::craft::*;
use ferrule_stack::{
    Bytes, Cidr, Error, Instant, Readiness, SendOptions, Shutdown, SocketId, Stack,
};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

const NOW: Instant = Instant::ZERO;
const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const ALL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 255);

fn heard(s: &mut Stack<Bytes>, id: SocketId) -> bool {
    s.udp_recv_from(id, &mut [0; 16]).is_ok()
}

#[test]
fn a_socket_gets_its_port_from_bind_send_or_connect() {
    let mut s = stack(A);
    let id = s.udp_open();
    assert_eq!(s.local_addr(id), Ok(at(ANY, 0)));
    s.udp_send_to(id, b"x", Some(at(B, 9))).expect("room");
    let port = s.local_addr(id).expect("open").port();
    assert!((32_768..=60_999).contains(&port));
    assert_eq!(s.udp_bind_to(id, at(A, 9)), Err(Error::InvalidInput));
    feed(&mut s, NOW, &udp(at(B, 9), at(A, port), b"back"));
    assert!(heard(&mut s, id));
    // What connect chose is given back when the association is dissolved.
    let other = s.udp_open();
    s.udp_connect(other, Some(at(B, 9))).expect("a route");
    let local = s.local_addr(other).expect("open");
    assert_eq!((*local.ip(), s.peer_addr(other)), (A, Ok(at(B, 9))));
    s.udp_connect(other, None).expect("connected");
    assert_eq!(s.local_addr(other), Ok(at(ANY, 0)));
    assert_eq!(s.peer_addr(other), Err(Error::NotConnected));
    assert!(s.udp_bind(at(A, local.port())).is_ok());
    // What bind chose stays.
    let bound = s.udp_bind(at(ANY, 7)).expect("free");
    s.udp_connect(bound, Some(at(B, 9))).expect("a route");
    assert_eq!(s.local_addr(bound), Ok(at(A, 7)));
    s.udp_connect(bound, None).expect("connected");
    assert_eq!(s.local_addr(bound), Ok(at(ANY, 7)));
    // The unspecified address is this host.
    drain(&mut s, NOW);
    s.udp_send_to(id, b"me", Some(at(ANY, 7))).expect("room");
    assert!(drain(&mut s, NOW).is_empty() && heard(&mut s, bound));
}

#[test]
fn an_address_is_shared_only_if_all_agree() {
    // Options of the first and of the second socket: address, port.
    let table = [
        ((false, false), (false, false), false),
        ((true, false), (false, false), false),
        ((false, false), (true, false), false),
        ((true, false), (true, false), true),
        ((false, true), (false, true), true),
        ((true, false), (false, true), false),
        ((true, true), (false, true), true),
    ];
    for (first, second, shared) in table {
        for (ip, other, meets) in [(ANY, A, true), (A, A, true), (A, ALL, false)] {
            let mut s = stack(A);
            let mut open = |(address, port), ip| {
                let id = s.udp_open();
                s.set_reuse_address(id, address).expect("open");
                s.set_reuse_port(id, port).expect("open");
                s.udp_bind_to(id, at(ip, 7))
            };
            assert_eq!(open(first, ip), Ok(()));
            let expected = match shared || !meets {
                true => Ok(()),
                false => Err(Error::AddrInUse),
            };
            assert_eq!(
                open(second, other),
                expected,
                "{first:?} {second:?} {ip} {other}"
            );
        }
    }
}

fn sharing(s: &mut Stack<Bytes>, reuse_port: bool) -> SocketId {
    let id = s.udp_open();
    match reuse_port {
        true => s.set_reuse_port(id, true).expect("open"),
        false => s.set_reuse_address(id, true).expect("open"),
    }
    s.udp_bind_to(id, at(ANY, 7)).expect("shared");
    id
}

#[test]
fn of_sockets_with_reuseaddr_the_newest_hears_one_to_one_and_all_hear_broadcasts() {
    let mut s = stack(A);
    let (old, new) = (sharing(&mut s, false), sharing(&mut s, false));
    feed(&mut s, NOW, &udp(at(B, 9), at(A, 7), b"one"));
    assert_eq!((heard(&mut s, old), heard(&mut s, new)), (false, true));
    for all in [ALL, Ipv4Addr::BROADCAST] {
        feed(&mut s, NOW, &udp(at(B, 9), at(all, 7), b"all"));
        assert_eq!((heard(&mut s, old), heard(&mut s, new)), (true, true));
    }
    s.close(NOW, new).expect("open");
    feed(&mut s, NOW, &udp(at(B, 9), at(A, 7), b"one"));
    assert!(heard(&mut s, old));
}

#[test]
fn sockets_with_reuseport_divide_the_peers_and_each_peer_stays_with_its_socket() {
    let mut s = stack(A);
    let ids: Vec<SocketId> = (0..4).map(|_| sharing(&mut s, true)).collect();
    let mut of_peer = BTreeMap::new();
    for round in 0..2 {
        for peer in 1000..1400 {
            feed(&mut s, NOW, &udp(at(B, peer), at(A, 7), b"x"));
            let hearing: Vec<usize> = (0..4).filter(|i| heard(&mut s, ids[*i])).collect();
            assert_eq!(hearing.len(), 1);
            match round {
                0 => assert_eq!(of_peer.insert(peer, hearing[0]), None),
                _ => assert_eq!(of_peer[&peer], hearing[0]),
            }
        }
    }
    for socket in 0..4 {
        let share = of_peer.values().filter(|s| **s == socket).count();
        // 100 each on average; six standard deviations are 52.
        assert!((48..152).contains(&share), "{share}");
    }
}

#[test]
fn a_connected_socket_beside_an_open_one_takes_its_peer_and_leaves_the_rest() {
    let mut s = stack(A);
    let open = sharing(&mut s, false);
    let connected = sharing(&mut s, false);
    s.udp_connect(connected, Some(at(B, 9))).expect("a route");
    feed(&mut s, NOW, &udp(at(B, 9), at(A, 7), b"x"));
    assert_eq!(
        (heard(&mut s, open), heard(&mut s, connected)),
        (false, true)
    );
    feed(&mut s, NOW, &udp(at(B, 10), at(A, 7), b"x"));
    assert_eq!(
        (heard(&mut s, open), heard(&mut s, connected)),
        (true, false)
    );
    // Connected once more, to another; then not at all.
    s.udp_connect(connected, Some(at(B, 10))).expect("a route");
    feed(&mut s, NOW, &udp(at(B, 9), at(A, 7), b"x"));
    assert_eq!(
        (heard(&mut s, open), heard(&mut s, connected)),
        (true, false)
    );
    s.close(NOW, open).expect("open");
    feed(&mut s, NOW, &udp(at(B, 9), at(A, 7), b"x"));
    assert!(!heard(&mut s, connected));
    let refused = drain(&mut s, NOW);
    assert_eq!(parse_icmp(&refused[0]).0, (3, 3));
}

#[test]
fn broadcasts_are_sent_only_by_those_who_asked_and_heard_here_too() {
    let mut s = stack(A);
    let id = s.udp_bind(at(ANY, 7)).expect("free");
    for all in [ALL, Ipv4Addr::BROADCAST] {
        s.set_broadcast(id, false).expect("open");
        let to = Some(at(all, 7));
        assert_eq!(s.udp_send_to(id, b"x", to), Err(Error::PermissionDenied));
        assert_eq!(s.udp_connect(id, to), Err(Error::PermissionDenied));
        s.set_broadcast(id, true).expect("open");
        assert_eq!(s.udp_send_to(id, b"x", to), Ok(1));
        let sent = drain(&mut s, NOW);
        assert_eq!(parse(&sent[0]).0.destination, all.octets());
        assert_eq!(s.udp_recv_from(id, &mut [0; 4]).map(|r| r.to), Ok(all));
    }
    let ping = s.ping_open().expect("free");
    assert_eq!(s.ping_send(ping, ALL, 1, b""), Err(Error::PermissionDenied));
}

#[test]
fn a_socket_on_a_broadcast_or_group_address_hears_only_that_and_sends_from_ours() {
    let mut s = stack(A);
    let id = s.udp_bind(at(ALL, 7)).expect("free");
    feed(&mut s, NOW, &udp(at(B, 9), at(A, 7), b"x"));
    assert!(!heard(&mut s, id));
    drain(&mut s, NOW);
    feed(&mut s, NOW, &udp(at(B, 9), at(ALL, 7), b"x"));
    assert!(heard(&mut s, id));
    s.udp_send_to(id, b"x", Some(at(B, 9))).expect("room");
    let (ip, _) = parse(&drain(&mut s, NOW)[0]);
    assert_eq!(ip.source, A.octets());
}

#[test]
fn one_datagram_may_have_a_source_ttl_and_tos_of_its_own() {
    let mut s = stack(A);
    let second = Ipv4Addr::new(10, 0, 0, 77);
    s.add_address(Cidr::new(second, 24).expect("valid"))
        .expect("new");
    let id = s.udp_bind(at(ANY, 7)).expect("free");
    // An answer from the address that was asked, as a server on all addresses gives it.
    feed(&mut s, NOW, &udp(at(B, 9), at(second, 7), b"?"));
    let asked = s.udp_recv_from(id, &mut [0]).expect("a datagram");
    let chosen = SendOptions {
        source: Some(asked.to),
        ttl: Some(9),
        tos: Some(0x10),
    };
    let to = Some(asked.from);
    s.udp_send_with(id, b"!", to, chosen).expect("room");
    s.udp_send_to(id, b"!", to).expect("room");
    let fields: Vec<(Ipv4Addr, u8, u8)> = drain(&mut s, NOW)
        .iter()
        .map(|p| parse(p).0)
        .map(|ip| (ip.source.into(), ip.time_to_live, ip.dscp.value() << 2))
        .collect();
    assert_eq!(fields, [(second, 9, 0x10), (A, 64, 0)]);
    // As sendmsg(2) of Linux 6.18 says: what cannot be a source, what is not ours, what is no choice.
    let from = |source| SendOptions {
        source: Some(source),
        ..SendOptions::default()
    };
    let no_ttl = SendOptions {
        ttl: Some(0),
        ..SendOptions::default()
    };
    for (chosen, expected) in [
        (from(Ipv4Addr::new(224, 0, 0, 1)), Err(Error::InvalidInput)),
        (from(Ipv4Addr::BROADCAST), Err(Error::InvalidInput)),
        (no_ttl, Err(Error::InvalidInput)),
        (from(B), Err(Error::NetworkUnreachable)),
        (from(ALL), Err(Error::NetworkUnreachable)),
        (from(ANY), Ok(1)),
    ] {
        assert_eq!(
            s.udp_send_with(id, b"x", to, chosen),
            expected,
            "{chosen:?}"
        );
    }
}

#[test]
fn shutdown_ends_reading_and_sending_as_in_linux() {
    let mut s = stack(A);
    let id = s.udp_bind(at(A, 7)).expect("free");
    assert_eq!(
        s.udp_shutdown(id, Shutdown::Write),
        Err(Error::NotConnected)
    );
    assert_eq!(
        s.udp_send_to(id, b"x", Some(at(B, 9))),
        Err(Error::BrokenPipe)
    );
    feed(&mut s, NOW, &udp(at(B, 9), at(A, 7), b"last"));
    assert_eq!(s.udp_unread(id), Ok(4));
    s.udp_connect(id, Some(at(B, 9))).expect("a route");
    assert_eq!(s.udp_shutdown(id, Shutdown::Read), Ok(()));
    let all = Readiness::READABLE | Readiness::READ_CLOSED | Readiness::HANGUP;
    assert!(s.readiness(id).is_ok_and(|r| r.contains(all)));
    let len = |s: &mut Stack<Bytes>| s.udp_recv_from(id, &mut [0; 8]).map(|r| r.len);
    assert_eq!(
        (len(&mut s), len(&mut s), s.udp_unread(id)),
        (Ok(4), Ok(0), Ok(0))
    );
}

#[test]
fn identifications_of_what_may_be_cut_last_however_much_else_is_sent() {
    let mut s = stack(A);
    let id = s.udp_bind(at(A, 7)).expect("free");
    let ident = |s: &mut Stack<Bytes>, len: usize| {
        s.udp_send_to(id, &vec![0; len], Some(at(B, 9)))
            .expect("room");
        let packet = &drain(s, NOW)[0];
        parse(packet).0.identification
    };
    let first = ident(&mut s, 2000);
    // 16 bits come round after so many datagrams that carry DF.
    for _ in 0..65_535 {
        ident(&mut s, 1);
    }
    assert_ne!(ident(&mut s, 2000), first);
}
