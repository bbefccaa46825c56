//! A round trip with both hosts on one thread, where nobody waits for another: sockets on their drivers, beside the drivers and the stack alone.
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use ferrule::{Host, TcpStream};
use ferrule_driver::nic::{LocalAddress, NicConfig, RxFrame, TxFrame};
use ferrule_driver::{Nic, NicError, WallClock};
use ferrule_stack_bench::{cpu_ns, prepare, JobKind, StackKind};

use crate::{cable, open, End, Error, CLIENT, PREFIX, SERVER};

const ROUNDS: usize = 40;
const TRIPS: usize = 2_000;

/// CPU time of a round trip, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OneThread {
    /// By sockets, drivers and NICs in memory.
    pub(crate) sockets_ns: f64,
    /// By drivers and NICs in memory with nothing above them: as many packets, as long.
    pub(crate) drivers_ns: f64,
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

/// IPv4 and TCP header, the latter with timestamps.
const HEADERS: usize = 52;

/// Two drivers that hand each other the packets of a round trip.
struct Drivers {
    nics: [Nic; 2],
    packet: [u8; HEADERS],
    frames: Vec<RxFrame>,
}

impl Drivers {
    fn new() -> Result<Self, Error> {
        let (a, b) = cable();
        let open = |end: End, address: Ipv4Addr| {
            let config = NicConfig {
                addresses: vec![LocalAddress {
                    address,
                    prefix: PREFIX,
                }],
                ..NicConfig::default()
            };
            Nic::open(Box::new(end), Arc::new(WallClock), &config)
        };
        let mut packet = [0; HEADERS];
        (packet[0], packet[9]) = (0x45, 6);
        Ok(Self {
            nics: [open(a, CLIENT)?, open(b, SERVER)?],
            packet,
            frames: Vec::new(),
        })
    }

    fn trip(&mut self) -> Result<(), NicError> {
        self.carry(0, 1)?;
        self.carry(1, 0)
    }

    /// As hosts do it: what has been sent is seen when something is received.
    fn carry(&mut self, from: usize, to: usize) -> Result<(), NicError> {
        let parts: [&[u8]; 2] = [&self.packet, &[0x5A]];
        let frame = TxFrame {
            parts: &parts,
            ..TxFrame::default()
        };
        let taken = self.nics[from].tx_batch(&[frame])?;
        self.frames.clear();
        self.nics[to].rx_batch(usize::MAX, &mut self.frames)?;
        self.nics[to].tx_completions()?;
        assert_eq!((taken, self.frames.len()), (1, 1), "a packet is lost");
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

/// CPU time of one of so many as [`TRIPS`].
fn of_each<E>(trips: impl FnOnce() -> Result<(), E>) -> Result<f64, E> {
    let begun = cpu_ns();
    trips()?;
    Ok((cpu_ns() - begun) / TRIPS as f64)
}

/// Measures all in turn; the fastest rounds count.
///
/// # Errors
/// When a socket, a driver or the stack fails.
pub(crate) fn measure() -> Result<OneThread, Error> {
    let (mut pair, mut drivers) = (Pair::new()?, Drivers::new()?);
    let mut stack = prepare(StackKind::Ours, JobKind::RoundTrip, 1)?;
    let mut best = OneThread {
        sockets_ns: f64::INFINITY,
        drivers_ns: f64::INFINITY,
        stack_ns: f64::INFINITY,
    };
    for _ in 0..ROUNDS {
        let sockets = of_each(|| (0..TRIPS).try_for_each(|_| pair.trip()))?;
        let alone = of_each(|| (0..TRIPS).try_for_each(|_| drivers.trip()))?;
        let bare = of_each(|| stack.run(TRIPS as u64))?;
        best.sockets_ns = best.sockets_ns.min(sockets);
        best.drivers_ns = best.drivers_ns.min(alone);
        best.stack_ns = best.stack_ns.min(bare);
    }
    Ok(best)
}
