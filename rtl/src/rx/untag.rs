//! Takes an 802.1Q tag out of the stream of beats.
use super::ports::{RxBeatSink, RxBeatSource};
use rust_hdl::prelude::*;

/// Gives the frames as they come, those with a tag (EtherType 0x8100, IEEE 802.1Q clause 9.6) without its four bytes.
///
/// Of a frame with a tag the second beat is missing, and a last beat may follow a cycle after that of the input. A tag further in, or one of
/// another type, stays; so does one in whose beat the frame ends.
#[derive(LogicBlock)]
pub struct Untag {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// From the MAC.
    pub s: RxBeatSink,
    /// Without tags.
    pub m: RxBeatSource,
    /// The frame has a tag; steady from its second beat to the next frame's first.
    pub has_tag: Signal<Out, Bit>,
    /// Its tag control information.
    pub tci: Signal<Out, Bits<16>>,
    /// A last beat is about to follow.
    pub busy: Signal<Out, Bit>,
    /// Beats of this frame so far, up to 2.
    number: DFF<Bits<2>>,
    r_tagged: DFF<Bit>,
    r_tci: DFF<Bits<16>>,
    /// The word that the tag has held back.
    held: DFF<Bits<32>>,
    flush: DFF<Bit>,
    flush_keep: DFF<Bits<4>>,
    flush_bad: DFF<Bits<4>>,
    is_tag: Signal<Local, Bit>,
    /// The upper word of the beat stays for a beat of its own.
    more: Signal<Local, Bit>,
    type_vlan: Constant<Bits<16>>,
}

impl Default for Untag {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            s: Default::default(),
            m: Default::default(),
            has_tag: Default::default(),
            tci: Default::default(),
            busy: Default::default(),
            number: Default::default(),
            r_tagged: Default::default(),
            r_tci: Default::default(),
            held: Default::default(),
            flush: Default::default(),
            flush_keep: Default::default(),
            flush_bad: Default::default(),
            is_tag: Default::default(),
            more: Default::default(),
            // 0x8100 as it lies in the word.
            type_vlan: Constant::new(0x0081.into()),
        }
    }
}

impl Logic for Untag {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, number, r_tagged, r_tci, held, flush, flush_keep, flush_bad);
        self.has_tag.next = self.r_tagged.q.val();
        self.tci.next = self.r_tci.q.val();
        self.busy.next = self.flush.q.val();
        self.m.d0.next = self.s.d0.val();
        self.m.d1.next = self.s.d1.val();
        self.m.keep.next = self.s.keep.val();
        self.m.last.next = self.s.last.val();
        self.m.bad.next = self.s.bad.val();
        self.m.valid.next = self.s.valid.val();
        self.is_tag.next = (self.number.q.val() == 1)
            & (self.s.d1.val().get_bits::<16>(0) == self.type_vlan.val())
            & !self.s.last.val();
        self.more.next = false;
        self.flush.d.next = false;
        if self.s.valid.val() {
            if self.number.q.val() != 2 {
                self.number.d.next = self.number.q.val() + 1;
            }
            if self.number.q.val() == 0 {
                self.r_tagged.d.next = false;
            }
            if self.s.last.val() {
                self.number.d.next = 0.into();
            }
        }
        if self.flush.q.val() {
            self.m.d0.next = self.held.q.val();
            self.m.keep.next = bit_cast::<8, 4>(self.flush_keep.q.val());
            self.m.last.next = true;
            self.m.bad.next = self.flush_bad.q.val();
            self.m.valid.next = true;
        } else if (self.number.q.val() == 2) & self.r_tagged.q.val() {
            self.more.next = self.s.last.val() & self.s.keep.val().get_bit(4);
            self.m.d0.next = self.held.q.val();
            self.m.d1.next = self.s.d0.val();
            self.m.keep.next = (bit_cast::<8, 4>(self.s.keep.val().get_bits::<4>(0)) << 4) | 15;
            self.m.last.next = self.s.last.val() & !self.more.val();
            if self.s.valid.val() {
                self.held.d.next = self.s.d1.val();
                self.flush.d.next = self.more.val();
                self.flush_keep.d.next = self.s.keep.val().get_bits::<4>(4);
                self.flush_bad.d.next = self.s.bad.val();
            }
        } else if self.is_tag.val() {
            self.m.valid.next = false;
            if self.s.valid.val() {
                self.held.d.next = self.s.d0.val();
                self.r_tagged.d.next = true;
                self.r_tci.d.next = (bit_cast::<16, 8>(self.s.d1.val().get_bits::<8>(16)) << 8)
                    | bit_cast::<16, 8>(self.s.d1.val().get_bits::<8>(24));
            }
        }
        if self.reset.val() {
            self.number.d.next = 0.into();
            self.r_tagged.d.next = false;
            self.flush.d.next = false;
        }
    }
}
