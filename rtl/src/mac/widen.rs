//! Receive width conversion: words of four bytes to beats of eight.
use super::word::*;
use crate::rx::ports::*;
use rust_hdl::prelude::*;

/// Joins two words to a beat; a frame's last word may be alone in one.
#[derive(LogicBlock, Default)]
pub struct Widen {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Its reset.
    pub reset: Signal<In, Bit>,
    /// Words in; always taken.
    pub s: WordSink,
    /// Beats out, from flip-flops.
    pub m: RxBeatSource,
    /// Within a frame.
    pub busy: Signal<Out, Bit>,
    /// The lower half is in `d0`.
    upper: DFF<Bit>,
    d0: DFF<Bits<32>>,
    d1: DFF<Bits<32>>,
    keep: DFF<Bits<8>>,
    last: DFF<Bit>,
    bad: DFF<Bits<4>>,
    valid: DFF<Bit>,
    /// Beats of this frame came already.
    begun: DFF<Bit>,
}

impl Logic for Widen {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, upper, d0, d1, keep, last, bad, valid, begun);
        self.s.ready.next = true;
        self.m.d0.next = self.d0.q.val();
        self.m.d1.next = self.d1.q.val();
        self.m.keep.next = self.keep.q.val();
        self.m.last.next = self.last.q.val();
        self.m.bad.next = self.bad.q.val();
        self.m.valid.next = self.valid.q.val();
        self.busy.next = self.valid.q.val() | self.begun.q.val();
        self.valid.d.next = false;
        if self.s.valid.val() {
            self.last.d.next = self.s.last.val();
            self.bad.d.next = 0.into();
            if self.s.last.val() {
                self.bad.d.next = self.s.bad.val();
            }
            self.begun.d.next = !self.s.last.val();
            if self.upper.q.val() {
                self.d1.d.next = self.s.data.val();
                self.upper.d.next = false;
                self.valid.d.next = true;
                self.keep.d.next = 0xFF.into();
                if self.s.count.val() == 2 {
                    self.keep.d.next = 0x7F.into();
                }
                if self.s.count.val() == 1 {
                    self.keep.d.next = 0x3F.into();
                }
                if self.s.count.val() == 0 {
                    self.keep.d.next = 0x1F.into();
                }
            } else {
                self.d0.d.next = self.s.data.val();
                self.upper.d.next = !self.s.last.val();
                self.valid.d.next = self.s.last.val();
                self.keep.d.next = 0x0F.into();
                if self.s.count.val() == 2 {
                    self.keep.d.next = 0x07.into();
                }
                if self.s.count.val() == 1 {
                    self.keep.d.next = 0x03.into();
                }
                if self.s.count.val() == 0 {
                    self.keep.d.next = 0x01.into();
                }
            }
        }
        if self.reset.val() {
            self.upper.d.next = false;
            self.valid.d.next = false;
            self.begun.d.next = false;
        }
    }
}
