//! Which receive queue a frame goes to: the indirection table.
use rust_hdl::prelude::*;

/// The table, 128 entries of two bits, by the lowest seven bits of a frame's hash.
#[derive(LogicBlock, Default)]
pub struct Steer {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// The host writes a word of the table; see [`crate::pcie::reg_file::RegFile`].
    pub table_write: Signal<In, Bit>,
    /// Which: sixteen entries are a word, the first in bits 1:0.
    pub table_place: Signal<In, Bits<3>>,
    /// The word.
    pub table_data: Signal<In, Bits<32>>,
    /// The hash of the next frame, a cycle before `hash`.
    pub coming: Signal<In, Bits<32>>,
    /// The frame's hash.
    pub hash: Signal<In, Bits<32>>,
    /// It has one; otherwise it goes by the first entry.
    pub hashed: Signal<In, Bit>,
    /// Its queue.
    pub target: Signal<Out, Bits<2>>,
    words: RAM<Bits<32>, 3>,
    /// The first entry.
    first: DFF<Bits<2>>,
    chosen: Signal<Local, Bits<32>>,
}

impl Logic for Steer {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, first);
        self.words.read_clock.next = self.clock.val();
        self.words.write_clock.next = self.clock.val();
        self.words.read_address.next = self.coming.val().get_bits::<3>(4);
        self.words.write_address.next = self.table_place.val();
        self.words.write_data.next = self.table_data.val();
        self.words.write_enable.next = self.table_write.val();
        if self.table_write.val() & (self.table_place.val() == 0) {
            self.first.d.next = bit_cast::<2, 32>(self.table_data.val());
        }
        self.chosen.next = self.words.read_data.val()
            >> (bit_cast::<32, 4>(self.hash.val().get_bits::<4>(0)) << 1);
        self.target.next = self.first.q.val();
        if self.hashed.val() {
            self.target.next = bit_cast::<2, 32>(self.chosen.val());
        }
    }
}
