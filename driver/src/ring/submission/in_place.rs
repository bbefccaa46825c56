//! Batches of frames of one SQE each, copied to its buffer or sent from where they lie: in it, or in a receive slot.
use super::{flags_of_one, Entry, SubmissionRing, What, REPORT, TX_BUFFER};
use crate::dma::Entries;
use crate::nic::{Caps, InPlaceFrame, TxError, TxFrame};
use crate::ring::Index;
use crate::DmaBuf;
use std::ops::Range;

/// Where the bytes of an outstanding frame are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Place {
    /// In the buffers of its SQEs, from their first byte on.
    #[default]
    Copied,
    /// As before, and the first of them has the headers of what is cut into segments, so many bytes.
    Cut { header_bytes: u16 },
    /// Somewhere in the buffer of its only SQE: at this offset of the memory.
    Made { at: u32 },
    /// In a receive slot, which is nobody else's meanwhile, at this offset of the memory. It has less than 4 GiB: 2^14 buffers of 2 KiB, and
    /// 2^14 slots of 64 KiB at most.
    Slot { slot: u16, at: u32 },
}

/// Where a frame lies before it is handed over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    /// In the next SQE's buffer.
    Buffer,
    /// In a receive slot, of which `stored` bytes are the frame's, at `at` of the memory.
    Slot { slot: u16, at: usize, stored: usize },
}

/// A batch of frames. When it is dropped they are in the ring, the last of them with a completion asked for unless more follow. A doorbell must
/// follow.
pub(crate) struct Run<'a> {
    memory: &'a DmaBuf,
    memory_iova: u64,
    sq: Entries<'a>,
    entries: &'a mut [Entry],
    buffers: usize,
    max_frame: usize,
    caps: Caps,
    /// Entries of the ring, less one.
    mask: u16,
    /// Of the next SQE.
    index: Index,
    room: u16,
    goes_on: bool,
    /// Frames in receive slots.
    slots: u16,
    /// SQEs since the last with CPL_REQ, and how many are too many.
    since: u16,
    due: u16,
    producer: &'a mut Index,
    unsignalled: &'a mut u16,
    reports: &'a mut u16,
    in_slots: &'a mut u16,
}

impl SubmissionRing {
    /// Begins a batch; not in PUSH mode, where the device reads no memory.
    #[inline]
    pub(crate) fn run(&mut self, caps: Caps) -> Option<Run<'_>> {
        if self.push.is_some() {
            return None;
        }
        let room = self.room();
        Some(Run {
            sq: self.memory.entries(self.sq, self.log2),
            memory: &self.memory,
            memory_iova: self.memory_iova,
            entries: &mut self.entries,
            buffers: self.buffers,
            max_frame: self.max_frame,
            caps,
            mask: (1 << self.log2) - 1,
            index: self.producer,
            room,
            goes_on: false,
            slots: 0,
            since: self.unsignalled,
            due: (1u16 << self.log2) / 4,
            producer: &mut self.producer,
            unsignalled: &mut self.unsignalled,
            reports: &mut self.reports,
            in_slots: &mut self.in_slots,
        })
    }

    /// For how many SQEs there is room.
    pub(crate) fn room(&self) -> u16 {
        (1 << self.log2) - self.outstanding()
    }

    /// Slots of frames that are sent: to be lent again.
    pub(crate) fn freed(&mut self) -> &mut Vec<u16> {
        &mut self.freed
    }
}

impl Run<'_> {
    /// There is more in the batch than this run takes.
    #[inline(always)]
    pub(super) fn goes_on(&mut self) {
        self.goes_on = true;
    }

    /// For how many more frames there is room.
    #[inline]
    pub(crate) fn room(&self) -> u16 {
        self.room
    }

    /// How many were added.
    #[inline]
    pub(crate) fn count(&self) -> u16 {
        self.index.since(*self.producer)
    }

    #[inline]
    fn entry(&self, index: Index) -> usize {
        usize::from(index.count() & self.mask)
    }

    #[inline]
    fn buffer_at(&self, index: Index) -> usize {
        self.buffers + self.entry(index) * TX_BUFFER
    }

    /// The next SQE's buffer: the memory, and where it is in it.
    #[inline]
    pub(crate) fn buffer(&self) -> (&DmaBuf, usize) {
        (self.memory, self.buffer_at(self.index))
    }

    /// Copies a frame to its buffer and adds it; false if there is no room for it, if it takes more buffers than one, or if something is wrong
    /// with it.
    #[inline(always)]
    pub(super) fn copy(&mut self, frame: &TxFrame<'_>) -> bool {
        if self.room == 0 {
            return false;
        }
        let Some(flags) = flags_of_one(frame, self.caps) else {
            return false;
        };
        let at = self.buffer_at(self.index);
        let len = self.memory.gather(at, TX_BUFFER, frame.parts);
        let Some(len) = len.filter(|len| *len >= frame.mode.min_len()) else {
            return false;
        };
        let what = What::new(len as u16, flags, frame.vlan, 0);
        self.put(what, at, frame.token, Place::Copied);
        true
    }

    /// Adds a frame, of which `source` says where it lies, if there is [`room`](Self::room). On an error nothing is changed.
    #[inline(always)]
    pub(crate) fn add(&mut self, frame: &InPlaceFrame, source: Source) -> Result<(), TxError> {
        let (at, stored) = match source {
            Source::Buffer => (self.buffer_at(self.index), TX_BUFFER),
            Source::Slot { at, stored, .. } => (at, stored),
        };
        let Range { start, end } = frame.range;
        let min = frame.mode.min_len();
        let of_it = described(frame);
        let len = end.wrapping_sub(start);
        let is_inside = start <= end && end <= stored;
        let fits = is_inside && (min..=self.max_frame).contains(&len) && self.room > 0;
        let flags = flags_of_one(&of_it, self.caps);
        let Some(flags) = flags.filter(|_| fits) else {
            return Err(refusal(frame, self.caps, stored));
        };
        let at = at + start;
        let place = match source {
            Source::Buffer => Place::Made { at: at as u32 },
            Source::Slot { slot, .. } => {
                self.slots += 1;
                Place::Slot {
                    slot,
                    at: at as u32,
                }
            }
        };
        let what = What::new(len as u16, flags, frame.vlan, 0);
        self.put(what, at, frame.token, place);
        Ok(())
    }

    #[inline(always)]
    fn put(&mut self, what: What, at: usize, token: u64, place: Place) {
        let mut what = what;
        self.since += 1;
        let report = what.fields().flags & REPORT != 0;
        if report || self.since >= self.due {
            self.since = 0;
            what = what.signalled();
        }
        if report {
            *self.reports += 1;
        }
        let sqe = what.sqe(self.memory_iova.wrapping_add(at as u64));
        self.sq.store(self.index.count(), sqe.to_words());
        self.entries[self.entry(self.index)] = Entry { token, what, place };
        self.index.advance(1);
        self.room -= 1;
    }
}

impl Drop for Run<'_> {
    #[inline]
    fn drop(&mut self) {
        let count = self.count();
        if count > 0 && self.since > 0 && !self.goes_on {
            self.since = 0;
            let mut last = *self.producer;
            last.advance(count - 1);
            let (n, buffer) = (self.entry(last), self.buffer_at(last));
            let entry = &mut self.entries[n];
            entry.what = entry.what.signalled();
            let at = match entry.place {
                Place::Made { at } | Place::Slot { at, .. } => at as usize,
                Place::Copied | Place::Cut { .. } => buffer,
            };
            // Once more: the device has not been told of it yet.
            let sqe = entry.what.sqe(self.memory_iova.wrapping_add(at as u64));
            self.sq.store(last.count(), sqe.to_words());
        }
        *self.producer = self.index;
        *self.unsignalled = self.since;
        *self.in_slots += self.slots;
    }
}

/// The frame as if it were to be copied, without its bytes.
#[inline]
fn described(frame: &InPlaceFrame) -> TxFrame<'static> {
    TxFrame {
        parts: &[],
        mode: frame.mode,
        vlan: frame.vlan,
        token: frame.token,
        report: frame.report,
        timestamp: frame.timestamp,
        segments: None,
    }
}

/// Why a frame of which `stored` bytes are there cannot be sent.
#[cold]
fn refusal(frame: &InPlaceFrame, caps: Caps, stored: usize) -> TxError {
    let Range { start, end } = frame.range;
    let min = frame.mode.min_len();
    let of_range = TxError::Range {
        start,
        end,
        stored,
        min,
    };
    described(frame).check(caps).err().unwrap_or(of_range)
}
