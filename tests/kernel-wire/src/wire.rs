//! One direction of a wire: delay, rate, loss, duplication, reordering and congestion marks, all from a seed.

use std::collections::BTreeMap;
use std::time::Duration;

/// What a wire does to packets. Shares are of 10,000.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Wire {
    /// Time from one end to the other.
    pub delay: Duration,
    /// Share that is lost.
    pub loss: u32,
    /// Share that arrives twice.
    pub duplicate: u32,
    /// Share that is held back by `reorder_by`, so that later ones overtake it.
    pub reorder: u32,
    /// How long those are held back.
    pub reorder_by: Duration,
    /// Share of packets of ECN-capable senders that arrives with the mark "congestion experienced" (RFC 3168).
    pub mark: u32,
    /// Bits a second; 0 is no limit.
    pub rate_bits: u64,
    /// Bytes that wait for a wire of limited rate; beyond them packets are lost.
    pub queue_bytes: u64,
}

/// Packets in flight one way, by arrival. Times are since an origin the caller chooses.
pub struct Direction {
    wire: Wire,
    rng: u64,
    queue: BTreeMap<(Duration, u64), Vec<u8>>,
    serial: u64,
    /// When the last bit of what was sent leaves.
    free_at: Duration,
    lost: u64,
}

impl Direction {
    /// An empty wire.
    pub fn new(wire: Wire, seed: u64) -> Direction {
        Direction {
            wire,
            rng: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            queue: BTreeMap::new(),
            serial: 0,
            free_at: Duration::ZERO,
            lost: 0,
        }
    }

    /// Packets lost so far.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    // xorshift64*.
    fn chance(&mut self, share: u32) -> bool {
        self.rng ^= self.rng >> 12;
        self.rng ^= self.rng << 25;
        self.rng ^= self.rng >> 27;
        (self.rng.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % 10_000 < u64::from(share)
    }

    /// Puts a packet on the wire.
    pub fn send(&mut self, now: Duration, mut packet: Vec<u8>) {
        let wire = self.wire;
        // Every packet draws the same number of times, so that the fate of the n-th depends on the seed alone.
        let [lost, twice, late, marked] =
            [wire.loss, wire.duplicate, wire.reorder, wire.mark].map(|share| self.chance(share));
        let mut leaves = now;
        if wire.rate_bits > 0 {
            let waiting = self.free_at.saturating_sub(now);
            let waiting_bytes = waiting.as_nanos() * u128::from(wire.rate_bits) / 8_000_000_000;
            if waiting_bytes > u128::from(wire.queue_bytes) {
                self.lost += 1;
                return;
            }
            let takes = packet.len() as u64 * 8_000_000_000 / wire.rate_bits;
            self.free_at = now.max(self.free_at) + Duration::from_nanos(takes);
            leaves = self.free_at;
        }
        if lost {
            self.lost += 1;
            return;
        }
        if marked {
            mark(&mut packet);
        }
        let held_back = if late {
            wire.reorder_by
        } else {
            Duration::ZERO
        };
        let arrives = leaves + wire.delay + held_back;
        if twice {
            self.insert(arrives, packet.clone());
        }
        self.insert(arrives, packet);
    }

    fn insert(&mut self, at: Duration, packet: Vec<u8>) {
        self.serial += 1;
        self.queue.insert((at, self.serial), packet);
    }

    /// When the next packet arrives.
    pub fn next_at(&self) -> Option<Duration> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next packet that has arrived.
    pub fn take(&mut self, now: Duration) -> Option<Vec<u8>> {
        let entry = self.queue.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

// RFC 3168 section 5: ECT(0) 10 and ECT(1) 01 become CE 11; what is not ECN-capable is left alone.
fn mark(packet: &mut [u8]) {
    let [_, tos, ..] = packet else { return };
    if *tos & 3 == 0 || *tos & 3 == 3 || packet.len() < 20 {
        return;
    }
    let before = u16::from_be_bytes([packet[0], packet[1]]);
    packet[1] |= 3;
    let after = u16::from_be_bytes([packet[0], packet[1]]);
    // RFC 1624 equation 3: HC' = ~(~HC + ~m + m').
    let sum = u32::from(!u16::from_be_bytes([packet[10], packet[11]]))
        + u32::from(!before)
        + u32::from(after);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    packet[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(wire: Wire, seed: u64, count: usize) -> Vec<(Duration, u8)> {
        let mut way = Direction::new(wire, seed);
        for i in 0..count {
            way.send(Duration::ZERO, vec![i as u8; 1_000]);
        }
        let mut out = Vec::new();
        while let Some(at) = way.next_at() {
            out.push((at, way.take(at).expect("it is time")[0]));
        }
        out
    }

    #[test]
    fn a_clean_wire_delays_and_keeps_the_order() {
        let delay = Duration::from_millis(10);
        let wire = Wire {
            delay,
            ..Wire::default()
        };
        let expected: Vec<_> = (0..100).map(|i| (delay, i)).collect();
        assert_eq!(arrivals(wire, 1, 100), expected);
    }

    #[test]
    fn a_rate_spaces_packets_and_a_full_queue_drops() {
        let wire = Wire {
            rate_bits: 8_000_000,
            queue_bytes: 2_000,
            ..Wire::default()
        };
        // 1,000 bytes at 1 byte a microsecond; the fourth finds 3,000 bytes before it.
        let expected: Vec<_> = (0..3)
            .map(|i| (Duration::from_millis(u64::from(i) + 1), i))
            .collect();
        assert_eq!(arrivals(wire, 1, 10), expected);
    }

    #[test]
    fn faults_come_as_often_as_asked_and_from_the_seed() {
        let wire = Wire {
            loss: 1_000,
            ..Wire::default()
        };
        let got = arrivals(wire, 7, 10_000);
        assert!((8_800..9_200).contains(&got.len()), "{}", got.len());
        assert_eq!(got, arrivals(wire, 7, 10_000));
        assert_ne!(got, arrivals(wire, 8, 10_000));
        let wire = Wire {
            duplicate: 10_000,
            ..Wire::default()
        };
        assert_eq!(arrivals(wire, 7, 100).len(), 200);
    }

    #[test]
    fn a_mark_keeps_the_header_checksum_right() {
        // The example of a header whose checksum is known: RFC 1071's sum over all ten words is 0xffff.
        let mut packet = vec![
            0x45, 0x02, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x5f, 0xc0, 0xa8,
            0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7,
        ];
        let sum = |p: &[u8]| {
            let words = p.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1]));
            let sum: u32 = words.sum();
            (sum & 0xffff) + (sum >> 16)
        };
        assert_eq!(sum(&packet), 0xffff);
        mark(&mut packet);
        assert_eq!(packet[1], 3);
        assert_eq!(sum(&packet), 0xffff);
    }
}
