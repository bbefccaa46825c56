//! What to send now: SYNs, data, FIN, ACKs, probes, and when to hold back (RFC 9293 sections 3.7.4, 3.8.6).

use core::time::Duration;

use super::recovery::{Frto, Phase, Probe};
use super::timestamps::clock;
use super::{Cx, Tcb, TcpState, LONGEST_TEXT};
use crate::config::Ecn;
use crate::payload::Payload;
use crate::rope::Rope;
use crate::seq::Seq;
use crate::time::Instant;
use crate::wire::tcp::{Flags, TcpHeader, TimestampOption};

/// As in Linux (tcp(7), TCP_CORK): "a 200 millisecond ceiling on the time for which output is corked".
const CORK_LIMIT: Duration = Duration::from_millis(200);

/// A segment ready to be put into a packet.
pub(crate) struct Segment<B> {
    pub(crate) header: TcpHeader,
    pub(crate) payload: Rope<B>,
    /// Octets of text of each segment that the device is to make of it; 0 if it is one.
    pub(crate) segment_bytes: u16,
    /// ECN-capable transport: a router may mark it instead of dropping it (RFC 3168 section 6.1.2).
    pub(crate) ect: bool,
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
                .or_else(|| self.bare_ack(cx)),
            _ => match self.repair(cx) {
                None => match self.new_data(cx) {
                    None => self.keep_alive_probe(cx).or_else(|| self.bare_ack(cx)),
                    new => new,
                },
                again => again,
            },
        };
        if segment.is_none() {
            self.guard_unsent(cx);
            cx.blocked = true;
        }
        segment
    }

    /// What comes before new data: probes, and what is sent again.
    #[inline]
    fn repair(&mut self, cx: &mut Cx<'_>) -> Option<Segment<B>> {
        let due = self.probe_now || self.tail_probe_now || self.recovery.force;
        if !due && self.board.lost() == 0 {
            return None;
        }
        self.window_probe(cx)
            .or_else(|| self.tail_loss_probe(cx))
            .or_else(|| self.retransmission(cx))
    }

    /// A SYN or SYN-ACK, if it is due.
    fn syn(&mut self, cx: &mut Cx<'_>, flags: Flags) -> Option<Segment<B>> {
        if self.snd_nxt != self.iss {
            return None;
        }
        let again = self.snd_max != self.iss;
        let reply = flags.has(Flags::ACK);
        self.snd_nxt = self.iss + 1;
        self.snd_max = self.snd_nxt;
        self.note_sent(cx, again);
        self.syn_sent_at = (!again).then_some(cx.now);
        let mut header = self.header(cx.now, flags, self.iss);
        header.mss = Some(self.advertised_mss);
        // RFC 7323 sections 2.2 and 3.2, RFC 2018 section 2: a SYN-ACK carries an option only if the SYN did.
        let scaling = !reply || self.rcv_shift > 0 || self.snd_shift > 0;
        header.window_scale = scaling.then_some(self.rcv_shift);
        header.sack_permitted = if reply {
            self.sack_permitted
        } else {
            cx.config.sack
        };
        if !reply && cx.config.timestamps {
            header.timestamps = Some(TimestampOption {
                value: clock(cx.now, self.timestamp_offset),
                echo: 0,
            });
        }
        // RFC 3168 section 6.1.1: an ECN-setup SYN has both, an ECN-setup SYN-ACK has ECE alone. A SYN sent again asks for
        // less, lest something on the path drops such SYNs (section 6.1.1.1).
        if !reply && cx.config.ecn == Ecn::Always && !again {
            header.flags = header.flags | Flags::ECE | Flags::CWR;
        } else if reply && self.ecn.on {
            header.flags = header.flags | Flags::ECE;
        }
        header.window = self.recv.free().min(65_535) as u16;
        self.ack_now = false;
        Some(Segment {
            header,
            payload: Rope::default(),
            segment_bytes: 0,
            ect: false,
        })
    }

    /// A zero-window probe, or what silly window avoidance has held back long enough.
    fn window_probe(&mut self, cx: &mut Cx<'_>) -> Option<Segment<B>> {
        if !core::mem::take(&mut self.probe_now) {
            return None;
        }
        // RFC 9293 section 3.8.6.1: "at least one octet of new data (if available)"; where the window is open but small
        // (silly window), as much as fits.
        let len = self
            .send
            .len()
            .min(self.snd_wnd.min(self.mss).max(1) as usize) as u32;
        let fin = self.fin_unacked() && len == 0;
        if len == 0 && !fin {
            return None;
        }
        let (start, octets) = (self.snd_una, len + u32::from(fin));
        if self.snd_wnd > 0 && self.board.is_empty() {
            // It fits into the window: a segment like any other.
            self.push_new(cx, octets);
        } else {
            cx.stats.tcp_zero_window_probes += 1;
        }
        Some(self.data_segment(cx, start, octets))
    }

    /// RFC 8985 section 7.3: new data if there is some and the peer's window takes it, else the last segment again.
    fn tail_loss_probe(&mut self, cx: &mut Cx<'_>) -> Option<Segment<B>> {
        if !core::mem::take(&mut self.tail_probe_now) || self.board.is_empty() {
            return None;
        }
        cx.stats.tcp_tail_loss_probes += 1;
        let offset = self.outstanding() as usize;
        let room = (self.snd_wnd as usize).saturating_sub(offset);
        let new = self.send.len().saturating_sub(offset).min(room);
        let new = new.min(self.mss as usize) as u32;
        let retransmission = new == 0 || self.fin_sent;
        let segment = if retransmission {
            let (start, len) = self.board.last()?;
            // A full-sized piece off its end is enough to show the loss.
            let cut = len.min(self.mss);
            let start = start + (len - cut);
            self.board.sent_again(start, cut, cx.now);
            cx.stats.tcp_retransmits += 1;
            self.data_segment(cx, start, cut)
        } else {
            let start = self.snd_nxt;
            self.push_new(cx, new);
            self.data_segment(cx, start, new)
        };
        self.recovery.probe = Some(Probe {
            end: self.snd_nxt,
            retransmission,
        });
        Some(segment)
    }

    /// What is taken for lost, as the congestion window allows.
    fn retransmission(&mut self, cx: &mut Cx<'_>) -> Option<Segment<B>> {
        let force = self.recovery.force;
        if !force && (self.recovery.frto.is_some() || self.recovery.one_at_first) {
            return None;
        }
        let Some((start, len)) = self.board.next_lost(self.mss) else {
            self.recovery.force = false;
            return None;
        };
        let room = self.congestion.window().saturating_sub(self.flight());
        // What a peer took its window back from it would drop, but for the first octets, which probe it.
        let beyond = start.ge(self.snd_una + self.snd_wnd) && start != self.snd_una;
        if !force && room < len || beyond {
            return None;
        }
        self.recovery.force = false;
        self.board.sent_again(start, len, cx.now);
        let stamp = self.stamp(cx);
        self.recovery.note_sent(len, Some(stamp));
        self.note_sent(cx, true);
        if start == self.snd_una {
            // Its acknowledgment takes a round trip from now.
            self.rto_at = Some(cx.now.after(self.rto.rto_nanos()));
        }
        Some(self.data_segment(cx, start, len))
    }

    /// New data, as the windows allow.
    fn new_data(&mut self, cx: &mut Cx<'_>) -> Option<Segment<B>> {
        let waits = self.recovery.frto == Some(Frto::First) || self.recovery.one_at_first;
        if self.fin_sent || waits {
            return None;
        }
        let outstanding = self.outstanding();
        let unsent = self.send.len().checked_sub(outstanding as usize)?;
        let fin_due = self.fin_unacked();
        if unsent == 0 && !fin_due {
            return None;
        }
        if outstanding == 0 && cx.now.nanos_since(self.last_send) > self.rto.rto_nanos() {
            self.congestion.on_idle();
        }
        let room = self.congestion.window().saturating_sub(self.flight());
        let window = self.snd_wnd.saturating_sub(outstanding);
        let mss = self.mss_beside_sacks();
        let most = unsent
            .min(window as usize)
            .min(Self::segment_limit(cx, mss));
        let len = most.min(room as usize);
        if len < most {
            self.window_full_at = self.snd_nxt;
        }
        let last = len == unsent;
        // The FIN is an octet of the sequence space and waits for the peer's window like any other.
        let fin = fin_due && last && window as usize > len;
        if !(fin || len > 0 && self.worth_sending(len, mss, last)) {
            return None;
        }
        // A segment that the device cuts is cut into full ones; what is left over follows by itself.
        let len = if len > mss && !last {
            len - len % mss
        } else {
            len
        };
        let octets = len as u32 + u32::from(fin);
        let start = self.snd_nxt;
        self.push_new(cx, octets);
        self.recovery.note_sent(octets, None);
        if self.is_disordered() && self.recovery.phase == Phase::Open {
            self.recovery.limited = self.recovery.limited.saturating_add(octets);
        }
        self.arm_tail_probe(cx.now);
        let mut segment = self.data_segment(cx, start, octets);
        segment.ect = self.ecn.on && len > 0 && start.ge(self.snd_max - octets);
        if segment.ect && core::mem::take(&mut self.ecn.reduced) {
            // RFC 3168 section 6.1.2: "the sender sets the CWR flag in the TCP header of the first new data packet sent after
            // the window reduction".
            segment.header.flags = segment.header.flags | Flags::CWR;
        }
        Some(segment)
    }

    /// Octets of data of a full segment now: what is reported by SACK takes its place (RFC 2018 section 4: SACK options
    /// "SHOULD be included in all ACKs" while there is a gap, those with data among them).
    fn mss_beside_sacks(&self) -> usize {
        let blocks = self.sacks.len().min(self.most_blocks());
        let option = if blocks > 0 { 4 + 8 * blocks } else { 0 };
        (self.mss as usize).saturating_sub(option).max(1)
    }

    /// What a packet with `len` octets of text is to be cut into; 0 if it is one segment.
    #[inline]
    pub(super) fn segment_bytes(&self, len: usize) -> u16 {
        match self.mss_beside_sacks() {
            mss if len > mss => mss as u16,
            _ => 0,
        }
    }

    /// Octets of data that one packet may have.
    pub(super) fn segment_limit(cx: &Cx<'_>, mss: usize) -> usize {
        if cx.segmentation <= mss {
            return mss;
        }
        let most = cx.segmentation.min(LONGEST_TEXT);
        (most - most % mss).max(mss)
    }

    /// Sender's silly window avoidance (RFC 9293 section 3.8.6.2.1) and Nagle (section 3.7.4).
    fn worth_sending(&self, len: usize, mss: usize, last: bool) -> bool {
        // (1) "if a maximum-sized segment can be sent"
        if len >= mss {
            return true;
        }
        // Corked: what does not fill a segment waits for more, for 200 ms at most.
        if self.options.cork && !self.fin_queued && last {
            return false;
        }
        // (2) "or if the data are pushed and all queued data can be sent now", and by Nagle nothing is in flight
        last && (self.options.nodelay || self.fin_queued || self.outstanding() == 0)
            // (3) "or if at least a fraction Fs of the maximum window can be sent", Fs = 1/2
            || len >= (self.max_snd_wnd / 2).max(1) as usize
    }

    /// A segment of what lies from `start`, `octets` long, the FIN counted.
    fn data_segment(&mut self, cx: &mut Cx<'_>, start: Seq, octets: u32) -> Segment<B> {
        let offset = start.distance_from(self.snd_una) as usize;
        let len = (octets as usize).min(self.send.len().saturating_sub(offset));
        let fin = octets as usize > len;
        let payload = self.send.slice(offset, len);
        let end = start + octets;
        self.snd_max = self.snd_max.max(end);
        self.fin_sent |= fin && end.le(self.snd_nxt);
        let mut flags = Flags::ACK;
        if fin {
            flags = flags | Flags::FIN;
        }
        if len > 0 && offset + len == self.send.len() {
            // RFC 9293 MUST-60: the PSH bit is set in the last buffered segment.
            flags = flags | Flags::PSH;
        }
        let mut header = self.header(cx.now, flags, start);
        header.window = self.advertise();
        if !self.sacks.is_empty() {
            let room = self.option_room(len);
            header.sack = self.sacks.take(room);
        }
        self.ack_sent();
        Segment {
            header,
            payload,
            segment_bytes: self.segment_bytes(len),
            ect: false,
        }
    }

    /// SACK blocks that fit beside `len` octets of data.
    fn option_room(&self, len: usize) -> usize {
        let free = (self.mss as usize).saturating_sub(len);
        (free.saturating_sub(4) / 8).min(self.most_blocks())
    }

    /// RFC 2018 section 3: four blocks, three beside timestamps.
    fn most_blocks(&self) -> usize {
        if self.timestamps.is_some() {
            3
        } else {
            4
        }
    }

    /// A FIN is queued, or sent and not acknowledged.
    pub(super) fn fin_unacked(&self) -> bool {
        self.fin_queued
            && matches!(
                self.state,
                TcpState::FinWait1 | TcpState::Closing | TcpState::LastAck
            )
    }

    /// Takes the next `octets` of the sequence space for a segment.
    fn push_new(&mut self, cx: &mut Cx<'_>, octets: u32) {
        if self.board.is_empty() {
            // What ran until now guarded what could not be sent.
            self.rto_at = None;
            self.progress_at = cx.now;
        }
        // Where a probe has been before, some of it is sent again.
        let again = self.snd_nxt.lt(self.snd_max);
        self.snd_nxt += octets;
        self.board.push(self.snd_nxt, cx.now);
        if again {
            self.board.distrust_times();
        }
        self.note_sent(cx, again);
    }

    /// Timers and counters for a segment with something to acknowledge.
    fn note_sent(&mut self, cx: &mut Cx<'_>, again: bool) {
        if again {
            cx.stats.tcp_retransmits += 1;
            self.total_retransmits = self.total_retransmits.saturating_add(1);
        }
        // RFC 6298 (5.1) "Every time a packet containing data is sent (including a retransmission), if the timer is
        // not running, start it".
        if self.rto_at.is_none() {
            self.rto_at = Some(cx.now.after(self.rto.rto_nanos()));
        }
        self.last_send = cx.now;
    }

    fn bare_ack(&mut self, cx: &Cx<'_>) -> Option<Segment<B>> {
        let header = self.take_ack(cx.now)?;
        Some(Segment {
            header,
            payload: Rope::default(),
            segment_bytes: 0,
            ect: false,
        })
    }

    /// The acknowledgment that is due, if one is.
    pub(crate) fn take_ack(&mut self, now: Instant) -> Option<TcpHeader> {
        if !self.ack_now {
            return None;
        }
        let mut header = self.header(now, Flags::ACK, self.bare_seq());
        header.window = self.advertise();
        if !self.sacks.is_empty() {
            let room = self.option_room(0);
            header.sack = self.sacks.take(room);
        }
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

    pub(super) fn ack_sent(&mut self) {
        self.ack_now = false;
        self.delayed_ack_at = None;
        self.unacked_octets = 0;
        if let Some(stamps) = &mut self.timestamps {
            stamps.ack_sent(self.rcv_nxt);
        }
    }

    /// Data or a FIN that may not go out now must not wait forever: the persist timer (section 3.8.6.1) and the
    /// override timeout of silly window avoidance (section 3.8.6.2.1 (4)) are one.
    fn guard_unsent(&mut self, cx: &Cx<'_>) {
        let unsent =
            self.send.len() > self.outstanding() as usize || self.fin_unacked() && !self.fin_sent;
        if unsent && self.state.is_synchronized() && self.board.is_empty() && self.rto_at.is_none()
        {
            let wait = self.rto.rto();
            let wait = if self.options.cork {
                wait.min(CORK_LIMIT)
            } else {
                wait
            };
            self.rto_at = Some(cx.now + wait);
            self.progress_at = cx.now;
        }
    }

    /// The window field to send, noting what it promises.
    pub(super) fn advertise(&mut self) -> u16 {
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

    /// Data, an ACK or both wait to be sent by a connection about which nothing is unusual.
    #[inline]
    pub(crate) fn has_unsent(&self) -> bool {
        self.ack_now || self.send.len() > self.outstanding() as usize
    }

    /// True if [`Tcb::poll_transmit`] may have something to send.
    pub(crate) fn wants_transmit(&self) -> bool {
        if self.parked > 0 {
            return false;
        }
        self.ack_now
            || self.probe_now
            || self.tail_probe_now
            || self.keep_alive_now
            || match self.state {
                TcpState::SynSent | TcpState::SynReceived => self.snd_nxt == self.iss,
                TcpState::Closed | TcpState::Listen | TcpState::TimeWait => false,
                _ => {
                    self.board.lost() > 0
                        || self.has_unsent()
                        || self.fin_unacked() && !self.fin_sent
                }
            }
    }
}
