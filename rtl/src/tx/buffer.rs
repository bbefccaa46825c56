//! Store-and-forward buffer of frames to be sent, 16 KiB.
//!
//! The place before a frame's data holds its length. Nothing moves before `commit`, so forgetting a frame costs nothing.
use crate::stream::FrameSource;
use rust_hdl::prelude::*;

/// What the reading side does.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum SendState {
    /// Waits for a committed frame.
    Empty,
    /// The length comes out of the memory.
    Describe,
    /// The data comes out of the memory.
    Data,
}

/// The buffer. The frame being written can be written at any place, in any order, word by word.
#[derive(LogicBlock)]
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
    /// Four more beats than those up to the `beat` of the cycle before fit.
    pub room: Signal<Out, Bit>,
    /// Frames out, without a gap in them.
    pub frame: FrameSource,
    /// A committed frame is not yet read to its end.
    pub busy: Signal<Out, Bit>,
    ram0: RAM<Bits<32>, 11>,
    ram1: RAM<Bits<32>, 11>,
    /// Place of the length of the frame being written.
    base: DFF<Bits<11>>,
    /// The place behind it.
    start: DFF<Bits<11>>,
    rd: DFF<Bits<11>>,
    r_room: DFF<Bit>,
    state: DFF<SendState>,
    /// Beats after the one that is at the output.
    left: DFF<Bits<11>>,
    tail_keep: DFF<Bits<8>>,
    free: Signal<Local, Bits<11>>,
    needed: Signal<Local, Bits<11>>,
    place: Signal<Local, Bits<11>>,
    beats: Signal<Local, Bits<15>>,
    new_base: Signal<Local, Bits<11>>,
    rd_after: Signal<Local, Bits<11>>,
    rd_next: Signal<Local, Bits<11>>,
    last_byte: Signal<Local, Bits<15>>,
    rest: Signal<Local, Bits<3>>,
    is_last: Signal<Local, Bit>,
    all_bytes: Constant<Bits<8>>,
}

impl Default for TxBuffer {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            d0: Default::default(),
            d1: Default::default(),
            beat: Default::default(),
            write0: Default::default(),
            write1: Default::default(),
            commit: Default::default(),
            len: Default::default(),
            room: Default::default(),
            frame: Default::default(),
            busy: Default::default(),
            ram0: Default::default(),
            ram1: Default::default(),
            base: Default::default(),
            start: Default::default(),
            rd: Default::default(),
            r_room: Default::default(),
            state: Default::default(),
            left: Default::default(),
            tail_keep: Default::default(),
            free: Default::default(),
            needed: Default::default(),
            place: Default::default(),
            beats: Default::default(),
            new_base: Default::default(),
            rd_after: Default::default(),
            rd_next: Default::default(),
            last_byte: Default::default(),
            rest: Default::default(),
            is_last: Default::default(),
            all_bytes: Constant::new(0xFF.into()),
        }
    }
}

impl Logic for TxBuffer {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, base, start, rd, r_room, state, left, tail_keep);
        self.ram0.read_clock.next = self.clock.val();
        self.ram0.write_clock.next = self.clock.val();
        self.ram1.read_clock.next = self.clock.val();
        self.ram1.write_clock.next = self.clock.val();
        self.busy.next =
            (self.base.q.val() != self.rd.q.val()) | (self.state.q.val() != SendState::Empty);

        // Writing. `base` == `rd` means empty, so one place always stays free; the rest of the margin makes up for registers.
        self.free.next = self.rd.q.val() - self.start.q.val();
        self.needed.next = self.beat.val() + 8;
        self.r_room.d.next = self.needed.val() < self.free.val();
        self.room.next = self.r_room.q.val();
        self.place.next = self.start.q.val() + self.beat.val();
        self.beats.next = 0.into();
        self.new_base.next = 0.into();
        self.ram0.write_address.next = self.place.val();
        self.ram1.write_address.next = self.place.val();
        self.ram0.write_data.next = self.d0.val();
        self.ram1.write_data.next = self.d1.val();
        self.ram0.write_enable.next = self.write0.val();
        self.ram1.write_enable.next = self.write1.val();
        if self.commit.val() {
            self.ram0.write_address.next = self.base.q.val();
            self.ram0.write_data.next = bit_cast::<32, 15>(self.len.val());
            self.ram0.write_enable.next = true;
            self.beats.next = self.len.val() + 7;
            self.new_base.next = self.start.q.val() + self.beats.val().get_bits::<11>(3);
            self.base.d.next = self.new_base.val();
            self.start.d.next = self.new_base.val() + 1;
        }

        // Reading. The memory's output belongs to the address of the cycle before, so the address runs ahead of `rd`.
        self.rd_after.next = self.rd.q.val() + 1;
        self.rd_next.next = self.rd.q.val();
        self.is_last.next = self.left.q.val() == 0;
        self.last_byte.next = 0.into();
        self.rest.next = 0.into();
        self.frame.d0.next = self.ram0.read_data.val();
        self.frame.d1.next = self.ram1.read_data.val();
        self.frame.valid.next = false;
        self.frame.last.next = self.is_last.val();
        self.frame.keep.next = self.all_bytes.val();
        if self.is_last.val() {
            self.frame.keep.next = self.tail_keep.q.val();
        }
        match self.state.q.val() {
            SendState::Empty => {
                if self.base.q.val() != self.rd.q.val() {
                    self.state.d.next = SendState::Describe;
                }
            }
            SendState::Describe => {
                self.last_byte.next = self.ram0.read_data.val().get_bits::<15>(0) - 1;
                self.left.d.next = self.last_byte.val().get_bits::<11>(3);
                self.rest.next = self.last_byte.val().get_bits::<3>(0);
                self.tail_keep.d.next = self.all_bytes.val() >> (self.rest.val() ^ 7);
                self.rd_next.next = self.rd_after.val();
                self.state.d.next = SendState::Data;
            }
            SendState::Data => {
                self.frame.valid.next = true;
                if self.frame.ready.val() {
                    self.rd_next.next = self.rd_after.val();
                    self.left.d.next = self.left.q.val() - 1;
                    if self.is_last.val() {
                        self.state.d.next = SendState::Empty;
                    }
                }
            }
            _ => {
                self.state.d.next = SendState::Empty;
            }
        }
        self.rd.d.next = self.rd_next.val();
        self.ram0.read_address.next = self.rd_next.val();
        self.ram1.read_address.next = self.rd_next.val();
        if self.reset.val() {
            self.base.d.next = 0.into();
            self.start.d.next = 1.into();
            self.rd.d.next = 0.into();
            self.r_room.d.next = false;
            self.state.d.next = SendState::Empty;
        }
    }
}
