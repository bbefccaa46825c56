//! Bytes from a UART's line: 8 data bits, no parity, one stop bit (8N1).
use crate::mac::sync::Sync;
use rust_hdl::prelude::*;

/// Where [`LineRx`] is.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum LineRxState {
    /// The line is high.
    Idle,
    /// Within a byte.
    Bits,
    /// There was no stop bit; the line has to be high again first.
    Broken,
}

/// Finds the edge of a start bit and samples every bit in its middle, the start bit first: if that is high by then it was none.
///
/// The edge is known to half a clock, and so is each middle; with 5.2 clocks a bit that leaves room for a drift of 2 % over a byte.
#[derive(LogicBlock, Default)]
pub struct LineRx {
    /// The clock.
    pub clock: Signal<In, Clock>,
    /// Its reset. A byte under way is forgotten.
    pub reset: Signal<In, Bit>,
    /// Bits a clock, in units of 2^-16; 0.2 at most.
    pub rate: Signal<In, Bits<16>>,
    /// The line, from outside.
    pub line: Signal<In, Bit>,
    /// The byte.
    pub data: Signal<Out, Bits<8>>,
    /// Pulse: `data` is there.
    pub valid: Signal<Out, Bit>,
    /// Pulse: a byte without stop bit, or a line that is down.
    pub broken: Signal<Out, Bit>,
    pin: Sync<1>,
    state: DFF<LineRxState>,
    phase: DFF<Bits<16>>,
    /// Bits that came, the start bit among them.
    count: DFF<Bits<4>>,
    shift: DFF<Bits<8>>,
    byte_valid: DFF<Bit>,
    byte_broken: DFF<Bit>,
    sum: Signal<Local, Bits<17>>,
}

impl Logic for LineRx {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            state,
            phase,
            count,
            shift,
            byte_valid,
            byte_broken
        );
        self.pin.clock.next = self.clock.val();
        self.pin.d.next = 0.into();
        // Inverted, so that the synchroniser's zeros at power-up are an idle line.
        if !self.line.val() {
            self.pin.d.next = 1.into();
        }
        self.data.next = self.shift.q.val();
        self.valid.next = self.byte_valid.q.val();
        self.broken.next = self.byte_broken.q.val();
        self.byte_valid.d.next = false;
        self.byte_broken.d.next = false;
        self.sum.next =
            bit_cast::<17, 16>(self.phase.q.val()) + bit_cast::<17, 16>(self.rate.val());
        self.phase.d.next = bit_cast::<16, 17>(self.sum.val());
        match self.state.q.val() {
            LineRxState::Idle => {
                // Half a bit, less half a clock for the edge and half a clock for the sample.
                self.phase.d.next = self.rate.val() + 0x8000;
                self.count.d.next = 0.into();
                if self.pin.q.val().any() {
                    self.state.d.next = LineRxState::Bits;
                }
            }
            LineRxState::Bits => {
                if self.sum.val().get_bit(16) {
                    self.count.d.next = self.count.q.val() + 1;
                    self.shift.d.next = (self.shift.q.val() >> 1) | 0x80;
                    if self.pin.q.val().any() {
                        self.shift.d.next = self.shift.q.val() >> 1;
                    } else if self.count.q.val() == 0 {
                        self.state.d.next = LineRxState::Idle;
                    }
                    if self.count.q.val() == 9 {
                        self.shift.d.next = self.shift.q.val();
                        if self.pin.q.val().any() {
                            self.byte_broken.d.next = true;
                            self.state.d.next = LineRxState::Broken;
                        } else {
                            self.byte_valid.d.next = true;
                            self.state.d.next = LineRxState::Idle;
                        }
                    }
                }
            }
            LineRxState::Broken => {
                if !self.pin.q.val().any() {
                    self.state.d.next = LineRxState::Idle;
                }
            }
            _ => {
                self.state.d.next = LineRxState::Idle;
            }
        }
        if self.reset.val() {
            self.state.d.next = LineRxState::Idle;
            self.byte_valid.d.next = false;
            self.byte_broken.d.next = false;
        }
    }
}
