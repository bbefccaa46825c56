//! A burst: full segments of new data that leave one right after another, decided on once.
//!
//! The one before them was cut as [`Tcb::next_plain`] does it, which notes how far such segments may go as well: both windows
//! have room for them, more data follows each, and at least two full segments are in flight, so that the timers stay where
//! that one has set them as long as the time is the same. Whatever else happens to the connection ends the burst.

use super::Tcb;
use crate::payload::Payload;
use crate::rope::Rope;
use crate::seq::Seq;
use crate::time::Instant;

impl<B: Payload> Tcb<B> {
    /// After a segment of `len` octets was cut: `room` is what the windows leave, `unsent` what is left to be sent.
    #[inline]
    pub(super) fn lead_burst(&mut self, len: usize, room: usize, unsent: usize) {
        let long = len == self.mss as usize && self.outstanding() >= 2 * self.mss;
        // RFC 9293 MUST-60: the PSH bit is set in the last buffered segment, which is none of these.
        let octets = if long {
            room.min(unsent.saturating_sub(1))
        } else {
            0
        };
        self.burst_end = self.snd_nxt + octets as u32;
    }

    /// Something has happened, or is about to.
    #[inline]
    pub(crate) fn end_burst(&mut self) {
        self.burst_end = self.snd_nxt;
    }

    /// Another full segment may follow the last one right away.
    #[inline]
    pub(crate) fn leads_burst(&self) -> bool {
        self.burst_end.distance_from(self.snd_nxt) >= self.mss
    }

    /// The number of the next full segment, which differs from the last one by that only, and its text for `text`, which has
    /// none.
    #[inline]
    pub(crate) fn next_of_burst(&mut self, now: Instant, text: &mut Rope<B>) -> Option<Seq> {
        if !self.leads_burst() || self.last_send != now {
            return None;
        }
        let seq = self.snd_nxt;
        let offset = self.outstanding() as usize;
        self.snd_nxt += self.mss;
        self.snd_max = self.snd_nxt;
        self.board.push(self.snd_nxt, now);
        self.send.slice_to(offset, self.mss as usize, text);
        Some(seq)
    }
}
