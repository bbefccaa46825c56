//! Packets made and read by etherparse, so that no code of the stack judges itself.
#![allow(dead_code, unreachable_pub)] // each test crate uses its own part of this

pub mod igmp;
pub mod tcp;

use etherparse::{IpNumber, Ipv4Header};
use ferrule_stack::{Bytes, Instant, Stack};
use std::net::{Ipv4Addr, SocketAddrV4};

/// A router on the test network.
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);
/// A host beyond it.
pub const FAR: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);

/// A header as etherparse makes it; `edit` changes what a test is about.
pub fn header(
    protocol: IpNumber,
    src: Ipv4Addr,
    dst: Ipv4Addr,
    edit: impl FnOnce(&mut Ipv4Header),
) -> Ipv4Header {
    let mut ip =
        Ipv4Header::new(0, 64, protocol, src.octets(), dst.octets()).expect("short enough");
    ip.dont_fragment = false;
    edit(&mut ip);
    ip
}

/// Header and payload as bytes, length and checksum filled in.
pub fn packet(mut ip: Ipv4Header, payload: &[u8]) -> Vec<u8> {
    ip.set_payload_len(payload.len()).expect("short enough");
    ip.header_checksum = ip.calc_header_checksum();
    let mut bytes = ip.to_bytes().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

/// The UDP message alone, checksummed for these addresses.
pub fn udp_message(from: SocketAddrV4, to: SocketAddrV4, data: &[u8]) -> Vec<u8> {
    let ip = header(IpNumber::UDP, *from.ip(), *to.ip(), |_| {});
    let udp = etherparse::UdpHeader::with_ipv4_checksum(from.port(), to.port(), &ip, data)
        .expect("short");
    [&udp.to_bytes()[..], data].concat()
}

/// A UDP datagram.
pub fn udp(from: SocketAddrV4, to: SocketAddrV4, data: &[u8]) -> Vec<u8> {
    udp_edited(from, to, data, |_| {})
}

/// A UDP datagram with another IPv4 header.
pub fn udp_edited(
    from: SocketAddrV4,
    to: SocketAddrV4,
    data: &[u8],
    edit: impl FnOnce(&mut Ipv4Header),
) -> Vec<u8> {
    let ip = header(IpNumber::UDP, *from.ip(), *to.ip(), edit);
    packet(ip, &udp_message(from, to, data))
}

/// An ICMP message of any kind, `rest` being its second word.
pub fn icmp(
    src: Ipv4Addr,
    dst: Ipv4Addr,
    (kind, code): (u8, u8),
    rest: [u8; 4],
    data: &[u8],
) -> Vec<u8> {
    let kind = etherparse::Icmpv4Type::Unknown {
        type_u8: kind,
        code_u8: code,
        bytes5to8: rest,
    };
    let message = etherparse::Icmpv4Header::with_checksum(kind, data).to_bytes();
    packet(
        header(IpNumber::ICMP, src, dst, |_| {}),
        &[&message[..], data].concat(),
    )
}

/// An ICMP error from the router about a packet, quoting its header and eight bytes.
pub fn icmp_error(about: &[u8], kind_code: (u8, u8), rest: [u8; 4]) -> Vec<u8> {
    let (ip, _) = parse(about);
    icmp(
        ROUTER,
        Ipv4Addr::from(ip.source),
        kind_code,
        rest,
        &about[..about.len().min(28)],
    )
}

/// "Fragmentation needed and DF set" with the MTU of the next hop (RFC 1191 section 4).
pub fn too_big(about: &[u8], mtu: u16) -> Vec<u8> {
    let [high, low] = mtu.to_be_bytes();
    icmp_error(about, (3, 4), [0, 0, high, low])
}

/// A packet's header, its checksum and length verified, and what follows it.
pub fn parse(bytes: &[u8]) -> (Ipv4Header, Vec<u8>) {
    let (ip, payload) = Ipv4Header::from_slice(bytes).expect("an IPv4 header");
    assert_eq!(ip.header_checksum, ip.calc_header_checksum(), "checksum");
    assert_eq!(usize::from(ip.total_len), bytes.len(), "length");
    (ip, payload.to_vec())
}

/// An ICMP packet's type, code, second word and data, its checksum verified.
pub fn parse_icmp(bytes: &[u8]) -> ((u8, u8), [u8; 4], Vec<u8>) {
    let (ip, message) = parse(bytes);
    assert_eq!(ip.protocol, IpNumber::ICMP);
    let sum = etherparse::checksum::Sum16BitWords::new().add_slice(&message);
    assert_eq!(sum.ones_complement(), 0, "ICMP checksum");
    let rest = [message[4], message[5], message[6], message[7]];
    ((message[0], message[1]), rest, message[8..].to_vec())
}

/// The fragments of a packet, as a router with room for `step` bytes of payload makes them.
pub fn fragments(bytes: &[u8], step: usize) -> Vec<Vec<u8>> {
    let (ip, payload) = parse(bytes);
    let before = usize::from(ip.fragment_offset.value()) * 8;
    let step = step / 8 * 8;
    let n = payload.len().div_ceil(step);
    payload
        .chunks(step)
        .enumerate()
        .map(|(i, piece)| {
            let mut ip = ip.clone();
            let offset = (before + i * step) / 8;
            ip.fragment_offset = (offset as u16).try_into().expect("13 bits");
            ip.more_fragments = ip.more_fragments || i + 1 < n;
            packet(ip, piece)
        })
        .collect()
}

/// Everything a stack has to send.
pub fn drain(stack: &mut Stack<Bytes>, now: Instant) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| stack.poll_transmit(now).map(|p| p.to_vec())).collect()
}
