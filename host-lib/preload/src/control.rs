//! Calls that make, name and join sockets, and their options.
use std::ffi::{c_int, c_ulong, c_void};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};

use ferrule_preload_protocol::{sockaddr, AcceptRecord, Op, SocketState, Transport, ACCEPT_RECORD};
use libc::{sockaddr, socklen_t};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::io::{Errno, FdFlags};
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags,
    SocketType,
};

use crate::stackd::{self, Failed};
use crate::{datagram, next, sys, table};

/// What is put into a pair at a time so that it shows no room.
const FILLER: [u8; 16_384] = [0; 16_384];
/// The longest address that a caller may give.
const MAX_ADDRESS: socklen_t = 128;

/// socket(2).
#[no_mangle]
pub extern "C" fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    let right = match kind & !flags {
        libc::SOCK_STREAM => protocol == 0 || protocol == libc::IPPROTO_TCP,
        libc::SOCK_DGRAM => protocol == 0 || protocol == libc::IPPROTO_UDP,
        _ => false,
    };
    let ours = matches!(domain, libc::AF_INET | libc::AF_INET6) && right && stackd::is_there();
    if !ours {
        // SAFETY: numbers alone.
        let fd = unsafe { next::socket(domain, kind, protocol) };
        table::forget(fd);
        return fd;
    }
    sys::give(open(domain, kind & !flags, kind & flags, 0))
}

/// A new socket, like that of a cookie.
fn open(domain: c_int, kind: c_int, flags: c_int, like: u64) -> Result<c_int, c_int> {
    let answer = stackd::call_of(like, Op::Socket, domain, kind, &[])?;
    let fd = answer.fd.ok_or(libc::EMFILE)?;
    let close_on_exec = flags & libc::SOCK_CLOEXEC != 0;
    let fd = lowest(fd, close_on_exec).map_err(|e| e.raw_os_error())?;
    if flags & libc::SOCK_NONBLOCK != 0 {
        set_nonblocking(&fd).map_err(|e| e.raw_os_error())?;
    }
    let fd = fd.into_raw_fd();
    let state = match kind {
        libc::SOCK_STREAM => SocketState::Fresh,
        _ => SocketState::Datagram,
    };
    table::set(fd, state, domain == libc::AF_INET6);
    Ok(fd)
}

/// The descriptor with the lowest number that is free, as POSIX has it: the call to stackd took one for itself meanwhile.
fn lowest(fd: OwnedFd, close_on_exec: bool) -> Result<OwnedFd, Errno> {
    let copy = match close_on_exec {
        true => rustix::io::fcntl_dupfd_cloexec(&fd, 0)?,
        false => rustix::io::dup(&fd)?,
    };
    if copy.as_raw_fd() < fd.as_raw_fd() {
        return Ok(copy);
    }
    if !close_on_exec {
        rustix::io::fcntl_setfd(&fd, FdFlags::empty())?;
    }
    Ok(fd)
}

fn set_nonblocking(fd: &OwnedFd) -> Result<(), Errno> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)
}

pub(crate) fn is_nonblocking(fd: c_int) -> bool {
    sys::fd(fd)
        .and_then(|fd| rustix::fs::fcntl_getfl(fd).ok())
        .is_some_and(|flags| flags.contains(OFlags::NONBLOCK))
}

/// Puts another socket in a descriptor's place; flags stay.
fn put_in_place(new: OwnedFd, fd: c_int) -> Result<(), c_int> {
    let place = sys::fd(fd).ok_or(libc::EBADF)?;
    let failed = |e: Errno| e.raw_os_error();
    let flags = rustix::fs::fcntl_getfl(place).map_err(failed)?;
    rustix::fs::fcntl_setfl(&new, flags).map_err(failed)?;
    let kept = rustix::io::fcntl_getfd(place).map_err(failed)?;
    let close_on_exec = match kept.contains(FdFlags::CLOEXEC) {
        true => libc::O_CLOEXEC,
        false => 0,
    };
    // SAFETY: numbers alone.
    let placed = unsafe { next::dup3(new.as_raw_fd(), fd, close_on_exec) };
    table::forget(fd);
    match placed {
        -1 => Err(sys::errno()),
        _ => Ok(()),
    }
}

/// Makes a descriptor a socket of the kernel's, with the options that were set.
pub(crate) fn to_kernel(fd: c_int) -> Result<(), c_int> {
    let bound = stackd::call(fd, Op::Name, 0, 0, &[])?.data;
    let answer = stackd::call(fd, Op::ToKernel, 0, 0, &[])?;
    let (domain, kind) = (answer.value & 0xFFFF, answer.value >> 16);
    let new = rustix::net::socket_with(
        AddressFamily::from_raw(domain as u16),
        SocketType::from_raw(kind as u32),
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(|e| e.raw_os_error())?;
    let mut options = answer.data.as_slice();
    while let Some((head, rest)) = options.split_at_checked(12) {
        let word =
            |at: usize| i32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let len = usize::try_from(word(8)).unwrap_or(0);
        let Some((value, rest)) = rest.split_at_checked(len) else {
            break;
        };
        options = rest;
        // SAFETY: the value's own bytes. One that the kernel does not take it would not have taken before.
        unsafe {
            next::setsockopt(
                new.as_raw_fd(),
                word(0),
                word(4),
                value.as_ptr().cast(),
                len as socklen_t,
            )
        };
    }
    let port_is_bound = bound.get(2..4).is_some_and(|port| port != [0, 0]);
    if port_is_bound {
        // SAFETY: the address's own bytes.
        let result = unsafe {
            next::bind(
                new.as_raw_fd(),
                bound.as_ptr().cast(),
                bound.len() as socklen_t,
            )
        };
        if result == -1 {
            return Err(sys::errno());
        }
    }
    put_in_place(new, fd)?;
    table::set(fd, SocketState::Foreign, false);
    Ok(())
}

/// Whether a socket is TCP's or UDP's.
fn transport(state: SocketState) -> Transport {
    match state {
        SocketState::Datagram | SocketState::ConnectedDatagram => Transport::Udp,
        _ => Transport::Tcp,
    }
}

/// Whether rules leave an address' port to the kernel.
fn is_kernels_port(addr: &[u8], transport: Transport) -> bool {
    match addr.get(2..4) {
        // Any that is free is nobody's yet.
        None | Some([0, 0]) => false,
        Some(port) => !stackd::takes_port(u16::from_be_bytes([port[0], port[1]]), transport),
    }
}

/// Whether what is sent there takes a socket to the kernel: by its port, unless the socket has one of the NIC's.
pub(crate) fn leaves(fd: c_int, to: Option<&[u8]>) -> bool {
    let is_kernels = to.is_some_and(|to| is_kernels_port(to, Transport::Udp));
    is_kernels
        && stackd::call(fd, Op::Name, 0, 0, &[])
            .is_ok_and(|name| name.data.get(2..4) == Some(&[0, 0]))
}

/// Whether an address is the kernel's business: its loopback, IPv6 that stands for nothing else, and ports that rules leave it. Connecting to no address is connecting
/// to the loopback.
fn is_kernels(addr: &[u8], connecting: bool, transport: Transport) -> bool {
    let Some(family) = addr.get(..2) else {
        return false;
    };
    let internet = [libc::AF_INET as u16, libc::AF_INET6 as u16].map(u16::to_ne_bytes);
    if internet.iter().any(|f| f == family) && is_kernels_port(addr, transport) {
        return true;
    }
    let v4 = |ip: Ipv4Addr| ip.is_loopback() || (connecting && ip.is_unspecified());
    match c_int::from(u16::from_ne_bytes([family[0], family[1]])) {
        libc::AF_INET => addr
            .get(4..8)
            .is_some_and(|b| v4(Ipv4Addr::new(b[0], b[1], b[2], b[3]))),
        libc::AF_INET6 => {
            let octets: Option<[u8; 16]> = addr.get(8..24).and_then(|b| b.try_into().ok());
            octets.map(Ipv6Addr::from).is_some_and(|ip| {
                match (ip.to_ipv4_mapped(), ip.is_unspecified()) {
                    (Some(mapped), _) => v4(mapped),
                    (None, unspecified) => connecting || !unspecified,
                }
            })
        }
        _ => false,
    }
}

/// bind(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn bind(fd: c_int, addr: *const sockaddr, len: socklen_t) -> c_int {
    let (state, v6) = table::state(fd);
    if state == SocketState::Foreign {
        // SAFETY: the caller's.
        return unsafe { next::bind(fd, addr, len) };
    }
    if len > MAX_ADDRESS {
        return sys::give(Err(libc::EINVAL));
    }
    // SAFETY: the caller's address has this length.
    let Some(bytes) = (unsafe { sys::input(addr.cast(), len as usize) }) else {
        return sys::give(Err(libc::EFAULT));
    };
    if is_kernels(bytes, false, transport(state)) || (v6 && is_v6_only(fd)) {
        if let Err(errno) = to_kernel(fd) {
            return sys::give(Err(errno));
        }
        // SAFETY: the caller's.
        return unsafe { next::bind(fd, addr, len) };
    }
    sys::give(number(fd, Op::Bind, 0, bytes))
}

fn is_v6_only(fd: c_int) -> bool {
    let answer = stackd::call(
        fd,
        Op::GetOption,
        libc::IPPROTO_IPV6,
        libc::IPV6_V6ONLY,
        &[],
    );
    answer.is_ok_and(|answer| answer.data.first().is_some_and(|on| *on != 0))
}

fn number(fd: c_int, op: Op, a: i32, data: &[u8]) -> Result<c_int, c_int> {
    Ok(stackd::call(fd, op, a, 0, data).map(|answer| answer.value)?)
}

/// listen(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn listen(fd: c_int, backlog: c_int) -> c_int {
    let (state, v6) = table::state(fd);
    match state {
        // SAFETY: the caller's.
        SocketState::Foreign => unsafe { next::listen(fd, backlog) },
        SocketState::Datagram | SocketState::ConnectedDatagram => sys::give(Err(libc::EOPNOTSUPP)),
        _ => {
            let listening = number(fd, Op::Listen, backlog, &[]);
            if listening.is_ok() {
                table::set(fd, SocketState::Listening, v6);
            }
            sys::give(listening)
        }
    }
}

/// accept(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn accept(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t) -> c_int {
    // SAFETY: the caller's.
    unsafe { accept4(fd, addr, len, 0) }
}

/// accept4(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn accept4(
    fd: c_int,
    addr: *mut sockaddr,
    len: *mut socklen_t,
    flags: c_int,
) -> c_int {
    let state = table::state(fd).0;
    if state != SocketState::Foreign && flags & !(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) != 0 {
        return sys::give(Err(libc::EINVAL));
    }
    match state {
        SocketState::Listening => {}
        SocketState::Foreign => {
            // SAFETY: the caller's.
            let accepted = unsafe { next::accept4(fd, addr, len, flags) };
            table::forget(accepted);
            return accepted;
        }
        SocketState::Datagram | SocketState::ConnectedDatagram => {
            return sys::give(Err(libc::EOPNOTSUPP));
        }
        SocketState::Fresh | SocketState::Stream => return sys::give(Err(libc::EINVAL)),
    }
    let (record, accepted) = match take_connection(fd, flags) {
        Ok(taken) => taken,
        Err(e) => return sys::give(Err(e.raw_os_error())),
    };
    let accepted = accepted.into_raw_fd();
    if record.kernel {
        table::set(accepted, SocketState::Foreign, false);
        if !addr.is_null() {
            // SAFETY: the caller's.
            unsafe { next::getpeername(accepted, addr, len) };
        }
    } else {
        table::set(accepted, SocketState::Stream, record.v6);
        let peer = sockaddr(record.peer, record.v6);
        // SAFETY: the caller's.
        unsafe { sys::address_out(&peer, addr, len) };
    }
    accepted
}

/// Takes a connection out of a listener's pair, and says so.
fn take_connection(fd: c_int, flags: c_int) -> Result<(AcceptRecord, OwnedFd), Errno> {
    let fd = sys::fd(fd).ok_or(Errno::BADF)?;
    let mut record = [0; ACCEPT_RECORD];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let close_on_exec = match flags & libc::SOCK_CLOEXEC != 0 {
        true => RecvFlags::CMSG_CLOEXEC,
        false => RecvFlags::empty(),
    };
    let got = rustix::net::recvmsg(
        fd,
        &mut [IoSliceMut::new(&mut record)],
        &mut control,
        close_on_exec,
    )?;
    if got.bytes == 0 {
        // Shut down, or stackd is gone.
        return Err(Errno::INVAL);
    }
    let taken = rustix::net::sendmsg(
        fd,
        &[IoSlice::new(&[0])],
        &mut SendAncillaryBuffer::default(),
        SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
    );
    // If it cannot be said now, stackd is gone, and no more connections come anyway.
    let _ = taken;
    let accepted = stackd::first_fd(&mut control).ok_or(Errno::MFILE)?;
    let record = AcceptRecord::from_bytes(&record).ok_or(Errno::PROTO)?;
    if flags & libc::SOCK_NONBLOCK != 0 {
        set_nonblocking(&accepted)?;
    }
    Ok((record, accepted))
}

/// connect(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn connect(fd: c_int, addr: *const sockaddr, len: socklen_t) -> c_int {
    let (state, v6) = table::state(fd);
    if state == SocketState::Foreign {
        // SAFETY: the caller's.
        return unsafe { next::connect(fd, addr, len) };
    }
    if len > MAX_ADDRESS {
        return sys::give(Err(libc::EINVAL));
    }
    // SAFETY: the caller's address has this length.
    let Some(bytes) = (unsafe { sys::input(addr.cast(), len as usize) }) else {
        return sys::give(Err(libc::EFAULT));
    };
    let may_move = matches!(
        state,
        SocketState::Fresh | SocketState::Datagram | SocketState::ConnectedDatagram
    );
    if may_move && is_kernels(bytes, true, transport(state)) {
        if let Err(errno) = to_kernel(fd) {
            return sys::give(Err(errno));
        }
        // SAFETY: the caller's.
        return unsafe { next::connect(fd, addr, len) };
    }
    match state {
        SocketState::Datagram | SocketState::ConnectedDatagram => {
            let connected = number(fd, Op::Connect, 0, bytes);
            if connected.is_ok() {
                let disconnected = bytes.get(..2) == Some(&[0, 0]);
                let state = match disconnected {
                    true => SocketState::Datagram,
                    false => SocketState::ConnectedDatagram,
                };
                table::set(fd, state, v6);
            }
            sys::give(connected)
        }
        _ => sys::give(connect_stream(fd, state, v6, bytes)),
    }
}

fn connect_stream(
    fd: c_int,
    mut state: SocketState,
    v6: bool,
    addr: &[u8],
) -> Result<c_int, c_int> {
    loop {
        let filler = match state {
            SocketState::Fresh => fill(fd),
            _ => 0,
        };
        match stackd::call(fd, Op::Connect, filler, 0, addr) {
            Ok(_) => return Ok(0),
            Err(Failed::Errno(libc::EINPROGRESS)) => {
                table::set(fd, SocketState::Stream, v6);
                if is_nonblocking(fd) {
                    return Err(libc::EINPROGRESS);
                }
                wait_for_connection(fd)?;
                return number(fd, Op::Connect, 0, addr);
            }
            Err(Failed::Replace) if state == SocketState::Stream => {
                let cookie = stackd::cookie(fd).map_err(|e| e.raw_os_error())?;
                let domain = if v6 { libc::AF_INET6 } else { libc::AF_INET };
                let answer = stackd::call_of(cookie, Op::Socket, domain, libc::SOCK_STREAM, &[])?;
                put_in_place(answer.fd.ok_or(libc::EMFILE)?, fd)?;
                state = SocketState::Fresh;
            }
            Err(failed) => return Err(failed.into()),
        }
    }
}

/// Fills a pair until it shows no room; with how many bytes.
fn fill(fd: c_int) -> i32 {
    let Some(fd) = sys::fd(fd) else { return 0 };
    let mut filled = 0;
    loop {
        if !sys::shows(fd, PollFlags::OUT) {
            return filled;
        }
        let sent = rustix::net::sendmsg(
            fd,
            &[IoSlice::new(&FILLER)],
            &mut SendAncillaryBuffer::default(),
            SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
        );
        match sent {
            Ok(n) => filled += n as i32,
            Err(_) => return filled,
        }
    }
}

/// Waits until a connection is there or has failed; SO_SNDTIMEO counts, as with the kernel.
fn wait_for_connection(fd: c_int) -> Result<(), c_int> {
    let fd = sys::fd(fd).ok_or(libc::EBADF)?;
    let timeout = sockopt::socket_timeout(fd, Timeout::Send).ok().flatten();
    let timeout = timeout.map(|t| Timespec {
        tv_sec: t.as_secs() as i64,
        tv_nsec: t.subsec_nanos() as _,
    });
    let mut polled = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
    match poll(&mut polled, timeout.as_ref()) {
        Ok(0) => Err(libc::EINPROGRESS),
        Ok(_) => Ok(()),
        Err(e) => Err(e.raw_os_error()),
    }
}

/// getsockname(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn getsockname(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t) -> c_int {
    if table::state(fd).0 == SocketState::Foreign {
        // SAFETY: the caller's.
        return unsafe { next::getsockname(fd, addr, len) };
    }
    // SAFETY: the caller's.
    unsafe { value(fd, Op::Name, addr.cast(), len) }
}

/// getpeername(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn getpeername(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t) -> c_int {
    if table::state(fd).0 == SocketState::Foreign {
        // SAFETY: the caller's.
        return unsafe { next::getpeername(fd, addr, len) };
    }
    // SAFETY: the caller's.
    unsafe { value(fd, Op::Peer, addr.cast(), len) }
}

/// A call that gives a value.
///
/// # Safety
/// As [`sys::output`]'s.
unsafe fn value(fd: c_int, op: Op, to: *mut c_void, len: *mut socklen_t) -> c_int {
    let called = match stackd::call(fd, op, 0, 0, &[]) {
        // SAFETY: the caller's.
        Ok(answer) => unsafe { sys::output(&answer.data, to, len) },
        Err(failed) => Err(failed.into()),
    };
    sys::give(called.map(|()| 0))
}

/// Gives an option's value: as much as there is room for, which the length says then.
///
/// # Safety
/// As [`sys::output`]'s.
unsafe fn option(bytes: &[u8], to: *mut c_void, len: *mut socklen_t) -> c_int {
    if to.is_null() || len.is_null() {
        return sys::give(Err(libc::EFAULT));
    }
    // SAFETY: the caller's.
    let room = unsafe { len.read() };
    if room > i32::MAX as socklen_t {
        return sys::give(Err(libc::EINVAL));
    }
    let n = bytes.len().min(room as usize);
    // SAFETY: the caller's.
    let written = unsafe { sys::output(&bytes[..n], to, len) };
    sys::give(written.map(|()| 0))
}

/// Options that are the pair's own.
fn is_pairs(level: c_int, name: c_int) -> bool {
    /// The same with 64-bit times on machines with 32-bit words.
    const SO_RCVTIMEO_NEW: c_int = 66;
    const SO_SNDTIMEO_NEW: c_int = 67;
    level == libc::SOL_SOCKET
        && matches!(
            name,
            libc::SO_RCVTIMEO | libc::SO_SNDTIMEO | SO_RCVTIMEO_NEW | SO_SNDTIMEO_NEW
        )
}

/// getsockopt(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    to: *mut c_void,
    len: *mut socklen_t,
) -> c_int {
    if table::state(fd).0 == SocketState::Foreign || is_pairs(level, name) {
        // SAFETY: the caller's.
        return unsafe { next::getsockopt(fd, level, name, to, len) };
    }
    if (level, name) == (libc::SOL_SOCKET, libc::SO_ERROR) {
        // The pair's own error is shown by poll(2) until it is taken too.
        if let Some(fd) = sys::fd(fd) {
            let _ = sockopt::socket_error(fd);
        }
        let error = take_error(fd);
        // SAFETY: the caller's.
        return unsafe { option(&error.to_ne_bytes(), to, len) };
    }
    match stackd::call(fd, Op::GetOption, level, name, &[]) {
        // SAFETY: the caller's.
        Ok(answer) => unsafe { option(&answer.data, to, len) },
        Err(failed) => sys::give(Err(failed.into())),
    }
}

/// Takes what a socket has failed with; 0 if it has not.
pub(crate) fn take_error(fd: c_int) -> c_int {
    if transport(table::state(fd).0) == Transport::Udp {
        if let Some(errno) = sys::fd(fd).and_then(datagram::pending_error) {
            return errno;
        }
    }
    match stackd::call(fd, Op::TakeError, 0, 0, &[]) {
        Ok(answer) => answer.value,
        Err(failed) => failed.into(),
    }
}

/// setsockopt(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn setsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    from: *const c_void,
    len: socklen_t,
) -> c_int {
    if table::state(fd).0 == SocketState::Foreign || is_pairs(level, name) {
        // SAFETY: the caller's.
        return unsafe { next::setsockopt(fd, level, name, from, len) };
    }
    // SAFETY: the caller's value has this length.
    let Some(bytes) = (unsafe { sys::input(from, len as usize) }) else {
        return sys::give(Err(libc::EFAULT));
    };
    let set = stackd::call(fd, Op::SetOption, level, name, bytes);
    let pair_too = matches!(
        name,
        libc::SO_SNDBUF | libc::SO_RCVBUF | libc::SO_LINGER | libc::SO_BROADCAST
    );
    if set.is_ok() && pair_too && level == libc::SOL_SOCKET {
        // What waits in the pair is in the socket's buffer for the program; who closes it
        // asks the pair whether to wait, who sends to everybody whether he may.
        // SAFETY: the caller's.
        unsafe { next::setsockopt(fd, level, name, from, len) };
    }
    sys::give(set.map(|_| 0).map_err(c_int::from))
}

/// shutdown(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn shutdown(fd: c_int, how: c_int) -> c_int {
    let state = table::state(fd).0;
    if state != SocketState::Foreign {
        if !(0..3).contains(&how) {
            return sys::give(Err(libc::EINVAL));
        }
        if let Err(failed) = stackd::call(fd, Op::Shutdown, how, 0, &[]) {
            return sys::give(Err(failed.into()));
        }
        // The end of a message pair would be the end of the socket: there is no end of sending in UDP.
        if state == SocketState::Datagram || state == SocketState::ConnectedDatagram {
            if how == libc::SHUT_WR {
                return 0;
            }
            // SAFETY: numbers alone.
            return unsafe { next::shutdown(fd, libc::SHUT_RD) };
        }
    }
    // SAFETY: numbers alone.
    unsafe { next::shutdown(fd, how) }
}

/// ioctl(2): how much there is to read (FIONREAD, SIOCINQ), and what the peer has not acknowledged (TIOCOUTQ, SIOCOUTQ).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn ioctl(fd: c_int, request: c_ulong, arg: *mut c_void) -> c_int {
    let asks = matches!(request, libc::FIONREAD | libc::TIOCOUTQ) && !arg.is_null();
    if !asks {
        // SAFETY: the caller's.
        return unsafe { next::ioctl(fd, request, arg) };
    }
    let found = match table::state(fd).0 {
        SocketState::Stream => queued(fd, request),
        SocketState::Listening => Err(libc::EINVAL),
        SocketState::Fresh => Ok(0),
        SocketState::Datagram | SocketState::ConnectedDatagram if request == libc::FIONREAD => {
            Ok(datagram::unread(fd))
        }
        // SAFETY: the caller's.
        _ => return unsafe { next::ioctl(fd, request, arg) },
    };
    sys::give(found.map(|bytes| {
        // SAFETY: the caller's argument of these requests points to an int.
        unsafe { arg.cast::<c_int>().write(bytes) };
        0
    }))
}

/// What a connection has to be read or acknowledged, wherever it lies.
fn queued(fd: c_int, request: c_ulong) -> Result<c_int, c_int> {
    if request == libc::TIOCOUTQ {
        return number(fd, Op::Unacknowledged, 0, &[]);
    }
    // What is in the pair comes last, or it would be missed while it goes there.
    let behind = number(fd, Op::Unread, 0, &[])?;
    let in_pair = sys::fd(fd).and_then(|fd| rustix::io::ioctl_fionread(fd).ok());
    let in_pair = c_int::try_from(in_pair.unwrap_or(0)).unwrap_or(c_int::MAX);
    Ok(behind.saturating_add(in_pair))
}

/// Whether the pair shows that stackd has closed its end.
pub(crate) fn is_hung_up(fd: c_int) -> bool {
    sys::fd(fd).is_some_and(|fd| sys::shows(fd, PollFlags::HUP))
}
