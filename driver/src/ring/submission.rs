//! The transmit side: frames written to buffers and SQEs, and completions checked against what is outstanding.
//!
//! SQE n of the ring has a buffer of its own, buffer n: it is free again when its SQE is, and there is nothing else to keep books of. Only what
//! is forwarded lies elsewhere, in the slot that it came to.
mod in_place;

pub(crate) use in_place::Source;

use super::{Index, RingFault};
use crate::nic::{Caps, NextHop, Segments, TxCompletion, TxError, TxFrame, TxMode, TxOutcome};
use crate::DmaBuf;
use ferrule_abi::regs::{push_bytes, PUSH_BUFFER_BYTES, PUSH_MAX_PACKET};
use ferrule_abi::ring::{cqe_status as st, sqe_flags as fl, Cqe, Sqe, MAX_FRAME};
use in_place::Place;
use std::collections::VecDeque;
use std::fmt;
use std::net::Ipv4Addr;

/// Size of the buffer of one SQE in bytes.
pub(crate) const TX_BUFFER: usize = 2048;

/// PUSH mode: what is to be written to the window, and how much the device holds.
#[derive(Debug, Default)]
struct Push {
    /// SQE and packet of the frame taken last.
    image: Vec<u32>,
    /// Bytes of outstanding frames in the device's buffer.
    in_flight: u32,
    /// Of them those since the last CPL_REQ.
    unsignalled: u32,
}

/// Bit of [`Entry::flags`], which no SQE has: the sender wants to know that the frame was sent.
const REPORT: u16 = 1 << 15;

/// What is known of an outstanding SQE. Ours alone: the device cannot change it.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    token: u64,
    what: What,
    place: Place,
}

/// What is known of the frame that an SQE ends, packed as the second half of an SQE is: its length (0: the SQE ends none, and the rest is void),
/// the flags of the frame's SQEs and [`REPORT`], its tag, and with TSO the size of its segments.
#[derive(Clone, Copy, Default)]
struct What(u64);

impl What {
    #[inline]
    fn new(len: u16, flags: u16, vlan: Option<u16>, mss: u16) -> Self {
        let [_, _, c, d] = Sqe {
            iova: 0,
            len,
            flags,
            vlan_tci: vlan.unwrap_or(0),
            mss,
        }
        .to_words();
        Self(u64::from(c) | u64::from(d) << 32)
    }
    #[inline]
    fn fields(self) -> Sqe {
        Sqe::from_words([0, 0, self.0 as u32, (self.0 >> 32) as u32])
    }
    /// With a completion asked for.
    #[inline]
    fn signalled(self) -> Self {
        let fields = self.fields();
        Self::new(
            fields.len,
            fields.flags | fl::CPL_REQ,
            Some(fields.vlan_tci),
            fields.mss,
        )
    }
    /// The only SQE of such a frame, which lies at `iova`.
    #[inline]
    fn sqe(self, iova: u64) -> Sqe {
        let fields = self.fields();
        Sqe {
            iova,
            flags: fields.flags & !REPORT,
            ..fields
        }
    }
}

impl fmt::Debug for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fields().fmt(f)
    }
}

impl Entry {
    #[inline]
    fn len(&self) -> u16 {
        self.what.fields().len
    }
    #[inline]
    fn has(&self, flag: u16) -> bool {
        self.what.fields().flags & flag != 0
    }
    fn mode(&self) -> TxMode {
        TxMode::from_flags(self.what.fields().flags)
    }
    fn vlan(&self) -> Option<u16> {
        self.has(fl::VLAN_INS)
            .then_some(self.what.fields().vlan_tci)
    }
    fn segments(&self) -> Option<Segments> {
        match self.place {
            Place::Cut { header_bytes } => Some(Segments {
                header_bytes,
                mss: self.what.fields().mss,
            }),
            _ => None,
        }
    }
}

/// A frame that was handed to the device and of which the device has not said that it is done.
#[derive(Debug)]
pub(crate) struct Unsent {
    bytes: Vec<u8>,
    frame: Entry,
}

impl Unsent {
    /// Lets `send` hand it over again.
    pub(crate) fn again<T>(&self, send: impl FnOnce(&TxFrame<'_>) -> T) -> T {
        let frame = &self.frame;
        send(&TxFrame {
            parts: &[&self.bytes],
            mode: frame.mode(),
            vlan: frame.vlan(),
            token: frame.token,
            report: frame.has(REPORT),
            timestamp: frame.has(fl::TS_REQ),
            segments: frame.segments(),
        })
    }
}

/// Bytes of the frame in its first buffer, and of what is cut into segments the headers alone.
fn first_bytes(segments: Option<Segments>) -> usize {
    segments.map_or(TX_BUFFER, |s| s.header_bytes.into())
}

/// Buffers that a frame of `len` bytes takes.
fn buffers(len: usize, segments: Option<Segments>) -> u16 {
    1 + len
        .saturating_sub(first_bytes(segments))
        .div_ceil(TX_BUFFER) as u16
}

/// Flags of a frame's only SQE, and [`REPORT`]; `None` if the hardware cannot send it, or if it takes more than one.
#[inline]
fn flags_of_one(frame: &TxFrame<'_>, caps: Caps) -> Option<u16> {
    let asks = frame.report || frame.timestamp || frame.vlan.is_some();
    match frame.mode {
        _ if asks || frame.segments.is_some() => flags_of_any_one(frame, caps),
        TxMode::Raw => Some(fl::SOP | fl::EOP | fl::RAW),
        TxMode::Ip {
            next_hop: NextHop::Automatic,
            ..
        } if caps.ip_mode => Some(fl::SOP | fl::EOP | frame.mode.flags()),
        TxMode::Ip { .. } => flags_of_any_one(frame, caps),
    }
}

/// As [`flags_of_one`], of a frame with whatever there may be: apart, so that the common way stays short.
#[inline(never)]
fn flags_of_any_one(frame: &TxFrame<'_>, caps: Caps) -> Option<u16> {
    if frame.segments.is_some() || frame.check(caps).is_err() {
        return None;
    }
    Some(first_flags(frame) | fl::EOP)
}

/// Flags of the first SQE of a frame, and [`REPORT`].
fn first_flags(frame: &TxFrame<'_>) -> u16 {
    let bit = |on: bool, bit| if on { bit } else { 0 };
    fl::SOP
        | frame.mode.flags()
        | bit(frame.segments.is_some(), fl::TSO)
        | bit(frame.vlan.is_some(), fl::VLAN_INS)
        | bit(frame.timestamp, fl::TS_REQ)
        | bit(frame.report || frame.timestamp, REPORT)
}

#[derive(Debug)]
pub(crate) struct SubmissionRing {
    memory: DmaBuf,
    sq: usize,
    buffers: usize,
    /// The I/O virtual address of the memory's first byte.
    memory_iova: u64,
    log2: u8,
    producer: Index,
    retired: Index,
    /// Of those that are not outstanding nothing is read.
    entries: Box<[Entry]>,
    /// Frames outstanding with a report to be made.
    reports: u16,
    /// Frames outstanding in receive slots.
    in_slots: u16,
    /// Receive slots of frames that are not outstanding any more: to be lent again.
    freed: Vec<u16>,
    max_frame: usize,
    /// SQEs since the last with CPL_REQ.
    unsignalled: u16,
    push: Option<Push>,
}

impl SubmissionRing {
    /// The SQ of 2^log2 entries at `sq` of `memory`, which the device knows as `memory_iova`; its buffers at `buffers`.
    pub(crate) fn new(
        memory: DmaBuf,
        memory_iova: u64,
        sq: usize,
        buffers: usize,
        log2: u8,
        push: bool,
    ) -> Self {
        // Half of the ring, so that there is always room for one once earlier ones have gone; in PUSH mode what fits the window.
        let max_frame = match push {
            false => (TX_BUFFER << (log2 - 1)).min(MAX_FRAME as usize),
            true => PUSH_MAX_PACKET as usize,
        };
        Self {
            memory,
            sq,
            buffers,
            memory_iova,
            log2,
            producer: Index::default(),
            retired: Index::default(),
            entries: vec![Entry::default(); 1 << log2].into(),
            reports: 0,
            in_slots: 0,
            freed: Vec::new(),
            max_frame,
            unsignalled: 0,
            push: push.then(Push::default),
        }
    }

    /// Takes all frames that are not retired out of the ring, oldest first, and leaves it as it was when it was new.
    pub(crate) fn take_outstanding(&mut self) -> Vec<Unsent> {
        let mut unsent = Vec::new();
        for distance in 0..self.outstanding() {
            let mut index = self.retired;
            index.advance(distance);
            let entry = usize::from(index.entry(self.log2));
            let frame = self.entries[entry];
            if frame.len() > 0 {
                unsent.push(Unsent {
                    bytes: self.read_back(distance, &frame),
                    frame,
                });
            }
            if let Place::Slot { slot, .. } = frame.place {
                self.freed.push(slot);
            }
        }
        self.producer = Index::default();
        self.retired = Index::default();
        self.reports = 0;
        self.in_slots = 0;
        self.unsignalled = 0;
        self.push = self.push.take().map(|_| Push::default());
        unsent
    }

    /// How far SQEs are retired.
    pub(crate) fn retired(&self) -> Index {
        self.retired
    }

    /// What a doorbell is to say; in PUSH mode nothing.
    pub(crate) fn producer(&self) -> Index {
        match self.push {
            None => self.producer,
            Some(_) => Index::default(),
        }
    }

    /// In PUSH mode: what is to be written to the push window, of the frame taken last.
    pub(crate) fn image(&self) -> Option<&[u32]> {
        self.push.as_ref().map(|push| &push.image[..])
    }

    /// SQEs that are not retired.
    pub(crate) fn outstanding(&self) -> u16 {
        self.producer.since(self.retired)
    }

    /// Whether the device owes a completion: frames of which none was asked for are retired by a later one only.
    pub(crate) fn awaits_completion(&self) -> bool {
        self.outstanding() > self.unsignalled
    }

    /// Longest frame in bytes.
    pub(crate) fn max_frame(&self) -> usize {
        self.max_frame
    }

    /// Most bytes of payload in a packet that is cut into segments: its headers take a buffer of the longest frame.
    pub(crate) fn max_segmented(&self) -> usize {
        match self.push {
            Some(_) => 0,
            None => self.max_frame().saturating_sub(TX_BUFFER),
        }
    }

    /// Writes frames to the ring as far as each takes one buffer, as most do, there is room, and nothing is wrong with them or in PUSH mode;
    /// tells how many. The rest, if any, is for [`push`](Self::push).
    #[inline(always)]
    pub(crate) fn push_run(&mut self, frames: &[TxFrame<'_>], caps: Caps) -> usize {
        let Some(mut run) = self.run(caps) else {
            return 0;
        };
        let mut left = frames;
        while let Some((frame, rest)) = left.split_first() {
            if !run.copy(frame) {
                run.goes_on();
                break;
            }
            left = rest;
        }
        frames.len() - left.len()
    }

    /// Writes a frame of any kind to the ring. False: no room until something completes. With `last`, of a batch, a completion is asked for;
    /// otherwise only if the frame wants a report or a quarter of the ring has gone without. A doorbell must follow.
    pub(crate) fn push(&mut self, frame: &TxFrame<'_>, last: bool) -> Result<bool, TxError> {
        let len: usize = frame.parts.iter().map(|part| part.len()).sum();
        let (min, max) = (frame.mode.min_len(), self.max_frame);
        if !(min..=max).contains(&len) {
            return Err(TxError::Length { len, min, max });
        }
        if let Some(segments) = frame.segments {
            if self.push.is_some() {
                return Err(TxError::NoTso);
            }
            segments.check(len)?;
        }
        let first = first_bytes(frame.segments);
        let count = buffers(len, frame.segments);
        let size = 1u16 << self.log2;
        if count > size - self.outstanding() {
            return Ok(false);
        }
        let of_first = first_flags(frame);
        let report = of_first & REPORT;
        let place = match frame.segments {
            Some(Segments { header_bytes, .. }) => Place::Cut { header_bytes },
            None => Place::Copied,
        };
        let mut due = last || report != 0;
        if let Some(push) = &mut self.push {
            let bytes = push_bytes(len as u32);
            if push.in_flight + bytes > PUSH_BUFFER_BYTES {
                return Ok(false);
            }
            push.in_flight += bytes;
            push.unsignalled += bytes;
            due |= push.unsignalled >= PUSH_BUFFER_BYTES / 4;
        }
        self.write_data(frame.parts, first);
        self.unsignalled += count;
        let signalled = due || self.unsignalled >= size / 4;
        if signalled {
            self.unsignalled = 0;
            if let Some(push) = &mut self.push {
                push.unsignalled = 0;
            }
        }
        let mut left = len;
        for i in 0..count {
            let entry = usize::from(self.producer.entry(self.log2));
            let piece = left.min(if i == 0 { first } else { TX_BUFFER });
            left -= piece;
            let mut flags = 0;
            let (mut vlan_tci, mut mss) = (0, 0);
            if i == 0 {
                flags = of_first & !REPORT;
                vlan_tci = frame.vlan.unwrap_or(0);
                mss = frame.segments.map_or(0, |s| s.mss);
            }
            if i == 1 && frame.segments.is_some() {
                // The bytes of payload, in the place of the TCI.
                vlan_tci = (len - first) as u16;
            }
            let ends = i == count - 1;
            if ends {
                flags |= fl::EOP;
                if signalled {
                    flags |= fl::CPL_REQ;
                }
            }
            let sqe = Sqe {
                iova: self.memory_iova + self.buffer(self.producer) as u64,
                len: piece as u16,
                flags,
                vlan_tci,
                mss,
            };
            match &mut self.push {
                None => {
                    let ring = self.memory.entries(self.sq, self.log2);
                    ring.store(entry as u16, sqe.to_words());
                }
                Some(push) => {
                    push.image.clear();
                    push.image.extend(sqe.to_words());
                    // The padding is what the buffer held before.
                    let at = self.buffers + entry * TX_BUFFER;
                    let dws = (0..len.next_multiple_of(8)).step_by(4);
                    push.image.extend(dws.map(|n| self.memory.load(at + n)));
                }
            }
            self.entries[entry] = match ends {
                false => Entry::default(),
                true => Entry {
                    token: frame.token,
                    what: What::new(
                        len as u16,
                        of_first | flags,
                        frame.vlan,
                        frame.segments.map_or(0, |s| s.mss),
                    ),
                    place,
                },
            };
            self.producer.advance(1);
        }
        self.reports += u16::from(report != 0);
        Ok(true)
    }

    /// Writes the parts one after the other to the buffers from the producer's on, `first` bytes to the first of them.
    fn write_data(&mut self, parts: &[&[u8]], first: usize) {
        let mut index = self.producer;
        let (mut filled, mut room) = (0, first);
        for part in parts {
            let mut rest = *part;
            while !rest.is_empty() {
                if filled == room {
                    index.advance(1);
                    (filled, room) = (0, TX_BUFFER);
                }
                let (now, later) = rest.split_at(rest.len().min(room - filled));
                self.memory.write(self.buffer(index) + filled, now);
                filled += now.len();
                rest = later;
            }
        }
    }

    fn buffer(&self, index: Index) -> usize {
        self.buffers + usize::from(index.entry(self.log2)) * TX_BUFFER
    }

    /// Checks a completion, retires its SQE and all before it, and adds what their senders want to know to `done`.
    pub(crate) fn complete(
        &mut self,
        cqe: &Cqe,
        done: &mut VecDeque<TxCompletion>,
    ) -> Result<(), RingFault> {
        let index = cqe.index;
        let size = 1u16 << self.log2;
        let distance = index.wrapping_sub(self.retired.entry(self.log2)) & (size - 1);
        if index >= size || distance >= self.outstanding() {
            return Err(RingFault::NotOutstanding { index });
        }
        let frame = self.entries[usize::from(index)];
        if frame.len() == 0 {
            return Err(RingFault::NotDue { index });
        }
        let status = cqe.status;
        let fault = Err(RingFault::Status { status });
        let has_time = status & st::TS_VALID != 0 && frame.has(fl::TS_REQ);
        let outcome = match status & !st::TS_VALID {
            0 if !frame.has(fl::CPL_REQ) => return Err(RingFault::NotDue { index }),
            0 => TxOutcome::Sent {
                timestamp: has_time.then_some(cqe.timestamp),
            },
            st::ARP_MISS if frame.has(fl::RAW) => return fault,
            st::ARP_MISS => TxOutcome::NoNeighbour {
                next_hop: Ipv4Addr::from_bits(cqe.hash),
                packet: self.read_back(distance, &frame),
                mode: frame.mode(),
                vlan: frame.vlan(),
                segments: frame.segments(),
            },
            st::DMA_ERR => TxOutcome::DmaError,
            st::BAD_DESC => TxOutcome::BadDescriptor,
            _ => return fault,
        };
        if self.reports == 0 && self.push.is_none() {
            // Nobody asks of any of them.
            if self.in_slots > 0 {
                self.free_slots(distance + 1);
            }
            self.retired.advance(distance + 1);
        } else {
            for _ in 0..distance {
                let earlier = self.retire();
                if earlier.has(REPORT) {
                    done.push_back(TxCompletion {
                        token: earlier.token,
                        outcome: TxOutcome::Sent { timestamp: None },
                    });
                }
            }
            self.retire();
        }
        if frame.has(REPORT) || !matches!(outcome, TxOutcome::Sent { .. }) {
            done.push_back(TxCompletion {
                token: frame.token,
                outcome,
            });
        }
        Ok(())
    }

    /// Takes the slots that the oldest `count` frames lie in.
    fn free_slots(&mut self, count: u16) {
        let mask = (1 << self.log2) - 1;
        let first = self.retired.count();
        for n in 0..count {
            let entry = &self.entries[usize::from(first.wrapping_add(n) & mask)];
            if let Place::Slot { slot, .. } = entry.place {
                self.in_slots -= 1;
                self.freed.push(slot);
            }
        }
    }

    /// Frees the oldest SQE, which it returns.
    fn retire(&mut self) -> Entry {
        let frame = self.entries[usize::from(self.retired.entry(self.log2))];
        self.free_slots(1);
        self.retired.advance(1);
        self.reports -= u16::from(frame.has(REPORT));
        if let Some(push) = self.push.as_mut().filter(|_| frame.len() > 0) {
            push.in_flight -= push_bytes(frame.len().into());
        }
        frame
    }

    /// The bytes of the frame whose last SQE is `distance` beyond the oldest outstanding.
    fn read_back(&self, distance: u16, frame: &Entry) -> Vec<u8> {
        let (len, segments) = (usize::from(frame.len()), frame.segments());
        if let Place::Made { at } | Place::Slot { at, .. } = frame.place {
            let mut packet = vec![0; len];
            self.memory.read(at as usize, &mut packet);
            return packet;
        }
        let mut index = self.retired;
        index.advance(distance - (buffers(len, segments) - 1));
        let mut packet = vec![0; len];
        let (first, rest) = packet.split_at_mut(first_bytes(segments).min(len));
        self.memory.read(self.buffer(index), first);
        for chunk in rest.chunks_mut(TX_BUFFER) {
            index.advance(1);
            self.memory.read(self.buffer(index), chunk);
        }
        packet
    }
}
