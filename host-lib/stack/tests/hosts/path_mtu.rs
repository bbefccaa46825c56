//! Path MTU discovery of datagram sockets (RFC 1191) as Linux' IP_MTU_DISCOVER has it.

use crate::common::*;
use crate::craft::tcp::{parse_tcp, tcp};
use crate::craft::*;
use ferrule_stack::{Bytes, Error, Instant, PathMtuDiscovery, SocketId, Stack};
use std::net::Ipv4Addr;

/// A socket connected to a far host, and one datagram of `len` bytes that it sent.
fn sent(s: &mut Stack<Bytes>, id: SocketId, len: usize) -> Vec<Vec<u8>> {
    assert_eq!(s.udp_send_to(id, &pattern(0, len), None), Ok(len));
    drain(s, Instant::ZERO)
}

fn connected(s: &mut Stack<Bytes>, discovery: PathMtuDiscovery) -> SocketId {
    let id = s.udp_open();
    s.udp_connect(id, Some(at(FAR, 9))).expect("a route");
    s.set_mtu_discovery(id, discovery).expect("open");
    assert_eq!(s.mtu_discovery(id), Ok(discovery));
    id
}

/// Don't-fragment bits and lengths.
fn shapes(packets: &[Vec<u8>]) -> Vec<(bool, usize)> {
    let shape = |p: &Vec<u8>| (parse(p).0.dont_fragment, p.len());
    packets.iter().map(shape).collect()
}

#[test]
fn each_mode_sets_df_cuts_or_refuses_as_ip_7_says() {
    use PathMtuDiscovery::{Do, Dont, Interface, Omit, Probe, Want};
    // Modes; for 1,472 bytes over 1,500 and for 1,473: DF of each packet, or refused.
    let table: [(PathMtuDiscovery, bool, Option<usize>); 6] = [
        (Dont, false, Some(2)),
        (Want, true, Some(2)),
        (Do, true, None),
        (Probe, true, None),
        (Interface, false, None),
        (Omit, false, Some(2)),
    ];
    for (mode, df, pieces) in table {
        let mut s = stack(A);
        let id = connected(&mut s, mode);
        assert_eq!(shapes(&sent(&mut s, id, 1472)), [(df, 1500)], "{mode:?}");
        let large = pattern(0, 1473);
        let result = s.udp_send_to(id, &large, None);
        let packets = drain(&mut s, Instant::ZERO);
        assert_eq!(packets.len(), pieces.unwrap_or(0), "{mode:?}");
        assert!(shapes(&packets).iter().all(|(df, _)| !df), "{mode:?}");
        let expected = pieces.map(|_| 1473).ok_or(Error::MessageTooLong);
        assert_eq!(result, expected, "{mode:?}");
    }
}

#[test]
fn a_router_that_needs_less_is_believed_for_ten_minutes() {
    let mut s = stack(A);
    let wants = connected(&mut s, PathMtuDiscovery::Want);
    let does = connected(&mut s, PathMtuDiscovery::Do);
    let probes = connected(&mut s, PathMtuDiscovery::Probe);
    assert_eq!((s.mtu(wants), s.path_mtu(FAR)), (Ok(1500), 1500));
    let packet = sent(&mut s, wants, 1472).remove(0);
    feed(&mut s, Instant::from_millis(5), &too_big(&packet, 1280));
    assert_eq!(
        (s.mtu(wants), s.path_mtu(FAR), s.path_mtu(B)),
        (Ok(1280), 1280, 1500)
    );
    assert_eq!(s.stats().path_mtu_reductions, 1);
    // The socket whose datagram was lost is told.
    assert_eq!(s.take_error(wants), Ok(Some(Error::MessageTooLong)));
    assert_eq!(
        shapes(&sent(&mut s, wants, 1472)),
        [(false, 1276), (false, 244)]
    );
    assert_eq!(shapes(&sent(&mut s, wants, 1252)), [(true, 1280)]);
    assert_eq!(
        s.udp_send_to(does, &[0; 1253], None),
        Err(Error::MessageTooLong)
    );
    assert_eq!(shapes(&sent(&mut s, does, 1252)), [(true, 1280)]);
    assert_eq!(shapes(&sent(&mut s, probes, 1472)), [(true, 1500)]);
    let until = Instant::from_millis(600_005);
    assert_eq!(s.next_deadline(), Some(until));
    s.poll(until);
    assert_eq!((s.mtu(does), s.next_deadline()), (Ok(1500), None));
    assert_eq!(shapes(&sent(&mut s, does, 1472)), [(true, 1500)]);
}

#[test]
fn a_datagram_queued_before_the_path_shrank_is_an_error_where_it_must_not_be_cut() {
    let mut s = stack(A);
    let id = connected(&mut s, PathMtuDiscovery::Do);
    let packet = sent(&mut s, id, 1472).remove(0);
    s.udp_send_to(id, &[0; 1472], None).expect("fits so far");
    feed(&mut s, Instant::ZERO, &too_big(&packet, 1000));
    assert_eq!(s.take_error(id), Ok(Some(Error::MessageTooLong)));
    assert!(drain(&mut s, Instant::ZERO).is_empty());
    assert_eq!(s.take_error(id), Ok(Some(Error::MessageTooLong)));
}

#[test]
fn who_did_not_send_the_quoted_packet_believes_nothing() {
    let mut s = stack(A);
    let id = connected(&mut s, PathMtuDiscovery::Want);
    let local = s.local_addr(id).expect("open");
    let forged = [
        // No such port; another peer than the connected one; not even from us; about a broadcast.
        udp(at(A, 1), at(FAR, 9), &[0; 1472]),
        udp(local, at(FAR, 10), &[0; 1472]),
        udp(at(B, local.port()), at(FAR, 9), &[0; 1472]),
        udp(local, at([10, 0, 0, 255].into(), 9), &[0; 1472]),
    ];
    for about in forged {
        let (mut ip, rest) = parse(&too_big(&about, 600));
        ip.destination = A.octets();
        feed(&mut s, Instant::ZERO, &packet(ip, &rest));
        assert_eq!((s.path_mtu(FAR), s.take_error(id)), (1500, Ok(None)));
    }
    // A socket that ignores path MTUs keeps forged ones out altogether.
    let deaf = connected(&mut s, PathMtuDiscovery::Interface);
    let packet = sent(&mut s, deaf, 1000).remove(0);
    feed(&mut s, Instant::ZERO, &too_big(&packet, 600));
    assert_eq!((s.path_mtu(FAR), s.take_error(deaf)), (1500, Ok(None)));
}

#[test]
fn an_old_router_that_tells_no_mtu_leads_down_the_table_of_rfc_1191() {
    let mut s = stack(A);
    let id = connected(&mut s, PathMtuDiscovery::Want);
    for mtu in [1492, 1006] {
        let len = usize::from(s.path_mtu(FAR)) - 28;
        let packet = sent(&mut s, id, len).remove(0);
        feed(&mut s, Instant::ZERO, &too_big(&packet, 0));
        assert_eq!(s.path_mtu(FAR), mtu);
        assert_eq!(s.take_error(id), Ok(Some(Error::MessageTooLong)));
    }
}

#[test]
fn a_forged_tiny_mtu_takes_df_away_and_asks_for_no_tiny_fragments() {
    let mut s = stack(A);
    let id = connected(&mut s, PathMtuDiscovery::Want);
    let packet = sent(&mut s, id, 1472).remove(0);
    feed(&mut s, Instant::ZERO, &too_big(&packet, 68));
    assert_eq!(s.mtu(id), Ok(552));
    s.take_error(id).expect("open");
    assert_eq!(shapes(&sent(&mut s, id, 500)), [(false, 528)]);
    assert_eq!(shapes(&sent(&mut s, id, 1000))[0], (false, 548));
}

/// Lengths of the packets in which a connection to `to` sends 4,000 octets, and one of them.
fn segments(s: &mut Stack<Bytes>, to: Ipv4Addr) -> (Vec<usize>, Vec<u8>) {
    let now = Instant::ZERO;
    let id = s.tcp_connect(now, None, at(to, 80)).expect("a route");
    let (ours, _) = parse_tcp(&drain(s, now)[0]).expect("a SYN");
    let answer = tcp(
        at(to, 80),
        at(A, ours.source_port),
        |tcp| {
            (tcp.syn, tcp.ack, tcp.window_size) = (true, true, 60_000);
            tcp.acknowledgment_number = ours.sequence_number.wrapping_add(1);
            tcp.set_options_raw(&[2, 4, 0x05, 0xb4]).expect("fits");
        },
        b"",
    );
    feed(s, now, &answer);
    s.tcp_send(now, id, &pattern(0, 4000)).expect("open");
    let packets: Vec<Vec<u8>> = drain(s, now)
        .into_iter()
        .filter(|p| parse_tcp(p).is_some_and(|(_, text)| !text.is_empty()))
        .collect();
    let lengths = packets.iter().map(Vec::len).collect();
    (lengths, packets[0].clone())
}

#[test]
fn what_one_connection_learns_of_a_path_the_next_one_and_datagrams_know() {
    let mut s = stack(A);
    let now = Instant::ZERO;
    let other = Ipv4Addr::new(192, 0, 2, 77);
    let (lengths, packet) = segments(&mut s, FAR);
    assert_eq!(lengths[..2], [1500, 1500]);
    // RFC 5927 section 7.2: what quotes nothing that is in flight is not believed.
    let mut stale = packet.clone();
    stale[24] ^= 0x80;
    feed(&mut s, now, &too_big(&stale, 900));
    assert_eq!(s.path_mtu(FAR), 1500);
    feed(&mut s, now, &too_big(&packet, 1000));
    assert_eq!((s.path_mtu(FAR), s.path_mtu(other)), (1000, 1500));
    drain(&mut s, now);
    // RFC 1191 section 6.4; the rest, less than a segment, waits for an ACK (Nagle).
    assert_eq!(segments(&mut s, FAR).0, [1000; 4]);
    assert_eq!(segments(&mut s, other).0[..2], [1500, 1500]);
}

#[test]
fn this_host_has_no_path_and_an_unconnected_socket_no_mtu() {
    let mut s = stack(A);
    let id = s.udp_bind(at(A, 7)).expect("free");
    s.set_mtu_discovery(id, PathMtuDiscovery::Do).expect("open");
    assert_eq!(s.mtu(id), Err(Error::NotConnected));
    assert_eq!(
        s.udp_send_to(id, &pattern(0, 9000), Some(at(A, 7))),
        Ok(9000)
    );
    assert!(drain(&mut s, Instant::ZERO).is_empty());
    assert_eq!(s.udp_recv_from(id, &mut [0; 10]).map(|r| r.len), Ok(9000));
}
