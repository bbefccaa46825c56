//! Packets that no honest peer sends at that moment: true ones changed a little, and what routers say.

use std::net::Ipv4Addr;

use super::Rng;
use crate::checksum::Checksum;
use crate::wire::ipv4::{self, protocol, Ipv4Header};
use crate::wire::{be16, be32};

/// A segment that differs from `packet` in something.
pub(super) fn changed(rng: &mut Rng, packet: &[u8]) -> Vec<u8> {
    let mut bytes = packet.to_vec();
    let header = 20 + usize::from(bytes[32] >> 4) * 4;
    let step = rng.of(&[
        1u32,
        2,
        10,
        100,
        1448,
        1460,
        65_535,
        1 << 20,
        1 << 30,
        1 << 31,
    ]);
    let step = if rng.chance(50) {
        step
    } else {
        step.wrapping_neg()
    };
    for _ in 0..1 + rng.below(2) {
        match rng.below(11) {
            0 => add(&mut bytes, 24, step),
            1 => add(&mut bytes, 28, step),
            2 => {
                let window = rng.of(&[0u16, 1, 2, 100, 0xffff]);
                bytes[34..36].copy_from_slice(&window.to_be_bytes());
            }
            3 => bytes[33] ^= 1 << rng.of(&[0usize, 2, 3, 4, 5, 6, 7]),
            4 | 8 | 9 if header == 52 => add(&mut bytes, 44, step),
            5 if header == 52 => add(&mut bytes, 48, step),
            6 => {
                // The text is gone, or shorter.
                let keep = header + rng.below(bytes.len() - header + 1);
                bytes.truncate(keep);
            }
            7 => {
                let more = rng.of(&[1usize, 3, 60, 700, 1400]);
                bytes.resize(bytes.len() + more, 0x55);
            }
            _ => bytes[1] ^= rng.below(4) as u8,
        }
    }
    let len = bytes.len() as u16;
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
    bytes
}

fn add(bytes: &mut [u8], at: usize, step: u32) {
    let value = be32(bytes, at).wrapping_add(step);
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// A router's word about `packet` (RFC 792): with `mtu` that it is too large, else that its destination is out of reach.
pub(super) fn unreachable(packet: &[u8], mtu: Option<u16>) -> Vec<u8> {
    let quoted = &packet[..28];
    let mut message = [
        &[3, if mtu.is_some() { 4 } else { 1 }, 0, 0, 0, 0][..],
        &[0; 2],
    ]
    .concat();
    message[6..8].copy_from_slice(&mtu.unwrap_or(0).to_be_bytes());
    message.extend_from_slice(quoted);
    let mut sum = Checksum::new();
    sum.add(&message);
    let sum = sum.finish().to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    let header = Ipv4Header {
        src: Ipv4Addr::new(10, 0, 0, 77),
        dst: Ipv4Addr::from(be32(packet, 12)),
        protocol: protocol::ICMP,
        ident: be16(packet, 4),
        dont_fragment: false,
        more_fragments: false,
        fragment_offset: 0,
        ttl: 64,
        tos: 0,
        header_len: ipv4::HEADER_LEN,
        total_len: ipv4::HEADER_LEN + message.len(),
    };
    [&header.emit(false)[..], &message].concat()
}
