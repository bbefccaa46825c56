//! One direction's positions: what is kept and sent again, what is accepted. Positions are counted without end here, and modulo 4096 in units.
use std::collections::VecDeque;

use super::unit::{Unit, POSITIONS};

/// The longest window: differences of positions keep their sign.
pub const WINDOW: u64 = POSITIONS / 2 - 1;

/// Most DWs in the units after going back: what a line that damages every long one still carries.
const BACK_DWORDS: usize = 32;
/// So many units with data are as short as that. Only a line that carries them all is tried with long ones again.
const BACK_UNITS: u32 = 32;

/// The position nearest behind `from` (or at it) that is `wire` in a unit; nothing if that is beyond the window.
fn unwrap(from: u64, wire: u16) -> Option<u64> {
    let ahead = u64::from(wire).wrapping_sub(from) % POSITIONS;
    (ahead <= WINDOW).then_some(from + ahead)
}

/// A position in a unit.
fn wrap(position: u64) -> u16 {
    (position % POSITIONS) as u16
}

/// The stream that goes out.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// From `base` on.
    kept: VecDeque<u32>,
    /// What the other side expects next, as far as is known.
    base: u64,
    /// What is sent next.
    next: u64,
    /// Behind the last that was ever sent.
    high: u64,
    /// Before which the other side has room.
    limit: u64,
    /// Short units with data that are to come.
    brief: u32,
    turn: bool,
}

impl Outgoing {
    /// A stream whose receiver has room for `limit`.
    pub fn new(limit: u16) -> Self {
        Self {
            limit: u64::from(limit).min(WINDOW),
            ..Self::default()
        }
    }

    /// Appends to the stream.
    pub fn push(&mut self, dwords: &[u32]) {
        self.kept.extend(dwords);
    }

    /// How much is not acknowledged, sent or not.
    pub fn backlog(&self) -> usize {
        self.kept.len()
    }

    /// Whether something is sent and not acknowledged.
    pub fn waits(&self) -> bool {
        self.next > self.base
    }

    /// Whether something may be sent.
    pub fn sendable(&self) -> bool {
        self.next < self.limit.min(self.base + self.kept.len() as u64)
    }

    /// Takes in acknowledgement and room; whether anything was acknowledged that had not been.
    pub fn hear(&mut self, unit: &Unit) -> bool {
        let Some(ack) = unwrap(self.base, unit.ack).filter(|ack| *ack <= self.high) else {
            return false;
        };
        if let Some(limit) = unwrap(ack, unit.limit) {
            self.limit = limit;
        }
        let gained = ack > self.base;
        self.kept.drain(..(ack - self.base) as usize);
        self.base = ack;
        self.next = self.next.max(ack);
        gained
    }

    /// Goes back to what is not acknowledged; how many DWs that is.
    pub fn go_back(&mut self) -> u64 {
        let back = self.next - self.base;
        self.next = self.base;
        self.brief = BACK_UNITS;
        self.turn = !self.turn;
        back
    }

    /// Whether a unit of the other side asks for something to be sent again, and it was not yet since that was found missing.
    pub fn is_asked(&self, unit: &Unit) -> bool {
        unit.back && unit.of_turn == self.turn && self.waits()
    }

    /// Puts the next piece, of `most` DWs at most, into a unit.
    pub fn fill(&mut self, unit: &mut Unit, most: usize) {
        unit.position = wrap(self.next);
        unit.turn = self.turn;
        let most = match self.brief {
            0 => most,
            _ => most.min(BACK_DWORDS),
        };
        let room = self.limit.saturating_sub(self.next) as usize;
        let at = (self.next - self.base) as usize;
        let piece = self.kept.iter().skip(at).take(room.min(most));
        unit.dwords.extend(piece);
        if !unit.dwords.is_empty() {
            self.brief = self.brief.saturating_sub(1);
        }
        self.next += unit.dwords.len() as u64;
        self.high = self.high.max(self.next);
    }
}

/// What a unit was to the stream that comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The next one, and it had data.
    Accepted,
    /// The next one, without data.
    Empty,
    /// It was there already, or does not fit.
    Refused,
    /// Something before it is missing.
    Gap,
}

/// The stream that comes in.
#[derive(Debug)]
pub struct Incoming {
    /// What was accepted and not taken.
    waiting: VecDeque<u32>,
    expected: u64,
    /// DWs that may wait.
    room: usize,
}

impl Incoming {
    /// A stream of which at most `room` DWs wait.
    pub fn new(room: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            expected: 0,
            room,
        }
    }

    /// Takes in a unit's piece.
    pub fn hear(&mut self, unit: &Unit) -> Fit {
        let Some(position) = unwrap(self.expected, unit.position) else {
            // Behind.
            return if unit.dwords.is_empty() {
                Fit::Empty
            } else {
                Fit::Refused
            };
        };
        if position > self.expected {
            return Fit::Gap;
        }
        if unit.dwords.is_empty() {
            return Fit::Empty;
        }
        if self.waiting.len() + unit.dwords.len() > self.room {
            return Fit::Refused;
        }
        self.waiting.extend(&unit.dwords);
        self.expected += unit.dwords.len() as u64;
        Fit::Accepted
    }

    /// Says in a unit what is expected and how much room there is.
    pub fn tell(&self, unit: &mut Unit) {
        unit.ack = wrap(self.expected);
        unit.limit = wrap(self.expected - self.waiting.len() as u64 + self.room as u64);
    }

    /// The next TLP, if all of it is there.
    pub fn take_tlp(&mut self) -> Option<Vec<u32>> {
        let length = tlp_dwords(*self.waiting.front()?);
        (self.waiting.len() >= length).then(|| self.waiting.drain(..length).collect())
    }
}

/// How many DWs a TLP has, by its first one (PCIe 2.1 section 2.2.1): header, payload, digest.
fn tlp_dwords(first: u32) -> usize {
    let bit = |n: u32| (first >> n & 1) as usize;
    let length = match first & 0x3FF {
        0 => 1024,
        n => n as usize,
    };
    3 + bit(29) + bit(15) + bit(30) * length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_the_nearest_within_the_window() {
        assert_eq!(unwrap(5, 5), Some(5));
        assert_eq!(unwrap(4_095, 0), Some(4_096));
        assert_eq!(unwrap(10_000, wrap(10_000 + WINDOW)), Some(10_000 + WINDOW));
        assert_eq!(unwrap(10_000, wrap(9_999)), None);
        assert_eq!(unwrap(0, 2_048), None);
    }

    #[test]
    fn a_tlp_is_as_long_as_its_header_says() {
        // MRd of 3 and 4 DWs of header, MWr of one and of 1,024 DWs, CplD with digest.
        for (first, dwords) in [
            (0x0000_0001, 3),
            (0x2000_0040, 4),
            (0x4000_0001, 4),
            (0x6000_0000, 1_028),
            (0x4A00_8002, 6),
        ] {
            assert_eq!(tlp_dwords(first), dwords, "{first:#x}");
        }
    }
}
