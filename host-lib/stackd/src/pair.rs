//! The two ends of a socket: the program's and ours.
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{
    sockopt, AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    SocketFlags, SocketType,
};

/// A pair; the program's end is to be sent away, and its cookie is the socket's name.
pub(crate) struct Pair {
    pub(crate) ours: OwnedFd,
    pub(crate) theirs: OwnedFd,
    pub(crate) cookie: u64,
}

/// Makes a pair: a stream for TCP, messages for UDP.
///
/// # Errors
/// When there are no descriptors left.
pub(crate) fn make(messages: bool) -> Result<Pair, Errno> {
    let kind = match messages {
        true => SocketType::SEQPACKET,
        false => SocketType::STREAM,
    };
    let (ours, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    let cookie = sockopt::socket_cookie(&theirs)?;
    Ok(Pair {
        ours,
        theirs,
        cookie,
    })
}

impl Pair {
    /// Lets the program's end know with which time it is closed (SO_LINGER): a pair's close waits for nobody, but whoever has it can ask.
    ///
    /// # Errors
    /// As setsockopt(2).
    pub(crate) fn set_linger(&self, linger: Option<Duration>) -> Result<(), Errno> {
        match linger {
            // As it is made.
            None => Ok(()),
            linger => sockopt::set_socket_linger(&self.theirs, linger),
        }
    }
}

/// Bytes that the other side has sent and that were not received yet.
pub(crate) fn unread(end: BorrowedFd<'_>) -> usize {
    let unread = rustix::io::ioctl_fionread(end).unwrap_or(0);
    usize::try_from(unread).unwrap_or(usize::MAX)
}

/// Sends bytes with a descriptor.
///
/// # Errors
/// As sendmsg(2).
pub(crate) fn send_with(to: BorrowedFd<'_>, bytes: &[u8], fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    rustix::net::sendmsg(
        to,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
    )
    .map(|_| ())
}

/// Sends bytes without waiting; how many went.
///
/// # Errors
/// As sendmsg(2).
pub(crate) fn send(to: BorrowedFd<'_>, parts: &[IoSlice<'_>]) -> Result<usize, Errno> {
    rustix::net::sendmsg(
        to,
        parts,
        &mut SendAncillaryBuffer::default(),
        SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
    )
}

/// Receives without waiting; 0 at the end.
///
/// # Errors
/// As recvmsg(2).
pub(crate) fn recv(from: BorrowedFd<'_>, to: &mut [u8]) -> Result<usize, Errno> {
    let got = rustix::net::recvmsg(
        from,
        &mut [IoSliceMut::new(to)],
        &mut rustix::net::RecvAncillaryBuffer::default(),
        RecvFlags::DONTWAIT,
    )?;
    Ok(got.bytes)
}

/// Whether nobody has the other end any more, or whoever has it has shut it both ways. Means nothing once we have shut ours for writing.
pub(crate) fn is_hung_up(end: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(end, PollFlags::empty())];
    let at_once = Timespec::default();
    poll(&mut fds, Some(&at_once)).is_ok() && fds[0].revents().contains(PollFlags::HUP)
}

/// Shows the program that nothing more comes.
pub(crate) fn end_of_stream(end: &impl AsFd) {
    if let Err(e) = rustix::net::shutdown(end, rustix::net::Shutdown::Write) {
        tracing::debug!("ending a program's stream: {e}");
    }
}
