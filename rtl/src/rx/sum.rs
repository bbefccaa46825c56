//! One's-complement sum over chosen half-words of a stream of beats (RFC 1071), in two pipeline stages.
use rust_hdl::prelude::*;

/// Adds the half-words of each beat that `mask` names.
///
/// Half-words are taken as they lie in the words (first byte in the low bits); RFC 1071 section 2 (B) allows that as long as
/// what is added or compared later has its bytes swapped too. A beat given in cycle t counts in `sum` from cycle t + 2 on.
#[derive(LogicBlock, Default)]
pub struct LaneSum {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Bytes 0 to 3 of the beat.
    pub d0: Signal<In, Bits<32>>,
    /// Bytes 4 to 7.
    pub d1: Signal<In, Bits<32>>,
    /// One bit a half-word.
    pub mask: Signal<In, Bits<4>>,
    /// The sum starts anew with this beat.
    pub first: Signal<In, Bit>,
    /// The beat is there.
    pub valid: Signal<In, Bit>,
    /// The sum, folded so far that bits 15:0 plus bits 19:16 are congruent to it modulo 65535.
    pub sum: Signal<Out, Bits<20>>,
    lanes: DFF<Bits<18>>,
    lanes_first: DFF<Bit>,
    lanes_valid: DFF<Bit>,
    acc: DFF<Bits<20>>,
    l0: Signal<Local, Bits<18>>,
    l1: Signal<Local, Bits<18>>,
    l2: Signal<Local, Bits<18>>,
    l3: Signal<Local, Bits<18>>,
    kept: Signal<Local, Bits<20>>,
}

impl Logic for LaneSum {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, lanes, lanes_first, lanes_valid, acc);
        self.sum.next = self.acc.q.val();
        self.l0.next = 0.into();
        self.l1.next = 0.into();
        self.l2.next = 0.into();
        self.l3.next = 0.into();
        self.kept.next = 0.into();
        self.lanes_valid.d.next = self.valid.val();
        if self.valid.val() {
            self.lanes_first.d.next = self.first.val();
            if self.mask.val().get_bit(0) {
                self.l0.next = bit_cast::<18, 16>(self.d0.val().get_bits::<16>(0));
            }
            if self.mask.val().get_bit(1) {
                self.l1.next = bit_cast::<18, 16>(self.d0.val().get_bits::<16>(16));
            }
            if self.mask.val().get_bit(2) {
                self.l2.next = bit_cast::<18, 16>(self.d1.val().get_bits::<16>(0));
            }
            if self.mask.val().get_bit(3) {
                self.l3.next = bit_cast::<18, 16>(self.d1.val().get_bits::<16>(16));
            }
            self.lanes.d.next = self.l0.val() + self.l1.val() + self.l2.val() + self.l3.val();
        }
        if self.lanes_valid.q.val() {
            if !self.lanes_first.q.val() {
                self.kept.next = bit_cast::<20, 16>(self.acc.q.val().get_bits::<16>(0))
                    + (self.acc.q.val() >> 16);
            }
            self.acc.d.next = self.kept.val() + bit_cast::<20, 18>(self.lanes.q.val());
        }
    }
}
