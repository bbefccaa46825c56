//! A bad wire, which treats both copies of a packet alike, and the device at its end.

use core::time::Duration;
use std::collections::BTreeMap;

use super::twin::{Sent, Twin};
use super::Rng;
use crate::packet::RxMeta;
use crate::payload::Bytes;
use crate::time::Instant;
use crate::wire::{be16, be32, ipv4};

/// What a wire does to packets, in percent, and how the device hands them over.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Habits {
    pub(super) loss: usize,
    pub(super) duplicate: usize,
    pub(super) corrupt: usize,
    pub(super) mark: usize,
    pub(super) jitter_us: usize,
    pub(super) delay_us: usize,
    /// The receiving device verifies checksums.
    pub(super) verifies: bool,
    /// It hands over segments as long as they were sent, though they came cut.
    pub(super) joins: bool,
    /// Bytes of a packet that it copies for the stack.
    pub(super) head: usize,
}

pub(super) struct Flight {
    pub(super) to: usize,
    pub(super) bytes: [Vec<u8>; 2],
    intact: bool,
}

pub(super) struct Air {
    habits: Habits,
    /// Largest packet that fits.
    mtu: usize,
    queue: BTreeMap<(Instant, u64), Flight>,
    serial: u64,
}

impl Air {
    pub(super) fn new(habits: Habits, mtu: u16) -> Air {
        Air {
            habits,
            mtu: usize::from(mtu),
            queue: BTreeMap::new(),
            serial: 0,
        }
    }

    pub(super) fn send(&mut self, rng: &mut Rng, now: Instant, to: usize, sent: Sent) {
        let [a, b] = sent.bytes;
        if a.len() <= self.mtu || self.habits.joins {
            self.send_one(rng, now, to, [a, b]);
            return;
        }
        let (a, b) = (cut(&a, self.mtu), cut(&b, self.mtu));
        for (a, b) in a.into_iter().zip(b) {
            self.send_one(rng, now, to, [a, b]);
        }
    }

    fn send_one(&mut self, rng: &mut Rng, now: Instant, to: usize, bytes: [Vec<u8>; 2]) {
        let habits = self.habits;
        if rng.chance(habits.loss) {
            return;
        }
        for _ in 0..1 + usize::from(rng.chance(habits.duplicate)) {
            let mut bytes = bytes.clone();
            let mut intact = habits.verifies;
            if rng.chance(habits.mark) {
                for bytes in &mut bytes {
                    bytes[1] |= 3;
                    ipv4::fill_checksum(&mut bytes[..ipv4::HEADER_LEN]);
                }
            }
            if rng.chance(habits.corrupt) {
                // Behind the IPv4 header, in which the copies differ.
                let at = 20 + rng.below(bytes[0].len() - 20);
                let bit = 1 << rng.below(8);
                bytes[0][at] ^= bit;
                bytes[1][at] ^= bit;
                intact = false;
            }
            let delay = habits.delay_us + rng.below(habits.jitter_us + 1);
            self.put(now + Duration::from_micros(delay as u64), to, bytes, intact);
        }
    }

    /// A packet that arrives at `at` as it is.
    pub(super) fn put(&mut self, at: Instant, to: usize, bytes: [Vec<u8>; 2], intact: bool) {
        self.serial += 1;
        let flight = Flight { to, bytes, intact };
        self.queue.insert((at, self.serial), flight);
    }

    pub(super) fn next_at(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn take(&mut self, now: Instant) -> Option<Flight> {
        let entry = self.queue.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    /// Gives a packet to both copies of its host as a driver does.
    pub(super) fn deliver(&self, host: &mut Twin, flight: &Flight, padding: usize) {
        let now = host.now;
        let meta = RxMeta {
            ipv4_checksum_ok: flight.intact,
            l4_checksum_ok: flight.intact,
            l2_broadcast: false,
        };
        host.does("on_packet", |stack, copy| {
            let mut bytes = flight.bytes[copy].clone();
            bytes.resize(bytes.len() + padding, 0xee);
            let split = match bytes.len() {
                n if n <= 256 && self.habits.head == 128 => n,
                n => n.min(self.habits.head),
            };
            let body = Bytes::from(&bytes[split..]);
            stack.on_packet(now, meta, &bytes[..split], body);
        });
    }
}

/// What a device makes of a segment that is longer than the link takes.
fn cut(packet: &[u8], mtu: usize) -> Vec<Vec<u8>> {
    let header = 20 + usize::from(packet[32] >> 4) * 4;
    let (header, text) = packet.split_at(header);
    let most = mtu - header.len();
    let count = text.len().div_ceil(most);
    let pieces = text.chunks(most).enumerate().map(|(i, text)| {
        let mut piece = [header, text].concat();
        let len = piece.len() as u16;
        piece[2..4].copy_from_slice(&len.to_be_bytes());
        let ident = be16(header, 4).wrapping_add(i as u16);
        piece[4..6].copy_from_slice(&ident.to_be_bytes());
        let seq = be32(header, 24).wrapping_add((i * most) as u32);
        piece[24..28].copy_from_slice(&seq.to_be_bytes());
        if i + 1 < count {
            piece[33] &= !8;
        }
        piece
    });
    pieces.collect()
}
