//! What to send now: SYNs, data, FIN, ACKs, probes, and when to hold back (RFC 9293 sections 3.7.4, 3.8.6).

use super::{Cx, Tcb, TcpState};
use crate::payload::Payload;
use crate::rope::Rope;
use crate::seq::Seq;
use crate::wire::tcp::{Flags, TcpHeader};

/// A segment ready to be put into a packet.
pub(crate) struct Segment<B> {
    pub(crate) header: TcpHeader,
    pub(crate) payload: Rope<B>,
}

impl<B: Payload> Tcb<B> {
    /// The next segment to send, if there is any.
    pub(crate) fn poll_transmit(&mut self, cx: &mut Cx<'_>) -> Option<Segment<B>> {
        if self.parked > 0 {
            cx.blocked = true;
            return None;
        }
        let segment = match self.state {
            TcpState::Closed | TcpState::Listen | TcpState::TimeWait => None,
            TcpState::SynSent => self.syn(cx, Flags::SYN),
            TcpState::SynReceived => self
                .syn(cx, Flags::SYN | Flags::ACK)
                .or_else(|| self.bare_ack()),
            _ => self
                .recovery_segment(cx)
                .or_else(|| self.next_data(cx))
                .or_else(|| self.bare_ack()),
        };
        if segment.is_none() {
            self.guard_unsent(cx);
            cx.blocked = true;
        }
        segment
    }

    /// A SYN or SYN-ACK, if it is due.
    fn syn(&mut self, cx: &mut Cx<'_>, flags: Flags) -> Option<Segment<B>> {
        if self.snd_nxt != self.iss {
            return None;
        }
        let again = self.snd_max != self.iss;
        self.snd_nxt = self.iss + 1;
        self.snd_max = self.snd_nxt;
        self.note_sent(cx, self.snd_nxt, again);
        let mut header = self.header(flags, self.iss);
        header.mss = Some(self.advertised_mss);
        // RFC 7323 section 2.2: a SYN-ACK carries the option only if the SYN did.
        let scaling = !flags.has(Flags::ACK) || self.rcv_shift > 0 || self.snd_shift > 0;
        header.window_scale = scaling.then_some(self.rcv_shift);
        header.window = self.recv.free().min(65_535) as u16;
        self.ack_now = false;
        Some(Segment {
            header,
            payload: Rope::default(),
        })
    }

    /// The first unacknowledged segment again, or a zero-window probe.
    fn recovery_segment(&mut self, cx: &mut Cx<'_>) -> Option<Segment<B>> {
        if core::mem::take(&mut self.probe_now) {
            // RFC 9293 section 3.8.6.1: "at least one octet of new data (if available)"; where the window is open
            // but small (silly window), as much as fits.
            let len = self
                .send
                .len()
                .min(self.snd_wnd.min(self.mss).max(1) as usize);
            let fin = self.fin_unacked() && len == 0;
            if len == 0 && !fin {
                return None;
            }
            cx.stats.tcp_zero_window_probes += 1;
            let segment = self.data_segment(cx, self.send_base(), len, fin);
            if self.snd_wnd > 0 {
                self.snd_nxt = self.snd_max;
            }
            return Some(segment);
        }
        if core::mem::take(&mut self.retransmit_head) && self.snd_una != self.snd_max {
            let sent = self.snd_max.distance_from(self.send_base()) as usize;
            let len = self.send.len().min(sent).min(self.mss as usize);
            let fin = self.fin_sent && self.fin_unacked() && len == self.send.len();
            return Some(self.data_segment(cx, self.send_base(), len, fin));
        }
        None
    }

    /// New data, or old data after a timeout, as the windows allow.
    fn next_data(&mut self, cx: &mut Cx<'_>) -> Option<Segment<B>> {
        let offset = self.snd_nxt.distance_from(self.send_base()) as usize;
        if offset > self.send.len() {
            return None;
        }
        if self.in_flight() == 0
            && self.snd_max == self.snd_una
            && cx.now - self.last_send > self.rto.rto()
        {
            self.congestion.on_idle();
        }
        let unsent = self.send.len() - offset;
        // RFC 3042: "the TCP sender SHOULD ... send a segment of previously unsent data" on each of the first two
        // duplicate ACKs, with the congestion window left as it is.
        let limited = match self.recover {
            None => self.duplicate_acks.min(2) * self.mss,
            Some(_) => 0,
        };
        let window = self
            .snd_wnd
            .min(self.congestion.window().saturating_add(limited));
        let usable = window.saturating_sub(self.in_flight()) as usize;
        let len = unsent.min(usable).min(self.mss as usize);
        let last = len == unsent;
        // The FIN is an octet of the sequence space and waits for the window like any other.
        let fin = self.fin_unacked() && last && usable > len;
        let again = self.snd_nxt.lt(self.snd_max);
        if !(fin || len > 0 && self.worth_sending(len, last, again)) {
            return None;
        }
        let segment = self.data_segment(cx, self.snd_nxt, len, fin);
        self.snd_nxt = self.snd_nxt + len as u32 + u32::from(fin);
        Some(segment)
    }

    /// Sender's silly window avoidance (RFC 9293 section 3.8.6.2.1) and Nagle (section 3.7.4).
    fn worth_sending(&self, len: usize, last: bool, again: bool) -> bool {
        // (1) "if a maximum-sized segment can be sent"
        len == self.mss as usize
            || again
            // (2) "or if the data are pushed and all queued data can be sent now", and by Nagle nothing is in flight
            || last && (self.nodelay || self.fin_queued || self.in_flight() == 0)
            // (3) "or if at least a fraction Fs of the maximum window can be sent", Fs = 1/2
            || len >= (self.max_snd_wnd / 2).max(1) as usize
    }

    fn data_segment(&mut self, cx: &mut Cx<'_>, seq: Seq, len: usize, fin: bool) -> Segment<B> {
        let offset = seq.distance_from(self.send_base()) as usize;
        let payload = self.send.slice(offset, len);
        let end = seq + len as u32 + u32::from(fin);
        let again = seq.lt(self.snd_max);
        self.snd_max = self.snd_max.max(end);
        self.fin_sent |= fin;
        self.note_sent(cx, end, again);
        let mut flags = Flags::ACK;
        if fin {
            flags = flags | Flags::FIN;
        }
        if len > 0 && offset + len == self.send.len() {
            // RFC 9293 MUST-60: the PSH bit is set in the last buffered segment.
            flags = flags | Flags::PSH;
        }
        let mut header = self.header(flags, seq);
        header.window = self.advertise();
        self.ack_sent();
        Segment { header, payload }
    }

    /// A FIN is queued, or sent and not acknowledged.
    fn fin_unacked(&self) -> bool {
        self.fin_queued
            && matches!(
                self.state,
                TcpState::FinWait1 | TcpState::Closing | TcpState::LastAck
            )
    }

    /// Timers and samples for a segment that ends at `end`.
    fn note_sent(&mut self, cx: &mut Cx<'_>, end: Seq, again: bool) {
        if again {
            cx.stats.tcp_retransmits += 1;
            // Karn's algorithm (RFC 6298 section 3): what was sent twice is not timed.
            self.timed = None;
        } else if self.timed.is_none() && self.retransmits == 0 && self.recover.is_none() {
            self.timed = Some((end, cx.now));
        }
        // RFC 6298 (5.1) "Every time a packet containing data is sent (including a retransmission), if the timer is
        // not running, start it".
        if self.retransmit_at.is_none() {
            self.retransmit_at = Some(cx.now + self.rto.rto());
        }
        self.last_send = cx.now;
    }

    fn bare_ack(&mut self) -> Option<Segment<B>> {
        let header = self.take_ack()?;
        Some(Segment {
            header,
            payload: Rope::default(),
        })
    }

    /// The acknowledgment that is due, if one is.
    pub(crate) fn take_ack(&mut self) -> Option<TcpHeader> {
        if !self.ack_now {
            return None;
        }
        let mut header = self.header(Flags::ACK, self.bare_seq());
        header.window = self.advertise();
        self.ack_sent();
        Some(header)
    }

    /// SEG.SEQ of a segment without data: SND.NXT as the peer counts it. While a probe is out, its octet may lie
    /// outside the peer's window, where a segment would be dropped.
    pub(crate) fn bare_seq(&self) -> Seq {
        if self.snd_wnd == 0 {
            self.snd_nxt
        } else {
            self.snd_max
        }
    }

    fn ack_sent(&mut self) {
        self.ack_now = false;
        self.delayed_ack_at = None;
        self.unacked_octets = 0;
    }

    /// Data or a FIN that may not go out now must not wait forever: the persist timer (section 3.8.6.1) and the
    /// override timeout of silly window avoidance (section 3.8.6.2.1 (4)) are one.
    fn guard_unsent(&mut self, cx: &Cx<'_>) {
        let unsent = self.send.len() > self.snd_nxt.distance_from(self.send_base()) as usize
            || self.fin_unacked() && !self.fin_sent;
        if unsent
            && self.state.is_synchronized()
            && self.snd_una == self.snd_max
            && self.retransmit_at.is_none()
        {
            self.retransmit_at = Some(cx.now + self.rto.rto());
        }
    }

    /// The window field to send, noting what it promises.
    fn advertise(&mut self) -> u16 {
        let edge = self.rcv_nxt + self.recv.free().min(65_535 << self.rcv_shift) as u32;
        if self.edge_may_move(edge) {
            let window = edge.distance_from(self.rcv_nxt) >> self.rcv_shift << self.rcv_shift;
            // Section 3.8.6: "a TCP receiver SHOULD NOT shrink the window".
            self.rcv_adv = self.rcv_adv.max(self.rcv_nxt + window);
        }
        (self.rcv_adv.distance_from(self.rcv_nxt) >> self.rcv_shift).min(65_535) as u16
    }

    /// Receiver's silly window avoidance (section 3.8.6.2.2): the edge stays until it can move by
    /// "min( Fr * RCV.BUFF, Eff.snd.MSS )", Fr = 1/2.
    fn edge_may_move(&self, edge: Seq) -> bool {
        edge.distance_from(self.rcv_adv) >= self.least_move()
    }

    fn least_move(&self) -> u32 {
        (self.recv.capacity() / 2)
            .min(u32::from(self.advertised_mss) as usize)
            .max(1) as u32
    }

    /// The program has read: tell the peer if the window opens enough to be worth a segment of its own.
    pub(crate) fn after_read(&mut self) {
        if !matches!(
            self.state,
            TcpState::Established | TcpState::FinWait1 | TcpState::FinWait2
        ) {
            return;
        }
        let edge = self.rcv_nxt + self.recv.free().min(65_535 << self.rcv_shift) as u32;
        let gain = edge.distance_from(self.rcv_adv);
        let left = self.rcv_adv.distance_from(self.rcv_nxt);
        // Half the buffer at once, or a segment's worth for a peer that can hardly send.
        if gain as usize >= self.recv.capacity() / 2
            || left < self.least_move() && gain >= self.least_move()
        {
            self.ack_now = true;
        }
    }

    /// True if [`Tcb::poll_transmit`] may have something to send.
    pub(crate) fn wants_transmit(&self) -> bool {
        if self.parked > 0 {
            return false;
        }
        self.ack_now
            || self.probe_now
            || self.retransmit_head
            || match self.state {
                TcpState::SynSent | TcpState::SynReceived => self.snd_nxt == self.iss,
                TcpState::Closed | TcpState::Listen | TcpState::TimeWait => false,
                _ => {
                    self.send.len() > self.snd_nxt.distance_from(self.send_base()) as usize
                        || self.fin_unacked()
                            && self.snd_nxt.distance_from(self.send_base()) as usize
                                <= self.send.len()
                }
            }
    }
}
