//! ICMP echo from a program.
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::host::Host;
use crate::socket::Socket;

/// An answer to an echo request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Who answered.
    pub from: Ipv4Addr,
    /// Sequence number of the request.
    pub sequence: u16,
    /// The payload that came back.
    pub payload: Vec<u8>,
    /// Time to live that was left.
    pub ttl: u8,
    /// Time from the request to the answer, on the host's clock.
    pub round_trip: Duration,
}

/// Largest payload of an echo: an IPv4 packet less its header and that of ICMP.
const MAX_PAYLOAD: usize = 65_535 - 20 - 8;

/// A socket for ICMP echo requests (RFC 792) with an identifier of its own.
#[derive(Debug)]
pub struct Ping {
    socket: Socket,
}

impl Ping {
    pub(crate) fn on(host: &Host) -> io::Result<Self> {
        Ok(Self {
            socket: Socket::new(host, |core, _| core.stack.ping_open())?,
        })
    }

    /// Sends one request and waits for its answer.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when `timeout` passes first; [`io::ErrorKind::HostUnreachable`] when the next hop does not answer ARP.
    pub fn echo(
        &self,
        to: Ipv4Addr,
        sequence: u16,
        payload: &[u8],
        timeout: Duration,
    ) -> io::Result<Reply> {
        let sent = self.socket.block(Some(timeout), |core, now, id| {
            core.stack
                .ping_send(id, to, sequence, payload)
                .map(|()| now)
        })?;
        let mut buffer = vec![0; MAX_PAYLOAD];
        self.socket.block(Some(timeout), |core, now, id| loop {
            let reply = core.stack.ping_recv(id, &mut buffer)?;
            // A late answer to an earlier request is not the one waited for.
            if reply.from == to && reply.seq == sequence {
                return Ok(Reply {
                    from: reply.from,
                    sequence,
                    payload: buffer[..reply.copied].to_vec(),
                    ttl: reply.ttl,
                    round_trip: now.saturating_since(sent),
                });
            }
        })
    }
}
