//! Two hosts of one kind on a wire, and connections between them.

use crate::host::{Buffers, Host};
use crate::wire::Wire;
use crate::{Error, Result};

/// Frames that fit on one direction of the wire: a transmit ring of modest size.
const WIRE_FRAMES: usize = 64;
/// Exchanges after which a handshake counts as stuck.
const PATIENCE: usize = 64;
/// Client ports of one server port.
const CLIENT_PORTS: usize = 60_000;
const FIRST_CLIENT_PORT: u16 = 1_024;
const FIRST_SERVER_PORT: u16 = 80;

/// Hosts 10.0.0.1, the client, and 10.0.0.2, the server.
pub struct Pair<H: Host> {
    /// Virtual time in nanoseconds.
    pub now: u64,
    /// The client.
    pub a: H,
    /// The server.
    pub b: H,
    /// From client to server.
    pub ab: Wire,
    /// From server to client.
    pub ba: Wire,
}

/// The two ends of a connection.
pub(crate) type Ends<H> = (<H as Host>::Socket, <H as Host>::Socket);

impl<H: Host> Pair<H> {
    /// Two fresh hosts.
    pub fn new(mtu: u16, buffers: Buffers) -> Result<Pair<H>> {
        Ok(Pair::of(
            H::new(1, mtu, buffers)?,
            H::new(2, mtu, buffers)?,
            mtu,
        ))
    }

    /// Joins two hosts.
    pub fn of(a: H, b: H, mtu: u16) -> Pair<H> {
        Pair {
            now: 0,
            a,
            b,
            ab: Wire::new(mtu, WIRE_FRAMES),
            ba: Wire::new(mtu, WIRE_FRAMES),
        }
    }

    /// The client's turn.
    pub fn poll_a(&mut self) {
        self.a
            .poll(self.now, &mut self.ba, &mut self.ab, WIRE_FRAMES);
    }

    /// The server's turn, with at most `most` frames.
    pub fn poll_b(&mut self, most: usize) {
        self.b.poll(self.now, &mut self.ab, &mut self.ba, most);
    }

    /// Nothing arrives: time moves on to what happens by itself, a delayed ACK or a window update; `None` if nothing will.
    pub fn wait(&mut self) -> Option<()> {
        self.poll_b(0);
        if self.ba.is_empty() {
            let (a, b) = (
                self.a.next_deadline(self.now),
                self.b.next_deadline(self.now),
            );
            self.now = self.now.max(a.into_iter().chain(b).min()?);
        }
        Some(())
    }

    /// Both in turn until neither has anything to say.
    pub fn settle(&mut self) -> Result<()> {
        for _ in 0..PATIENCE {
            self.poll_a();
            self.poll_b(WIRE_FRAMES);
            if self.ab.is_empty() && self.ba.is_empty() {
                return Ok(());
            }
        }
        Err(Error::Stuck("two idle ends keep talking"))
    }

    /// Connection number `i`: each number has its own pair of ports.
    pub fn open(&mut self, i: usize) -> Result<Ends<H>> {
        let expected = self.b.expect(Self::server_port(i))?;
        let client = self.client(i)?;
        self.settle()?;
        Ok((client, self.b.accept(self.now, expected)?))
    }

    /// The server's port of connection number `i`.
    pub fn server_port(i: usize) -> u16 {
        FIRST_SERVER_PORT + (i / CLIENT_PORTS) as u16
    }

    /// Begins connection number `i`.
    pub fn client(&mut self, i: usize) -> Result<H::Socket> {
        let from = FIRST_CLIENT_PORT + (i % CLIENT_PORTS) as u16;
        self.a.connect(self.now, from, 2, Self::server_port(i))
    }

    /// Connections number `first` to `first + n - 1`, idle.
    pub fn open_many(&mut self, first: usize, n: usize) -> Result<Vec<Ends<H>>> {
        (first..first + n).map(|i| self.open(i)).collect()
    }
}
