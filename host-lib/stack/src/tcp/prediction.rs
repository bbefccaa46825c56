//! Header prediction (Van Jacobson, 1990): what an open connection does nearly all the time, in few steps.
//!
//! Both directions: a segment that is just what was expected next, and a full segment of new data. A connection about which
//! anything is unusual, and a segment that is anything else, go the long way, which comes to the same result.

use super::congestion::Acked;
use super::{Cx, Tcb, TcpState};
use crate::payload::Payload;
use crate::rope::{Chunk, Rope};
use crate::seq::Seq;
use crate::time::Instant;
use crate::wire::plain::Plain;
use crate::wire::tcp::TimestampOption;

/// A plain segment to be sent, and where its text lies in the send buffer.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Cut {
    pub(crate) header: Plain,
    /// Counted from the first octet that is not acknowledged.
    offset: usize,
    pub(crate) len: usize,
    /// Octets of text of each segment that the device is to make of it; 0 if it is one.
    pub(crate) segment_bytes: u16,
}

impl<B: Payload> Tcb<B> {
    /// Nothing about the connection needs more thought than the short way gives it. Whatever may change this asks again.
    pub(crate) fn is_usual(&self) -> bool {
        self.state == TcpState::Established
            && !(self.orphan || self.fin_queued || self.read_shutdown)
            && self.accepting.is_none()
            && self.peer_fin.is_none()
            && self.ahead.is_empty()
            && self.sacks.is_empty()
            && !self.ecn.on
            && self.parked == 0
            && self.snd_wnd > 0
            && self.snd_max == self.snd_nxt
            && self.retransmits == 0
            && !(self.probe_now || self.tail_probe_now || self.keep_alive_now)
            && self.reorder_at.is_none()
            && self.options.user_timeout.is_none()
            && self.recovery.is_quiet()
            && self.board.is_undisturbed()
            && self.rack.is_settled(&self.board)
    }

    /// True if the segment with `len` octets of text is what was expected next, and worth something.
    #[inline(always)]
    pub(crate) fn predicts(&self, now: Instant, h: &Plain, len: usize) -> bool {
        let acked = h.ack.0.wrapping_sub(self.snd_una.0);
        let stamps_fit = match (&self.timestamps, h.timestamps) {
            (None, None) => true,
            (Some(stamps), Some(option)) => !stamps.is_old(now, option),
            _ => false,
        };
        self.usual
            && h.seq == self.rcv_nxt
            && stamps_fit
            && h.window > 0
            && acked <= self.snd_nxt.0.wrapping_sub(self.snd_una.0)
            && (acked > 0 || len > 0)
            && len <= self.rcv_adv.distance_from(self.rcv_nxt) as usize
    }

    /// Processes a segment that was predicted: its text is `head` and after it `body`. Returns the ACK that is due at once.
    #[inline(always)]
    pub(crate) fn on_predicted(
        &mut self,
        cx: &mut Cx<'_>,
        h: &Plain,
        head: &[u8],
        body: B,
    ) -> Option<Plain> {
        let len = head.len() + body.len();
        self.end_burst();
        self.heard_at = cx.now;
        if let Some((stamps, option)) = self.timestamps.as_mut().zip(h.timestamps) {
            stamps.accept(cx.now, option, h.seq);
            self.note_receiver_rtt(cx, option, len);
        }
        let acked = h.ack.0.wrapping_sub(self.snd_una.0);
        // A window may have come before it with a later segment.
        if acked > 0 || self.snd_wl1.le(h.seq) {
            self.snd_wnd = u32::from(h.window) << self.snd_shift;
            self.max_snd_wnd = self.max_snd_wnd.max(self.snd_wnd);
            self.snd_wl1 = h.seq;
            self.snd_wl2 = h.ack;
        }
        if acked > 0 {
            self.on_predicted_ack(cx, h.ack, h.timestamps, acked);
        }
        if len == 0 {
            return None;
        }
        self.advance(len);
        self.recv.push_copy(head);
        if !body.is_empty() {
            self.recv.push_chunk(Chunk::Device(body));
        }
        self.note_text(cx, len as u32);
        self.ack_now.then(|| self.plain_ack(cx.now))
    }

    #[inline(always)]
    fn on_predicted_ack(
        &mut self,
        cx: &mut Cx<'_>,
        ack: Seq,
        timestamps: Option<TimestampOption>,
        acked: u32,
    ) {
        self.recovery.flight_before = self.outstanding();
        let passed = self.board.pass(ack);
        if let Some(last) = passed.last {
            self.rack.on_arrival(cx.now, last, false);
            self.rack.note_rtt(cx.now, cx.now.nanos_since(last.at));
        }
        self.on_progress(cx, ack, timestamps, passed.oldest, acked);
        if self.window_was_used(acked) {
            self.congestion.on_ack(Acked {
                now: cx.now,
                octets: acked,
                srtt: self.rto.srtt_nanos().unwrap_or_default(),
                after_timeout: false,
            });
        }
        self.arm_usual_probe(cx.now);
    }

    /// The ACK of all that was received, where nothing was received beyond it.
    #[inline(always)]
    fn plain_ack(&mut self, now: Instant) -> Plain {
        let window = self.advertise();
        self.ack_sent();
        Plain {
            seq: self.snd_nxt,
            ack: self.rcv_nxt,
            window,
            push: false,
            timestamps: self.timestamps.map(|ts| ts.option(now)),
        }
    }

    /// The next segment of a usual connection, if it is plain that it may go out now: new data, or the ACK that is due where
    /// there is none. `None` leaves the question open.
    #[inline(always)]
    pub(crate) fn next_plain(&mut self, cx: &Cx<'_>) -> Option<Cut> {
        let outstanding = self.outstanding();
        let unsent = self.send.len().checked_sub(outstanding as usize)?;
        if unsent == 0 {
            return self.ack_now.then(|| Cut {
                header: self.plain_ack(cx.now),
                offset: outstanding as usize,
                len: 0,
                segment_bytes: 0,
            });
        }
        let mss = self.mss as usize;
        // Nothing is lost and nothing sent twice: all that is outstanding is in flight.
        let window = self.snd_wnd.min(self.congestion.window());
        let room = window.saturating_sub(outstanding) as usize;
        // The limit is a number of full segments: nothing needs to be cut off for the device.
        let len = unsent.min(Self::segment_limit(cx, mss));
        let last = len == unsent;
        // Less than a full segment is plain only if nothing waits for it; after a silence the window may have to shrink.
        let full = len >= mss;
        let small = last && !self.options.cork && (self.options.nodelay || outstanding == 0);
        let silent = outstanding == 0 && cx.now.nanos_since(self.last_send) > self.rto.rto_nanos();
        if len > room || silent || !(full || small) {
            return None;
        }
        let seq = self.snd_nxt;
        if outstanding == 0 {
            // What ran until now guarded what could not be sent.
            self.rto_at = None;
            self.progress_at = cx.now;
        }
        self.snd_nxt += len as u32;
        self.snd_max = self.snd_nxt;
        self.board.push(self.snd_nxt, cx.now);
        if self.rto_at.is_none() {
            self.rto_at = Some(cx.now.after(self.rto.rto_nanos()));
        }
        self.last_send = cx.now;
        self.arm_usual_probe(cx.now);
        self.lead_burst(len, room - len, unsent - len);
        let header = Plain {
            seq,
            // RFC 9293 MUST-60: the PSH bit is set in the last buffered segment.
            push: last,
            ..self.plain_ack(cx.now)
        };
        Some(Cut {
            header,
            offset: outstanding as usize,
            len,
            segment_bytes: if len > mss { mss as u16 } else { 0 },
        })
    }

    /// Handles to the text of a segment that was cut just now, for `to`, which has none.
    #[inline]
    pub(crate) fn text(&mut self, cut: &Cut, to: &mut Rope<B>) {
        self.send.slice_to(cut.offset, cut.len, to);
    }

    /// Copies the text of a segment that was cut just now.
    #[inline]
    pub(crate) fn copy_text(&mut self, cut: &Cut, to: &mut [u8]) {
        self.send.copy_at(cut.offset, to);
    }

    /// SND.UNA
    #[inline]
    pub(crate) fn una(&self) -> Seq {
        self.snd_una
    }

    /// The earliest deadline that the short way may have set, in nanoseconds, the greatest of which is none.
    #[inline]
    pub(crate) fn usual_deadline(&self) -> u64 {
        let at = |timer: Option<Instant>| timer.map_or(u64::MAX, Instant::as_nanos);
        at(self.rto_at)
            .min(at(self.tail_probe_at))
            .min(self.ack_deadline())
    }

    /// When an ACK that waits must go out, likewise.
    #[inline]
    pub(crate) fn ack_deadline(&self) -> u64 {
        self.delayed_ack_at.map_or(u64::MAX, Instant::as_nanos)
    }
}
