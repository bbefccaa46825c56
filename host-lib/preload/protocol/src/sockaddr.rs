//! Socket addresses as C programs read them.
use std::net::{Ipv6Addr, SocketAddrV4};

/// Bytes of a `sockaddr_in`.
pub const SOCKADDR_IN: usize = 16;
/// Bytes of a `sockaddr_in6`.
pub const SOCKADDR_IN6: usize = 28;

/// A `sockaddr` of a family, with a port and the address at its place.
fn sockaddr_of(len: usize, family: i32, port: u16, at: usize, address: &[u8]) -> Vec<u8> {
    let mut out = vec![0; len];
    out[..2].copy_from_slice(&(family as u16).to_ne_bytes());
    out[2..4].copy_from_slice(&port.to_be_bytes());
    out[at..at + address.len()].copy_from_slice(address);
    out
}

/// An address as a `sockaddr_in6`.
pub fn sockaddr_in6(ip: Ipv6Addr, port: u16) -> Vec<u8> {
    sockaddr_of(SOCKADDR_IN6, libc::AF_INET6, port, 8, &ip.octets())
}

/// An address as a `sockaddr_in`, or mapped as a `sockaddr_in6`.
pub fn sockaddr(addr: SocketAddrV4, v6: bool) -> Vec<u8> {
    match v6 {
        true => sockaddr_in6(addr.ip().to_ipv6_mapped(), addr.port()),
        false => sockaddr_of(
            SOCKADDR_IN,
            libc::AF_INET,
            addr.port(),
            4,
            &addr.ip().octets(),
        ),
    }
}
