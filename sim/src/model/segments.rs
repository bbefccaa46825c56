//! TSO: the segments of a packet, as its SQEs bring the payload.
use ferrule_abi::ring::{sqe_flags, Sqe, TSO_MAX_HEADERS, TSO_MIN_HEADERS};

use super::packet::{Packet, Segment};

/// A packet that is cut into segments.
pub(super) struct Segments {
    /// Its headers.
    head: Sqe,
    /// Bytes of payload that belong to no segment yet; none before the first SQE of payload.
    todo: Option<u16>,
    /// The segment of which bytes are missing.
    packet: Option<Packet>,
    missing: u16,
    /// What is left of the SQE.
    iova: u64,
    behind: u16,
    number: u16,
    offset: u32,
}

impl Segments {
    /// Of the first SQE; none if that cannot be.
    pub(super) fn new(head: &Sqe) -> Option<Self> {
        let is_right = (TSO_MIN_HEADERS..=TSO_MAX_HEADERS).contains(&head.len)
            && head.len.is_multiple_of(4)
            && head.mss != 0
            && head.flags & (sqe_flags::RAW | sqe_flags::EOP) == 0;
        is_right.then_some(Self {
            head: *head,
            todo: None,
            packet: None,
            missing: 0,
            iova: 0,
            behind: 0,
            number: 0,
            offset: 0,
        })
    }

    /// An SQE of payload; whether it can be.
    pub(super) fn payload(&mut self, sqe: &Sqe) -> bool {
        (self.iova, self.behind) = (sqe.iova, sqe.len);
        let is_first = self.todo.is_none();
        let todo = *self.todo.get_or_insert(sqe.tso_bytes());
        !is_first || todo != 0
    }

    /// Something is left of the SQE.
    pub(super) fn has_bytes(&self) -> bool {
        self.behind != 0
    }

    /// All payload is in segments that are whole, and nothing is left of the SQE.
    pub(super) fn is_done(&self) -> bool {
        self.todo == Some(0) && self.packet.is_none() && self.behind == 0
    }

    /// There is more payload than was said, or less. With `ends` the SQE is the last.
    pub(super) fn is_wrong(&self, ends: bool) -> bool {
        let is_whole = self.packet.is_none() && self.todo == Some(0);
        let is_over = is_whole && (self.behind != 0 || !ends);
        let is_short = ends && self.behind == 0 && !is_whole;
        is_over || is_short
    }

    /// Reads of a segment what the SQE has, by `read`, which says whether that went well. Whether something failed, and the segment if it
    /// is whole.
    pub(super) fn read(
        &mut self,
        mut read: impl FnMut(u64, &mut [u8]) -> bool,
    ) -> (bool, Option<Packet>) {
        let mut failed = false;
        let todo = self.todo.unwrap_or(0);
        let mut packet = self.packet.take().unwrap_or_else(|| {
            let mut packet = Packet::new(&self.head);
            failed |= !read(self.head.iova, packet.extend(self.head.len.into()));
            self.missing = todo.min(self.head.mss);
            self.todo = Some(todo - self.missing);
            packet
        });
        let piece = self.missing.min(self.behind);
        failed |= !read(self.iova, packet.extend(piece.into()));
        self.iova = self.iova.wrapping_add(piece.into());
        self.missing -= piece;
        self.behind -= piece;
        if self.missing != 0 {
            self.packet = Some(packet);
            return (failed, None);
        }
        packet.become_segment(Segment {
            number: self.number,
            offset: self.offset,
            // A segment is the last by what was said of the payload's length, whatever SQEs follow.
            is_last: self.todo == Some(0),
        });
        self.number = self.number.wrapping_add(1);
        self.offset += u32::from(self.head.mss);
        (failed, Some(packet))
    }
}
