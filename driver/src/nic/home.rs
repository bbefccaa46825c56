//! Where queue pairs are while nobody has them, and what the NIC leaves there for those who do.
//!
//! A pair that is away is driven by another thread, through a handle of its own for the registers; the NIC does not touch its rings. It comes home when its
//! [`QueuePair`] is dropped, be it by a panic.
//!
//! Why no doorbell of a pair that is away does harm when the NIC is reset or closed. Whoever drives it looks at the pair's notice once a batch, without a
//! lock, so that an operation that is under way at this moment may write a doorbell, or 0 to CTRL of a queue that it quarantines, after the NIC has given
//! notice. There are three cases:
//! - [`Nic::recover`] resets the device and lets the same queues run again: it requires that all pairs are home. They come home by their slot's
//!   lock, behind all that their thread has written, and there is no operation of a handle that is dropped.
//! - Closing the NIC with pairs away resets the device, and starts nothing afterwards: the device ignores the doorbell of a queue that does not run
//!   ([`ferrule_abi::regs::tx_doorbell`]), and 0 is what CTRL holds. What such a thread reads and writes in memory is its process's alone: the memory is unmapped from the device,
//!   and lives as long as the pair.
//! - Somebody opens the device anew, in whichever process: nobody can before it was let go of, and each pair's handle for the registers holds it
//!   ([`Device::share_registers`](crate::Device::share_registers)) until the pair is dropped.
use super::error::{NicError, Stop};
use super::pair::Pair;
use super::queue::QueueName;
use super::queue_pair::QueuePair;
use super::{Caps, Nic};
use crate::irq::Irq;
use crate::lock::Mutex;
use crate::{Clock, Registers};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// A pair, and a handle for the registers.
pub(super) struct Worker {
    pub(super) pair: Pair,
    pub(super) registers: Box<dyn Registers>,
}

/// What a pair is to know, in one word, so that nothing to tell is one look. Nothing else is passed by it: no order with other memory is needed.
#[derive(Debug, Default)]
pub(super) struct Notice(AtomicU32);

/// The pair is to come home.
const RECALLED: u32 = 1;
/// Where it says why the device stopped the transmit queue, the receive queue: 0 if it has not, else a reset, or the error and one.
const TX: u32 = 8;
const RX: u32 = 16;
const REASON: u32 = 0x1F;
const RESET: u32 = REASON;

impl Notice {
    /// The word; 0: there is nothing to know.
    #[inline]
    pub(super) fn word(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    fn give(&self, bits: u32) {
        self.0.fetch_or(bits, Ordering::Relaxed);
    }

    /// Gives notice that a queue stopped. The first reason counts.
    fn stopped(&self, shift: u32, why: Stop) {
        let reason = match why {
            Stop::ByDevice(error) => error.min(RESET - 2) + 1,
            _ => RESET,
        };
        let set = |word: u32| (word >> shift & REASON == 0).then_some(word | reason << shift);
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, set);
    }

    /// # Errors
    /// [`NicError::Recalled`].
    pub(super) fn check(word: u32) -> Result<(), NicError> {
        match word & RECALLED {
            0 => Ok(()),
            _ => Err(NicError::Recalled),
        }
    }

    /// Why the transmit queue and the receive queue stopped.
    pub(super) fn stops(word: u32) -> [Option<Stop>; 2] {
        [TX, RX].map(|shift| match word >> shift & REASON {
            0 => None,
            RESET => Some(Stop::Reset),
            error => Some(Stop::ByDevice(error - 1)),
        })
    }
}

/// Of one pair.
pub(super) struct Slot {
    /// `None` while it is away.
    worker: Mutex<Option<Worker>>,
    pub(super) notice: Notice,
    pub(super) irq: Irq,
}

/// The place of all pairs but pair 0, which is the NIC's own.
pub(super) struct Home {
    slots: Vec<Arc<Slot>>,
    pub(super) clock: Arc<dyn Clock>,
    /// [`NicConfig::watchdog`](super::NicConfig::watchdog).
    pub(super) watchdog: Duration,
    /// See [`Device::gone_fd`](crate::Device::gone_fd).
    pub(super) gone: Option<OwnedFd>,
}

impl Home {
    /// For the pairs behind pair 0, each with its handle for the registers and its interrupt.
    pub(super) fn new(
        pairs: Vec<(Box<dyn Registers>, Irq)>,
        caps: Caps,
        clock: Arc<dyn Clock>,
        watchdog: Duration,
        gone: Option<BorrowedFd<'_>>,
    ) -> std::io::Result<Self> {
        let slot = |(number, (registers, irq))| {
            let pair = Pair::new(number, caps);
            Arc::new(Slot {
                worker: Mutex::new(Some(Worker { pair, registers })),
                notice: Notice::default(),
                irq,
            })
        };
        let gone = gone.map(|fd| fd.try_clone_to_owned()).transpose()?;
        Ok(Self {
            slots: (1..).zip(pairs).map(slot).collect(),
            clock,
            watchdog,
            gone,
        })
    }

    /// The slot of pair `number`, 1 or more.
    fn slot(&self, number: u8) -> Option<&Arc<Slot>> {
        self.slots.get(usize::from(number).checked_sub(1)?)
    }

    pub(super) fn irqs(&self) -> impl Iterator<Item = &Irq> {
        self.slots.iter().map(|slot| &slot.irq)
    }

    /// Recalls all pairs that are away; tells how many.
    pub(super) fn recall(&self) -> usize {
        let mut away = 0;
        for slot in &self.slots {
            // Under the lock, so that one that comes home meanwhile is not recalled from there.
            let worker = slot.worker.lock();
            if worker.is_none() {
                slot.notice.give(RECALLED);
                slot.wake();
                away += 1;
            }
        }
        away
    }

    fn away(&self) -> usize {
        let away = |slot: &&Arc<Slot>| slot.worker.lock().is_none();
        self.slots.iter().filter(away).count()
    }

    /// Gives notice of a pair's queue that has stopped.
    pub(super) fn stopped(&self, queue: QueueName, why: Stop) {
        let (pair, shift) = match queue {
            QueueName::Events => return,
            QueueName::Transmit(pair) => (pair, TX),
            QueueName::Receive(pair) => (pair, RX),
        };
        if let Some(slot) = self.slot(pair) {
            slot.notice.stopped(shift, why);
            slot.wake();
        }
    }

    /// Forgets all notices: the queues start anew. No pair may be away.
    pub(super) fn forget(&self) {
        for slot in &self.slots {
            slot.notice.0.store(0, Ordering::Relaxed);
        }
    }

    /// Calls `each` with all pairs that are home, which know of their notices then.
    pub(super) fn each(
        &self,
        mut each: impl FnMut(&mut Pair) -> Result<(), NicError>,
    ) -> Result<(), NicError> {
        for slot in &self.slots {
            if let Some(worker) = &mut *slot.worker.lock() {
                let stops = Notice::stops(slot.notice.word());
                worker.pair.stopped_by_device(stops);
                each(&mut worker.pair)?;
            }
        }
        Ok(())
    }
}

impl Slot {
    /// The pair comes home.
    pub(super) fn take_in(&self, worker: Worker) {
        let mut place = self.worker.lock();
        // Which ends its recall.
        self.notice.0.fetch_and(!RECALLED, Ordering::Relaxed);
        *place = Some(worker);
    }

    /// Wakes whoever sleeps on the pair's interrupt.
    fn wake(&self) {
        if let Err(e) = self.irq.raise() {
            tracing::warn!(error = %e, "a queue pair could not be woken");
        }
    }
}

impl Nic {
    /// Gives queue pair `n` away, 1 to [`NicConfig::queue_pairs`](super::NicConfig::queue_pairs) - 1, for a thread of its own; dropped, it can be taken again. `None` if there is none of that
    /// number, or if it is away. Whether it is taken or not, it receives what the [indirection table](Self::indirection) has for it, as far as its slots go: what comes
    /// then is lost, and nothing of other pairs'.
    pub fn take_pair(&mut self, n: u8) -> Option<QueuePair> {
        let slot = self.home.slot(n)?;
        let worker = slot.worker.lock().take()?;
        let home = Arc::clone(&self.home);
        Some(QueuePair::new(worker, Arc::clone(slot), home))
    }

    /// Wants all queue pairs back that are away: from now on each of their operations fails with [`NicError::Recalled`], those that are under way end as they
    /// would, and who sleeps on one's [`irq_fd`](QueuePair::irq_fd) wakes up. They are home when they are dropped; then they can be taken again.
    pub fn recall(&mut self) {
        self.home.recall();
    }

    /// How many queue pairs are away.
    pub fn pairs_away(&self) -> usize {
        self.home.away()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_tells_the_first_reason_of_each_queue() {
        let notice = Notice::default();
        assert_eq!(Notice::stops(notice.word()), [None, None]);
        notice.stopped(RX, Stop::ByDevice(3));
        notice.stopped(RX, Stop::ByDevice(0));
        let rx = Some(Stop::ByDevice(3));
        assert_eq!(Notice::stops(notice.word()), [None, rx]);
        notice.stopped(TX, Stop::Reset);
        assert_eq!(Notice::stops(notice.word()), [Some(Stop::Reset), rx]);
        Notice::check(notice.word()).unwrap();
        notice.give(RECALLED);
        let recalled = Notice::check(notice.word()).unwrap_err();
        assert!(matches!(recalled, NicError::Recalled));
        assert_eq!(Notice::stops(notice.word()), [Some(Stop::Reset), rx]);
        // A device that says that it has no error has stopped all the same.
        for error in [0, 15] {
            let notice = Notice::default();
            notice.stopped(TX, Stop::ByDevice(error));
            let tx = Some(Stop::ByDevice(error));
            assert_eq!(Notice::stops(notice.word()), [tx, None]);
        }
    }
}
