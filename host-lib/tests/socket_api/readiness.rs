//! What poll and epoll say of a socket of ours is what they say of a kernel's in the same situation.
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::select::{select, FdSet};
use nix::sys::time::{TimeVal, TimeValLike};
use rustix::event::{poll, PollFd, PollFlags, Timespec};

use crate::ours::Ours;
use crate::side::{Datagrams, Kernels, Listener, Side, Stream};

/// What a story has seen: after each step its name, poll's bits, and what an edge-triggered epoll had to report.
type Seen = Vec<(&'static str, PollFlags, Option<EpollFlags>)>;

/// Watches one descriptor in both ways.
struct Watch {
    edges: Epoll,
    seen: Seen,
}

impl Watch {
    fn new(fd: &impl AsFd) -> Self {
        let edges = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        edges
            .add(fd, EpollEvent::new(all() | EpollFlags::EPOLLET, 0))
            .unwrap();
        Self {
            edges,
            seen: vec![],
        }
    }

    fn look(&mut self, side: &impl Side, step: &'static str, fd: &impl AsFd) {
        side.settle();
        let mut events = [EpollEvent::empty()];
        let n = self.edges.wait(&mut events, EpollTimeout::ZERO).unwrap();
        let edge = (n > 0).then(|| events[0].events());
        self.seen.push((step, bits(fd), edge));
    }
}

fn all() -> EpollFlags {
    EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP
}

pub(crate) fn bits(fd: &impl AsFd) -> PollFlags {
    let asked = PollFlags::IN | PollFlags::OUT | PollFlags::RDHUP;
    let mut fds = [PollFd::new(fd, asked)];
    poll(&mut fds, Some(&Timespec::default())).unwrap();
    fds[0].revents()
}

/// Writes until there is no room.
fn fill(stream: &mut impl Write) -> usize {
    let mut total = 0;
    loop {
        match stream.write(&[7; 4_096]) {
            Ok(n) => total += n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return total,
            Err(e) => panic!("{e}"),
        }
    }
}

/// Reads until there is nothing.
fn empty(stream: &mut impl Read) -> usize {
    let mut total = 0;
    let mut buffer = [0; 64 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return total,
            Ok(n) => total += n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return total,
            Err(e) => panic!("{e}"),
        }
    }
}

fn errno(error: io::Result<Option<io::Error>>) -> Option<ErrorKind> {
    error.unwrap().map(|e| e.kind())
}

/// Data comes and goes, the buffer fills and empties, both ends close.
fn a_life<S: Side>(side: &S) -> Seen {
    let (mut near, mut far) = side.connection();
    let mut watch = Watch::new(&near);
    let mut look = |step, near: &S::Stream| watch.look(side, step, near);
    look("connected", &near);
    far.write_all(b"one").unwrap();
    look("three bytes came", &near);
    far.write_all(b"two").unwrap();
    look("three more: an edge again", &near);
    near.read_exact(&mut [0; 2]).unwrap();
    look("some were read", &near);
    near.read_exact(&mut [0; 4]).unwrap();
    look("all were read", &near);
    near.read(&mut [0; 1]).unwrap_err();
    look("there is nothing", &near);
    let mut written = 0;
    let mut quiet = 0;
    // The peer's buffer takes some, and some more when its window is probed.
    while quiet < 20 {
        let more = fill(&mut near);
        written += more;
        quiet = if more == 0 { quiet + 1 } else { 0 };
        side.settle();
    }
    look("no room", &near);
    let mut read = 0;
    while read < written {
        read += empty(&mut far);
        side.settle();
    }
    look("room again", &near);
    far.write_all(b"last").unwrap();
    far.shutdown(Shutdown::Write).unwrap();
    look("the end came after four bytes", &near);
    near.read_exact(&mut [0; 4]).unwrap();
    look("the end alone", &near);
    assert_eq!(near.read(&mut [0; 1]).unwrap(), 0);
    look("the end was read", &near);
    near.shutdown(Shutdown::Write).unwrap();
    look("both ends closed", &near);
    watch.seen
}

#[test]
fn a_connection_shows_data_room_and_its_end_as_a_kernels() {
    assert_eq!(a_life(&Ours::new(1)), a_life(&Kernels::patient()));
}

fn half_closed<S: Side>(side: &S) -> Seen {
    let (near, far) = side.connection();
    let mut watch = Watch::new(&near);
    near.shutdown(Shutdown::Write).unwrap();
    watch.look(side, "we closed our half", &near);
    drop(far);
    watch.look(side, "and the peer its", &near);
    let mut seen = watch.seen;
    let (near, far) = side.connection();
    let mut watch = Watch::new(&near);
    near.shutdown(Shutdown::Both).unwrap();
    watch.look(side, "we closed both halves", &near);
    far.reset();
    watch.look(side, "and the peer resets", &near);
    seen.extend(watch.seen);
    let (near, _far) = side.connection();
    let mut watch = Watch::new(&near);
    near.shutdown(Shutdown::Read).unwrap();
    watch.look(side, "we read no more", &near);
    near.shutdown(Shutdown::Both).unwrap();
    watch.look(side, "nor write", &near);
    seen.extend(watch.seen);
    seen
}

#[test]
fn half_closed_connections_look_as_a_kernels() {
    assert_eq!(half_closed(&Ours::new(2)), half_closed(&Kernels::patient()));
}

fn resets<S: Side>(side: &S) -> (Seen, Vec<Option<ErrorKind>>) {
    let (near, far) = side.connection();
    let mut watch = Watch::new(&near);
    watch.look(side, "connected", &near);
    far.reset();
    watch.look(side, "reset", &near);
    let mut errors = vec![errno(near.take_error())];
    watch.look(side, "the error was taken", &near);
    errors.push(errno(near.take_error()));
    let mut seen = watch.seen;

    let (mut near, far) = side.connection();
    let mut watch = Watch::new(&near);
    drop(far);
    watch.look(side, "the peer closed", &near);
    near.write_all(b"too late").unwrap();
    watch.look(side, "and resets what comes then", &near);
    let mut buffer = [0; 8];
    let read = near.read(&mut buffer);
    errors.push(read.err().map(|e| e.kind()));
    watch.look(side, "a read has told", &near);
    seen.extend(watch.seen);
    (seen, errors)
}

#[test]
fn a_reset_is_an_error_until_it_is_taken() {
    assert_eq!(resets(&Ours::new(3)), resets(&Kernels::patient()));
}

fn connects<S: Side>(side: &S) -> (Seen, Vec<Option<ErrorKind>>) {
    let listener = side.listen((side.there(), 0).into(), 0).unwrap();
    let to = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut watch = Watch::new(&listener);
    watch.look(side, "nobody waits", &listener);
    let first = side.begin_connect(None, to).unwrap();
    watch.look(side, "one waits", &listener);
    let mut errors = vec![errno(first.take_error())];
    let mut connected = Watch::new(&first);
    connected.look(side, "connected before it was accepted", &first);
    // The queue takes one; no answer comes to another.
    let second = side.begin_connect(None, to).unwrap();
    let mut connecting = Watch::new(&second);
    connecting.look(side, "still connecting", &second);
    errors.push(errno(second.take_error()));
    drop(second);
    listener.accept().unwrap();
    watch.look(side, "accepted", &listener);
    errors.push(listener.accept().err().map(|e| e.kind()));
    drop(listener);
    let refused = side.begin_connect(None, to).unwrap();
    let mut watch_refused = Watch::new(&refused);
    watch_refused.look(side, "refused", &refused);
    errors.push(errno(refused.take_error()));
    watch_refused.look(side, "and told", &refused);
    let seen = [watch, connected, connecting, watch_refused]
        .into_iter()
        .flat_map(|watch| watch.seen)
        .collect();
    (seen, errors)
}

#[test]
fn connecting_and_listening_look_as_a_kernels() {
    assert_eq!(connects(&Ours::new(4)), connects(&Kernels::patient()));
}

fn messages<S: Side>(side: &S) -> Seen {
    let near = side.bind_udp((side.here(), 0).into()).unwrap();
    let far = side.bind_udp_there((side.there(), 0).into()).unwrap();
    near.set_nonblocking(true).unwrap();
    let mut watch = Watch::new(&near);
    watch.look(side, "bound", &near);
    let to = near.local_addr().unwrap();
    for message in [&b"one"[..], b"", b"three"] {
        far.send_to(message, to).unwrap();
        watch.look(side, "a message came", &near);
    }
    for _ in 0..3 {
        near.recv(&mut [0; 8]).unwrap();
        watch.look(side, "one was read", &near);
    }
    near.recv(&mut [0; 8]).unwrap_err();
    watch.look(side, "there is none", &near);
    watch.seen
}

#[test]
fn messages_show_as_a_kernels() {
    assert_eq!(messages(&Ours::new(5)), messages(&Kernels::patient()));
}

#[test]
fn an_error_of_a_udp_socket_shows_as_something_to_read() {
    // The one difference: Linux shows ERR without IN. A stream pair knows no error without an end; who reads is told either way.
    fn refused<S: Side>(side: &S) -> (PollFlags, ErrorKind, PollFlags) {
        let near = side.bind_udp((side.here(), 0).into()).unwrap();
        near.set_nonblocking(true).unwrap();
        near.connect((side.there(), 9).into()).unwrap();
        near.send(b"anybody?").unwrap();
        side.settle();
        let before = bits(&near);
        let kind = near.recv(&mut [0; 8]).unwrap_err().kind();
        (before, kind, bits(&near))
    }
    let (out, err, input) = (PollFlags::OUT, PollFlags::ERR, PollFlags::IN);
    let kind = ErrorKind::ConnectionRefused;
    assert_eq!(refused(&Kernels::patient()), (out | err, kind, out));
    assert_eq!(refused(&Ours::new(6)), (out | input, kind, out));
}

#[test]
fn one_epoll_waits_for_sockets_of_ours_and_descriptors_of_the_kernels() {
    let Ours(net) = Ours::new(7);
    let at = SocketAddr::from((net.address(1), 80));
    let listener = net.host(1).listen(at, 4).unwrap();
    let wake = EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap();
    let kernels = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let ours = net.host(1).bind_udp((net.address(1), 53)).unwrap();
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    let input = |n| EpollEvent::new(EpollFlags::EPOLLIN, n);
    epoll.add(&listener, input(0)).unwrap();
    epoll.add(&wake, input(1)).unwrap();
    epoll.add(&kernels, input(2)).unwrap();
    epoll.add(&ours, input(3)).unwrap();
    let clock = net.clock();
    let wait = || {
        use ferrule_testnet::Clock;
        clock.wait(&[epoll.0.as_fd()], None).unwrap();
        let mut events = [EpollEvent::empty(); 8];
        let n = epoll.wait(&mut events, EpollTimeout::ZERO).unwrap();
        let mut ready: Vec<u64> = events[..n].iter().map(EpollEvent::data).collect();
        ready.sort_unstable();
        ready
    };
    let _client = net.host(0).connect(at).unwrap();
    assert_eq!(wait(), [0]);
    wake.write(1).unwrap();
    assert_eq!(wait(), [0, 1]);
    listener.accept().unwrap();
    kernels
        .send_to(b"x", kernels.local_addr().unwrap())
        .unwrap();
    assert_eq!(wait(), [1, 2]);
    wake.read().unwrap();
    kernels.recv(&mut [0; 1]).unwrap();
    let sender = net.host(0).bind_udp((net.address(0), 0)).unwrap();
    sender.send_to(b"x", (net.address(1), 53)).unwrap();
    assert_eq!(wait(), [3]);
    ours.recv(&mut [0; 1]).unwrap();
    let mut events = [EpollEvent::empty()];
    assert_eq!(epoll.wait(&mut events, EpollTimeout::ZERO).unwrap(), 0);
}

#[test]
fn select_understands_a_socket_of_ours() {
    let side = Ours::new(8);
    let (near, mut far) = side.connection();
    let ready = || {
        let (mut read, mut write) = (FdSet::new(), FdSet::new());
        read.insert(near.as_fd());
        write.insert(near.as_fd());
        let mut never = TimeVal::seconds(0);
        select(None, &mut read, &mut write, None, &mut never).unwrap();
        (read.contains(near.as_fd()), write.contains(near.as_fd()))
    };
    assert_eq!(ready(), (false, true));
    far.write_all(b"x").unwrap();
    side.settle();
    assert_eq!(ready(), (true, true));
}

#[test]
fn each_clone_has_a_descriptor_of_its_own_and_an_epoll_takes_them_all() {
    let side = Ours::new(9);
    let (near, mut far) = side.connection();
    let clone = near.try_clone().unwrap();
    assert_ne!(near.as_raw_fd(), clone.as_raw_fd());
    assert_eq!(near.as_raw_fd(), near.as_raw_fd());
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    epoll
        .add(&near, EpollEvent::new(EpollFlags::EPOLLIN, 1))
        .unwrap();
    epoll
        .add(&clone, EpollEvent::new(EpollFlags::EPOLLIN, 2))
        .unwrap();
    far.write_all(b"x").unwrap();
    side.settle();
    let mut events = [EpollEvent::empty(); 4];
    assert_eq!(epoll.wait(&mut events, EpollTimeout::ZERO).unwrap(), 2);
}

#[test]
fn a_thousand_arrivals_that_nobody_reads_stay_one_readable_socket() {
    let side = Ours::new(10);
    let near = side.bind_udp((side.here(), 0).into()).unwrap();
    let far = side.bind_udp_there((side.there(), 0).into()).unwrap();
    near.set_nonblocking(true).unwrap();
    let mut watch = Watch::new(&near);
    for _ in 0..1_000 {
        far.send_to(b"x", near.local_addr().unwrap()).unwrap();
        side.0.sleep(Duration::from_micros(300)).unwrap();
        assert!(bits(&near).contains(PollFlags::IN));
    }
    watch.look(&side, "all have come", &near);
    assert!(watch.seen[0].2.is_some());
    for _ in 0..1_000 {
        assert!(bits(&near).contains(PollFlags::IN));
        near.recv(&mut [0; 1]).unwrap();
    }
    assert_eq!(bits(&near), PollFlags::OUT);
}
