//! Where the rings of four queues begin, and how large they are.
use super::bank::Bank;
use rust_hdl::prelude::*;

/// Keeps what the host writes to the registers of four queues' rings, and adds an entry's place to the base of one.
#[derive(LogicBlock, Default)]
pub struct RingBase {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// The host writes the ring's size, log2 of entries. Such writes are for queues that do not run.
    pub set_cfg: Signal<In, Bit>,
    /// That size.
    pub set_log2: Signal<In, Bits<4>>,
    /// The ring's base, low half, 64-byte aligned at least.
    pub set_lo: Signal<In, Bit>,
    /// High half.
    pub set_hi: Signal<In, Bit>,
    /// Which queue's.
    pub set_place: Signal<In, Bits<2>>,
    /// What is written.
    pub set_data: Signal<In, Bits<32>>,
    /// The queue whose ring `addr_lo`, `addr_hi` and `size` are about from the next cycle on.
    pub next_turn: Signal<In, Bits<2>>,
    /// The same, in that cycle.
    pub whose_turn: Signal<In, Bits<2>>,
    /// Entries of its ring.
    pub size: Signal<Out, Bits<15>>,
    /// The queue whose ring has `bell_size` entries.
    pub bell: Signal<In, Bits<2>>,
    /// Them.
    pub bell_size: Signal<Out, Bits<15>>,
    /// Bytes from the ring's base.
    pub offset: Signal<In, Bits<18>>,
    /// IOVA there, low half.
    pub addr_lo: Signal<Out, Bits<32>>,
    /// High half.
    pub addr_hi: Signal<Out, Bits<32>>,
    base_lo: RAM<Bits<32>, 2>,
    base_hi: RAM<Bits<32>, 2>,
    log2: Bank<4>,
    one: Signal<Local, Bits<15>>,
    sum: Signal<Local, Bits<32>>,
    wraps: Signal<Local, Bit>,
}

impl Logic for RingBase {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, log2);
        self.base_lo.read_clock.next = self.clock.val();
        self.base_lo.write_clock.next = self.clock.val();
        self.base_lo.read_address.next = self.next_turn.val();
        self.base_lo.write_address.next = self.set_place.val();
        self.base_lo.write_data.next = self.set_data.val();
        self.base_lo.write_enable.next = self.set_lo.val();
        self.base_hi.read_clock.next = self.clock.val();
        self.base_hi.write_clock.next = self.clock.val();
        self.base_hi.read_address.next = self.next_turn.val();
        self.base_hi.write_address.next = self.set_place.val();
        self.base_hi.write_data.next = self.set_data.val();
        self.base_hi.write_enable.next = self.set_hi.val();
        self.log2.clear.next = 0.into();
        self.log2.place.next = self.whose_turn.val();
        self.log2.other.next = self.bell.val();
        self.log2.target.next = self.set_place.val();
        self.log2.d.next = self.set_log2.val();
        self.log2.write.next = self.set_cfg.val();
        self.one.next = 1.into();
        self.size.next = self.one.val() << bit_cast::<15, 4>(self.log2.q.val());
        self.bell_size.next = self.one.val() << bit_cast::<15, 4>(self.log2.other_q.val());
        self.sum.next = self.base_lo.read_data.val() + bit_cast::<32, 18>(self.offset.val());
        self.addr_lo.next = self.sum.val();
        // The offset is small: the sum wraps where its top bit falls. Added, and not chosen, the carry takes no LUTs.
        self.wraps.next = self.base_lo.read_data.val().get_bit(31) & !self.sum.val().get_bit(31);
        self.addr_hi.next =
            self.base_hi.read_data.val() + bit_cast::<32, 1>(self.wraps.val().into());
    }
}
