//! A register slice in a stream of TLPs.
use super::ports::{TlpSink, TlpSource};
use rust_hdl::prelude::*;

/// Cuts all paths between the two sides of a stream: two beats fit in, so that one passes in every cycle.
#[derive(LogicBlock, Default)]
pub struct TlpSlice {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset: what is in it is lost.
    pub reset: Signal<In, Bit>,
    /// Beats that come.
    pub s: TlpSink,
    /// The same beats, a cycle later.
    pub m: TlpSource,
    d0: DFF<Bits<32>>,
    d1: DFF<Bits<32>>,
    half: DFF<Bit>,
    last: DFF<Bit>,
    bar: DFF<Bits<3>>,
    /// A beat is shown.
    full: DFF<Bit>,
    next_d0: DFF<Bits<32>>,
    next_d1: DFF<Bits<32>>,
    next_half: DFF<Bit>,
    next_last: DFF<Bit>,
    next_bar: DFF<Bits<3>>,
    /// Another one waits behind it.
    held: DFF<Bit>,
    moves: Signal<Local, Bit>,
}

impl Logic for TlpSlice {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, d0, d1, half, last, bar, full, next_d0, next_d1, next_half, next_last,
            next_bar, held
        );
        self.m.d0.next = self.d0.q.val();
        self.m.d1.next = self.d1.q.val();
        self.m.half.next = self.half.q.val();
        self.m.last.next = self.last.q.val();
        self.m.bar.next = self.bar.q.val();
        self.m.valid.next = self.full.q.val();
        self.s.ready.next = !self.held.q.val();
        self.moves.next = !self.full.q.val() | self.m.ready.val();
        if self.moves.val() {
            self.held.d.next = false;
            if self.held.q.val() {
                self.full.d.next = true;
                self.d0.d.next = self.next_d0.q.val();
                self.d1.d.next = self.next_d1.q.val();
                self.half.d.next = self.next_half.q.val();
                self.last.d.next = self.next_last.q.val();
                self.bar.d.next = self.next_bar.q.val();
            } else {
                self.full.d.next = self.s.valid.val();
                self.d0.d.next = self.s.d0.val();
                self.d1.d.next = self.s.d1.val();
                self.half.d.next = self.s.half.val();
                self.last.d.next = self.s.last.val();
                self.bar.d.next = self.s.bar.val();
            }
        } else if !self.held.q.val() {
            self.held.d.next = self.s.valid.val();
            self.next_d0.d.next = self.s.d0.val();
            self.next_d1.d.next = self.s.d1.val();
            self.next_half.d.next = self.s.half.val();
            self.next_last.d.next = self.s.last.val();
            self.next_bar.d.next = self.s.bar.val();
        }
        if self.reset.val() {
            self.full.d.next = false;
            self.held.d.next = false;
        }
    }
}
