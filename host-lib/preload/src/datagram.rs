//! Datagrams, each with its header before it in the pair.
use std::ffi::{c_int, c_void};
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, BorrowedFd};

use ferrule_preload_protocol::{
    sockaddr, Choices, DatagramHeader, Destination, Op, SocketState, DATAGRAM_HEADER, MAX_DATAGRAM,
};
use libc::{iovec, size_t, ssize_t};
use rustix::io::Errno;
use rustix::net::{sockopt, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags};

use crate::{ancillary, control, stackd, sys, table};

/// The most parts of a message (UIO_MAXIOV), less that of the header.
const MAX_PARTS: usize = 1_023;

/// A caller's memory, in parts.
pub(crate) struct Parts(Vec<iovec>);

impl Parts {
    /// One part.
    ///
    /// # Safety
    /// It is memory of the caller's, of this length, as long as this lives.
    pub(crate) unsafe fn one(at: *mut c_void, len: size_t) -> Self {
        Self(vec![iovec {
            iov_base: at,
            iov_len: len,
        }])
    }

    /// Several parts.
    ///
    /// # Errors
    /// EMSGSIZE for more than there may be.
    ///
    /// # Safety
    /// As [`Parts::one`], of each; there are so many.
    pub(crate) unsafe fn many(parts: *const iovec, count: size_t) -> Result<Self, c_int> {
        if count > MAX_PARTS {
            return Err(libc::EMSGSIZE);
        }
        if parts.is_null() {
            return match count {
                0 => Ok(Self(vec![])),
                _ => Err(libc::EFAULT),
            };
        }
        let part = |i| {
            // SAFETY: the caller says that there are so many.
            let at = unsafe { parts.add(i) };
            // SAFETY: as above; where they lie the kernel does not mind either.
            unsafe { at.read_unaligned() }
        };
        Ok(Self((0..count).map(part).collect()))
    }

    /// Bytes of all.
    pub(crate) fn len(&self) -> usize {
        self.0
            .iter()
            .fold(0usize, |sum, part| sum.saturating_add(part.iov_len))
    }

    /// Whether there is memory at all: the kernel would say so itself, but these are read here.
    ///
    /// # Errors
    /// EFAULT.
    fn check(&self) -> Result<(), c_int> {
        let missing = |part: &iovec| part.iov_base.is_null() && part.iov_len > 0;
        match self.0.iter().any(missing) {
            true => Err(libc::EFAULT),
            false => Ok(()),
        }
    }

    fn slices(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter(|part| part.iov_len > 0).map(|part| {
            // SAFETY: memory of the caller's, as those that make it say.
            unsafe { std::slice::from_raw_parts(part.iov_base.cast::<u8>(), part.iov_len) }
        })
    }

    fn slices_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.0.iter().filter(|part| part.iov_len > 0).map(|part| {
            // SAFETY: memory of the caller's, as those that make it say; parts that overlap are the caller's own doing.
            unsafe { std::slice::from_raw_parts_mut(part.iov_base.cast::<u8>(), part.iov_len) }
        })
    }
}

/// A datagram that was received.
pub(crate) struct Got {
    /// What the call returns.
    pub(crate) result: ssize_t,
    /// The sender, as a `sockaddr`.
    pub(crate) from: Vec<u8>,
    /// MSG_TRUNC if it was longer.
    pub(crate) flags: c_int,
    /// The control messages that the program wants.
    pub(crate) control: ancillary::Messages,
}

/// Receives a datagram.
///
/// # Errors
/// An errno: the kernel's, or what stackd tells.
pub(crate) fn recv(fd: c_int, v6: bool, parts: &mut Parts, flags: c_int) -> Result<Got, c_int> {
    if flags & libc::MSG_ERRQUEUE != 0 {
        return Err(libc::EAGAIN);
    }
    let fd = sys::fd(fd).ok_or(libc::EBADF)?;
    parts.check()?;
    let room = parts.len();
    let mut header = [0; DATAGRAM_HEADER];
    let mut slices = vec![IoSliceMut::new(&mut header)];
    slices.extend(parts.slices_mut().map(IoSliceMut::new));
    // Its true length shows that it was cut, whatever the caller has asked for.
    // There is no urgent data, and nothing to be said of that.
    let asked = RecvFlags::from_bits_retain((flags & !libc::MSG_OOB) as u32) | RecvFlags::TRUNC;
    let got = rustix::net::recvmsg(fd, &mut slices, &mut RecvAncillaryBuffer::default(), asked)
        .map_err(|e| e.raw_os_error())?;
    if got.bytes == 0 {
        // Shut down for reading, or stackd is gone.
        let number = fd.as_raw_fd();
        let waits = flags & libc::MSG_DONTWAIT == 0 && !control::is_nonblocking(number);
        return match control::is_hung_up(number) {
            true => Err(libc::ENETDOWN),
            false if !waits => Err(libc::EAGAIN),
            false => Ok(Got {
                result: 0,
                from: vec![],
                flags: 0,
                control: ancillary::Messages::default(),
            }),
        };
    }
    match DatagramHeader::from_bytes(&header) {
        Some(DatagramHeader::In {
            from,
            to,
            ttl,
            tos,
            tell,
        }) => {
            let len = got.bytes.saturating_sub(DATAGRAM_HEADER);
            let cut = len > room;
            let result = match flags & libc::MSG_TRUNC != 0 {
                true => len,
                false => len.min(room),
            };
            Ok(Got {
                result: result as ssize_t,
                from: sockaddr(from, v6),
                flags: if cut { libc::MSG_TRUNC } else { 0 },
                control: ancillary::Messages::of(tell, to, ttl, tos, v6),
            })
        }
        Some(DatagramHeader::Error(errno)) => Err(errno),
        _ => Err(libc::EPROTO),
    }
}

/// Sends a datagram; to the connected peer without an address.
///
/// # Errors
/// An errno.
pub(crate) fn send(
    fd: c_int,
    v6: bool,
    connected: bool,
    parts: &Parts,
    to: Option<&[u8]>,
    choices: Choices,
    flags: c_int,
) -> Result<ssize_t, c_int> {
    let len = parts.len();
    if len > MAX_DATAGRAM {
        return Err(libc::EMSGSIZE);
    }
    if flags & libc::MSG_OOB != 0 {
        return Err(libc::EOPNOTSUPP);
    }
    let to = match to {
        Some(bytes) if !bytes.is_empty() => {
            let to = address(bytes, v6)?;
            if to.port() == 0 {
                return Err(libc::EINVAL);
            }
            Some(to)
        }
        _ => {
            if !connected && !is_connected(fd, v6) {
                return Err(libc::EDESTADDRREQ);
            }
            None
        }
    };
    let fd = sys::fd(fd).ok_or(libc::EBADF)?;
    if let Some(to) = to {
        may_send(fd, *to.ip())?;
    }
    // Others are not told of any.
    let pending = connected.then(|| pending_error(fd)).flatten();
    if let Some(errno) = pending {
        return Err(errno);
    }
    let header = DatagramHeader::Out { to, choices }.to_bytes();
    parts.check()?;
    let mut slices = vec![IoSlice::new(&header)];
    slices.extend(parts.slices().map(IoSlice::new));
    let flags = SendFlags::from_bits_retain((flags & libc::MSG_DONTWAIT) as u32);
    let sent = rustix::net::sendmsg(
        fd,
        &slices,
        &mut SendAncillaryBuffer::default(),
        flags | SendFlags::NOSIGNAL,
    );
    match sent {
        Ok(_) => Ok(len as ssize_t),
        // stackd is gone.
        Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => Err(libc::ENETDOWN),
        Err(e) => Err(e.raw_os_error()),
    }
}

/// Whether a datagram has a way to an address, and the socket leave to send it there.
fn may_send(fd: BorrowedFd<'_>, to: Ipv4Addr) -> Result<(), c_int> {
    if to.is_loopback() || to.is_unspecified() {
        // This host itself.
        return Ok(());
    }
    match stackd::destination(to) {
        Destination::Reached => Ok(()),
        Destination::Unreachable => Err(libc::ENETUNREACH),
        Destination::Everybody => match sockopt::socket_broadcast(fd) {
            Ok(true) => Ok(()),
            _ => Err(libc::EACCES),
        },
    }
}

/// Takes the error that is the next thing to be received, if it is one.
pub(crate) fn pending_error(fd: BorrowedFd<'_>) -> Option<c_int> {
    let mut header = [0; DATAGRAM_HEADER];
    let mut receive = |flags: RecvFlags| {
        let mut control = RecvAncillaryBuffer::default();
        let to = &mut [IoSliceMut::new(&mut header)];
        let got = rustix::net::recvmsg(fd, to, &mut control, flags | RecvFlags::DONTWAIT);
        got.ok().filter(|got| got.bytes > 0)?;
        match DatagramHeader::from_bytes(&header) {
            Some(DatagramHeader::Error(errno)) => Some(errno),
            _ => None,
        }
    };
    receive(RecvFlags::PEEK)?;
    receive(RecvFlags::empty())
}

/// Another process, or an earlier life of this one, may have connected it.
fn is_connected(fd: c_int, v6: bool) -> bool {
    let state = stackd::call(fd, Op::State, 0, 0, &[])
        .ok()
        .and_then(|answer| SocketState::from_number(answer.value));
    let connected = matches!(state, Some((SocketState::ConnectedDatagram, _)));
    if connected {
        table::set(fd, SocketState::ConnectedDatagram, v6);
    }
    connected
}

/// Bytes of the next datagram (FIONREAD).
pub(crate) fn unread(fd: c_int) -> c_int {
    let Some(fd) = sys::fd(fd) else { return 0 };
    let mut header = [0; DATAGRAM_HEADER];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT | RecvFlags::TRUNC;
    let got = rustix::net::recvmsg(
        fd,
        &mut [IoSliceMut::new(&mut header)],
        &mut RecvAncillaryBuffer::default(),
        flags,
    );
    got.map_or(0, |got| got.bytes.saturating_sub(DATAGRAM_HEADER) as c_int)
}

/// A destination.
fn address(bytes: &[u8], v6: bool) -> Result<SocketAddrV4, c_int> {
    let family = bytes.get(..2).ok_or(libc::EINVAL)?;
    let family = c_int::from(u16::from_ne_bytes([family[0], family[1]]));
    let port = |b: &[u8]| u16::from_be_bytes([b[2], b[3]]);
    match (family, v6) {
        (libc::AF_INET, _) => {
            let b = bytes.get(..8).ok_or(libc::EINVAL)?;
            let ip = Ipv4Addr::new(b[4], b[5], b[6], b[7]);
            Ok(SocketAddrV4::new(ip, port(b)))
        }
        (libc::AF_INET6, true) => {
            let b = bytes.get(..24).ok_or(libc::EINVAL)?;
            let octets: [u8; 16] = b[8..24].try_into().map_err(|_| libc::EINVAL)?;
            let mapped = Ipv6Addr::from(octets).to_ipv4_mapped();
            // IPv6 proper is the kernel's, and this socket is not.
            Ok(SocketAddrV4::new(mapped.ok_or(libc::ENETUNREACH)?, port(b)))
        }
        (_, true) => Err(libc::EINVAL),
        (_, false) => Err(libc::EAFNOSUPPORT),
    }
}
