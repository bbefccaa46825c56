//! Socket addresses: the stack speaks IPv4.
use std::io;
use std::net::{SocketAddr, SocketAddrV4, ToSocketAddrs};

/// std's form of an IPv4 address.
pub(crate) fn v4(addr: SocketAddrV4) -> SocketAddr {
    SocketAddr::V4(addr)
}

/// The one form of address that the stack speaks.
///
/// # Errors
/// [`io::ErrorKind::AddrNotAvailable`] for any other.
pub(crate) fn v4_of(addr: SocketAddr) -> io::Result<SocketAddrV4> {
    match addr {
        SocketAddr::V4(addr) => Ok(addr),
        SocketAddr::V6(_) => Err(no_v4()),
    }
}

fn no_v4() -> io::Error {
    io::Error::new(
        io::ErrorKind::AddrNotAvailable,
        "the name has no IPv4 address; IPv6 is not there yet",
    )
}

/// Tries `call` with each IPv4 address that `addr` names; gives the first success, or the last error.
///
/// # Errors
/// [`io::ErrorKind::AddrNotAvailable`] if `addr` names no IPv4 address.
pub(crate) fn each_v4<T>(
    addr: impl ToSocketAddrs,
    mut call: impl FnMut(SocketAddrV4) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = no_v4();
    for addr in addr.to_socket_addrs()? {
        if let SocketAddr::V4(addr) = addr {
            match call(addr) {
                Ok(result) => return Ok(result),
                Err(e) => last = e,
            }
        }
    }
    Err(last)
}
