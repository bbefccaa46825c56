//! What the parts of the model share while they work: the bus with its counters, the time, the interrupts they raise.
use ferrule_abi::counter;

use super::bus::Bus;
use super::counters::Counters;

/// Handed from part to part.
pub(super) struct Io<'a> {
    pub(super) bus: &'a mut dyn Bus,
    pub(super) counters: &'a mut Counters,
    pub(super) now_ns: u64,
    /// What the clock shows: now, or when the frame began that has come.
    pub(super) clock_ns: u64,
    /// One bit a vector.
    pub(super) raised: u8,
}

impl Io<'_> {
    /// Reads memory; false if any of it failed.
    pub(super) fn read(&mut self, address: u64, out: &mut [u8], border: u64) -> bool {
        let outcome = self.bus.read(address, out, border);
        self.counters.add(counter::TLP_READS, outcome.requests);
        self.counters
            .add(counter::TLP_COMPLETIONS, outcome.completions);
        self.counters.add(counter::TLP_READ_ERRORS, outcome.errors);
        outcome.errors == 0
    }

    /// Writes memory.
    pub(super) fn write(&mut self, address: u64, data: &[u8], border: u64) {
        let sent = self.bus.write(address, data, border);
        self.counters.add(counter::TLP_WRITES, sent);
    }

    /// Counts one of `index`.
    pub(super) fn count(&mut self, index: u32) {
        self.counters.add(index, 1);
    }

    /// The clock as completions carry it.
    pub(super) fn timestamp(&self) -> u32 {
        self.clock_ns as u32
    }

    /// The time in ticks of [`ferrule_abi::TICK_NS`], modulo 2^32.
    pub(super) fn ticks(&self) -> u32 {
        (self.now_ns / ferrule_abi::TICK_NS) as u32
    }
}
