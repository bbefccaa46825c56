//! Sockets as descriptors on the machine's clock, where the host's service thread looks after them.
use std::io::{ErrorKind, Read, Write};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::lan::{wall_clock_world, within_reason, ECHO};

fn wait(epoll: &Epoll) -> EpollFlags {
    let mut events = [EpollEvent::empty()];
    let n = epoll.wait(&mut events, EpollTimeout::NONE).unwrap();
    assert_eq!(n, 1);
    events[0].events()
}

fn edges(socket: &ferrule::TcpStream) -> Epoll {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    let all = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP;
    let event = EpollEvent::new(all | EpollFlags::EPOLLET, 0);
    epoll.add(socket, event).unwrap();
    epoll
}

#[test]
fn a_thread_that_sleeps_in_epoll_alone_is_woken_by_the_service_thread() {
    within_reason(|| {
        let (host, simulator) = wall_clock_world();
        let socket = host.tcp_socket().unwrap();
        let mut stream = socket.connect_nonblocking(ECHO.into()).unwrap();
        let epoll = edges(&stream);
        assert_eq!(wait(&epoll), EpollFlags::EPOLLOUT, "connected");
        assert!(stream.take_error().unwrap().is_none());
        stream.write_all(b"there and back").unwrap();
        let mut back = vec![];
        while back.len() < 14 {
            let mut buffer = [0; 64];
            match stream.read(&mut buffer) {
                Ok(n) => back.extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    assert!(wait(&epoll).contains(EpollFlags::EPOLLIN));
                }
                Err(e) => panic!("{e}"),
            }
        }
        assert_eq!(back, b"there and back");
        drop(stream);
        drop(host);
        drop(simulator);
    });
}

#[test]
fn a_nic_that_dies_is_an_error_and_a_hang_up_of_every_descriptor() {
    within_reason(|| {
        let (host, simulator) = wall_clock_world();
        let mut stream = host.connect(ECHO).unwrap();
        stream.set_nonblocking(true).unwrap();
        let epoll = edges(&stream);
        assert_eq!(wait(&epoll), EpollFlags::EPOLLOUT);
        drop(simulator);
        let told = EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP | EpollFlags::EPOLLIN;
        while !wait(&epoll).contains(told) {}
        let error = stream.read(&mut [0; 1]).unwrap_err();
        assert_ne!(error.kind(), ErrorKind::WouldBlock);
    });
}
