//! TCP connections: opening, reading, writing, closing halves.
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use crate::lan::{assert_same_error, assert_took, world, ECHO, NIC, PEER};

/// A connected pair of std's, as the oracle.
fn std_pair() -> (std::net::TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// An address of std's where nobody listens.
fn std_closed() -> SocketAddr {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    gone.local_addr().unwrap()
}

#[test]
fn connecting_to_a_closed_port_is_refused() {
    let world = world();
    assert_same_error(
        world.host.connect((PEER, 9)),
        std::net::TcpStream::connect(std_closed()),
        ErrorKind::ConnectionRefused,
    );
    // On our own address the stack itself answers.
    assert_same_error(
        world.host.connect((NIC, 9)),
        std::net::TcpStream::connect(std_closed()),
        ErrorKind::ConnectionRefused,
    );
}

#[test]
fn a_connect_timeout_of_zero_is_invalid() {
    let world = world();
    assert_same_error(
        world
            .host
            .connect_timeout(&SocketAddr::from(ECHO), Duration::ZERO),
        std::net::TcpStream::connect_timeout(&std_closed(), Duration::ZERO),
        ErrorKind::InvalidInput,
    );
}

#[test]
fn a_read_timeout_ends_a_read_with_would_block_when_it_said() {
    let world = world();
    let mut stream = world.host.connect(ECHO).unwrap();
    let timeout = Duration::from_millis(250);
    stream.set_read_timeout(Some(timeout)).unwrap();
    let (ours, took) = world.timed(|| stream.read(&mut [0; 8]));
    assert_took(took, timeout);
    let (mut std, _peer) = std_pair();
    std.set_read_timeout(Some(Duration::from_millis(1)))
        .unwrap();
    assert_same_error(ours, std.read(&mut [0; 8]), ErrorKind::WouldBlock);
    assert_same_error(
        stream.set_read_timeout(Some(Duration::ZERO)),
        std.set_read_timeout(Some(Duration::ZERO)),
        ErrorKind::InvalidInput,
    );
    assert_eq!(stream.read_timeout().unwrap(), Some(timeout));
}

#[test]
fn a_nonblocking_read_never_waits() {
    let world = world();
    let mut stream = world.host.connect(ECHO).unwrap();
    stream.set_nonblocking(true).unwrap();
    let (mut std, _peer) = std_pair();
    std.set_nonblocking(true).unwrap();
    let (ours, took) = world.timed(|| stream.read(&mut [0; 8]));
    assert_same_error(ours, std.read(&mut [0; 8]), ErrorKind::WouldBlock);
    assert!(took < Duration::from_millis(1), "{took:?}");
    stream.set_nonblocking(false).unwrap();
    stream.write_all(b"back").unwrap();
    let mut buffer = [0; 4];
    stream.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"back");
}

#[test]
fn after_shutdown_of_writing_the_rest_can_be_read_to_its_end() {
    let world = world();
    let mut stream = world.host.connect(ECHO).unwrap();
    let sent: Vec<u8> = (0..5_000u32).map(|i| (i * 7) as u8).collect();
    stream.write_all(&sent).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let (mut std, _peer) = std_pair();
    std.shutdown(Shutdown::Write).unwrap();
    assert_same_error(
        stream.write(b"too late"),
        std.write(b"too late"),
        ErrorKind::BrokenPipe,
    );
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    assert_eq!(back, sent);
    assert_eq!(
        stream.read(&mut [0; 8]).unwrap(),
        0,
        "the end stays the end"
    );
}

#[test]
fn after_shutdown_of_reading_the_stream_is_at_its_end_and_still_writes() {
    let world = world();
    let listener = world.host.listen((NIC, 0), 1).unwrap();
    let mut stream = world.host.connect(listener.local_addr().unwrap()).unwrap();
    let (mut other, _) = listener.accept().unwrap();
    stream.shutdown(Shutdown::Read).unwrap();
    assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0);
    stream.write_all(b"still").unwrap();
    let mut buffer = [0; 5];
    other.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"still");
}

#[test]
fn peek_leaves_what_it_shows() {
    let world = world();
    let mut stream = world.host.connect(ECHO).unwrap();
    stream.write_all(b"peekaboo").unwrap();
    let mut seen = [0; 4];
    assert_eq!(stream.peek(&mut seen).unwrap(), 4);
    assert_eq!(&seen, b"peek");
    let mut all = [0; 8];
    stream.read_exact(&mut all).unwrap();
    assert_eq!(&all, b"peekaboo");
}

#[test]
fn both_ends_know_their_addresses_and_options() {
    let world = world();
    let stream = world.host.connect(ECHO).unwrap();
    assert_eq!(stream.peer_addr().unwrap(), SocketAddr::from(ECHO));
    assert_eq!(stream.local_addr().unwrap().ip(), NIC);
    assert_ne!(stream.local_addr().unwrap().port(), 0);
    assert!(!stream.nodelay().unwrap());
    stream.set_nodelay(true).unwrap();
    assert!(stream.nodelay().unwrap());
    assert!(stream.take_error().unwrap().is_none());
}

#[test]
fn reading_and_writing_nothing_gives_nothing() {
    let world = world();
    let mut stream = world.host.connect(ECHO).unwrap();
    let (mut std, _peer) = std_pair();
    assert_eq!(stream.write(&[]).unwrap(), std.write(&[]).unwrap());
    stream.set_nonblocking(true).unwrap();
    std.set_nonblocking(true).unwrap();
    assert_eq!(
        stream.read(&mut []).map_err(|e| e.kind()),
        std.read(&mut []).map_err(|e| e.kind())
    );
}
