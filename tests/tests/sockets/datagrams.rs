//! UDP: messages keep their borders, errors come with the next call, limits are those of IPv4.
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use ferrule::UdpSocket;

use crate::lan::{assert_same_error, assert_took, world, World, ECHO, NIC, PEER};

/// 65,535 less the headers of IPv4 and UDP (RFC 791, RFC 768).
const LARGEST: usize = 65_507;

/// A socket whose peer is the echo service.
fn echo(world: &World) -> UdpSocket {
    let socket = world.host.bind_udp("0.0.0.0:0").unwrap();
    socket.connect(ECHO).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    socket
}

#[test]
fn a_short_buffer_loses_the_rest_and_the_next_message_is_whole() {
    let world = world();
    let socket = echo(&world);
    let std = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    std.connect(std.local_addr().unwrap()).unwrap();
    for message in [&b"first message"[..], b"second"] {
        socket.send(message).unwrap();
        std.send(message).unwrap();
    }
    let (mut ours, mut theirs) = ([0; 5], [0; 5]);
    assert_eq!(socket.recv(&mut ours).unwrap(), 5);
    assert_eq!(std.recv(&mut theirs).unwrap(), 5);
    assert_eq!(ours, theirs);
    let (mut ours, mut theirs) = ([0; 32], [0; 32]);
    assert_eq!(
        socket.recv(&mut ours).unwrap(),
        std.recv(&mut theirs).unwrap()
    );
    assert_eq!(ours, theirs);
}

#[test]
fn a_message_of_no_bytes_is_a_message() {
    let world = world();
    let socket = echo(&world);
    assert_eq!(socket.send(&[]).unwrap(), 0);
    let (n, from) = socket.recv_from(&mut [0; 8]).unwrap();
    assert_eq!((n, from), (0, SocketAddr::from(ECHO)));
    socket.set_nonblocking(true).unwrap();
    let error = socket.recv(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "there was one only");
}

#[test]
fn a_connected_socket_is_told_of_a_closed_port_by_its_next_call_and_once() {
    let world = world();
    let socket = world.host.bind_udp("0.0.0.0:0").unwrap();
    socket.connect((PEER, 9)).unwrap();
    socket.send(b"anybody?").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    let closed = {
        let gone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        gone.local_addr().unwrap()
    };
    let std = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    std.connect(closed).unwrap();
    std.send(b"anybody?").unwrap();
    std.set_read_timeout(Some(Duration::from_millis(1)))
        .unwrap();
    assert_same_error(
        socket.recv(&mut [0; 8]),
        std.recv(&mut [0; 8]),
        ErrorKind::ConnectionRefused,
    );
    assert_same_error(
        socket.recv(&mut [0; 8]),
        std.recv(&mut [0; 8]),
        ErrorKind::WouldBlock,
    );
}

#[test]
fn a_connected_socket_hears_its_peer_only() {
    let world = world();
    let socket = echo(&world);
    let stranger = world.host.bind_udp((NIC, 0)).unwrap();
    stranger
        .send_to(b"intruder", socket.local_addr().unwrap())
        .unwrap_or_default();
    socket.send(b"friend").unwrap();
    let mut buffer = [0; 16];
    assert_eq!(socket.recv(&mut buffer).unwrap(), 6);
    assert_eq!(&buffer[..6], b"friend");
}

#[test]
fn the_largest_message_passes_and_one_byte_more_is_refused_as_std_does() {
    let world = world();
    let (a, b) = (
        world.host.bind_udp((NIC, 0)).unwrap(),
        world.host.bind_udp((NIC, 0)).unwrap(),
    );
    let to = b.local_addr().unwrap();
    let message: Vec<u8> = (0..=LARGEST as u32).map(|i| (i ^ i >> 8) as u8).collect();
    assert_eq!(a.send_to(&message[..LARGEST], to).unwrap(), LARGEST);
    let mut buffer = vec![0; LARGEST + 1];
    let (n, from) = b.recv_from(&mut buffer).unwrap();
    assert_eq!(from, a.local_addr().unwrap());
    assert_eq!(n, LARGEST);
    assert_eq!(buffer[..n], message[..n]);

    let std = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let std_error = std
        .send_to(&message, std.local_addr().unwrap())
        .unwrap_err();
    let error = a.send_to(&message, to).unwrap_err();
    // std has no stable kind for EMSGSIZE; programs compare the number.
    assert_eq!(error.raw_os_error(), std_error.raw_os_error());
    assert_eq!(error.kind(), std_error.kind());
}

#[test]
fn a_message_needs_a_peer() {
    let world = world();
    let socket = world.host.bind_udp("0.0.0.0:0").unwrap();
    assert_eq!(
        socket.peer_addr().unwrap_err().kind(),
        ErrorKind::NotConnected
    );
    let std = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    assert_eq!(std.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
    // EDESTADDRREQ, for which std has no stable kind.
    assert_eq!(
        socket.send(b"whereto?").unwrap_err().raw_os_error(),
        std.send(b"whereto?").unwrap_err().raw_os_error()
    );
}

#[test]
fn a_read_timeout_ends_a_receive_when_it_said() {
    let world = world();
    let socket = world.host.bind_udp("0.0.0.0:0").unwrap();
    let timeout = Duration::from_millis(30);
    socket.set_read_timeout(Some(timeout)).unwrap();
    let (result, took) = world.timed(|| socket.recv(&mut [0; 8]));
    assert_eq!(result.unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_took(took, timeout);
}

#[test]
fn a_full_transmit_ring_loses_no_message() {
    // More than the ring of 256 entries takes, in the time of fewer.
    const MESSAGES: u16 = 300;
    let world = world();
    let socket = world.host.bind_udp("0.0.0.0:0").unwrap();
    // Resolves the peer's address first: 64 packets at most may wait for it.
    world
        .host
        .ping()
        .unwrap()
        .echo(PEER, 1, b"", Duration::from_secs(1))
        .unwrap();
    for n in 0..MESSAGES {
        socket.send_to(&n.to_be_bytes(), (PEER, 9)).unwrap();
    }
    // Nothing comes back; the time-out is long enough for everything to leave.
    socket
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    let error = socket.recv(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    let record = world.end();
    let sent: Vec<_> = (0..MESSAGES).map(|n| n.to_be_bytes().to_vec()).collect();
    assert_eq!(record.messages(), sent);
}
