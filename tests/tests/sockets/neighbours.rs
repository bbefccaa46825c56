//! Next hops: silent ones, far ones, and that they do not stand in each other's way.
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use crate::lan::{assert_took, world, Record, FAR_HOST, PEER, SILENT, SWALLOWED};

const SECOND_NS: u64 = 1_000_000_000;
/// The hardware's timers count ticks of 2^20 ns.
const TICK_NS: u64 = 1 << 20;

fn assert_three_requests(record: &Record) -> u64 {
    let asked = record.arp_requests(SILENT);
    assert_eq!(asked.len(), 3, "ARP requests at {asked:?}");
    for pair in asked.windows(2) {
        let gap = pair[1] - pair[0];
        assert!(
            gap.abs_diff(SECOND_NS) <= 2 * TICK_NS,
            "{gap} ns between two requests"
        );
    }
    asked[0]
}

#[test]
fn a_silent_neighbour_is_unreachable_after_three_requests_and_counts_no_retransmission() {
    let world = world();
    let start = world.host.now_ns();
    let error = world.host.connect((SILENT, 7)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostUnreachable);
    let first = assert_three_requests(&world.record);
    let took = world.host.now_ns() - start;
    let waited = world.host.now_ns() - first;
    assert!(
        waited.abs_diff(3 * SECOND_NS) <= 4 * TICK_NS,
        "given up {waited} ns after the first request, {took} ns after the call"
    );
    let stats = world.host.stack_stats().unwrap();
    assert_eq!((stats.tcp_retransmits, stats.tcp_timeouts), (0, 0));
}

#[test]
fn a_silent_neighbour_does_not_delay_traffic_to_another() {
    let world = world();
    let socket = world.host.bind_udp("0.0.0.0:0").unwrap();
    socket.send_to(b"to nobody", (SILENT, 9)).unwrap();
    let (reply, took) = world.timed(|| {
        let ping = world.host.ping().unwrap();
        ping.echo(PEER, 1, b"meanwhile", Duration::from_secs(2))
    });
    assert_eq!(reply.unwrap().payload, b"meanwhile");
    assert!(took < Duration::from_millis(100), "{took:?}");
    let asked = world.record.arp_requests(SILENT).len();
    assert!(asked < 3, "still being asked for: {asked} requests");
}

#[test]
fn a_message_to_a_silent_neighbour_leaves_its_socket_unreachable() {
    let world = world();
    let socket = world.host.bind_udp("0.0.0.0:0").unwrap();
    socket.connect((SILENT, 9)).unwrap();
    socket.send(b"to nobody").unwrap();
    let (error, took) = world.timed(|| socket.recv(&mut [0; 16]).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::HostUnreachable);
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert_three_requests(&world.record);
}

#[test]
fn connect_timeout_ends_an_attempt_that_nobody_answers_when_it_said() {
    let world = world();
    let timeout = Duration::from_millis(2_500);
    let to = SocketAddr::from((SWALLOWED, 7));
    let (result, took) = world.timed(|| world.host.connect_timeout(&to, timeout));
    assert_eq!(result.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_took(took, timeout);
    // RFC 6298: the SYN goes again after one second, and then two seconds later.
    assert_eq!(world.host.stack_stats().unwrap().tcp_retransmits, 1);
}

#[test]
fn a_ping_that_is_swallowed_times_out_when_it_said() {
    let world = world();
    let ping = world.host.ping().unwrap();
    let timeout = Duration::from_millis(700);
    let (result, took) = world.timed(|| ping.echo(SWALLOWED, 1, b"lost", timeout));
    assert_eq!(result.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_took(took, timeout);
    let reply = ping.echo(FAR_HOST, 2, b"found", timeout).unwrap();
    assert_eq!((reply.from, reply.payload), (FAR_HOST, b"found".to_vec()));
    // The router took one from the 64 that smoltcp starts with.
    assert_eq!(reply.ttl, 63);
}

#[test]
fn a_ping_to_a_silent_neighbour_says_unreachable_before_its_time_is_over() {
    let world = world();
    let ping = world.host.ping().unwrap();
    let error = ping
        .echo(SILENT, 1, b"?", Duration::from_secs(60))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostUnreachable);
    assert_three_requests(&world.record);
}
