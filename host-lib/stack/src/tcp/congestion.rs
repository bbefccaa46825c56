//! Congestion control: how much may be in flight. One trait; NewReno (RFC 5681, RFC 6582) behind it.

/// What a connection tells its congestion controller, and what it asks. All amounts are bytes.
pub(crate) trait CongestionControl: Send {
    /// Bytes that may be in flight.
    fn window(&self) -> u32;
    /// The maximum segment size became known.
    fn set_mss(&mut self, mss: u32);
    /// New data was acknowledged outside recovery.
    fn on_ack(&mut self, acked: u32);
    /// Three duplicate ACKs: a segment is taken for lost with `flight` in flight.
    fn on_loss(&mut self, flight: u32);
    /// A further duplicate ACK in recovery: a segment has left the network.
    fn on_duplicate_ack(&mut self);
    /// An ACK in recovery that leaves data sent before it began.
    fn on_partial_ack(&mut self, acked: u32);
    /// Everything sent before recovery began is acknowledged, `flight` is left.
    fn on_recovery_end(&mut self, flight: u32);
    /// The retransmission timer ran out; `again` if for the same segment as last time.
    fn on_timeout(&mut self, flight: u32, again: bool);
    /// Nothing was sent for longer than an RTO.
    fn on_idle(&mut self);
    /// The handshake needed more than one SYN.
    fn on_lost_syn(&mut self);
}

/// RFC 6928 section 2: "min (10*MSS, max (2*MSS, 14600))".
fn initial_window(mss: u32) -> u32 {
    (10 * mss).min((2 * mss).max(14_600))
}

/// Slow start, congestion avoidance, fast recovery as RFC 5681 and RFC 6582 give them.
#[derive(Debug)]
pub(crate) struct NewReno {
    mss: u32,
    cwnd: u32,
    ssthresh: u32,
    /// Bytes acknowledged since the window last grew in congestion avoidance.
    credit: u32,
}

impl NewReno {
    pub(crate) fn new(mss: u32) -> NewReno {
        NewReno {
            mss,
            cwnd: initial_window(mss),
            ssthresh: u32::MAX,
            credit: 0,
        }
    }

    /// RFC 5681 (4): "ssthresh = max (FlightSize / 2, 2*SMSS)".
    fn halve(&mut self, flight: u32) {
        self.ssthresh = (flight / 2).max(2 * self.mss);
    }
}

impl CongestionControl for NewReno {
    fn window(&self) -> u32 {
        self.cwnd
    }

    fn set_mss(&mut self, mss: u32) {
        if self.cwnd == initial_window(self.mss) {
            self.cwnd = initial_window(mss);
        }
        self.mss = mss;
    }

    fn on_ack(&mut self, acked: u32) {
        if self.cwnd < self.ssthresh {
            // RFC 5681 (2): "cwnd += min (N, SMSS)", N the bytes newly acknowledged: ACK division gains nothing.
            self.cwnd = self.cwnd.saturating_add(acked.min(self.mss));
        } else {
            // RFC 5681 section 3.1: count bytes, and add up to SMSS for each window's worth acknowledged.
            self.credit = self.credit.saturating_add(acked);
            if self.credit >= self.cwnd {
                self.credit -= self.cwnd;
                self.cwnd = self.cwnd.saturating_add(self.mss);
            }
        }
        self.cwnd = self.cwnd.min(1 << 30);
    }

    fn on_loss(&mut self, flight: u32) {
        // RFC 5681 section 3.2 (2), (3): ssthresh by (4), "cwnd MUST be set to ssthresh plus 3*SMSS".
        self.halve(flight);
        self.cwnd = self.ssthresh + 3 * self.mss;
        self.credit = 0;
    }

    fn on_duplicate_ack(&mut self) {
        // (4) "cwnd MUST be incremented by SMSS" for each additional duplicate ACK.
        self.cwnd = self.cwnd.saturating_add(self.mss).min(1 << 30);
    }

    fn on_partial_ack(&mut self, acked: u32) {
        // RFC 6582 section 3.2 (3): "deflate the congestion window by the amount of new data acknowledged ...
        // If the partial ACK acknowledges at least one SMSS of new data, then add back SMSS bytes".
        self.cwnd = self.cwnd.saturating_sub(acked);
        if acked >= self.mss {
            self.cwnd += self.mss;
        }
        self.cwnd = self.cwnd.max(self.mss);
    }

    fn on_recovery_end(&mut self, flight: u32) {
        // RFC 6582 section 3.2 (3), full acknowledgments, option 1: "min (ssthresh, max(FlightSize, SMSS) + SMSS)".
        self.cwnd = self.ssthresh.min(flight.max(self.mss) + self.mss);
    }

    fn on_timeout(&mut self, flight: u32, again: bool) {
        // RFC 5681 section 3.1: on the first timeout of a segment ssthresh by (4), later ones leave it;
        // "upon a timeout cwnd MUST be set to no more than the loss window, LW, which equals 1 full-sized segment".
        if !again {
            self.halve(flight);
        }
        self.cwnd = self.mss;
        self.credit = 0;
    }

    fn on_idle(&mut self) {
        // RFC 5681 section 4.1: "RW = min(IW,cwnd)".
        self.cwnd = self.cwnd.min(initial_window(self.mss));
    }

    fn on_lost_syn(&mut self) {
        // RFC 5681 section 3.1: if the SYN or SYN/ACK is lost, the initial window is one segment (RFC 6928 keeps it).
        self.cwnd = self.mss;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_window_is_rfc_6928s() {
        assert_eq!(NewReno::new(1460).window(), 14_600);
        assert_eq!(NewReno::new(536).window(), 5_360);
        assert_eq!(NewReno::new(9000).window(), 18_000);
    }

    #[test]
    fn slow_start_doubles_and_avoidance_adds_one_segment_a_window() {
        let mut cc = NewReno::new(1000);
        for _ in 0..10 {
            cc.on_ack(1000);
        }
        assert_eq!(cc.window(), 20_000);
        cc.on_timeout(20_000, false);
        assert_eq!(cc.window(), 1000);
        for _ in 0..9 {
            cc.on_ack(1000);
        }
        assert_eq!(cc.window(), 10_000);
        for _ in 0..10 {
            cc.on_ack(1000);
        }
        assert_eq!(cc.window(), 11_000);
    }

    #[test]
    fn ack_division_gains_nothing() {
        let (mut whole, mut divided) = (NewReno::new(1000), NewReno::new(1000));
        whole.on_ack(1000);
        for _ in 0..1000 {
            divided.on_ack(1);
        }
        assert_eq!(whole.window(), divided.window());
    }

    #[test]
    fn fast_recovery_inflates_and_deflates() {
        let mut cc = NewReno::new(1000);
        cc.on_loss(10_000);
        assert_eq!(cc.window(), 8_000);
        cc.on_duplicate_ack();
        assert_eq!(cc.window(), 9_000);
        cc.on_partial_ack(2_000);
        assert_eq!(cc.window(), 8_000);
        cc.on_recovery_end(3_000);
        assert_eq!(cc.window(), 4_000);
    }
}
