//! TCP segments made and read by etherparse, options as bytes.

use super::{header, packet, parse};
use etherparse::{IpNumber, TcpHeader};
use std::net::SocketAddrV4;

/// A segment; `edit` makes of one without flags and options what a test is about.
pub fn tcp(
    from: SocketAddrV4,
    to: SocketAddrV4,
    edit: impl FnOnce(&mut TcpHeader),
    data: &[u8],
) -> Vec<u8> {
    let ip = header(IpNumber::TCP, *from.ip(), *to.ip(), |ip| {
        ip.dont_fragment = true;
    });
    let mut tcp = TcpHeader::new(from.port(), to.port(), 0, 0);
    edit(&mut tcp);
    tcp.checksum = tcp.calc_checksum_ipv4(&ip, data).expect("short");
    packet(ip, &[&tcp.to_bytes()[..], data].concat())
}

/// A packet's TCP header and text, checksums verified; `None` if it is of another protocol.
pub fn parse_tcp(bytes: &[u8]) -> Option<(TcpHeader, Vec<u8>)> {
    let (ip, payload) = parse(bytes);
    if ip.protocol != IpNumber::TCP {
        return None;
    }
    let (tcp, data) = TcpHeader::from_slice(&payload).expect("a TCP header");
    let sum = tcp.calc_checksum_ipv4(&ip, data).expect("short");
    assert_eq!(tcp.checksum, sum, "TCP checksum");
    Some((tcp, data.to_vec()))
}

/// A timestamps option aligned as RFC 7323 appendix A has it.
pub fn timestamps(value: u32, echo: u32) -> Vec<u8> {
    [
        &[1, 1, 8, 10][..],
        &value.to_be_bytes(),
        &echo.to_be_bytes(),
    ]
    .concat()
}

/// A SACK option aligned to four bytes (RFC 2018 section 3).
pub fn sack(blocks: &[(u32, u32)]) -> Vec<u8> {
    let mut option = vec![1, 1, 5, 2 + 8 * blocks.len() as u8];
    for (left, right) in blocks {
        option.extend_from_slice(&left.to_be_bytes());
        option.extend_from_slice(&right.to_be_bytes());
    }
    option
}
