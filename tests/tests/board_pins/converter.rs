//! What is between a PHY at 10 or 100 Mbit/s and a station that gives and takes a byte each 8 ns: nibbles on one side, whole frames on the other.
use std::collections::VecDeque;

use ferrule_rtl::pins::Gmii;
use ferrule_sim::phy::GAP;

/// Both ways of a media converter. Frames that come slowly go on when all of them is there, so that they go without a hole.
pub(crate) struct Converter {
    to_board: VecDeque<Gmii>,
    /// Byte times without a frame at the end of what waits for the board.
    rest: usize,
    second: Option<Gmii>,
    first: Option<Gmii>,
    frame: Vec<Gmii>,
    /// Nibbles since the board's last frame.
    idle: usize,
    from_board: VecDeque<Gmii>,
}

impl Converter {
    pub(crate) fn new() -> Self {
        Self {
            to_board: VecDeque::new(),
            rest: GAP,
            second: None,
            first: None,
            frame: vec![],
            idle: 2 * GAP,
            from_board: VecDeque::new(),
        }
    }

    /// A byte time of the station, towards the board.
    pub(crate) fn give(&mut self, line: Gmii) {
        if line.valid {
            self.rest = 0;
        } else if self.rest == GAP {
            return;
        } else {
            self.rest += 1;
        }
        self.to_board.push_back(line);
    }

    /// The next nibble towards the board, the lower one of a byte first (IEEE 802.3 clause 22.2.3).
    pub(crate) fn nibble(&mut self) -> Gmii {
        if let Some(second) = self.second.take() {
            return second;
        }
        let byte = self.to_board.pop_front().unwrap_or_default();
        let half = |data| Gmii { data, ..byte };
        self.second = byte.valid.then(|| half(byte.data >> 4));
        half(byte.data & 0xF)
    }

    /// A nibble of the board.
    pub(crate) fn take(&mut self, nibble: Gmii) {
        if !nibble.valid {
            self.idle += 1;
            if !self.frame.is_empty() {
                assert!(self.first.is_none(), "half a byte at a frame's end");
                self.from_board.extend(self.frame.drain(..));
                self.from_board.extend([Gmii::default(); GAP]);
            }
            return;
        }
        if self.frame.is_empty() && self.first.is_none() {
            // IEEE 802.3 clause 4.4.2: 96 bit times between frames.
            assert!(self.idle >= 2 * GAP, "a gap of {} nibbles", self.idle);
        }
        self.idle = 0;
        match self.first.take() {
            None => self.first = Some(nibble),
            Some(first) => self.frame.push(Gmii {
                data: first.data & 0xF | nibble.data << 4,
                valid: true,
                error: first.error | nibble.error,
            }),
        }
    }

    /// The next byte time towards the station.
    pub(crate) fn byte(&mut self) -> Gmii {
        self.from_board.pop_front().unwrap_or_default()
    }
}
