//! One queue pair at work: the data path, whichever handle for the registers it has and whichever thread drives it.
use super::queue::Lane;
use super::recovery::{Progress, Rings};
use super::{Caps, NicError, RxFrame, Stop, TxCompletion, TxFrame};
use crate::ring::receive::ReceiveRing;
use crate::ring::submission::{SubmissionRing, Unsent};
use crate::Registers;
use ferrule_abi::ring::Cqe;
use std::collections::VecDeque;

/// The device is told of freed slots and read completions once there are this many, or when interrupts are armed.
const DOORBELL_BATCH: u16 = 16;

/// Its two queues and their rings.
pub(super) struct Lanes {
    pub(super) tx: Lane,
    pub(super) rx: Lane,
    pub(super) submission: SubmissionRing,
    pub(super) receive: ReceiveRing,
}

/// A queue pair.
pub(super) struct Pair {
    pub(super) number: u8,
    pub(super) caps: Caps,
    /// `None` while being opened, closed and recovered only.
    pub(super) lanes: Option<Lanes>,
    /// While the queues do not run, once they have.
    pub(super) rings: Option<Rings>,
    pub(super) completed: VecDeque<TxCompletion>,
    /// Received before a recovery, and not yet given to anyone.
    pub(super) frames: VecDeque<RxFrame>,
    /// To be handed over again after a recovery, in this order.
    pub(super) unsent: VecDeque<Unsent>,
    pub(super) progress: Option<Progress>,
}

impl Lanes {
    /// Takes transmit completions from their ring.
    pub(super) fn reap(
        &mut self,
        registers: &mut dyn Registers,
        done: &mut VecDeque<TxCompletion>,
    ) -> Result<(), NicError> {
        self.tx.check()?;
        let submission = &mut self.submission;
        let taken = self.tx.ring.take(usize::MAX, |words| {
            submission.complete(&Cqe::from_words(words), done)
        });
        self.receive.give_back(self.submission.freed());
        taken.map_err(|fault| self.tx.quarantine(registers, fault))
    }

    /// Puts a frame into the ring, if it can be sent and there is room or what has completed makes some; whether it is there.
    fn submit(
        &mut self,
        registers: &mut dyn Registers,
        done: &mut VecDeque<TxCompletion>,
        caps: Caps,
        frame: &TxFrame<'_>,
        last: bool,
    ) -> Result<bool, NicError> {
        frame.check(caps)?;
        if !self.submission.push(frame, last)? {
            self.reap(registers, done)?;
            if !self.submission.push(frame, last)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn receive(
        &mut self,
        registers: &mut dyn Registers,
        max: usize,
        frames: &mut Vec<RxFrame>,
    ) -> Result<usize, NicError> {
        self.rx.check()?;
        let receive = &mut self.receive;
        let taken = self
            .rx
            .ring
            .take(max, |words| receive.accept(Cqe::from_words(words)));
        let count = receive.hand_out(frames);
        if let Err(fault) = taken {
            let stopped = self.rx.quarantine(registers, fault);
            // What came before was right; the next call reports the fault.
            return if count > 0 { Ok(count) } else { Err(stopped) };
        }
        self.lend(registers)?;
        Ok(count)
    }

    /// Tells the device of what was put into the ring. A batch of which `count` frames were taken fails only if that is none: those taken are in
    /// the books whatever happens, and the next call reports what is wrong.
    pub(super) fn tell_sent(
        &mut self,
        registers: &mut dyn Registers,
        count: usize,
        error: Option<NicError>,
    ) -> Result<usize, NicError> {
        let mut error = error;
        if self.tx.is_running() {
            let producer = self.submission.producer();
            if let Err(e) = self.tx.ring_doorbell(registers, producer, false) {
                error.get_or_insert(e);
            }
        }
        match error {
            Some(e) if count == 0 => Err(e),
            _ => Ok(count),
        }
    }

    /// Lends free slots to the device if there are enough to be worth a doorbell.
    pub(super) fn lend(&mut self, registers: &mut dyn Registers) -> Result<(), NicError> {
        let due = self.receive.doorbell_due(DOORBELL_BATCH);
        if due || self.rx.untold() >= DOORBELL_BATCH {
            self.receive.refill();
            let producer = self.receive.producer();
            self.rx.ring_doorbell(registers, producer, false)?;
        }
        Ok(())
    }
}

impl Pair {
    /// One whose queues have not run yet.
    pub(super) fn new(number: u8, caps: Caps) -> Self {
        Self {
            number,
            caps,
            lanes: None,
            rings: None,
            completed: VecDeque::new(),
            frames: VecDeque::new(),
            unsent: VecDeque::new(),
            progress: None,
        }
    }

    /// The queues that run, and the completions that wait to be fetched.
    #[inline]
    pub(super) fn running(
        &mut self,
    ) -> Result<(&mut Lanes, &mut VecDeque<TxCompletion>), NicError> {
        match &mut self.lanes {
            Some(lanes) => Ok((lanes, &mut self.completed)),
            None => Err(NicError::Gone),
        }
    }

    pub(super) fn rx_batch(
        &mut self,
        registers: &mut dyn Registers,
        max: usize,
        frames: &mut Vec<RxFrame>,
    ) -> Result<usize, NicError> {
        if !self.frames.is_empty() {
            let count = max.min(self.frames.len());
            frames.extend(self.frames.drain(..count));
            return Ok(count);
        }
        let (lanes, _) = self.running()?;
        lanes.receive(registers, max, frames)
    }

    // In one piece with its caller: 5 instructions fewer for each packet.
    #[inline(always)]
    pub(super) fn tx_batch(
        &mut self,
        registers: &mut dyn Registers,
        frames: &[TxFrame<'_>],
    ) -> Result<usize, NicError> {
        let caps = self.caps;
        let (lanes, completed) = self.running()?;
        lanes.tx.check()?;
        let mut count = 0;
        let mut error = None;
        loop {
            count += lanes.submission.push_run(&frames[count..], caps);
            let Some(frame) = frames.get(count) else {
                break;
            };
            let last = count + 1 == frames.len();
            match lanes.submit(registers, completed, caps, frame, last) {
                Ok(true) => count += 1,
                Ok(false) => break,
                Err(e) => {
                    error = Some(e);
                    break;
                }
            }
            if let Some(image) = lanes.submission.image() {
                if let Err(e) = registers.push(image) {
                    error = Some(e);
                    break;
                }
            }
        }
        lanes.tell_sent(registers, count, error)
    }

    pub(super) fn tx_completions(
        &mut self,
        registers: &mut dyn Registers,
    ) -> Result<Vec<TxCompletion>, NicError> {
        let (lanes, completed) = self.running()?;
        let result = lanes.reap(registers, completed);
        if completed.is_empty() {
            result?;
        }
        if lanes.tx.is_running() && lanes.tx.untold() >= DOORBELL_BATCH {
            let producer = lanes.submission.producer();
            lanes.tx.ring_doorbell(registers, producer, false)?;
        }
        // Mostly there is nothing to tell.
        if completed.is_empty() {
            return Ok(Vec::new());
        }
        Ok(completed.drain(..).collect())
    }

    pub(super) fn max_segmented(&self) -> usize {
        let lanes = self.lanes.as_ref().filter(|_| self.caps.tso);
        lanes.map_or(0, |l| l.submission.max_segmented())
    }

    pub(super) fn tx_outstanding(&self) -> usize {
        let lanes = self.lanes.as_ref();
        lanes.map_or(0, |l| l.submission.outstanding().into())
    }

    pub(super) fn tx_max_frame(&self) -> usize {
        let lanes = self.lanes.as_ref();
        lanes.map_or(0, |l| l.submission.max_frame())
    }

    /// Asks for an interrupt; [`after_arm`](crate::barriers::after_arm) must follow.
    pub(super) fn arm(&mut self, registers: &mut dyn Registers) -> Result<(), NicError> {
        let (lanes, _) = self.running()?;
        if lanes.tx.is_running() && lanes.submission.outstanding() > 0 {
            lanes.tx.arm(registers, lanes.submission.producer())?;
        }
        if lanes.rx.is_running() {
            lanes.receive.refill();
            lanes.rx.arm(registers, lanes.receive.producer())?;
        }
        Ok(())
    }

    pub(super) fn has_work(&self) -> bool {
        let ready = |lane: &Lane| lane.is_running() && lane.ring.has_entry();
        let lanes = self.lanes.as_ref();
        self.has_left_over() || lanes.is_some_and(|l| ready(&l.rx) || ready(&l.tx))
    }

    /// Whether there is something to take that is in no ring any more.
    #[inline]
    fn has_left_over(&self) -> bool {
        !(self.completed.is_empty() && self.frames.is_empty())
    }

    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        let quiet = |lane: &Lane| lane.is_running() && !lane.ring.has_entry();
        !self.has_left_over()
            && self
                .lanes
                .as_ref()
                .is_some_and(|l| quiet(&l.rx) && quiet(&l.tx) && !l.receive.has_returned())
    }

    /// Its queues are taken for ones that do not run, and it keeps its rings.
    pub(super) fn lay_down(&mut self) {
        if let Some(lanes) = self.lanes.take() {
            self.rings = Some(Rings {
                submission: lanes.submission,
                receive: lanes.receive,
            });
        }
    }

    /// The device has stopped its queues: the transmit queue, the receive queue.
    pub(super) fn stopped_by_device(&mut self, [tx, rx]: [Option<Stop>; 2]) {
        let Some(lanes) = &mut self.lanes else {
            return;
        };
        for (lane, why) in [(&mut lanes.tx, tx), (&mut lanes.rx, rx)] {
            if let Some(why) = why {
                lane.stopped_by_device(why);
            }
        }
    }
}
