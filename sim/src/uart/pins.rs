//! A UART's line as levels in time: 8N1 at real bit times, with drift.
use std::collections::VecDeque;

/// Bits of a byte on the line: start, data, stop.
const BITS: u64 = 10;

/// Bytes as levels.
#[derive(Debug)]
pub struct LineOut {
    bit_ps: u64,
    bytes: VecDeque<u8>,
    /// The byte under way, its start bit lowest, and since when.
    under_way: Option<(u64, u16)>,
}

impl LineOut {
    /// A line that is idle. `bit_ps`: picoseconds a bit.
    pub fn new(bit_ps: u64) -> Self {
        Self {
            bit_ps,
            bytes: VecDeque::new(),
            under_way: None,
        }
    }

    /// Appends to what is sent.
    pub fn send(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// Whether all is sent.
    pub fn is_idle(&self) -> bool {
        self.bytes.is_empty() && self.under_way.is_none()
    }

    /// Bytes that have not begun.
    pub fn waiting(&self) -> usize {
        self.bytes.len()
    }

    /// The level at a time, which never goes back.
    pub fn level(&mut self, now_ps: u64) -> bool {
        let byte_ps = BITS * self.bit_ps;
        let over = self
            .under_way
            .filter(|(since, _)| now_ps >= since + byte_ps);
        if over.is_some() || self.under_way.is_none() {
            // One that follows without a gap begins where the last one ended.
            let since = over.map_or(now_ps, |(since, _)| since + byte_ps);
            let next = self.bytes.pop_front();
            self.under_way = next.map(|byte| (since, u16::from(byte) << 1 | 1 << 9));
        }
        self.under_way.is_none_or(|(since, bits)| {
            let bit = ((now_ps - since.min(now_ps)) / self.bit_ps).min(BITS - 1);
            bits >> bit & 1 == 1
        })
    }
}

/// Levels as bytes.
#[derive(Debug)]
pub struct LineIn {
    bit_ps: u64,
    /// When the start bit began, and the bits since.
    under_way: Option<(u64, Vec<bool>)>,
    was: bool,
}

impl LineIn {
    /// A line that is idle.
    pub fn new(bit_ps: u64) -> Self {
        Self {
            bit_ps,
            under_way: None,
            was: true,
        }
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_none()
    }

    /// Takes the level at a time, to be called several times a bit; a byte when its stop bit is there, right or not.
    pub fn sample(&mut self, now_ps: u64, level: bool) -> Option<u8> {
        let fell = std::mem::replace(&mut self.was, level) && !level;
        let Some((since, bits)) = &mut self.under_way else {
            if fell {
                self.under_way = Some((now_ps, vec![]));
            }
            return None;
        };
        if now_ps < *since + self.bit_ps * (2 * bits.len() as u64 + 1) / 2 {
            return None;
        }
        bits.push(level);
        if bits.len() < BITS as usize {
            return None;
        }
        let byte = (0..8).fold(0, |byte, n| byte | u8::from(bits[n + 1]) << n);
        self.under_way = None;
        Some(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_through_at_their_rate_and_no_other() {
        let bytes: Vec<u8> = (0..=255).collect();
        for (drift, right) in [(0, true), (20, true), (-20, true), (100, false)] {
            let mut out = LineOut::new(333_333);
            let mut line = LineIn::new((333_333 * (1000 + drift) / 1000) as u64);
            out.send(&bytes);
            let (mut got, mut at) = (vec![], 0);
            while !out.is_idle() {
                at += 16_000;
                got.extend(line.sample(at, out.level(at)));
            }
            assert_eq!(got == bytes, right, "{drift}");
            let took_us = at / 1_000_000;
            assert!(
                (850..870).contains(&took_us),
                "2,560 bits of 333 ns, {took_us} us"
            );
        }
    }
}
