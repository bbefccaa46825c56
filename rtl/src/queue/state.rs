//! Whether a queue runs: ENABLE, STATUS and how it stops.
use ferrule_abi::regs::queue_error;
use rust_hdl::prelude::*;

#[doc(hidden)]
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum RunState {
    Stopped,
    Start,
    Run,
    Drain,
}

/// The number in its page of the register at `offset`.
pub(super) fn page_register(offset: u32) -> Constant<Bits<4>> {
    Constant::new(u64::from(offset / 4).into())
}

/// Starts its queue when ENABLE is set and stops it when ENABLE is cleared or something is wrong; after an error ENABLE must fall first.
///
/// A queue that stops is not `active` any more and finishes what is under way, until it is `drained`.
#[derive(LogicBlock)]
pub struct QueueState {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// The host writes CTRL.
    pub set_ctrl: Signal<In, Bit>,
    /// What it writes to ENABLE.
    pub enable: Signal<In, Bit>,
    /// Nothing is wrong with what the queue is to start on.
    pub sound: Signal<In, Bit>,
    /// A doorbell came with an index that cannot be.
    pub bad_index: Signal<In, Bit>,
    /// A read of the ring failed.
    pub bad_read: Signal<In, Bit>,
    /// The host gave a slot that there is not.
    pub bad_slot: Signal<In, Bit>,
    /// Nothing of the queue is under way. Looked at while it stops.
    pub drained: Signal<In, Bit>,
    /// High for one cycle: the queue starts, all indices are 0.
    pub start: Signal<Out, Bit>,
    /// Work is taken.
    pub active: Signal<Out, Bit>,
    /// STATUS: RUNNING in bit 4, ERROR in bits 3:0. RUNNING is high from the start on.
    pub status: Signal<Out, Bits<5>>,
    /// High for one cycle: stopped by an error.
    pub failed: Signal<Out, Bit>,
    /// Something changes in the next cycle.
    pub busy: Signal<Out, Bit>,
    state: DFF<RunState>,
    enabled: DFF<Bit>,
    locked: DFF<Bit>,
    error: DFF<Bits<4>>,
    failed_q: DFF<Bit>,
    none: Constant<Bits<4>>,
    index: Constant<Bits<4>>,
    dma: Constant<Bits<4>>,
    slot: Constant<Bits<4>>,
    setup: Constant<Bits<4>>,
    running: Constant<Bits<5>>,
}

impl Default for QueueState {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            set_ctrl: Default::default(),
            enable: Default::default(),
            sound: Default::default(),
            bad_index: Default::default(),
            bad_read: Default::default(),
            bad_slot: Default::default(),
            drained: Default::default(),
            start: Default::default(),
            active: Default::default(),
            status: Default::default(),
            failed: Default::default(),
            busy: Default::default(),
            state: Default::default(),
            enabled: Default::default(),
            locked: Default::default(),
            error: Default::default(),
            failed_q: Default::default(),
            none: Constant::new(u64::from(queue_error::NONE).into()),
            index: Constant::new(u64::from(queue_error::BAD_INDEX).into()),
            dma: Constant::new(u64::from(queue_error::DMA).into()),
            slot: Constant::new(u64::from(queue_error::BAD_SLOT).into()),
            setup: Constant::new(u64::from(queue_error::BAD_SETUP).into()),
            running: Constant::new(16.into()),
        }
    }
}

impl Logic for QueueState {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, state, enabled, locked, error, failed_q);
        self.start.next = self.state.q.val() == RunState::Start;
        self.active.next = self.state.q.val() == RunState::Run;
        self.status.next = bit_cast::<5, 4>(self.error.q.val());
        if self.state.q.val() != RunState::Stopped {
            self.status.next = bit_cast::<5, 4>(self.error.q.val()) | self.running.val();
        }
        self.failed.next = self.failed_q.q.val();
        self.failed_q.d.next = false;
        self.busy.next = self.failed_q.q.val()
            | (self.state.q.val() == RunState::Start)
            | ((self.state.q.val() == RunState::Run) & !self.enabled.q.val())
            | ((self.state.q.val() == RunState::Drain) & self.drained.val())
            | ((self.state.q.val() == RunState::Stopped)
                & self.enabled.q.val()
                & !self.locked.q.val());
        if self.set_ctrl.val() {
            self.enabled.d.next = self.enable.val();
        }
        if !self.enabled.q.val() {
            self.locked.d.next = false;
        }
        match self.state.q.val() {
            RunState::Stopped => {
                if self.enabled.q.val() & !self.locked.q.val() {
                    self.error.d.next = self.none.val();
                    self.state.d.next = RunState::Start;
                }
            }
            RunState::Start => {
                self.state.d.next = RunState::Run;
                if !self.sound.val() {
                    self.error.d.next = self.setup.val();
                    self.locked.d.next = true;
                    self.failed_q.d.next = true;
                    self.state.d.next = RunState::Stopped;
                }
            }
            RunState::Run => {
                if !self.enabled.q.val() {
                    self.state.d.next = RunState::Drain;
                } else if self.bad_index.val() | self.bad_read.val() | self.bad_slot.val() {
                    self.error.d.next = self.slot.val();
                    if self.bad_read.val() {
                        self.error.d.next = self.dma.val();
                    }
                    if self.bad_index.val() {
                        self.error.d.next = self.index.val();
                    }
                    self.locked.d.next = true;
                    self.failed_q.d.next = true;
                    self.state.d.next = RunState::Drain;
                }
            }
            RunState::Drain => {
                if self.drained.val() {
                    self.state.d.next = RunState::Stopped;
                }
            }
            _ => {
                self.state.d.next = RunState::Stopped;
            }
        }
        if self.reset.val() {
            self.state.d.next = RunState::Stopped;
            self.enabled.d.next = false;
            self.locked.d.next = false;
            self.error.d.next = 0.into();
            self.failed_q.d.next = false;
        }
    }
}
