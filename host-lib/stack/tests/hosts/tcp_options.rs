//! Options of TCP sockets: what a listener hands down, what makes no sense, and what TCP_INFO says of a connection.

use crate::common::*;
use ferrule_stack::{Algorithm, Bytes, Cidr, Config, Error, Instant, KeepAlive, Stack, TcpState};
use std::time::Duration;

#[test]
fn accepted_connections_begin_with_the_listeners_options_and_buffers() {
    let mut net = Net::new(Wire::default(), 1);
    let listener = net.hosts[1].tcp_listen(at(B, 80), 4).expect("free");
    let mut wanted = net.hosts[1].tcp_options(listener).expect("open");
    wanted.nodelay = true;
    wanted.keep_alive = Some(KeepAlive::default());
    wanted.congestion = Algorithm::NewReno;
    net.hosts[1]
        .tcp_set_options(net.now, listener, wanted)
        .expect("open");
    net.hosts[1]
        .set_recv_buffer(net.now, listener, 5000)
        .expect("open");
    let client = net.hosts[0]
        .tcp_connect(net.now, None, at(B, 80))
        .expect("free");
    net.pump();
    let (server, _) = net.hosts[1].tcp_accept(listener).expect("complete");
    assert_eq!(net.hosts[1].tcp_options(server), Ok(wanted));
    net.hosts[0]
        .tcp_send(net.now, client, &[1; 9000])
        .expect("room");
    net.run_for(Duration::from_secs(2));
    // The window is advertised in steps of 128.
    let unread = net.hosts[1].tcp_unread(server).expect("open");
    assert!((5000 - 128..=5000).contains(&unread), "{unread}");
}

#[test]
fn times_of_zero_are_refused_and_change_nothing() {
    let mut net = Net::new(Wire::default(), 1);
    let (client, _) = net.connect(80);
    let before = net.hosts[0].tcp_options(client).expect("open");
    let zero = KeepAlive {
        idle: Duration::ZERO,
        ..KeepAlive::default()
    };
    let none = KeepAlive {
        probes: 0,
        ..KeepAlive::default()
    };
    for keep_alive in [zero, none] {
        let mut options = before;
        options.keep_alive = Some(keep_alive);
        let result = net.hosts[0].tcp_set_options(net.now, client, options);
        assert_eq!(result, Err(Error::InvalidInput));
    }
    let mut options = before;
    options.user_timeout = Some(Duration::ZERO);
    let result = net.hosts[0].tcp_set_options(net.now, client, options);
    assert_eq!(result, Err(Error::InvalidInput));
    assert_eq!(net.hosts[0].tcp_options(client), Ok(before));
}

#[test]
fn info_says_what_was_agreed_and_what_is_in_flight() {
    let wire = Wire {
        delay_us: 10_000,
        ..Wire::default()
    };
    let mut net = Net::new(wire, 1);
    let (client, _) = net.connect(80);
    net.hosts[0]
        .tcp_send(net.now, client, &[1; 3000])
        .expect("room");
    net.pump();
    let info = net.hosts[0].tcp_info(net.now, client).expect("open");
    assert_eq!(info.state, TcpState::Established);
    assert!(info.timestamps && info.sack && !info.ecn);
    // 1,460 less the timestamps; 3,000 bytes are three segments, of which the last waits for Nagle.
    assert_eq!((info.send_mss, info.advertised_mss), (1448, 1460));
    assert_eq!((info.unacked, info.path_mtu), (2, 1500));
    assert_eq!(info.congestion_window, 14_600 / 1448);
    assert_eq!(info.rtt, Duration::from_millis(20));
    assert_eq!(info.total_retransmits, 0);
    net.run_for(Duration::from_secs(1));
    let info = net.hosts[0].tcp_info(net.now, client).expect("open");
    assert_eq!(info.unacked, 0);
    assert!(info.since_data_sent >= Duration::from_millis(900));
}

/// Who was given the port of his own host's listener would connect to himself.
#[test]
fn a_port_that_is_bound_is_given_to_nobody_who_connects() {
    let mut config = Config::new(Cidr::new(A, 24).expect("a prefix"), [7; 16]);
    config.tcp.ephemeral_ports = (40_000, 40_001);
    let mut host = Stack::<Bytes>::new(config);
    host.tcp_listen(at(A, 40_000), 4).expect("free");
    let client = host.tcp_connect(Instant::ZERO, None, at(A, 40_000));
    let client = client.expect("the other port");
    assert_eq!(host.local_addr(client), Ok(at(A, 40_001)));
    let next = host.tcp_connect(Instant::ZERO, None, at(A, 40_000));
    assert_eq!(next, Err(Error::AddrNotAvailable));
}
