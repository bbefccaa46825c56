//! What happens to a connection when time passes: retransmission, probes, delayed ACKs, the end of FIN-WAIT-2.

use super::{Cx, Tcb, TcpState};
use crate::error::Error;
use crate::payload::Payload;

impl<B: Payload> Tcb<B> {
    /// Runs the timers whose time has come.
    pub(crate) fn on_timer(&mut self, cx: &mut Cx<'_>) {
        let due = |at: Option<crate::time::Instant>| at.is_some_and(|at| at <= cx.now);
        let retransmit = due(self.retransmit_at) && self.parked == 0;
        let (delayed_ack, linger) = (due(self.delayed_ack_at), due(self.linger_at));
        if delayed_ack {
            self.delayed_ack_at = None;
            self.ack_now = true;
        }
        if linger {
            self.enter_closed(cx);
            return;
        }
        if retransmit {
            self.retransmit_at = None;
            self.on_retransmission_timeout(cx);
        }
    }

    fn on_retransmission_timeout(&mut self, cx: &mut Cx<'_>) {
        let opening = matches!(self.state, TcpState::SynSent | TcpState::SynReceived);
        let limit = if opening {
            cx.config.max_syn_retransmits
        } else {
            cx.config.max_retransmits
        };
        if self.retransmits >= limit {
            // RFC 9293 section 3.8.3: beyond R2 the connection is closed.
            let error = self.soft_error.unwrap_or(Error::TimedOut);
            self.fail(cx, error);
            return;
        }
        let outstanding = self.snd_una != self.snd_max;
        let again = self.retransmits > 0;
        self.retransmits += 1;
        self.timed = None;
        self.rto.back_off();
        if opening {
            cx.stats.tcp_timeouts += 1;
            self.snd_nxt = self.iss;
            return;
        }
        if self.snd_wnd == 0 || !outstanding {
            // Section 3.8.6.1: "The transmitting host SHOULD send the first zero-window probe when a zero window
            // has existed for the retransmission timeout period, and SHOULD increase exponentially the interval".
            self.snd_nxt = self.snd_una;
            self.probe_now = true;
            return;
        }
        cx.stats.tcp_timeouts += 1;
        // RFC 6298 (5.4) "Retransmit the earliest segment that has not been acknowledged"; what follows it is sent
        // again as the congestion window, now one segment, opens.
        self.congestion
            .on_timeout(self.snd_max.distance_from(self.snd_una), again);
        self.snd_nxt = self.snd_una;
        self.recover = None;
        self.duplicate_acks = 0;
        self.retransmit_head = false;
        // RFC 6582 section 3.2 (4): "record the highest sequence number transmitted in the variable recover and
        // exit the fast recovery procedure".
        self.no_recovery_before = self.snd_max;
    }
}
