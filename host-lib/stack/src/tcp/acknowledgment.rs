//! The ACK field of an acceptable segment (RFC 9293 section 3.10.7.4, fifth): window, round-trip time, what was delivered.

use super::{Cx, Tcb, TcpState};
use crate::payload::Payload;
use crate::readiness::Readiness;
use crate::seq::Seq;
use crate::time::Instant;
use crate::wire::tcp::{Block, Flags, TcpHeader, TimestampOption};

impl<B: Payload> Tcb<B> {
    /// Takes in the acknowledgment of a segment with `segment_len` octets whose window, scaled, is `window`.
    pub(crate) fn on_ack(&mut self, cx: &mut Cx<'_>, h: &TcpHeader, window: u32, segment_len: u32) {
        let before = self.snd_una;
        let acked = h.ack.distance_from(before);
        let window_before = self.snd_wnd;
        let newer = self.snd_wl1.lt(h.seq)
            || self.snd_wl1 == h.seq && self.snd_wl2.le(h.ack) && h.seq.ge(self.rcv_nxt);
        // "If SND.UNA =< SEG.ACK =< SND.NXT, the send window should be updated": checked for newness by WL1, WL2. What
        // acknowledges something new is newer than all before, even if it is a retransmission with an old number;
        // else its window, which counts from SND.UNA, would be replaced by a stale one.
        let current = acked > 0 || h.ack == before;
        if acked > 0 || current && newer {
            self.update_window(h, window);
        }
        // RFC 2018 section 3: an ACK older than SND.UNA has nothing new to report.
        if !current {
            return;
        }
        // RFC 5681 section 2, "duplicate acknowledgment": (a) to (e).
        let duplicate = acked == 0
            && !self.board.is_empty()
            && segment_len == 0
            && window == window_before
            && window != 0;
        if acked == 0 && self.snd_wnd == 0 && !self.orphan {
            // Section 3.8.6.1: "as long as the receiving TCP peer continues to send acknowledgments in
            // response to the probe segments, the sending TCP peer MUST allow the connection to stay open". That is no progress,
            // which the user timeout waits for.
            self.retransmits = 0;
        }
        let blocks = if self.sack_permitted {
            h.sack.as_slice()
        } else {
            &[]
        };
        if acked == 0 && blocks.is_empty() && !duplicate {
            return;
        }
        self.recovery.flight_before = self.outstanding();
        let (dsack, blocks) = split_duplicate(h.ack, blocks);
        let (now, rack, stamps) = (cx.now, &mut self.rack, self.timestamps);
        let echo = stamps.and(h.timestamps);
        let told = self.board.acknowledge(h.ack, blocks, |segment| {
            let echoed_before = stamps.zip(echo).is_some_and(|(stamps, echo)| {
                stamps.echoed(now, echo).is_some_and(|age| {
                    // To a tick of the timestamp clock.
                    now.nanos_since(segment.at) < age.saturating_sub(1_000_000)
                })
            });
            rack.on_arrival(now, segment, echoed_before);
        });
        if let Some(newest) = told.newest {
            self.rack.note_rtt(cx.now, cx.now.nanos_since(newest));
        }
        if acked > 0 {
            let sent_at = told.oldest.filter(|_| !told.retransmitted);
            self.on_progress(cx, h.ack, h.timestamps, sent_at, acked);
        }
        if self.state == TcpState::Closed {
            return;
        }
        self.after_ack(cx, h, told, acked, duplicate, dsack);
        if acked > 0 || told.sacked > 0 {
            self.arm_tail_probe(cx.now);
        }
    }

    fn update_window(&mut self, h: &TcpHeader, window: u32) {
        let was_closed = self.snd_wnd == 0;
        self.snd_wnd = window;
        self.max_snd_wnd = self.max_snd_wnd.max(window);
        self.snd_wl1 = h.seq;
        self.snd_wl2 = h.ack;
        if was_closed && window > 0 {
            // The window opened: what the probe timer guarded goes out now. What was in flight when it closed the peer may
            // have dropped, and its acknowledgments would tell.
            if !self.orphan {
                // A window that only opens and shuts would keep what no program holds for ever.
                self.retransmits = 0;
            }
            self.rto.reset_back_off();
            if self.board.is_empty() {
                self.rto_at = None;
            }
        }
    }

    /// SND.UNA moves on to `ack`. `sent_at` tells when the first segment that this covers was sent, if that is certain.
    #[inline]
    pub(super) fn on_progress(
        &mut self,
        cx: &mut Cx<'_>,
        ack: Seq,
        timestamps: Option<TimestampOption>,
        sent_at: Option<Instant>,
        acked: u32,
    ) {
        // What is acknowledged beyond the data is the FIN.
        let fin_in = self.fin_unacked() && acked as usize > self.send.len();
        let was_full = self.wants_room || !self.has_room();
        self.snd_una = ack;
        if self.snd_nxt.lt(ack) {
            // A probe's octet beyond SND.NXT.
            self.snd_nxt = ack;
            self.board.restart(ack);
        }
        self.sample_rtt(cx, timestamps, sent_at);
        // The FIN takes a sequence number but no place in the buffer; consume() stops at the end.
        self.send.consume(acked as usize);
        self.retransmits = 0;
        self.soft_error = None;
        self.progress_at = cx.now;
        // Marks in the sequence space stay near enough to be compared.
        let before = self.snd_una - acked;
        self.window_full_at = self.window_full_at.max(before);
        self.recovery.keep_near(before);
        // RFC 6298 (5.2) "When all outstanding data has been acknowledged, turn off the retransmission timer",
        // (5.3) otherwise "restart the retransmission timer so that it will expire after RTO seconds".
        self.rto_at = (!self.board.is_empty()).then(|| cx.now.after(self.rto.rto_nanos()));
        if self.board.is_empty() {
            self.reorder_at = None;
        }
        self.tune_send_buffer(cx);
        if was_full && self.has_room() {
            self.wants_room = false;
            cx.events |= Readiness::WRITABLE;
        }
        if fin_in {
            self.on_fin_acked(cx);
        }
    }

    /// One sample a round trip: of a segment sent once only (Karn), or by the echoed timestamp (RFC 7323 section 4).
    fn sample_rtt(
        &mut self,
        cx: &Cx<'_>,
        timestamps: Option<TimestampOption>,
        sent_at: Option<Instant>,
    ) {
        if self.snd_una.lt(self.sample_after) && self.rto.srtt_nanos().is_some() {
            return;
        }
        let by_echo = || {
            let (stamps, echo) = self.timestamps.zip(timestamps)?;
            stamps.echoed(cx.now, echo)
        };
        if let Some(rtt) = sent_at.map(|at| cx.now.nanos_since(at)).or_else(by_echo) {
            self.rto.sample(rtt);
            self.sample_after = self.snd_nxt;
        }
    }

    /// RFC 3168 section 6.1.2: the peer has heard of congestion; the window is reduced once a round trip.
    pub(super) fn ecn_echo(&mut self, h: &TcpHeader) {
        // Marks of what was sent before the last reduction have been answered by it.
        let news = h.ack.gt(self.recovery.high_seq);
        if self.ecn.on && news && h.flags.has(Flags::ECE) {
            let reduced = self.reduce_window();
            self.ecn.reduced |= reduced;
        }
    }

    fn on_fin_acked(&mut self, cx: &mut Cx<'_>) {
        match self.state {
            TcpState::FinWait1 => {
                self.state = TcpState::FinWait2;
                // As in Linux: who lingers is told.
                cx.events |= Readiness::WRITABLE;
                if self.orphan {
                    self.linger_at = Some(cx.now + cx.config.orphan_fin_wait_2);
                }
            }
            TcpState::Closing => self.state = TcpState::TimeWait,
            TcpState::LastAck => self.enter_closed(cx),
            _ => {}
        }
    }

    /// The buffer holds twice the window, so that a writer keeps up while a whole window is in flight.
    fn tune_send_buffer(&mut self, cx: &Cx<'_>) {
        if self.send_buffer_locked {
            return;
        }
        let wanted = 2 * self.congestion.window() as usize;
        let most = cx.config.max_send_buffer_bytes;
        if wanted > self.send.capacity() && self.send.capacity() < most {
            self.send.set_capacity(wanted.min(most));
        }
    }
}

/// Tells a report of a duplicate from the blocks after it (RFC 2883 section 4): it lies below the cumulative ACK or within
/// the second block.
fn split_duplicate(ack: Seq, blocks: &[Block]) -> (Option<Block>, &[Block]) {
    let Some(((left, right), rest)) = blocks.split_first() else {
        return (None, blocks);
    };
    let below = right.le(ack) && left.lt(*right);
    let within = rest
        .first()
        .is_some_and(|(l, r)| l.le(*left) && r.ge(*right));
    if below || within {
        (Some((*left, *right)), rest)
    } else {
        (None, blocks)
    }
}
