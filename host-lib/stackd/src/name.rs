//! Socket addresses as programs write them.
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

use ferrule_preload_protocol::{sockaddr, sockaddr_in6, SOCKADDR_IN, SOCKADDR_IN6};

/// An address that a program has given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// AF_UNSPEC.
    Unspecified,
    /// IPv4, or IPv6 that stands for it.
    V4(SocketAddrV4),
}

/// Reads a `sockaddr` for a socket of AF_INET or AF_INET6.
///
/// # Errors
/// The errno that Linux gives for what is none, or EAFNOSUPPORT for IPv6 proper, which the program leaves to the kernel.
pub(crate) fn read(bytes: &[u8], v6: bool) -> Result<Name, i32> {
    let family = bytes.get(..2).ok_or(libc::EINVAL)?;
    let family = i32::from(u16::from_ne_bytes([family[0], family[1]]));
    if family == libc::AF_UNSPEC {
        return Ok(Name::Unspecified);
    }
    let port = |b: &[u8]| u16::from_be_bytes([b[2], b[3]]);
    if family == libc::AF_INET && !v6 {
        let b = bytes.get(..SOCKADDR_IN).ok_or(libc::EINVAL)?;
        let ip = Ipv4Addr::new(b[4], b[5], b[6], b[7]);
        return Ok(Name::V4(SocketAddrV4::new(ip, port(b))));
    }
    if v6 {
        // The scope may be left away (RFC 2133). Linux looks at the length before the family.
        let b = bytes.get(..SOCKADDR_IN6 - 4).ok_or(libc::EINVAL)?;
        if family != libc::AF_INET6 {
            return Err(libc::EAFNOSUPPORT);
        }
        let mut ip = [0; 16];
        ip.copy_from_slice(&b[8..24]);
        let ip = Ipv6Addr::from(ip);
        let v4 = match ip.to_ipv4_mapped() {
            Some(v4) => v4,
            None if ip.is_unspecified() => Ipv4Addr::UNSPECIFIED,
            None => return Err(libc::EAFNOSUPPORT),
        };
        return Ok(Name::V4(SocketAddrV4::new(v4, port(b))));
    }
    Err(libc::EAFNOSUPPORT)
}

/// Writes a `sockaddr`: mapped for a socket of AF_INET6, where no address is IPv6's own.
pub(crate) fn write(addr: SocketAddrV4, v6: bool) -> Vec<u8> {
    match v6 && addr.ip().is_unspecified() {
        true => sockaddr_in6(Ipv6Addr::UNSPECIFIED, addr.port()),
        false => sockaddr(addr, v6),
    }
}
