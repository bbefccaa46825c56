//! Listeners: what may be bound, who waits to be accepted and in which order. Connections from the same host loop inside the stack.
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::socket::{
    bind, listen, socket, AddressFamily, Backlog, SockFlag, SockType, SockaddrIn,
};

use crate::lan::{assert_same_error, assert_took, world, NIC};

/// Of nobody (RFC 5737), neither here nor on the machine that runs the test.
const FOREIGN: (Ipv4Addr, u16) = (Ipv4Addr::new(203, 0, 113, 7), 0);

#[test]
fn accept_gives_the_peer_and_its_address() {
    let world = world();
    let listener = world.host.listen((NIC, 4_000), 4).unwrap();
    assert_eq!(
        listener.local_addr().unwrap(),
        SocketAddr::from((NIC, 4_000))
    );
    let mut client = world.host.connect((NIC, 4_000)).unwrap();
    let (mut server, from) = listener.accept().unwrap();
    assert_eq!(from, client.local_addr().unwrap());
    assert_eq!(server.peer_addr().unwrap(), from);
    assert_eq!(server.local_addr().unwrap(), client.peer_addr().unwrap());
    server.write_all(b"welcome").unwrap();
    let mut buffer = [0; 7];
    client.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"welcome");
}

#[test]
fn connections_are_accepted_in_the_order_in_which_they_were_opened() {
    let world = world();
    let listener = world.host.listen((NIC, 0), 8).unwrap();
    let to = listener.local_addr().unwrap();
    let clients: Vec<_> = (0..5).map(|_| world.host.connect(to).unwrap()).collect();
    let opened: Vec<_> = clients.iter().map(|c| c.local_addr().unwrap()).collect();
    let accepted: Vec<_> = (0..5).map(|_| listener.accept().unwrap().1).collect();
    assert_eq!(accepted, opened);
}

#[test]
fn port_zero_takes_a_free_port_and_tells_it() {
    let world = world();
    let listener = world.host.listen("0.0.0.0:0", 1).unwrap();
    let port = listener.local_addr().unwrap().port();
    assert_ne!(port, 0);
    world.host.connect((NIC, port)).unwrap();
    let socket = world.host.bind_udp("0.0.0.0:0").unwrap();
    assert_ne!(socket.local_addr().unwrap().port(), 0);
}

#[test]
fn a_port_has_one_listener() {
    let world = world();
    let first = world.host.listen("0.0.0.0:0", 1).unwrap();
    let taken = first.local_addr().unwrap().port();
    let std_first = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let std_taken = std_first.local_addr().unwrap().port();
    for (ours, std) in [
        (Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED),
        (NIC, Ipv4Addr::LOCALHOST),
    ] {
        assert_same_error(
            world.host.listen((ours, taken), 1),
            std::net::TcpListener::bind((std, std_taken)),
            ErrorKind::AddrInUse,
        );
    }
    drop(first);
    world.host.listen((NIC, taken), 1).unwrap();
}

#[test]
fn a_port_has_one_udp_socket() {
    let world = world();
    let first = world.host.bind_udp("0.0.0.0:0").unwrap();
    let std_first = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    assert_same_error(
        world.host.bind_udp(first.local_addr().unwrap()),
        std::net::UdpSocket::bind(std_first.local_addr().unwrap()),
        ErrorKind::AddrInUse,
    );
}

#[test]
fn a_foreign_address_cannot_be_bound() {
    let world = world();
    assert_same_error(
        world.host.listen(FOREIGN, 1),
        std::net::TcpListener::bind(FOREIGN),
        ErrorKind::AddrNotAvailable,
    );
    assert_same_error(
        world.host.bind_udp(FOREIGN),
        std::net::UdpSocket::bind(FOREIGN),
        ErrorKind::AddrNotAvailable,
    );
    let error = world.host.listen("[::1]:0", 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable, "no IPv6");
}

#[test]
fn a_nonblocking_accept_never_waits_and_its_connections_do() {
    let world = world();
    let listener = world.host.listen((NIC, 0), 1).unwrap();
    listener.set_nonblocking(true).unwrap();
    let std = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    std.set_nonblocking(true).unwrap();
    assert_same_error(listener.accept(), std.accept(), ErrorKind::WouldBlock);
    let _client = world.host.connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    // As on Linux, the mode is not handed down: this read waits for its time-out.
    let timeout = Duration::from_millis(20);
    server.set_read_timeout(Some(timeout)).unwrap();
    let (result, took) = world.timed(|| server.read(&mut [0; 1]));
    assert_eq!(result.unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_took(took, timeout);
}

/// How many connections Linux completes to a listener that accepts none.
fn linux_queue(backlog: usize, attempts: usize) -> usize {
    let fd = socket(
        AddressFamily::Inet,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .unwrap();
    bind(fd.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    listen(&fd, Backlog::new(backlog as i32).unwrap()).unwrap();
    let listener = std::net::TcpListener::from(fd);
    let to = listener.local_addr().unwrap();
    let patience = Duration::from_millis(300);
    let connections: Vec<_> = (0..attempts)
        .map_while(|_| std::net::TcpStream::connect_timeout(&to, patience).ok())
        .collect();
    connections.len()
}

#[test]
fn a_full_accept_queue_lets_nobody_in_until_one_is_accepted() {
    let world = world();
    for backlog in [0, 1, 3] {
        let listener = world.host.listen((NIC, 0), backlog).unwrap();
        let to = listener.local_addr().unwrap();
        let patience = Duration::from_millis(300);
        let fits = linux_queue(backlog, backlog + 4);
        let clients: Vec<_> = (0..fits)
            .map(|_| world.host.connect_timeout(&to, patience).unwrap())
            .collect();
        let error = world.host.connect_timeout(&to, patience).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "backlog {backlog}");
        let (_, from) = listener.accept().unwrap();
        assert_eq!(from, clients[0].local_addr().unwrap());
        let late = world
            .host
            .connect_timeout(&to, Duration::from_secs(5))
            .unwrap();
        let rest: Vec<_> = (0..fits).map(|_| listener.accept().unwrap().1).collect();
        assert_eq!(rest.last(), Some(&late.local_addr().unwrap()));
    }
}

#[test]
fn two_hundred_connections_live_side_by_side() {
    const CONNECTIONS: usize = 200;
    let world = world();
    let listener = world.host.listen((NIC, 0), CONNECTIONS).unwrap();
    let to = listener.local_addr().unwrap();
    let mut pairs: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let client = world.host.connect(to).unwrap();
            (client, listener.accept().unwrap().0)
        })
        .collect();
    for (i, (client, _)) in pairs.iter_mut().enumerate() {
        client.write_all(&(i as u32).to_be_bytes()).unwrap();
    }
    for (i, (_, server)) in pairs.iter_mut().enumerate().rev() {
        let mut buffer = [0; 4];
        server.read_exact(&mut buffer).unwrap();
        assert_eq!(u32::from_be_bytes(buffer), i as u32);
    }
    drop(pairs);
    let error = world.host.connect((NIC, 9)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "still well");
}
