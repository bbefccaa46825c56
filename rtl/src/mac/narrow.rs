//! Transmit width conversion: beats of eight bytes to words of four.
use super::word::*;
use crate::stream::*;
use rust_hdl::prelude::*;

/// Sends each beat as one or two words, a word a clock.
#[derive(LogicBlock, Default)]
pub struct Narrow {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Its reset.
    pub reset: Signal<In, Bit>,
    /// Do not begin another frame.
    pub hold: Signal<In, Bit>,
    /// Frames in.
    pub s: FrameSink,
    /// Words out.
    pub m: WordSource,
    /// Within a frame.
    pub open: Signal<Out, Bit>,
    begun: DFF<Bit>,
    upper: DFF<Bit>,
    ends: Signal<Local, Bit>,
    run: Signal<Local, Bit>,
}

impl Logic for Narrow {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, begun, upper);
        self.open.next = self.begun.q.val();
        self.run.next = self.begun.q.val() | !self.hold.val();
        self.m.bad.next = 0.into();
        self.m.data.next = self.s.d0.val();
        self.m.count.next = 0.into();
        if self.upper.q.val() {
            self.ends.next = self.s.last.val();
            self.m.data.next = self.s.d1.val();
            if self.s.keep.val().get_bit(5) {
                self.m.count.next = 1.into();
            }
            if self.s.keep.val().get_bit(6) {
                self.m.count.next = 2.into();
            }
            if self.s.keep.val().get_bit(7) {
                self.m.count.next = 3.into();
            }
        } else {
            self.ends.next = self.s.last.val() & !self.s.keep.val().get_bit(4);
            if self.s.keep.val().get_bit(1) {
                self.m.count.next = 1.into();
            }
            if self.s.keep.val().get_bit(2) {
                self.m.count.next = 2.into();
            }
            if self.s.keep.val().get_bit(3) {
                self.m.count.next = 3.into();
            }
        }
        self.m.last.next = self.ends.val();
        self.m.valid.next = self.s.valid.val() & self.run.val();
        self.s.ready.next =
            self.m.ready.val() & self.run.val() & (self.upper.q.val() | self.ends.val());
        if self.s.valid.val() & self.run.val() & self.m.ready.val() {
            self.begun.d.next = !self.ends.val();
            self.upper.d.next = !self.upper.q.val() & !self.ends.val();
        }
        if self.reset.val() {
            self.begun.d.next = false;
            self.upper.d.next = false;
        }
    }
}
