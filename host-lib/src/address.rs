//! Socket addresses: the stack speaks IPv4.
use std::io;
use std::net::{SocketAddr, SocketAddrV4, ToSocketAddrs};

/// std's form of an IPv4 address.
pub(crate) fn v4(addr: SocketAddrV4) -> SocketAddr {
    SocketAddr::V4(addr)
}

/// Tries `call` with each IPv4 address that `addr` names; gives the first success, or the last error.
///
/// # Errors
/// [`io::ErrorKind::AddrNotAvailable`] if `addr` names no IPv4 address.
pub(crate) fn each_v4<T>(
    addr: impl ToSocketAddrs,
    mut call: impl FnMut(SocketAddrV4) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = io::Error::new(
        io::ErrorKind::AddrNotAvailable,
        "the name has no IPv4 address; IPv6 is not there yet",
    );
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
