//! Times the calls of a driver, and nothing of what goes on between them.
use quanta::Clock;

/// The part that Callgrind counts too, found by its name.
#[inline(never)]
pub(crate) fn counted<T>(call: impl FnOnce() -> T) -> T {
    call()
}

/// Cycles of the calls so far, by the processor's time stamp counter.
#[derive(Debug)]
pub struct Meter {
    clock: Clock,
    cycles: u64,
    calls: u64,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            clock: Clock::new(),
            cycles: 0,
            calls: 0,
        }
    }
}

impl Meter {
    /// Times a call.
    #[inline]
    pub(crate) fn time<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let before = self.clock.raw();
        let result = counted(call);
        self.cycles += self.clock.raw().saturating_sub(before);
        self.calls += 1;
        result
    }

    /// Cycles and number of the calls since the last time.
    pub(crate) fn take(&mut self) -> (u64, u64) {
        (
            std::mem::take(&mut self.cycles),
            std::mem::take(&mut self.calls),
        )
    }
}
