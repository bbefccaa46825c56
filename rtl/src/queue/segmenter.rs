//! Makes the headers of a segment out of those of the packet that is cut into segments.
use rust_hdl::prelude::*;

/// Watches the list of the [`payload_reader`](super::payload_reader) and changes the beats of the [`realigner`](super::realigner) as they pass, in no time.
///
/// Of a segment the IPv4 total length is its own, the identification grows by one a segment, the TCP sequence number by the bytes of payload before it;
/// FIN and PSH are the last one's, CWR (RFC 3168 section 6.1.2) the first one's. Checksums are for the transmit path. The places of the TCP fields are by the IHL,
/// whatever that is: what is no TCP packet is found fault with there.
#[derive(LogicBlock, Default)]
pub struct Segmenter {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// Word of the list.
    pub item: Signal<In, Bits<32>>,
    /// It is taken.
    pub taken: Signal<In, Bit>,
    /// Bytes 0 to 3 of the beat.
    pub d0: Signal<In, Bits<32>>,
    /// Bytes 4 to 7.
    pub d1: Signal<In, Bits<32>>,
    /// The beat is there.
    pub valid: Signal<In, Bit>,
    /// It is taken.
    pub ready: Signal<In, Bit>,
    /// Bytes 0 to 3 as they are to be.
    pub q0: Signal<Out, Bits<32>>,
    /// Bytes 4 to 7.
    pub q1: Signal<Out, Bits<32>>,
    /// The frame is a segment.
    pub segment: Signal<Out, Bit>,
    /// And not the first of its packet.
    pub follows: Signal<Out, Bit>,
    /// A frame is in the list of which not everything is taken.
    began: DFF<Bit>,
    active: DFF<Bit>,
    first: DFF<Bit>,
    last_one: DFF<Bit>,
    head_bytes: DFF<Bits<7>>,
    bytes: DFF<Bits<16>>,
    /// Bytes of payload before this segment.
    offset: DFF<Bits<16>>,
    /// Segments before this one.
    number: DFF<Bits<16>>,
    /// Beats of the frame that have passed; the last fifteen count as one.
    beat: DFF<Bits<4>>,
    ihl: DFF<Bits<4>>,
    /// Where the sequence number is, half the words before it.
    sequence_beat: DFF<Bits<4>>,
    flags_beat: Signal<Local, Bits<4>>,
    begins: Signal<Local, Bit>,
    at_sequence: Signal<Local, Bit>,
    at_flags: Signal<Local, Bit>,
    upper: Signal<Local, Bit>,
    total: Signal<Local, Bits<16>>,
    word: Signal<Local, Bits<32>>,
    number_word: Signal<Local, Bits<32>>,
    addend: Signal<Local, Bits<32>>,
    turned: Signal<Local, Bits<32>>,
    sum: Signal<Local, Bits<32>>,
    swapped: Signal<Local, Bits<32>>,
    kept: Signal<Local, Bits<32>>,
}

impl Logic for Segmenter {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            began,
            active,
            first,
            last_one,
            head_bytes,
            bytes,
            offset,
            number,
            beat,
            ihl,
            sequence_beat
        );
        self.segment.next = self.active.q.val();
        self.follows.next = self.active.q.val() & !self.first.q.val();
        self.begins.next = self.beat.q.val() == 0;
        self.flags_beat.next = self.sequence_beat.q.val() + 1;
        // Words IHL + 1 and IHL + 3 of the packet.
        self.upper.next = !self.ihl.q.val().get_bit(0);
        self.at_sequence.next =
            !self.begins.val() & (self.beat.q.val() == self.sequence_beat.q.val());
        self.at_flags.next = !self.begins.val() & (self.beat.q.val() == self.flags_beat.val());

        // One adder for the identification, in the upper half of its word, and the sequence number.
        self.total.next = self.bytes.q.val() + bit_cast::<16, 7>(self.head_bytes.q.val());
        self.word.next = self.d0.val();
        if self.begins.val() | self.upper.val() {
            self.word.next = self.d1.val();
        }
        self.number_word.next = bit_cast::<32, 16>(self.number.q.val()) << 16;
        self.addend.next = bit_cast::<32, 16>(self.offset.q.val());
        if self.begins.val() {
            self.addend.next = self.number_word.val();
        }
        self.turned.next = (bit_cast::<32, 8>(self.word.val().get_bits::<8>(0)) << 24)
            | (bit_cast::<32, 8>(self.word.val().get_bits::<8>(8)) << 16)
            | (bit_cast::<32, 8>(self.word.val().get_bits::<8>(16)) << 8)
            | bit_cast::<32, 8>(self.word.val().get_bits::<8>(24));
        self.sum.next = self.turned.val() + self.addend.val();
        self.swapped.next = (bit_cast::<32, 8>(self.sum.val().get_bits::<8>(0)) << 24)
            | (bit_cast::<32, 8>(self.sum.val().get_bits::<8>(8)) << 16)
            | (bit_cast::<32, 8>(self.sum.val().get_bits::<8>(16)) << 8)
            | bit_cast::<32, 8>(self.sum.val().get_bits::<8>(24));
        // FIN and PSH in bits 8 and 11 of their word, CWR in bit 15.
        self.kept.next = 0xFFFF_FFFF_u64.into();
        if !self.first.q.val() & !self.last_one.q.val() {
            self.kept.next = 0xFFFF_76FF_u64.into();
        } else if !self.first.q.val() {
            self.kept.next = 0xFFFF_7FFF_u64.into();
        } else if !self.last_one.q.val() {
            self.kept.next = 0xFFFF_F6FF_u64.into();
        }

        self.q0.next = self.d0.val();
        self.q1.next = self.d1.val();
        if self.active.q.val() {
            if self.begins.val() {
                self.q0.next = (self.d0.val() & 0xFFFF)
                    | (bit_cast::<32, 8>(self.total.val().get_bits::<8>(8)) << 16)
                    | (bit_cast::<32, 8>(self.total.val().get_bits::<8>(0)) << 24);
                self.q1.next = self.swapped.val();
            } else if self.at_sequence.val() & self.upper.val() {
                self.q1.next = self.swapped.val();
            } else if self.at_sequence.val() {
                self.q0.next = self.swapped.val();
            } else if self.at_flags.val() & self.upper.val() {
                self.q1.next = self.d1.val() & self.kept.val();
            } else if self.at_flags.val() {
                self.q0.next = self.d0.val() & self.kept.val();
            }
        }

        if self.valid.val() & self.ready.val() {
            if self.beat.q.val() != 15 {
                self.beat.d.next = self.beat.q.val() + 1;
            }
            if self.begins.val() {
                self.ihl.d.next = bit_cast::<4, 32>(self.d0.val());
                self.sequence_beat.d.next = bit_cast::<4, 3>(self.d0.val().get_bits::<3>(1))
                    + bit_cast::<4, 1>(self.d0.val().get_bits::<1>(0));
            }
        }
        // The list's first word of a frame is taken when the last beat of the frame before is gone.
        if self.taken.val() {
            self.began.d.next = !self.item.val().get_bit(31);
            if !self.item.val().get_bit(31) & !self.began.q.val() {
                self.active.d.next = false;
                self.beat.d.next = 0.into();
            }
            if !self.item.val().get_bit(31)
                & self.item.val().get_bit(30)
                & self.item.val().get_bit(29)
            {
                self.active.d.next = true;
                self.first.d.next = self.item.val().get_bit(28);
                self.last_one.d.next = self.item.val().get_bit(27);
                self.head_bytes.d.next = self.item.val().get_bits::<7>(16);
                self.bytes.d.next = bit_cast::<16, 32>(self.item.val());
                self.offset.d.next = self.offset.q.val() + self.bytes.q.val();
                self.number.d.next = self.number.q.val() + 1;
                if self.item.val().get_bit(28) {
                    self.offset.d.next = 0.into();
                    self.number.d.next = 0.into();
                }
            }
        }
        if self.reset.val() {
            self.began.d.next = false;
            self.active.d.next = false;
            self.beat.d.next = 0.into();
        }
    }
}
