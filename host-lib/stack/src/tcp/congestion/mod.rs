//! Congestion control: how much may be in flight. Which algorithm grows and shrinks it is chosen for each socket.

mod cubic;
mod newreno;

use crate::time::Instant;
use cubic::Cubic;
use newreno::NewReno;

/// A congestion control algorithm (TCP_CONGESTION).
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Algorithm {
    /// RFC 9438.
    #[default]
    Cubic,
    /// RFC 5681 and RFC 6582.
    NewReno,
}

impl Algorithm {
    /// The name Linux gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Cubic => "cubic",
            Algorithm::NewReno => "reno",
        }
    }
}

#[derive(Copy, Clone, Debug)]
enum Kind {
    Cubic(Cubic),
    NewReno(NewReno),
}

/// The window of one connection. Amounts are bytes.
///
/// Fields lie in this order: what few acknowledgments change comes last.
#[derive(Copy, Clone, Debug)]
#[repr(C)]
pub(crate) struct Congestion {
    mss: u32,
    cwnd: u32,
    ssthresh: u32,
    kind: Kind,
}

/// What an acknowledgment told, as far as the window cares.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Acked {
    pub(crate) now: Instant,
    /// Octets newly acknowledged.
    pub(crate) octets: u32,
    /// The smoothed round-trip time in nanoseconds.
    pub(crate) srtt: u64,
    /// What was lost by a timeout is being sent again.
    pub(crate) after_timeout: bool,
}

/// RFC 6928 section 2: "min (10*MSS, max (2*MSS, 14600))".
fn initial_window(mss: u32) -> u32 {
    (10 * mss).min((2 * mss).max(14_600))
}

/// No window needs to be larger: the window field reaches 2^30 (RFC 7323 section 2.3).
const MAX_WINDOW: u32 = 1 << 30;
/// RFC 9406 section 4.2: in slow start one ACK adds at most L segments, "L = 8" without pacing.
const SLOW_START_SEGMENTS: u32 = 8;
/// RFC 3465 section 2.3: "L = 1*SMSS" after a timeout, when an ACK covers also what was not lost.
const AFTER_TIMEOUT_SEGMENTS: u32 = 1;

impl Congestion {
    pub(crate) fn new(algorithm: Algorithm, mss: u32) -> Congestion {
        Congestion {
            mss,
            cwnd: initial_window(mss),
            ssthresh: u32::MAX,
            kind: match algorithm {
                Algorithm::Cubic => Kind::Cubic(Cubic::default()),
                Algorithm::NewReno => Kind::NewReno(NewReno::default()),
            },
        }
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        match self.kind {
            Kind::Cubic(_) => Algorithm::Cubic,
            Kind::NewReno(_) => Algorithm::NewReno,
        }
    }

    /// Goes on with another algorithm from the window there is.
    pub(crate) fn set_algorithm(&mut self, algorithm: Algorithm) {
        if algorithm != self.algorithm() {
            self.kind = Congestion::new(algorithm, self.mss).kind;
        }
    }

    /// Bytes that may be in flight.
    pub(crate) fn window(&self) -> u32 {
        self.cwnd
    }

    pub(crate) fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    pub(crate) fn in_slow_start(&self) -> bool {
        self.cwnd < self.ssthresh
    }

    /// The maximum segment size became known, or smaller; the window stays as many bytes (RFC 1191 section 6.5), except
    /// that it is still the initial one.
    pub(crate) fn set_mss(&mut self, mss: u32) {
        if self.cwnd == initial_window(self.mss) {
            self.cwnd = initial_window(mss);
        }
        self.mss = mss;
    }

    /// Sets the window: recovery computes it (PRR), and undoing restores it.
    pub(crate) fn set_window(&mut self, cwnd: u32) {
        self.cwnd = cwnd.clamp(1, MAX_WINDOW);
    }

    /// Takes back a reduction that was not called for.
    pub(crate) fn restore(&mut self, before: &Congestion) {
        let (cwnd, ssthresh) = (self.cwnd, before.ssthresh.max(self.ssthresh));
        *self = Congestion {
            mss: self.mss,
            cwnd: before.cwnd.max(cwnd),
            ssthresh,
            ..*before
        };
    }

    /// New data was acknowledged outside recovery, and the window was in use.
    pub(crate) fn on_ack(&mut self, acked: Acked) {
        let mut acked = acked;
        if self.in_slow_start() {
            // RFC 5681 (2) as RFC 9406 section 4.2 has it: "cwnd = cwnd + min(N, L * SMSS)", N the bytes newly
            // acknowledged: ACK division gains nothing.
            let most = if acked.after_timeout {
                AFTER_TIMEOUT_SEGMENTS
            } else {
                SLOW_START_SEGMENTS
            };
            let growth = acked.octets.min(most * self.mss);
            let used = growth.min(self.ssthresh - self.cwnd);
            self.cwnd = (self.cwnd + used).min(MAX_WINDOW);
            acked.octets = growth - used;
            if acked.octets == 0 {
                return;
            }
        }
        let growth = match &mut self.kind {
            Kind::Cubic(cubic) => cubic.growth(self.cwnd, self.mss, acked),
            Kind::NewReno(reno) => reno.growth(self.cwnd, self.mss, acked.octets),
        };
        self.cwnd = self.cwnd.saturating_add(growth).min(MAX_WINDOW);
    }

    /// A loss or an ECN mark with `flight` bytes in flight: sets ssthresh; the window follows (PRR, or one segment).
    pub(crate) fn reduce(&mut self, flight: u32) {
        let target = match &mut self.kind {
            Kind::Cubic(cubic) => cubic.reduced(self.cwnd, self.mss, flight),
            Kind::NewReno(reno) => reno.reduced(flight),
        };
        // RFC 5681 (4): "ssthresh = max (..., 2*SMSS)".
        self.ssthresh = target.max(2 * self.mss);
    }

    /// The retransmission timer ran out with `flight` bytes in flight; `again` if for the same segment as last time.
    pub(crate) fn on_timeout(&mut self, flight: u32, again: bool) {
        // RFC 5681 section 3.1: on the first timeout of a segment ssthresh by (4), later ones leave it;
        // "upon a timeout cwnd MUST be set to no more than the loss window, LW, which equals 1 full-sized segment".
        if !again {
            self.reduce(flight);
        }
        self.cwnd = self.mss;
        if let Kind::Cubic(cubic) = &mut self.kind {
            cubic.restart_epoch();
        }
    }

    /// Nothing was sent for longer than an RTO. RFC 5681 section 4.1: "RW = min(IW,cwnd)".
    pub(crate) fn on_idle(&mut self) {
        self.cwnd = self.cwnd.min(initial_window(self.mss));
        if let Kind::Cubic(cubic) = &mut self.kind {
            cubic.restart_epoch();
        }
    }

    /// The handshake needed more than one SYN. RFC 5681 section 3.1 (RFC 6928 keeps it): the initial window is one segment.
    pub(crate) fn on_lost_syn(&mut self) {
        self.cwnd = self.mss;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acked(octets: u32) -> Acked {
        Acked {
            now: Instant::from_millis(1000),
            octets,
            srtt: 20_000_000,
            after_timeout: false,
        }
    }

    #[test]
    fn initial_window_is_rfc_6928s() {
        let window = |mss| Congestion::new(Algorithm::NewReno, mss).window();
        assert_eq!(window(1460), 14_600);
        assert_eq!(window(536), 5_360);
        assert_eq!(window(9000), 18_000);
    }

    #[test]
    fn slow_start_doubles_and_avoidance_adds_one_segment_a_window() {
        let mut cc = Congestion::new(Algorithm::NewReno, 1000);
        for _ in 0..10 {
            cc.on_ack(acked(1000));
        }
        assert_eq!(cc.window(), 20_000);
        cc.on_timeout(20_000, false);
        assert_eq!((cc.window(), cc.ssthresh()), (1000, 10_000));
        for _ in 0..9 {
            cc.on_ack(acked(1000));
        }
        assert_eq!(cc.window(), 10_000);
        for _ in 0..10 {
            cc.on_ack(acked(1000));
        }
        assert_eq!(cc.window(), 11_000);
    }

    #[test]
    fn ack_division_gains_nothing() {
        let mut whole = Congestion::new(Algorithm::NewReno, 1000);
        let mut divided = whole;
        whole.on_ack(acked(1000));
        for _ in 0..1000 {
            divided.on_ack(acked(1));
        }
        assert_eq!(whole.window(), divided.window());
    }

    #[test]
    fn reductions_are_half_and_seven_tenths() {
        let mut reno = Congestion::new(Algorithm::NewReno, 1000);
        let mut cubic = Congestion::new(Algorithm::Cubic, 1000);
        reno.set_window(100_000);
        cubic.set_window(100_000);
        reno.reduce(100_000);
        cubic.reduce(100_000);
        assert_eq!((reno.ssthresh(), cubic.ssthresh()), (50_000, 70_000));
    }

    #[test]
    fn a_spurious_reduction_is_taken_back() {
        let mut cc = Congestion::new(Algorithm::Cubic, 1000);
        cc.set_window(50_000);
        let before = cc;
        cc.on_timeout(50_000, false);
        cc.restore(&before);
        assert_eq!((cc.window(), cc.ssthresh()), (50_000, u32::MAX));
    }
}
