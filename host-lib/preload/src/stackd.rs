//! Calls to stackd: a connection each, so that threads, forks and closed descriptors have nothing to disturb.
use std::ffi::c_int;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::OnceLock;
use std::time::Duration;

use ferrule_preload_protocol::{
    Address, Destination, Op, Reach, Reply, Request, Rules, Transport, Verdict, MAX_MESSAGE,
};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::{retry_on_intr, Errno};
use rustix::net::{
    sockopt, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags,
    SendAncillaryBuffer, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

use crate::{program, sys};

/// Where stackd is, what to say to it, and what it is asked for.
struct Stackd {
    addr: SocketAddrUnix,
    secret: [u8; 16],
    rules: Rules,
}

impl Stackd {
    /// A request as bytes.
    fn request(&self, cookie: u64, op: Op, a: i32, b: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![];
        Request {
            op,
            cookie,
            a,
            b,
            secret: self.secret,
            data,
        }
        .write(&mut bytes);
        bytes
    }
}

static STACKD: OnceLock<Option<Stackd>> = OnceLock::new();
/// It is being read, before there is any other thread.
static BEGUN: AtomicBool = AtomicBool::new(false);

/// Reads the environment before the program can change it.
extern "C" fn begin() {
    stackd();
}

/// Run by the dynamic loader.
#[used]
#[link_section = ".init_array"]
static BEGIN: extern "C" fn() = begin;

fn stackd() -> Option<&'static Stackd> {
    let read = || {
        let setting = std::env::var(Address::VARIABLE).ok()?;
        let address: Address = setting.parse().ok()?;
        let addr = SocketAddrUnix::new_abstract_name(address.name.as_bytes()).ok()?;
        let rules = std::env::var(Rules::VARIABLE).ok();
        // `ferrule run` has refused what cannot be read.
        let rules: Rules = rules.and_then(|text| text.parse().ok()).unwrap_or_default();
        let whose = program::names();
        let names: Vec<&str> = whose.iter().map(String::as_str).collect();
        rules.take_program(&names).then_some(Stackd {
            addr,
            secret: address.secret,
            rules,
        })
    };
    if let Some(known) = STACKD.get() {
        return known.as_ref();
    }
    // Reading who this is makes calls that ask the same: for these nobody is there.
    if BEGUN.swap(true, Ordering::Relaxed) {
        return None;
    }
    STACKD.get_or_init(read).as_ref()
}

/// Whether this process was told of a stackd, and is one of those that go there.
pub(crate) fn is_there() -> bool {
    stackd().is_some()
}

/// Where datagrams can be sent; everywhere, if stackd does not say.
pub(crate) fn destination(address: Ipv4Addr) -> Destination {
    static REACH: OnceLock<Reach> = OnceLock::new();
    if REACH.get().is_none() {
        let answer = call_of(0, Op::Reach, 0, 0, &[]).ok();
        if let Some(reach) = answer.and_then(|answer| Reach::from_bytes(&answer.data)) {
            // Another thread's is the same.
            let _ = REACH.set(reach);
        }
    }
    let reach = REACH.get();
    reach.map_or(Destination::Reached, |reach| reach.of(address))
}

/// Whether a port is for the NIC.
pub(crate) fn takes_port(port: u16, transport: Transport) -> bool {
    stackd().is_some_and(|stackd| stackd.rules.take_port(port, transport))
}

/// What stackd has answered.
pub(crate) struct Answer {
    pub(crate) value: i32,
    pub(crate) data: Vec<u8>,
    pub(crate) fd: Option<OwnedFd>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// An errno for the program.
    Errno(c_int),
    /// A new socket is to take this one's place.
    Replace,
}

impl From<Failed> for c_int {
    fn from(failed: Failed) -> c_int {
        match failed {
            Failed::Errno(errno) => errno,
            Failed::Replace => libc::EINVAL,
        }
    }
}

/// A call about a socket of this process.
///
/// # Errors
/// ENETDOWN when stackd is gone; what it says.
pub(crate) fn call(fd: c_int, op: Op, a: i32, b: i32, data: &[u8]) -> Result<Answer, Failed> {
    let cookie = cookie(fd).map_err(|e| Failed::Errno(e.raw_os_error()))?;
    call_of(cookie, op, a, b, data)
}

/// A socket's name.
pub(crate) fn cookie(fd: c_int) -> Result<u64, Errno> {
    sockopt::socket_cookie(sys::fd(fd).ok_or(Errno::BADF)?)
}

/// A call about the socket of a cookie.
///
/// # Errors
/// As [`call`].
pub(crate) fn call_of(cookie: u64, op: Op, a: i32, b: i32, data: &[u8]) -> Result<Answer, Failed> {
    let stackd = stackd().ok_or(Failed::Errno(libc::ENETDOWN))?;
    let bytes = stackd.request(cookie, op, a, b, data);
    if bytes.len() > MAX_MESSAGE {
        return Err(Failed::Errno(libc::EINVAL));
    }
    let mut answer = [0; MAX_MESSAGE];
    let (n, fd) = exchange(stackd, &bytes, &mut answer).map_err(|e| {
        Failed::Errno(match e {
            // The program's own limits.
            Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS => e.raw_os_error(),
            _ => libc::ENETDOWN,
        })
    })?;
    let reply = Reply::read(&answer[..n]).ok_or(Failed::Errno(libc::ENETDOWN))?;
    match reply.verdict {
        Verdict::Done(value) => Ok(Answer {
            value,
            data: reply.data.to_vec(),
            fd,
        }),
        Verdict::Errno(errno) => Err(Failed::Errno(errno)),
        Verdict::Replace => Err(Failed::Replace),
    }
}

/// Waits until stackd answers a call about the socket of a cookie, a signal comes, or the time is over.
pub(crate) fn wait(cookie: u64, op: Op, longest: Duration) {
    let Some(stackd) = stackd() else { return };
    if let Ok(socket) = ask(stackd, &stackd.request(cookie, op, 0, 0, &[])) {
        let longest = Timespec::try_from(longest).ok();
        let mut answer = [PollFd::new(&socket, PollFlags::IN)];
        // Whatever ends it: there is nobody to be told.
        let _ = poll(&mut answer, longest.as_ref());
    }
}

/// Sends a request; whence the answer comes.
fn ask(stackd: &Stackd, request: &[u8]) -> Result<OwnedFd, Errno> {
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    retry_on_intr(|| rustix::net::connect(&socket, &stackd.addr))?;
    retry_on_intr(|| {
        rustix::net::sendmsg(
            &socket,
            &[IoSlice::new(request)],
            &mut SendAncillaryBuffer::default(),
            SendFlags::NOSIGNAL,
        )
    })?;
    Ok(socket)
}

fn exchange(
    stackd: &Stackd,
    request: &[u8],
    answer: &mut [u8],
) -> Result<(usize, Option<OwnedFd>), Errno> {
    let socket = ask(stackd, request)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = retry_on_intr(|| {
        rustix::net::recvmsg(
            socket.as_fd(),
            &mut [IoSliceMut::new(answer)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )
    })?;
    // It has closed without an answer.
    if got.bytes == 0 {
        return Err(Errno::CONNRESET);
    }
    Ok((got.bytes, first_fd(&mut control)))
}

/// The descriptor that came with a message.
pub(crate) fn first_fd(control: &mut RecvAncillaryBuffer<'_>) -> Option<OwnedFd> {
    control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    })
}
