//! The time in nanoseconds, from a board's clock.
use rust_hdl::prelude::*;

/// Counts nanoseconds since power-up, `NS` of them a clock, a power of two; no reset stops it.
#[derive(LogicBlock)]
pub struct TimeCounter<const NS: u64> {
    /// The core's clock, of a period of `NS` nanoseconds.
    pub clock: Signal<In, Clock>,
    /// Bits 31:0.
    pub time_lo: Signal<Out, Bits<32>>,
    /// Bits 63:32.
    pub time_hi: Signal<Out, Bits<32>>,
    lo: DFF<Bits<32>>,
    hi: DFF<Bits<32>>,
    /// `lo` is about to start over: known a clock earlier, so that the two halves are two counters.
    ends: DFF<Bit>,
    step: Constant<Bits<32>>,
    last_but_one: Constant<Bits<32>>,
}

impl<const NS: u64> Default for TimeCounter<NS> {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            time_lo: Default::default(),
            time_hi: Default::default(),
            lo: Default::default(),
            hi: Default::default(),
            ends: Default::default(),
            step: Constant::new(NS.into()),
            last_but_one: Constant::new(((1_u64 << 32) - 2 * NS).into()),
        }
    }
}

impl<const NS: u64> Logic for TimeCounter<NS> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, lo, hi, ends);
        self.time_lo.next = self.lo.q.val();
        self.time_hi.next = self.hi.q.val();
        self.lo.d.next = self.lo.q.val() + self.step.val();
        self.ends.d.next = self.lo.q.val() == self.last_but_one.val();
        if self.ends.q.val() {
            self.hi.d.next = self.hi.q.val() + 1;
        }
    }
}
