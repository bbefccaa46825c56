//! Errors as the numbers that a program sees.
use std::io;

/// The errno of an error of a socket call.
pub(crate) fn of(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(match error.kind() {
        io::ErrorKind::NotConnected => libc::ENETDOWN,
        io::ErrorKind::InvalidInput => libc::EINVAL,
        io::ErrorKind::AddrNotAvailable => libc::EADDRNOTAVAIL,
        io::ErrorKind::TimedOut => libc::ETIMEDOUT,
        io::ErrorKind::WouldBlock => libc::EAGAIN,
        _ => libc::EIO,
    })
}
