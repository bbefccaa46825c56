//! The edge to C: errno, descriptors, and memory that callers point to.
use std::ffi::{c_int, c_void};
use std::os::fd::BorrowedFd;

use libc::{sockaddr, socklen_t};
use rustix::event::{poll, PollFd, PollFlags, Timespec};

/// The thread's errno.
pub(crate) fn errno() -> c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Sets the thread's errno.
pub(crate) fn set_errno(errno: c_int) {
    // SAFETY: the C library gives each thread's errno an address that lives as long as the thread.
    let at = unsafe { libc::__errno_location() };
    // SAFETY: as above; nobody else has this thread's.
    unsafe { *at = errno };
}

/// What a C function returns: a number, or -1 with errno.
pub(crate) fn give(result: Result<c_int, c_int>) -> c_int {
    result.unwrap_or_else(|errno| {
        set_errno(errno);
        -1
    })
}

/// A descriptor that a caller has named, be it open or not: the kernel says so in each call.
pub(crate) fn fd(fd: c_int) -> Option<BorrowedFd<'static>> {
    // SAFETY: only -1 is no value of the type; what is done with a descriptor that is not open fails with EBADF.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Whether poll(2) shows this event at once.
pub(crate) fn shows(fd: BorrowedFd<'_>, event: PollFlags) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(fd, event)];
    poll(&mut polled, Some(&Timespec::default())).is_ok() && polled[0].revents().contains(event)
}

/// Memory that a caller reads from: an address, a value of an option, a message.
///
/// # Safety
/// `len` bytes at `at` can be read as long as the slice is used, or `at` is null.
pub(crate) unsafe fn input<'a>(at: *const c_void, len: usize) -> Option<&'a [u8]> {
    if at.is_null() {
        return (len == 0).then_some(&[]);
    }
    // SAFETY: the caller says so.
    Some(unsafe { std::slice::from_raw_parts(at.cast(), len) })
}

/// Copies a value to where a caller wants it, as much as there is room, and says how long it is.
///
/// # Safety
/// `len` is null or points to a length; as many bytes at `at` can be written, if it is not null.
pub(crate) unsafe fn output(
    value: &[u8],
    at: *mut c_void,
    len: *mut socklen_t,
) -> Result<(), c_int> {
    if at.is_null() || len.is_null() {
        return Err(libc::EFAULT);
    }
    // SAFETY: the caller says so.
    let room = unsafe { len.read() };
    let n = value.len().min(room as usize);
    // SAFETY: the caller says that there is room for `room` bytes, and Rust's memory is not the caller's.
    unsafe { std::ptr::copy_nonoverlapping(value.as_ptr(), at.cast::<u8>(), n) };
    // SAFETY: as it was read.
    unsafe { len.write(value.len() as socklen_t) };
    Ok(())
}

/// As [`output`], for an address that nobody needs to want.
///
/// # Safety
/// As [`output`]'s.
pub(crate) unsafe fn address_out(value: &[u8], at: *mut sockaddr, len: *mut socklen_t) {
    if !at.is_null() && !len.is_null() {
        // SAFETY: the caller's.
        let _ = unsafe { output(value, at.cast(), len) };
    }
}
