//! What the receiver reports out of order (RFC 2018 section 4), and what came twice (RFC 2883).

use crate::seq::Seq;
use crate::wire::tcp::{Block, SackBlocks};

/// Runs held ahead of a gap, the most recently changed first; more than four are not remembered, as no option has room.
#[derive(Default, Debug)]
pub(crate) struct SackList(
    /// Nothing while there is nothing to report, as on most connections all the time.
    Option<Box<Report>>,
);

#[derive(Default, Debug)]
struct Report {
    runs: [Block; SackBlocks::MAX],
    len: usize,
    /// A duplicate, reported once.
    duplicate: Option<Block>,
}

impl SackList {
    fn report(&mut self) -> &mut Report {
        self.0.get_or_insert_default()
    }

    /// Octets from `left` up to `right` are held. RFC 2018 section 4: "the first SACK block MUST specify the contiguous
    /// block of data containing the segment which triggered this ACK".
    pub(crate) fn held(&mut self, left: Seq, right: Seq) {
        let (mut left, mut right) = (left, right);
        let report = self.report();
        let mut kept = 0;
        for i in 0..report.len {
            let (l, r) = report.runs[i];
            if l.le(right) && left.le(r) {
                if l.lt(left) {
                    left = l;
                }
                right = right.max(r);
            } else {
                report.runs[kept] = (l, r);
                kept += 1;
            }
        }
        let kept = kept.min(SackBlocks::MAX - 1);
        report.runs.copy_within(0..kept, 1);
        report.runs[0] = (left, right);
        report.len = kept + 1;
    }

    /// RCV.NXT has moved: runs it has swallowed go.
    pub(crate) fn advance(&mut self, rcv_nxt: Seq) {
        let Some(report) = &mut self.0 else {
            return;
        };
        let mut kept = 0;
        for i in 0..report.len {
            if report.runs[i].1.gt(rcv_nxt) {
                report.runs[kept] = report.runs[i];
                kept += 1;
            }
        }
        report.len = kept;
        self.tidy();
    }

    /// Octets from `left` up to `right` came again (RFC 2883 section 4: reported "in exactly one duplicate ACK").
    pub(crate) fn duplicate(&mut self, left: Seq, right: Seq) {
        self.report().duplicate = Some((left, right));
    }

    /// The run that holds what lies from `left` up to `right`, if all of it is held.
    pub(crate) fn covering(&self, left: Seq, right: Seq) -> bool {
        self.0.as_ref().is_some_and(|report| {
            let mut runs = report.runs[..report.len].iter();
            runs.any(|(l, r)| l.le(left) && r.ge(right))
        })
    }

    /// Blocks there are to report.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        let count = |report: &Report| report.len + usize::from(report.duplicate.is_some());
        self.0.as_deref().map_or(0, count)
    }

    /// True if the next acknowledgment has something to report.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn tidy(&mut self) {
        self.0
            .take_if(|report| report.len == 0 && report.duplicate.is_none());
    }

    /// The blocks of the next acknowledgment, at most `room`; the duplicate is forgotten with it.
    pub(crate) fn take(&mut self, room: usize) -> SackBlocks {
        let mut blocks = SackBlocks::default();
        let Some(report) = &mut self.0 else {
            return blocks;
        };
        if let Some((left, right)) = report.duplicate.take() {
            blocks.push(left, right);
        }
        for (left, right) in &report.runs[..report.len] {
            blocks.push(*left, *right);
        }
        self.tidy();
        blocks.truncate(room);
        blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &mut SackList, room: usize) -> Vec<(u32, u32)> {
        let taken = list.take(room);
        taken.as_slice().iter().map(|(l, r)| (l.0, r.0)).collect()
    }

    #[test]
    fn the_most_recent_run_comes_first_as_in_rfc_2018_section_7() {
        // Case 3 of the examples: segments 2, 4, 6 and 8 of 500 octets from 5000 on are lost.
        let mut list = SackList::default();
        list.held(Seq(5500), Seq(6000));
        assert_eq!(pairs(&mut list, 3), [(5500, 6000)]);
        list.held(Seq(6500), Seq(7000));
        assert_eq!(pairs(&mut list, 3), [(6500, 7000), (5500, 6000)]);
        list.held(Seq(7500), Seq(8000));
        assert_eq!(
            pairs(&mut list, 3),
            [(7500, 8000), (6500, 7000), (5500, 6000)]
        );
        // The fourth segment arrives: it joins two runs, which comes first.
        list.held(Seq(7000), Seq(7500));
        assert_eq!(pairs(&mut list, 3), [(6500, 8000), (5500, 6000)]);
        list.advance(Seq(6000));
        assert_eq!(pairs(&mut list, 3), [(6500, 8000)]);
    }

    #[test]
    fn a_duplicate_is_reported_first_and_once_as_in_rfc_2883_section_4() {
        let mut list = SackList::default();
        list.held(Seq(4500), Seq(5000));
        list.duplicate(Seq(3000), Seq(3500));
        assert_eq!(pairs(&mut list, 3), [(3000, 3500), (4500, 5000)]);
        assert_eq!(pairs(&mut list, 3), [(4500, 5000)]);
    }
}
