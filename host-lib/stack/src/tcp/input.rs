//! SEGMENT ARRIVES (RFC 9293 section 3.10.7), with RFC 5961's checks.

use core::time::Duration;

use super::timestamps::Timestamps;
use super::{Cx, Tcb, TcpState, DEFAULT_MSS};
use crate::config::Ecn;
use crate::error::Error;
use crate::incoming::Incoming;
use crate::payload::Payload;
use crate::readiness::Readiness;
use crate::seq::Seq;
use crate::wire::tcp::{Flags, TcpHeader, TimestampOption};

/// RFC 5961 section 7: "no more than 10 challenge ACKs in any 5 second window", here for each connection.
const CHALLENGES: u8 = 10;
const CHALLENGE_WINDOW: Duration = Duration::from_secs(5);
/// Pieces of the stream that may wait behind gaps in a small window, at the least.
const MIN_PIECES: usize = 256;

impl<B: Payload> Tcb<B> {
    /// Processes a segment with its payload; `tos` is its packet's traffic class. The header is used up.
    pub(crate) fn on_segment(
        &mut self,
        cx: &mut Cx<'_>,
        h: &mut TcpHeader,
        data: &mut Incoming<'_, B>,
        tos: u8,
    ) {
        match self.state {
            TcpState::Closed | TcpState::Listen | TcpState::TimeWait => {}
            TcpState::SynSent => self.on_segment_syn_sent(cx, h, data),
            _ => self.on_segment_synchronized(cx, h, data, tos),
        }
    }

    // Section 3.10.7.3, SYN-SENT.
    fn on_segment_syn_sent(&mut self, cx: &mut Cx<'_>, h: &TcpHeader, data: &mut Incoming<'_, B>) {
        let has_ack = h.flags.has(Flags::ACK);
        // First: "If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset (unless the RST bit is set ...)
        // <SEQ=SEG.ACK><CTL=RST> and discard the segment."
        if has_ack && (h.ack.le(self.iss) || h.ack.gt(self.snd_max)) {
            if !h.flags.has(Flags::RST) {
                *cx.reply = Some(self.header(cx.now, Flags::RST, h.ack));
            }
            return;
        }
        // Second: a RST counts only with an acceptable ACK.
        if h.flags.has(Flags::RST) {
            if has_ack {
                cx.stats.tcp_resets_in += 1;
                self.fail(cx, Error::ConnectionRefused);
            }
            return;
        }
        // Fourth: SYN.
        if !h.flags.has(Flags::SYN) {
            return;
        }
        self.irs = h.seq;
        self.rcv_nxt = h.seq + 1;
        self.rcv_adv = self.rcv_nxt + self.recv.free().min(65_535) as u32;
        // RFC 7323 sections 2.2 and 3.2, RFC 2018 section 2: each option is in force only if both SYNs have it.
        let shifts = h.window_scale.map(|peer| (self.rcv_shift, peer));
        let sack = cx.config.sack && h.sack_permitted;
        let stamps = h
            .timestamps
            .filter(|_| cx.config.timestamps)
            .map(|ts| Timestamps::new(self.timestamp_offset, ts.value, cx.now, self.rcv_nxt));
        self.agree(h.mss.unwrap_or(DEFAULT_MSS), shifts, sack, stamps);
        // RFC 3168 section 6.1.1: ECN-setup SYN and SYN-ACK.
        let (ece, cwr) = (h.flags.has(Flags::ECE), h.flags.has(Flags::CWR));
        self.ecn.on = match (cx.config.ecn, has_ack) {
            (Ecn::Never, _) => false,
            (Ecn::Always, true) => ece && !cwr && self.retransmits == 0,
            (Ecn::WhenAsked, true) => false,
            (_, false) => ece && cwr,
        };
        // RFC 7323 section 2.2: the window of a segment with SYN "MUST NOT be scaled".
        self.snd_wnd = u32::from(h.window);
        self.max_snd_wnd = self.snd_wnd;
        self.snd_wl1 = h.seq;
        self.snd_wl2 = h.ack;
        if has_ack {
            let lost = self.retransmits > 0;
            self.retransmits = 0;
            self.rto_at = None;
            if let Some(sent) = self.syn_sent_at.take() {
                let rtt = cx.now.nanos_since(sent);
                self.rto.sample(rtt);
                self.rack.note_rtt(cx.now, rtt);
            }
            if lost {
                self.rto.restart_after_lost_syn();
                self.congestion.on_lost_syn();
            }
            self.establish(cx, h.ack);
            self.ack_now = true;
            data.truncate(self.rcv_adv.distance_from(self.rcv_nxt) as usize);
            let fin = h.flags.has(Flags::FIN);
            self.receive(cx, h.seq + 1, data, fin);
        } else {
            // Simultaneous open (figure 7): answer with SYN-ACK. Text is not acknowledged, so it comes again.
            self.state = TcpState::SynReceived;
            self.snd_nxt = self.iss;
            self.syn_sent_at = None;
        }
    }

    /// Our SYN is acknowledged by `ack`: data may flow.
    fn establish(&mut self, cx: &mut Cx<'_>, ack: Seq) {
        self.state = if self.fin_queued {
            // Closed before it was open: "queue for processing after entering ESTABLISHED state".
            TcpState::FinWait1
        } else {
            TcpState::Established
        };
        self.snd_una = ack;
        self.snd_nxt = ack;
        self.snd_max = ack;
        self.board.restart(ack);
        self.window_full_at = ack;
        self.sample_after = ack;
        self.last_send = cx.now;
        self.rto_at = None;
        self.progress_at = cx.now;
        self.heard_at = cx.now;
        self.keep_alive_at = self.options.keep_alive.map(|k| cx.now + k.idle);
        cx.events |= Readiness::WRITABLE;
    }

    // Section 3.10.7.4, the other states.
    fn on_segment_synchronized(
        &mut self,
        cx: &mut Cx<'_>,
        h: &mut TcpHeader,
        data: &mut Incoming<'_, B>,
        tos: u8,
    ) {
        let window = self.rcv_adv.distance_from(self.rcv_nxt);
        // RFC 7323 section 2.2: the window of a segment with SYN is never scaled.
        let shift = if h.flags.has(Flags::SYN) {
            0
        } else {
            self.snd_shift
        };
        let send_window = u32::from(h.window) << shift;
        if self.state == TcpState::SynReceived && h.flags.has(Flags::SYN) && h.seq == self.irs {
            // The SYN we already have, now with the ACK of ours (figure 7, line 5): what follows it counts.
            h.seq += 1;
            h.flags = h.flags.without(Flags::SYN);
        }
        let syn = h.flags.has(Flags::SYN);
        let fin = h.flags.has(Flags::FIN);
        let segment_len = data.len() as u32 + u32::from(syn) + u32::from(fin);

        // RFC 7323 section 5.3 (R1): PAWS comes before all; a RST has no use for it.
        if !self.passes_paws(cx, h, segment_len) {
            return;
        }

        // First: check sequence number (table 6).
        if !acceptable(h.seq, segment_len, self.rcv_nxt, window) {
            cx.stats.tcp_out_of_window += 1;
            // "If an incoming segment is not acceptable, an acknowledgment should be sent in reply (unless the
            // RST bit is set, if so drop the segment and return)".
            if h.flags.has(Flags::RST) {
                return;
            }
            // "If the RCV.WND is zero, no segments will be acceptable, but special allowance should be made to
            // accept valid ACKs". So it is for what we already have: where two ends took each other's zero-window
            // probe, each sends from one octet too early, and neither would ever hear the other's ACK.
            let old = self.rcv_nxt.distance_from(h.seq);
            let nearly = window == 0 && h.seq == self.rcv_nxt
                || (1..=65_535u32 << self.rcv_shift).contains(&old);
            let valid = h.ack.gt(self.snd_una) && h.ack.le(self.snd_max) || h.ack == self.snd_una;
            if nearly && valid && !syn && h.flags.has(Flags::ACK) && self.state.is_synchronized() {
                self.on_ack(cx, h, send_window, segment_len.max(1));
            }
            if self.state == TcpState::Closed {
                return;
            }
            if segment_len > 0 && !syn {
                if self.sack_permitted && h.seq.lt(self.rcv_nxt) {
                    // RFC 2883 section 4.1: all of it was received before.
                    let end = (h.seq + segment_len - u32::from(fin)).max(h.seq);
                    if end.le(self.rcv_nxt) && end.gt(h.seq) {
                        self.sacks.duplicate(h.seq, end);
                    }
                }
                self.ack_now = true;
            } else {
                // Nothing was sent that needs it: within the rate limit, lest two such ends answer each other forever.
                self.challenge(cx);
            }
            return;
        }

        // Second: RST. RFC 5961 section 3.2: only "exactly" the next expected sequence number resets; in the
        // window it draws a challenge ACK.
        if h.flags.has(Flags::RST) {
            if h.seq == self.rcv_nxt {
                cx.stats.tcp_resets_in += 1;
                let error = match self.state {
                    TcpState::SynReceived => Error::ConnectionRefused,
                    // As Linux has it: the peer had sent all it would, and does not take what we send.
                    TcpState::CloseWait => Error::BrokenPipe,
                    _ => Error::ConnectionReset,
                };
                self.fail(cx, error);
            } else {
                self.challenge(cx);
            }
            return;
        }

        // Fourth: SYN. RFC 5961 section 4.2: "TCP MUST send a challenge ACK to the remote peer ... irrespective
        // of the sequence number".
        if syn {
            self.challenge(cx);
            return;
        }

        // Fifth: ACK. "If the ACK bit is off, drop the segment and return."
        if !h.flags.has(Flags::ACK) {
            return;
        }
        if self.state == TcpState::SynReceived {
            // "If SND.UNA < SEG.ACK =< SND.NXT, then enter ESTABLISHED state ... otherwise form a reset segment
            // <SEQ=SEG.ACK><CTL=RST> and send it."
            if h.ack.le(self.snd_una) || h.ack.gt(self.snd_max) {
                *cx.reply = Some(self.header(cx.now, Flags::RST, h.ack));
                return;
            }
            self.snd_wnd = send_window;
            self.max_snd_wnd = self.max_snd_wnd.max(self.snd_wnd);
            self.snd_wl1 = h.seq;
            self.snd_wl2 = h.ack;
            if let Some(sent) = self.syn_sent_at.take() {
                let rtt = cx.now.nanos_since(sent);
                self.rto.sample(rtt);
                self.rack.note_rtt(cx.now, rtt);
            }
            if self.retransmits > 0 {
                self.retransmits = 0;
                self.rto.restart_after_lost_syn();
                self.congestion.on_lost_syn();
            }
            self.establish(cx, h.ack);
        }
        // RFC 5961 section 5.2: "The ACK value is considered acceptable only if it is in the range of
        // ((SND.UNA - MAX.SND.WND) <= SEG.ACK <= SND.NXT)"; all others are discarded "and an ACK sent back".
        if h.ack.gt(self.snd_max) || h.ack.lt(self.snd_una - self.max_snd_wnd) {
            self.challenge(cx);
            return;
        }
        // Not before: what is discarded leaves no trace, or a forged timestamp would make PAWS shut the true peer out.
        self.heard_at = cx.now;
        self.ecn.on_segment(tos, h.flags, !data.is_empty());
        if let Some((stamps, option)) = self.timestamps.as_mut().zip(h.timestamps) {
            stamps.accept(cx.now, option, h.seq);
            self.note_receiver_rtt(cx, option, data.len());
        }
        self.on_ack(cx, h, send_window, segment_len);
        if self.state == TcpState::Closed || self.state == TcpState::TimeWait {
            return;
        }

        // Seventh and eighth: text and FIN, cut to the window.
        let mut seq = h.seq;
        let mut fin = fin;
        let old = self.rcv_nxt.distance_from(seq) as usize;
        if old > 0 {
            if old > data.len() {
                // All of it is old, and so is its FIN, unless that is exactly what is due (old == len).
                fin = false;
            }
            let duplicate = old.min(data.len());
            if duplicate > 0 && self.sack_permitted {
                self.sacks.duplicate(seq, seq + duplicate as u32);
            }
            data.trim_front(duplicate);
            seq = self.rcv_nxt;
            self.ack_now = true;
        }
        let room = self.rcv_adv.distance_from(seq) as usize;
        if data.len() > room {
            data.truncate(room);
            fin = false;
        }
        self.receive(cx, seq, data, fin);
    }

    /// Takes text that begins at or after RCV.NXT and lies in the window.
    fn receive(&mut self, cx: &mut Cx<'_>, seq: Seq, data: &mut Incoming<'_, B>, fin: bool) {
        if data.is_empty() && !fin {
            return;
        }
        if !matches!(
            self.state,
            TcpState::Established | TcpState::FinWait1 | TcpState::FinWait2
        ) {
            // "This should not occur, since a FIN has been received from the remote side. Ignore the segment text."
            return;
        }
        let shut_both_ways = self.read_shutdown && self.state != TcpState::Established;
        if (self.orphan || shut_both_ways) && !data.is_empty() {
            // Section 3.6.1: data for a program that has closed can reach nobody; "it SHOULD send a RST to show
            // that data was lost". As in Linux that also holds for one that has shut down both ways, which is told.
            *cx.reply = Some(self.header(cx.now, Flags::RST, self.bare_seq()));
            match self.orphan {
                true => self.enter_closed(cx),
                false => self.fail(cx, Error::ConnectionReset),
            }
            return;
        }
        if fin {
            let at = seq + data.len() as u32;
            // A second FIN elsewhere is a peer's mistake; the first one counts.
            self.peer_fin.get_or_insert(at);
        }
        if let Some(end) = self.peer_fin {
            data.truncate(end.distance_from(seq) as usize);
        }
        let in_order = seq == self.rcv_nxt;
        let before = self.rcv_nxt;
        if in_order && self.ahead.is_empty() {
            self.advance(data.len());
            self.recv.push_copy(data.head);
            if !data.body.is_empty() {
                self.recv.push_rope(core::mem::take(&mut data.body));
            }
        } else {
            // RFC 5681 section 4.2: "an immediate duplicate ACK when an out-of-order segment arrives", and an
            // immediate ACK "when the incoming segment fills in all or part of a gap".
            self.ack_now = true;
            if !in_order {
                cx.stats.tcp_out_of_order += 1;
            }
            let at = self.rcv_pos + u64::from(seq.distance_from(self.rcv_nxt));
            let end = seq + data.len() as u32;
            let is_known = !data.is_empty() && self.sacks.covering(seq, end);
            let kept = self
                .ahead
                .insert(self.rcv_pos, self.most_pieces(), at, data);
            if !in_order && self.sack_permitted {
                if is_known {
                    self.sacks.duplicate(seq, end);
                }
                // What is reported is kept: the peer need not send it again.
                if kept > at {
                    self.sacks.held(seq, seq + (kept - at) as u32);
                }
            }
            while let Some(rope) = self.ahead.take(self.rcv_pos) {
                self.advance(rope.len());
                self.recv.push_rope(rope);
            }
            self.sacks.advance(self.rcv_nxt);
        }
        let got = self.rcv_nxt.distance_from(before);
        if got > 0 {
            self.note_text(cx, got);
        }
        if self.peer_fin == Some(self.rcv_nxt) {
            self.on_fin(cx);
        }
        if self.ack_now {
            // At once and not when next polled: each segment out of order must have a duplicate ACK of its own.
            *cx.reply = self.take_ack(cx.now);
        }
    }

    /// Pieces that may wait behind gaps: all of the window's segments, were each no longer than a quarter of what the peer may send. A peer that
    /// sends single bytes with gaps gains nothing.
    fn most_pieces(&self) -> usize {
        let segments = self.recv.capacity() / usize::from(self.advertised_mss.max(1));
        MIN_PIECES + 4 * segments
    }

    pub(super) fn advance(&mut self, n: usize) {
        self.rcv_nxt += n as u32;
        self.rcv_pos += n as u64;
    }

    /// Text of `got` octets has been added to what the program may read.
    #[inline(always)]
    pub(super) fn note_text(&mut self, cx: &mut Cx<'_>, got: u32) {
        cx.events |= Readiness::READABLE;
        self.data_at = cx.now;
        if self.timestamps.is_none() {
            let window = self.rcv_adv.distance_from(self.rcv_nxt);
            self.tuning.arrived(cx.now, self.rcv_pos, window);
        }
        self.unacked_octets = self.unacked_octets.saturating_add(got);
        // RFC 5681 section 4.2: "an ACK SHOULD be generated for at least every second full-sized segment,
        // and MUST be generated within 500 ms".
        if self.unacked_octets >= 2 * u32::from(self.advertised_mss).min(self.mss.max(1))
            || self.options.quick_ack
        {
            self.ack_now = true;
        } else if self.delayed_ack_at.is_none() {
            self.delayed_ack_at = Some(cx.now + cx.config.delayed_ack);
        }
    }

    // Eighth: "advance RCV.NXT over the FIN, and send an acknowledgment for the FIN".
    fn on_fin(&mut self, cx: &mut Cx<'_>) {
        self.rcv_nxt += 1;
        self.rcv_adv = self.rcv_adv.max(self.rcv_nxt);
        self.fin_received = true;
        self.ahead.clear();
        self.ack_now = true;
        cx.events |= Readiness::READABLE | Readiness::READ_CLOSED;
        match self.state {
            TcpState::Established => self.state = TcpState::CloseWait,
            TcpState::FinWait1 => self.state = TcpState::Closing,
            TcpState::FinWait2 => self.state = TcpState::TimeWait,
            _ => {}
        }
        if self.state == TcpState::TimeWait {
            cx.events |= Readiness::HANGUP;
        }
    }

    /// PAWS: false if the segment is to be dropped.
    fn passes_paws(&mut self, cx: &mut Cx<'_>, h: &TcpHeader, segment_len: u32) -> bool {
        let Some(stamps) = &self.timestamps else {
            return true;
        };
        if h.flags.has(Flags::RST) {
            return true;
        }
        let Some(option) = h.timestamps else {
            // RFC 7323 section 3.2: "If a non-<RST> segment is received without a TSopt, a TCP SHOULD silently drop the
            // segment."
            cx.stats.tcp_paws_drops += 1;
            return false;
        };
        if !stamps.is_old(cx.now, option) {
            return true;
        }
        cx.stats.tcp_paws_drops += 1;
        // "Send an acknowledgment in reply ... and drop the segment."
        let end = h.seq + segment_len;
        if self.sack_permitted && segment_len > 0 && end.le(self.rcv_nxt) {
            self.sacks.duplicate(h.seq, end);
        }
        if segment_len > 0 {
            self.ack_now = true;
        } else {
            self.challenge(cx);
        }
        false
    }

    /// The receiver's round trip, for the size of its buffer: an echo that came with data.
    pub(super) fn note_receiver_rtt(&mut self, cx: &Cx<'_>, option: TimestampOption, len: usize) {
        if len < self.mss as usize {
            return;
        }
        if let Some(rtt) = self.timestamps.and_then(|ts| ts.echoed(cx.now, option)) {
            self.tuning.echoed(rtt);
        }
    }

    /// Sends an ACK that makes a true peer show itself, within the rate limit.
    fn challenge(&mut self, cx: &mut Cx<'_>) {
        if cx.now - self.challenge_since >= CHALLENGE_WINDOW {
            self.challenge_since = cx.now;
            self.challenges = 0;
        }
        if self.challenges >= CHALLENGES {
            cx.stats.rate_limited += 1;
            return;
        }
        self.challenges += 1;
        cx.stats.tcp_challenge_acks += 1;
        // "<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>"
        let mut ack = self.header(cx.now, Flags::ACK, self.bare_seq());
        ack.window =
            (self.rcv_adv.distance_from(self.rcv_nxt) >> self.rcv_shift).min(65_535) as u16;
        *cx.reply = Some(ack);
    }
}

/// RFC 9293 table 6: is any of the segment in the window?
pub(crate) fn acceptable(seq: Seq, len: u32, rcv_nxt: Seq, window: u32) -> bool {
    let inside = |s: Seq| s.ge(rcv_nxt) && s.lt(rcv_nxt + window);
    match (len, window) {
        (0, 0) => seq == rcv_nxt,
        (0, _) => inside(seq),
        (_, 0) => false,
        (_, _) => inside(seq) || inside(seq + (len - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acceptability_is_table_6() {
        let nxt = Seq(0xffff_fff0);
        assert!(acceptable(nxt, 0, nxt, 0));
        assert!(!acceptable(nxt + 1, 0, nxt, 0));
        assert!(!acceptable(nxt - 1, 0, nxt, 0));
        assert!(acceptable(nxt, 0, nxt, 32));
        assert!(acceptable(nxt + 31, 0, nxt, 32));
        assert!(!acceptable(nxt + 32, 0, nxt, 32));
        assert!(!acceptable(nxt, 1, nxt, 0));
        assert!(acceptable(nxt - 5, 6, nxt, 32));
        assert!(!acceptable(nxt - 5, 5, nxt, 32));
        assert!(acceptable(nxt + 31, 9, nxt, 32));
    }
}
