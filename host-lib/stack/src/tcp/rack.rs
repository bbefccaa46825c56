//! Time-based loss detection (RFC 8985): what was sent before something that has arrived is lost once a little time has passed.

use super::scoreboard::{Arrived, Scoreboard};
use crate::seq::Seq;
use crate::time::Instant;

/// RFC 5681's duplicate threshold, at which reordering is not waited for (RFC 8985 section 6.2, step 4).
pub(crate) const DUPLICATE_THRESHOLD: u32 = 3;
/// Recoveries a wider reordering window is kept for ("RACK.reo_wnd_persist = 16").
const PERSIST: u8 = 16;
/// A minimum older than this may be of another path.
const MIN_RTT_LASTS_NS: u64 = 300_000_000_000;

/// RACK's state, under the RFC's names (section 5.2); times are nanoseconds.
#[derive(Debug)]
pub(crate) struct Rack {
    /// RACK.xmit_ts and RACK.end_seq: the most recently sent segment that has arrived.
    newest: Option<(Instant, Seq)>,
    rtt: u64,
    min_rtt: Option<(u64, Instant)>,
    /// The highest sequence number that has arrived, by ACK or SACK.
    fack: Seq,
    reordering_seen: bool,
    window_multiplier: u8,
    window_persist: u8,
    /// Reordering seen by DSACK counts once a round trip: until this is acknowledged.
    dsack_round: Option<Seq>,
}

impl Rack {
    pub(crate) fn new(iss: Seq) -> Rack {
        Rack {
            newest: None,
            rtt: 0,
            min_rtt: None,
            fack: iss,
            reordering_seen: false,
            window_multiplier: 1,
            window_persist: PERSIST,
            dsack_round: None,
        }
    }

    /// Step 1: "update min_RTT".
    pub(crate) fn note_rtt(&mut self, now: Instant, rtt: u64) {
        match self.min_rtt {
            Some((min, since)) if min < rtt && now.nanos_since(since) < MIN_RTT_LASTS_NS => {}
            _ => self.min_rtt = Some((rtt, now)),
        }
    }

    /// RACK.rtt
    #[inline]
    pub(crate) fn rtt(&self) -> u64 {
        self.rtt
    }

    /// The least round-trip time of late.
    pub(crate) fn min_rtt(&self) -> Option<u64> {
        self.min_rtt.map(|(rtt, _)| rtt)
    }

    /// Steps 2 and 3 for a segment that has arrived. `echoed_before` says that the timestamp echoed with it is older than
    /// its last transmission.
    pub(crate) fn on_arrival(&mut self, now: Instant, segment: Arrived, echoed_before: bool) {
        let rtt = now.nanos_since(segment.at);
        // Step 2: what arrived of a segment sent again may be its first copy: "if Segment.ever_retransmitted ... and
        // (the echoed timestamp is older or RTT < min_RTT)" it tells nothing.
        let misleading = segment.retransmitted
            && (echoed_before || self.min_rtt.is_some_and(|(min, _)| rtt < min));
        if !misleading {
            let later = self
                .newest
                .is_none_or(|newest| sent_after((segment.at, segment.end), newest));
            if later {
                self.newest = Some((segment.at, segment.end));
                self.rtt = rtt;
            }
        }
        // Step 3: "detect data segment reordering".
        if segment.end.gt(self.fack) {
            self.fack = segment.end;
        } else if segment.end.lt(self.fack) && !segment.retransmitted {
            self.reordering_seen = true;
        }
    }

    /// Step 4: DSACK says that a segment was sent again in vain: wait longer for reordering from now on.
    pub(crate) fn on_dsack(&mut self, una: Seq, snd_nxt: Seq) {
        // A round that ended long ago may seem to lie ahead, but not within what is in flight.
        let counted = |round: Seq| una.lt(round) && round.le(snd_nxt);
        if self.dsack_round.is_some_and(counted) {
            return;
        }
        self.dsack_round = Some(snd_nxt);
        self.window_multiplier = self.window_multiplier.saturating_add(1);
        self.window_persist = PERSIST;
    }

    /// What seemed to be the most recent arrival may have been an older copy.
    pub(crate) fn forget_newest(&mut self) {
        self.newest = None;
    }

    /// A recovery has ended: the wider window is kept for sixteen of them.
    pub(crate) fn on_recovery_end(&mut self) {
        self.window_persist = self.window_persist.saturating_sub(1);
        if self.window_persist == 0 {
            self.window_multiplier = 1;
        }
    }

    /// Step 4: RACK.reo_wnd.
    fn window(&self, in_recovery: bool, sacked_segments: u32, srtt: Option<u64>) -> u64 {
        if !self.reordering_seen && (in_recovery || sacked_segments >= DUPLICATE_THRESHOLD) {
            return 0;
        }
        let min = self.min_rtt().unwrap_or(0);
        let window = (min / 4).saturating_mul(u64::from(self.window_multiplier));
        window.min(srtt.unwrap_or(0))
    }

    /// Section 6.3: what to take for lost when the retransmission timer runs out: "Segment.xmit_ts + RACK.rtt + RACK.reo_wnd -
    /// Now() <= 0", without a window for reordering, which had its time.
    pub(crate) fn mark_lost_after_timeout(&self, board: &mut Scoreboard, now: Instant) {
        let rtt = self.rtt;
        board.mark_old_lost(|at| at.after(rtt) <= now);
    }

    /// The usual case: what is in flight was sent after all that has arrived.
    pub(crate) fn is_settled(&self, board: &Scoreboard) -> bool {
        match self.newest.zip(board.first()) {
            Some((newest, first)) => !sent_after(newest, first),
            None => true,
        }
    }

    /// Step 5: marks what is lost. Returns whether there was any, and how long until the next may be.
    pub(crate) fn detect(
        &self,
        board: &mut Scoreboard,
        now: Instant,
        in_recovery: bool,
        srtt: Option<u64>,
    ) -> (bool, Option<u64>) {
        let Some(newest) = self.newest else {
            return (false, None);
        };
        if board.is_empty() {
            return (false, None);
        }
        if board.is_undisturbed() && self.is_settled(board) {
            return (false, None);
        }
        let window = self.window(in_recovery, board.sacked_segments(), srtt);
        let rtt = self.rtt;
        board.judge(|at, end| {
            sent_after(newest, (at, end)).then(|| at.after(rtt).after(window).nanos_since(now))
        })
    }
}

/// RACK_sent_after (section 6.2): later, or at the same time and further on.
fn sent_after(a: (Instant, Seq), b: (Instant, Seq)) -> bool {
    a.0 > b.0 || a.0 == b.0 && a.1.gt(b.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_widen_the_window_once_a_round_trip_however_far_apart() {
        let mut rack = Rack::new(Seq(0));
        rack.on_dsack(Seq(0), Seq(1000));
        rack.on_dsack(Seq(999), Seq(2000));
        assert_eq!(rack.window_multiplier, 2, "the same round trip");
        // More than half the sequence space later, the end of that one seems to lie ahead.
        let una = Seq(3 << 30);
        rack.on_dsack(una, una + 1000);
        assert_eq!(rack.window_multiplier, 3);
    }
}
