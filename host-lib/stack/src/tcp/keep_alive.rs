//! Keep-alive (RFC 9293 section 3.8.4, RFC 1122 section 4.2.3.6): whether a peer that says nothing is still there.

use core::time::Duration;

use super::output::Segment;
use super::{Cx, Tcb, TcpState};
use crate::error::Error;
use crate::payload::Payload;
use crate::rope::Rope;
use crate::wire::tcp::Flags;

/// Times of keep-alive (SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct KeepAlive {
    /// Silence before the first probe.
    pub idle: Duration,
    /// Time between probes.
    pub interval: Duration,
    /// Probes without an answer that end the connection.
    pub probes: u8,
}

impl Default for KeepAlive {
    /// RFC 9293 MUST-26: "no less than two hours"; interval and count as Linux has them.
    fn default() -> KeepAlive {
        KeepAlive {
            idle: Duration::from_secs(7200),
            interval: Duration::from_secs(75),
            probes: 9,
        }
    }
}

impl<B: Payload> Tcb<B> {
    /// The option was set: silence counts from when the peer was last heard.
    pub(crate) fn restart_keep_alive(&mut self, cx: &Cx<'_>) {
        self.keep_alive_probes = 0;
        self.keep_alive_at = self
            .options
            .keep_alive
            .filter(|_| self.state.is_synchronized())
            .map(|times| (self.heard_at + times.idle).max(cx.now));
    }

    /// The peer has been silent until the timer's end, or was not: the timer is not moved with each segment.
    pub(crate) fn on_keep_alive(&mut self, cx: &mut Cx<'_>) {
        self.keep_alive_at = None;
        let Some(times) = self.options.keep_alive else {
            return;
        };
        if !self.state.is_synchronized() || self.state == TcpState::TimeWait {
            return;
        }
        let due = self.heard_at + times.idle;
        if due > cx.now {
            self.keep_alive_probes = 0;
            self.keep_alive_at = Some(due);
            return;
        }
        if !self.board.is_empty() || self.send.len() > 0 {
            // Section 3.8.4: only "when no data or acknowledgment packets have been received ... within an interval" and
            // none is outstanding: retransmission finds out else.
            self.keep_alive_at = Some(cx.now + times.idle);
            return;
        }
        let given_up = match self.options.user_timeout {
            // As in Linux the user timeout, where set, overrides the count.
            Some(limit) => self.keep_alive_probes > 0 && cx.now - self.heard_at >= limit,
            None => self.keep_alive_probes >= times.probes,
        };
        if given_up {
            let error = self.soft_error.unwrap_or(Error::TimedOut);
            *cx.reply = Some(self.header(cx.now, Flags::RST | Flags::ACK, self.bare_seq()));
            self.fail(cx, error);
            return;
        }
        self.keep_alive_probes = self.keep_alive_probes.saturating_add(1);
        self.keep_alive_at = Some(cx.now + times.interval);
        self.keep_alive_now = true;
    }

    /// "SEG.SEQ = SND.NXT-1" and no data: outside the window, so that any peer answers, also one that has no data.
    pub(crate) fn keep_alive_probe(&mut self, cx: &mut Cx<'_>) -> Option<Segment<B>> {
        if !core::mem::take(&mut self.keep_alive_now) {
            return None;
        }
        cx.stats.tcp_keep_alive_probes += 1;
        let mut header = self.header(cx.now, Flags::ACK, self.snd_nxt - 1);
        header.window = self.advertise();
        Some(Segment {
            header,
            payload: Rope::default(),
            segment_bytes: 0,
            ect: false,
        })
    }
}
