//! The event queue: neighbours, link, queue errors.
use super::cq_writer::CqWriter;
use crate::neigh::ports::NeighEventSink;
use crate::pcie::ports::{QueueCtlSink, WriteSource};
use ferrule_abi::regs::queue_error;
use rust_hdl::prelude::*;

#[doc(hidden)]
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum EventState {
    Stopped,
    Start,
    Run,
    Drain,
}

/// Writes events into their ring. While it does not run, events are forgotten.
///
/// A neighbour's event waits until the completions of all frames before it are written: an ARP_MISS is never seen after the
/// NEIGH_RESOLVED that answers it. If the ring is full, neighbours' events wait, a queue's error and the link's last state are kept.
#[derive(LogicBlock)]
pub struct EventQueue {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// Bits 31:0 of the clock in nanoseconds.
    pub now_lo: Signal<In, Bits<32>>,
    /// The queue's registers.
    pub ctl: QueueCtlSink,
    /// Events of neighbours.
    pub neigh: NeighEventSink,
    /// The link is up.
    pub link_up: Signal<In, Bit>,
    /// High for one cycle: transmit queue 0 stopped with an error.
    pub tx_failed: Signal<In, Bit>,
    /// High for one cycle: receive queue 0 stopped with an error.
    pub rx_failed: Signal<In, Bit>,
    /// Asks the transmit queue for `barrier_done`.
    pub barrier: Signal<Out, Bit>,
    /// All completions before `barrier` are written.
    pub barrier_done: Signal<In, Bit>,
    /// Writes to the ring.
    pub m: WriteSource,
    /// MSI-X vectors to raise, one pulse bit each.
    pub irq: Signal<Out, Bits<4>>,
    /// Something is under way.
    pub busy: Signal<Out, Bit>,
    writer: CqWriter,
    state: DFF<EventState>,
    error: DFF<Bits<4>>,
    locked: DFF<Bit>,
    active: DFF<Bit>,
    begin_q: DFF<Bit>,
    apply: DFF<Bit>,
    cq_log2: DFF<Bits<4>>,
    db: DFF<Bits<32>>,
    db_valid: DFF<Bit>,
    vector: DFF<Bits<4>>,
    link: DFF<Bit>,
    link_due: DFF<Bit>,
    own_due: DFF<Bit>,
    tx_due: DFF<Bit>,
    rx_due: DFF<Bit>,
    rest: DFF<Bit>,
    posting: DFF<Bit>,
    w0: DFF<Bits<32>>,
    w1: DFF<Bits<32>>,
    w2: DFF<Bits<32>>,
    error_bad: Constant<Bits<4>>,
    error_setup: Constant<Bits<4>>,
    one: Constant<Bits<4>>,
}

impl Default for EventQueue {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            now_lo: Default::default(),
            ctl: Default::default(),
            neigh: Default::default(),
            link_up: Default::default(),
            tx_failed: Default::default(),
            rx_failed: Default::default(),
            barrier: Default::default(),
            barrier_done: Default::default(),
            m: Default::default(),
            irq: Default::default(),
            busy: Default::default(),
            writer: Default::default(),
            state: Default::default(),
            error: Default::default(),
            locked: Default::default(),
            active: Default::default(),
            begin_q: Default::default(),
            apply: Default::default(),
            cq_log2: Default::default(),
            db: Default::default(),
            db_valid: Default::default(),
            vector: Default::default(),
            link: Default::default(),
            link_due: Default::default(),
            own_due: Default::default(),
            tx_due: Default::default(),
            rx_due: Default::default(),
            rest: Default::default(),
            posting: Default::default(),
            w0: Default::default(),
            w1: Default::default(),
            w2: Default::default(),
            error_bad: Constant::new(u64::from(queue_error::BAD_INDEX).into()),
            error_setup: Constant::new(u64::from(queue_error::BAD_SETUP).into()),
            one: Constant::new(1.into()),
        }
    }
}

impl Logic for EventQueue {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, state, error, locked, active, begin_q, apply, cq_log2, db, db_valid,
            vector, link, link_due, own_due, tx_due, rx_due, rest, posting, w0, w1, w2
        );
        clock!(self, clock, writer);
        self.writer.reset.next = self.reset.val();
        WriteSource::link(&mut self.m, &mut self.writer.m);

        // State.
        self.begin_q.d.next = false;
        self.db_valid.d.next = self.ctl.ring.val();
        if self.ctl.ring.val() {
            self.db.d.next = self.ctl.doorbell.val();
        }
        self.apply.d.next = false;
        self.link.d.next = self.link_up.val();
        if self.active.q.val() {
            if self.link_up.val() != self.link.q.val() {
                self.link_due.d.next = true;
            }
            self.tx_due.d.next = self.tx_due.q.val() | self.tx_failed.val();
            self.rx_due.d.next = self.rx_due.q.val() | self.rx_failed.val();
        } else {
            self.link_due.d.next = false;
            self.tx_due.d.next = false;
            self.rx_due.d.next = false;
        }
        if !self.ctl.enable.val() {
            self.locked.d.next = false;
        }
        match self.state.q.val() {
            EventState::Stopped => {
                if self.ctl.enable.val() & !self.locked.q.val() {
                    self.cq_log2.d.next = self.ctl.setup.val().get_bits::<4>(8);
                    self.vector.d.next = self.one.val() << self.ctl.setup.val().get_bits::<4>(16);
                    self.error.d.next = 0.into();
                    self.begin_q.d.next = true;
                    self.state.d.next = EventState::Start;
                }
            }
            EventState::Start => {
                self.active.d.next = true;
                self.state.d.next = EventState::Run;
                if (self.cq_log2.q.val() < 4)
                    | (self.cq_log2.q.val() > 14)
                    | (self.ctl.cq_lo.val() & 63).any()
                {
                    self.error.d.next = self.error_setup.val();
                    self.locked.d.next = true;
                    self.active.d.next = false;
                    self.state.d.next = EventState::Stopped;
                }
            }
            EventState::Run => {
                // Doorbells are at least two cycles apart: a write TLP has two beats.
                self.apply.d.next = self.db_valid.q.val();
                if !self.ctl.enable.val() {
                    self.active.d.next = false;
                    self.state.d.next = EventState::Drain;
                } else if self.db_valid.q.val() & self.writer.consumer_bad.val() {
                    self.apply.d.next = false;
                    self.error.d.next = self.error_bad.val();
                    self.locked.d.next = true;
                    self.own_due.d.next = true;
                    self.active.d.next = false;
                    self.state.d.next = EventState::Drain;
                }
            }
            EventState::Drain => {
                if !self.posting.q.val()
                    & !self.own_due.q.val()
                    & (self.writer.head.val() == self.writer.tail.val())
                {
                    self.state.d.next = EventState::Stopped;
                }
            }
            _ => {
                self.state.d.next = EventState::Stopped;
            }
        }
        self.ctl.running.next =
            (self.state.q.val() == EventState::Run) | (self.state.q.val() == EventState::Drain);
        self.ctl.error.next = self.error.q.val();

        // One event at a time. Each takes a barrier of its own: `rest` is high until the last one is over.
        self.barrier.next = self.active.q.val() & self.neigh.valid.val() & !self.rest.q.val();
        if !self.barrier_done.val() {
            self.rest.d.next = false;
        }
        self.neigh.ready.next = !self.active.q.val();
        if self.posting.q.val() {
            if self.writer.ready.val() {
                self.posting.d.next = false;
            }
        } else if self.own_due.q.val()
            | (self.active.q.val()
                & (self.tx_due.q.val() | self.rx_due.q.val() | self.link_due.q.val()))
        {
            self.posting.d.next = true;
            self.w1.d.next = 0.into();
            self.w2.d.next = self.now_lo.val();
            if self.own_due.q.val() {
                self.own_due.d.next = false;
                self.w0.d.next = 0x0000_0004.into();
            } else if self.tx_due.q.val() {
                self.tx_due.d.next = self.tx_failed.val();
                self.w0.d.next = 0x0001_0004.into();
            } else if self.rx_due.q.val() {
                self.rx_due.d.next = self.rx_failed.val();
                self.w0.d.next = 0x0002_0004.into();
            } else {
                self.link_due.d.next = self.link_up.val() != self.link.q.val();
                self.w0.d.next = 0x0000_0003.into();
                if self.link.q.val() {
                    self.w0.d.next = 0x0001_0003.into();
                }
            }
        } else if self.active.q.val()
            & self.neigh.valid.val()
            & !self.rest.q.val()
            & self.barrier_done.val()
        {
            self.posting.d.next = true;
            self.rest.d.next = true;
            self.neigh.ready.next = true;
            self.w0.d.next = 1.into();
            if self.neigh.failed.val() {
                self.w0.d.next = 2.into();
            }
            self.w1.d.next = self.neigh.address.val();
            self.w2.d.next = self.now_lo.val();
            if self.neigh.conflict.val() {
                self.w0.d.next = (bit_cast::<32, 16>(self.neigh.mac_hi.val()) << 16) | 5;
                self.w2.d.next = self.neigh.mac_lo.val();
            }
        }
        self.writer.start.next = self.begin_q.q.val();
        self.writer.base_lo.next = self.ctl.cq_lo.val();
        self.writer.base_hi.next = self.ctl.cq_hi.val();
        self.writer.log2.next = self.cq_log2.q.val();
        self.writer.w0.next = self.w0.q.val();
        self.writer.w1.next = self.w1.q.val();
        self.writer.w2.next = self.w2.q.val();
        self.writer.w3.next = 0.into();
        self.writer.valid.next = self.posting.q.val();
        self.writer.more.next = self.active.q.val()
            & (self.tx_due.q.val() | self.rx_due.q.val() | self.link_due.q.val());
        self.writer.hold.next = false;
        self.writer.discard.next = !self.active.q.val();
        self.writer.consumer.next = 0.into();
        if self.db_valid.q.val() | self.apply.q.val() {
            self.writer.consumer.next = self.db.q.val().get_bits::<15>(16);
        }
        self.writer.arm.next = self.db.q.val().get_bit(31);
        self.writer.update_idx.next = self.apply.q.val();
        self.irq.next = 0.into();
        if self.writer.irq.val() {
            self.irq.next = self.vector.q.val();
        }
        self.busy.next = self.writer.busy.val()
            | (!self.posting.q.val()
                & (self.own_due.q.val()
                    | self.tx_due.q.val()
                    | self.rx_due.q.val()
                    | self.link_due.q.val()))
            | (self.neigh.valid.val()
                & !self.posting.q.val()
                & (!self.active.q.val() | self.rest.q.val() | self.barrier_done.val()))
            | (self.link_up.val() != self.link.q.val())
            | (self.db_valid.q.val() | self.apply.q.val())
            | (self.tx_failed.val() | self.rx_failed.val())
            | (self.state.q.val() == EventState::Start)
            | (self.active.q.val() & !self.ctl.enable.val())
            | ((self.state.q.val() == EventState::Stopped)
                & self.ctl.enable.val()
                & !self.locked.q.val())
            | ((self.state.q.val() == EventState::Drain) & !self.posting.q.val());
        if self.reset.val() {
            self.state.d.next = EventState::Stopped;
            self.active.d.next = false;
            self.begin_q.d.next = false;
            self.apply.d.next = false;
            self.error.d.next = 0.into();
            self.locked.d.next = false;
            self.db_valid.d.next = false;
            self.link_due.d.next = false;
            self.own_due.d.next = false;
            self.tx_due.d.next = false;
            self.rx_due.d.next = false;
            self.rest.d.next = false;
            self.posting.d.next = false;
        }
    }
}
