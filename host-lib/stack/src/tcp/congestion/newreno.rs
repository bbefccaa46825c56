//! NewReno's window (RFC 5681): a segment a round trip, halved by a loss.

/// Congestion avoidance as RFC 5681 section 3.1 gives it.
#[derive(Copy, Clone, Default, Debug)]
pub(super) struct NewReno {
    /// Bytes acknowledged since the window last grew.
    credit: u32,
}

impl NewReno {
    /// How much the window grows: count bytes, and add SMSS for each window's worth acknowledged.
    pub(super) fn growth(&mut self, cwnd: u32, mss: u32, acked: u32) -> u32 {
        self.credit = self.credit.saturating_add(acked);
        if self.credit < cwnd {
            return 0;
        }
        self.credit -= cwnd;
        mss
    }

    /// RFC 5681 (4): "ssthresh = max (FlightSize / 2, 2*SMSS)".
    pub(super) fn reduced(&mut self, flight: u32) -> u32 {
        self.credit = 0;
        flight / 2
    }
}
