//! The transmit side: frames written to buffers and SQEs, and completions checked against what is outstanding.
//!
//! SQE n of the ring has a buffer of its own, buffer n: it is free again when its SQE is, and there is nothing else to keep books of.
use super::{Index, RingFault};
use crate::nic::{TxCompletion, TxError, TxFrame, TxMode, TxOutcome};
use crate::DmaBuf;
use ferrule_abi::regs::{push_bytes, PUSH_BUFFER_BYTES, PUSH_MAX_PACKET};
use ferrule_abi::ring::{cqe_status as st, sqe_flags as fl, Cqe, Sqe, ENTRY_SIZE, MAX_FRAME};
use std::collections::VecDeque;
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

/// What is known of an outstanding SQE. Ours alone: the device cannot change it.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// The frame that this SQE ends, if it ends one.
    frame: Option<Frame>,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    token: u64,
    report: bool,
    /// TS_REQ was set.
    timestamp: bool,
    /// CPL_REQ was set.
    signalled: bool,
    mode: TxMode,
    vlan: Option<u16>,
    len: u16,
}

#[derive(Debug)]
pub(crate) struct SubmissionRing {
    memory: DmaBuf,
    sq: usize,
    buffers: usize,
    buffers_iova: u64,
    log2: u8,
    producer: Index,
    retired: Index,
    entries: Box<[Entry]>,
    /// SQEs since the last with CPL_REQ.
    unsignalled: u16,
    push: Option<Push>,
}

impl SubmissionRing {
    /// The SQ of 2^log2 entries at `sq` of `memory`; its buffers at `buffers`, which the device knows as `buffers_iova`.
    pub(crate) fn new(
        memory: DmaBuf,
        sq: usize,
        buffers: usize,
        buffers_iova: u64,
        log2: u8,
        push: bool,
    ) -> Self {
        Self {
            memory,
            sq,
            buffers,
            buffers_iova,
            log2,
            producer: Index::default(),
            retired: Index::default(),
            entries: vec![Entry::default(); 1 << log2].into(),
            unsignalled: 0,
            push: push.then(Push::default),
        }
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

    /// Longest frame in bytes: half of the ring, so that there is always room for one once earlier ones have gone; in PUSH mode what fits
    /// the window.
    pub(crate) fn max_frame(&self) -> usize {
        if self.push.is_some() {
            return PUSH_MAX_PACKET as usize;
        }
        (TX_BUFFER << (self.log2 - 1)).min(MAX_FRAME as usize)
    }

    /// Writes a frame to the ring. False: no room until something completes. With `last`, of a batch, a completion is asked for; otherwise only
    /// if the frame wants a report or a quarter of the ring has gone without. A doorbell must follow.
    pub(crate) fn push(&mut self, frame: &TxFrame<'_>, last: bool) -> Result<bool, TxError> {
        let len: usize = frame.parts.iter().map(|part| part.len()).sum();
        let (min, max) = (frame.mode.min_len(), self.max_frame());
        if !(min..=max).contains(&len) {
            return Err(TxError::Length { len, min, max });
        }
        let count = len.div_ceil(TX_BUFFER) as u16;
        let size = 1u16 << self.log2;
        if count > size - self.outstanding() {
            return Ok(false);
        }
        let report = frame.report || frame.timestamp;
        let mut due = last || report;
        if let Some(push) = &mut self.push {
            let bytes = push_bytes(len as u32);
            if push.in_flight + bytes > PUSH_BUFFER_BYTES {
                return Ok(false);
            }
            push.in_flight += bytes;
            push.unsignalled += bytes;
            due |= push.unsignalled >= PUSH_BUFFER_BYTES / 4;
        }
        self.write_data(frame.parts);
        self.unsignalled += count;
        let signalled = due || self.unsignalled >= size / 4;
        if signalled {
            self.unsignalled = 0;
            if let Some(push) = &mut self.push {
                push.unsignalled = 0;
            }
        }
        for i in 0..count {
            let entry = usize::from(self.producer.entry(self.log2));
            let start = usize::from(i) * TX_BUFFER;
            let mut flags = 0;
            if i == 0 {
                flags |= fl::SOP | frame.mode.flags();
                if frame.vlan.is_some() {
                    flags |= fl::VLAN_INS;
                }
                if frame.timestamp {
                    flags |= fl::TS_REQ;
                }
            }
            let ends = i == count - 1;
            if ends {
                flags |= fl::EOP;
                if signalled {
                    flags |= fl::CPL_REQ;
                }
            }
            let sqe = Sqe {
                iova: self.buffers_iova + (entry * TX_BUFFER) as u64,
                len: (len - start).min(TX_BUFFER) as u16,
                flags,
                vlan_tci: frame.vlan.unwrap_or(0),
                ..Sqe::default()
            };
            match &mut self.push {
                None => {
                    for (word, value) in sqe.to_words().into_iter().enumerate() {
                        self.memory
                            .store(self.sq + entry * ENTRY_SIZE + 4 * word, value);
                    }
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
            self.entries[entry].frame = ends.then_some(Frame {
                token: frame.token,
                report,
                timestamp: frame.timestamp,
                signalled,
                mode: frame.mode,
                vlan: frame.vlan,
                len: len as u16,
            });
            self.producer.advance(1);
        }
        Ok(true)
    }

    /// Writes the parts one after the other to the buffers from the producer's on.
    fn write_data(&mut self, parts: &[&[u8]]) {
        let mut index = self.producer;
        let mut filled = 0;
        for part in parts {
            let mut rest = *part;
            while !rest.is_empty() {
                if filled == TX_BUFFER {
                    index.advance(1);
                    filled = 0;
                }
                let (now, later) = rest.split_at(rest.len().min(TX_BUFFER - filled));
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
        let Some(frame) = self.entries[usize::from(index)].frame else {
            return Err(RingFault::NotDue { index });
        };
        let status = cqe.status;
        let fault = Err(RingFault::Status { status });
        let outcome = match status & !st::TS_VALID {
            0 if !frame.signalled => return Err(RingFault::NotDue { index }),
            0 => TxOutcome::Sent {
                timestamp: (frame.timestamp && status & st::TS_VALID != 0).then_some(cqe.timestamp),
            },
            st::ARP_MISS if frame.mode == TxMode::Raw => return fault,
            st::ARP_MISS => TxOutcome::NoNeighbour {
                next_hop: Ipv4Addr::from_bits(cqe.hash),
                packet: self.read_back(distance, frame.len.into()),
                mode: frame.mode,
                vlan: frame.vlan,
            },
            st::DMA_ERR => TxOutcome::DmaError,
            st::BAD_DESC => TxOutcome::BadDescriptor,
            _ => return fault,
        };
        for _ in 0..distance {
            if let Some(earlier) = self.retire().filter(|f| f.report) {
                done.push_back(TxCompletion {
                    token: earlier.token,
                    outcome: TxOutcome::Sent { timestamp: None },
                });
            }
        }
        self.retire();
        if frame.report || !matches!(outcome, TxOutcome::Sent { .. }) {
            done.push_back(TxCompletion {
                token: frame.token,
                outcome,
            });
        }
        Ok(())
    }

    /// Frees the oldest SQE; the frame that it ends.
    fn retire(&mut self) -> Option<Frame> {
        let entry = usize::from(self.retired.entry(self.log2));
        self.retired.advance(1);
        let frame = self.entries[entry].frame.take();
        if let (Some(push), Some(frame)) = (&mut self.push, &frame) {
            push.in_flight -= push_bytes(frame.len.into());
        }
        frame
    }

    /// The frame of `len` bytes whose last SQE is `distance` beyond the oldest outstanding.
    fn read_back(&self, distance: u16, len: usize) -> Vec<u8> {
        let mut index = self.retired;
        index.advance(distance - (len.div_ceil(TX_BUFFER) as u16 - 1));
        let mut packet = vec![0; len];
        for chunk in packet.chunks_mut(TX_BUFFER) {
            self.memory.read(self.buffer(index), chunk);
            index.advance(1);
        }
        packet
    }
}
