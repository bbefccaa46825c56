//! UDP and ping.
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ferrule::UdpSocket;
use ferrule_testnet::{Kind, Net};

const PORT: u16 = 53;
const SECOND: Duration = Duration::from_secs(1);

fn net(seed: u64) -> Net {
    ferrule_testnet::new().seed(seed).start().unwrap()
}

/// A socket on each of the first two hosts, connected.
fn pair(net: &Net) -> (UdpSocket, UdpSocket) {
    let [a, b] = [0, 1].map(|n| net.host(n).bind_udp((net.address(n), PORT)).unwrap());
    a.connect((net.address(1), PORT)).unwrap();
    b.connect((net.address(0), PORT)).unwrap();
    (a, b)
}

#[test]
fn messages_keep_their_borders() {
    let net = net(40);
    let (a, b) = pair(&net);
    let sizes = [1, 0, 700, 1_472, 2, 0];
    for size in sizes {
        a.send(&vec![size as u8; size]).unwrap();
    }
    let mut buffer = [0; 2_000];
    for size in sizes {
        assert_eq!(b.recv(&mut buffer).unwrap(), size);
        assert!(buffer[..size].iter().all(|byte| *byte == size as u8));
    }
}

#[test]
fn a_message_larger_than_a_frame_arrives_whole() {
    let net = net(41);
    let (a, b) = pair(&net);
    let sent: Vec<u8> = (0..20_000).map(|i| (i % 251) as u8).collect();
    a.send(&sent).unwrap();
    let mut buffer = vec![0; 30_000];
    let n = b.recv(&mut buffer).unwrap();
    assert!(buffer[..n] == sent);
}

#[test]
fn a_jumbo_frame_carries_a_message_whole_and_a_longer_one_is_cut_to_fragments() {
    for engine in [Kind::Model, Kind::Compiled] {
        let net = ferrule_testnet::new()
            .seed(49)
            .mtu(9_000)
            .engine(engine)
            .start()
            .unwrap();
        let (a, b) = pair(&net);
        let mut buffer = vec![0; 30_000];
        let mut before = 0;
        // An IPv4 and a UDP header leave 8,972 bytes of 9,000.
        for (size, frames) in [(8_972, 1), (8_973, 2), (20_000, 3)] {
            let sent: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            a.send(&sent).unwrap();
            let n = b.recv(&mut buffer).unwrap();
            assert!(buffer[..n] == sent, "{size} bytes");
            let received = net.host(1).stack_stats().unwrap().packets_in;
            assert_eq!(received - before, frames, "{size} bytes");
            before = received;
        }
    }
}

#[test]
fn an_mtu_that_is_none_is_refused() {
    for mtu in [0, 67, 9_001] {
        let error = ferrule_testnet::new().mtu(mtu).start().err().unwrap();
        let text = error.to_string();
        assert!(
            text.contains("the MTU") && text.contains("68 to 9000"),
            "{text}"
        );
    }
}

#[test]
fn in_push_mode_messages_and_fragments_arrive_whole() {
    for engine in [Kind::Model, Kind::Compiled] {
        let net = ferrule_testnet::new()
            .seed(50)
            .push(true)
            .engine(engine)
            .start()
            .unwrap();
        let (a, b) = pair(&net);
        let mut buffer = vec![0; 30_000];
        // More slots and more bytes than the device has at any time.
        for round in 0..30 {
            for size in [0, 1, 7, 1_472, 1_473, 9_000] {
                let sent: Vec<u8> = (0..size).map(|i| (i % 251 + round) as u8).collect();
                a.send(&sent).unwrap();
                b.send(&sent).unwrap();
                for socket in [&a, &b] {
                    let n = socket.recv(&mut buffer).unwrap();
                    assert!(buffer[..n] == sent, "{size} bytes, round {round}");
                }
            }
        }
    }
    let error = ferrule_testnet::new().push(true).mtu(2_033).start().err();
    let text = error.unwrap().to_string();
    assert!(
        text.contains("PUSH mode") && text.contains("2050"),
        "{text}"
    );
}

#[test]
fn a_message_larger_than_udp_is_refused() {
    let net = net(42);
    let (a, _b) = pair(&net);
    assert!(a.send(&vec![0; 65_508]).is_err());
}

#[test]
fn a_short_buffer_cuts_the_message() {
    let net = net(43);
    let (a, b) = pair(&net);
    a.send(b"first message").unwrap();
    a.send(b"second").unwrap();
    let mut buffer = [0; 5];
    assert_eq!(b.recv(&mut buffer).unwrap(), 5);
    assert_eq!(&buffer, b"first");
    assert_eq!(b.recv(&mut buffer).unwrap(), 5);
    assert_eq!(&buffer, b"secon");
}

#[test]
fn senders_are_told_apart() {
    let net = ferrule_testnet::new().hosts(4).seed(44).start().unwrap();
    let server = net.host(0).bind_udp((net.address(0), PORT)).unwrap();
    let to = SocketAddr::from((net.address(0), PORT));
    let senders: Vec<UdpSocket> = (1..4)
        .map(|n| {
            let socket = net.host(n).bind_udp((net.address(n), 0)).unwrap();
            socket.send_to(&[n as u8], to).unwrap();
            socket
        })
        .collect();
    for _ in 1..4 {
        let mut byte = [0];
        let (_, from) = server.recv_from(&mut byte).unwrap();
        assert_eq!(from.ip(), net.address(usize::from(byte[0])));
        server.send_to(&byte, from).unwrap();
    }
    for (n, sender) in (1..4).zip(senders) {
        let mut byte = [0];
        sender.recv(&mut byte).unwrap();
        assert_eq!(byte, [n]);
    }
}

#[test]
fn a_group_is_received_by_those_who_joined_it_and_kept_from_the_others_by_their_nics() {
    for engine in [Kind::Model, Kind::Compiled] {
        let net = ferrule_testnet::new()
            .hosts(3)
            .seed(50)
            .engine(engine)
            .start()
            .unwrap();
        let (group, any) = (Ipv4Addr::new(239, 1, 2, 3), Ipv4Addr::UNSPECIFIED);
        let sockets = [0, 1, 2].map(|n| net.host(n).bind_udp((any, PORT)).unwrap());
        let [sender, member, other] = &sockets;
        member.join_multicast_v4(&group, &net.address(1)).unwrap();
        let wrong = member.join_multicast_v4(&group, &net.address(2));
        let enodev = 19;
        assert_eq!(wrong.unwrap_err().raw_os_error(), Some(enodev));
        let seen = |n: usize| {
            let stats = net.host(n).with_nic(|nic| nic.stats().unwrap()).unwrap();
            let dropped = stats.iter().find(|(c, _)| c.name == "rx_drop_filter");
            let stack = net.host(n).stack_stats().unwrap();
            (dropped.unwrap().1, stack.packets_in)
        };
        // Until the member has reported itself.
        net.sleep(5 * SECOND).unwrap();
        let before = [1, 2].map(seen);
        let mut buffer = [0; 100];
        sender.send_to(b"to all of you", (group, PORT)).unwrap();
        let (n, from) = member.recv_from(&mut buffer).unwrap();
        assert_eq!(
            (&buffer[..n], from.ip()),
            (&b"to all of you"[..], net.address(0).into())
        );
        net.sleep(SECOND).unwrap();
        let after = [1, 2].map(seen);
        assert_eq!(after[0].1, before[0].1 + 1, "the member hears of it");
        assert_eq!(
            after[1],
            (before[1].0 + 1, before[1].1),
            "the other's NIC drops it"
        );
        other.set_read_timeout(Some(SECOND)).unwrap();
        assert_eq!(
            other.recv(&mut buffer).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        // Who has left hears nothing more.
        member.leave_multicast_v4(&group, &any).unwrap();
        net.sleep(SECOND).unwrap();
        let before = seen(1);
        sender.send_to(b"still there?", (group, PORT)).unwrap();
        net.sleep(SECOND).unwrap();
        assert_eq!(seen(1), (before.0 + 1, before.1));
        let again = member.leave_multicast_v4(&group, &any).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AddrNotAvailable);
    }
}

#[test]
fn a_port_that_nobody_has_is_refused() {
    let net = net(45);
    let socket = net.host(0).bind_udp((net.address(0), 0)).unwrap();
    socket.connect((net.address(1), 9)).unwrap();
    socket.send(b"anybody?").unwrap();
    socket.set_read_timeout(Some(SECOND)).unwrap();
    let error = socket.recv(&mut [0; 10]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_receive_ends_with_its_time_out() {
    let net = net(46);
    let (a, _b) = pair(&net);
    a.set_read_timeout(Some(10 * SECOND)).unwrap();
    let start = net.now();
    let error = a.recv(&mut [0; 10]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert!(net.now() - start >= 10 * SECOND);
}

#[test]
fn a_neighbour_answers_pings_of_all_sizes() {
    let net = net(47);
    let ping = net.host(0).ping().unwrap();
    for (sequence, size) in (1..).zip([0, 1, 56, 1_400]) {
        let payload = vec![size as u8; size];
        let reply = ping.echo(net.address(1), sequence, &payload, SECOND);
        let reply = reply.unwrap();
        assert_eq!((reply.payload, reply.ttl), (payload, 64));
    }
}

#[test]
fn a_host_behind_a_router_answers_pings() {
    let net = ferrule_testnet::new()
        .hosts(1)
        .far_hosts(1)
        .start()
        .unwrap();
    let ping = net.host(0).ping().unwrap();
    let reply = ping.echo(net.address(1), 1, b"far", SECOND).unwrap();
    assert_eq!((&reply.payload[..], reply.ttl), (&b"far"[..], 63));
}

#[test]
fn a_host_that_is_not_there_answers_no_pings() {
    let net = net(48);
    let nobody = Ipv4Addr::new(192, 0, 2, 77);
    let ping = net.host(0).ping().unwrap();
    assert!(ping.echo(nobody, 1, b"?", 5 * SECOND).is_err());
}
