//! Loss recovery: when a connection takes something for lost, what it sends until that is repaired, and when it was wrong
//! (RFC 5681, RFC 6582, RFC 6675, RFC 6937, RFC 5682, RFC 8985 section 7.4).

use super::congestion::{Acked, Congestion};
use super::rack::DUPLICATE_THRESHOLD;
use super::scoreboard::Told;
use super::timestamps::{clock, older};
use super::{Cx, Tcb};
use crate::payload::Payload;
use crate::seq::Seq;
use crate::wire::tcp::{Block, TcpHeader};

/// What the connection is doing about congestion.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// Nothing is known to be lost.
    Open,
    /// The window is being reduced though nothing needs to be sent again (ECN, or a loss that a probe has repaired).
    Reducing,
    /// Fast recovery.
    Recovery,
    /// After a retransmission timeout.
    Loss,
}

/// How far the test for a spurious timeout has come (RFC 5682 section 2.1).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Frto {
    /// Step 2: the first acknowledgment after the timeout is awaited.
    First,
    /// Step 3: two new segments were sent, the second acknowledgment is awaited.
    Second,
}

/// What is needed to take a reduction back.
#[derive(Copy, Clone, Debug)]
struct Undo {
    before: Congestion,
    /// SND.UNA when it began.
    una: Seq,
    /// Segments sent again since that no DSACK has shown to be spurious.
    again: u32,
    /// When the first was sent again, on the clock of our timestamps.
    stamp: Option<u32>,
}

/// A tail loss probe that is out (RFC 8985 section 7.3).
#[derive(Copy, Clone, Debug)]
pub(crate) struct Probe {
    /// TLP.end_seq
    pub(crate) end: Seq,
    /// TLP.is_retrans
    pub(crate) retransmission: bool,
}

/// Recovery's state.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Recovery {
    /// FlightSize when the last acknowledgment arrived.
    pub(crate) flight_before: u32,
    /// The phase ends when this is acknowledged: SND.NXT when it began.
    pub(crate) high_seq: Seq,
    /// RFC 6582 section 4: no new recovery for duplicates of what was sent before this.
    no_recovery_before: Seq,
    pub(crate) phase: Phase,
    pub(crate) frto: Option<Frto>,
    /// Nothing but the first retransmission goes out until something is acknowledged.
    pub(crate) one_at_first: bool,
    /// The next retransmission goes out whatever the window says.
    pub(crate) force: bool,
    pub(crate) probe: Option<Probe>,
    /// Without SACK: duplicate ACKs, each of which tells of a segment that has arrived.
    pub(crate) duplicate_acks: u32,
    /// Octets sent by limited transmit (RFC 3042) since the first sign of a loss.
    pub(crate) limited: u32,
    /// RFC 6937's names.
    prr_delivered: u32,
    pub(crate) prr_out: u32,
    recover_fs: u32,
    undo: Option<Box<Undo>>,
}

impl Recovery {
    pub(crate) fn new(iss: Seq) -> Recovery {
        Recovery {
            phase: Phase::Open,
            high_seq: iss,
            frto: None,
            one_at_first: false,
            force: false,
            probe: None,
            duplicate_acks: 0,
            no_recovery_before: iss,
            flight_before: 0,
            limited: 0,
            prr_delivered: 0,
            prr_out: 0,
            recover_fs: 0,
            undo: None,
        }
    }

    /// Nothing is wrong, and nothing out that would tell.
    pub(crate) fn is_quiet(&self) -> bool {
        self.phase == Phase::Open
            && self.frto.is_none()
            && self.probe.is_none()
            && !(self.one_at_first || self.force)
            && self.duplicate_acks == 0
            && self.limited == 0
    }

    /// What lies before `una` is over: marks in the sequence space stay near enough to be compared.
    #[inline]
    pub(crate) fn keep_near(&mut self, una: Seq) {
        self.high_seq = self.high_seq.max(una);
        self.no_recovery_before = self.no_recovery_before.max(una);
    }

    /// A segment of `len` octets was sent; `again` at the time `stamp`.
    pub(crate) fn note_sent(&mut self, len: u32, again: Option<u32>) {
        self.prr_out = self.prr_out.saturating_add(len);
        if let (Some(stamp), Some(undo)) = (again, &mut self.undo) {
            undo.again += 1;
            undo.stamp.get_or_insert(stamp);
        }
    }
}

impl<B: Payload> Tcb<B> {
    /// Octets thought to be in the network.
    pub(crate) fn flight(&self) -> u32 {
        // After a timeout everything is lost that was not reported, and duplicates tell nothing.
        let reported = match self.recovery.phase {
            Phase::Loss => 0,
            _ => self.recovery.duplicate_acks.saturating_mul(self.mss),
        };
        self.board.pipe().saturating_sub(reported)
    }

    /// Octets sent and not acknowledged: RFC 5681's FlightSize.
    pub(crate) fn outstanding(&self) -> u32 {
        self.snd_nxt.distance_from(self.snd_una)
    }

    /// Draws the consequences of an acknowledgment that the scoreboard has taken in.
    pub(crate) fn after_ack(
        &mut self,
        cx: &mut Cx<'_>,
        h: &TcpHeader,
        told: Told,
        acked: u32,
        duplicate: bool,
        dsack: Option<Block>,
    ) {
        let mut delivered = told.delivered;
        if !self.sack_permitted {
            delivered = self.count_duplicates(acked, delivered, duplicate);
        }
        if let Some(block) = dsack {
            self.on_dsack(cx, block);
        }
        if self.recovery.probe.is_some() {
            self.on_probe_ack(cx, h, duplicate, dsack);
        }
        if !self.is_disordered() {
            self.recovery.limited = 0;
        }
        if delivered == 0 && !duplicate && acked == 0 {
            return;
        }
        self.ecn_echo(h);
        self.recovery.one_at_first &= acked == 0;
        let reducing = matches!(self.recovery.phase, Phase::Recovery | Phase::Reducing);
        match self.recovery.phase {
            Phase::Open => {}
            Phase::Reducing => {
                if self.snd_una.ge(self.recovery.high_seq) {
                    self.end_reduction();
                }
            }
            Phase::Recovery => self.in_recovery(cx, h, acked),
            Phase::Loss => self.in_loss(cx, h, told, acked, duplicate),
        }
        self.detect_losses(cx);
        if self.recovery.phase == Phase::Recovery || self.recovery.phase == Phase::Reducing {
            self.reduce_proportionally(delivered);
        } else if acked > 0 && !reducing && self.window_was_used(acked) {
            self.congestion.on_ack(Acked {
                now: cx.now,
                octets: acked,
                srtt: self.rto.srtt_nanos().unwrap_or_default(),
                after_timeout: self.recovery.phase == Phase::Loss,
            });
        }
    }

    /// Something beyond SND.UNA has arrived.
    pub(crate) fn is_disordered(&self) -> bool {
        self.board.sacked() > 0 || self.recovery.duplicate_acks > 0
    }

    /// RFC 7661 section 3 and RFC 9438 section 5.8: a window that is not used says nothing about the path and must not grow.
    pub(super) fn window_was_used(&self, acked: u32) -> bool {
        let before = self.snd_una - acked;
        self.window_full_at.gt(before)
            // In slow start half of it is enough, since it is to double.
            || self.congestion.in_slow_start()
                && self.congestion.window() / 2 < self.snd_nxt.distance_from(before)
    }

    /// Without SACK each duplicate ACK stands for a segment that has arrived, which a later acknowledgment will count once
    /// more. Returns what was delivered.
    fn count_duplicates(&mut self, acked: u32, delivered: u32, duplicate: bool) -> u32 {
        if duplicate {
            // One is missing, and the others cannot have arrived twice (RFC 5681 section 3.2 on receivers that send more: "A
            // TCP MAY therefore limit the number of times cwnd is artificially inflated ... to the number of outstanding
            // segments").
            let most = self
                .board
                .segments()
                .saturating_sub(1)
                .max(DUPLICATE_THRESHOLD);
            if self.recovery.duplicate_acks >= most {
                return 0;
            }
            self.recovery.duplicate_acks += 1;
            return self.mss;
        }
        if acked == 0 {
            return delivered;
        }
        let counted = self.recovery.duplicate_acks;
        // One of them is the segment that filled the gap.
        let segments = acked.div_ceil(self.mss.max(1));
        self.recovery.duplicate_acks = match self.recovery.phase {
            Phase::Recovery if self.snd_una.lt(self.recovery.high_seq) => {
                counted.saturating_sub(segments.saturating_sub(1))
            }
            _ => 0,
        };
        let known = counted.min(segments.saturating_sub(1)) * self.mss;
        delivered.saturating_sub(known)
    }

    /// Marks what is lost by now and enters recovery for it.
    pub(crate) fn detect_losses(&mut self, cx: &mut Cx<'_>) {
        let recovering = matches!(self.recovery.phase, Phase::Recovery | Phase::Loss);
        let (mut any, wait) = if self.sack_permitted {
            self.rack
                .detect(&mut self.board, cx.now, recovering, self.rto.srtt_nanos())
        } else {
            // RFC 8985 section 3.2: RACK needs SACK.
            (false, None)
        };
        self.reorder_at = wait.map(|wait| cx.now.after(wait));
        if !self.sack_permitted
            && !recovering
            && self.recovery.duplicate_acks >= DUPLICATE_THRESHOLD
            && self.snd_una.ge(self.recovery.no_recovery_before)
        {
            any |= self.board.mark_head_lost();
        }
        if any && !recovering {
            self.enter_recovery(cx);
        }
    }

    /// FlightSize, as reductions go by it: "the amount of data that has been sent but not yet cumulatively acknowledged" (RFC
    /// 5681 section 2), of which all that the window allowed is the window. What SACK has reported was replaced by new data
    /// since, and would count twice; so would what limited transmit has sent, which "MUST NOT be included" (section 3.2 (2)).
    fn flight_size(&self) -> u32 {
        // The acknowledgment that tells of a loss may have moved SND.UNA.
        let flight = self.outstanding().max(self.recovery.flight_before);
        let window = self.congestion.window();
        match self.window_full_at.ge(self.snd_una) {
            true => window,
            false => flight.saturating_sub(self.recovery.limited).min(window),
        }
    }

    fn begin_reduction(&mut self, phase: Phase) {
        let before = self.congestion;
        let flight = self.flight_size();
        let outstanding = self.outstanding().max(self.recovery.flight_before);
        self.congestion.reduce(flight);
        let recovery = &mut self.recovery;
        recovery.phase = phase;
        recovery.high_seq = self.snd_nxt;
        recovery.prr_delivered = 0;
        recovery.prr_out = 0;
        // RFC 6937 section 3.1: "RecoverFS = snd.nxt-snd.una".
        recovery.recover_fs = outstanding.max(1);
        recovery.undo = Some(Box::new(Undo {
            before,
            una: self.snd_una,
            again: 0,
            stamp: None,
        }));
    }

    fn enter_recovery(&mut self, cx: &mut Cx<'_>) {
        if self.recovery.phase == Phase::Reducing {
            // The window is reduced already for this round trip.
            self.recovery.phase = Phase::Recovery;
        } else {
            self.begin_reduction(Phase::Recovery);
        }
        self.recovery.force = true;
        self.recovery.probe = None;
        cx.stats.tcp_fast_retransmits += 1;
    }

    /// The window shrinks without a retransmission: congestion was marked (RFC 3168 section 6.1.2), or a probe has
    /// repaired a loss. At most once a round trip; false if it is being reduced already.
    pub(crate) fn reduce_window(&mut self) -> bool {
        if self.recovery.phase != Phase::Open {
            return false;
        }
        self.begin_reduction(Phase::Reducing);
        self.recovery.undo = None;
        true
    }

    /// RFC 6937 section 3.1, with SSRB for the reduction bound.
    fn reduce_proportionally(&mut self, delivered: u32) {
        if delivered == 0 {
            return;
        }
        let (pipe, ssthresh, mss) = (self.flight(), self.congestion.ssthresh(), self.mss);
        let recovery = &mut self.recovery;
        recovery.prr_delivered = recovery.prr_delivered.saturating_add(delivered);
        let send = if pipe > ssthresh {
            // "sndcnt = CEIL(prr_delivered * ssthresh / RecoverFS) - prr_out"
            let due = u64::from(recovery.prr_delivered) * u64::from(ssthresh);
            let due = due.div_ceil(u64::from(recovery.recover_fs));
            u32::try_from(due)
                .unwrap_or(u32::MAX)
                .saturating_sub(recovery.prr_out)
        } else {
            // "limit = MAX(prr_delivered - prr_out, DeliveredData) + MSS; sndcnt = MIN(ssthresh - pipe, limit)"
            let behind = recovery.prr_delivered.saturating_sub(recovery.prr_out);
            (ssthresh - pipe).min(behind.max(delivered) + mss)
        };
        self.congestion.set_window(pipe + send);
    }

    /// "Upon exiting recovery, set cwnd = ssthresh" (RFC 6937 section 3.1).
    fn end_reduction(&mut self) {
        self.congestion.set_window(self.congestion.ssthresh());
        self.recovery.phase = Phase::Open;
        // A DSACK that shows it to have been in vain may still come.
    }

    fn in_recovery(&mut self, cx: &mut Cx<'_>, h: &TcpHeader, acked: u32) {
        if acked == 0 {
            return;
        }
        if self.was_spurious(h) {
            self.take_back(cx);
            return;
        }
        if self.snd_una.ge(self.recovery.high_seq) {
            self.recovery.no_recovery_before = self.recovery.high_seq;
            self.rack.on_recovery_end();
            self.end_reduction();
        } else if !self.sack_permitted {
            // RFC 6582 section 3.2 (3), partial acknowledgment: "retransmit the first unacknowledged segment".
            self.recovery.force |= self.board.mark_head_lost();
        }
    }

    /// RFC 3522 section 3.2 (Eifel): the acknowledgment answers what was sent before the first retransmission; or DSACKs
    /// have reported every retransmission.
    fn was_spurious(&self, h: &TcpHeader) -> bool {
        let Some(undo) = &self.recovery.undo else {
            return false;
        };
        let echoed = self.timestamps.and(h.timestamps).map(|ts| ts.echo);
        match (undo.stamp, echoed) {
            (Some(stamp), Some(echo)) => echo != 0 && older(echo, stamp),
            _ => false,
        }
    }

    /// Nothing was lost: the window, and what was taken for lost, are as before.
    fn take_back(&mut self, cx: &mut Cx<'_>) {
        if let Some(undo) = self.recovery.undo.take() {
            self.congestion.restore(&undo.before);
            cx.stats.tcp_spurious_recoveries += 1;
        }
        self.board.unmark_lost();
        self.rack.forget_newest();
        self.recovery.phase = Phase::Open;
        self.recovery.frto = None;
        self.recovery.force = false;
        self.retransmits = 0;
    }

    /// RFC 2883: the peer had that already. Where all that was sent again turns out so, nothing was lost (RFC 3708).
    fn on_dsack(&mut self, cx: &mut Cx<'_>, (left, right): Block) {
        cx.stats.tcp_dsacks_in += 1;
        self.rack.on_dsack(self.snd_una, self.snd_nxt);
        let Some(undo) = &mut self.recovery.undo else {
            return;
        };
        if undo.again > 0 && left.ge(undo.una) && right.le(self.snd_max) {
            undo.again -= 1;
            if undo.again == 0 && self.recovery.probe.is_none() {
                self.take_back(cx);
            }
        }
    }

    /// RFC 8985 section 7.4.2.
    fn on_probe_ack(
        &mut self,
        cx: &mut Cx<'_>,
        h: &TcpHeader,
        duplicate: bool,
        dsack: Option<Block>,
    ) {
        let Some(probe) = self.recovery.probe else {
            return;
        };
        if h.ack.lt(probe.end) {
            return;
        }
        let both_arrived = dsack.is_some_and(|(_, right)| right == probe.end)
            || h.ack == probe.end && duplicate && h.sack.is_empty();
        if !probe.retransmission || both_arrived {
            self.recovery.probe = None;
        } else if h.ack.gt(probe.end) {
            self.recovery.probe = None;
            cx.stats.tcp_probe_repairs += 1;
            self.reduce_window();
        }
    }

    /// The retransmission timer has run out for data (RFC 6298 section 5, RFC 8985 section 6.3).
    pub(crate) fn enter_loss(&mut self, cx: &Cx<'_>, again: bool) {
        let flight = self.flight_size();
        let fresh = matches!(self.recovery.phase, Phase::Open | Phase::Reducing);
        if fresh {
            self.recovery.undo = Some(Box::new(Undo {
                before: self.congestion,
                una: self.snd_una,
                again: 0,
                stamp: None,
            }));
        }
        self.congestion
            .on_timeout(flight, again || self.recovery.phase == Phase::Recovery);
        self.rack.mark_lost_after_timeout(&mut self.board, cx.now);
        let recovery = &mut self.recovery;
        recovery.phase = Phase::Loss;
        recovery.high_seq = self.snd_nxt;
        // RFC 6582 section 3.2 (4): "record the highest sequence number transmitted in the variable recover".
        recovery.no_recovery_before = self.snd_nxt;
        recovery.duplicate_acks = 0;
        recovery.probe = None;
        recovery.force = true;
        // RFC 5682 section 2.1, step 1; not after fast recovery of the same data.
        recovery.frto = (fresh || again).then_some(Frto::First);
        self.reorder_at = None;
    }

    /// Sends again what is in flight and no longer fits the path, without a sign of congestion (RFC 1191 section 6.4): "only
    /// one segment should be retransmitted until acknowledgements begin to arrive".
    pub(crate) fn resegment(&mut self) {
        self.board.mark_longer_lost(self.mss);
        if self.board.lost() > 0 && self.recovery.phase != Phase::Loss {
            self.recovery.phase = Phase::Loss;
            self.recovery.high_seq = self.snd_nxt;
            self.recovery.undo = None;
            self.recovery.frto = None;
            self.recovery.probe = None;
            self.recovery.force = true;
            self.recovery.one_at_first = true;
        }
    }

    fn in_loss(&mut self, cx: &mut Cx<'_>, h: &TcpHeader, told: Told, acked: u32, duplicate: bool) {
        if acked > 0 && self.was_spurious(h) {
            self.take_back(cx);
            return;
        }
        let recovered = self.snd_una.ge(self.recovery.high_seq);
        match self.recovery.frto {
            None => {}
            // Section 3.1, step 3 (with SACK): something that was not sent again has arrived after the timeout.
            Some(_)
                if self.sack_permitted
                    && told
                        .original_end
                        .is_some_and(|end| end.le(self.recovery.high_seq)) =>
            {
                self.take_back(cx);
                return;
            }
            Some(Frto::First) if acked > 0 && !recovered => {
                // Step 2 b: "transmit up to two new (previously unsent) segments".
                let offset = self.outstanding() as usize;
                let new_data = self.send.len() > offset && self.snd_wnd as usize > offset;
                self.recovery.frto = new_data.then_some(Frto::Second);
            }
            // Step 3 b without SACK: the second acknowledgment also moves the window: "the timeout was spurious".
            Some(Frto::Second) if acked > 0 && !self.sack_permitted && !recovered => {
                if told.original_end.is_some() {
                    self.take_back(cx);
                    return;
                }
                // It must acknowledge "data that was not retransmitted after the timeout"; a peer may acknowledge one segment
                // in pieces.
                self.recovery.frto = None;
            }
            // Step 3 a: "set the congestion window to no more than 3 * MSS and continue with the slow start algorithm".
            Some(Frto::Second) if duplicate || told.sacked > 0 => {
                self.recovery.frto = None;
                self.congestion.set_window(3 * self.mss);
            }
            // Step 2 a: the loss was real.
            Some(_) if duplicate || told.sacked > 0 || recovered => self.recovery.frto = None,
            Some(_) => {}
        }
        if recovered {
            self.recovery.phase = Phase::Open;
            self.recovery.frto = None;
            self.recovery.undo = None;
        }
    }

    /// When the first retransmission of this recovery was sent, for [`Recovery::note_sent`].
    pub(crate) fn stamp(&self, cx: &Cx<'_>) -> u32 {
        self.timestamps.map_or(0, |ts| clock(cx.now, ts.offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_far_back_hinders_none_now() {
        let mut recovery = Recovery::new(Seq(0));
        let mut una = Seq(0);
        // More than half the sequence space, so that its ends can no longer be compared.
        for _ in 0..3 {
            una += 1 << 30;
            recovery.keep_near(una);
        }
        assert!(una.ge(recovery.no_recovery_before));
        assert!(una.ge(recovery.high_seq));
    }
}
