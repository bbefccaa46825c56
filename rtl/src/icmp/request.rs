//! Recognises the ICMP echo requests that the hardware may answer.
//!
//! Those are, by RFC 1122: packets without options, which need not be turned round (section 3.2.2.6); of at most 1,500 bytes; sent to this
//! station alone, at both layers; from one host, which has a unicast address (section 3.2.1.3): not 0/8, 127/8, 224/3, a local one or the
//! broadcast address of a local subnet, nor a group's hardware address. What else there may be about them is for the host.
//!
//! A checksum of 0xF7FF is left to the host too: the words beside type and checksum add up to zero then, and whether to 0 or to 0xFFFF,
//! which decides whether the answer's checksum is 0xFFFF or 0, it does not tell (RFC 1624 section 3).
use rust_hdl::prelude::*;

/// Looks at the frame that goes by, and at the table of local addresses and masks from its fifth beat on, a word of it a cycle.
///
/// A packet is compared with each pair in the table, in use or not: where the pair is 0.0.0.0 and a mask, the broadcast address is that of
/// such a subnet.
#[derive(LogicBlock)]
pub struct EchoRequest {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset; the table stays.
    pub reset: Signal<In, Bit>,
    /// Requests are to be answered.
    pub enable: Signal<In, Bit>,
    /// The host writes a word of the table; see [`crate::pcie::reg_file::RegFile`].
    pub local_write: Signal<In, Bit>,
    /// Which: 2n local address n, 2n + 1 its mask.
    pub local_place: Signal<In, Bits<4>>,
    /// The word.
    pub local_data: Signal<In, Bits<32>>,
    /// Bytes 0 to 3 of the beat.
    pub d0: Signal<In, Bits<32>>,
    /// Bytes 4 to 7.
    pub d1: Signal<In, Bits<32>>,
    /// Number of the beat in its frame, from 0.
    pub beat: Signal<In, Bits<11>>,
    /// The beat is there.
    pub valid: Signal<In, Bit>,
    /// The frame goes to this station's own address; steady from its second beat on.
    pub own: Signal<In, Bit>,
    /// See [`crate::rx::fields::Ipv4Fields`].
    pub ihl: Signal<In, Bits<4>>,
    /// See [`crate::rx::fields::Ipv4Fields`].
    pub total: Signal<In, Bits<16>>,
    /// See [`crate::rx::fields::Ipv4Fields`].
    pub icmp: Signal<In, Bit>,
    /// Source address as it lies in the frame, the first byte in bits 7:0; steady from the cycle after the fifth beat on.
    pub source: Signal<In, Bits<32>>,
    /// Destination address, likewise.
    pub target: Signal<In, Bits<32>>,
    /// The frame is such a request, if it is an unfragmented IPv4 packet with right checksums; steady as soon as `busy` is low.
    pub fits: Signal<Out, Bit>,
    /// The table is being looked through; for 16 cycles from the one after the fifth beat on.
    pub busy: Signal<Out, Bit>,
    locals: RAM<Bits<32>, 4>,
    place: DFF<Bits<4>>,
    searches: DFF<Bit>,
    /// The address whose mask comes next.
    address: DFF<Bits<32>>,
    /// The destination is a local address.
    is_local: DFF<Bit>,
    /// The source is none that can be answered.
    strange: DFF<Bit>,
    /// The source's hardware address is a group's.
    group: DFF<Bit>,
    /// Type, code and checksum are right for it.
    request: DFF<Bit>,
    place_next: Signal<Local, Bits<4>>,
    word: Signal<Local, Bits<32>>,
    from: Signal<Local, Bits<32>>,
    to: Signal<Local, Bits<32>>,
    apart: Signal<Local, Bits<32>>,
    first: Signal<Local, Bits<8>>,
    ones: Constant<Bits<32>>,
    type_echo: Constant<Bits<16>>,
    ambiguous: Constant<Bits<16>>,
}

impl Default for EchoRequest {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            enable: Default::default(),
            local_write: Default::default(),
            local_place: Default::default(),
            local_data: Default::default(),
            d0: Default::default(),
            d1: Default::default(),
            beat: Default::default(),
            valid: Default::default(),
            own: Default::default(),
            ihl: Default::default(),
            total: Default::default(),
            icmp: Default::default(),
            source: Default::default(),
            target: Default::default(),
            fits: Default::default(),
            busy: Default::default(),
            locals: Default::default(),
            place: Default::default(),
            searches: Default::default(),
            address: Default::default(),
            is_local: Default::default(),
            strange: Default::default(),
            group: Default::default(),
            request: Default::default(),
            place_next: Default::default(),
            word: Default::default(),
            from: Default::default(),
            to: Default::default(),
            apart: Default::default(),
            first: Default::default(),
            ones: Constant::new(0xFFFF_FFFF_u64.into()),
            // Type 8, code 0 (RFC 792), and the checksum 0xF7FF, as they lie in the word.
            type_echo: Constant::new(0x0008.into()),
            ambiguous: Constant::new(0xFFF7.into()),
        }
    }
}

impl Logic for EchoRequest {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, place, searches, address, is_local, strange, group, request);
        self.locals.read_clock.next = self.clock.val();
        self.locals.write_clock.next = self.clock.val();
        self.locals.write_address.next = self.local_place.val();
        self.locals.write_data.next = self.local_data.val();
        self.locals.write_enable.next = self.local_write.val();
        self.busy.next = self.searches.q.val();
        self.fits.next = self.own.val()
            & !self.group.q.val()
            & self.icmp.val()
            & (self.ihl.val() == 5)
            & (self.total.val() > 27)
            & (self.total.val() < 1501)
            & self.request.q.val()
            & self.is_local.q.val()
            & !self.strange.q.val();

        // The table has addresses as numbers.
        self.from.next = (bit_cast::<32, 8>(self.source.val().get_bits::<8>(0)) << 24)
            | (bit_cast::<32, 8>(self.source.val().get_bits::<8>(8)) << 16)
            | (bit_cast::<32, 8>(self.source.val().get_bits::<8>(16)) << 8)
            | bit_cast::<32, 8>(self.source.val().get_bits::<8>(24));
        self.to.next = (bit_cast::<32, 8>(self.target.val().get_bits::<8>(0)) << 24)
            | (bit_cast::<32, 8>(self.target.val().get_bits::<8>(8)) << 16)
            | (bit_cast::<32, 8>(self.target.val().get_bits::<8>(16)) << 8)
            | bit_cast::<32, 8>(self.target.val().get_bits::<8>(24));
        self.first.next = self.source.val().get_bits::<8>(0);
        // What the memory shows belongs to the place of the cycle before.
        self.word.next = self.locals.read_data.val();
        self.apart.next = self.address.q.val() ^ self.from.val();
        self.place_next.next = self.place.q.val();
        if self.searches.q.val() {
            self.place_next.next = self.place.q.val() + 1;
            if !self.place.q.val().get_bit(0) {
                self.address.d.next = self.word.val();
                if self.word.val() == self.to.val() {
                    self.is_local.d.next = true;
                }
            } else {
                // Bit 1 of the mask is clear when two or more bits are left for hosts (RFC 3021).
                if (self.apart.val() == 0)
                    | (((self.apart.val() & self.word.val()) == 0)
                        & ((self.from.val() | self.word.val()) == self.ones.val())
                        & !self.word.val().get_bit(1))
                {
                    self.strange.d.next = true;
                }
            }
            if self.place.q.val() == 15 {
                self.searches.d.next = false;
                // An unused place holds 0.0.0.0, which is no host's address; nor is any in 0/8.
                if self.target.val().get_bits::<8>(0) == 0 {
                    self.is_local.d.next = false;
                }
                if (self.first.val() == 0) | (self.first.val() == 127) | (self.first.val() > 223) {
                    self.strange.d.next = true;
                }
            }
        }
        if self.valid.val() {
            if self.beat.val() == 0 {
                self.group.d.next = self.d1.val().get_bit(16);
                self.is_local.d.next = false;
                self.strange.d.next = false;
                self.request.d.next = false;
            }
            if self.beat.val() == 4 {
                self.request.d.next = (self.d0.val().get_bits::<16>(16) == self.type_echo.val())
                    & (self.d1.val().get_bits::<16>(0) != self.ambiguous.val());
                self.searches.d.next = self.icmp.val() & self.enable.val();
                self.place_next.next = 0.into();
            }
        }
        if self.reset.val() {
            self.searches.d.next = false;
            self.place_next.next = 0.into();
        }
        self.place.d.next = self.place_next.val();
        self.locals.read_address.next = self.place_next.val();
    }
}
