//! The receiving side of the MAC for byte times or nibbles as they come: preamble, FCS, lengths, RX_ER.
use ferrule_rtl::pins::Gmii;

use super::judge::Faults;
use crate::phy::fcs;

const PREAMBLE: u8 = 0x55;
const SFD: u8 = 0xD5;
const FCS_BYTES: usize = 4;
/// Shortest frame, with FCS.
const LEAST: usize = 64;

/// Where the receiver is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Preamble,
    Data,
    /// The rest of the carrier is of no interest.
    Skip,
}

/// The receiver.
pub(super) struct LineReceiver {
    state: State,
    frame: Vec<u8>,
    error: bool,
    /// The nibble before.
    first: Gmii,
    /// The next nibble is the second one of a byte.
    second: bool,
}

impl LineReceiver {
    /// With an idle line.
    pub(super) fn new() -> Self {
        Self {
            state: State::Idle,
            frame: vec![],
            error: false,
            first: Gmii::default(),
            second: false,
        }
    }

    /// A reset: the rest of a carrier that is there is ignored.
    pub(super) fn reset(&mut self) {
        if self.state != State::Idle {
            self.state = State::Skip;
        }
    }

    /// Takes a byte time; gives the frame that ended with it, without FCS, and what is wrong with it. `max_frame` counts the FCS.
    pub(super) fn push(&mut self, byte: Gmii, max_frame: usize) -> Option<(Vec<u8>, Faults)> {
        match self.state {
            State::Idle => {
                self.error = byte.error;
                self.frame.clear();
                self.state = match (byte.valid, byte.data) {
                    (false, _) => State::Idle,
                    (true, PREAMBLE) => State::Preamble,
                    (true, SFD) => State::Data,
                    (true, _) => State::Skip,
                };
            }
            State::Preamble => {
                self.error |= byte.error;
                self.state = match (byte.valid, byte.data) {
                    (false, _) => State::Idle,
                    (true, PREAMBLE) => State::Preamble,
                    (true, SFD) => State::Data,
                    (true, _) => State::Skip,
                };
            }
            State::Data => {
                let oversize = byte.valid && self.frame.len() >= max_frame;
                if byte.valid && !oversize {
                    self.error |= byte.error;
                    self.frame.push(byte.data);
                    return None;
                }
                self.state = if byte.valid { State::Skip } else { State::Idle };
                return Some(self.end(oversize));
            }
            State::Skip if !byte.valid => self.state = State::Idle,
            State::Skip => {}
        }
        None
    }

    /// The same of an MII: bits 3:0 of `nibble` count. Before the SFD the last two nibbles are a byte in every clock.
    pub(super) fn push_nibble(
        &mut self,
        nibble: Gmii,
        max_frame: usize,
    ) -> Option<(Vec<u8>, Faults)> {
        let first = std::mem::replace(&mut self.first, nibble);
        let byte = Gmii {
            data: first.data & 0xF | nibble.data << 4,
            valid: first.valid && nibble.valid,
            error: first.error || nibble.error,
        };
        self.second = self.state == State::Data && byte.valid && !self.second;
        if self.second {
            return None;
        }
        self.push(byte, max_frame)
    }

    fn end(&mut self, oversize: bool) -> (Vec<u8>, Faults) {
        let mut frame = std::mem::take(&mut self.frame);
        let runt = frame.len() < LEAST;
        let data = frame.len().saturating_sub(FCS_BYTES);
        let bad_fcs = fcs(&frame[..data]) != frame[data..];
        frame.truncate(data);
        let faults = Faults {
            damaged: self.error || (bad_fcs && !oversize),
            runt,
            oversize,
        };
        (frame, faults)
    }
}
