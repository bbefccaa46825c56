//! Puts an 802.1Q tag into the frames that are to have one.
use crate::stream::{FrameSink, FrameSource};
use rust_hdl::prelude::*;

/// Gives the frames as they come, those with `tag` with EtherType 0x8100 and their tag control information behind the source
/// address (IEEE 802.1Q clause 9.6). Such a frame has 14 bytes or more; a last beat may follow that of the input.
#[derive(LogicBlock)]
pub struct Tagger {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// High for one cycle, before a frame's first beat: the next two hold for it.
    pub describes: Signal<In, Bit>,
    /// The frame gets a tag.
    pub tag: Signal<In, Bit>,
    /// Its tag control information.
    pub tci: Signal<In, Bits<16>>,
    /// Frames.
    pub data: FrameSink,
    /// The same with their tags.
    pub frame: FrameSource,
    /// A last beat is about to follow.
    pub busy: Signal<Out, Bit>,
    /// Beats taken of the frame, up to 2.
    number: DFF<Bits<2>>,
    r_tag: DFF<Bit>,
    r_tci: DFF<Bits<16>>,
    /// The word that the tag has pushed out of its beat.
    held: DFF<Bits<32>>,
    flush: DFF<Bit>,
    flush_keep: DFF<Bits<4>>,
    /// The upper word of the beat stays for a beat of its own.
    more: Signal<Local, Bit>,
    last: Signal<Local, Bit>,
    valid: Signal<Local, Bit>,
    take: Signal<Local, Bit>,
    type_vlan: Constant<Bits<32>>,
}

impl Default for Tagger {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            describes: Default::default(),
            tag: Default::default(),
            tci: Default::default(),
            data: Default::default(),
            frame: Default::default(),
            busy: Default::default(),
            number: Default::default(),
            r_tag: Default::default(),
            r_tci: Default::default(),
            held: Default::default(),
            flush: Default::default(),
            flush_keep: Default::default(),
            more: Default::default(),
            last: Default::default(),
            valid: Default::default(),
            take: Default::default(),
            // 0x8100 as it lies in the word.
            type_vlan: Constant::new(0x0081.into()),
        }
    }
}

impl Logic for Tagger {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, number, r_tag, r_tci, held, flush, flush_keep);
        self.busy.next = self.flush.q.val();
        if self.describes.val() {
            self.r_tag.d.next = self.tag.val();
            self.r_tci.d.next = self.tci.val();
        }
        self.more.next = self.data.last.val()
            & self.data.keep.val().get_bit(4)
            & self.r_tag.q.val()
            & self.number.q.val().any();
        self.frame.d0.next = self.data.d0.val();
        self.frame.d1.next = self.data.d1.val();
        self.frame.keep.next = self.data.keep.val();
        self.last.next = self.data.last.val() & !self.more.val();
        self.valid.next = self.data.valid.val() | self.flush.q.val();
        if self.flush.q.val() {
            self.frame.d0.next = self.held.q.val();
            // Of no meaning, but it must not change.
            self.frame.d1.next = self.held.q.val();
            self.frame.keep.next = bit_cast::<8, 4>(self.flush_keep.q.val());
            self.last.next = true;
        } else if self.r_tag.q.val() & self.number.q.val().any() {
            self.frame.keep.next =
                (bit_cast::<8, 4>(self.data.keep.val().get_bits::<4>(0)) << 4) | 15;
            if self.number.q.val() == 1 {
                self.frame.d1.next = self.type_vlan.val()
                    | (bit_cast::<32, 8>(self.r_tci.q.val().get_bits::<8>(8)) << 16)
                    | (bit_cast::<32, 8>(self.r_tci.q.val().get_bits::<8>(0)) << 24);
            } else {
                self.frame.d0.next = self.held.q.val();
                self.frame.d1.next = self.data.d0.val();
            }
        }
        self.frame.last.next = self.last.val();
        self.frame.valid.next = self.valid.val();
        self.data.ready.next = self.frame.ready.val() & !self.flush.q.val();
        self.take.next = self.data.valid.val() & self.frame.ready.val() & !self.flush.q.val();
        if self.take.val() {
            self.held.d.next = self.data.d1.val();
            self.flush.d.next = self.more.val();
            self.flush_keep.d.next = self.data.keep.val().get_bits::<4>(4);
            if self.number.q.val() != 2 {
                self.number.d.next = self.number.q.val() + 1;
            }
            if self.data.last.val() {
                self.number.d.next = 0.into();
            }
        }
        if self.flush.q.val() & self.frame.ready.val() {
            self.flush.d.next = false;
        }
        if self.reset.val() {
            self.number.d.next = 0.into();
            self.flush.d.next = false;
        }
    }
}
