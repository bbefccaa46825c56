//! Frames that are not copied: sent from the slot that they came to, or made in the buffer that they are sent from.
//!
//! What lies there the device may write at any time, so that a byte that is looked at twice may differ. That is no danger to whom forwards it:
//! what leaves is the device's doing in any case.
use super::pair::{Lanes, Pair};
use super::{Nic, NicError, RxFrame, TxError, TxMode};
use crate::ring::receive::frame;
use crate::ring::slots::SlotPool;
use crate::ring::submission::{Source, TX_BUFFER};
use crate::{DmaBuf, Registers};
use ferrule_abi::ring::Cqe;
use std::ops::Range;

/// `offset`, from which on there must be `len` bytes of the `room` that there are.
#[track_caller]
#[inline]
fn inside(offset: usize, len: usize, room: usize) -> usize {
    assert!(
        offset <= room && len <= room - offset,
        "{len} bytes at {offset} of {room}"
    );
    offset
}

/// A received frame where the device wrote it, from the destination MAC address on, without FCS.
#[derive(Debug)]
pub struct InPlace<'a> {
    memory: &'a DmaBuf,
    at: usize,
    stored: usize,
    cqe: Cqe,
}

impl<'a> InPlace<'a> {
    /// What a checked completion is of.
    #[inline]
    pub(crate) fn new(pool: &'a SlotPool, cqe: Cqe) -> Self {
        Self {
            memory: &pool.memory,
            at: pool.at(cqe.index),
            stored: usize::from(cqe.len).min(1 << pool.size_log2),
            cqe,
        }
    }

    /// Length in bytes of what is there: less than on the wire if it was cut.
    #[inline]
    pub fn stored_len(&self) -> usize {
        self.stored
    }

    /// What the hardware says of it: a frame without bytes.
    pub fn described(&self) -> RxFrame {
        frame(&self.cqe)
    }

    /// Copies the bytes from `offset` on to `to`. Panics if there are not enough, as a slice does.
    #[track_caller]
    #[inline]
    pub fn read(&self, offset: usize, to: &mut [u8]) {
        let within = inside(offset, to.len(), self.stored);
        self.memory.read(self.at + within, to);
    }

    /// Copies `from` over the bytes from `offset` on. Panics if there are not enough, as a slice does.
    #[track_caller]
    #[inline]
    pub fn write(&mut self, offset: usize, from: &[u8]) {
        let within = inside(offset, from.len(), self.stored);
        self.memory.write(self.at + within, from);
    }
}

/// The buffer that a frame is sent from.
#[derive(Debug)]
pub struct TxBuffer<'a> {
    memory: &'a DmaBuf,
    at: usize,
}

impl TxBuffer<'_> {
    /// Its size in bytes.
    pub const LEN: usize = TX_BUFFER;

    /// Writes bytes from `offset` on; the others are what they were. Panics if they do not fit, as a slice does.
    #[track_caller]
    #[inline]
    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        let within = inside(offset, bytes.len(), TX_BUFFER);
        self.memory.write(self.at + within, bytes);
    }
}

/// A frame to be sent that lies in DMA memory, and how: as in [`TxFrame`](super::TxFrame).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InPlaceFrame {
    /// Which bytes, of a slot or of a buffer.
    pub range: Range<usize>,
    /// What the hardware adds.
    pub mode: TxMode,
    /// Tag control information of the 802.1Q tag that the hardware is to insert.
    pub vlan: Option<u16>,
    /// Comes back in a [`TxCompletion`](super::TxCompletion).
    pub token: u64,
    /// Whether to tell that it was sent. Failures are always told.
    pub report: bool,
    /// Whether to tell when it left, which includes the report.
    pub timestamp: bool,
}

impl InPlaceFrame {
    /// A whole frame, of which nobody asks what becomes.
    #[inline]
    pub fn raw(range: Range<usize>) -> Self {
        Self {
            range,
            mode: TxMode::Raw,
            vlan: None,
            token: 0,
            report: false,
            timestamp: false,
        }
    }
}

/// What is to become of a received frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Drop,
    /// It is given to the caller, as by [`Nic::rx_batch`].
    Keep,
    /// It is sent from where it lies.
    Forward(InPlaceFrame),
}

/// What became of received frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// Frames taken from the ring: the others in here, and those that were dropped.
    pub taken: usize,
    /// Handed to the device.
    pub sent: usize,
    /// Given to the caller.
    pub kept: usize,
    /// Why a frame that was to be sent could not be, which was given to the caller instead; the first if there were several.
    pub refused: Option<TxError>,
}

impl Pair {
    pub(super) fn forward(
        &mut self,
        registers: &mut dyn Registers,
        max: usize,
        kept: &mut Vec<RxFrame>,
        mut decide: impl FnMut(&mut InPlace<'_>) -> Verdict,
    ) -> Result<Forwarded, NicError> {
        if !self.frames.is_empty() {
            let count = self.rx_batch(registers, max, kept)?;
            return Ok(Forwarded {
                taken: count,
                kept: count,
                ..Forwarded::default()
            });
        }
        let caps = self.caps;
        let (lanes, completed) = self.running()?;
        lanes.rx.check()?;
        lanes.reap(registers, completed)?;
        let Lanes {
            rx,
            tx,
            submission,
            receive,
        } = lanes;
        let Some(mut run) = submission.run(caps) else {
            return Err(NicError::InPushMode);
        };
        let mut result = Forwarded::default();
        let taken = rx.ring.take(max.min(run.room().into()), |words| {
            let cqe = Cqe::from_words(words);
            let mut frame = receive.look_at(cqe)?;
            result.taken += 1;
            let verdict = decide(&mut frame);
            let (at, stored) = (frame.at, frame.stored);
            match verdict {
                Verdict::Drop => {}
                Verdict::Keep => receive.keep(cqe),
                Verdict::Forward(frame) => {
                    let slot = cqe.index;
                    let source = Source::Slot { slot, at, stored };
                    // What was cut is longer than its slot.
                    let whole = usize::from(cqe.len) == stored;
                    let sent = match whole {
                        true => run.add(&frame, source),
                        false => Err(TxError::Cut { stored }),
                    };
                    match sent {
                        Ok(()) => receive.take_slot(),
                        Err(e) => {
                            result.refused.get_or_insert(e);
                            receive.keep(cqe);
                        }
                    }
                }
            }
            Ok(())
        });
        result.sent = run.count().into();
        drop(run);
        result.kept = receive.hand_out(kept);
        let producer = submission.producer();
        let mut told = tx.ring_doorbell(registers, producer, false);
        match taken {
            Err(fault) => told = Err(rx.quarantine(registers, fault)),
            Ok(()) => told = told.and(lanes.lend(registers)),
        }
        match told {
            // What came before was right; the next call reports it.
            Err(e) if result.taken == 0 => Err(e),
            _ => Ok(result),
        }
    }

    pub(super) fn tx_in_place(
        &mut self,
        registers: &mut dyn Registers,
        count: usize,
        mut build: impl FnMut(usize, &mut TxBuffer<'_>) -> Option<InPlaceFrame>,
    ) -> Result<usize, NicError> {
        let caps = self.caps;
        let (lanes, completed) = self.running()?;
        lanes.tx.check()?;
        if count > usize::from(lanes.submission.room()) {
            lanes.reap(registers, completed)?;
        }
        let Some(mut run) = lanes.submission.run(caps) else {
            return Err(NicError::InPushMode);
        };
        let mut error = None;
        for n in 0..count.min(run.room().into()) {
            let (memory, at) = run.buffer();
            let Some(frame) = build(n, &mut TxBuffer { memory, at }) else {
                break;
            };
            if let Err(e) = run.add(&frame, Source::Buffer) {
                error = Some(e);
                break;
            }
        }
        let taken = run.count().into();
        drop(run);
        lanes.tell_sent(registers, taken, error.map(NicError::from))
    }
}

impl Nic {
    /// Takes at most `max` received frames from the ring, and no more than there is room for to send, and does with each what `decide` says,
    /// which may look at it and change it where it lies. Those to be kept are appended to `kept`, and so is one that cannot be sent as
    /// `decide` says, or that was cut ([`RxFrame::truncated`]): it is not lost, and [`Forwarded::refused`] tells why. One doorbell hands
    /// over all that are sent; their slots are the device's again when they are.
    ///
    /// Frames that a [recovery](Self::recover) left lie in no slot any more: they come first, in `kept`, and `decide` does not see them.
    ///
    /// # Errors
    /// [`NicError::Stopped`] if the receive or the transmit queue does not run any more; [`NicError::InPushMode`];
    /// [`NicError::Device`].
    pub fn forward(
        &mut self,
        max: usize,
        kept: &mut Vec<RxFrame>,
        decide: impl FnMut(&mut InPlace<'_>) -> Verdict,
    ) -> Result<Forwarded, NicError> {
        self.pair.forward(self.port.registers(), max, kept, decide)
    }

    /// Hands over at most `count` frames that `build`, called with their numbers from 0 on, makes in the buffers that they are sent from, with one
    /// doorbell; tells how many. Fewer than all: `build` had no more, the ring is full until something completes, or something is wrong with
    /// what `build` says of the frame after them. A frame fits into one [`TxBuffer`].
    ///
    /// # Errors
    /// [`NicError::Tx`] if the first frame cannot be sent; [`NicError::Stopped`] if the transmit queue does not run any more;
    /// [`NicError::InPushMode`]; [`NicError::Device`].
    pub fn tx_in_place(
        &mut self,
        count: usize,
        build: impl FnMut(usize, &mut TxBuffer<'_>) -> Option<InPlaceFrame>,
    ) -> Result<usize, NicError> {
        let registers = self.port.registers();
        self.pair.tx_in_place(registers, count, build)
    }
}
