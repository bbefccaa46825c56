//! Calls that send and receive.
//!
//! A stream's bytes go through its pair as they are: what is added is what a connection has failed with, where the pair only shows that it has ended.
use std::ffi::{c_int, c_uint, c_void};

use ferrule_preload_protocol::{Choices, SocketState};
use libc::{iovec, mmsghdr, msghdr, size_t, sockaddr, socklen_t, ssize_t, timespec};

use crate::control::{is_hung_up, leaves, take_error, to_kernel};
use crate::datagram::{self, Parts};
use crate::{ancillary, next, sys, table};

/// How a descriptor is read and written.
enum Way {
    /// By the kernel.
    Plain,
    /// By the kernel, with errors looked after.
    Stream,
    /// With headers.
    Datagram { v6: bool, connected: bool },
    /// Not at all: it has no connection.
    Not(SocketState),
}

fn way(fd: c_int) -> Way {
    match table::state(fd) {
        (SocketState::Foreign, _) => Way::Plain,
        (SocketState::Stream, _) => Way::Stream,
        (SocketState::Datagram, v6) => Way::Datagram {
            v6,
            connected: false,
        },
        (SocketState::ConnectedDatagram, v6) => Way::Datagram {
            v6,
            connected: true,
        },
        (state @ (SocketState::Fresh | SocketState::Listening), _) => Way::Not(state),
    }
}

fn fail(errno: c_int) -> ssize_t {
    sys::set_errno(errno);
    -1
}

/// What a stream's read has come to: the pair's end may be the connection's failure.
fn was_read(fd: c_int, got: ssize_t) -> ssize_t {
    if got > 0 {
        return got;
    }
    if got == 0 {
        if !is_hung_up(fd) {
            return 0;
        }
        return match take_error(fd) {
            0 => 0,
            errno => fail(errno),
        };
    }
    if sys::errno() == libc::ECONNRESET {
        // What the pair says of itself: it has ended with something unread.
        return match take_error(fd) {
            0 => 0,
            errno => fail(errno),
        };
    }
    got
}

/// What a stream's write has come to; the signal that it calls for is sent here.
fn was_written(fd: c_int, sent: ssize_t, flags: c_int) -> ssize_t {
    if sent >= 0 {
        return sent;
    }
    let errno = sys::errno();
    if errno != libc::EPIPE && errno != libc::ECONNRESET {
        return sent;
    }
    match take_error(fd) {
        0 | libc::EPIPE => broken_pipe(flags),
        errno => fail(errno),
    }
}

fn broken_pipe(flags: c_int) -> ssize_t {
    if flags & libc::MSG_NOSIGNAL == 0 {
        // SAFETY: a number alone.
        unsafe { libc::raise(libc::SIGPIPE) };
    }
    fail(libc::EPIPE)
}

/// Flags of a stream's receiving call that the pair would take for something else.
fn refused_in(flags: c_int) -> Option<c_int> {
    if flags & libc::MSG_ERRQUEUE != 0 {
        return Some(libc::EAGAIN);
    }
    (flags & libc::MSG_OOB != 0).then_some(libc::EINVAL)
}

/// What a receiving call without a connection is told, in Linux' order.
fn without_connection(state: SocketState, flags: c_int) -> c_int {
    let urgent = flags & (libc::MSG_OOB | libc::MSG_ERRQUEUE) == libc::MSG_OOB;
    match refused_in(flags) {
        Some(_) if urgent && state == SocketState::Listening => libc::ENOTCONN,
        Some(errno) => errno,
        None => libc::ENOTCONN,
    }
}

/// As [`refused_in`], for sending.
fn refused_out(flags: c_int) -> Option<c_int> {
    (flags & (libc::MSG_OOB | libc::MSG_FASTOPEN) != 0).then_some(libc::EOPNOTSUPP)
}

/// read(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn read(fd: c_int, to: *mut c_void, len: size_t) -> ssize_t {
    match way(fd) {
        // SAFETY: the caller's.
        Way::Plain => unsafe { next::read(fd, to, len) },
        Way::Stream => {
            // SAFETY: the caller's.
            let got = unsafe { next::read(fd, to, len) };
            was_read(fd, got)
        }
        Way::Datagram { v6, .. } => {
            // SAFETY: the caller's memory.
            let mut parts = unsafe { Parts::one(to, len) };
            datagram::recv(fd, v6, &mut parts, 0).map_or_else(fail, |got| got.result)
        }
        Way::Not(_) => fail(libc::ENOTCONN),
    }
}

/// As read(2), with the memory's length checked by the compiler's library.
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn __read_chk(
    fd: c_int,
    to: *mut c_void,
    len: size_t,
    room: size_t,
) -> ssize_t {
    check(len, room);
    // SAFETY: the caller's.
    unsafe { read(fd, to, len) }
}

/// More is asked for than there is room: the program is wrong, and ends, as the C library ends it.
fn check(len: size_t, room: size_t) {
    if len > room {
        std::process::abort();
    }
}

/// readv(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn readv(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    match way(fd) {
        // SAFETY: the caller's.
        Way::Plain => unsafe { next::readv(fd, parts, count) },
        Way::Stream => {
            // SAFETY: the caller's.
            let got = unsafe { next::readv(fd, parts, count) };
            was_read(fd, got)
        }
        Way::Datagram { v6, .. } => {
            // SAFETY: the caller's memory.
            let parts = unsafe { Parts::many(parts, count as size_t) };
            parts
                .and_then(|mut parts| datagram::recv(fd, v6, &mut parts, 0))
                .map_or_else(fail, |got| got.result)
        }
        Way::Not(_) => fail(libc::ENOTCONN),
    }
}

/// recv(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn recv(fd: c_int, to: *mut c_void, len: size_t, flags: c_int) -> ssize_t {
    // SAFETY: the caller's; no address is wanted.
    unsafe {
        recvfrom(
            fd,
            to,
            len,
            flags,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        )
    }
}

/// As recv(2), with the memory's length checked by the compiler's library.
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn __recv_chk(
    fd: c_int,
    to: *mut c_void,
    len: size_t,
    room: size_t,
    flags: c_int,
) -> ssize_t {
    check(len, room);
    // SAFETY: the caller's.
    unsafe { recv(fd, to, len, flags) }
}

/// recvfrom(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn recvfrom(
    fd: c_int,
    to: *mut c_void,
    len: size_t,
    flags: c_int,
    addr: *mut sockaddr,
    addr_len: *mut socklen_t,
) -> ssize_t {
    match way(fd) {
        // SAFETY: the caller's.
        Way::Plain => unsafe { next::recvfrom(fd, to, len, flags, addr, addr_len) },
        Way::Stream => {
            if let Some(errno) = refused_in(flags) {
                return fail(errno);
            }
            // SAFETY: the caller's.
            let got = unsafe { next::recvfrom(fd, to, len, flags, addr, addr_len) };
            was_read(fd, got)
        }
        Way::Datagram { v6, .. } => {
            // SAFETY: the caller's memory.
            let mut parts = unsafe { Parts::one(to, len) };
            match datagram::recv(fd, v6, &mut parts, flags) {
                Ok(got) => {
                    // SAFETY: the caller's.
                    unsafe { sys::address_out(&got.from, addr, addr_len) };
                    got.result
                }
                Err(errno) => fail(errno),
            }
        }
        Way::Not(state) => fail(without_connection(state, flags)),
    }
}

/// As recvfrom(2), with the memory's length checked by the compiler's library.
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn __recvfrom_chk(
    fd: c_int,
    to: *mut c_void,
    len: size_t,
    room: size_t,
    flags: c_int,
    addr: *mut sockaddr,
    addr_len: *mut socklen_t,
) -> ssize_t {
    check(len, room);
    // SAFETY: the caller's.
    unsafe { recvfrom(fd, to, len, flags, addr, addr_len) }
}

/// recvmsg(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t {
    match way(fd) {
        Way::Plain => {
            // SAFETY: the caller's.
            let got = unsafe { next::recvmsg(fd, message, flags) };
            if got >= 0 {
                // SAFETY: the caller's, filled in by the kernel.
                let message = unsafe { &*message };
                // SAFETY: as above.
                unsafe { forget_received(message) };
            }
            got
        }
        Way::Stream => {
            if let Some(errno) = refused_in(flags) {
                return fail(errno);
            }
            // SAFETY: the caller's.
            let got = unsafe { next::recvmsg(fd, message, flags) };
            was_read(fd, got)
        }
        Way::Datagram { v6, .. } => {
            // SAFETY: the caller's.
            unsafe { recv_datagram(fd, v6, message, flags) }.unwrap_or_else(fail)
        }
        Way::Not(state) => fail(without_connection(state, flags)),
    }
}

/// Descriptors that came with a message may be sockets of stackd's.
///
/// # Safety
/// The message is as the kernel has left it.
unsafe fn forget_received(message: &msghdr) {
    // SAFETY: the kernel's control messages.
    let mut at = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !at.is_null() {
        // SAFETY: within the control messages.
        let header = unsafe { at.read_unaligned() };
        if (header.cmsg_level, header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: as above.
            let data = unsafe { libc::CMSG_DATA(at) }.cast::<c_int>();
            // SAFETY: a length of nothing is a number.
            let head = unsafe { libc::CMSG_LEN(0) } as usize;
            for i in 0..(header.cmsg_len as usize).saturating_sub(head) / size_of::<c_int>() {
                // SAFETY: so many are there.
                let at = unsafe { data.add(i) };
                // SAFETY: as above.
                table::forget(unsafe { at.read_unaligned() });
            }
        }
        // SAFETY: as above.
        at = unsafe { libc::CMSG_NXTHDR(message, at) };
    }
}

/// # Safety
/// As recvmsg(2)'s.
unsafe fn recv_datagram(
    fd: c_int,
    v6: bool,
    message: *mut msghdr,
    flags: c_int,
) -> Result<ssize_t, c_int> {
    // SAFETY: the caller's, and nobody else's during the call.
    let Some(message) = (unsafe { message.as_mut() }) else {
        return Err(libc::EFAULT);
    };
    // SAFETY: the caller's memory.
    let mut parts = unsafe { Parts::many(message.msg_iov, message.msg_iovlen) }?;
    let got = datagram::recv(fd, v6, &mut parts, flags)?;
    let mut len = message.msg_namelen;
    // SAFETY: the caller's.
    unsafe { sys::address_out(&got.from, message.msg_name.cast(), &mut len) };
    message.msg_namelen = if message.msg_name.is_null() { 0 } else { len };
    // SAFETY: the caller's.
    let (written, cut) = unsafe {
        got.control
            .write(message.msg_control, message.msg_controllen)
    };
    message.msg_controllen = written;
    message.msg_flags = got.flags | cut;
    Ok(got.result)
}

/// recvmmsg(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn recvmmsg(
    fd: c_int,
    messages: *mut mmsghdr,
    count: c_uint,
    flags: c_int,
    timeout: *mut timespec,
) -> c_int {
    if let Way::Plain = way(fd) {
        // SAFETY: the caller's.
        return unsafe { next::recvmmsg(fd, messages, count, flags, timeout) };
    }
    let mut done = 0;
    let mut now = flags & !libc::MSG_WAITFORONE;
    while done < count {
        // SAFETY: the caller has so many.
        let message = unsafe { messages.add(done as usize) };
        // SAFETY: as above.
        let header = unsafe { &raw mut (*message).msg_hdr };
        // SAFETY: the caller's.
        let got = unsafe { recvmsg(fd, header, now) };
        if got < 0 {
            break;
        }
        // SAFETY: as above.
        unsafe { (*message).msg_len = got as c_uint };
        done += 1;
        if flags & libc::MSG_WAITFORONE != 0 {
            now |= libc::MSG_DONTWAIT;
        }
    }
    if done == 0 && count > 0 {
        return -1;
    }
    done as c_int
}

/// write(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn write(fd: c_int, from: *const c_void, len: size_t) -> ssize_t {
    match way(fd) {
        // SAFETY: the caller's.
        Way::Plain => unsafe { next::write(fd, from, len) },
        _ => {
            // SAFETY: the caller's; no address is given.
            let sent = unsafe { sendto(fd, from, len, 0, std::ptr::null(), 0) };
            if sent == -1 && sys::errno() == libc::ENOTSOCK {
                table::forget(fd);
                // SAFETY: the caller's.
                return unsafe { next::write(fd, from, len) };
            }
            sent
        }
    }
}

/// writev(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    if let Way::Plain = way(fd) {
        // SAFETY: the caller's.
        return unsafe { next::writev(fd, parts, count) };
    }
    if count < 0 {
        return fail(libc::EINVAL);
    }
    // SAFETY: zeros are a message without anything.
    let mut message: msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = parts.cast_mut();
    message.msg_iovlen = count as _;
    // SAFETY: the caller's parts.
    let sent = unsafe { sendmsg(fd, &message, 0) };
    if sent == -1 && sys::errno() == libc::ENOTSOCK {
        table::forget(fd);
        // SAFETY: the caller's.
        return unsafe { next::writev(fd, parts, count) };
    }
    sent
}

/// send(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn send(
    fd: c_int,
    from: *const c_void,
    len: size_t,
    flags: c_int,
) -> ssize_t {
    // SAFETY: the caller's; no address is given.
    unsafe { sendto(fd, from, len, flags, std::ptr::null(), 0) }
}

/// sendto(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn sendto(
    fd: c_int,
    from: *const c_void,
    len: size_t,
    flags: c_int,
    addr: *const sockaddr,
    addr_len: socklen_t,
) -> ssize_t {
    match way(fd) {
        // SAFETY: the caller's.
        Way::Plain => unsafe { next::sendto(fd, from, len, flags, addr, addr_len) },
        Way::Stream => {
            if let Some(errno) = refused_out(flags) {
                return fail(errno);
            }
            // A connection has its peer: an address is ignored.
            // SAFETY: the caller's.
            let sent = unsafe { next::send(fd, from, len, flags | libc::MSG_NOSIGNAL) };
            was_written(fd, sent, flags)
        }
        Way::Datagram { v6, connected } => {
            // SAFETY: the caller's memory.
            let parts = unsafe { Parts::one(from.cast_mut(), len) };
            // SAFETY: the caller's address.
            let to = unsafe { sys::input(addr.cast(), addr_len as usize) };
            if leaves(fd, to) {
                if let Err(errno) = to_kernel(fd) {
                    return fail(errno);
                }
                // SAFETY: the caller's.
                return unsafe { next::sendto(fd, from, len, flags, addr, addr_len) };
            }
            let choices = Choices::default();
            datagram::send(fd, v6, connected, &parts, to, choices, flags).unwrap_or_else(fail)
        }
        Way::Not(_) => broken_pipe(flags),
    }
}

/// sendmsg(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
    let way = way(fd);
    if let Way::Plain = way {
        // SAFETY: the caller's.
        return unsafe { next::sendmsg(fd, message, flags) };
    }
    // SAFETY: the caller's.
    let Some(header) = (unsafe { message.as_ref() }) else {
        return fail(libc::EFAULT);
    };
    match way {
        Way::Datagram { v6, connected } => {
            // SAFETY: the caller's memory.
            let parts = unsafe { Parts::many(header.msg_iov, header.msg_iovlen) };
            // SAFETY: the caller's address.
            let to = unsafe { sys::input(header.msg_name, header.msg_namelen as usize) };
            if leaves(fd, to) {
                if let Err(errno) = to_kernel(fd) {
                    return fail(errno);
                }
                // SAFETY: the caller's.
                return unsafe { next::sendmsg(fd, message, flags) };
            }
            // SAFETY: the caller's control messages.
            let control = unsafe { sys::input(header.msg_control, header.msg_controllen) };
            let choices = ancillary::choices(control.unwrap_or(&[]));
            parts
                .and_then(|parts| datagram::send(fd, v6, connected, &parts, to, choices?, flags))
                .unwrap_or_else(fail)
        }
        Way::Not(_) => broken_pipe(flags),
        _ => {
            if let Some(errno) = refused_out(flags) {
                return fail(errno);
            }
            // Bytes alone: what else a message of a pair could carry is nothing to a connection.
            let plain = msghdr {
                msg_name: std::ptr::null_mut(),
                msg_namelen: 0,
                msg_control: std::ptr::null_mut(),
                msg_controllen: 0,
                ..*header
            };
            // SAFETY: the caller's parts.
            let sent = unsafe { next::sendmsg(fd, &plain, flags | libc::MSG_NOSIGNAL) };
            was_written(fd, sent, flags)
        }
    }
}

/// sendmmsg(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn sendmmsg(
    fd: c_int,
    messages: *mut mmsghdr,
    count: c_uint,
    flags: c_int,
) -> c_int {
    if let Way::Plain = way(fd) {
        // SAFETY: the caller's.
        return unsafe { next::sendmmsg(fd, messages, count, flags) };
    }
    let mut done = 0;
    while done < count {
        // SAFETY: the caller has so many.
        let message = unsafe { messages.add(done as usize) };
        // SAFETY: as above.
        let header = unsafe { &raw const (*message).msg_hdr };
        // SAFETY: the caller's.
        let sent = unsafe { sendmsg(fd, header, flags) };
        if sent < 0 {
            break;
        }
        // SAFETY: as above.
        unsafe { (*message).msg_len = sent as c_uint };
        done += 1;
    }
    if done == 0 && count > 0 {
        return -1;
    }
    done as c_int
}
