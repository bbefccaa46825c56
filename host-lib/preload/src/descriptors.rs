//! Calls that make a descriptor another thing than it was.
use std::ffi::{c_int, c_uint, c_ulong};

use crate::{next, table};

/// close(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn close(fd: c_int) -> c_int {
    table::forget(fd);
    // SAFETY: the caller's.
    unsafe { next::close(fd) }
}

/// close_range(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int {
    table::forget_range(first as usize, last as usize);
    // SAFETY: the caller's.
    unsafe { next::close_range(first, last, flags) }
}

/// closefrom(3).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn closefrom(first: c_int) {
    table::forget_range(usize::try_from(first).unwrap_or(0), usize::MAX);
    // SAFETY: the caller's.
    unsafe { next::closefrom(first) }
}

/// dup(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn dup(fd: c_int) -> c_int {
    // SAFETY: the caller's.
    let copy = unsafe { next::dup(fd) };
    table::forget(copy);
    copy
}

/// dup2(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn dup2(from: c_int, to: c_int) -> c_int {
    table::forget(to);
    // SAFETY: the caller's.
    unsafe { next::dup2(from, to) }
}

/// dup3(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn dup3(from: c_int, to: c_int, flags: c_int) -> c_int {
    table::forget(to);
    // SAFETY: the caller's.
    unsafe { next::dup3(from, to, flags) }
}

/// fcntl(2): of its commands those that make a descriptor count here. Its third argument has the place of a word on all machines that this runs on.
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn fcntl(fd: c_int, command: c_int, arg: c_ulong) -> c_int {
    // SAFETY: the caller's.
    let result = unsafe { next::fcntl(fd, command, arg) };
    if command == libc::F_DUPFD || command == libc::F_DUPFD_CLOEXEC {
        table::forget(result);
    }
    result
}

/// As [`fcntl`], by the name that programs with 64-bit offsets call.
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn fcntl64(fd: c_int, command: c_int, arg: c_ulong) -> c_int {
    // SAFETY: the caller's.
    unsafe { fcntl(fd, command, arg) }
}
