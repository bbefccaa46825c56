//! Brings a packet into the layout of its Ethernet frame: an IPv4 packet moves up by the 14 bytes of the header.
use super::ports::TxPacketSink;
use rust_hdl::prelude::*;

/// Takes the beats of one packet, then none until `restart`.
///
/// For an IPv4 packet, beat 0 of the frame is left out (it holds the destination address, which is not known yet), and beat 1
/// begins with the source address and EtherType 0x0800.
#[derive(LogicBlock)]
pub struct TxAlign {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// Own address, bytes 0 to 3, byte 0 in bits 7:0.
    pub mac_lo: Signal<In, Bits<32>>,
    /// Own address, bytes 4 and 5.
    pub mac_hi: Signal<In, Bits<16>>,
    /// There is room for at least two more beats.
    pub room: Signal<In, Bit>,
    /// The packet is dealt with: the next one may come.
    pub restart: Signal<In, Bit>,
    /// From the host.
    pub packet: TxPacketSink,
    /// Bytes 0 to 3 of a beat of the frame.
    pub d0: Signal<Out, Bits<32>>,
    /// Bytes 4 to 7.
    pub d1: Signal<Out, Bits<32>>,
    /// Number of the beat in the frame.
    pub beat: Signal<Out, Bits<11>>,
    /// The beat is there.
    pub valid: Signal<Out, Bit>,
    /// For one cycle: all beats have been given, this one included; what follows is steady until `restart`.
    pub ended: Signal<Out, Bit>,
    /// The packet is to be forgotten.
    pub forget: Signal<Out, Bit>,
    /// Length of the frame in bytes.
    pub len: Signal<Out, Bits<15>>,
    /// More beats came than a frame can have; the length is wrong.
    pub too_long: Signal<Out, Bit>,
    /// See [`super::ports::TxPacketSource`].
    pub raw: Signal<Out, Bit>,
    /// See [`super::ports::TxPacketSource`].
    pub ipcs: Signal<Out, Bit>,
    /// See [`super::ports::TxPacketSource`].
    pub l4cs: Signal<Out, Bit>,
    /// See [`super::ports::TxPacketSource`].
    pub next_hop: Signal<Out, Bits<3>>,
    /// See [`super::ports::TxPacketSource`].
    pub stamp: Signal<Out, Bit>,
    /// Steady from the last beat on.
    pub segment: Signal<Out, Bit>,
    /// Steady from the last beat on.
    pub follows: Signal<Out, Bit>,
    /// See [`super::ports::TxPacketSource`].
    pub tag: Signal<Out, Bit>,
    /// See [`super::ports::TxPacketSource`].
    pub tci: Signal<Out, Bits<16>>,
    /// A packet is under way.
    pub busy: Signal<Out, Bit>,
    /// Beats taken.
    number: DFF<Bits<11>>,
    /// The last beat has been taken.
    closed: DFF<Bit>,
    /// Bytes are left over for one more beat.
    flush: DFF<Bit>,
    carry0: DFF<Bits<32>>,
    carry1: DFF<Bits<16>>,
    r0: DFF<Bits<32>>,
    r1: DFF<Bits<32>>,
    r_beat: DFF<Bits<11>>,
    r_valid: DFF<Bit>,
    r_ended: DFF<Bit>,
    r_abort: DFF<Bit>,
    r_len: DFF<Bits<15>>,
    r_too_long: DFF<Bit>,
    r_raw: DFF<Bit>,
    r_ipcs: DFF<Bit>,
    r_l4cs: DFF<Bit>,
    r_next_hop: DFF<Bits<3>>,
    r_stamp: DFF<Bit>,
    r_segment: DFF<Bit>,
    r_follows: DFF<Bit>,
    r_tag: DFF<Bit>,
    r_tci: DFF<Bits<16>>,
    take: Signal<Local, Bit>,
    after: Signal<Local, Bits<11>>,
    count: Signal<Local, Bits<15>>,
    bytes_before: Signal<Local, Bits<15>>,
    front0: Signal<Local, Bits<32>>,
    front1: Signal<Local, Bits<16>>,
    most_beats: Constant<Bits<11>>,
    type_ipv4: Constant<Bits<16>>,
}

impl Default for TxAlign {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            mac_lo: Default::default(),
            mac_hi: Default::default(),
            room: Default::default(),
            restart: Default::default(),
            packet: Default::default(),
            d0: Default::default(),
            d1: Default::default(),
            beat: Default::default(),
            valid: Default::default(),
            ended: Default::default(),
            forget: Default::default(),
            len: Default::default(),
            too_long: Default::default(),
            raw: Default::default(),
            ipcs: Default::default(),
            l4cs: Default::default(),
            next_hop: Default::default(),
            stamp: Default::default(),
            segment: Default::default(),
            follows: Default::default(),
            tag: Default::default(),
            tci: Default::default(),
            busy: Default::default(),
            number: Default::default(),
            closed: Default::default(),
            flush: Default::default(),
            carry0: Default::default(),
            carry1: Default::default(),
            r0: Default::default(),
            r1: Default::default(),
            r_beat: Default::default(),
            r_valid: Default::default(),
            r_ended: Default::default(),
            r_abort: Default::default(),
            r_len: Default::default(),
            r_too_long: Default::default(),
            r_raw: Default::default(),
            r_ipcs: Default::default(),
            r_l4cs: Default::default(),
            r_next_hop: Default::default(),
            r_stamp: Default::default(),
            r_segment: Default::default(),
            r_follows: Default::default(),
            r_tag: Default::default(),
            r_tci: Default::default(),
            take: Default::default(),
            after: Default::default(),
            count: Default::default(),
            bytes_before: Default::default(),
            front0: Default::default(),
            front1: Default::default(),
            // 9024 bytes: more than any frame, and far less than the buffer.
            most_beats: Constant::new(1128.into()),
            // 0x0800 as it lies in the word.
            type_ipv4: Constant::new(0x0008.into()),
        }
    }
}

impl Logic for TxAlign {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, number, closed, flush, carry0, carry1, r0, r1, r_beat, r_valid, r_ended,
            r_abort, r_len, r_too_long, r_raw, r_ipcs, r_l4cs, r_next_hop, r_stamp, r_segment,
            r_follows, r_tag, r_tci
        );
        self.d0.next = self.r0.q.val();
        self.d1.next = self.r1.q.val();
        self.beat.next = self.r_beat.q.val();
        self.valid.next = self.r_valid.q.val();
        self.ended.next = self.r_ended.q.val();
        self.forget.next = self.r_abort.q.val();
        self.len.next = self.r_len.q.val();
        self.too_long.next = self.r_too_long.q.val();
        self.raw.next = self.r_raw.q.val();
        self.ipcs.next = self.r_ipcs.q.val();
        self.l4cs.next = self.r_l4cs.q.val();
        self.next_hop.next = self.r_next_hop.q.val();
        self.stamp.next = self.r_stamp.q.val();
        self.segment.next = self.r_segment.q.val();
        self.follows.next = self.r_follows.q.val();
        self.tag.next = self.r_tag.q.val();
        self.tci.next = self.r_tci.q.val();
        self.busy.next = (self.number.q.val() != 0) | self.closed.q.val();
        self.packet.ready.next = self.room.val() & !self.closed.q.val();
        self.take.next = self.packet.valid.val() & self.room.val() & !self.closed.q.val();
        self.after.next = self.number.q.val() + 1;
        self.count.next = 0.into();
        self.bytes_before.next = 0.into();
        self.front0.next = self.carry0.q.val();
        self.front1.next = self.carry1.q.val();
        self.r_valid.d.next = false;
        self.r_ended.d.next = false;

        if self.take.val() {
            self.r_raw.d.next = self.packet.raw.val();
            self.r_ipcs.d.next = self.packet.ipcs.val();
            self.r_l4cs.d.next = self.packet.l4cs.val();
            self.r_next_hop.d.next = self.packet.next_hop.val();
            self.r_stamp.d.next = self.packet.stamp.val();
            self.r_segment.d.next = self.packet.segment.val();
            self.r_follows.d.next = self.packet.follows.val();
            self.r_tag.d.next = self.packet.tag.val();
            self.r_tci.d.next = self.packet.tci.val();
            self.r_abort.d.next = self.packet.last.val() & self.packet.abort.val();
            if self.number.q.val() == self.most_beats.val() {
                self.r_too_long.d.next = true;
            } else {
                self.number.d.next = self.after.val();
                self.r_valid.d.next = true;
            }
            if self.packet.raw.val() {
                self.r_beat.d.next = self.number.q.val();
                self.r0.d.next = self.packet.d0.val();
                self.r1.d.next = self.packet.d1.val();
            } else {
                if self.number.q.val() == 0 {
                    self.front0.next = bit_cast::<32, 16>(self.mac_lo.val().get_bits::<16>(16))
                        | (bit_cast::<32, 16>(self.mac_hi.val()) << 16);
                    self.front1.next = self.type_ipv4.val();
                }
                self.r_beat.d.next = self.after.val();
                self.r0.d.next = self.front0.val();
                self.r1.d.next = bit_cast::<32, 16>(self.front1.val())
                    | (bit_cast::<32, 16>(self.packet.d0.val().get_bits::<16>(0)) << 16);
                self.carry0.d.next = bit_cast::<32, 16>(self.packet.d0.val().get_bits::<16>(16))
                    | (bit_cast::<32, 16>(self.packet.d1.val().get_bits::<16>(0)) << 16);
                self.carry1.d.next = self.packet.d1.val().get_bits::<16>(16);
            }
            if self.packet.last.val() {
                self.closed.d.next = true;
                self.count.next = 8.into();
                if !self.packet.keep.val().get_bit(7) {
                    self.count.next = 7.into();
                }
                if !self.packet.keep.val().get_bit(6) {
                    self.count.next = 6.into();
                }
                if !self.packet.keep.val().get_bit(5) {
                    self.count.next = 5.into();
                }
                if !self.packet.keep.val().get_bit(4) {
                    self.count.next = 4.into();
                }
                if !self.packet.keep.val().get_bit(3) {
                    self.count.next = 3.into();
                }
                if !self.packet.keep.val().get_bit(2) {
                    self.count.next = 2.into();
                }
                if !self.packet.keep.val().get_bit(1) {
                    self.count.next = 1.into();
                }
                if !self.packet.keep.val().get_bit(0) {
                    self.count.next = 0.into();
                }
                self.bytes_before.next = bit_cast::<15, 11>(self.number.q.val()) << 3;
                if self.packet.raw.val() {
                    self.r_len.d.next = self.bytes_before.val() + self.count.val();
                    self.r_ended.d.next = true;
                } else {
                    self.r_len.d.next = self.bytes_before.val() + self.count.val() + 14;
                    // Two bytes still find a place behind the header.
                    if self.packet.keep.val().get_bit(2)
                        & !self.packet.abort.val()
                        & !self.r_too_long.q.val()
                    {
                        self.flush.d.next = true;
                    } else {
                        self.r_ended.d.next = true;
                    }
                }
            }
        } else if self.flush.q.val() {
            self.flush.d.next = false;
            self.r_beat.d.next = self.after.val();
            self.r0.d.next = self.carry0.q.val();
            self.r1.d.next = bit_cast::<32, 16>(self.carry1.q.val());
            self.r_valid.d.next = true;
            self.r_ended.d.next = true;
        }
        if self.restart.val() {
            self.r_beat.d.next = 0.into();
            self.number.d.next = 0.into();
            self.closed.d.next = false;
            self.r_too_long.d.next = false;
        }
        if self.reset.val() {
            self.r_beat.d.next = 0.into();
            self.number.d.next = 0.into();
            self.closed.d.next = false;
            self.flush.d.next = false;
            self.r_valid.d.next = false;
            self.r_ended.d.next = false;
            self.r_too_long.d.next = false;
        }
    }
}
