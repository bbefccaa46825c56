//! A NIC that hangs, or whose queues have stopped: how that is noticed, and how it is made to run again without losing what it had.
//!
//! A reset ends all DMA, so that from then on the rings are what they are. What the device has completed is taken from them, unless it has
//! broken a ring's contract; frames that it has not completed are handed to it once more. Some of those may have been on the wire already: a
//! duplicate is what Ethernet allows, a loss is what this is to avoid.
use super::error::NicError;
use super::event::{self, RawEvent};
use super::pair::{Lanes, Pair};
use super::queue::Lane;
use super::{Nic, TxCompletion, TxOutcome};
use crate::ring::receive::ReceiveRing;
use crate::ring::submission::SubmissionRing;
use crate::ring::Index;
use crate::{DeviceError, Registers};
use ferrule_abi::regs;
use ferrule_abi::ring::{Cqe, Event};
use std::time::Duration;

/// How long the transmit queue may stand still before a register is read, to see whether the device is still there.
const LOOK: Duration = Duration::from_millis(50);

/// The rings that hold something between two lives of their queues.
#[derive(Debug)]
pub(super) struct Rings {
    pub(super) submission: SubmissionRing,
    pub(super) receive: ReceiveRing,
}

/// How far the transmit queue was when, by the clock in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    retired: Index,
    since: u64,
    looked: u64,
}

/// What a recovery has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Frames handed to the device once more. Some may have been on the wire already.
    pub sent_again: usize,
    /// Frames that the device had completed without sending them, of which [`Nic::tx_completions`] tells.
    pub failed: usize,
    /// Frames received before that are kept for [`Nic::rx_batch`].
    pub received: usize,
}

impl Nic {
    /// Looks whether the NIC gets on with what it was handed; tells when to look again, by the clock in nanoseconds, if it owes a completion.
    /// Reads a register only while a transmit queue stands still, at most one in 50 ms. Of queue pairs it looks after those that are not
    /// [away](Self::take_pair); whoever has one has [its watchdog](super::QueuePair::watchdog).
    ///
    /// # Errors
    /// [`NicError::Stopped`] and [`NicError::Stuck`], which [`recover`](Self::recover) mends; [`NicError::Gone`]; [`NicError::Device`].
    pub fn watchdog(&mut self) -> Result<Option<u64>, NicError> {
        let Some(events) = &self.events else {
            return Err(NicError::Gone);
        };
        events.check()?;
        let (now, limit) = (self.port.clock.now(), self.config.watchdog);
        let mut next: Option<u64> = None;
        self.each_pair(|pair, registers| {
            let due = pair.watchdog(registers, now, limit)?;
            next = next.into_iter().chain(due).min();
            Ok(())
        })?;
        Ok(next)
    }

    /// Resets the NIC and lets it run again as it was set up: with its addresses, filters, static neighbours and the steps and the rate of its
    /// clock. Received frames are kept; what was not sent is sent again. Lost are the ARP cache's other entries, so that whoever waits for
    /// [`NeighbourResolved`](super::NicEvent::NeighbourResolved) must send again; counters begin at 0. Called again after an error, it goes on where it was.
    ///
    /// All queue pairs must be home: [recall](Self::recall) those that are away, and wait until they are dropped.
    ///
    /// # Errors
    /// [`NicError::PairsAway`], of which nothing is done; [`NicError::Gone`], [`NicError::Stuck`] if the device cannot be reset, [`NicError::Device`]; [`NicError::Stopped`] if a queue does not
    /// start.
    pub fn recover(&mut self) -> Result<Recovery, NicError> {
        if self.mapping.is_none() {
            return Err(NicError::Gone);
        }
        match self.pairs_away() {
            0 => {}
            away => return Err(NicError::PairsAway(away)),
        }
        self.halt()?;
        if let Some(events) = self.events.take() {
            self.salvage_events(events);
        }
        self.each_pair(|pair, _| {
            pair.salvage();
            Ok(())
        })?;
        self.home.forget();
        let announces = std::mem::take(&mut self.announces);
        let set_up = self.set_up_port();
        self.announces = announces;
        set_up?;
        self.restore_clock()?;
        for (address, mac) in self.static_neighbours.clone() {
            self.add_neighbour(address, mac)?;
        }
        let mut recovery = Recovery::default();
        self.each_pair(|pair, _| {
            pair.count(&mut recovery);
            Ok(())
        })?;
        self.run()?;
        let limit = self.config.watchdog;
        self.each_pair(|pair, registers| pair.send_again(registers, limit))?;
        tracing::warn!(?recovery, "the NIC was reset and runs again");
        Ok(recovery)
    }

    /// Resets the device, by its own register or else as VFIO can; nothing is written to memory afterwards.
    fn halt(&mut self) -> Result<(), NicError> {
        match self.port.reset() {
            Err(NicError::Stuck { what, limit_ms }) => match self.port.device.reset() {
                Ok(()) => {
                    // It has forgotten its configuration space too.
                    self.port.enable_memory()?;
                    self.attach_irqs()?;
                    self.port.set_bus_master(true)?;
                }
                Err(DeviceError::NoReset) => return Err(NicError::Stuck { what, limit_ms }),
                Err(e) => return Err(e.into()),
            },
            other => other?,
        }
        self.port.identify().map(drop)
    }

    fn salvage_events(&mut self, mut events: Lane) {
        if !events.is_trusted() {
            return;
        }
        while let Some(words) = events.ring.next() {
            match event::decode(&Event::from_words(words), self.config.queue_pairs) {
                Ok(RawEvent::Ready(event)) => self.salvaged.push_back(event),
                // Of a queue that starts anew.
                Ok(RawEvent::QueueError(_)) => {}
                Err(_) => break,
            }
        }
    }
}

impl Pair {
    /// As [`Nic::watchdog`], at `now` by the clock in nanoseconds.
    pub(super) fn watchdog(
        &mut self,
        registers: &mut dyn Registers,
        now: u64,
        limit: Duration,
    ) -> Result<Option<u64>, NicError> {
        let Some(lanes) = &self.lanes else {
            return Err(NicError::Gone);
        };
        for lane in [&lanes.tx, &lanes.rx] {
            lane.check()?;
        }
        if !lanes.submission.awaits_completion() {
            self.progress = None;
            return Ok(None);
        }
        let (retired, waits) = (lanes.submission.retired(), lanes.tx.ring.has_entry());
        let look = LOOK.as_nanos() as u64;
        let before = self.progress.filter(|p| p.retired == retired && !waits);
        let mut progress = before.unwrap_or(Progress {
            retired,
            since: now,
            looked: now,
        });
        if now - progress.looked >= look {
            progress.looked = now;
            let status = registers.read(regs::status::OFFSET)?;
            // Without a link nothing is to be expected.
            if regs::status::LINK_UP.get(status) == 0 {
                progress.since = now;
            }
        }
        self.progress = Some(progress);
        let due = progress.since + limit.as_nanos() as u64;
        if now >= due {
            return Err(NicError::Stuck {
                what: "sending",
                limit_ms: limit.as_millis() as u64,
            });
        }
        Ok(Some(due.min(progress.looked + look)))
    }

    /// Takes from the rings of a device that was reset what it has completed and what it has not.
    fn salvage(&mut self) {
        self.progress = None;
        if let Some(lanes) = self.lanes.take() {
            self.salvage_from(lanes);
        }
        if let Some(rings) = &mut self.rings {
            rings.receive.take_back();
        }
    }

    fn salvage_from(&mut self, lanes: Lanes) {
        let Lanes {
            mut tx,
            mut rx,
            mut submission,
            mut receive,
        } = lanes;
        if tx.is_trusted() {
            while let Some(words) = tx.ring.next() {
                let cqe = Cqe::from_words(words);
                if submission.complete(&cqe, &mut self.completed).is_err() {
                    break;
                }
            }
        }
        if rx.is_trusted() {
            while let Some(words) = rx.ring.next() {
                if receive.accept(Cqe::from_words(words)).is_err() {
                    break;
                }
            }
            let mut frames = Vec::new();
            receive.hand_out(&mut frames);
            self.frames.extend(frames);
        }
        // What an earlier recovery could not hand over is younger than what it could.
        let left = std::mem::take(&mut self.unsent);
        let unsent = submission.take_outstanding().into_iter();
        self.unsent = unsent.chain(left).collect();
        receive.give_back(submission.freed());
        self.rings = Some(Rings {
            submission,
            receive,
        });
    }

    /// Adds what this pair has to what a recovery tells.
    fn count(&self, recovery: &mut Recovery) {
        let failed = |done: &&TxCompletion| !matches!(done.outcome, TxOutcome::Sent { .. });
        recovery.sent_again += self.unsent.len();
        recovery.failed += self.completed.iter().filter(failed).count();
        recovery.received += self.frames.len();
    }

    /// Hands over once more what was not sent.
    fn send_again(
        &mut self,
        registers: &mut dyn Registers,
        limit: Duration,
    ) -> Result<(), NicError> {
        while let Some(unsent) = self.unsent.pop_front() {
            let taken = unsent.again(|frame| self.tx_batch(registers, std::slice::from_ref(frame)));
            if !matches!(taken, Ok(1)) {
                self.unsent.push_front(unsent);
                taken?;
                // They were in the ring together before: only a device that stands still again leaves no room.
                return Err(NicError::Stuck {
                    what: "sending",
                    limit_ms: limit.as_millis() as u64,
                });
            }
        }
        Ok(())
    }
}
