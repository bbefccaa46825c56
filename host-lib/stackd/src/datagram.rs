//! One UDP socket's datagrams between the program's end and the stack.
use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket as KernelSocket};
use std::os::fd::{AsFd, BorrowedFd};

use ferrule::{SendOptions, UdpSocket};
use ferrule_preload_protocol::{Choices, DatagramHeader, Tell, DATAGRAM_HEADER, MAX_DATAGRAM};
use rustix::io::Errno;

use crate::kernel::Reuse;
use crate::relay::Progress;
use crate::{errno, kernel, pair};

/// Datagrams each way before another socket has its turn.
const TURNS: usize = 32;

/// A UDP socket.
#[derive(Debug)]
pub(crate) struct Datagrams {
    socket: UdpSocket,
    /// What the program wants to be told of each.
    pub(crate) tell: Tell,
    /// The same port on the kernel's loopback, once it is needed.
    loopback: Option<KernelSocket>,
    /// Nobody waits for it yet.
    loopback_is_new: bool,
    /// A message that the stack had no room for.
    to_net: Option<Vec<u8>>,
    /// One that the program's end had no room for.
    to_app: Option<Vec<u8>>,
}

impl Datagrams {
    pub(crate) fn new(socket: UdpSocket) -> Self {
        Self {
            socket,
            tell: Tell::default(),
            loopback: None,
            loopback_is_new: false,
            to_net: None,
            to_app: None,
        }
    }

    pub(crate) fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// The socket on the kernel's loopback, once after it was made: it is to be waited for.
    pub(crate) fn new_loopback(&mut self) -> Option<BorrowedFd<'_>> {
        let is_new = std::mem::take(&mut self.loopback_is_new);
        let loopback = self.loopback.as_ref().filter(|_| is_new);
        loopback.map(AsFd::as_fd)
    }

    /// Takes a port on the kernel's loopback.
    ///
    /// # Errors
    /// As bind(2).
    pub(crate) fn take_loopback(&mut self, port: u16, reuse: Reuse) -> Result<(), Errno> {
        self.loopback = Some(kernel::take_datagrams(port, reuse)?.into());
        self.loopback_is_new = true;
        Ok(())
    }

    /// Moves what there is, both ways, for some turns.
    pub(crate) fn run(&mut self, end: BorrowedFd<'_>, scratch: &mut [u8]) -> Progress {
        for _ in 0..TURNS {
            let out = match self.outwards(end, scratch) {
                Some(moved) => moved,
                None => return Progress::Closed,
            };
            let inwards = self.inwards(end, scratch);
            if !(out || inwards) {
                return Progress::Waits;
            }
        }
        Progress::More
    }

    /// From the program to the stack; none when the program has closed.
    fn outwards(&mut self, end: BorrowedFd<'_>, scratch: &mut [u8]) -> Option<bool> {
        let sent = match self.to_net.take() {
            Some(message) => {
                let sent = self.send(&message);
                if matches!(&sent, Err(e) if e.kind() == ErrorKind::WouldBlock) {
                    self.to_net = Some(message);
                    return Some(false);
                }
                sent
            }
            None => {
                let n = match pair::recv(end, scratch) {
                    Ok(0) => return None,
                    Ok(n) => n,
                    Err(Errno::AGAIN | Errno::INTR) => return Some(false),
                    Err(_) => return None,
                };
                let sent = self.send(&scratch[..n]);
                if matches!(&sent, Err(e) if e.kind() == ErrorKind::WouldBlock) {
                    self.to_net = Some(scratch[..n].to_vec());
                    return Some(false);
                }
                sent
            }
        };
        if let Err(e) = sent {
            // The program's next call tells of it.
            let error = DatagramHeader::Error(errno::of(&e));
            if let Err(e) = pair::send(end, &[IoSlice::new(&error.to_bytes())]) {
                tracing::debug!("telling of a datagram that was not sent: {e}");
            }
        }
        Some(true)
    }

    fn send(&mut self, message: &[u8]) -> std::io::Result<()> {
        let header = DatagramHeader::from_bytes(message);
        let Some(DatagramHeader::Out { to, choices }) = header else {
            return Err(Errno::INVAL.into());
        };
        let Choices { source, ttl, tos } = choices;
        let payload = &message[DATAGRAM_HEADER..];
        match to {
            Some(to) if to.ip().is_loopback() => self.send_loopback(payload, to),
            to => self
                .socket
                .send_message(
                    &[IoSlice::new(payload)],
                    to.map(SocketAddr::V4),
                    SendOptions { source, ttl, tos },
                )
                .map(|_| ()),
        }
    }

    fn send_loopback(&mut self, payload: &[u8], to: SocketAddrV4) -> std::io::Result<()> {
        if self.loopback.is_none() {
            let port = self.socket.local_addr().map_or(0, |addr| addr.port());
            self.take_loopback(port, Reuse::default())?;
        }
        match &self.loopback {
            Some(loopback) => loopback.send_to(payload, to).map(|_| ()),
            None => Err(Errno::NETUNREACH.into()),
        }
    }

    /// From the stack, and the kernel's loopback, to the program.
    fn inwards(&mut self, end: BorrowedFd<'_>, scratch: &mut [u8]) -> bool {
        if let Some(message) = self.to_app.take() {
            return match pair::send(end, &[IoSlice::new(&message)]) {
                Err(Errno::AGAIN | Errno::INTR) => {
                    self.to_app = Some(message);
                    false
                }
                _ => true,
            };
        }
        let (head, body) = scratch.split_at_mut(DATAGRAM_HEADER);
        let body = &mut body[..MAX_DATAGRAM];
        let (header, len) = match self.socket.recv_message(&mut [IoSliceMut::new(body)]) {
            Ok(got) => (
                DatagramHeader::In {
                    from: got.from,
                    to: got.to,
                    ttl: got.ttl,
                    tos: got.tos,
                    tell: self.tell,
                },
                got.copied,
            ),
            Err(e) if e.kind() == ErrorKind::WouldBlock => match self.recv_loopback(body) {
                Some(received) => received,
                None => return false,
            },
            Err(e) => (DatagramHeader::Error(errno::of(&e)), 0),
        };
        head.copy_from_slice(&header.to_bytes());
        let message = &scratch[..DATAGRAM_HEADER + len];
        match pair::send(end, &[IoSlice::new(message)]) {
            Err(Errno::AGAIN | Errno::INTR) => {
                self.to_app = Some(message.to_vec());
                false
            }
            // Closed: reading tells.
            _ => true,
        }
    }

    fn recv_loopback(&self, body: &mut [u8]) -> Option<(DatagramHeader, usize)> {
        let (n, from) = self.loopback.as_ref()?.recv_from(body).ok()?;
        let SocketAddr::V4(from) = from else {
            return None;
        };
        let header = DatagramHeader::In {
            from,
            to: Ipv4Addr::LOCALHOST,
            ttl: 64,
            tos: 0,
            tell: self.tell,
        };
        Some((header, n))
    }
}
