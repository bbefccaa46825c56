//! TCP.
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::time::Duration;

use ferrule::TcpStream;
use ferrule_testnet::{JoinHandle, Net};

const PORT: u16 = 80;
/// Nobody has this address.
const NOBODY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 99);

fn net(seed: u64) -> Net {
    ferrule_testnet::new().seed(seed).start().unwrap()
}

fn address(net: &Net) -> SocketAddr {
    (net.address(1), PORT).into()
}

/// A connection from host 0 to host 1, both ends.
fn connection(net: &Net) -> (TcpStream, TcpStream) {
    let listener = net.host(1).listen(address(net), 1).unwrap();
    let near = net.host(0).connect(address(net)).unwrap();
    let (far, _) = listener.accept().unwrap();
    (near, far)
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
}

fn reader(net: &Net, mut stream: TcpStream) -> JoinHandle<Vec<u8>> {
    net.spawn(move || {
        let mut all = vec![];
        stream.read_to_end(&mut all).unwrap();
        all
    })
}

#[test]
fn a_mebibyte_arrives_as_it_was_sent() {
    let net = net(20);
    let (mut near, far) = connection(&net);
    let received = reader(&net, far);
    let sent = pattern(1 << 20);
    near.write_all(&sent).unwrap();
    near.shutdown(Shutdown::Write).unwrap();
    assert!(received.join().unwrap() == sent);
}

#[test]
fn jumbo_frames_carry_a_stream_in_a_sixth_of_the_segments() {
    let frames = |mtu| {
        let net = ferrule_testnet::new().seed(25).mtu(mtu).start().unwrap();
        let (mut near, far) = connection(&net);
        let received = reader(&net, far);
        let sent = pattern(1 << 20);
        near.write_all(&sent).unwrap();
        near.shutdown(Shutdown::Write).unwrap();
        assert!(received.join().unwrap() == sent);
        net.host(0).stack_stats().unwrap().tcp_segments_out
    };
    let (jumbo, usual) = (frames(9_000), frames(1_500));
    // 1 MiB in segments of 8,948 and of 1,448 bytes at most, with some for the ends and for probes.
    assert!((118..150).contains(&jumbo), "{jumbo}");
    assert!((725..800).contains(&usual), "{usual}");
}

#[test]
fn both_ends_may_send_at_once() {
    let net = net(21);
    let (near, far) = connection(&net);
    let (a, b) = (pattern(300_000), pattern(200_001));
    let writer = |mut stream: TcpStream, bytes: Vec<u8>| {
        net.spawn(move || {
            stream.write_all(&bytes).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        })
    };
    let writers = [
        writer(near.try_clone().unwrap(), a.clone()),
        writer(far.try_clone().unwrap(), b.clone()),
    ];
    let readers = [reader(&net, far), reader(&net, near)];
    let [at_far, at_near] = readers.map(|r| r.join().unwrap());
    assert!(at_far == a && at_near == b);
    for writer in writers {
        writer.join().unwrap();
    }
}

#[test]
fn after_the_end_of_one_direction_the_other_goes_on() {
    let net = net(22);
    let (mut near, mut far) = connection(&net);
    near.write_all(b"question").unwrap();
    near.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    far.read_to_string(&mut text).unwrap();
    far.write_all(format!("{text}? answer!").as_bytes())
        .unwrap();
    drop(far);
    text.clear();
    near.read_to_string(&mut text).unwrap();
    assert_eq!(text, "question? answer!");
}

#[test]
fn each_end_knows_the_other() {
    let net = net(23);
    let (near, far) = connection(&net);
    assert_eq!(near.peer_addr().unwrap(), address(&net));
    assert_eq!(far.peer_addr().unwrap(), near.local_addr().unwrap());
    assert_eq!(near.local_addr().unwrap().ip(), net.address(0));
}

#[test]
fn nobody_listening_is_refused() {
    let net = net(24);
    let error = net.host(0).connect(address(&net)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_host_that_is_not_there_is_unreachable() {
    let net = net(25);
    let error = net.host(0).connect((NOBODY, PORT)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostUnreachable);
}

#[test]
fn a_connect_ends_with_its_time_out() {
    let net = net(26);
    let start = net.now();
    let time = Duration::from_millis(150);
    let to = (NOBODY, PORT).into();
    let error = net.host(0).connect_timeout(&to, time).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(net.now() - start >= time && net.now() - start < 2 * time);
}

#[test]
fn a_read_ends_with_its_time_out() {
    let net = net(27);
    let (mut near, _far) = connection(&net);
    near.set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let start = net.now();
    let error = near.read(&mut [0; 10]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert!(net.now() - start >= Duration::from_secs(30));
}

#[test]
fn connections_wait_to_be_accepted() {
    let net = net(28);
    let listener = net.host(1).listen(address(&net), 3).unwrap();
    let near: Vec<TcpStream> = (0..3)
        .map(|n| {
            let mut stream = net.host(0).connect(address(&net)).unwrap();
            stream.write_all(&[n]).unwrap();
            stream
        })
        .collect();
    for (n, near) in (0..3).zip(near) {
        let (mut far, from) = listener.accept().unwrap();
        assert_eq!(from, near.local_addr().unwrap());
        let mut byte = [0xFF];
        far.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [n]);
    }
}

#[test]
fn an_accept_that_may_not_wait_does_not() {
    let net = net(29);
    let listener = net.host(1).listen(address(&net), 1).unwrap();
    listener.set_nonblocking(true).unwrap();
    let kind = listener.accept().unwrap_err().kind();
    assert_eq!(kind, ErrorKind::WouldBlock);
}

#[test]
fn a_port_belongs_to_one_listener() {
    let net = net(30);
    let _listener = net.host(1).listen(address(&net), 1).unwrap();
    let error = net.host(1).listen(address(&net), 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}

#[test]
fn an_end_dropped_with_unread_bytes_resets_the_connection() {
    let net = net(31);
    let (mut near, far) = connection(&net);
    near.write_all(b"never read").unwrap();
    net.sleep(Duration::from_millis(10)).unwrap();
    drop(far);
    let error = near.read(&mut [0; 10]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn what_was_peeked_at_is_still_there() {
    let net = net(32);
    let (near, mut far) = connection(&net);
    far.write_all(b"twice").unwrap();
    let mut buffer = [0; 10];
    for _ in 0..2 {
        let n = near.peek(&mut buffer).unwrap();
        assert_eq!(&buffer[..n], b"twice");
    }
}

#[test]
fn a_host_may_talk_to_itself() {
    let net = net(33);
    let own = SocketAddr::from((net.address(0), PORT));
    let listener = net.host(0).listen(own, 1).unwrap();
    let mut near = net.host(0).connect(own).unwrap();
    let (mut far, _) = listener.accept().unwrap();
    near.write_all(b"to myself").unwrap();
    drop(near);
    let mut text = String::new();
    far.read_to_string(&mut text).unwrap();
    assert_eq!(text, "to myself");
}
