//! Sending and receiving whole vfio-user messages, with descriptors, over a unix stream socket.
use super::proto::{Header, ProtoError, HEADER_LEN, MAX_FDS, MAX_MESSAGE};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{
    recvmsg, sendmsg, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// What can go wrong on the socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The peer closed the connection.
    #[error("the vfio-user peer closed the connection")]
    Closed,
    /// The peer closed it in the middle of a message.
    #[error("the vfio-user peer closed the connection within a message ({got} bytes of it came)")]
    Cut {
        /// Bytes of the message that came.
        got: usize,
    },
    /// Nothing came, or nothing could be sent, within the time.
    #[error("the vfio-user peer did not answer within {0:?}; is the simulator hanging?")]
    Timeout(Duration),
    /// The bytes are no vfio-user message; the connection cannot be used any more.
    #[error("malformed vfio-user message: {0}")]
    Malformed(#[from] ProtoError),
    /// A message carries more descriptors than [`MAX_FDS`], or is too long to be sent.
    #[error("a vfio-user message of {bytes} bytes and {fds} descriptors or more is over the limits ({MAX_MESSAGE} and {MAX_FDS})")]
    TooBig {
        /// Bytes of the message.
        bytes: usize,
        /// Descriptors that came or were to be sent.
        fds: usize,
    },
    /// The operating system's error.
    #[error("vfio-user socket: {0}")]
    Io(#[from] io::Error),
}

impl From<Errno> for SocketError {
    fn from(e: Errno) -> Self {
        match e {
            Errno::PIPE | Errno::CONNRESET => Self::Closed,
            e => Self::Io(e.into()),
        }
    }
}

/// A whole message.
#[derive(Debug)]
pub struct Message {
    /// Its header, checked.
    pub header: Header,
    /// What follows the header.
    pub body: Vec<u8>,
    /// The descriptors that came with it.
    pub fds: Vec<OwnedFd>,
}

/// One end of a vfio-user connection. It never reads beyond the message at hand, so that descriptors stay with their message.
#[derive(Debug)]
pub struct Connection {
    socket: UnixStream,
    /// Bytes of the message at hand that have come.
    partial: Vec<u8>,
    fds: Vec<OwnedFd>,
    header: Option<Header>,
}

impl Connection {
    /// Takes over a connected socket; it is made non-blocking.
    ///
    /// # Errors
    /// What fcntl(2) reports.
    pub fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            partial: Vec::new(),
            fds: Vec::new(),
            header: None,
        })
    }

    /// Sends one message; `header.size` is filled in. Blocks for at most `timeout` while the peer does not read.
    ///
    /// # Errors
    /// [`SocketError::Timeout`] leaves a part of the message sent: the connection must be given up.
    pub fn send(
        &mut self,
        header: Header,
        body: &[u8],
        fds: &[BorrowedFd<'_>],
        timeout: Duration,
    ) -> Result<(), SocketError> {
        let size = HEADER_LEN + body.len();
        if size > MAX_MESSAGE || fds.len() > MAX_FDS {
            return Err(SocketError::TooBig {
                bytes: size,
                fds: fds.len(),
            });
        }
        let mut message = Vec::with_capacity(size);
        let header = Header {
            size: size as u32,
            ..header
        };
        header.encode(&mut message);
        message.extend_from_slice(body);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(fds));
        }
        let deadline = Instant::now() + timeout;
        let mut rest = &message[..];
        while !rest.is_empty() {
            match sendmsg(
                &self.socket,
                &[IoSlice::new(rest)],
                &mut control,
                SendFlags::NOSIGNAL,
            ) {
                Ok(n) => {
                    rest = &rest[n..];
                    control.clear();
                }
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT, deadline, timeout)?,
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// The next message if all of it has come, `None` if not yet.
    ///
    /// # Errors
    /// Every error but a passing one means that the connection is of no more use.
    pub fn try_recv(&mut self) -> Result<Option<Message>, SocketError> {
        loop {
            let want = match self.header {
                None if self.partial.len() == HEADER_LEN => {
                    let mut bytes = [0; HEADER_LEN];
                    bytes.copy_from_slice(&self.partial);
                    self.header = Some(Header::parse(&bytes)?);
                    continue;
                }
                None => HEADER_LEN,
                Some(header) if self.partial.len() == header.size as usize => {
                    self.header = None;
                    let body = self.partial.split_off(HEADER_LEN);
                    self.partial.clear();
                    let fds = std::mem::take(&mut self.fds);
                    return Ok(Some(Message { header, body, fds }));
                }
                Some(header) => header.size as usize,
            };
            if !self.fill(want)? {
                return Ok(None);
            }
        }
    }

    /// The next message; blocks for at most `timeout`.
    ///
    /// # Errors
    /// Every error means that the connection is of no more use.
    pub fn recv(&mut self, timeout: Duration) -> Result<Message, SocketError> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(message) = self.try_recv()? {
                return Ok(message);
            }
            self.wait(PollFlags::IN, deadline, timeout)?;
        }
    }

    /// Reads some bytes towards a message of `want` bytes; false: none there yet.
    fn fill(&mut self, want: usize) -> Result<bool, SocketError> {
        let have = self.partial.len();
        // A size field alone makes nobody allocate 1 MiB: grow as the bytes come.
        let room = want.min(have + 64 * 1024);
        self.partial.resize(room, 0);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let result = recvmsg(
            &self.socket,
            &mut [IoSliceMut::new(&mut self.partial[have..])],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        );
        let got = result.as_ref().map_or(0, |r| r.bytes);
        self.partial.truncate(have + got);
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                self.fds.extend(fds);
            }
        }
        match result {
            Ok(r) if r.flags.contains(ReturnFlags::CTRUNC) || self.fds.len() > MAX_FDS => {
                Err(SocketError::TooBig {
                    bytes: want,
                    fds: self.fds.len(),
                })
            }
            Ok(_) if got > 0 => Ok(true),
            Ok(_) if have == 0 => Err(SocketError::Closed),
            Ok(_) => Err(SocketError::Cut { got: have }),
            Err(Errno::AGAIN) => Ok(false),
            Err(Errno::INTR) => Ok(true),
            Err(e) => Err(e.into()),
        }
    }

    fn wait(
        &self,
        flags: PollFlags,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<(), SocketError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(SocketError::Timeout(timeout));
        }
        let left = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(&self.socket, flags)], Some(&left)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
