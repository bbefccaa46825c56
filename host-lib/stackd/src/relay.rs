//! One connection's bytes between the program's end and the stack.
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use ferrule::{TcpState, TcpStream};
use rustix::io::Errno;

use crate::{errno, pair};

/// Turns before another socket has its own.
const TURNS: usize = 8;

/// Bytes that one side has given and the other has not taken.
#[derive(Debug, Default)]
struct Left {
    bytes: Vec<u8>,
    from: usize,
}

impl Left {
    fn is_empty(&self) -> bool {
        self.from == self.bytes.len()
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self.from = 0;
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.from..]
    }

    fn took(&mut self, n: usize) {
        self.from += n;
        if self.is_empty() {
            // A connection that waits has no buffer.
            *self = Self::default();
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Relay {
    stream: TcpStream,
    to_net: Left,
    to_app: Left,
    app: Side,
    net: Side,
    /// The program wants no more to read.
    deaf: bool,
    /// What the connection has failed with; what came before is still delivered.
    failed: Option<i32>,
    /// The program has closed with bytes unread, or wants its connection cut off.
    abort: bool,
}

/// What one side still sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Open,
    /// It has ended, and the other side is not told yet.
    Ended,
    /// The other side knows.
    Told,
    /// Nobody is there any more.
    Gone,
}

/// Where a connection stands after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It waits for either side.
    Waits,
    /// There is more to move.
    More,
    /// Both ways have ended.
    Finished,
    /// The program has closed its end.
    Closed,
    /// It has failed with this errno.
    Failed(i32),
}

/// Whether a step has moved something.
type Moved = bool;

impl Relay {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            to_net: Left::default(),
            to_app: Left::default(),
            app: Side::Open,
            net: Side::Open,
            deaf: false,
            failed: None,
            abort: false,
        }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The connection, once nothing is left to be moved.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Bytes that have come and are not in the program's end yet.
    ///
    /// # Errors
    /// When the NIC fails.
    pub(crate) fn unread(&self) -> std::io::Result<usize> {
        Ok(match self.deaf {
            true => 0,
            false => self.to_app.rest().len() + self.stream.unread()?,
        })
    }

    /// Bytes that the program has sent and the peer has not acknowledged.
    ///
    /// # Errors
    /// When the NIC fails.
    pub(crate) fn unacknowledged(&self, end: BorrowedFd<'_>) -> std::io::Result<usize> {
        Ok(pair::unread(end) + self.to_net.rest().len() + self.stream.unacknowledged()?)
    }

    /// Cuts the connection off when it is closed (SO_LINGER with a time of zero).
    pub(crate) fn set_abort(&mut self, abort: bool) {
        self.abort = abort;
    }

    /// Moves what there is, both ways, for some turns.
    pub(crate) fn run(&mut self, end: &OwnedFd, scratch: &mut [u8]) -> Progress {
        for _ in 0..TURNS {
            let out = self.outwards(end.as_fd(), scratch);
            let inwards = self.inwards(end, scratch);
            if let Some(failed) = self.failed {
                if self.to_app.is_empty() || self.deaf || self.app == Side::Gone {
                    return Progress::Failed(failed);
                }
            }
            if self.is_finished() {
                self.close();
                return match self.app {
                    Side::Gone => Progress::Closed,
                    _ => Progress::Finished,
                };
            }
            if !(out || inwards) {
                return Progress::Waits;
            }
        }
        Progress::More
    }

    fn is_finished(&self) -> bool {
        let out = self.to_net.is_empty();
        match self.app {
            Side::Gone => out || self.abort,
            Side::Told => out && self.net == Side::Told,
            _ => false,
        }
    }

    /// Sees to how the stream is closed when it is dropped.
    fn close(&self) {
        let unread = self.app == Side::Gone && !self.to_app.is_empty();
        if self.abort || unread {
            // As Linux: what the program did not read is lost, and its peer is to know.
            if let Err(e) = self.stream.set_linger(Some(Duration::ZERO)) {
                tracing::debug!("cutting a connection off: {e}");
            }
        }
    }

    /// From the program to the stack.
    fn outwards(&mut self, end: BorrowedFd<'_>, scratch: &mut [u8]) -> Moved {
        if self.failed.is_some() {
            return false;
        }
        if !self.to_net.is_empty() {
            let wrote = (&self.stream).write(self.to_net.rest());
            return match wrote {
                Ok(n) => {
                    self.to_net.took(n);
                    true
                }
                Err(e) => self.blocked(&e),
            };
        }
        match self.app {
            Side::Open => {}
            Side::Ended => {
                // Nothing is left to be sent before it.
                if let Err(e) = self.stream.shutdown(Shutdown::Write) {
                    return self.blocked(&e);
                }
                self.app = Side::Told;
                return true;
            }
            Side::Told => {
                // It may still close.
                if self.net == Side::Open && pair::is_hung_up(end) {
                    self.app = Side::Gone;
                    return true;
                }
                return false;
            }
            Side::Gone => return false,
        }
        match pair::recv(end, scratch) {
            Ok(0) => {
                let gone = self.net == Side::Open && pair::is_hung_up(end);
                self.app = if gone { Side::Gone } else { Side::Ended };
                true
            }
            Ok(n) => {
                let wrote = match (&self.stream).write(&scratch[..n]) {
                    Ok(wrote) => wrote,
                    Err(e) => {
                        self.blocked(&e);
                        0
                    }
                };
                if wrote < n {
                    self.to_net.keep(&scratch[wrote..n]);
                }
                true
            }
            Err(Errno::AGAIN | Errno::INTR) => false,
            Err(e) => {
                if e != Errno::CONNRESET {
                    tracing::debug!("reading what a program sends: {e}");
                }
                self.app = Side::Gone;
                self.abort = true;
                true
            }
        }
    }

    /// From the stack to the program.
    fn inwards(&mut self, end: &OwnedFd, scratch: &mut [u8]) -> Moved {
        if self.app == Side::Gone {
            return false;
        }
        if !self.to_app.is_empty() {
            return match pair::send(end.as_fd(), &[IoSlice::new(self.to_app.rest())]) {
                Ok(n) => {
                    self.to_app.took(n);
                    true
                }
                Err(e) => self.not_taken(e),
            };
        }
        match self.net {
            Side::Open => {}
            Side::Ended => {
                pair::end_of_stream(end);
                self.net = Side::Told;
                return true;
            }
            Side::Told => return self.has_failed(),
            Side::Gone => return false,
        }
        match (&self.stream).read(scratch) {
            Ok(0) => {
                self.net = Side::Ended;
                true
            }
            Ok(n) => {
                if self.deaf {
                    return true;
                }
                let sent = match pair::send(end.as_fd(), &[IoSlice::new(&scratch[..n])]) {
                    Ok(sent) => sent,
                    Err(e) => {
                        self.not_taken(e);
                        0
                    }
                };
                if sent < n && !self.deaf {
                    self.to_app.keep(&scratch[sent..n]);
                }
                true
            }
            Err(e) => self.blocked(&e),
        }
    }

    /// The program takes nothing now, or never again.
    fn not_taken(&mut self, e: Errno) -> Moved {
        match e {
            Errno::AGAIN | Errno::INTR => false,
            // It has shut its end for reading, or closed it, which reading will tell.
            _ => {
                self.deaf = true;
                self.to_app = Left::default();
                true
            }
        }
    }

    /// Whether the peer, which had sent its last byte, has cut the connection off since: no call that moves bytes would tell before the program sends.
    fn has_failed(&mut self) -> Moved {
        let closed = matches!(self.stream.state(), Ok(TcpState::Closed));
        if closed && self.app == Side::Open {
            let error = self.stream.take_error().ok().flatten();
            self.failed = Some(error.map_or(libc::EPIPE, |e| errno::of(&e)));
        }
        self.failed.is_some()
    }

    fn blocked(&mut self, e: &std::io::Error) -> Moved {
        if e.kind() != ErrorKind::WouldBlock {
            self.failed = Some(errno::of(e));
        }
        false
    }
}
