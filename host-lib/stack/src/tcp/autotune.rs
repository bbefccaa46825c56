//! Buffers that grow with what a connection carries, so that neither the peer nor we wait for room.

use core::num::NonZeroU64;

use crate::time::Instant;

/// Measures how much a program takes in a round trip (dynamic right-sizing, as Linux does it).
#[derive(Copy, Clone, Debug)]
pub(crate) struct ReceiveTuning {
    /// The peer's round trip as the receiver sees it, in nanoseconds.
    rtt: Option<NonZeroU64>,
    /// Without timestamps: the window's right edge, and when it was advertised; data beyond it took a round trip.
    round: Option<(u64, Instant)>,
    since: Instant,
    /// Octets the program had taken at `since`.
    from: u64,
    /// The most it took in a round trip.
    most: u64,
}

impl ReceiveTuning {
    pub(crate) fn new(now: Instant) -> ReceiveTuning {
        ReceiveTuning {
            rtt: None,
            round: None,
            since: now,
            from: 0,
            most: 0,
        }
    }

    /// The peer's round trip in nanoseconds, once known.
    pub(crate) fn rtt(&self) -> Option<u64> {
        self.rtt.map(NonZeroU64::get)
    }

    /// A round trip measured with the echo of a timestamp.
    pub(crate) fn echoed(&mut self, rtt: u64) {
        // The clock of timestamps ticks in milliseconds.
        let rtt = rtt.max(1_000_000);
        self.smooth(rtt);
    }

    fn smooth(&mut self, rtt: u64) {
        let rtt = match self.rtt() {
            // What waits at the sender makes samples longer, nothing makes them shorter.
            Some(old) if rtt > old => old + (rtt - old) / 8,
            _ => rtt,
        };
        self.rtt = NonZeroU64::new(rtt).or(Some(NonZeroU64::MIN));
    }

    /// Data up to stream position `to` has arrived, and a whole window from there on is open.
    pub(crate) fn arrived(&mut self, now: Instant, to: u64, window: u32) {
        match self.round {
            Some((edge, _)) if to < edge => {}
            Some((_, at)) => {
                self.smooth(now.nanos_since(at));
                self.round = Some((to + u64::from(window), now));
            }
            None => self.round = Some((to + u64::from(window), now)),
        }
    }

    /// The program has taken everything up to stream position `taken`. Returns the buffer size this calls for.
    pub(crate) fn taken(&mut self, now: Instant, taken: u64, mss: u32) -> Option<usize> {
        let rtt = self.rtt()?;
        if now.nanos_since(self.since) < rtt {
            return None;
        }
        let amount = taken - self.from;
        self.since = now;
        self.from = taken;
        if amount <= self.most {
            return None;
        }
        self.most = amount;
        // Twice what was taken, since the sender may double in a round trip; and some segments for what comes late.
        usize::try_from(2 * amount + 16 * u64::from(mss)).ok()
    }
}
