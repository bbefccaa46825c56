//! Bytes to a UART's line: 8 data bits, no parity, one stop bit (8N1).
use rust_hdl::prelude::*;

/// Sends bytes, the lowest bit first. Between two that follow each other the line is high for the stop bit and a clock.
#[derive(LogicBlock, Default)]
pub struct LineTx {
    /// The clock.
    pub clock: Signal<In, Clock>,
    /// Its reset. A byte under way is cut off.
    pub reset: Signal<In, Bit>,
    /// Bits a clock, in units of 2^-16.
    pub rate: Signal<In, Bits<16>>,
    /// The byte.
    pub data: Signal<In, Bits<8>>,
    /// `data` is there, and stays until it is taken.
    pub valid: Signal<In, Bit>,
    /// It is taken.
    pub ready: Signal<Out, Bit>,
    /// The line, from a register.
    pub line: Signal<Out, Bit>,
    /// The bits that follow, and a one above the last; 0 when nothing is sent.
    shift: DFF<Bits<10>>,
    phase: DFF<Bits<16>>,
    /// The line is low: inverted, so that it is idle at power-up.
    low: DFF<Bit>,
    sum: Signal<Local, Bits<17>>,
}

impl Logic for LineTx {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, shift, phase, low);
        self.line.next = !self.low.q.val();
        self.sum.next =
            bit_cast::<17, 16>(self.phase.q.val()) + bit_cast::<17, 16>(self.rate.val());
        self.phase.d.next = bit_cast::<16, 17>(self.sum.val());
        self.ready.next = !self.shift.q.val().any();
        if !self.shift.q.val().any() {
            self.phase.d.next = 0.into();
            if self.valid.val() {
                self.low.d.next = true;
                // Stop bit, and the mark that it was the last.
                self.shift.d.next = bit_cast::<10, 8>(self.data.val()) | 0x300;
            }
        } else if self.sum.val().get_bit(16) {
            self.shift.d.next = self.shift.q.val() >> 1;
            self.low.d.next = !self.shift.q.val().get_bit(0);
        }
        if self.reset.val() {
            self.shift.d.next = 0.into();
            self.low.d.next = false;
        }
    }
}
