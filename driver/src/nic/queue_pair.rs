//! A queue pair that is away from its NIC: the data path for a thread of its own.
use super::home::{Home, Notice, Slot, Worker};
use super::pair::Pair;
use super::{
    Forwarded, InPlace, InPlaceFrame, NicError, RxFrame, TxBuffer, TxCompletion, TxFrame, Verdict,
};
use crate::barriers;
use crate::Registers;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// A queue pair with rings, transmit buffers, receive slots and an interrupt of its own, taken from a [`Nic`](super::Nic) by
/// [`take_pair`](super::Nic::take_pair). Dropped, it goes home, with whatever is in its rings.
///
/// What has the same name does the same as with the NIC, whose it is. Besides, each operation that can fail does with [`NicError::Recalled`] once the NIC wants the
/// pair back or was dropped. Events, as those of neighbours, are the NIC's: whoever drives that must pass on what this thread is to know of them.
pub struct QueuePair {
    number: u8,
    /// Here until it is dropped.
    worker: Option<Worker>,
    slot: Arc<Slot>,
    home: Arc<Home>,
}

impl QueuePair {
    pub(super) fn new(worker: Worker, slot: Arc<Slot>, home: Arc<Home>) -> Self {
        Self {
            number: worker.pair.number,
            worker: Some(worker),
            slot,
            home,
        }
    }

    /// Its number, 1 or more: what the [indirection table](super::Nic::indirection) calls it.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// The pair, which knows what the NIC has told.
    #[inline]
    fn ready(&mut self) -> Result<(&mut Pair, &mut dyn Registers), NicError> {
        let notice = self.slot.notice.word();
        let Some(worker) = &mut self.worker else {
            return Err(NicError::Recalled);
        };
        if notice != 0 {
            Notice::check(notice)?;
            worker.pair.stopped_by_device(Notice::stops(notice));
        }
        Ok((&mut worker.pair, &mut *worker.registers))
    }

    fn pair(&self) -> Option<&Pair> {
        self.worker.as_ref().map(|worker| &worker.pair)
    }

    /// Takes received frames: [`Nic::rx_batch`](super::Nic::rx_batch).
    ///
    /// # Errors
    /// As there, and [`NicError::Recalled`].
    pub fn rx_batch(&mut self, max: usize, frames: &mut Vec<RxFrame>) -> Result<usize, NicError> {
        let (pair, registers) = self.ready()?;
        pair.rx_batch(registers, max, frames)
    }

    /// Hands frames to the device: [`Nic::tx_batch`](super::Nic::tx_batch).
    ///
    /// # Errors
    /// As there, and [`NicError::Recalled`].
    pub fn tx_batch(&mut self, frames: &[TxFrame<'_>]) -> Result<usize, NicError> {
        let (pair, registers) = self.ready()?;
        pair.tx_batch(registers, frames)
    }

    /// Hands one frame to the device: [`Nic::send`](super::Nic::send).
    ///
    /// # Errors
    /// As [`tx_batch`](Self::tx_batch).
    pub fn send(&mut self, frame: &TxFrame<'_>) -> Result<bool, NicError> {
        Ok(self.tx_batch(std::slice::from_ref(frame))? == 1)
    }

    /// What became of frames: [`Nic::tx_completions`](super::Nic::tx_completions).
    ///
    /// # Errors
    /// As there, and [`NicError::Recalled`].
    pub fn tx_completions(&mut self) -> Result<Vec<TxCompletion>, NicError> {
        let (pair, registers) = self.ready()?;
        pair.tx_completions(registers)
    }

    /// Sends received frames from where they lie: [`Nic::forward`](super::Nic::forward), by this pair what came to it.
    ///
    /// # Errors
    /// As there, and [`NicError::Recalled`].
    pub fn forward(
        &mut self,
        max: usize,
        kept: &mut Vec<RxFrame>,
        decide: impl FnMut(&mut InPlace<'_>) -> Verdict,
    ) -> Result<Forwarded, NicError> {
        let (pair, registers) = self.ready()?;
        pair.forward(registers, max, kept, decide)
    }

    /// Sends frames that are made in their buffers: [`Nic::tx_in_place`](super::Nic::tx_in_place).
    ///
    /// # Errors
    /// As there, and [`NicError::Recalled`].
    pub fn tx_in_place(
        &mut self,
        count: usize,
        build: impl FnMut(usize, &mut TxBuffer<'_>) -> Option<InPlaceFrame>,
    ) -> Result<usize, NicError> {
        let (pair, registers) = self.ready()?;
        pair.tx_in_place(registers, count, build)
    }

    /// Asks for an interrupt at the next entry of each ring of this pair: [`Nic::arm`](super::Nic::arm).
    ///
    /// # Errors
    /// As there, and [`NicError::Recalled`].
    pub fn arm(&mut self) -> Result<(), NicError> {
        let (pair, registers) = self.ready()?;
        pair.arm(registers)?;
        barriers::after_arm();
        Ok(())
    }

    /// Whether there is something to take, or something that the next operation will tell of: that the NIC wants the pair back, or that a queue has stopped.
    pub fn has_work(&self) -> bool {
        self.slot.notice.word() != 0 || self.pair().is_some_and(Pair::has_work)
    }

    /// Whether there is nothing to take, to do or to tell: [`Nic::is_quiet`](super::Nic::is_quiet).
    #[inline]
    pub fn is_quiet(&self) -> bool {
        self.slot.notice.word() == 0 && self.pair().is_some_and(Pair::is_quiet)
    }

    /// The descriptor that becomes readable at an interrupt of either queue, when the NIC wants the pair back, and when the device has stopped a queue.
    pub fn irq_fd(&self) -> BorrowedFd<'_> {
        self.slot.irq.as_fd()
    }

    /// Takes the interrupt's signal away, after waking up.
    ///
    /// # Errors
    /// [`NicError::Os`].
    pub fn drain_irq(&mut self) -> Result<(), NicError> {
        let drained = self.slot.irq.drain();
        drained.map(drop).map_err(|source| NicError::Os {
            doing: "reading an interrupt's eventfd",
            source,
        })
    }

    /// The descriptor that becomes readable when the device goes away: [`Nic::gone_fd`](super::Nic::gone_fd).
    pub fn gone_fd(&self) -> Option<BorrowedFd<'_>> {
        self.home.gone.as_ref().map(AsFd::as_fd)
    }

    /// Whether the device is still there; reads one register.
    ///
    /// # Errors
    /// [`NicError::Gone`] if it is not; [`NicError::Device`]; [`NicError::Recalled`].
    pub fn check_present(&mut self) -> Result<(), NicError> {
        let (_, registers) = self.ready()?;
        registers.check_present()
    }

    /// Looks whether the device gets on with what this pair has handed it: [`Nic::watchdog`](super::Nic::watchdog).
    ///
    /// # Errors
    /// As there, and [`NicError::Recalled`].
    pub fn watchdog(&mut self) -> Result<Option<u64>, NicError> {
        let (now, limit) = (self.home.clock.now(), self.home.watchdog);
        let (pair, registers) = self.ready()?;
        pair.watchdog(registers, now, limit)
    }

    /// Most bytes of TCP payload in a packet that is cut into segments by the hardware: [`Nic::max_segmented`](super::Nic::max_segmented).
    pub fn max_segmented(&self) -> usize {
        self.pair().map_or(0, Pair::max_segmented)
    }

    /// SQEs that the device has not completed: [`Nic::tx_outstanding`](super::Nic::tx_outstanding).
    pub fn tx_outstanding(&self) -> usize {
        self.pair().map_or(0, Pair::tx_outstanding)
    }

    /// Longest frame that can be handed over, in bytes: [`Nic::tx_max_frame`](super::Nic::tx_max_frame).
    pub fn tx_max_frame(&self) -> usize {
        self.pair().map_or(0, Pair::tx_max_frame)
    }
}

impl Drop for QueuePair {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            self.slot.take_in(worker);
        }
    }
}
