//! The adjustable clock with its registers: CLOCK_RATE, CLOCK_STEP and CLOCK_STEP_HI.
use super::sum::ClockSum;
use ferrule_abi::regs;
use rust_hdl::prelude::*;

/// First register of the tables that [`crate::pcie::reg_file::RegFile`] tells of.
const TABLES: u32 = 0x100;

fn place(offset: u32) -> Constant<Bits<6>> {
    Constant::new(u64::from((offset - TABLES) / 4).into())
}

/// The clock of timestamps, events and SNAPSHOT. What the NIC waits for (neighbours, reads) goes by the time input alone: who sets the
/// clock does not disturb it.
///
/// A reset, CTRL.RESET among them, makes the clock the time input again: rate and offset are 0.
#[derive(LogicBlock)]
pub struct AdjustableClock {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// The time in nanoseconds, bits 31:0.
    pub time_lo: Signal<In, Bits<32>>,
    /// Bits 63:32.
    pub time_hi: Signal<In, Bits<32>>,
    /// The host writes a word of the tables; see [`crate::pcie::reg_file::RegFile`].
    pub table_write: Signal<In, Bit>,
    /// Its place.
    pub table_place: Signal<In, Bits<6>>,
    /// The word.
    pub table_data: Signal<In, Bits<32>>,
    /// The clock in nanoseconds, bits 31:0.
    pub now_lo: Signal<Out, Bits<32>>,
    /// Bits 63:32.
    pub now_hi: Signal<Out, Bits<32>>,
    sum: ClockSum,
    rate: DFF<Bits<24>>,
    rate_place: Constant<Bits<6>>,
    step_place: Constant<Bits<6>>,
    step_hi_place: Constant<Bits<6>>,
}

impl Default for AdjustableClock {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            time_lo: Default::default(),
            time_hi: Default::default(),
            table_write: Default::default(),
            table_place: Default::default(),
            table_data: Default::default(),
            now_lo: Default::default(),
            now_hi: Default::default(),
            sum: Default::default(),
            rate: Default::default(),
            rate_place: place(regs::clock_rate::OFFSET),
            step_place: place(regs::clock_step::OFFSET),
            step_hi_place: place(regs::clock_step_hi::OFFSET),
        }
    }
}

impl Logic for AdjustableClock {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, rate);
        clock!(self, clock, sum);
        self.sum.reset.next = self.reset.val();
        self.sum.time_lo.next = self.time_lo.val();
        self.sum.time_hi.next = self.time_hi.val();
        self.sum.rate.next = self.rate.q.val();
        self.sum.amount.next = self.table_data.val();
        self.sum.step_lo.next =
            self.table_write.val() & (self.table_place.val() == self.step_place.val());
        self.sum.step_hi.next =
            self.table_write.val() & (self.table_place.val() == self.step_hi_place.val());
        self.now_lo.next = self.sum.now_lo.val();
        self.now_hi.next = self.sum.now_hi.val();
        if self.table_write.val() & (self.table_place.val() == self.rate_place.val()) {
            self.rate.d.next = bit_cast::<24, 32>(self.table_data.val());
        }
        if self.reset.val() {
            self.rate.d.next = 0.into();
        }
    }
}
