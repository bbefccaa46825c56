//! Our sockets beside the Linux kernel's, in one run: two hosts on a [`cable`], and two network namespaces on a veth pair with offloads off.
//!
//! The kernel's side needs root, iproute2 and ethtool; without them ours is measured alone.
#![forbid(unsafe_code)]

mod cable;
mod crowd;
mod jobs;
mod net;
mod one_thread;
mod preloaded;
mod record;
mod veth;

use std::io;
use std::net::Ipv4Addr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ferrule::{Cidr, Host, HostBuilder};

pub use cable::{cable, End};
pub use jobs::{Job, Spent};
pub use net::{Kernel, Net, Ours};
pub use preloaded::{side, Preloaded};
pub use record::{alone, measure, Record};

/// The client's and the server's address.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// The server's.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const PREFIX: u8 = 24;
const PORT: u16 = 7_000;

/// What keeps a benchmark from its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A socket call.
    #[error("a socket: {0}")]
    Io(#[from] io::Error),
    /// A host.
    #[error(transparent)]
    Open(#[from] ferrule::OpenError),
    /// A driver alone.
    #[error(transparent)]
    Nic(#[from] ferrule_driver::NicError),
    /// The bare stack.
    #[error("the stack: {0}")]
    Stack(#[from] ferrule_stack_bench::Error),
    /// A server of preloaded programs.
    #[error(transparent)]
    Stackd(#[from] ferrule_stackd::ServerError),
    /// A side that does not measure any more.
    #[error("a side has ended early")]
    Ended,
}

/// What to do, and how often.
type Order = (Job, usize);

/// Two sides that do jobs.
pub struct Sides {
    server: mpsc::Sender<Order>,
    client: mpsc::Sender<Order>,
    ready: mpsc::Receiver<io::Result<()>>,
    served: mpsc::Receiver<io::Result<()>>,
    measured: mpsc::Receiver<io::Result<Spent>>,
}

impl Sides {
    /// Starts a thread for each side; what they work with is made in them.
    pub fn start<N: Net, M: Net>(
        server: impl FnOnce() -> io::Result<N> + Send + 'static,
        client: impl FnOnce() -> io::Result<M> + Send + 'static,
    ) -> Self {
        let (to_server, orders) = mpsc::channel::<Order>();
        let (is_ready, ready) = mpsc::channel();
        let (has_served, served) = mpsc::channel();
        thread::spawn(move || -> Option<()> {
            let net = match server() {
                Ok(net) => net,
                Err(e) => return is_ready.send(Err(e)).ok(),
            };
            // A port each time: the last one's connections may be in TIME-WAIT.
            for (port, (job, units)) in (PORT..).zip(orders) {
                let listener = net.listen(port);
                let listener = match listener {
                    Ok(listener) => listener,
                    Err(e) => return is_ready.send(Err(e)).ok(),
                };
                is_ready.send(Ok(())).ok()?;
                has_served.send(job.serve(&net, &listener, units)).ok()?;
            }
            Some(())
        });
        let (to_client, orders) = mpsc::channel::<Order>();
        let (has_measured, measured) = mpsc::channel();
        thread::spawn(move || -> Option<()> {
            let net = match client() {
                Ok(net) => net,
                Err(e) => return has_measured.send(Err(e)).ok(),
            };
            for (port, (job, units)) in (PORT..).zip(orders) {
                has_measured.send(job.ask(&net, port, units)).ok()?;
            }
            Some(())
        });
        Self {
            server: to_server,
            client: to_client,
            ready,
            served,
            measured,
        }
    }

    /// Does a job.
    ///
    /// # Errors
    /// What either side reports.
    pub fn run(&self, job: Job, units: usize) -> Result<Spent, Error> {
        let ended = |_| Error::Ended;
        self.server.send((job, units)).map_err(|_| Error::Ended)?;
        self.ready.recv().map_err(ended)??;
        self.client.send((job, units)).map_err(|_| Error::Ended)?;
        let spent = self.measured.recv().map_err(ended)??;
        self.served.recv().map_err(ended)??;
        Ok(spent)
    }
}

/// What is to be a host at one end of a cable.
fn host_on(end: End, address: Ipv4Addr, seed: u8) -> Result<HostBuilder, Error> {
    Ok(Host::builder()
        .device(Box::new(end))
        .address(Cidr::new(address, PREFIX).ok_or(Error::Ended)?)
        .seed([seed; 16])
        // Each side is in a call all the time that is measured: a service thread would only take the processor away.
        .background(false))
}

/// A host at one end of a cable.
fn open(end: End, address: Ipv4Addr, seed: u8, busy_poll: Duration) -> Result<Host, Error> {
    Ok(host_on(end, address, seed)?.busy_poll(busy_poll).open()?)
}

/// Our sockets on two NICs.
///
/// # Errors
/// When a host cannot be made.
pub fn ours(busy_poll: Duration) -> Result<Sides, Error> {
    let (a, b) = cable();
    let client = Ours {
        host: open(a, CLIENT, 1, busy_poll)?,
        peer: SERVER,
    };
    let server = Ours {
        host: open(b, SERVER, 2, busy_poll)?,
        peer: CLIENT,
    };
    Ok(Sides::start(move || Ok(server), move || Ok(client)))
}

/// The kernel's sockets on a veth pair.
pub fn kernel() -> Sides {
    let (server, client) = veth::pair(SERVER, CLIENT, PREFIX);
    Sides::start(server, client)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Write};
    use std::os::fd::BorrowedFd;
    use std::sync::Arc;

    use ferrule_driver::{Clock, WallClock};

    use super::*;

    /// The machine's time, on which nobody has to wait for anything.
    struct Impatient;

    impl Clock for Impatient {
        fn now(&self) -> u64 {
            WallClock.now()
        }

        fn wait(&self, _: &[BorrowedFd<'_>], _: Option<u64>) -> io::Result<()> {
            Err(io::Error::other("what it waits for has come already"))
        }
    }

    /// A call that sends takes in what comes meanwhile; it slept although that was what it waited for.
    #[test]
    fn an_answer_that_comes_while_its_question_is_sent_is_not_slept_through() {
        let (mut near, far) = cable();
        let server = open(far, SERVER, 7, Duration::ZERO).expect("a host");
        let listener = server.listen((SERVER, 7), 1).expect("a listener");
        listener.set_nonblocking(true).expect("a mode");
        let far_side = server.clone();
        let mut accepted = None;
        // The far side answers within the doorbell's write.
        near.when_sent(move || {
            let _ = far_side.stack_stats();
            if accepted.is_none() {
                accepted = listener.accept().ok().map(|(stream, _)| stream);
            }
            if let Some(stream) = &mut accepted {
                stream.set_nonblocking(true).expect("a mode");
                let mut question = [0; 64];
                while let Ok(n @ 1..) = stream.read(&mut question) {
                    stream.write_all(&question[..n]).expect("room");
                }
            }
        });
        let client = host_on(near, CLIENT, 7).expect("a host");
        let client = client.clock(Arc::new(Impatient)).open().expect("a host");
        let mut stream = client.connect((SERVER, 7)).expect("a connection");
        for question in 0..100u8 {
            stream.write_all(&[question]).expect("room");
            let mut answer = [0];
            stream.read_exact(&mut answer).expect("an answer");
            assert_eq!(answer, [question]);
        }
        // Closing has nobody to wait for either.
        std::mem::forget(stream);
        std::mem::forget(client);
    }

    /// connect(2), sendto(2): ENETUNREACH. Groups and broadcasts are for the hosts of the cable, which is the only one there is.
    #[test]
    fn where_no_route_leads_the_network_is_unreachable() {
        const FOREIGN: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
        let (near, far) = cable();
        let host = open(near, CLIENT, 8, Duration::ZERO).expect("a host");
        let unreachable = |result: io::Result<()>| {
            let kind = result.map_err(|e| e.kind());
            assert_eq!(kind, Err(io::ErrorKind::NetworkUnreachable));
        };
        unreachable(host.connect((FOREIGN, 9)).map(drop));
        for bound in [CLIENT, Ipv4Addr::UNSPECIFIED] {
            let socket = host.bind_udp((bound, 0)).expect("a socket");
            socket.set_broadcast(true).expect("leave");
            unreachable(socket.send_to(b"x", (FOREIGN, 9)).map(drop));
            unreachable(socket.connect((FOREIGN, 9)));
            let subnet = Ipv4Addr::new(10, 77, 0, 255);
            for everybody in [Ipv4Addr::BROADCAST, subnet, Ipv4Addr::new(239, 1, 2, 3)] {
                let sent = socket.send_to(b"x", (everybody, 9));
                assert_eq!(sent.expect("a way"), 1, "{everybody}");
            }
        }
        let by = |gateway| {
            let (near, _far) = cable();
            let subnet = Cidr::new(FOREIGN, 24).expect("a prefix");
            let host = host_on(near, CLIENT, 8).expect("a host");
            host.route(subnet, gateway).open()
        };
        let host = by(SERVER).expect("a host");
        let socket = host.bind_udp((CLIENT, 0)).expect("a socket");
        assert_eq!(socket.send_to(b"x", (FOREIGN, 9)).expect("a way"), 1);
        unreachable(socket.connect((Ipv4Addr::new(203, 0, 114, 7), 9)));
        let refused = by(FOREIGN).expect_err("a gateway that is no neighbour");
        assert!(refused.to_string().contains("203.0.113.0/24"), "{refused}");
        drop(far);
    }

    #[test]
    fn each_job_comes_to_its_end() {
        let sides = ours(Duration::ZERO).expect("two hosts");
        for job in [Job::Sleeping, Job::Bulk, Job::Connections] {
            let spent = sides.run(job, 20).expect("a job");
            assert!(spent.wall_ns > 0.0, "{job:?}: {spent:?}");
        }
    }
}
