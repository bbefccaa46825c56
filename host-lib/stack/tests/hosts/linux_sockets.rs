//! UDP calls on sockets of ours beside the same calls on sockets of this machine's kernel, over its loopback network.

use crate::common::*;
use ferrule_stack::{Bytes, Error, Instant, Shutdown, SocketId, Stack};
use rustix::io::Errno;
use rustix::net::{bind, shutdown, socket, sockopt, AddressFamily, SocketType};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

const NOW: Instant = Instant::ZERO;
const LO: Ipv4Addr = Ipv4Addr::LOCALHOST;
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
/// The loopback network's broadcast address, and our network's.
const BROADCASTS: (Ipv4Addr, Ipv4Addr) = (
    Ipv4Addr::new(127, 255, 255, 255),
    Ipv4Addr::new(10, 0, 0, 255),
);

/// The errno of an error, by its documentation.
fn errno(error: Error) -> Errno {
    match error {
        Error::WouldBlock => Errno::AGAIN,
        Error::PermissionDenied => Errno::ACCESS,
        Error::InvalidInput => Errno::INVAL,
        Error::BrokenPipe => Errno::PIPE,
        Error::DestinationRequired => Errno::DESTADDRREQ,
        Error::MessageTooLong => Errno::MSGSIZE,
        Error::AddrInUse => Errno::ADDRINUSE,
        Error::AddrNotAvailable => Errno::ADDRNOTAVAIL,
        Error::NoBuffers => Errno::NOBUFS,
        Error::NotConnected => Errno::NOTCONN,
        Error::ConnectionRefused => Errno::CONNREFUSED,
        other => panic!("{other:?} in this table?"),
    }
}

/// Both ends of a call agree: both work, or both fail with the same errno.
#[track_caller]
fn same<T, U>(call: &str, theirs: io::Result<T>, ours: Result<U, Error>) {
    let theirs = theirs.map_err(|e| Errno::from_io_error(&e));
    let ours = ours.map_err(errno);
    assert_eq!(
        ours.err(),
        theirs.err().map(|e| e.expect("an errno")),
        "{call}"
    );
}

fn unbound(reuse_address: bool, reuse_port: bool) -> UdpSocket {
    let fd = socket(AddressFamily::INET, SocketType::DGRAM, None).expect("a socket");
    sockopt::set_socket_reuseaddr(&fd, reuse_address).expect("SO_REUSEADDR");
    sockopt::set_socket_reuseport(&fd, reuse_port).expect("SO_REUSEPORT");
    let socket = UdpSocket::from(fd);
    socket.set_nonblocking(true).expect("nonblocking");
    socket
}

fn ours(s: &mut Stack<Bytes>, reuse_address: bool, reuse_port: bool) -> SocketId {
    let id = s.udp_open();
    s.set_reuse_address(id, reuse_address).expect("open");
    s.set_reuse_port(id, reuse_port).expect("open");
    id
}

fn bind_to(socket: &UdpSocket, ip: Ipv4Addr, port: u16) -> io::Result<()> {
    bind(socket, &SocketAddrV4::new(ip, port)).map_err(io::Error::from)
}

#[test]
fn wrong_calls_give_the_errno_that_the_kernel_gives() {
    let mut s = stack(A);
    let (t, o) = (unbound(false, false), s.udp_open());
    let large = vec![0; 65_508];
    same(
        "send without a peer",
        t.send(b"x"),
        s.udp_send_to(o, b"x", None),
    );
    same("no peer", t.peer_addr(), s.peer_addr(o));
    // A call to send gives a port, even one that fails.
    let port = s.local_addr(o).map(|addr| addr.port() != 0);
    assert_eq!(port, Ok(t.local_addr().expect("a socket").port() != 0));
    let (t, o) = (unbound(false, false), s.udp_open());
    same(
        "bind elsewhere",
        bind_to(&t, Ipv4Addr::new(198, 51, 100, 99), 0),
        s.udp_bind_to(o, at(B, 0)),
    );
    same("bind", bind_to(&t, LO, 0), s.udp_bind_to(o, at(A, 0)));
    same("bind again", bind_to(&t, LO, 0), s.udp_bind_to(o, at(A, 0)));
    let (their_port, our_port) = (
        t.local_addr().expect("bound").port(),
        s.local_addr(o).expect("bound").port(),
    );
    same(
        "taken",
        UdpSocket::bind((LO, their_port)),
        s.udp_bind(at(A, our_port)),
    );
    same(
        "nothing there",
        t.recv(&mut [0]),
        s.udp_recv_from(o, &mut [0]),
    );
    same(
        "port 0",
        t.send_to(b"x", (LO, 0)),
        s.udp_send_to(o, b"x", Some(at(A, 0))),
    );
    same(
        "65,508 bytes",
        t.send_to(&large, (LO, 9)),
        s.udp_send_to(o, &large, Some(at(A, 9))),
    );
    let most = &large[1..];
    same(
        "65,507 bytes",
        t.send_to(most, (LO, their_port)),
        s.udp_send_to(o, most, Some(at(A, our_port))),
    );
    same(
        "broadcast",
        t.send_to(b"x", (BROADCASTS.0, 9)),
        s.udp_send_to(o, b"x", Some(at(BROADCASTS.1, 9))),
    );
    same(
        "connect to a broadcast",
        t.connect((BROADCASTS.0, 9)),
        s.udp_connect(o, Some(at(BROADCASTS.1, 9))),
    );
    same("TTL 0", t.set_ttl(0), s.set_ttl(o, Some(0)));
    same(
        "multicast TTL 0",
        t.set_multicast_ttl_v4(0),
        s.set_multicast_ttl(o, 0),
    );
    same(
        "shutdown without a peer",
        shutdown(&t, rustix::net::Shutdown::Write).map_err(io::Error::from),
        s.udp_shutdown(o, Shutdown::Write),
    );
    same(
        "send after shutdown",
        t.send_to(b"x", (LO, 9)),
        s.udp_send_to(o, b"x", Some(at(A, 9))),
    );
    let (t, o) = (unbound(false, false), s.udp_open());
    same(
        "connect to port 0",
        t.connect((LO, 0)),
        s.udp_connect(o, Some(at(A, 0))),
    );
    same("a peer without port", t.peer_addr(), s.peer_addr(o));
    let any = Ipv4Addr::UNSPECIFIED;
    same(
        "connect to any",
        t.connect((any, 9)),
        s.udp_connect(o, Some(at(any, 9))),
    );
    assert_eq!(t.peer_addr().expect("a peer").ip(), LO);
    assert_eq!(s.peer_addr(o), Ok(at(A, 9)));
    // Nobody listens there: the refusal comes back to the next call.
    same(
        "send to a closed port",
        t.send(b"x"),
        s.udp_send_to(o, b"x", None),
    );
    while s.poll_transmit(NOW).is_some() {}
    same("hear of it", t.send(b"x"), s.udp_send_to(o, b"x", None));
}

#[test]
fn membership_calls_give_the_errno_that_the_kernel_gives() {
    let mut s = stack(A);
    let (t, o) = (unbound(false, false), s.udp_open());
    let sources: Vec<Ipv4Addr> = (1..=11).map(|n| Ipv4Addr::new(192, 0, 2, n)).collect();
    let add = |t: &UdpSocket, source: &Ipv4Addr| {
        sockopt::set_ip_add_source_membership(t, &GROUP, &LO, source).map_err(io::Error::from)
    };
    let drop = |t: &UdpSocket, source: &Ipv4Addr| {
        sockopt::set_ip_drop_source_membership(t, &GROUP, &LO, source).map_err(io::Error::from)
    };
    let (join, leave) = (
        |t: &UdpSocket, group| t.join_multicast_v4(&group, &LO),
        |t: &UdpSocket| t.leave_multicast_v4(&GROUP, &LO),
    );
    same("join no group", join(&t, LO), s.multicast_join(NOW, o, B));
    same("leave before", leave(&t), s.multicast_leave(NOW, o, GROUP));
    let first = sources[0];
    same(
        "drop a source before",
        drop(&t, &first),
        s.multicast_leave_source(NOW, o, GROUP, first),
    );
    same("join", join(&t, GROUP), s.multicast_join(NOW, o, GROUP));
    same(
        "join twice",
        join(&t, GROUP),
        s.multicast_join(NOW, o, GROUP),
    );
    // A group joined for everyone narrows to the first source.
    for source in &sources {
        same(
            "add a source",
            add(&t, source),
            s.multicast_join_source(NOW, o, GROUP, *source),
        );
    }
    same(
        "join beside sources",
        join(&t, GROUP),
        s.multicast_join(NOW, o, GROUP),
    );
    for source in &sources {
        same(
            "drop a source",
            drop(&t, source),
            s.multicast_leave_source(NOW, o, GROUP, *source),
        );
    }
    same(
        "left with the last source",
        leave(&t),
        s.multicast_leave(NOW, o, GROUP),
    );
    for n in 1..=21 {
        let group = Ipv4Addr::new(239, 0, 0, n);
        same(
            "join many",
            join(&t, group),
            s.multicast_join(NOW, o, group),
        );
    }
}

#[test]
fn addresses_are_shared_and_datagrams_given_out_as_the_kernel_does_it() {
    let any = Ipv4Addr::UNSPECIFIED;
    let flags = [(false, false), (true, false), (false, true), (true, true)];
    for first in flags {
        for second in flags {
            // Bound alike, or one of them to all addresses.
            for (wide, narrow) in [(false, false), (true, false), (false, true)] {
                let name = format!("{first:?} {second:?} {wide} {narrow}");
                let mut s = stack(A);
                let ip = |wide, own| if wide { any } else { own };
                let t = [unbound(first.0, first.1), unbound(second.0, second.1)];
                let o = [
                    ours(&mut s, first.0, first.1),
                    ours(&mut s, second.0, second.1),
                ];
                bind_to(&t[0], ip(wide, LO), 0).expect("a free port");
                let port = t[0].local_addr().expect("bound").port();
                s.udp_bind_to(o[0], at(ip(wide, A), port)).expect("free");
                let theirs = bind_to(&t[1], ip(narrow, LO), port);
                let shared = theirs.is_ok();
                same(&name, theirs, s.udp_bind_to(o[1], at(ip(narrow, A), port)));
                // Which of the two gets a datagram; with SO_REUSEPORT that is a hash's choice where both are alike.
                if shared && !(first.1 && second.1 && wide == narrow) {
                    let (sender, our_sender) = (unbound(false, false), s.udp_open());
                    sender.send_to(b"x", (LO, port)).expect("sent");
                    s.udp_send_to(our_sender, b"x", Some(at(A, port)))
                        .expect("sent");
                    while s.poll_transmit(NOW).is_some() {}
                    for i in 0..2 {
                        let hears = s.udp_recv_from(o[i], &mut [0]);
                        same(&name, t[i].recv(&mut [0]), hears);
                    }
                }
            }
        }
    }
}
