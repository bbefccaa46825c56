//! Threads that really run at once, on sockets of their own and on shared ones, and sleep in epoll: no byte and no wake-up is lost.
use std::collections::HashSet;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::thread::{scope, ScopedJoinHandle};

use ferrule::{TcpStream, UdpSocket};
use ferrule_testnet::Net;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::keeper::Keeper;

fn net(seed: u64) -> Net {
    ferrule_testnet::new().seed(seed).start().unwrap()
}

/// An epoll for one descriptor, with the edge-triggered flag or without.
fn epoll(fd: &impl AsFd, flags: EpollFlags) -> Epoll {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    epoll.add(fd, EpollEvent::new(flags, 0)).unwrap();
    epoll
}

/// Sleeps until there is an event.
#[track_caller]
fn sleep(epoll: &Epoll) {
    let minute = EpollTimeout::try_from(60_000).unwrap();
    let mut events = [EpollEvent::empty()];
    let n = epoll.wait(&mut events, minute).unwrap();
    assert!(n > 0, "nobody woke this thread for a minute");
}

/// The byte at a place in a stream.
fn pattern(stream: usize, at: usize) -> u8 {
    (at * 7 + at / 253 + stream * 31) as u8
}

fn write(mut stream: TcpStream, number: usize, bytes: usize) {
    let edges = epoll(&stream, EpollFlags::EPOLLOUT | EpollFlags::EPOLLET);
    let whole: Vec<u8> = (0..bytes).map(|at| pattern(number, at)).collect();
    let mut rest = &whole[..];
    while !rest.is_empty() {
        // Pieces of many sizes.
        let piece = rest.len().min(1 + (rest.len() * 13) % 40_000);
        match stream.write(&rest[..piece]) {
            Ok(n) => rest = &rest[n..],
            Err(e) if e.kind() == ErrorKind::WouldBlock => sleep(&edges),
            Err(e) => panic!("{e}"),
        }
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
}

fn read(mut stream: TcpStream, number: usize) -> usize {
    let edges = epoll(&stream, EpollFlags::EPOLLIN | EpollFlags::EPOLLET);
    let mut buffer = [0; 10_000];
    let mut total = 0;
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return total,
            Ok(n) => {
                for (i, byte) in buffer[..n].iter().enumerate() {
                    assert_eq!(*byte, pattern(number, total + i), "byte {}", total + i);
                }
                total += n;
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => sleep(&edges),
            Err(e) => panic!("{e}"),
        }
    }
}

#[test]
fn two_threads_at_each_end_of_six_connections_lose_nothing() {
    const BYTES: usize = 600_000;
    let net = net(500);
    let at = SocketAddr::from((net.address(1), 80));
    let listener = net.host(1).listen(at, 8).unwrap();
    let pairs: Vec<(TcpStream, TcpStream)> = (0..6)
        .map(|_| {
            let near = net.host(0).connect(at).unwrap();
            (near, listener.accept().unwrap().0)
        })
        .collect();
    for stream in pairs.iter().flat_map(|(near, far)| [near, far]) {
        stream.set_nonblocking(true).unwrap();
        // Small enough to be full often.
        stream.set_send_buffer_size(20_000).unwrap();
        stream.set_recv_buffer_size(30_000).unwrap();
    }
    let _keeper = Keeper::new(&net);
    net.outside(|| {
        scope(|threads| {
            let mut readers: Vec<ScopedJoinHandle<'_, usize>> = vec![];
            for (n, (near, far)) in pairs.iter().enumerate() {
                for (number, from, to) in [(2 * n, near, far), (2 * n + 1, far, near)] {
                    let (from, to) = (from.clone(), to.clone());
                    threads.spawn(move || write(from, number, BYTES));
                    readers.push(threads.spawn(move || read(to, number)));
                }
            }
            for reader in readers {
                assert_eq!(reader.join().unwrap(), BYTES);
            }
        });
    });
}

#[test]
fn four_threads_that_share_a_listener_accept_each_connection_once() {
    const EACH: usize = 25;
    let net = net(501);
    let at = SocketAddr::from((net.address(1), 80));
    let listener = net.host(1).listen(at, 128).unwrap();
    listener.set_nonblocking(true).unwrap();
    let _keeper = Keeper::new(&net);
    let host = net.host(0).clone();
    net.outside(|| {
        scope(|threads| {
            let accepting: Vec<_> = (0..4)
                .map(|_| {
                    let listener = listener.clone();
                    threads.spawn(move || {
                        let level = epoll(&listener, EpollFlags::EPOLLIN);
                        let mut peers = vec![];
                        while peers.len() < EACH {
                            match listener.accept() {
                                Ok((stream, peer)) => peers.push((peer, stream)),
                                Err(e) if e.kind() == ErrorKind::WouldBlock => sleep(&level),
                                Err(e) => panic!("{e}"),
                            }
                        }
                        peers
                    })
                })
                .collect();
            let connecting: Vec<_> = (0..4)
                .map(|_| {
                    let host = host.clone();
                    threads.spawn(move || {
                        let begin = |_| {
                            let socket = host.tcp_socket().unwrap();
                            let stream = socket.connect_nonblocking(at).unwrap();
                            sleep(&epoll(&stream, EpollFlags::EPOLLOUT | EpollFlags::EPOLLET));
                            assert!(stream.take_error().unwrap().is_none());
                            stream
                        };
                        (0..EACH).map(begin).collect::<Vec<_>>()
                    })
                })
                .collect();
            let clients: Vec<TcpStream> = connecting
                .into_iter()
                .flat_map(|t| t.join().unwrap())
                .collect();
            let accepted: Vec<_> = accepting
                .into_iter()
                .flat_map(|t| t.join().unwrap())
                .collect();
            let ours: HashSet<_> = clients.iter().map(|c| c.local_addr().unwrap()).collect();
            let theirs: HashSet<_> = accepted.iter().map(|(peer, _)| *peer).collect();
            assert_eq!((ours.len(), accepted.len()), (4 * EACH, 4 * EACH));
            assert_eq!(ours, theirs);
        });
    });
}

#[test]
fn four_threads_that_share_a_udp_socket_receive_each_message_once() {
    const MESSAGES: usize = 2_000;
    /// Messages that may be under way: all that are sent are received.
    const WINDOW: usize = 50;
    let net = net(502);
    let ping = net.host(0).ping().unwrap();
    ping.echo(net.address(1), 1, b"", std::time::Duration::from_secs(1))
        .unwrap();
    let at = SocketAddr::from((net.address(1), 53));
    let server = net.host(1).bind_udp(at).unwrap();
    let client = net.host(0).bind_udp("0.0.0.0:0").unwrap();
    for socket in [&server, &client] {
        socket.set_nonblocking(true).unwrap();
    }
    // Each answers with what it got; an empty message ends a thread.
    let serve = |socket: UdpSocket, flags: EpollFlags| {
        let epoll = epoll(&socket, flags);
        let mut got = vec![];
        let mut buffer = [0; 8];
        loop {
            match socket.recv_from(&mut buffer) {
                Ok((0, _)) => return got,
                Ok((n, from)) => {
                    got.push(u64::from_be_bytes(buffer));
                    socket.send_to(&buffer[..n], from).unwrap();
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => sleep(&epoll),
                Err(e) => panic!("{e}"),
            }
        }
    };
    let _keeper = Keeper::new(&net);
    net.outside(|| {
        scope(|threads| {
            let level = EpollFlags::EPOLLIN;
            let servers: Vec<_> = (0..4)
                .map(|_| {
                    let socket = server.clone();
                    threads.spawn(move || serve(socket, level))
                })
                .collect();
            let edges = epoll(&client, EpollFlags::EPOLLIN | EpollFlags::EPOLLET);
            let (mut sent, mut answers) = (0, HashSet::new());
            while answers.len() < MESSAGES {
                while sent < MESSAGES && sent - answers.len() < WINDOW {
                    client.send_to(&(sent as u64).to_be_bytes(), at).unwrap();
                    sent += 1;
                }
                let mut buffer = [0; 8];
                match client.recv(&mut buffer) {
                    Ok(_) => assert!(answers.insert(u64::from_be_bytes(buffer)), "twice"),
                    Err(e) if e.kind() == ErrorKind::WouldBlock => sleep(&edges),
                    Err(e) => panic!("{e}"),
                }
            }
            for _ in 0..4 {
                client.send_to(&[], at).unwrap();
            }
            let mut got: Vec<u64> = servers
                .into_iter()
                .flat_map(|t| t.join().unwrap())
                .collect();
            got.sort_unstable();
            assert_eq!(got, (0..MESSAGES as u64).collect::<Vec<_>>());
        });
    });
}
