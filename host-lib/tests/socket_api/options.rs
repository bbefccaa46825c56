//! What std leaves out: options, TCP_INFO, and what they do on the wire and to the program.
use std::collections::HashMap;
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use ferrule::{
    Algorithm, Bytes, Chunks, KeepAlive, PathMtuDiscovery, Payload, SendOptions, TcpState,
};
use ferrule_testnet::{Net, Wire};
use nix::errno::Errno;

use crate::ours::Ours;

const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

fn second() -> Duration {
    Duration::from_secs(1)
}

/// A connection from host 0 to host 1.
fn connection(net: &Net) -> (ferrule::TcpStream, ferrule::TcpStream) {
    let listener = net.host(1).listen((net.address(1), 80), 4).unwrap();
    let near = net.host(0).connect((net.address(1), 80)).unwrap();
    (near, listener.accept().unwrap().0)
}

/// A cable that can be cut.
struct Cuttable(Box<dyn Wire>, Arc<AtomicBool>);

impl Wire for Cuttable {
    fn send(&mut self, now_ns: u64, frame: &[u8]) {
        if !self.1.load(Ordering::SeqCst) {
            self.0.send(now_ns, frame);
        }
    }

    fn poll(&mut self, now_ns: u64) -> Option<Vec<u8>> {
        self.0.poll(now_ns)
    }

    fn next_deadline(&mut self, now_ns: u64) -> Option<u64> {
        self.0.next_deadline(now_ns)
    }
}

/// A net, and what cuts its cable.
fn with_shears(seed: u64) -> (Net, Arc<AtomicBool>) {
    let cut = Arc::new(AtomicBool::new(false));
    let shears = Arc::clone(&cut);
    let net = ferrule_testnet::new()
        .seed(seed)
        .wires(move |_, wire| Box::new(Cuttable(wire, Arc::clone(&shears))))
        .start()
        .unwrap();
    (net, cut)
}

/// TCP segments that a host has sent.
fn segments(net: &Net, host: usize) -> u64 {
    net.host(host).stack_stats().unwrap().tcp_segments_out
}

#[test]
fn every_option_that_is_set_is_told_and_an_accepted_connection_has_its_listeners() {
    let net = ferrule_testnet::new().seed(200).start().unwrap();
    let probes = KeepAlive {
        idle: second(),
        interval: second() / 2,
        probes: 3,
    };
    macro_rules! set_and_check {
        ($socket:expr) => {
            let socket = $socket;
            assert!(!socket.nodelay().unwrap() && !socket.cork().unwrap());
            assert_eq!(socket.ttl().unwrap(), 64);
            socket.set_nodelay(true).unwrap();
            socket.set_quick_ack(true).unwrap();
            socket.set_keep_alive(Some(probes)).unwrap();
            socket.set_user_timeout(Some(second() * 5)).unwrap();
            socket.set_syn_retransmits(Some(2)).unwrap();
            socket.set_congestion(Algorithm::NewReno).unwrap();
            socket.set_ttl(9).unwrap();
            socket.set_tos(0xB8).unwrap();
            socket.set_send_buffer_size(30_000).unwrap();
            socket.set_recv_buffer_size(20_000).unwrap();
            check!(socket);
        };
    }
    macro_rules! check {
        ($socket:expr) => {
            let socket = $socket;
            assert!(socket.nodelay().unwrap() && socket.quick_ack().unwrap());
            assert_eq!(socket.keep_alive().unwrap(), Some(probes));
            assert_eq!(socket.user_timeout().unwrap(), Some(second() * 5));
            assert_eq!(socket.syn_retransmits().unwrap(), Some(2));
            assert_eq!(socket.congestion().unwrap(), Algorithm::NewReno);
            assert_eq!(socket.ttl().unwrap(), 9);
            assert_eq!(socket.tos().unwrap(), 0xB8);
            assert_eq!(socket.send_buffer_size().unwrap(), 30_000);
            assert_eq!(socket.recv_buffer_size().unwrap(), 20_000);
        };
    }
    let socket = net.host(1).tcp_socket().unwrap();
    set_and_check!(&socket);
    let at = SocketAddr::from((net.address(1), 80));
    socket.bind(at).unwrap();
    let listener = socket.listen(4).unwrap();
    check!(&listener);
    let socket = net.host(0).tcp_socket().unwrap();
    set_and_check!(&socket);
    let near = socket.connect(at).unwrap();
    check!(&near);
    let (far, _) = listener.accept().unwrap();
    check!(&far);
    // TTL and TOS are on the wire: a datagram's are told to its receiver.
    let [a, b] = [0, 1].map(|n| net.host(n).bind_udp((net.address(n), 53)).unwrap());
    a.set_ttl(33).unwrap();
    a.set_tos(0x28).unwrap();
    a.send_to(b"x", b.local_addr().unwrap()).unwrap();
    let got = b.recv_message(&mut [IoSliceMut::new(&mut [0; 8])]).unwrap();
    assert_eq!((got.ttl, got.tos), (33, 0x28));
    for ttl in [0, 256] {
        assert_eq!(
            near.set_ttl(ttl).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        assert_eq!(a.set_ttl(ttl).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn two_small_sends_are_joined_by_nagle_and_apart_with_nodelay() {
    // The first goes at once, as nothing is in flight; the second waits for its acknowledgment, or does not.
    for (nodelay, third) in [(false, "b, c together"), (true, "b alone")] {
        let net = ferrule_testnet::new().seed(201).start().unwrap();
        let (mut near, mut far) = connection(&net);
        near.set_nodelay(nodelay).unwrap();
        far.set_quick_ack(true).unwrap();
        let before = segments(&net, 0);
        for byte in [b"a", b"b", b"c"] {
            near.write_all(byte).unwrap();
        }
        let mut all = [0; 3];
        far.read_exact(&mut all).unwrap();
        assert_eq!(&all, b"abc");
        let sent = segments(&net, 0) - before;
        assert_eq!(sent, if nodelay { 3 } else { 2 }, "{third}");
    }
}

#[test]
fn a_cork_holds_back_what_is_no_full_segment_until_it_is_drawn() {
    let net = ferrule_testnet::new().seed(202).start().unwrap();
    let (mut near, mut far) = connection(&net);
    near.set_cork(true).unwrap();
    let before = segments(&net, 0);
    near.write_all(b"head").unwrap();
    near.write_all(b"body").unwrap();
    net.sleep(Duration::from_millis(50)).unwrap();
    assert_eq!(segments(&net, 0), before);
    near.set_cork(false).unwrap();
    let mut all = [0; 8];
    far.read_exact(&mut all).unwrap();
    assert_eq!(segments(&net, 0), before + 1);
}

#[test]
fn a_vectored_write_is_one_segment_and_a_vectored_read_fills_part_after_part() {
    let net = ferrule_testnet::new().seed(203).start().unwrap();
    let (mut near, mut far) = connection(&net);
    near.set_nodelay(true).unwrap();
    let before = segments(&net, 0);
    let parts = [b"head".as_slice(), b"", b"body"].map(IoSlice::new);
    assert_eq!(near.write_vectored(&parts).unwrap(), 8);
    net.sleep(Duration::from_millis(10)).unwrap();
    assert_eq!(segments(&net, 0), before + 1);
    let (mut a, mut b, mut c) = ([0; 3], [0; 4], [9; 4]);
    let mut parts = [&mut a[..], &mut b, &mut c].map(IoSliceMut::new);
    assert_eq!(far.read_vectored(&mut parts).unwrap(), 8);
    assert_eq!((&a, &b, &c), (b"hea", b"dbod", &[b'y', 9, 9, 9]));
    assert_eq!(near.write_vectored(&[IoSlice::new(b"")]).unwrap(), 0);
}

#[test]
fn tcp_info_tells_what_the_connection_did() {
    let net = ferrule_testnet::new().seed(204).start().unwrap();
    let (mut near, mut far) = connection(&net);
    near.write_all(&[1; 100_000]).unwrap();
    far.read_exact(&mut [0; 100_000]).unwrap();
    net.sleep(second()).unwrap();
    let info = near.info().unwrap();
    assert_eq!(info.state, TcpState::Established);
    assert!(info.sack && info.timestamps && info.window_scale.is_some());
    assert_eq!((info.unacked, info.lost, info.total_retransmits), (0, 0, 0));
    // 1,500 less IPv4's, TCP's and the timestamps' headers (RFC 6691).
    assert_eq!((info.send_mss, info.path_mtu), (1_448, 1_500));
    assert!(
        info.rtt > Duration::ZERO && info.rtt < second() / 10,
        "{info:?}"
    );
    assert!(info.since_data_sent >= second());
    assert_eq!(near.state().unwrap(), TcpState::Established);
    far.shutdown(Shutdown::Write).unwrap();
    net.sleep(second()).unwrap();
    assert_eq!(near.state().unwrap(), TcpState::CloseWait);
    assert_eq!(far.state().unwrap(), TcpState::FinWait2);
}

#[test]
fn a_silent_peer_is_found_out_by_keep_alive_and_by_the_user_timeout() {
    for keep_alive in [true, false] {
        let (net, cut) = with_shears(205);
        let (mut near, _far) = connection(&net);
        near.set_read_timeout(Some(second() * 1_000)).unwrap();
        let start = net.now();
        if keep_alive {
            let probes = KeepAlive {
                idle: second() * 10,
                interval: second(),
                probes: 5,
            };
            near.set_keep_alive(Some(probes)).unwrap();
        } else {
            near.set_user_timeout(Some(second() * 15)).unwrap();
        }
        cut.store(true, Ordering::SeqCst);
        if !keep_alive {
            // Something must be unacknowledged.
            near.write_all(b"anybody?").unwrap();
        }
        let error = near.read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let took = (net.now() - start).as_secs();
        assert!((14..40).contains(&took), "{took} s");
    }
}

#[test]
fn linger_cuts_off_waits_or_gives_up() {
    let (net, cut) = with_shears(206);
    // Zero: a reset.
    let (near, mut far) = connection(&net);
    assert_eq!(near.linger().unwrap(), None);
    near.set_linger(Some(Duration::ZERO)).unwrap();
    drop(near);
    assert_eq!(
        far.read(&mut [0; 1]).unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    drop(far);
    // A time: all is acknowledged when closing returns.
    let (mut near, far) = connection(&net);
    near.set_linger(Some(second() * 10)).unwrap();
    near.write_all(&[5; 50_000]).unwrap();
    let start = net.now();
    drop(near);
    assert!(net.now() - start < second());
    assert_eq!(far.unread().unwrap(), 50_000);
    drop(far);
    // Or the time is over.
    let (mut near, _far) = connection(&net);
    near.set_linger(Some(second() * 2)).unwrap();
    cut.store(true, Ordering::SeqCst);
    near.write_all(b"lost").unwrap();
    let start = net.now();
    drop(near);
    let took = net.now() - start;
    assert!(took >= second() * 2 && took < second() * 3, "{took:?}");
}

#[test]
fn a_message_tells_its_true_length_where_it_was_sent_and_how() {
    let net = ferrule_testnet::new().seed(207).start().unwrap();
    let a = net.host(0).bind_udp((ANY, 53)).unwrap();
    let b = net.host(1).bind_udp((ANY, 53)).unwrap();
    let to = SocketAddr::from((net.address(1), 53));
    let options = SendOptions {
        source: Some(net.address(0)),
        ttl: Some(7),
        tos: Some(0x20),
    };
    let parts = [&b"0123"[..], b"", b"456789"].map(IoSlice::new);
    assert_eq!(a.send_message(&parts, Some(to), options).unwrap(), 10);
    let (mut one, mut two) = ([0; 3], [0; 4]);
    for peek in [true, false] {
        let mut parts = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
        let got = match peek {
            true => b.peek_message(&mut parts).unwrap(),
            false => b.recv_message(&mut parts).unwrap(),
        };
        assert_eq!((got.len, got.copied, got.is_truncated()), (10, 7, true));
        assert_eq!((got.to, *got.from.ip()), (net.address(1), net.address(0)));
        assert_eq!((got.ttl, got.tos), (7, 0x20));
        assert_eq!((&one, &two), (b"012", b"3456"));
    }
    assert_eq!(b.unread().unwrap(), 0, "the rest is lost");
    // What the socket itself has is as it was.
    a.send_to(b"x", to).unwrap();
    let got = b.recv_message(&mut [IoSliceMut::new(&mut one)]).unwrap();
    assert_eq!((got.ttl, got.tos), (64, 0));
    let wrong = SendOptions {
        source: Some(net.address(1)),
        ..SendOptions::default()
    };
    let error = a.send_message(&parts, Some(to), wrong).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
}

#[test]
fn messages_that_must_not_be_cut_are_refused_when_they_are_too_long() {
    let net = ferrule_testnet::new().seed(208).start().unwrap();
    let a = net.host(0).bind_udp((ANY, 53)).unwrap();
    let to = (net.address(1), 53);
    a.send_to(&[0; 1_473], to).unwrap();
    a.set_mtu_discovery(PathMtuDiscovery::Do).unwrap();
    // 1,500 less IPv4's and UDP's headers.
    a.send_to(&[0; 1_472], to).unwrap();
    let error = a.send_to(&[0; 1_473], to).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::EMSGSIZE as i32));
}

#[test]
fn multicast_is_filtered_by_source_and_goes_as_far_as_its_ttl_says() {
    let net = ferrule_testnet::new().hosts(3).seed(209).start().unwrap();
    let group = Ipv4Addr::new(239, 1, 2, 3);
    let [a, b, c] = [0, 1, 2].map(|n| net.host(n).bind_udp((ANY, 53)).unwrap());
    let wanted = net.address(0);
    b.join_multicast_source_v4(&group, &wanted, &ANY).unwrap();
    let again = b.join_multicast_source_v4(&group, &wanted, &ANY);
    assert_eq!(again.unwrap_err().kind(), ErrorKind::AddrNotAvailable);
    net.sleep(second()).unwrap();
    c.send_to(b"from c", (group, 53)).unwrap();
    a.set_multicast_ttl_v4(5).unwrap();
    a.send_to(b"from a", (group, 53)).unwrap();
    let mut buffer = [0; 16];
    let got = b.recv_message(&mut [IoSliceMut::new(&mut buffer)]).unwrap();
    assert_eq!(&buffer[..got.copied], b"from a");
    assert_eq!((got.to, got.ttl), (group, 5));
    b.leave_multicast_source_v4(&group, &wanted, &ANY).unwrap();
    // Blocked sources of a group that was joined for everyone.
    b.join_multicast_v4(&group, &ANY).unwrap();
    b.block_multicast_source_v4(&group, &wanted, true).unwrap();
    net.sleep(second()).unwrap();
    a.send_to(b"from a", (group, 53)).unwrap();
    c.send_to(b"from c", (group, 53)).unwrap();
    let (n, _) = b.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..n], b"from c");
    b.block_multicast_source_v4(&group, &wanted, false).unwrap();
    // Members on the sending host hear it, or not.
    assert!(b.multicast_loop_v4().unwrap());
    b.set_read_timeout(Some(second())).unwrap();
    b.send_to(b"to us", (group, 53)).unwrap();
    assert_eq!(b.recv(&mut buffer).unwrap(), 5);
    b.set_multicast_loop_v4(false).unwrap();
    b.send_to(b"to them", (group, 53)).unwrap();
    assert_eq!(
        b.recv(&mut buffer).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    // A TTL of 0 keeps it on the host.
    let before = net.host(1).stack_stats().unwrap().packets_out;
    b.set_multicast_ttl_v4(0).unwrap();
    b.send_to(b"to nobody", (group, 53)).unwrap();
    net.sleep(second()).unwrap();
    assert_eq!(net.host(1).stack_stats().unwrap().packets_out, before);
}

#[test]
fn broadcasts_reach_every_host_and_need_to_be_allowed() {
    let net = ferrule_testnet::new().hosts(3).seed(210).start().unwrap();
    let [a, b, c] = [0, 1, 2].map(|n| net.host(n).bind_udp((ANY, 53)).unwrap());
    let all = Ipv4Addr::new(192, 0, 2, 255);
    let error = a.send_to(b"x", (all, 53)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    a.set_broadcast(true).unwrap();
    for (n, to) in [all, Ipv4Addr::BROADCAST].into_iter().enumerate() {
        a.send_to(&[n as u8], (to, 53)).unwrap();
        for socket in [&b, &c] {
            let mut byte = [9];
            let got = socket
                .recv_message(&mut [IoSliceMut::new(&mut byte)])
                .unwrap();
            assert_eq!((byte[0], got.to), (n as u8, to));
        }
    }
}

#[test]
fn listeners_that_share_a_port_share_its_connections() {
    let net = ferrule_testnet::new().seed(211).start().unwrap();
    let at = SocketAddr::from((net.address(1), 80));
    let listen = || {
        let socket = net.host(1).tcp_socket()?;
        socket.set_reuse_port(true)?;
        socket.bind(at)?;
        socket.listen(64)
    };
    let [one, two] = [listen().unwrap(), listen().unwrap()];
    let other = net.host(1).tcp_socket().unwrap();
    other.set_reuse_address(true).unwrap();
    assert_eq!(other.bind(at).unwrap_err().kind(), ErrorKind::AddrInUse);
    let clients: Vec<_> = (0..40).map(|_| net.host(0).connect(at).unwrap()).collect();
    // The last acknowledgment of a handshake is under way when connect returns.
    net.sleep(second()).unwrap();
    for listener in [&one, &two] {
        let waiting = listener.queue().unwrap().waiting;
        // By a hash: neither is left out.
        assert!((5..=35).contains(&waiting), "{waiting}");
    }
    let sum = one.queue().unwrap().waiting + two.queue().unwrap().waiting;
    assert_eq!(sum, clients.len());
    drop(one);
    // The other has the port to itself, then nobody.
    net.host(0).connect(at).unwrap();
    drop(two);
    let refused = net.host(0).connect(at).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    net.host(1).listen(at, 1).unwrap();
}

#[test]
fn udp_sockets_that_share_a_port_are_given_each_peer_whole() {
    let net = ferrule_testnet::new().seed(212).start().unwrap();
    let at = SocketAddr::from((net.address(1), 53));
    let sharers: Vec<_> = (0..2)
        .map(|_| {
            let socket = net.host(1).udp_socket().unwrap();
            socket.set_reuse_port(true).unwrap();
            socket.bind_to(at).unwrap();
            socket
        })
        .collect();
    assert_eq!(
        net.host(1).bind_udp(at).unwrap_err().kind(),
        ErrorKind::AddrInUse
    );
    // Who waits for ARP may wait in vain, if many do.
    let ping = net.host(0).ping().unwrap();
    ping.echo(net.address(1), 1, b"", second()).unwrap();
    for _ in 0..30 {
        let peer = net.host(0).bind_udp((net.address(0), 0)).unwrap();
        for n in 0..3 {
            peer.send_to(&[n], at).unwrap();
        }
    }
    net.sleep(second()).unwrap();
    let mut peers = HashMap::new();
    for (n, socket) in sharers.iter().enumerate() {
        socket.set_nonblocking(true).unwrap();
        while let Ok((_, from)) = socket.recv_from(&mut [0; 1]) {
            let (owner, count) = peers.entry(from).or_insert((n, 0));
            assert_eq!(*owner, n);
            *count += 1;
        }
    }
    assert_eq!(peers.len(), 30);
    assert!(peers.values().all(|(_, count)| *count == 3), "{peers:?}");
    let first = peers.values().filter(|(owner, _)| *owner == 0).count();
    assert!((3..=27).contains(&first), "{first}");
}

#[test]
fn a_connection_may_begin_at_an_address_and_port_of_ones_choice() {
    let Ours(net) = Ours::new(213);
    let at = SocketAddr::from((net.address(1), 80));
    let listener = net.host(1).listen(at, 4).unwrap();
    let from = SocketAddr::from((net.address(0), 1_000));
    let socket = net.host(0).tcp_socket().unwrap();
    assert_eq!(socket.local_addr().unwrap(), (ANY, 0).into());
    socket.bind(from).unwrap();
    assert_eq!(
        socket.bind(from).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(socket.local_addr().unwrap(), from);
    let taken = net.host(0).tcp_socket().unwrap();
    assert_eq!(taken.bind(from).unwrap_err().kind(), ErrorKind::AddrInUse);
    taken.bind((net.address(0), 0)).unwrap();
    assert_ne!(taken.local_addr().unwrap().port(), 0);
    let near = socket.connect(at).unwrap();
    assert_eq!(near.local_addr().unwrap(), from);
    assert_eq!(listener.accept().unwrap().1, from);
    let foreign = net.host(0).tcp_socket().unwrap();
    let error = foreign.bind((net.address(1), 0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    // It listens as well, where it is bound or wherever there is room.
    let listener = foreign.listen(1).unwrap();
    let port = listener.local_addr().unwrap().port();
    net.host(1).connect((net.address(0), port)).unwrap();
}

#[test]
fn what_is_set_before_connecting_counts_from_the_first_packet() {
    let (net, cut) = with_shears(214);
    let socket = net.host(0).tcp_socket().unwrap();
    socket.set_syn_retransmits(Some(1)).unwrap();
    let start = net.now();
    cut.store(true, Ordering::SeqCst);
    let to = SocketAddr::from((net.address(1), 80));
    let error = socket.connect(to).unwrap_err();
    // The first SYN waits for ARP, which gives up after three requests, a second apart.
    assert_eq!(error.kind(), ErrorKind::HostUnreachable);
    assert!(net.now() - start < second() * 10);
}

#[test]
fn bytes_go_and_come_by_handle() {
    let net = ferrule_testnet::new().seed(216).start().unwrap();
    let (near, far) = connection(&net);
    let sent: Vec<u8> = (0..300_000).map(|i| (i % 249) as u8).collect();
    let bytes = Bytes::from(sent.clone());
    let receiver = net.spawn(move || {
        let mut all = Chunks::default();
        loop {
            let chunks = far.read_chunks().unwrap();
            if chunks.is_empty() {
                return all;
            }
            all.append(chunks);
        }
    });
    let mut done = 0;
    while done < bytes.len() {
        done += near.write_bytes(&bytes.slice(done..bytes.len())).unwrap();
    }
    drop(near);
    let all = receiver.join().unwrap();
    assert_eq!(all.len(), sent.len());
    assert!(all.to_vec() == sent);
    let mut some = [0; 10];
    assert_eq!(all.copy_at(299_995, &mut some), 5);
    assert_eq!(some[..5], sent[299_995..]);
}
