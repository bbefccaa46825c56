//! The event queue: neighbours, link, queue errors.
use ferrule_abi::regs::{event_cfg, event_cq_base_lo, event_ctrl, queue_error};
use ferrule_abi::ring::{event_code, Event};

use super::completion::CompletionRing;
use super::io::Io;
use super::neigh::{Neigh, Notice};
use super::queue::{is_ring_size, Control};
use super::registers::{Page, Registers, QUEUES};

/// The queue. While it does not run, events are forgotten.
#[derive(Default)]
pub(super) struct EventQueue {
    control: Control,
    ring: CompletionRing,
    link_due: bool,
    own_due: bool,
    /// The errors of transmit queues and of receive queues that are to be told.
    tx_due: [bool; QUEUES],
    rx_due: [bool; QUEUES],
    /// An event that the ring had no room for.
    posting: Option<[u32; 4]>,
}

impl EventQueue {
    /// The link came or went.
    pub(super) fn link_changed(&mut self) {
        self.link_due |= self.control.is_active();
    }

    /// Which transmit and which receive queues stopped with an error.
    pub(super) fn queues_failed(&mut self, tx: [bool; QUEUES], rx: [bool; QUEUES]) {
        let active = self.control.is_active();
        let due = self.tx_due.iter_mut().chain(&mut self.rx_due);
        for (due, failed) in due.zip(tx.into_iter().chain(rx)) {
            *due |= failed && active;
        }
    }

    /// The host's doorbell.
    pub(super) fn doorbell(&mut self, consumer: u16, arm: bool, io: &mut Io<'_>) {
        if !self.control.is_active() {
            return;
        }
        if self.ring.is_bad(consumer) {
            self.control.fail(queue_error::BAD_INDEX);
            self.own_due = self.control.take_failed();
            return;
        }
        self.ring.update(consumer, arm, io);
    }

    /// Does what can be done; whether anything was. A neighbour's event waits until the completions of all frames before it are written:
    /// an ARP_MISS is never seen after the NEIGH_RESOLVED that answers it.
    pub(super) fn step(
        &mut self,
        registers: &Registers,
        link_up: bool,
        completions_written: bool,
        neigh: &mut Neigh,
        io: &mut Io<'_>,
    ) -> bool {
        // The address is not copied at the start, as the size is.
        self.ring
            .set_base(registers.address(Page::Event, event_cq_base_lo::OFFSET));
        let mut moved = self.look_at_enable(registers);
        loop {
            if !self.control.is_active() {
                self.link_due = false;
                (self.tx_due, self.rx_due) = Default::default();
                while neigh.notice().is_some() {
                    neigh.take_notice();
                    moved = true;
                }
            }
            if !self.post(io) && !self.next(link_up, completions_written, neigh, io) {
                break;
            }
            moved = true;
        }
        self.ring.flush(io);
        if self.control.is_draining() && self.posting.is_none() && !self.own_due {
            self.control.stop();
            self.look_at_enable(registers);
            moved = true;
        }
        moved
    }

    fn look_at_enable(&mut self, registers: &Registers) -> bool {
        let enable = event_ctrl::ENABLE.get(registers.page(Page::Event, event_ctrl::OFFSET)) != 0;
        if !self.control.enable(enable) {
            return false;
        }
        let cfg = registers.page(Page::Event, event_cfg::OFFSET);
        let log2 = event_cfg::CQ_LOG2.get(cfg);
        if self.control.start(is_ring_size(log2)) {
            self.ring.start(log2, event_cfg::VECTOR.get(cfg));
        } else {
            // There is no ring that it could be told in.
            self.control.take_failed();
        }
        true
    }

    /// Puts an event into the ring; whether one went.
    fn post(&mut self, io: &mut Io<'_>) -> bool {
        let Some(words) = self.posting else {
            return false;
        };
        let active = self.control.is_active();
        let more =
            active && (self.link_due || self.tx_due.contains(&true) || self.rx_due.contains(&true));
        if !self.ring.push(words, more, io) && active {
            return false;
        }
        self.posting = None;
        true
    }

    /// Takes the next event there is; whether there was one.
    fn next(&mut self, link_up: bool, told: bool, neigh: &mut Neigh, io: &mut Io<'_>) -> bool {
        if self.posting.is_some() {
            return false;
        }
        let mut timestamp = io.timestamp();
        let queue_failed = |page: Page| (event_code::QUEUE_ERROR, page.number(), 0);
        let (code, detail, address) = if std::mem::take(&mut self.own_due) {
            queue_failed(Page::Event)
        } else if let Some(queue) = take_first(&mut self.tx_due) {
            queue_failed(Page::Tx(queue))
        } else if let Some(queue) = take_first(&mut self.rx_due) {
            queue_failed(Page::Rx(queue))
        } else if std::mem::take(&mut self.link_due) {
            (event_code::LINK, link_up.into(), 0)
        } else if let Some(notice) = neigh.notice().filter(|_| told) {
            neigh.take_notice();
            match notice {
                Notice::Resolved(address) => (event_code::NEIGH_RESOLVED, 0, address),
                Notice::Failed(address) => (event_code::NEIGH_FAILED, 0, address),
                Notice::Conflict(address, [a, b, c, d, e, f]) => {
                    timestamp = u32::from_le_bytes([a, b, c, d]);
                    let detail = u16::from_le_bytes([e, f]);
                    (event_code::ADDRESS_CONFLICT, detail, address)
                }
            }
        } else {
            return false;
        };
        let event = Event {
            code,
            detail,
            address,
            timestamp,
            phase: false,
        };
        self.posting = Some(event.to_words());
        true
    }

    /// STATUS.
    pub(super) fn status(&self) -> u32 {
        self.control.status()
    }
}

/// The first that is due, which is not any more.
fn take_first(due: &mut [bool]) -> Option<usize> {
    let first = due.iter().position(|due| *due)?;
    due[first] = false;
    Some(first)
}
