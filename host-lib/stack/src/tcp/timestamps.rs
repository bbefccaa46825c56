//! Timestamps (RFC 7323 sections 3 to 5): round trips of whatever was sent, and old duplicates refused (PAWS).

use crate::seq::Seq;
use crate::time::Instant;
use crate::wire::tcp::TimestampOption;

/// Section 5.5: after 24 days without a segment TS.Recent says nothing any more.
const OUTDATED_NS: u64 = 24 * 24 * 3600 * 1_000_000_000;

/// The timestamps of a connection on which both sides use them.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Timestamps {
    /// Added to the clock, so that it tells nobody how long we run; the same for all connections to one host
    /// (RFC 7323 section 7.1), so that a reused port sees it grow (RFC 6191).
    pub(crate) offset: u32,
    /// TS.Recent.
    pub(crate) recent: u32,
    recent_at: Instant,
    /// Last.ACK.sent.
    last_ack_sent: Seq,
}

/// The timestamp clock: a tick a millisecond (section 5.4 allows 1 ms to 1 s).
pub(crate) fn clock(now: Instant, offset: u32) -> u32 {
    ((now.as_nanos() / 1_000_000) as u32).wrapping_add(offset)
}

impl Timestamps {
    /// Both SYNs had the option; `recent` is the TSval of the peer's.
    pub(crate) fn new(offset: u32, recent: u32, now: Instant, rcv_nxt: Seq) -> Timestamps {
        Timestamps {
            offset,
            recent,
            recent_at: now,
            last_ack_sent: rcv_nxt,
        }
    }

    /// The option of a segment sent now.
    pub(crate) fn option(&self, now: Instant) -> TimestampOption {
        TimestampOption {
            value: clock(now, self.offset),
            echo: self.recent,
        }
    }

    /// An acknowledgment of everything before `ack` is on its way.
    pub(crate) fn ack_sent(&mut self, ack: Seq) {
        self.last_ack_sent = ack;
    }

    /// PAWS (section 5.3, R1): true if the segment is an old duplicate.
    pub(crate) fn is_old(&self, now: Instant, option: TimestampOption) -> bool {
        older(option.value, self.recent) && now.nanos_since(self.recent_at) < OUTDATED_NS
    }

    /// Section 5.3, R3 with section 4.3 (2): "If SEG.TSval >= TS.Recent and SEG.SEQ <= Last.ACK.sent, then SEG.TSval is
    /// copied to TS.Recent".
    pub(crate) fn accept(&mut self, now: Instant, option: TimestampOption, seq: Seq) {
        if seq.le(self.last_ack_sent) && !self.is_old(now, option) {
            self.recent = option.value;
            self.recent_at = now;
        }
    }

    /// Nanoseconds since the echoed timestamp was sent, to a tick; `None` for an echo of what was never sent.
    pub(crate) fn echoed(&self, now: Instant, option: TimestampOption) -> Option<u64> {
        let ticks = clock(now, self.offset).wrapping_sub(option.echo);
        // An echo that lies ahead, or weeks back, is no answer to anything.
        (option.echo != 0 && ticks < 1 << 31).then(|| u64::from(ticks) * 1_000_000)
    }
}

/// `a` lies before `b` on the circle of 32 bits.
pub(crate) fn older(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ts(value: u32) -> TimestampOption {
        TimestampOption { value, echo: 0 }
    }

    #[test]
    fn only_what_is_older_is_old_also_around_the_wrap() {
        let now = Instant::from_millis(5);
        let stamps = Timestamps::new(0, 3, now, Seq(100));
        assert!(stamps.is_old(now, ts(2)));
        assert!(stamps.is_old(now, ts(u32::MAX)));
        assert!(!stamps.is_old(now, ts(3)));
        assert!(!stamps.is_old(now, ts(4)));
        let later = now.after(OUTDATED_NS);
        assert!(!stamps.is_old(later, ts(2)), "outdated after 24 days");
    }

    #[test]
    fn ts_recent_follows_what_is_next_and_not_what_is_ahead() {
        let now = Instant::from_millis(5);
        let mut stamps = Timestamps::new(0, 3, now, Seq(100));
        stamps.accept(now, ts(9), Seq(101));
        assert_eq!(stamps.recent, 3, "beyond Last.ACK.sent");
        stamps.accept(now, ts(9), Seq(100));
        assert_eq!(stamps.recent, 9);
        stamps.accept(now, ts(8), Seq(100));
        assert_eq!(stamps.recent, 9, "never back");
        stamps.ack_sent(Seq(200));
        stamps.accept(now, ts(11), Seq(150));
        assert_eq!(stamps.recent, 11);
    }
}
