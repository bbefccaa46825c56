//! Memory of a store-and-forward buffer of frames, 32 KiB, with its reading side: committed frames come out at a beat a cycle.
//!
//! The place before a frame's data describes it: its length in bytes in bits 14:0 of the lower word, the rest as the buffer likes.
//! Where frames are put, and when they are committed, is the buffer's business.
use rust_hdl::prelude::*;

/// What the reading side does.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum StoreState {
    /// Waits for a committed frame.
    Empty,
    /// The description comes out of the memory.
    Describe,
    /// The data comes out of the memory.
    Data,
}

/// The memory and its reading side. Each output is written once, so that it wakes the buffer only if it changes.
#[derive(LogicBlock)]
pub struct FrameStore {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset: nothing is committed, reading begins at place 0.
    pub reset: Signal<In, Bit>,
    /// Where to write.
    pub place: Signal<In, Bits<12>>,
    /// Bytes 0 to 3.
    pub d0: Signal<In, Bits<32>>,
    /// Bytes 4 to 7.
    pub d1: Signal<In, Bits<32>>,
    /// Stores bytes 0 to 3.
    pub write0: Signal<In, Bit>,
    /// Stores bytes 4 to 7.
    pub write1: Signal<In, Bit>,
    /// Place behind the last committed frame, from a register.
    pub base: Signal<In, Bits<12>>,
    /// Place that is read next; what lies from here to `base` must not be written.
    pub rd: Signal<Out, Bits<12>>,
    /// Bytes 0 to 3 of what was read.
    pub q0: Signal<Out, Bits<32>>,
    /// Bytes 4 to 7.
    pub q1: Signal<Out, Bits<32>>,
    /// What was read describes the next frame; high for one cycle.
    pub describes: Signal<Out, Bit>,
    /// What was read is a beat of the frame; no gap until `last`.
    pub valid: Signal<Out, Bit>,
    /// The valid bytes of the beat.
    pub keep: Signal<Out, Bits<8>>,
    /// The frame's last beat.
    pub last: Signal<Out, Bit>,
    /// The beat is taken.
    pub ready: Signal<In, Bit>,
    /// A committed frame is not yet read to its end.
    pub busy: Signal<Out, Bit>,
    ram0: RAM<Bits<32>, 12>,
    ram1: RAM<Bits<32>, 12>,
    rd_q: DFF<Bits<12>>,
    state: DFF<StoreState>,
    /// Whole beats of the frame that are not taken yet; straight out of the memory, whose output comes late in the cycle.
    left: DFF<Bits<12>>,
    /// Bytes in its last beat if that is not whole, else 0.
    tail: DFF<Bits<3>>,
    rd_after: Signal<Local, Bits<12>>,
    rd_next: Signal<Local, Bits<12>>,
    missing: Signal<Local, Bits<3>>,
    is_last: Signal<Local, Bit>,
    bytes: Signal<Local, Bits<8>>,
    all_bytes: Constant<Bits<8>>,
}

impl Default for FrameStore {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            place: Default::default(),
            d0: Default::default(),
            d1: Default::default(),
            write0: Default::default(),
            write1: Default::default(),
            base: Default::default(),
            rd: Default::default(),
            q0: Default::default(),
            q1: Default::default(),
            describes: Default::default(),
            valid: Default::default(),
            keep: Default::default(),
            last: Default::default(),
            ready: Default::default(),
            busy: Default::default(),
            ram0: Default::default(),
            ram1: Default::default(),
            rd_q: Default::default(),
            state: Default::default(),
            left: Default::default(),
            tail: Default::default(),
            rd_after: Default::default(),
            rd_next: Default::default(),
            missing: Default::default(),
            is_last: Default::default(),
            bytes: Default::default(),
            all_bytes: Constant::new(0xFF.into()),
        }
    }
}

impl Logic for FrameStore {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, rd_q, state, left, tail);
        self.ram0.read_clock.next = self.clock.val();
        self.ram0.write_clock.next = self.clock.val();
        self.ram1.read_clock.next = self.clock.val();
        self.ram1.write_clock.next = self.clock.val();
        self.ram0.write_address.next = self.place.val();
        self.ram1.write_address.next = self.place.val();
        self.ram0.write_data.next = self.d0.val();
        self.ram1.write_data.next = self.d1.val();
        self.ram0.write_enable.next = self.write0.val();
        self.ram1.write_enable.next = self.write1.val();
        self.rd.next = self.rd_q.q.val();
        self.q0.next = self.ram0.read_data.val();
        self.q1.next = self.ram1.read_data.val();
        self.busy.next =
            (self.base.val() != self.rd_q.q.val()) | (self.state.q.val() != StoreState::Empty);
        self.describes.next = self.state.q.val() == StoreState::Describe;
        self.valid.next = self.state.q.val() == StoreState::Data;
        self.is_last.next =
            (self.left.q.val() == 0) | ((self.left.q.val() == 1) & (self.tail.q.val() == 0));
        self.last.next = self.is_last.val();
        self.bytes.next = self.all_bytes.val();
        self.missing.next = (self.tail.q.val() ^ 7) + 1;
        if self.is_last.val() {
            self.bytes.next = self.all_bytes.val() >> self.missing.val();
        }
        self.keep.next = self.bytes.val();

        // The memory's output belongs to the address of the cycle before, so the address runs ahead of `rd`.
        self.rd_after.next = self.rd_q.q.val() + 1;
        self.rd_next.next = self.rd_q.q.val();
        match self.state.q.val() {
            StoreState::Empty => {
                if self.base.val() != self.rd_q.q.val() {
                    self.state.d.next = StoreState::Describe;
                }
            }
            StoreState::Describe => {
                self.left.d.next = self.ram0.read_data.val().get_bits::<12>(3);
                self.tail.d.next = self.ram0.read_data.val().get_bits::<3>(0);
                self.rd_next.next = self.rd_after.val();
                self.state.d.next = StoreState::Data;
            }
            StoreState::Data => {
                if self.ready.val() {
                    self.rd_next.next = self.rd_after.val();
                    self.left.d.next = self.left.q.val() - 1;
                    if self.is_last.val() {
                        self.state.d.next = StoreState::Empty;
                    }
                }
            }
            _ => {
                self.state.d.next = StoreState::Empty;
            }
        }
        self.rd_q.d.next = self.rd_next.val();
        self.ram0.read_address.next = self.rd_next.val();
        self.ram1.read_address.next = self.rd_next.val();
        if self.reset.val() {
            self.rd_q.d.next = 0.into();
            self.state.d.next = StoreState::Empty;
        }
    }
}
