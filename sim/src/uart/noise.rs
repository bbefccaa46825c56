//! A line that damages bytes, by seed.
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A flag of the framing: out of nowhere, it ends a unit.
const FLAG: u8 = 0x7E;
const MILLION: u32 = 1_000_000;

/// One direction of a line. A byte that is damaged is lost, has a bit turned over, comes with another one before it, or is a flag instead.
#[derive(Debug)]
pub struct Noise {
    per_million: u32,
    random: StdRng,
    done: Arc<AtomicU64>,
}

impl Noise {
    /// Damages so many bytes of a million.
    pub fn new(seed: u64, per_million: u32) -> Self {
        Self {
            per_million,
            random: StdRng::seed_from_u64(seed),
            done: Arc::default(),
        }
    }

    /// Damages so many of a million from now on.
    pub fn set_rate(&mut self, per_million: u32) {
        self.per_million = per_million;
    }

    /// Bytes that were damaged so far; it goes on counting, wherever the line is.
    pub fn done(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.done)
    }

    /// What the line makes of bytes.
    pub fn carry(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut line = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if self.random.random_range(0..MILLION) >= self.per_million {
                line.push(byte);
                continue;
            }
            self.done.fetch_add(1, Ordering::Relaxed);
            match self.random.random_range(0..4) {
                0 => {}
                1 => line.push(byte ^ (1 << self.random.random_range(0..8))),
                2 => line.extend([self.random.random(), byte]),
                _ => line.push(FLAG),
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_bytes_are_damaged_and_the_same_ones_by_the_same_seed() {
        let bytes = vec![0x55; 100_000];
        let mut noise = Noise::new(1, 10_000);
        let line = noise.carry(&bytes);
        let done = noise.done().load(Ordering::Relaxed);
        assert!((900..1_100).contains(&done), "{done}");
        // A quarter each: lost, and with one more.
        assert!(line.len().abs_diff(bytes.len()) < 100, "{}", line.len());
        let wrong = line.iter().filter(|b| **b != 0x55).count() as u64;
        assert!((done / 2..=done).contains(&wrong), "{wrong} of {done}");
        assert_eq!(Noise::new(1, 10_000).carry(&bytes), line);
        assert_ne!(Noise::new(2, 10_000).carry(&bytes), line);
        noise.set_rate(0);
        assert_eq!(noise.carry(&bytes), bytes);
    }
}
