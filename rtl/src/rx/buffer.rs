//! Store-and-forward buffer of received frames, 32 KiB, with rollback of those that turn out bad.
//!
//! A frame takes one word pair more than its data: the first holds what is known about it. Only its hash and its tag, for which there is no
//! room, lie in lists of their own: a frame that a MAC lets pass takes eight places at least, a tag taken out, so that 512 are held at most.
//! A frame that does not fit is remembered as lost until it is committed or rolled back.
use super::ports::RxPacketSource;
use super::steer::Steer;
use crate::store::FrameStore;
use rust_hdl::prelude::*;

/// The buffer. Writing takes no back-pressure; reading runs at a beat a cycle.
#[derive(LogicBlock, Default)]
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
    /// With `commit`: `cqe_status` bit IPV6.
    pub is_ipv6: Signal<In, Bit>,
    /// With `commit`: half-word offset of L4, 0 none; L3 is at 7 if `status` says IPV4 or `is_ipv6` is set, behind a tag at 9.
    pub l4_offset: Signal<In, Bits<6>>,
    /// With `commit`: the flow hash; it comes out only if `status` says IP_OK, else 0.
    pub hash: Signal<In, Bits<32>>,
    /// The host writes a word of the indirection table; see [`Steer`].
    pub steer_write: Signal<In, Bit>,
    /// Which.
    pub steer_place: Signal<In, Bits<3>>,
    /// The word.
    pub steer_data: Signal<In, Bits<32>>,
    /// With `commit`: the frame came with an 802.1Q tag.
    pub has_tag: Signal<In, Bit>,
    /// With `commit`: a tag is not among the beats.
    pub stripped: Signal<In, Bit>,
    /// With `commit`: the tag control information.
    pub tci: Signal<In, Bits<16>>,
    /// With `commit`: the time.
    pub timestamp: Signal<In, Bits<32>>,
    /// The frame being written did not fit.
    pub lost: Signal<Out, Bit>,
    /// Frames out.
    pub packet: RxPacketSource,
    /// A committed frame is not yet read to its end.
    pub busy: Signal<Out, Bit>,
    /// 12 KiB are full.
    pub high: Signal<Out, Bit>,
    /// Less than 4 KiB are full.
    pub low: Signal<Out, Bit>,
    memory: FrameStore,
    /// Hash and tag control information of the frames that are committed, in rings.
    hashes: RAM<Bits<32>, 9>,
    tags: RAM<Bits<16>, 9>,
    /// The queue that each frame is for is looked up when it gets to the head.
    steer: Steer,
    /// Frames committed.
    list_in: DFF<Bits<9>>,
    /// Frames read.
    list_out: DFF<Bits<9>>,
    /// Where the frame being written begins, with its descriptor.
    base: DFF<Bits<12>>,
    wr: DFF<Bits<12>>,
    r_lost: DFF<Bit>,
    r_len: DFF<Bits<15>>,
    r_status: DFF<Bits<16>>,
    r_offsets: DFF<Bits<16>>,
    r_timestamp: DFF<Bits<32>>,
    r_hash: DFF<Bits<32>>,
    r_hashed: DFF<Bit>,
    /// Places taken, a cycle ago.
    fill: DFF<Bits<12>>,
    wr_after: Signal<Local, Bits<12>>,
    base_after: Signal<Local, Bits<12>>,
    full: Signal<Local, Bit>,
    store: Signal<Local, Bit>,
    word: Signal<Local, Bits<32>>,
    told: Signal<Local, Bits<16>>,
}

impl Logic for RxBuffer {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            base,
            wr,
            r_lost,
            r_len,
            r_status,
            r_offsets,
            r_timestamp,
            r_hash,
            r_hashed,
            fill,
            list_in,
            list_out
        );
        self.lost.next = self.r_lost.q.val();
        self.memory.clock.next = self.clock.val();
        self.memory.reset.next = self.reset.val();
        self.memory.base.next = self.base.q.val();
        self.busy.next = self.memory.busy.val();
        self.fill.d.next = self.wr.q.val() - self.memory.rd.val();
        self.high.next = self.fill.q.val().get_bit(11)
            | (self.fill.q.val().get_bit(10) & self.fill.q.val().get_bit(9));
        self.low.next = !self.fill.q.val().get_bits::<3>(9).any();

        // Writing. `base` == `rd` means empty, so one word pair always stays free.
        self.wr_after.next = self.wr.q.val() + 1;
        self.base_after.next = self.base.q.val() + 1;
        self.full.next = (self.wr.q.val() == self.memory.rd.val())
            | (self.wr_after.val() == self.memory.rd.val());
        self.store.next = self.write.val() & !self.full.val() & !self.r_lost.q.val();
        self.word.next = 0.into();
        self.told.next = 0.into();
        self.tags.read_clock.next = self.clock.val();
        self.tags.write_clock.next = self.clock.val();
        self.tags.read_address.next = self.list_out.q.val();
        self.tags.write_address.next = self.list_in.q.val();
        self.tags.write_data.next = self.tci.val();
        self.tags.write_enable.next = false;
        self.hashes.read_clock.next = self.clock.val();
        self.hashes.write_clock.next = self.clock.val();
        self.hashes.read_address.next = self.list_out.q.val();
        self.hashes.write_address.next = self.list_in.q.val();
        self.hashes.write_data.next = self.hash.val();
        self.hashes.write_enable.next = false;
        self.memory.place.next = self.wr.q.val();
        self.memory.d0.next = self.d0.val();
        self.memory.d1.next = self.d1.val();
        self.memory.write0.next = self.store.val();
        self.memory.write1.next = self.store.val();
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
                | (bit_cast::<32, 1>(self.fcs_err.val().into()) << 28)
                | (bit_cast::<32, 1>(self.has_tag.val().into()) << 29)
                | (bit_cast::<32, 1>(self.stripped.val().into()) << 30)
                | (bit_cast::<32, 1>(self.is_ipv6.val().into()) << 31);
            self.memory.place.next = self.base.q.val();
            self.memory.d0.next = self.word.val();
            self.memory.d1.next = self.timestamp.val();
            self.memory.write0.next = true;
            self.memory.write1.next = true;
            self.base.d.next = self.wr.q.val();
            self.wr.d.next = self.wr_after.val();
            self.tags.write_enable.next = true;
            self.hashes.write_enable.next = true;
            self.list_in.d.next = self.list_in.q.val() + 1;
        } else if self.commit.val() | self.rollback.val() {
            self.wr.d.next = self.base_after.val();
            self.r_lost.d.next = false;
        }

        self.steer.clock.next = self.clock.val();
        self.steer.table_write.next = self.steer_write.val();
        self.steer.table_place.next = self.steer_place.val();
        self.steer.table_data.next = self.steer_data.val();
        self.steer.coming.next = self.hashes.read_data.val();
        self.steer.hash.next = self.r_hash.q.val();
        self.steer.hashed.next = self.r_hashed.q.val();
        self.packet.d0.next = self.memory.q0.val();
        self.packet.d1.next = self.memory.q1.val();
        self.packet.valid.next = self.memory.valid.val();
        self.packet.last.next = self.memory.last.val();
        self.packet.keep.next = self.memory.keep.val();
        self.memory.ready.next = self.packet.ready.val();
        self.packet.len.next = bit_cast::<16, 15>(self.r_len.q.val());
        self.packet.status.next = self.r_status.q.val();
        self.packet.offsets.next = self.r_offsets.q.val();
        self.packet.hash.next = self.r_hash.q.val();
        self.packet.queue.next = self.steer.target.val();
        self.packet.timestamp.next = self.r_timestamp.q.val();
        if self.memory.describes.val() {
            self.r_len.d.next = self.memory.q0.val().get_bits::<15>(0);
            self.told.next = bit_cast::<16, 7>(self.memory.q0.val().get_bits::<7>(21))
                | (bit_cast::<16, 1>(self.memory.q0.val().get_bits::<1>(28)) << 8)
                | (bit_cast::<16, 1>(self.memory.q0.val().get_bits::<1>(31)) << 15);
            self.r_status.d.next = self.told.val();
            self.r_offsets.d.next = bit_cast::<16, 6>(self.memory.q0.val().get_bits::<6>(15)) << 8;
            if self.memory.q0.val().get_bit(24) | self.memory.q0.val().get_bit(31) {
                self.r_offsets.d.next =
                    (bit_cast::<16, 6>(self.memory.q0.val().get_bits::<6>(15)) << 8) | 7;
                if self.memory.q0.val().get_bit(29) {
                    self.r_offsets.d.next =
                        (bit_cast::<16, 6>(self.memory.q0.val().get_bits::<6>(15)) << 8) | 9;
                }
            }
            if self.memory.q0.val().get_bit(29) & self.memory.q0.val().get_bit(30) {
                self.r_status.d.next = self.told.val() | 0x80;
                self.r_offsets.d.next = self.tags.read_data.val();
            }
            self.r_timestamp.d.next = self.memory.q1.val();
            self.r_hash.d.next = 0.into();
            self.r_hashed.d.next = self.memory.q0.val().get_bit(21);
            if self.memory.q0.val().get_bit(21) {
                self.r_hash.d.next = self.hashes.read_data.val();
            }
        }
        if self.memory.valid.val() & self.memory.last.val() & self.packet.ready.val() {
            self.list_out.d.next = self.list_out.q.val() + 1;
        }
        if self.reset.val() {
            self.base.d.next = 0.into();
            self.wr.d.next = 1.into();
            self.r_lost.d.next = false;
            self.list_in.d.next = 0.into();
            self.list_out.d.next = 0.into();
            self.fill.d.next = 0.into();
        }
    }
}
