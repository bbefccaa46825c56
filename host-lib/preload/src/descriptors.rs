//! Calls that make a descriptor another thing than it was.
use std::ffi::{c_int, c_uint, c_ulong};

use crate::linger::Farewell;
use crate::{next, table};

/// Does what closes a descriptor, and waits for what lingers.
fn closing<T>(fd: c_int, close: impl FnOnce() -> T) -> T {
    let farewell = Farewell::of(fd);
    table::forget(fd);
    let closed = close();
    if let Some(farewell) = farewell {
        farewell.wait();
    }
    closed
}

/// As [`closing`], for all from `first` to `last`.
fn closing_range<T>(first: usize, last: usize, close: impl FnOnce() -> T) -> T {
    let farewells = Farewell::of_range(first, last);
    table::forget_range(first, last);
    let closed = close();
    farewells.into_iter().for_each(Farewell::wait);
    closed
}

/// close(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn close(fd: c_int) -> c_int {
    // SAFETY: the caller's.
    closing(fd, || unsafe { next::close(fd) })
}

/// close_range(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int {
    if flags & libc::CLOSE_RANGE_CLOEXEC as c_int != 0 {
        // SAFETY: the caller's. Nothing is closed.
        return unsafe { next::close_range(first, last, flags) };
    }
    closing_range(first as usize, last as usize, || {
        // SAFETY: the caller's.
        unsafe { next::close_range(first, last, flags) }
    })
}

/// closefrom(3).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn closefrom(first: c_int) {
    closing_range(usize::try_from(first).unwrap_or(0), usize::MAX, || {
        // SAFETY: the caller's.
        unsafe { next::closefrom(first) }
    });
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
    if from == to {
        // SAFETY: the caller's. It stays what it is.
        return unsafe { next::dup2(from, to) };
    }
    // SAFETY: the caller's.
    closing(to, || unsafe { next::dup2(from, to) })
}

/// dup3(2).
///
/// # Safety
/// As the C library's.
#[no_mangle]
pub unsafe extern "C" fn dup3(from: c_int, to: c_int, flags: c_int) -> c_int {
    // SAFETY: the caller's.
    closing(to, || unsafe { next::dup3(from, to, flags) })
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
