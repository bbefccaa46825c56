//! Store-and-forward buffer of frames to be sent, 32 KiB.
//!
//! The place before a frame's data holds its length, its tag and its mark. Nothing moves before `commit`, so forgetting a frame costs nothing.
use super::tagger::Tagger;
use crate::store::FrameStore;
use crate::stream::FrameSource;
use rust_hdl::prelude::*;

/// The buffer. The frame being written can be written at any place, in any order, word by word.
#[derive(LogicBlock, Default)]
pub struct TxBuffer {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset: empties the buffer.
    pub reset: Signal<In, Bit>,
    /// Bytes 0 to 3 of the beat.
    pub d0: Signal<In, Bits<32>>,
    /// Bytes 4 to 7.
    pub d1: Signal<In, Bits<32>>,
    /// Number of the beat in the frame.
    pub beat: Signal<In, Bits<11>>,
    /// Stores bytes 0 to 3.
    pub write0: Signal<In, Bit>,
    /// Stores bytes 4 to 7.
    pub write1: Signal<In, Bit>,
    /// Gives the frame to the reader. Not together with a write.
    pub commit: Signal<In, Bit>,
    /// With `commit`: length in bytes, at least 1.
    pub len: Signal<In, Bits<15>>,
    /// With `commit`: an 802.1Q tag goes into the frame, which has 14 bytes or more.
    pub tag: Signal<In, Bit>,
    /// With `commit`: its tag control information.
    pub tci: Signal<In, Bits<16>>,
    /// With `commit`: the frame is marked.
    pub stamp: Signal<In, Bit>,
    /// Four more beats than those up to the `beat` of the cycle before fit.
    pub room: Signal<Out, Bit>,
    /// Frames out, without a gap in them.
    pub frame: FrameSource,
    /// From a frame's first beat on: it is marked.
    pub mark: Signal<Out, Bit>,
    /// A committed frame is not yet read to its end.
    pub busy: Signal<Out, Bit>,
    memory: FrameStore,
    tagger: Tagger,
    /// Place of the length of the frame being written.
    base: DFF<Bits<12>>,
    /// The place behind it.
    start: DFF<Bits<12>>,
    r_room: DFF<Bit>,
    r_mark: DFF<Bit>,
    free: DFF<Bits<12>>,
    needed: Signal<Local, Bits<12>>,
    place: Signal<Local, Bits<12>>,
    beats: Signal<Local, Bits<15>>,
    new_base: Signal<Local, Bits<12>>,
}

impl Logic for TxBuffer {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, base, start, r_room, r_mark, free);
        clock!(self, clock, memory, tagger);
        self.memory.reset.next = self.reset.val();
        self.tagger.reset.next = self.reset.val();
        self.memory.base.next = self.base.q.val();
        self.busy.next = self.memory.busy.val() | self.tagger.busy.val();

        // Writing. `base` == `rd` means empty, so one place always stays free; the rest of the margin makes up for registers.
        self.free.d.next = self.memory.rd.val() - self.start.q.val();
        self.needed.next = bit_cast::<12, 11>(self.beat.val()) + 8;
        self.r_room.d.next = self.needed.val() < self.free.q.val();
        self.room.next = self.r_room.q.val();
        self.place.next = self.start.q.val() + bit_cast::<12, 11>(self.beat.val());
        self.beats.next = 0.into();
        self.new_base.next = 0.into();
        self.memory.place.next = self.place.val();
        self.memory.d0.next = self.d0.val();
        self.memory.d1.next = self.d1.val();
        self.memory.write0.next = self.write0.val();
        self.memory.write1.next = self.write1.val();
        if self.commit.val() {
            self.memory.place.next = self.base.q.val();
            self.memory.d0.next = bit_cast::<32, 15>(self.len.val());
            self.memory.d1.next = (bit_cast::<32, 1>(self.stamp.val().into()) << 17)
                | (bit_cast::<32, 1>(self.tag.val().into()) << 16)
                | bit_cast::<32, 16>(self.tci.val());
            self.memory.write0.next = true;
            self.memory.write1.next = true;
            self.beats.next = self.len.val() + 7;
            self.new_base.next = self.start.q.val() + self.beats.val().get_bits::<12>(3);
            self.base.d.next = self.new_base.val();
            self.start.d.next = self.new_base.val() + 1;
        }

        self.mark.next = self.r_mark.q.val();
        if self.memory.describes.val() {
            self.r_mark.d.next = self.memory.q1.val().get_bit(17);
        }
        self.tagger.describes.next = self.memory.describes.val();
        self.tagger.tag.next = self.memory.q1.val().get_bit(16);
        self.tagger.tci.next = bit_cast::<16, 32>(self.memory.q1.val());
        self.tagger.data.d0.next = self.memory.q0.val();
        self.tagger.data.d1.next = self.memory.q1.val();
        self.tagger.data.valid.next = self.memory.valid.val();
        self.tagger.data.last.next = self.memory.last.val();
        self.tagger.data.keep.next = self.memory.keep.val();
        self.memory.ready.next = self.tagger.data.ready.val();
        FrameSource::link(&mut self.frame, &mut self.tagger.frame);
        if self.reset.val() {
            self.base.d.next = 0.into();
            self.start.d.next = 1.into();
            self.free.d.next = 0.into();
            self.r_room.d.next = false;
            self.r_mark.d.next = false;
        }
    }
}
