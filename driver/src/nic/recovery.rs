//! A NIC that hangs, or whose queues have stopped: how that is noticed, and how it is made to run again without losing what it had.
//!
//! A reset ends all DMA, so that from then on the rings are what they are. What the device has completed is taken from them, unless it has
//! broken a ring's contract; frames that it has not completed are handed to it once more. Some of those may have been on the wire already: a
//! duplicate is what Ethernet allows, a loss is what this is to avoid.
use super::error::NicError;
use super::event::{self, RawEvent};
use super::{Lanes, Nic, NicEvent, RxFrame, TxCompletion, TxOutcome};
use crate::ring::receive::ReceiveRing;
use crate::ring::submission::{SubmissionRing, Unsent};
use crate::ring::Index;
use crate::DeviceError;
use ferrule_abi::regs;
use ferrule_abi::ring::{Cqe, Event};
use std::collections::VecDeque;
use std::time::Duration;

/// How long the transmit queue may stand still before a register is read, to see whether the device is still there.
const LOOK: Duration = Duration::from_millis(50);

/// The rings that hold something between two lives of their queues.
#[derive(Debug)]
pub(super) struct Rings {
    pub(super) submission: SubmissionRing,
    pub(super) receive: ReceiveRing,
}

/// What was taken from the rings of a device that was reset.
#[derive(Debug, Default)]
pub(super) struct Salvaged {
    /// Received, and not yet given to anyone.
    pub(super) frames: VecDeque<RxFrame>,
    pub(super) events: VecDeque<NicEvent>,
    /// To be handed over again, in this order.
    pub(super) unsent: VecDeque<Unsent>,
    /// While no queue runs.
    pub(super) rings: Option<Rings>,
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
    /// Reads a register only while the transmit queue stands still, at most one in 50 ms.
    ///
    /// # Errors
    /// [`NicError::Stopped`] and [`NicError::Stuck`], which [`recover`](Self::recover) mends; [`NicError::Gone`]; [`NicError::Device`].
    pub fn watchdog(&mut self) -> Result<Option<u64>, NicError> {
        let limit = self.config.watchdog;
        let Some(lanes) = &self.lanes else {
            return Err(NicError::Gone);
        };
        for lane in [&lanes.events, &lanes.tx, &lanes.rx] {
            lane.check()?;
        }
        if !lanes.submission.awaits_completion() {
            self.progress = None;
            return Ok(None);
        }
        let (retired, waits) = (lanes.submission.retired(), lanes.tx.ring.has_entry());
        let (now, look) = (self.port.clock.now(), LOOK.as_nanos() as u64);
        let before = self.progress.filter(|p| p.retired == retired && !waits);
        let mut progress = before.unwrap_or(Progress {
            retired,
            since: now,
            looked: now,
        });
        if now - progress.looked >= look {
            progress.looked = now;
            let status = self.port.read(regs::status::OFFSET)?;
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

    /// Resets the NIC and lets it run again as it was set up: with its addresses, filters, static neighbours and the steps and the rate of its
    /// clock. Received frames are kept; what was not sent is sent again. Lost are the ARP cache's other entries, so that whoever waits for
    /// [`NicEvent::NeighbourResolved`] must send again; counters begin at 0. Called again after an error, it goes on where it was.
    ///
    /// # Errors
    /// [`NicError::Gone`], [`NicError::Stuck`] if the device cannot be reset, [`NicError::Device`]; [`NicError::Stopped`] if a queue does not
    /// start.
    pub fn recover(&mut self) -> Result<Recovery, NicError> {
        if self.mapping.is_none() {
            return Err(NicError::Gone);
        }
        self.halt()?;
        if let Some(lanes) = self.lanes.take() {
            self.salvage(lanes);
        }
        if let Some(rings) = &mut self.salvaged.rings {
            rings.receive.take_back();
        }
        self.progress = None;
        let announces = std::mem::take(&mut self.announces);
        let set_up = self.set_up_port();
        self.announces = announces;
        set_up?;
        self.restore_clock()?;
        for (address, mac) in self.static_neighbours.clone() {
            self.add_neighbour(address, mac)?;
        }
        let failed = |done: &&TxCompletion| !matches!(done.outcome, TxOutcome::Sent { .. });
        let recovery = Recovery {
            sent_again: self.salvaged.unsent.len(),
            failed: self.completed.iter().filter(failed).count(),
            received: self.salvaged.frames.len(),
        };
        self.run()?;
        while let Some(unsent) = self.salvaged.unsent.pop_front() {
            let taken = unsent.again(|frame| self.send(frame));
            if !matches!(taken, Ok(true)) {
                self.salvaged.unsent.push_front(unsent);
                taken?;
                // They were in the ring together before: only a device that stands still again leaves no room.
                return Err(NicError::Stuck {
                    what: "sending",
                    limit_ms: self.config.watchdog.as_millis() as u64,
                });
            }
        }
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

    /// Takes from the rings what the device has completed and what it has not.
    fn salvage(&mut self, lanes: Lanes) {
        let Lanes {
            mut events,
            mut tx,
            mut rx,
            mut submission,
            mut receive,
        } = lanes;
        if events.is_trusted() {
            while let Some(words) = events.ring.next() {
                match event::decode(&Event::from_words(words)) {
                    Ok(RawEvent::Ready(event)) => self.salvaged.events.push_back(event),
                    // Of a queue that starts anew.
                    Ok(RawEvent::QueueError(_)) => {}
                    Err(_) => break,
                }
            }
        }
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
            self.salvaged.frames.extend(frames);
        }
        // What an earlier recovery could not hand over is younger than what it could.
        let left = std::mem::take(&mut self.salvaged.unsent);
        let unsent = submission.take_outstanding().into_iter();
        self.salvaged.unsent = unsent.chain(left).collect();
        receive.give_back(submission.freed());
        self.salvaged.rings = Some(Rings {
            submission,
            receive,
        });
    }
}
