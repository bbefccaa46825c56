//! Many short connections between two addresses: ports come round long before TIME-WAIT is over (RFC 6191).

use crate::common::*;
use ferrule_stack::{Config, Error, SocketId, Stack};
use std::time::Duration;

fn net(edit: impl Fn(&mut Config)) -> (Net, SocketId) {
    let host = |ip| {
        let mut config = config(ip);
        edit(&mut config);
        Stack::new(config)
    };
    let mut net = Net::with(host(A), host(B), Wire::default(), 1);
    let listener = net.hosts[1].tcp_listen(at(B, 80), 16).expect("free");
    (net, listener)
}

/// Opens, sends a word each way, and closes; host `first` closes first.
fn short_connection(net: &mut Net, listener: SocketId, first: usize) -> Result<(), Error> {
    let client = net.hosts[0].tcp_connect(net.now, None, at(B, 80))?;
    net.pump();
    let (server, _) = net.hosts[1].tcp_accept(listener)?;
    let ends = [client, server];
    for from in 0..2 {
        net.hosts[from].tcp_send(net.now, ends[from], b"word")?;
        net.pump();
        let mut word = [0; 8];
        let n = net.hosts[1 - from].tcp_recv(net.now, ends[1 - from], &mut word)?;
        assert_eq!(&word[..n], b"word");
    }
    net.hosts[first].close(net.now, ends[first])?;
    net.pump();
    let other = 1 - first;
    assert_eq!(
        read_all(&mut net.hosts[other], net.now, ends[other]),
        (vec![], true)
    );
    net.hosts[other].close(net.now, ends[other])?;
    net.pump();
    Ok(())
}

fn storm(net: &mut Net, listener: SocketId, first: usize, n: u32, every: Duration) {
    for i in 0..n {
        if let Err(error) = short_connection(net, listener, first) {
            panic!("connection {i} at {:?}: {error}", net.now);
        }
        // A clean wire: nothing is refused, nothing sent again.
        net.now += every;
    }
    for host in &net.hosts {
        let stats = host.stats();
        assert_eq!((stats.tcp_resets_out, stats.tcp_retransmits), (0, 0));
    }
}

#[test]
fn the_server_closes_first_200_000_times_in_four_seconds() {
    let (mut net, listener) = net(|_| {});
    storm(&mut net, listener, 1, 200_000, Duration::from_micros(20));
    assert_eq!(net.hosts[1].stats().tcp_passive_opens, 200_000);
    assert!(net.hosts.iter().all(|host| {
        let left = host.stats();
        left.dropped_transmit_full == 0 && left.rate_limited == 0
    }));
}

#[test]
fn beyond_the_most_records_connections_end_without_one() {
    let (mut net, listener) = net(|config| config.tcp.max_time_wait = 1_000);
    storm(&mut net, listener, 1, 50_000, Duration::from_micros(20));
}

#[test]
fn a_client_that_closes_first_takes_its_own_ports_again_after_a_second() {
    let (mut net, listener) = net(|config| config.tcp.ephemeral_ports = (40_000, 41_999));
    storm(&mut net, listener, 0, 20_000, Duration::from_millis(1));
}

#[test]
fn not_before_a_second_and_not_without_timestamps() {
    let ports = |config: &mut Config| config.tcp.ephemeral_ports = (40_000, 40_099);
    let (mut net1, listener) = net(ports);
    storm(&mut net1, listener, 0, 100, Duration::from_micros(10));
    net1.now += Duration::from_millis(990);
    let refused = short_connection(&mut net1, listener, 0);
    assert_eq!(refused, Err(Error::AddrNotAvailable));
    net1.now += Duration::from_millis(10);
    assert_eq!(short_connection(&mut net1, listener, 0), Ok(()));

    let (mut net, listener) = net(|config| {
        ports(config);
        config.tcp.timestamps = false;
    });
    storm(&mut net, listener, 0, 100, Duration::from_micros(10));
    net.run_for(Duration::from_secs(50));
    let refused = short_connection(&mut net, listener, 0);
    assert_eq!(refused, Err(Error::AddrNotAvailable));
    net.run_for(Duration::from_secs(11));
    assert_eq!(short_connection(&mut net, listener, 0), Ok(()));
}

#[test]
fn a_port_not_in_time_wait_is_preferred() {
    let (mut net, listener) = net(|config| config.tcp.ephemeral_ports = (40_000, 40_009));
    storm(&mut net, listener, 0, 8, Duration::from_millis(1));
    net.run_for(Duration::from_secs(2));
    let mut open = Vec::new();
    for _ in 0..10 {
        let client = net.hosts[0].tcp_connect(net.now, None, at(B, 80));
        let client = client.expect("a port");
        open.push(net.hosts[0].local_addr(client).expect("open").port());
        net.pump();
    }
    // The ninth and tenth of the round come before any of the first eight.
    let mut again = open[2..].to_vec();
    again.sort_unstable();
    let mut all: Vec<u16> = (40_000..40_010).collect();
    all.retain(|port| !open[..2].contains(port));
    assert_eq!(again, all);
    let refused = net.hosts[0].tcp_connect(net.now, None, at(B, 80));
    assert_eq!(refused, Err(Error::AddrNotAvailable));
}

#[test]
fn a_free_port_anywhere_near_comes_before_one_in_time_wait() {
    let (mut net, listener) = net(|config| config.tcp.ephemeral_ports = (40_000, 40_009));
    storm(&mut net, listener, 0, 10, Duration::from_millis(1));
    net.run_for(Duration::from_secs(2));
    let client = net.hosts[0]
        .tcp_connect(net.now, None, at(B, 80))
        .expect("a port");
    let port = net.hosts[0].local_addr(client).expect("open").port();
    net.pump();
    net.hosts[0].tcp_abort(net.now, client).expect("open");
    net.pump();
    // It was reset, so it is the only one that is not in TIME-WAIT.
    let next = net.hosts[0]
        .tcp_connect(net.now, None, at(B, 80))
        .expect("a port");
    assert_eq!(net.hosts[0].local_addr(next).expect("open").port(), port);
}
