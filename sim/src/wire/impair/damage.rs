//! Flipped bits: on a cable, where the FCS no longer fits, or in a switch that makes a new FCS over what it damaged.
use rand::rngs::StdRng;
use rand::seq::index;
use rand::Rng;

use super::super::Arrival;
use crate::phy::{fcs, MIN_FRAME};

/// Length of an Ethernet header, and of the shortest IPv4 header.
const ETHERNET: usize = 14;
const IPV4: usize = 20;
const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];

/// Flips between one and `most` bits of a frame and its FCS, as on a cable.
pub(super) fn corrupt(arrival: &mut Arrival, most: u32, rng: &mut StdRng) {
    let frame = &mut arrival.frame;
    frame.resize(frame.len().max(MIN_FRAME), 0);
    let mut sum = arrival.fcs.unwrap_or_else(|| fcs(frame));
    let bits = 8 * (frame.len() + sum.len());
    let count = rng.random_range(1..=most.max(1)) as usize;
    for bit in index::sample(rng, bits, count.min(bits)) {
        let (byte, bit) = (bit / 8, bit % 8);
        let byte = match frame.get_mut(byte) {
            Some(byte) => byte,
            None => &mut sum[byte - (bits / 8 - 4)],
        };
        *byte ^= 1 << bit;
    }
    // Four flipped bits and more may make another valid frame.
    arrival.fcs = (fcs(frame) != sum).then_some(sum);
}

/// Flips one bit of an IPv4 packet, all of which its checksums cover, and leaves the FCS right; whether the frame holds such a packet.
pub(super) fn mangle(frame: &mut [u8], rng: &mut StdRng) -> bool {
    if frame.get(12..ETHERNET) != Some(&ETHERTYPE_IPV4) {
        return false;
    }
    let packet = &mut frame[ETHERNET..];
    let Some(&[high, low]) = packet.get(2..4) else {
        return false;
    };
    let len = usize::from(u16::from_be_bytes([high, low]));
    if len < IPV4 || len > packet.len() {
        return false;
    }
    let bit = rng.random_range(0..8 * len);
    packet[bit / 8] ^= 1 << (bit % 8);
    true
}
