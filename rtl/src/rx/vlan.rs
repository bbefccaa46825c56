//! VLAN filter: a table of 4,096 bits, one a VLAN identifier.
use rust_hdl::prelude::*;

/// Says whether the frames of a VLAN are wanted. The table is empty 128 cycles after a reset.
#[derive(LogicBlock, Default)]
pub struct VlanFilter {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// The identifier that is asked for: the lower twelve bits.
    pub tci: Signal<In, Bits<16>>,
    /// Its frames are wanted; follows `tci` by three cycles.
    pub member: Signal<Out, Bit>,
    /// The host writes a word; see [`crate::pcie::reg_file::RegFile`].
    pub table_write: Signal<In, Bit>,
    /// Which: 34 the number of a word of the table, 35 that word.
    pub table_place: Signal<In, Bits<6>>,
    /// The word.
    pub table_data: Signal<In, Bits<32>>,
    members: RAM<Bits<32>, 7>,
    /// Where the next word goes; while the table is being emptied, the word that is.
    place: DFF<Bits<7>>,
    empties: DFF<Bit>,
    /// Out of the table, which takes most of a cycle.
    word: DFF<Bits<32>>,
    r_member: DFF<Bit>,
    chosen: Signal<Local, Bits<32>>,
}

impl Logic for VlanFilter {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, place, empties, word, r_member);
        self.members.read_clock.next = self.clock.val();
        self.members.write_clock.next = self.clock.val();
        self.members.read_address.next = self.tci.val().get_bits::<7>(5);
        self.members.write_address.next = self.place.q.val();
        self.members.write_data.next = self.table_data.val();
        self.members.write_enable.next = self.table_write.val() & (self.table_place.val() == 35);
        self.word.d.next = self.members.read_data.val();
        self.chosen.next = self.word.q.val() >> bit_cast::<32, 5>(self.tci.val().get_bits::<5>(0));
        self.r_member.d.next = self.chosen.val().get_bit(0);
        self.member.next = self.r_member.q.val();
        if self.table_write.val() & (self.table_place.val() == 34) {
            self.place.d.next = bit_cast::<7, 32>(self.table_data.val());
        }
        if self.empties.q.val() {
            self.members.write_data.next = 0.into();
            self.members.write_enable.next = true;
            self.place.d.next = self.place.q.val() + 1;
            self.empties.d.next = self.place.q.val() != 127;
        }
        if self.reset.val() {
            self.place.d.next = 0.into();
            self.empties.d.next = true;
        }
    }
}
