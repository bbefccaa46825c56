//! What a benchmark asks of a stack, so that every stack does the same work.

use crate::wire::Wire;
use crate::Result;

/// Bytes of a connection's buffers.
#[derive(Copy, Clone, Debug)]
pub struct Buffers {
    /// Unacknowledged bytes it holds.
    pub send: usize,
    /// Unread bytes it holds.
    pub recv: usize,
}

/// One host with TCP, without its device. Times are nanoseconds of virtual time.
pub trait Host: Sized {
    /// Names a connection.
    type Socket: Copy;

    /// Virtual time that passes from one short-lived connection to the next.
    const BETWEEN_CONNECTIONS_NS: u64;

    /// Host 10.0.0.`last` on a link whose frames are IPv4 packets of at most `mtu` bytes; its device checks and inserts
    /// all checksums.
    fn new(last: u8, mtu: u16, buffers: Buffers) -> Result<Self>;

    /// Gets ready for one more connection to `port`.
    fn expect(&mut self, port: u16) -> Result<Self::Socket>;

    /// Begins to connect to `port` of host 10.0.0.`to`.
    fn connect(&mut self, now: u64, from_port: u16, to: u8, port: u16) -> Result<Self::Socket>;

    /// The connection that `expected` has become.
    fn accept(&mut self, now: u64, expected: Self::Socket) -> Result<Self::Socket>;

    /// Queues bytes; returns how many there was room for, which may be none.
    fn send(&mut self, now: u64, socket: Self::Socket, bytes: &[u8]) -> Result<usize>;

    /// Takes received bytes; returns how many there were, which may be none.
    fn recv(&mut self, now: u64, socket: Self::Socket, to: &mut [u8]) -> Result<usize>;

    /// Closes; what was sent is still delivered.
    fn close(&mut self, now: u64, socket: Self::Socket) -> Result<()>;

    /// The connection has ended on both sides, and [`Host::BETWEEN_CONNECTIONS_NS`] ago.
    fn ended(&mut self, socket: Self::Socket);

    /// Takes at most `most` frames from `rx` and sends what is to be sent, as long as `tx` has room.
    fn poll(&mut self, now: u64, rx: &mut Wire, tx: &mut Wire, most: usize);

    /// When [`Host::poll`] must be called next, if nothing arrives before.
    fn next_deadline(&mut self, now: u64) -> Option<u64>;
}
