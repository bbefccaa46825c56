//! Toeplitz hash of IPv4 and IPv6 frames, as Microsoft's receive-side scaling defines it ("RSS Hashing Functions").
//!
//! The input is the source address, the destination address and, of an unfragmented TCP or UDP packet, the source port and the destination
//! port, each as on the wire: 8, 12, 32 or 36 bytes. For each bit of it that is 1, counted from the first on, the 32 bits of the key that begin
//! at that bit's place are added without carry.
//!
//! A byte is hashed a cycle, as soon as it is there: 4 cycles of a frame bring the key's window up, up to 36 take the input. At a gigabit
//! and 125 MHz a beat takes 8 cycles, as many as its bytes, so that a frame's hash is ready six cycles after its last beat. Where
//! beats come faster, they wait in a memory.
use rust_hdl::prelude::*;

/// Hashes the frame that goes by.
#[derive(LogicBlock)]
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
    /// Number of the beat in its frame, from 0; of the one that comes next as long as none is there.
    pub beat: Signal<In, Bits<11>>,
    /// The beat is there.
    pub valid: Signal<In, Bit>,
    /// See [`super::fields::Ipv4Fields`].
    pub ipv6: Signal<In, Bit>,
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
    pub l4_start: Signal<In, Bits<7>>,
    /// The hash of the frame seen last, if it is an IPv4 or IPv6 packet with a right header; anything for another one.
    pub hash: Signal<Out, Bits<32>>,
    /// A byte is on its way. Once a frame's last beat is three cycles ago, the hash is that of all of it as soon as this is low.
    pub busy: Signal<Out, Bit>,
    key: RAM<Bits<32>, 4>,
    /// The frame's first 4 KiB, of which 78 bytes are read; of this size it is a block RAM and takes no LUTs.
    first: RAM<Bits<32>, 9>,
    second: RAM<Bits<32>, 9>,
    /// Number of the next beat, a cycle ago: what is before it can be read.
    there: DFF<Bits<11>>,
    /// Byte of the key that comes next: 4 for the window, then one for each of the input's.
    place: DFF<Bits<6>>,
    /// Byte of the frame that comes next.
    from: DFF<Bits<7>>,
    place_next: Signal<Local, Bits<6>>,
    from_next: Signal<Local, Bits<7>>,
    is_there: Signal<Local, Bit>,
    fills: Signal<Local, Bit>,
    at_ports: Signal<Local, Bit>,
    over: Signal<Local, Bit>,
    moves: Signal<Local, Bit>,
    input_word: Signal<Local, Bits<32>>,
    input_half: Signal<Local, Bits<16>>,
    key_half: Signal<Local, Bits<16>>,
    /// A byte of the input and the key's byte behind the window for it.
    digit: DFF<Bits<8>>,
    key_digit: DFF<Bits<8>>,
    digit_valid: DFF<Bit>,
    window: DFF<Bits<32>>,
    sum: DFF<Bits<32>>,
    term7: Signal<Local, Bits<32>>,
    term6: Signal<Local, Bits<32>>,
    term5: Signal<Local, Bits<32>>,
    term4: Signal<Local, Bits<32>>,
    term3: Signal<Local, Bits<32>>,
    term2: Signal<Local, Bits<32>>,
    term1: Signal<Local, Bits<32>>,
    term0: Signal<Local, Bits<32>>,
    has_ports: Signal<Local, Bit>,
    source_ipv4: Constant<Bits<7>>,
    source_ipv6: Constant<Bits<7>>,
}

impl Default for RxHash {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            table_write: Default::default(),
            table_place: Default::default(),
            table_data: Default::default(),
            d0: Default::default(),
            d1: Default::default(),
            beat: Default::default(),
            valid: Default::default(),
            ipv6: Default::default(),
            ihl: Default::default(),
            total: Default::default(),
            fragment: Default::default(),
            tcp: Default::default(),
            udp: Default::default(),
            l4_start: Default::default(),
            hash: Default::default(),
            busy: Default::default(),
            key: Default::default(),
            first: Default::default(),
            second: Default::default(),
            there: Default::default(),
            place: Default::default(),
            from: Default::default(),
            place_next: Default::default(),
            from_next: Default::default(),
            is_there: Default::default(),
            fills: Default::default(),
            at_ports: Default::default(),
            over: Default::default(),
            moves: Default::default(),
            input_word: Default::default(),
            input_half: Default::default(),
            key_half: Default::default(),
            digit: Default::default(),
            key_digit: Default::default(),
            digit_valid: Default::default(),
            window: Default::default(),
            sum: Default::default(),
            term7: Default::default(),
            term6: Default::default(),
            term5: Default::default(),
            term4: Default::default(),
            term3: Default::default(),
            term2: Default::default(),
            term1: Default::default(),
            term0: Default::default(),
            has_ports: Default::default(),
            // Bytes of the frame before the source address.
            source_ipv4: Constant::new(26.into()),
            source_ipv6: Constant::new(22.into()),
        }
    }
}

impl Logic for RxHash {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            there,
            place,
            from,
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

        self.first.read_clock.next = self.clock.val();
        self.first.write_clock.next = self.clock.val();
        self.first.write_address.next = self.beat.val().get_bits::<9>(0);
        self.first.write_data.next = self.d0.val();
        self.first.write_enable.next = self.valid.val() & !self.beat.val().get_bits::<2>(9).any();
        self.second.read_clock.next = self.clock.val();
        self.second.write_clock.next = self.clock.val();
        self.second.write_address.next = self.beat.val().get_bits::<9>(0);
        self.second.write_data.next = self.d1.val();
        self.second.write_enable.next = self.valid.val() & !self.beat.val().get_bits::<2>(9).any();
        self.there.d.next = self.beat.val();

        // The addresses are behind one another, and the ports begin L4. Bits 15:2 of the length count words: one more than the header's holds
        // the ports.
        self.has_ports.next = (self.tcp.val() | self.udp.val())
            & !self.fragment.val()
            & (self.total.val().get_bits::<14>(2) > bit_cast::<14, 4>(self.ihl.val()));
        self.fills.next = self.place.q.val() < 4;
        // Place 12 to 15 and 16; IPv6: 36 to 39 and 40.
        self.at_ports.next = self.place.q.val().get_bit(3) & self.place.q.val().get_bit(2);
        self.over.next = self.place.q.val().get_bit(4);
        if self.ipv6.val() {
            self.at_ports.next = self.place.q.val().get_bit(5) & self.place.q.val().get_bit(2);
            self.over.next = self.place.q.val().get_bit(5) & self.place.q.val().get_bit(3);
        }
        self.is_there.next =
            bit_cast::<11, 4>(self.from.q.val().get_bits::<4>(3)) < self.there.q.val();
        self.moves.next = self.fills.val()
            | (self.is_there.val()
                & !self.over.val()
                & (!self.at_ports.val() | self.has_ports.val()));
        self.place_next.next = self.place.q.val();
        self.from_next.next = self.from.q.val();
        if self.moves.val() {
            self.place_next.next = self.place.q.val() + 1;
            if (self.place.q.val() == 11) & !self.ipv6.val() {
                self.from_next.next = self.l4_start.val();
            } else if !self.fills.val() {
                self.from_next.next = self.from.q.val() + 1;
            }
        }

        // A byte of each.
        self.digit_valid.d.next = self.moves.val();
        self.input_word.next = self.first.read_data.val();
        if self.from.q.val().get_bit(2) {
            self.input_word.next = self.second.read_data.val();
        }
        self.input_half.next = bit_cast::<16, 32>(self.input_word.val());
        if self.from.q.val().get_bit(1) {
            self.input_half.next = self.input_word.val().get_bits::<16>(16);
        }
        self.key_half.next = bit_cast::<16, 32>(self.key.read_data.val());
        if self.place.q.val().get_bit(1) {
            self.key_half.next = self.key.read_data.val().get_bits::<16>(16);
        }
        if self.moves.val() {
            self.digit.d.next = bit_cast::<8, 16>(self.input_half.val());
            if self.from.q.val().get_bit(0) {
                self.digit.d.next = self.input_half.val().get_bits::<8>(8);
            }
            self.key_digit.d.next = bit_cast::<8, 16>(self.key_half.val());
            if self.place.q.val().get_bit(0) {
                self.key_digit.d.next = self.key_half.val().get_bits::<8>(8);
            }
            if self.fills.val() {
                self.digit.d.next = 0.into();
            }
        }

        // The key at the place of each of the byte's bits.
        self.term7.next = 0.into();
        self.term6.next = 0.into();
        self.term5.next = 0.into();
        self.term4.next = 0.into();
        self.term3.next = 0.into();
        self.term2.next = 0.into();
        self.term1.next = 0.into();
        self.term0.next = 0.into();
        if self.digit.q.val().get_bit(7) {
            self.term7.next = self.window.q.val();
        }
        if self.digit.q.val().get_bit(6) {
            self.term6.next = (self.window.q.val() << 1)
                | bit_cast::<32, 1>(self.key_digit.q.val().get_bits::<1>(7));
        }
        if self.digit.q.val().get_bit(5) {
            self.term5.next = (self.window.q.val() << 2)
                | bit_cast::<32, 2>(self.key_digit.q.val().get_bits::<2>(6));
        }
        if self.digit.q.val().get_bit(4) {
            self.term4.next = (self.window.q.val() << 3)
                | bit_cast::<32, 3>(self.key_digit.q.val().get_bits::<3>(5));
        }
        if self.digit.q.val().get_bit(3) {
            self.term3.next = (self.window.q.val() << 4)
                | bit_cast::<32, 4>(self.key_digit.q.val().get_bits::<4>(4));
        }
        if self.digit.q.val().get_bit(2) {
            self.term2.next = (self.window.q.val() << 5)
                | bit_cast::<32, 5>(self.key_digit.q.val().get_bits::<5>(3));
        }
        if self.digit.q.val().get_bit(1) {
            self.term1.next = (self.window.q.val() << 6)
                | bit_cast::<32, 6>(self.key_digit.q.val().get_bits::<6>(2));
        }
        if self.digit.q.val().get_bit(0) {
            self.term0.next = (self.window.q.val() << 7)
                | bit_cast::<32, 7>(self.key_digit.q.val().get_bits::<7>(1));
        }
        if self.digit_valid.q.val() {
            self.sum.d.next = self.sum.q.val()
                ^ self.term7.val()
                ^ self.term6.val()
                ^ self.term5.val()
                ^ self.term4.val()
                ^ self.term3.val()
                ^ self.term2.val()
                ^ self.term1.val()
                ^ self.term0.val();
            self.window.d.next =
                (self.window.q.val() << 8) | bit_cast::<32, 8>(self.key_digit.q.val());
        }
        self.hash.next = self.sum.q.val();
        self.busy.next = self.digit_valid.q.val();

        // A frame begins; where its addresses are is known before the third beat.
        if self.valid.val() & (self.beat.val() < 3) {
            self.from_next.next = self.source_ipv4.val();
            if self.ipv6.val() {
                self.from_next.next = self.source_ipv6.val();
            }
        }
        if self.valid.val() & (self.beat.val() == 0) {
            self.place_next.next = 0.into();
            self.digit_valid.d.next = false;
            self.sum.d.next = 0.into();
        }
        if self.reset.val() {
            self.place_next.next = 56.into();
            self.from_next.next = 0.into();
            self.digit_valid.d.next = false;
        }
        self.place.d.next = self.place_next.val();
        self.from.d.next = self.from_next.val();
        self.key.read_address.next = self.place_next.val().get_bits::<4>(2);
        self.first.read_address.next = bit_cast::<9, 4>(self.from_next.val().get_bits::<4>(3));
        self.second.read_address.next = bit_cast::<9, 4>(self.from_next.val().get_bits::<4>(3));
    }
}
