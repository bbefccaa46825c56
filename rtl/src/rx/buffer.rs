//! Store-and-forward buffer of received frames, 16 KiB, with rollback of those that turn out bad.
//!
//! A frame takes one word pair more than its data: the first holds what is known about it, so that no second FIFO is needed.
//! A frame that does not fit is remembered as lost until it is committed or rolled back.
use super::ports::RxPacketSource;
use rust_hdl::prelude::*;

/// What the reading side does.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum ReadState {
    /// Waits for a committed frame.
    Empty,
    /// The descriptor comes out of the memory.
    Describe,
    /// The data comes out of the memory.
    Data,
}

/// The buffer. Writing takes no back-pressure; reading runs at a beat a cycle.
#[derive(LogicBlock)]
pub struct RxBuffer {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset: empties the buffer.
    pub reset: Signal<In, Bit>,
    /// Bytes 0 to 3 of the beat.
    pub d0: Signal<In, Bits<32>>,
    /// Bytes 4 to 7.
    pub d1: Signal<In, Bits<32>>,
    /// Stores the beat.
    pub write: Signal<In, Bit>,
    /// Ends the frame and gives it to the reader, unless `lost`. Not together with `write`.
    pub commit: Signal<In, Bit>,
    /// Forgets the frame. Not together with `write`.
    pub rollback: Signal<In, Bit>,
    /// With `commit`: length in bytes.
    pub len: Signal<In, Bits<15>>,
    /// With `commit`: `cqe_status` bits IP_OK to FRAG.
    pub status: Signal<In, Bits<7>>,
    /// With `commit`: `cqe_status` bit FCS_ERR.
    pub fcs_err: Signal<In, Bit>,
    /// With `commit`: half-word offset of L4, 0 none; L3 is at 7 if `status` says IPV4.
    pub l4_offset: Signal<In, Bits<6>>,
    /// With `commit`: the time.
    pub timestamp: Signal<In, Bits<32>>,
    /// The frame being written did not fit.
    pub lost: Signal<Out, Bit>,
    /// Frames out.
    pub packet: RxPacketSource,
    /// A committed frame is not yet read to its end.
    pub busy: Signal<Out, Bit>,
    ram0: RAM<Bits<32>, 11>,
    ram1: RAM<Bits<32>, 11>,
    /// Where the frame being written begins, with its descriptor.
    base: DFF<Bits<11>>,
    wr: DFF<Bits<11>>,
    rd: DFF<Bits<11>>,
    r_lost: DFF<Bit>,
    state: DFF<ReadState>,
    /// Beats after the one that is at the output.
    left: DFF<Bits<11>>,
    tail_keep: DFF<Bits<8>>,
    r_len: DFF<Bits<15>>,
    r_status: DFF<Bits<16>>,
    r_offsets: DFF<Bits<16>>,
    r_timestamp: DFF<Bits<32>>,
    wr_after: Signal<Local, Bits<11>>,
    base_after: Signal<Local, Bits<11>>,
    rd_after: Signal<Local, Bits<11>>,
    rd_next: Signal<Local, Bits<11>>,
    full: Signal<Local, Bit>,
    store: Signal<Local, Bit>,
    word: Signal<Local, Bits<32>>,
    last_byte: Signal<Local, Bits<15>>,
    rest: Signal<Local, Bits<3>>,
    is_last: Signal<Local, Bit>,
    all_bytes: Constant<Bits<8>>,
}

impl Default for RxBuffer {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            d0: Default::default(),
            d1: Default::default(),
            write: Default::default(),
            commit: Default::default(),
            rollback: Default::default(),
            len: Default::default(),
            status: Default::default(),
            fcs_err: Default::default(),
            l4_offset: Default::default(),
            timestamp: Default::default(),
            lost: Default::default(),
            packet: Default::default(),
            busy: Default::default(),
            ram0: Default::default(),
            ram1: Default::default(),
            base: Default::default(),
            wr: Default::default(),
            rd: Default::default(),
            r_lost: Default::default(),
            state: Default::default(),
            left: Default::default(),
            tail_keep: Default::default(),
            r_len: Default::default(),
            r_status: Default::default(),
            r_offsets: Default::default(),
            r_timestamp: Default::default(),
            wr_after: Default::default(),
            base_after: Default::default(),
            rd_after: Default::default(),
            rd_next: Default::default(),
            full: Default::default(),
            store: Default::default(),
            word: Default::default(),
            last_byte: Default::default(),
            rest: Default::default(),
            is_last: Default::default(),
            all_bytes: Constant::new(0xFF.into()),
        }
    }
}

impl Logic for RxBuffer {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            base,
            wr,
            rd,
            r_lost,
            state,
            left,
            tail_keep,
            r_len,
            r_status,
            r_offsets,
            r_timestamp
        );
        self.ram0.read_clock.next = self.clock.val();
        self.ram0.write_clock.next = self.clock.val();
        self.ram1.read_clock.next = self.clock.val();
        self.ram1.write_clock.next = self.clock.val();
        self.lost.next = self.r_lost.q.val();
        self.busy.next =
            (self.base.q.val() != self.rd.q.val()) | (self.state.q.val() != ReadState::Empty);

        // Writing. `base` == `rd` means empty, so one word pair always stays free.
        self.wr_after.next = self.wr.q.val() + 1;
        self.base_after.next = self.base.q.val() + 1;
        self.full.next =
            (self.wr.q.val() == self.rd.q.val()) | (self.wr_after.val() == self.rd.q.val());
        self.store.next = self.write.val() & !self.full.val() & !self.r_lost.q.val();
        self.word.next = 0.into();
        self.ram0.write_address.next = self.wr.q.val();
        self.ram1.write_address.next = self.wr.q.val();
        self.ram0.write_data.next = self.d0.val();
        self.ram1.write_data.next = self.d1.val();
        self.ram0.write_enable.next = self.store.val();
        self.ram1.write_enable.next = self.store.val();
        if self.store.val() {
            self.wr.d.next = self.wr_after.val();
        }
        if self.write.val() & self.full.val() {
            self.r_lost.d.next = true;
        }
        if self.commit.val() & !self.r_lost.q.val() {
            self.word.next = bit_cast::<32, 15>(self.len.val())
                | (bit_cast::<32, 6>(self.l4_offset.val()) << 15)
                | (bit_cast::<32, 7>(self.status.val()) << 21)
                | (bit_cast::<32, 1>(self.fcs_err.val().into()) << 28);
            self.ram0.write_address.next = self.base.q.val();
            self.ram1.write_address.next = self.base.q.val();
            self.ram0.write_data.next = self.word.val();
            self.ram1.write_data.next = self.timestamp.val();
            self.ram0.write_enable.next = true;
            self.ram1.write_enable.next = true;
            self.base.d.next = self.wr.q.val();
            self.wr.d.next = self.wr_after.val();
        } else if self.commit.val() | self.rollback.val() {
            self.wr.d.next = self.base_after.val();
            self.r_lost.d.next = false;
        }

        // Reading. The memory's output belongs to the address of the cycle before, so the address runs ahead of `rd`.
        self.rd_after.next = self.rd.q.val() + 1;
        self.rd_next.next = self.rd.q.val();
        self.is_last.next = self.left.q.val() == 0;
        self.last_byte.next = 0.into();
        self.rest.next = 0.into();
        self.packet.d0.next = self.ram0.read_data.val();
        self.packet.d1.next = self.ram1.read_data.val();
        self.packet.valid.next = false;
        self.packet.last.next = self.is_last.val();
        self.packet.keep.next = self.all_bytes.val();
        if self.is_last.val() {
            self.packet.keep.next = self.tail_keep.q.val();
        }
        self.packet.len.next = bit_cast::<16, 15>(self.r_len.q.val());
        self.packet.status.next = self.r_status.q.val();
        self.packet.offsets.next = self.r_offsets.q.val();
        self.packet.hash.next = 0.into();
        self.packet.timestamp.next = self.r_timestamp.q.val();
        match self.state.q.val() {
            ReadState::Empty => {
                if self.base.q.val() != self.rd.q.val() {
                    self.state.d.next = ReadState::Describe;
                }
            }
            ReadState::Describe => {
                self.r_len.d.next = self.ram0.read_data.val().get_bits::<15>(0);
                self.r_status.d.next =
                    bit_cast::<16, 7>(self.ram0.read_data.val().get_bits::<7>(21))
                        | (bit_cast::<16, 1>(self.ram0.read_data.val().get_bits::<1>(28)) << 8);
                self.r_offsets.d.next =
                    bit_cast::<16, 6>(self.ram0.read_data.val().get_bits::<6>(15)) << 8;
                if self.ram0.read_data.val().get_bit(24) {
                    self.r_offsets.d.next =
                        (bit_cast::<16, 6>(self.ram0.read_data.val().get_bits::<6>(15)) << 8) | 7;
                }
                self.r_timestamp.d.next = self.ram1.read_data.val();
                self.last_byte.next = self.ram0.read_data.val().get_bits::<15>(0) - 1;
                self.left.d.next = self.last_byte.val().get_bits::<11>(3);
                self.rest.next = self.last_byte.val().get_bits::<3>(0);
                self.tail_keep.d.next = self.all_bytes.val() >> (self.rest.val() ^ 7);
                self.rd_next.next = self.rd_after.val();
                self.state.d.next = ReadState::Data;
            }
            ReadState::Data => {
                self.packet.valid.next = true;
                if self.packet.ready.val() {
                    self.rd_next.next = self.rd_after.val();
                    self.left.d.next = self.left.q.val() - 1;
                    if self.is_last.val() {
                        self.state.d.next = ReadState::Empty;
                    }
                }
            }
            _ => {
                self.state.d.next = ReadState::Empty;
            }
        }
        self.rd.d.next = self.rd_next.val();
        self.ram0.read_address.next = self.rd_next.val();
        self.ram1.read_address.next = self.rd_next.val();
        if self.reset.val() {
            self.base.d.next = 0.into();
            self.wr.d.next = 1.into();
            self.rd.d.next = 0.into();
            self.r_lost.d.next = false;
            self.state.d.next = ReadState::Empty;
        }
    }
}
