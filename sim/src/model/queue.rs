//! What all queues have in common: ENABLE, STATUS and how they stop.
use ferrule_abi::regs::{event_status, queue_error, RING_LOG2_MAX, RING_LOG2_MIN};

/// Where a queue is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing is done.
    #[default]
    Stopped,
    /// Work is taken.
    Run,
    /// No new work is taken; what is under way ends.
    Drain,
}

/// State and error of a queue.
#[derive(Default)]
pub(super) struct Control {
    state: State,
    error: u32,
    /// After an error: ENABLE must fall before the queue starts again.
    locked: bool,
    /// The error has not been told yet.
    failed: bool,
}

impl Control {
    pub(super) fn is_active(&self) -> bool {
        self.state == State::Run
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.state == State::Stopped
    }

    pub(super) fn is_draining(&self) -> bool {
        self.state == State::Drain
    }

    /// Looks at ENABLE; whether the queue starts now.
    pub(super) fn enable(&mut self, enable: bool) -> bool {
        if !enable {
            self.locked = false;
            if self.state == State::Run {
                self.state = State::Drain;
            }
        }
        self.state == State::Stopped && enable && !self.locked
    }

    /// Starts, unless `setup_is_good` is false; whether it did.
    pub(super) fn start(&mut self, setup_is_good: bool) -> bool {
        self.error = queue_error::NONE;
        if setup_is_good {
            self.state = State::Run;
        } else {
            self.error = queue_error::BAD_SETUP;
            (self.locked, self.failed) = (true, true);
        }
        setup_is_good
    }

    /// Stops a running queue with an error.
    pub(super) fn fail(&mut self, error: u32) {
        self.error = error;
        (self.locked, self.failed) = (true, true);
        self.state = State::Drain;
    }

    /// Everything under way has ended.
    pub(super) fn stop(&mut self) {
        self.state = State::Stopped;
    }

    /// Whether the queue failed since the last call.
    pub(super) fn take_failed(&mut self) -> bool {
        std::mem::take(&mut self.failed)
    }

    /// The STATUS register, whose fields are the same on all pages.
    pub(super) fn status(&self) -> u32 {
        event_status::RUNNING.of((!self.is_stopped()).into()) | event_status::ERROR.of(self.error)
    }
}

/// Whether a ring may have this size.
pub(super) fn is_ring_size(log2: u32) -> bool {
    (RING_LOG2_MIN..=RING_LOG2_MAX).contains(&log2)
}
