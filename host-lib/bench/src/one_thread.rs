//! A round trip with both hosts on one thread, where nobody waits for another: sockets on their drivers, beside the bare stack.
use std::io::{Read, Write};
use std::time::Duration;

use ferrule::{Host, TcpStream};
use ferrule_stack_bench::{cpu_ns, prepare, JobKind, StackKind};

use crate::{cable, open, Error, CLIENT, SERVER};

const ROUNDS: usize = 40;
const TRIPS: usize = 2_000;

/// CPU time of a round trip, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OneThread {
    /// By sockets, drivers and NICs in memory.
    pub(crate) sockets_ns: f64,
    /// By two of our stacks alone, whose packets are copied from one to the other.
    pub(crate) stack_ns: f64,
}

/// Two hosts with a connection.
struct Pair {
    _hosts: [Host; 2],
    client: TcpStream,
    server: TcpStream,
}

impl Pair {
    fn new() -> Result<Self, Error> {
        let (a, b) = cable();
        let client_host = open(a, CLIENT, 1, Duration::ZERO)?;
        let server_host = open(b, SERVER, 2, Duration::ZERO)?;
        let listener = server_host.listen((SERVER, 7), 1)?;
        listener.set_nonblocking(true)?;
        let socket = client_host.tcp_socket()?;
        let client = socket.connect_nonblocking((SERVER, 7).into())?;
        let server = loop {
            client.take_error()?;
            match listener.accept() {
                Ok((server, _)) => break server,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e.into()),
            }
        };
        for stream in [&client, &server] {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
        }
        Ok(Self {
            _hosts: [client_host, server_host],
            client,
            server,
        })
    }

    fn trip(&mut self) -> Result<(), Error> {
        let mut byte = [0x5A];
        self.client.write_all(&byte)?;
        self.server.read_exact(&mut byte)?;
        self.server.write_all(&byte)?;
        self.client.read_exact(&mut byte)?;
        Ok(())
    }
}

/// Makes so many round trips.
///
/// # Errors
/// When a socket fails.
pub(crate) fn trips(count: usize) -> Result<(), Error> {
    let mut pair = Pair::new()?;
    (0..count).try_for_each(|_| pair.trip())
}

/// Measures both in turn; the fastest rounds count.
///
/// # Errors
/// When a socket or the stack fails.
pub(crate) fn measure() -> Result<OneThread, Error> {
    let mut pair = Pair::new()?;
    let mut stack = prepare(StackKind::Ours, JobKind::RoundTrip, 1)?;
    let mut best = OneThread {
        sockets_ns: f64::INFINITY,
        stack_ns: f64::INFINITY,
    };
    for _ in 0..ROUNDS {
        let begun = cpu_ns();
        for _ in 0..TRIPS {
            pair.trip()?;
        }
        let between = cpu_ns();
        stack.run(TRIPS as u64)?;
        let (sockets, stack) = (between - begun, cpu_ns() - between);
        best.sockets_ns = best.sockets_ns.min(sockets / TRIPS as f64);
        best.stack_ns = best.stack_ns.min(stack / TRIPS as f64);
    }
    Ok(best)
}
