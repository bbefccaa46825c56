//! Toeplitz hash of IPv4 frames, as Microsoft's receive-side scaling defines it ("RSS Hashing Functions").
//!
//! The input is the source address, the destination address and, of an unfragmented TCP or UDP packet, the source port and the destination
//! port, each as on the wire: 8 or 12 bytes. For each bit of it that is 1, counted from the first on, the 32 bits of the key that begin at
//! that bit's place are added without carry. Of the 40 bytes of the key, IPv4 reaches the first 16.
//!
//! A nibble is hashed a cycle, as soon as it is there: 8 cycles of a frame bring the key's window up, 24 cycles take the input. At a gigabit
//! and 125 MHz a beat takes 8 cycles, so that a frame's hash is ready before its last beat but for L4 headers at the very end.
use rust_hdl::prelude::*;

/// Hashes the frame that goes by.
#[derive(LogicBlock, Default)]
pub struct RxHash {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset; the key stays.
    pub reset: Signal<In, Bit>,
    /// The host writes a word of the tables; see [`crate::pcie::reg_file::RegFile`].
    pub table_write: Signal<In, Bit>,
    /// Its place; word n of the key, bytes 4n to 4n + 3 with byte 4n in bits 7:0, is at 40 + n.
    pub table_place: Signal<In, Bits<6>>,
    /// The word.
    pub table_data: Signal<In, Bits<32>>,
    /// Bytes 0 to 3 of the beat.
    pub d0: Signal<In, Bits<32>>,
    /// Bytes 4 to 7.
    pub d1: Signal<In, Bits<32>>,
    /// Number of the beat in its frame, from 0.
    pub beat: Signal<In, Bits<11>>,
    /// The beat is there.
    pub valid: Signal<In, Bit>,
    /// See [`super::fields::Ipv4Fields`].
    pub ihl: Signal<In, Bits<4>>,
    /// See [`super::fields::Ipv4Fields`].
    pub total: Signal<In, Bits<16>>,
    /// See [`super::fields::Ipv4Fields`].
    pub fragment: Signal<In, Bit>,
    /// See [`super::fields::Ipv4Fields`].
    pub tcp: Signal<In, Bit>,
    /// See [`super::fields::Ipv4Fields`].
    pub udp: Signal<In, Bit>,
    /// See [`super::fields::Ipv4Fields`].
    pub l4_beat: Signal<In, Bits<4>>,
    /// Source address as it lies in an IPv4 packet, the first byte in bits 7:0; steady from the cycle after the fourth beat on.
    pub source_address: Signal<Out, Bits<32>>,
    /// Destination address, likewise from the cycle after the fifth beat on.
    pub target_address: Signal<Out, Bits<32>>,
    /// The hash of the frame seen last, if it is an IPv4 packet with a right header; anything for another one.
    pub hash: Signal<Out, Bits<32>>,
    /// A nibble is on its way. Once a frame's last beat is two cycles ago, the hash is that of all of it as soon as this is low.
    pub busy: Signal<Out, Bit>,
    key: RAM<Bits<32>, 4>,
    /// Source address, destination address, ports; first byte in bits 7:0.
    source: DFF<Bits<32>>,
    target: DFF<Bits<32>>,
    ports: DFF<Bits<32>>,
    have_source: DFF<Bit>,
    have_target: DFF<Bit>,
    have_ports: DFF<Bit>,
    /// The beat before held the source port in its last lane.
    split: DFF<Bit>,
    /// Nibble of the key that comes next: 8 for the window, then one for each of the input's 24.
    place: DFF<Bits<6>>,
    place_next: Signal<Local, Bits<6>>,
    moves: Signal<Local, Bit>,
    input_word: Signal<Local, Bits<32>>,
    input_half: Signal<Local, Bits<16>>,
    input_byte: Signal<Local, Bits<8>>,
    key_half: Signal<Local, Bits<16>>,
    key_byte: Signal<Local, Bits<8>>,
    /// A nibble of the input and the key's nibble behind the window for it.
    digit: DFF<Bits<4>>,
    key_digit: DFF<Bits<4>>,
    digit_valid: DFF<Bit>,
    window: DFF<Bits<32>>,
    sum: DFF<Bits<32>>,
    term3: Signal<Local, Bits<32>>,
    term2: Signal<Local, Bits<32>>,
    term1: Signal<Local, Bits<32>>,
    term0: Signal<Local, Bits<32>>,
    has_ports: Signal<Local, Bit>,
    at_l4: Signal<Local, Bit>,
}

impl Logic for RxHash {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            source,
            target,
            ports,
            have_source,
            have_target,
            have_ports,
            split,
            place,
            digit,
            key_digit,
            digit_valid,
            window,
            sum
        );
        self.key.read_clock.next = self.clock.val();
        self.key.write_clock.next = self.clock.val();
        // Of the ten words the first eight come behind one another as in the table, with bit 3 the other way round.
        self.key.write_address.next = self.table_place.val().get_bits::<4>(0) ^ 8;
        self.key.write_data.next = self.table_data.val();
        self.key.write_enable.next = self.table_write.val()
            & self.table_place.val().get_bit(5)
            & (self.table_place.val().get_bit(3) ^ self.table_place.val().get_bit(4));

        self.source_address.next = self.source.q.val();
        self.target_address.next = self.target.q.val();
        // The input out of the beats. Bits 15:2 of the total length count its words: one more than the header's holds the ports.
        self.has_ports.next = (self.tcp.val() | self.udp.val())
            & !self.fragment.val()
            & (self.total.val().get_bits::<14>(2) > bit_cast::<14, 4>(self.ihl.val()));
        // Beats 0 and 1 still see the frame before, and L4 of a good header begins in beat 4 at the earliest.
        self.at_l4.next =
            (self.beat.val() > 3) & (self.beat.val() == bit_cast::<11, 4>(self.l4_beat.val()));
        if self.valid.val() {
            self.split.d.next = self.at_l4.val() & !self.ihl.val().get_bit(0);
            if self.beat.val() == 3 {
                self.source.d.next = bit_cast::<32, 16>(self.d0.val().get_bits::<16>(16))
                    | (bit_cast::<32, 16>(self.d1.val().get_bits::<16>(0)) << 16);
                self.target.d.next = bit_cast::<32, 16>(self.d1.val().get_bits::<16>(16));
                self.have_source.d.next = true;
            }
            if self.beat.val() == 4 {
                self.target.d.next = self.target.q.val()
                    | (bit_cast::<32, 16>(self.d0.val().get_bits::<16>(0)) << 16);
                self.have_target.d.next = true;
            }
            if self.split.q.val() {
                self.ports.d.next = self.ports.q.val()
                    | (bit_cast::<32, 16>(self.d0.val().get_bits::<16>(0)) << 16);
                self.have_ports.d.next = self.has_ports.val();
            } else if self.at_l4.val() {
                if self.ihl.val().get_bit(0) {
                    self.ports.d.next = bit_cast::<32, 16>(self.d0.val().get_bits::<16>(16))
                        | (bit_cast::<32, 16>(self.d1.val().get_bits::<16>(0)) << 16);
                    self.have_ports.d.next = self.has_ports.val();
                } else {
                    self.ports.d.next = bit_cast::<32, 16>(self.d1.val().get_bits::<16>(16));
                }
            }
        }

        // A nibble of each, high one first.
        self.input_word.next = 0.into();
        self.moves.next = false;
        if self.place.q.val() < 8 {
            self.moves.next = true;
        } else if self.place.q.val() < 16 {
            self.input_word.next = self.source.q.val();
            self.moves.next = self.have_source.q.val();
        } else if self.place.q.val() < 24 {
            self.input_word.next = self.target.q.val();
            self.moves.next = self.have_target.q.val();
        } else if self.place.q.val() < 32 {
            self.input_word.next = self.ports.q.val();
            self.moves.next = self.have_ports.q.val();
        }
        self.place_next.next = self.place.q.val();
        self.digit_valid.d.next = self.moves.val();
        self.input_half.next = bit_cast::<16, 32>(self.input_word.val());
        self.key_half.next = bit_cast::<16, 32>(self.key.read_data.val());
        if self.place.q.val().get_bit(2) {
            self.input_half.next = self.input_word.val().get_bits::<16>(16);
            self.key_half.next = self.key.read_data.val().get_bits::<16>(16);
        }
        self.input_byte.next = bit_cast::<8, 16>(self.input_half.val());
        self.key_byte.next = bit_cast::<8, 16>(self.key_half.val());
        if self.place.q.val().get_bit(1) {
            self.input_byte.next = self.input_half.val().get_bits::<8>(8);
            self.key_byte.next = self.key_half.val().get_bits::<8>(8);
        }
        if self.moves.val() {
            self.place_next.next = self.place.q.val() + 1;
            self.digit.d.next = self.input_byte.val().get_bits::<4>(4);
            self.key_digit.d.next = self.key_byte.val().get_bits::<4>(4);
            if self.place.q.val().get_bit(0) {
                self.digit.d.next = bit_cast::<4, 8>(self.input_byte.val());
                self.key_digit.d.next = bit_cast::<4, 8>(self.key_byte.val());
            }
        }

        // The key at the place of each of the nibble's bits.
        self.term3.next = 0.into();
        self.term2.next = 0.into();
        self.term1.next = 0.into();
        self.term0.next = 0.into();
        if self.digit.q.val().get_bit(3) {
            self.term3.next = self.window.q.val();
        }
        if self.digit.q.val().get_bit(2) {
            self.term2.next = (self.window.q.val() << 1)
                | bit_cast::<32, 1>(self.key_digit.q.val().get_bits::<1>(3));
        }
        if self.digit.q.val().get_bit(1) {
            self.term1.next = (self.window.q.val() << 2)
                | bit_cast::<32, 2>(self.key_digit.q.val().get_bits::<2>(2));
        }
        if self.digit.q.val().get_bit(0) {
            self.term0.next = (self.window.q.val() << 3)
                | bit_cast::<32, 3>(self.key_digit.q.val().get_bits::<3>(1));
        }
        if self.digit_valid.q.val() {
            self.sum.d.next = self.sum.q.val()
                ^ self.term3.val()
                ^ self.term2.val()
                ^ self.term1.val()
                ^ self.term0.val();
            self.window.d.next =
                (self.window.q.val() << 4) | bit_cast::<32, 4>(self.key_digit.q.val());
        }
        self.hash.next = self.sum.q.val();
        self.busy.next = self.digit_valid.q.val();

        // A frame begins.
        if self.valid.val() & (self.beat.val() == 0) {
            self.have_source.d.next = false;
            self.have_target.d.next = false;
            self.have_ports.d.next = false;
            self.split.d.next = false;
            self.place_next.next = 0.into();
            self.digit_valid.d.next = false;
            self.sum.d.next = 0.into();
        }
        if self.reset.val() {
            self.place_next.next = 32.into();
            self.digit_valid.d.next = false;
        }
        self.place.d.next = self.place_next.val();
        self.key.read_address.next = bit_cast::<4, 3>(self.place_next.val().get_bits::<3>(3));
    }
}
