//! IGMP messages made and read byte by byte, as RFC 2236 section 2 and RFC 3376 section 4 draw them.
#![allow(dead_code, unreachable_pub)] // each test crate uses its own part of this

use super::{header, packet, parse, ROUTER};
use crate::common::A;
use crate::craft::drain;
use etherparse::IpNumber;
use ferrule_stack::{Bytes, Instant, Stack};
use std::net::Ipv4Addr;

pub const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
pub const ALL_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 2);
pub const V3_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);
const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

// RFC 3376 section 4.2.12.
pub const IS_IN: u8 = 1;
pub const IS_EX: u8 = 2;
pub const TO_IN: u8 = 3;
pub const TO_EX: u8 = 4;
pub const ALLOW: u8 = 5;
pub const BLOCK: u8 = 6;

/// An IGMP message with its checksum, as a router on the link sends it.
pub fn igmp(dst: Ipv4Addr, mut message: Vec<u8>) -> Vec<u8> {
    let sum = etherparse::checksum::Sum16BitWords::new().add_slice(&message);
    message[2..4].copy_from_slice(&sum.ones_complement().to_ne_bytes());
    let ip = header(IpNumber::IGMP, ROUTER, dst, |ip| {
        ip.time_to_live = 1;
        ip.options = [148, 4, 0, 0].into();
    });
    packet(ip, &message)
}

pub fn query_v2(group: Ipv4Addr, tenths: u8) -> Vec<u8> {
    let dst = if group == ANY { ALL_HOSTS } else { group };
    igmp(dst, [&[0x11, tenths, 0, 0][..], &group.octets()].concat())
}

pub fn query_v3(group: Ipv4Addr, tenths: u8, sources: &[Ipv4Addr]) -> Vec<u8> {
    let dst = if group == ANY { ALL_HOSTS } else { group };
    let mut message = [&[0x11, tenths, 0, 0][..], &group.octets()].concat();
    // Robustness 2, interval 125 s.
    message.extend_from_slice(&[2, 125, 0, sources.len() as u8]);
    sources
        .iter()
        .for_each(|s| message.extend_from_slice(&s.octets()));
    igmp(dst, message)
}

/// What a version 3 report says: record type, group, sources.
pub type Record = (u8, Ipv4Addr, Vec<Ipv4Addr>);

fn checked_igmp(bytes: &[u8]) -> (Ipv4Addr, Vec<u8>) {
    let (ip, message) = parse(bytes);
    assert_eq!(ip.protocol, IpNumber::IGMP);
    // RFC 3376 section 4: TTL 1, precedence of internetwork control, Router Alert (RFC 2113).
    assert_eq!((ip.time_to_live, ip.dscp.value() << 2), (1, 0xc0));
    assert_eq!(ip.options.as_slice(), [148, 4, 0, 0]);
    assert_eq!(ip.source, A.octets());
    let sum = etherparse::checksum::Sum16BitWords::new().add_slice(&message);
    assert_eq!(sum.ones_complement(), 0, "IGMP checksum");
    (Ipv4Addr::from(ip.destination), message)
}

pub fn records(bytes: &[u8]) -> Vec<Record> {
    let (dst, message) = checked_igmp(bytes);
    assert_eq!((dst, message[0]), (V3_ROUTERS, 0x22));
    let address = |b: &[u8]| Ipv4Addr::new(b[0], b[1], b[2], b[3]);
    let mut rest = &message[8..];
    let mut out = Vec::new();
    for _ in 0..u16::from_be_bytes([message[6], message[7]]) {
        let n = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        let sources = rest[8..8 + 4 * n].chunks(4).map(address).collect();
        out.push((rest[0], address(&rest[4..]), sources));
        rest = &rest[8 + 4 * n..];
    }
    assert!(rest.is_empty());
    out
}

/// All records of all reports that are sent now.
pub fn told(s: &mut Stack<Bytes>, now: Instant) -> Vec<Record> {
    drain(s, now).iter().flat_map(|p| records(p)).collect()
}

/// Destination and type of the messages of version 1 or 2 that are sent now.
pub fn told_v2(s: &mut Stack<Bytes>, now: Instant) -> Vec<(Ipv4Addr, u8, Ipv4Addr)> {
    let read = |p: &Vec<u8>| {
        let (dst, m) = checked_igmp(p);
        assert_eq!((m.len(), m[1]), (8, 0));
        (dst, m[0], Ipv4Addr::new(m[4], m[5], m[6], m[7]))
    };
    drain(s, now).iter().map(read).collect()
}
