//! The kernel's side of a socket on all addresses: its loopback.
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{bind, sockopt, AddressFamily, SocketFlags, SocketType};

/// Takes `port` on the kernel's loopback, for a listener that is bound to all addresses: on 127.0.0.1, and for one of AF_INET6 on ::1 and, mapped, on 127.0.0.1.
///
/// # Errors
/// As bind(2): somebody else has it.
pub(crate) fn take_loopback(port: u16, v6: bool, reuse: Reuse) -> Result<Vec<OwnedFd>, Errno> {
    if !v6 {
        let fd = socket(AddressFamily::INET, SocketType::STREAM, reuse)?;
        bind(&fd, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
        return Ok(vec![fd]);
    }
    let mut taken = Vec::new();
    for addr in [Ipv4Addr::LOCALHOST.to_ipv6_mapped(), Ipv6Addr::LOCALHOST] {
        let fd = match socket(AddressFamily::INET6, SocketType::STREAM, reuse) {
            // A kernel without IPv6 has no ::1 to listen on.
            Err(Errno::AFNOSUPPORT) => continue,
            fd => fd?,
        };
        match bind(&fd, &SocketAddrV6::new(addr, port, 0, 0)) {
            Err(Errno::ADDRNOTAVAIL) => continue,
            bound => bound?,
        }
        taken.push(fd);
    }
    Ok(taken)
}

/// How a port may be shared.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reuse {
    /// SO_REUSEADDR.
    pub(crate) address: bool,
    /// SO_REUSEPORT.
    pub(crate) port: bool,
}

/// As [`take_loopback`], for UDP: on 127.0.0.1.
///
/// # Errors
/// As bind(2).
pub(crate) fn take_datagrams(port: u16, reuse: Reuse) -> Result<OwnedFd, Errno> {
    let fd = socket(AddressFamily::INET, SocketType::DGRAM, reuse)?;
    bind(&fd, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    Ok(fd)
}

fn socket(family: AddressFamily, kind: SocketType, reuse: Reuse) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = rustix::net::socket_with(family, kind, flags, None)?;
    sockopt::set_socket_reuseaddr(&fd, reuse.address)?;
    sockopt::set_socket_reuseport(&fd, reuse.port)?;
    Ok(fd)
}

/// The next connection.
pub(crate) fn accept(listener: &OwnedFd) -> Option<OwnedFd> {
    // Blocking, as accept(2) gives it; the program's own flags are set by its call.
    rustix::net::accept_with(listener, SocketFlags::CLOEXEC).ok()
}
