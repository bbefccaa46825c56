//! Connections that wait to be accepted, on their way to the program.
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use ferrule::{TcpListener, TcpStream};
use ferrule_preload_protocol::AcceptRecord;
use rustix::io::Errno;

use crate::kernel;
use crate::pair::{self, Pair};

/// Connections that lie in a listener's pair at most: so many calls of accept(2) find one without our help.
const AHEAD: usize = 16;

/// A listener.
#[derive(Debug)]
pub(crate) struct Listening {
    listener: TcpListener,
    /// Listens on the kernel's loopback on behalf of a listener on all addresses.
    pub(crate) loopback: Vec<OwnedFd>,
    /// In the pair, and not accepted yet as far as we know.
    ahead: usize,
    most_ahead: usize,
    v6: bool,
}

/// A connection that the program is to accept.
pub(crate) struct Arrived {
    pub(crate) pair: Pair,
    pub(crate) stream: TcpStream,
}

/// What became of a listener's pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Open,
    Closed,
}

impl Listening {
    /// How many of `backlog` connections wait in the pair; the others wait in the stack's queue.
    pub(crate) fn ahead_of(backlog: usize) -> usize {
        backlog.clamp(1, AHEAD)
    }

    pub(crate) fn new(
        listener: TcpListener,
        loopback: Vec<OwnedFd>,
        backlog: usize,
        v6: bool,
    ) -> Self {
        Self {
            listener,
            loopback,
            ahead: 0,
            most_ahead: Self::ahead_of(backlog),
            v6,
        }
    }

    pub(crate) fn listener(&self) -> &TcpListener {
        &self.listener
    }

    /// Another backlog (listen(2) once more).
    pub(crate) fn set_backlog(&mut self, backlog: usize) {
        self.most_ahead = Self::ahead_of(backlog);
    }

    /// Takes in how many the program has accepted; whether it still listens.
    pub(crate) fn accepted(&mut self, end: BorrowedFd<'_>) -> End {
        let mut marks = [0; 64];
        loop {
            match pair::recv(end, &mut marks) {
                Ok(0) => return End::Closed,
                Ok(n) => self.ahead = self.ahead.saturating_sub(n),
                Err(Errno::AGAIN | Errno::INTR) => return End::Open,
                Err(_) => return End::Closed,
            }
        }
    }

    /// The next connection, sent to the program with the listener's SO_LINGER; none if there is none, or enough wait there.
    pub(crate) fn next(
        &mut self,
        end: BorrowedFd<'_>,
        linger: Option<Duration>,
    ) -> Option<Arrived> {
        while self.ahead < self.most_ahead {
            if self.next_of_kernel(end) {
                continue;
            }
            let (stream, peer) = match self.listener.accept() {
                Ok(accepted) => accepted,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return None,
                Err(e) => {
                    tracing::debug!("accepting: {e}");
                    return None;
                }
            };
            let SocketAddr::V4(peer) = peer else { continue };
            // A connection that no pair can be made for is closed, as the kernel does when it has no memory.
            match self.hand_over(end, peer, linger) {
                Ok(pair) => return Some(Arrived { pair, stream }),
                Err(e) => tracing::error!("a connection of {peer} is closed again: {e}"),
            }
        }
        None
    }

    fn hand_over(
        &mut self,
        end: BorrowedFd<'_>,
        peer: SocketAddrV4,
        linger: Option<Duration>,
    ) -> Result<Pair, Errno> {
        let pair = pair::make(false)?;
        pair.set_linger(linger)?;
        self.send(end, peer, pair.theirs.as_fd(), false)?;
        Ok(pair)
    }

    fn send(
        &mut self,
        end: BorrowedFd<'_>,
        peer: SocketAddrV4,
        fd: BorrowedFd<'_>,
        kernel: bool,
    ) -> Result<(), Errno> {
        let record = AcceptRecord {
            peer,
            v6: self.v6,
            kernel,
        };
        pair::send_with(end, &record.to_bytes(), fd)?;
        self.ahead += 1;
        Ok(())
    }

    /// Hands over a connection of the kernel's loopback, if there is one.
    fn next_of_kernel(&mut self, end: BorrowedFd<'_>) -> bool {
        let accepted = self.loopback.iter().find_map(kernel::accept);
        let Some(fd) = accepted else { return false };
        let unspecified = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        if let Err(e) = self.send(end, unspecified, fd.as_fd(), true) {
            tracing::debug!("handing over a connection of the loopback: {e}");
        }
        true
    }
}
