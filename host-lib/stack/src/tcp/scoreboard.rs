//! The sender's record of what is in flight (RFC 6675 section 4): each segment sent, whether the peer has it, whether it is lost.
//!
//! Records lie in sequence order; one begins where the one before it ends, the first at SND.UNA. A segment sent again
//! keeps its record. Two cursors keep every search short: originals are sent in sequence order, so the first that has
//! not been judged divides them by time; what was sent again is queued in the order of that.

use std::collections::VecDeque;

use super::short_queue::ShortQueue;
use crate::seq::Seq;
use crate::time::Instant;
use crate::wire::tcp::{Block, SackBlocks};

/// The peer has reported it by SACK.
const SACKED: u8 = 1;
/// Taken for lost.
const LOST: u8 = 2;
/// Sent again, and that copy is not known to be lost.
const AGAIN: u8 = 4;
/// Ever sent more than once.
const RETRANSMITTED: u8 = 8;
/// What a block leaves of a segment is sent again as a packet of its own, so it is no shorter than the least MSS: a peer that
/// reports every other octet gains nothing.
const LEAST_PART: u32 = super::MIN_MSS as u32;

/// One segment as it was sent.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
struct Sent {
    end: Seq,
    flags: u8,
    /// When it was last sent.
    at: Instant,
}

impl Sent {
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A segment that an acknowledgment has just shown to have arrived.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Arrived {
    pub(crate) end: Seq,
    /// When it was last sent.
    pub(crate) at: Instant,
    pub(crate) retransmitted: bool,
}

/// What one acknowledgment told.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Told {
    /// Octets that had not been reported before, by ACK or SACK.
    pub(crate) delivered: u32,
    /// Of those, reported by SACK.
    pub(crate) sacked: u32,
    /// When the earliest of them was sent, if it was sent once only and the ACK field covers it.
    pub(crate) oldest: Option<Instant>,
    /// When the latest of them was sent, if it was sent once only.
    pub(crate) newest: Option<Instant>,
    /// The lowest end of a segment that was sent once only and is among them.
    pub(crate) original_end: Option<Seq>,
    /// A segment that was sent more than once is acknowledged.
    pub(crate) retransmitted: bool,
}

/// What one that brought nothing unusual told.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Passed {
    /// When the first segment that it covers was sent.
    pub(crate) oldest: Option<Instant>,
    /// The last one.
    pub(crate) last: Option<Arrived>,
}

/// What is only known where segments arrive out of order or are sent again.
#[derive(Default)]
#[cfg_attr(test, derive(PartialEq))]
struct Disorder {
    /// (when, end) of segments sent again, in that order; stale entries are skipped.
    again: VecDeque<(Instant, Seq)>,
    /// The blocks of the last acknowledgment: what they cover is marked already.
    seen: [Block; SackBlocks::MAX],
}

/// The record of one connection.
#[cfg_attr(test, derive(PartialEq))]
pub(crate) struct Scoreboard {
    una: Seq,
    sent: ShortQueue<Sent>,
    /// Originals before this have been judged by time.
    judged: Seq,
    /// No lost segment that waits to be sent again lies before this.
    lost_hint: Seq,
    /// Most connections never need it.
    disorder: Option<Box<Disorder>>,
    sacked: u32,
    lost: u32,
    again_octets: u32,
    sacked_segments: u32,
}

impl Scoreboard {
    /// An empty record that begins at `una`.
    pub(crate) fn new(una: Seq) -> Scoreboard {
        Scoreboard {
            una,
            sent: ShortQueue::new(),
            judged: una,
            lost_hint: una,
            disorder: None,
            sacked: 0,
            lost: 0,
            again_octets: 0,
            sacked_segments: 0,
        }
    }

    /// Forgets everything and begins at `una`.
    pub(crate) fn restart(&mut self, una: Seq) {
        *self = Scoreboard::new(una);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// The end of the last segment sent.
    pub(crate) fn end(&self) -> Seq {
        self.sent.back().map_or(self.una, |s| s.end)
    }

    /// Octets thought to be in the network (RFC 6675 section 4, SetPipe).
    pub(crate) fn pipe(&self) -> u32 {
        let out = self.end().distance_from(self.una);
        (out + self.again_octets).saturating_sub(self.sacked + self.lost)
    }

    /// Octets reported by SACK and not yet acknowledged.
    pub(crate) fn sacked(&self) -> u32 {
        self.sacked
    }

    /// Segments reported by SACK and not yet acknowledged.
    pub(crate) fn sacked_segments(&self) -> u32 {
        self.sacked_segments
    }

    /// Octets taken for lost, sent again or not.
    pub(crate) fn lost(&self) -> u32 {
        self.lost
    }

    /// Segments in flight or reported.
    pub(crate) fn segments(&self) -> u32 {
        self.sent.len() as u32
    }

    /// Octets sent again, of copies not known to be lost.
    pub(crate) fn again(&self) -> u32 {
        self.again_octets
    }

    /// Notes a new segment that ends at `end`.
    #[inline]
    pub(crate) fn push(&mut self, end: Seq, at: Instant) {
        self.sent.push_back(Sent { end, flags: 0, at });
    }

    fn disorder(&mut self) -> &mut Disorder {
        self.disorder.get_or_insert_default()
    }

    /// Nothing in flight was sent again, is known to have arrived or is taken for lost: it was sent in the order in which
    /// it lies.
    #[inline]
    pub(crate) fn is_undisturbed(&self) -> bool {
        self.sacked == 0 && self.lost == 0 && self.disorder.is_none()
    }

    /// When the first segment in flight was last sent, and its end.
    #[inline]
    pub(crate) fn first(&self) -> Option<(Instant, Seq)> {
        self.sent.front().map(|first| (first.at, first.end))
    }

    /// Takes in an acknowledgment without blocks where all is undisturbed, as [`Scoreboard::acknowledge`] would: when the
    /// first segment that it covers was sent, and the last one.
    #[inline(always)]
    pub(crate) fn pass(&mut self, ack: Seq) -> Passed {
        let mut passed = Passed {
            oldest: None,
            last: None,
        };
        while let Some(front) = self.sent.front() {
            if front.end.gt(ack) {
                break;
            }
            passed.oldest.get_or_insert(front.at);
            passed.last = Some(Arrived {
                end: front.end,
                at: front.at,
                retransmitted: false,
            });
            self.sent.pop_front();
        }
        self.move_on(ack);
        passed
    }

    /// Everything before `ack` is acknowledged. The cursors follow: what is half the sequence space behind looks as if it
    /// were ahead, and nothing would be judged.
    #[inline]
    fn move_on(&mut self, ack: Seq) {
        self.una = ack;
        self.judged = self.judged.max(ack);
        self.lost_hint = self.lost_hint.max(ack);
    }

    fn start_of(&self, index: usize) -> Seq {
        match index.checked_sub(1).and_then(|i| self.sent.get(i)) {
            Some(before) => before.end,
            None => self.una,
        }
    }

    /// The record that holds `seq`, or the number of records if none does.
    fn index_of(&self, seq: Seq) -> usize {
        self.sent.partition_point(|s| s.end.le(seq))
    }

    /// Cuts the record at `index` in two at `at`, which lies inside it.
    fn split(&mut self, index: usize, at: Seq) {
        if let Some(whole) = self.sent.get_mut(index) {
            let rest = *whole;
            whole.end = at;
            let first = *whole;
            self.sent.insert(index + 1, rest);
            if rest.has(SACKED) {
                self.sacked_segments += 1;
            }
            if first.has(AGAIN) {
                // Both halves are judged by time; the queue is in order of time and has the whole under its end.
                let again = &mut self.disorder().again;
                let place = again.partition_point(|(when, _)| *when <= first.at);
                again.insert(place, (first.at, at));
            }
        }
    }

    /// Notes that `len` octets from `start` on were sent again.
    pub(crate) fn sent_again(&mut self, start: Seq, len: u32, now: Instant) {
        let mut index = self.index_of(start);
        if self.start_of(index).lt(start) {
            self.split(index, start);
            index += 1;
        }
        let (mut at, end) = (start, start + len);
        while at.lt(end) {
            let Some(record) = self.sent.get(index) else {
                return;
            };
            if record.end.gt(end) {
                self.split(index, end);
            }
            if let Some(record) = self.sent.get_mut(index) {
                if !record.has(AGAIN) {
                    self.again_octets += record.end.distance_from(at);
                }
                record.flags |= AGAIN | RETRANSMITTED;
                record.at = now;
                at = record.end;
                self.disorder().again.push_back((now, at));
            }
            index += 1;
        }
    }

    /// Start and length of the first octets taken for lost and not sent again: all of a segment, or as much as follows one
    /// another of several small ones, `most` at most.
    pub(crate) fn next_lost(&mut self, most: u32) -> Option<(Seq, u32)> {
        if self.lost == 0 {
            return None;
        }
        let first = self.index_of(self.lost_hint.max(self.una));
        for index in first..self.sent.len() {
            let waits = |s: &Sent| s.flags & (LOST | AGAIN) == LOST;
            if self.sent.get(index).is_some_and(waits) {
                let start = self.start_of(index);
                self.lost_hint = start;
                let mut end = start;
                for record in self.sent.iter_from(index) {
                    if record.flags & (LOST | AGAIN) != LOST || end.distance_from(start) >= most {
                        break;
                    }
                    end = record.end;
                }
                return Some((start, end.distance_from(start).min(most)));
            }
        }
        self.lost_hint = self.end();
        None
    }

    /// Start and length of the last segment sent, for a probe.
    pub(crate) fn last(&self) -> Option<(Seq, u32)> {
        let index = self.sent.len().checked_sub(1)?;
        let start = self.start_of(index);
        Some((start, self.end().distance_from(start)))
    }

    fn mark_lost(&mut self, index: usize) -> bool {
        let start = self.start_of(index);
        let Some(record) = self.sent.get_mut(index) else {
            return false;
        };
        let len = record.end.distance_from(start);
        if record.has(SACKED) {
            return false;
        }
        if record.has(AGAIN) {
            record.flags &= !AGAIN;
            self.again_octets -= len;
        } else if record.has(LOST) {
            return false;
        }
        if !record.has(LOST) {
            record.flags |= LOST;
            self.lost += len;
        }
        if start.lt(self.lost_hint) {
            self.lost_hint = start;
        }
        true
    }

    /// Takes the first segment for lost, unless it is already; true if that is news.
    pub(crate) fn mark_head_lost(&mut self) -> bool {
        self.mark_lost(0)
    }

    /// After a timeout: takes the first segment for lost, and of the others that the peer has not reported those whose last
    /// transmission is `old`. What it reported is forgotten if it did not keep it (RFC 2018 section 8): then the first
    /// segment would be reported.
    pub(crate) fn mark_old_lost(&mut self, old: impl Fn(Instant) -> bool) {
        if self.sent.front().is_some_and(|s| s.has(SACKED)) {
            self.forget_sacks();
        }
        for index in 0..self.sent.len() {
            if index == 0 || self.sent.get(index).is_some_and(|s| old(s.at)) {
                self.mark_lost(index);
            }
        }
        // What was forgotten may lie before the cursor.
        self.judged = self.una;
    }

    fn forget_sacks(&mut self) {
        for record in self.sent.iter_mut() {
            record.flags &= !SACKED;
        }
        self.sacked = 0;
        self.sacked_segments = 0;
        self.disorder().seen = Default::default();
    }

    /// Nothing is lost after all: the retransmission was spurious.
    pub(crate) fn unmark_lost(&mut self) {
        for record in self.sent.iter_mut() {
            record.flags &= !LOST;
        }
        self.lost = 0;
        self.lost_hint = self.end();
        self.judged = self.una;
    }

    /// Takes for lost what was sent so long before `newest` that `window` has passed (RFC 8985 section 6.2, step 5).
    ///
    /// `is_lost` tells of a segment (when it was last sent, its end) whether it was sent before the most recently sent one
    /// that arrived, and how many nanoseconds from now it may still arrive: `None` if nothing is known of it, zero if it is lost.
    /// Returns whether anything was newly taken for lost, and the time that is left for the next to be judged.
    pub(crate) fn judge(
        &mut self,
        left: impl Fn(Instant, Seq) -> Option<u64>,
    ) -> (bool, Option<u64>) {
        let (mut any, mut wait) = (false, None);
        let mut index = self.index_of(self.judged.max(self.una));
        while let Some(record) = self.sent.get(index).copied() {
            if record.flags & (SACKED | LOST | AGAIN) == 0 {
                match left(record.at, record.end) {
                    Some(0) => any |= self.mark_lost(index),
                    // Those after it were sent later.
                    time => {
                        wait = time;
                        break;
                    }
                }
            }
            self.judged = record.end;
            index += 1;
        }
        let mut again = match &mut self.disorder {
            Some(disorder) => core::mem::take(&mut disorder.again),
            None => return (any, wait),
        };
        while let Some((at, end)) = again.front().copied() {
            let index = self.index_of(end - 1);
            let current = end.gt(self.una)
                && self
                    .sent
                    .get(index)
                    .is_some_and(|s| s.end == end && s.at == at && s.has(AGAIN) && !s.has(SACKED));
            if !current {
                again.pop_front();
                continue;
            }
            match left(at, end) {
                Some(0) => {
                    any |= self.mark_lost(index);
                    again.pop_front();
                }
                time => {
                    wait = wait.into_iter().chain(time).min();
                    break;
                }
            }
        }
        self.disorder().again = again;
        (any, wait)
    }

    /// Takes in an acknowledgment: everything before `ack`, and the blocks. `each` is told of every segment that is now
    /// known to have arrived, in no particular order.
    pub(crate) fn acknowledge(
        &mut self,
        ack: Seq,
        blocks: &[Block],
        mut each: impl FnMut(Arrived),
    ) -> Told {
        let mut told = Told::default();
        while let Some(front) = self.sent.front().copied() {
            if front.end.gt(ack) {
                break;
            }
            let len = front.end.distance_from(self.una);
            self.sent.pop_front();
            self.una = front.end;
            self.forget(&front, len);
            if front.has(SACKED) {
                continue;
            }
            told.delivered += len;
            self.note(&mut told, &front, true, &mut each);
        }
        if ack.gt(self.una) {
            // A part of a segment.
            if let Some(front) = self.sent.front().copied() {
                let len = ack.distance_from(self.una);
                if front.has(LOST) {
                    self.lost -= len;
                }
                if front.has(AGAIN) {
                    self.again_octets -= len;
                }
                if front.has(SACKED) {
                    self.sacked -= len;
                } else {
                    told.delivered += len;
                    told.retransmitted |= front.has(RETRANSMITTED);
                }
            }
            self.una = ack;
        }
        self.move_on(self.una);
        if self.sent.is_empty() {
            self.disorder = None;
        }
        if self.disorder.is_some() || !blocks.is_empty() {
            self.take_blocks(ack, blocks, &mut told, &mut each);
        }
        told
    }

    fn take_blocks(
        &mut self,
        ack: Seq,
        blocks: &[Block],
        told: &mut Told,
        each: &mut impl FnMut(Arrived),
    ) {
        // RFC 8985 section 6.2, step 3, goes "in ascending order of Segment.end_seq".
        let mut ascending = [(ack, ack); SackBlocks::MAX];
        for (to, block) in ascending.iter_mut().zip(blocks) {
            *to = *block;
        }
        let count = blocks.len().min(SackBlocks::MAX);
        ascending[..count].sort_by(|a, b| a.0.diff(b.0).cmp(&0));
        for (left, right) in &ascending[..count] {
            self.sack(*left, *right, told, each);
        }
        // One whose edges were not taken as they are is looked at again.
        let mut seen = [(ack, ack); SackBlocks::MAX];
        for (slot, (left, right)) in seen.iter_mut().zip(blocks) {
            if self.is_edge(*left) && self.is_edge(*right) && right.le(self.end()) {
                *slot = (*left, *right);
            }
        }
        self.disorder().seen = seen;
    }

    /// No record lies on both sides of `seq`.
    fn is_edge(&self, seq: Seq) -> bool {
        seq.le(self.una) || self.start_of(self.index_of(seq)) == seq
    }

    fn forget(&mut self, record: &Sent, len: u32) {
        if record.has(SACKED) {
            self.sacked -= len;
            self.sacked_segments -= 1;
        }
        if record.has(LOST) {
            self.lost -= len;
        }
        if record.has(AGAIN) {
            self.again_octets -= len;
        }
    }

    fn note(&self, told: &mut Told, record: &Sent, by_ack: bool, each: &mut impl FnMut(Arrived)) {
        let retransmitted = record.has(RETRANSMITTED);
        if retransmitted {
            told.retransmitted = true;
        } else {
            if by_ack && told.oldest.is_none() {
                told.oldest = Some(record.at);
            }
            told.newest = told.newest.max(Some(record.at));
            if told.original_end.is_none_or(|end| record.end.lt(end)) {
                told.original_end = Some(record.end);
            }
        }
        each(Arrived {
            end: record.end,
            at: record.at,
            retransmitted,
        });
    }

    /// Marks what the block from `left` up to `right` reports.
    fn sack(&mut self, left: Seq, right: Seq, told: &mut Told, each: &mut impl FnMut(Arrived)) {
        let (mut left, right) = (left.max(self.una), right);
        if left.ge(right) || right.gt(self.end()) {
            // Nothing that is in flight: old news, or a peer that is wrong.
            return;
        }
        // What the same block said last time is done.
        let seen = self.disorder.as_ref().map_or(&[][..], |d| &d.seen);
        if let Some((from, to)) = seen
            .iter()
            .find(|(from, to)| from.le(left) && to.gt(left))
            .copied()
        {
            if from.lt(to) {
                left = to;
            }
        }
        let mut index = self.index_of(left);
        while left.lt(right) {
            let start = self.start_of(index);
            let Some(record) = self.sent.get(index).copied() else {
                return;
            };
            if record.has(SACKED) {
                left = record.end;
                index += 1;
                continue;
            }
            let edges = taken_of((start, record.end), (left, right));
            if start.lt(edges.0) && edges.0.lt(edges.1) {
                self.split(index, edges.0);
                left = edges.0;
                index += 1;
                continue;
            }
            if edges.0.ge(edges.1) {
                left = record.end;
                index += 1;
                continue;
            }
            if record.end.gt(edges.1) {
                self.split(index, edges.1);
                continue;
            }
            let len = record.end.distance_from(start);
            self.note(told, &record, false, each);
            if let Some(record) = self.sent.get_mut(index) {
                if record.has(LOST) {
                    self.lost -= len;
                }
                if record.has(AGAIN) {
                    self.again_octets -= len;
                }
                record.flags = record.flags & RETRANSMITTED | SACKED;
            }
            self.sacked += len;
            self.sacked_segments += 1;
            told.sacked += len;
            told.delivered += len;
            left = record.end;
            index += 1;
        }
    }

    /// The times of what is in flight say nothing about the path.
    pub(crate) fn distrust_times(&mut self) {
        self.disorder();
        for record in self.sent.iter_mut() {
            record.flags |= RETRANSMITTED;
        }
    }

    /// Cuts segments longer than `mss` that wait to be sent again, and takes those in flight for lost that are too long
    /// for the path (RFC 1191 section 6.4).
    pub(crate) fn mark_longer_lost(&mut self, mss: u32) {
        for index in 0..self.sent.len() {
            let start = self.start_of(index);
            let long = |s: &Sent| s.end.distance_from(start) > mss;
            if self.sent.get(index).is_some_and(long) {
                self.mark_lost(index);
            }
        }
    }
}

/// What of a record is marked for a block that covers some of it.
fn taken_of((start, end): Block, (left, right): Block) -> Block {
    let from = match left.gt(start) {
        true => left.max(start + LEAST_PART),
        false => start,
    };
    let last = end - LEAST_PART;
    let to = match right.lt(end) {
        true if right.gt(last) => last,
        true => right,
        false => end,
    };
    (from, to)
}

#[cfg(test)]
mod tests;
