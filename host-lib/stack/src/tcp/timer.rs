//! What happens to a connection when time passes: retransmission, probes, delayed ACKs, keep-alive, the end of FIN-WAIT-2.

use super::recovery::Phase;
use super::{Cx, Tcb, TcpState};
use crate::error::Error;
use crate::payload::Payload;
use crate::time::Instant;

/// RFC 8985 section 7.2: the allowance for a delayed ACK (WCDelAckT) where a single segment is in flight.
const DELAYED_ACK_ALLOWANCE_NS: u64 = 200_000_000;
/// As in Linux (TCP_TIMEOUT_MIN) the PTO is never shorter: where round trips take microseconds, the time a few segments take
/// on the wire is many of them.
const LEAST_PROBE_NS: u64 = 2_000_000;
/// The PTO before there is a round-trip time: "PTO = 1 second".
const FIRST_PROBE_NS: u64 = 1_000_000_000;

impl<B: Payload> Tcb<B> {
    /// The earliest thing to happen by itself.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let at = |timer: Option<Instant>| timer.map_or(u64::MAX, Instant::as_nanos);
        let mut least = at(self.delayed_ack_at)
            .min(at(self.linger_at))
            .min(at(self.keep_alive_at));
        // A packet parked for address resolution is not lost: its timers wait.
        if self.parked == 0 {
            least = least
                .min(at(self.rto_at))
                .min(at(self.tail_probe_at))
                .min(at(self.reorder_at))
                .min(at(self.give_up_at()));
        }
        (least != u64::MAX).then(|| Instant::from_nanos(least))
    }

    /// When the user timeout ends the connection (RFC 5482 section 2: what was sent is not acknowledged for so long).
    fn give_up_at(&self) -> Option<Instant> {
        self.rto_at?;
        Some(self.progress_at + self.options.user_timeout?)
    }

    /// Runs the timers whose time has come.
    pub(crate) fn on_timer(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now;
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.delayed_ack_at) {
            self.delayed_ack_at = None;
            self.ack_now = true;
        }
        if due(self.linger_at) {
            self.enter_closed(cx);
            return;
        }
        if due(self.keep_alive_at) {
            self.on_keep_alive(cx);
        }
        if self.parked > 0 || self.state == TcpState::Closed {
            return;
        }
        if due(self.give_up_at()) {
            let error = self.soft_error.unwrap_or(Error::TimedOut);
            self.fail(cx, error);
            return;
        }
        if due(self.reorder_at) {
            self.detect_losses(cx);
        }
        if due(self.tail_probe_at) {
            // RFC 8985 section 7.3: "the sender MUST re-arm the RTO timer", from the probe on.
            self.tail_probe_at = None;
            self.tail_probe_now = true;
            self.rto_at = Some(now.after(self.rto.rto_nanos()));
        } else if due(self.rto_at) {
            self.rto_at = None;
            self.on_retransmission_timeout(cx);
        }
    }

    fn on_retransmission_timeout(&mut self, cx: &mut Cx<'_>) {
        let opening = matches!(self.state, TcpState::SynSent | TcpState::SynReceived);
        if !opening && self.board.is_empty() && self.snd_wnd > 0 {
            // Section 3.8.6.2.1 (4), the override timeout: what silly window avoidance or a cork holds back goes out.
            self.probe_now = true;
            return;
        }
        let limit = if opening {
            self.options
                .syn_retransmits
                .unwrap_or(cx.config.max_syn_retransmits)
        } else {
            cx.config.max_retransmits
        };
        if self.retransmits >= limit {
            // RFC 9293 section 3.8.3: beyond R2 the connection is closed.
            let error = self.soft_error.unwrap_or(Error::TimedOut);
            self.fail(cx, error);
            return;
        }
        let again = self.retransmits > 0;
        self.retransmits += 1;
        self.rto.back_off();
        if opening {
            cx.stats.tcp_timeouts += 1;
            self.snd_nxt = self.iss;
            return;
        }
        self.tail_probe_at = None;
        if self.snd_wnd == 0 || self.board.is_empty() {
            // Section 3.8.6.1: "The transmitting host SHOULD send the first zero-window probe when a zero window
            // has existed for the retransmission timeout period, and SHOULD increase exponentially the interval".
            self.probe_now = true;
            self.rto_at = Some(cx.now.after(self.rto.rto_nanos()));
            return;
        }
        cx.stats.tcp_timeouts += 1;
        // RFC 6298 (5.4) "Retransmit the earliest segment that has not been acknowledged"; what follows it is sent
        // again as the congestion window, now one segment, opens.
        self.enter_loss(cx, again);
    }

    /// RFC 8985 section 7.2: arms the probe timer after new data was sent or acknowledged.
    pub(crate) fn arm_tail_probe(&mut self, now: Instant) {
        // "the connection supports SACK ... the connection is not in loss recovery ... no SACKed sequences".
        let armed = self.sack_permitted
            && self.recovery.phase == Phase::Open
            && self.recovery.probe.is_none()
            && !self.board.is_empty()
            && self.board.sacked() == 0
            && self.snd_wnd > 0;
        if armed {
            self.set_tail_probe(now);
        } else {
            self.tail_probe_at = None;
        }
    }

    /// The same for a connection about which nothing is unusual.
    #[inline]
    pub(super) fn arm_usual_probe(&mut self, now: Instant) {
        if self.sack_permitted && !self.board.is_empty() {
            self.set_tail_probe(now);
        } else {
            self.tail_probe_at = None;
        }
    }

    #[inline]
    fn set_tail_probe(&mut self, now: Instant) {
        let wait = match self.rto.srtt_nanos() {
            // "PTO = 2 * SRTT; If FlightSize is one segment: PTO += TLP.max_ack_delay". So it is with several small ones: only
            // two full-sized segments must be acknowledged at once (RFC 5681 section 4.2).
            Some(srtt) if self.outstanding() < 2 * self.mss => srtt
                .saturating_mul(2)
                .saturating_add(DELAYED_ACK_ALLOWANCE_NS),
            Some(srtt) => srtt.saturating_mul(2).saturating_add(LEAST_PROBE_NS),
            None => FIRST_PROBE_NS,
        };
        // "If the time at which an RTO would fire ... is sooner than the computed time for the PTO, then the TLP timer
        // fires at the time of the RTO".
        let at = now.after(wait);
        self.tail_probe_at = Some(self.rto_at.map_or(at, |rto| rto.min(at)));
    }
}
