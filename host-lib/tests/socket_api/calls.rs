//! Calls at the wrong time or with wrong arguments, of any kind of socket, and what each gives.
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};

use nix::errno::Errno;

use crate::side::{Datagrams, Listener, Side, Stream};

pub(crate) type Outcome = Result<usize, Errno>;

/// Outcomes by what was tried.
#[derive(Default)]
pub(crate) struct Table(pub(crate) Vec<(&'static str, Outcome)>);

impl Table {
    fn add(&mut self, tried: &'static str, outcome: io::Result<usize>) {
        let outcome = outcome.map_err(|e| match e.raw_os_error() {
            Some(number) => Errno::from_raw(number),
            None => panic!("{tried}: {e:?} has no number"),
        });
        self.0.push((tried, outcome));
    }

    fn unit(&mut self, tried: &'static str, outcome: io::Result<()>) {
        self.add(tried, outcome.map(|()| 0));
    }

    fn any<T>(&mut self, tried: &'static str, outcome: io::Result<T>) {
        self.add(tried, outcome.map(|_| 0));
    }
}

/// Of nobody (RFC 5737), neither on the simulated net nor on the machine that runs the test.
const FOREIGN: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

pub(crate) fn streams<S: Side>(side: &S) -> Table {
    let mut t = Table::default();
    let mut byte = [0; 1];
    let (mut a, b) = side.connection();
    t.add("read nothing", a.read(&mut byte));
    t.add("read nothing into nothing", a.read(&mut []));
    t.add("peek at nothing", a.peek(&mut byte));
    t.add("write nothing", a.write(&[]));
    while a.write(&[0; 4_096]).is_ok() {}
    side.settle();
    while a.write(&[0; 4_096]).is_ok() {}
    t.add("write without room", a.write(&byte));
    t.unit("shutdown for reading", a.shutdown(Shutdown::Read));
    t.add("read after that", a.read(&mut byte));
    t.unit("shutdown for writing", a.shutdown(Shutdown::Write));
    t.add("write after that", a.write(&byte));
    t.add("write nothing after that", a.write(&[]));
    t.unit("shutdown again", a.shutdown(Shutdown::Both));
    t.any("whose peer is known", a.peer_addr());
    drop(b);

    let (mut a, b) = side.connection();
    drop(b);
    side.settle();
    t.add("read the end", a.read(&mut byte));
    t.add("read the end again", a.read(&mut byte));
    t.any("the peer of a half-closed connection", a.peer_addr());
    t.add("write to who has closed", a.write(&byte));
    side.settle();
    t.add("write to who has reset since", a.write(&byte));
    t.add("and once more", a.write(&byte));
    t.add("read from it", a.read(&mut byte));
    t.any("the peer of a connection that ended", a.peer_addr());
    t.unit("shut down what ended", a.shutdown(Shutdown::Both));

    for first_read in [true, false] {
        let (mut a, b) = side.connection();
        b.reset();
        side.settle();
        if first_read {
            t.add("read from who has reset", a.read(&mut byte));
            t.add("read again from who has reset", a.read(&mut byte));
            t.add("peek at who has reset", a.peek(&mut byte));
            t.add("write to who was said to have reset", a.write(&byte));
        } else {
            t.add("write to who has reset", a.write(&byte));
            t.add("write again to who has reset", a.write(&byte));
            t.add("then read", a.read(&mut byte));
        }
        t.any("the peer of a connection that was reset", a.peer_addr());
        t.unit("shut down what was reset", a.shutdown(Shutdown::Write));
    }
    t
}

pub(crate) fn opening<S: Side>(side: &S) -> Table {
    let mut t = Table::default();
    let mut byte = [0; 1];
    let listener = side.listen((side.there(), 0).into(), 0).unwrap();
    let to = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    t.any("accept nobody", listener.accept());
    t.any("listen where somebody does", side.listen(to, 1));
    let everywhere = SocketAddr::from((ANY, to.port()));
    t.any(
        "listen everywhere, somebody does on one",
        side.listen(everywhere, 1),
    );
    t.any(
        "listen on a foreign address",
        side.listen((FOREIGN, 0).into(), 1),
    );
    // The queue takes one connection; a second waits for an answer.
    let first = side.begin_connect(None, to).unwrap();
    side.settle();
    let mut second = side.begin_connect(None, to).unwrap();
    side.settle();
    t.add("read while connecting", second.read(&mut byte));
    t.add("write while connecting", second.write(&byte));
    t.any("the peer of an attempt", second.peer_addr());
    t.any("the error of an attempt", second.take_error());
    let taken = SocketAddr::from((side.here(), first_port(side)));
    let one = side.begin_connect(Some(taken), to);
    t.any(
        "connect from a foreign address",
        side.begin_connect(Some((FOREIGN, 0).into()), to),
    );
    drop((one, first, second));
    drop(listener);
    side.settle();
    t.any("connect to nobody", side.connect(to));
    t.any(
        "connect to a group",
        side.begin_connect(None, (GROUP, 9).into()),
    );
    let all = SocketAddr::from((Ipv4Addr::BROADCAST, 9));
    t.any("connect to everybody", side.begin_connect(None, all));
    let refused = side.begin_connect(None, to).unwrap();
    side.settle();
    let mut refused = refused;
    t.add("read what was refused", refused.read(&mut byte));
    t.add("read it again", refused.read(&mut byte));
    t.add("write to what was refused", refused.write(&byte));
    t.any("the peer of what was refused", refused.peer_addr());
    t.unit(
        "shut down what was refused",
        refused.shutdown(Shutdown::Both),
    );
    t
}

/// A port that nobody has.
fn first_port(side: &impl Side) -> u16 {
    let listener = side.listen((side.here(), 0).into(), 0);
    match listener {
        Ok(listener) => listener.local_addr().unwrap().port(),
        // Those who connect are not those who listen.
        Err(_) => 1_234,
    }
}

pub(crate) fn datagrams<S: Side>(side: &S, broadcast: Ipv4Addr) -> Table {
    let mut t = Table::default();
    let mut byte = [0; 1];
    let socket = side.bind_udp((side.here(), 0).into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let at = socket.local_addr().unwrap();
    t.add("receive nothing", socket.recv(&mut byte));
    t.add("send to nobody", socket.send(&byte));
    t.any("the peer of nobody", socket.peer_addr());
    t.add(
        "send to port 0",
        socket.send_to(&byte, (side.there(), 0).into()),
    );
    let large = vec![0; 65_508];
    t.add(
        "send too much",
        socket.send_to(&large, (side.there(), 9).into()),
    );
    t.add("send to all", socket.send_to(&byte, (broadcast, 9).into()));
    t.unit("connect to all", socket.connect((broadcast, 9).into()));
    socket.set_broadcast(true).unwrap();
    t.add(
        "send to all with leave",
        socket.send_to(&byte, (broadcast, 9).into()),
    );
    t.any("bind what is bound", side.bind_udp(at));
    let everywhere = SocketAddr::from((ANY, at.port()));
    t.any(
        "bind everywhere what is bound on one",
        side.bind_udp(everywhere),
    );
    t.any("bind a foreign address", side.bind_udp((FOREIGN, 0).into()));
    t.unit("a TTL of 0", socket.set_ttl(0));
    t.unit("a TTL of 256", socket.set_ttl(256));
    t.unit("join no group", socket.join(FOREIGN, side.here()));
    t.unit(
        "leave what was not joined",
        socket.leave(GROUP, side.here()),
    );
    t.unit("join", socket.join(GROUP, side.here()));
    t.unit("join again", socket.join(GROUP, side.here()));
    t.unit("leave", socket.leave(GROUP, side.here()));
    t.unit("leave again", socket.leave(GROUP, side.here()));
    t.unit("join on a foreign interface", socket.join(GROUP, FOREIGN));
    t.unit("connect", socket.connect((side.there(), 9).into()));
    t.add("send where nobody listens", socket.send(&byte));
    side.settle();
    t.add("send after the refusal", socket.send(&byte));
    side.settle();
    t.add("receive after the next refusal", socket.recv(&mut byte));
    t.add("receive again", socket.recv(&mut byte));
    t.any("take no error", socket.take_error());
    t
}
