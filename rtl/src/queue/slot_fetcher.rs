//! Prefetches receive slot numbers, up to sixty-four a read, and hands them out one at a time; or makes them up.
use crate::pcie::ports::{ReadDataSink, ReadReqSource};
use rust_hdl::prelude::*;

/// Fetches the RXQ, a ring of u16, in pieces that end at 128-byte borders; one read in flight, at most 127 slots in its buffer.
///
/// The buffer is a window of 64 DWs of the ring, two slots each. A DW whose upper slot the host had not yet filled is read again later.
///
/// With `in_order` nothing is fetched: slot numbers are the indices, modulo the ring's size.
#[derive(LogicBlock, Default)]
pub struct SlotFetcher {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// High for one cycle: begin with index 0 on the ring that the next inputs describe; they are steady from then on.
    pub start: Signal<In, Bit>,
    /// New reads may begin and slots may be handed out.
    pub run: Signal<In, Bit>,
    /// IOVA of the RXQ, low half, 128-byte aligned.
    pub base_lo: Signal<In, Bits<32>>,
    /// High half.
    pub base_hi: Signal<In, Bits<32>>,
    /// Ring size, log2 of entries, 4 to 14.
    pub log2: Signal<In, Bits<4>>,
    /// There is no ring; see above. Steady from `start` on.
    pub in_order: Signal<In, Bit>,
    /// How far the host has written, from a doorbell.
    pub producer: Signal<In, Bits<15>>,
    /// High for one cycle: `producer` holds, and `producer_bad` is low.
    pub update_idx: Signal<In, Bit>,
    /// Index after the last slot that has come back; up to a ring beyond it the host may write.
    pub retired: Signal<In, Bits<15>>,
    /// `producer` is behind the last one or more than a ring beyond `retired`.
    pub producer_bad: Signal<Out, Bit>,
    /// Reads of the ring.
    pub req: ReadReqSource,
    /// Their answers.
    pub data: ReadDataSink,
    /// Slot number, unchecked.
    pub slot: Signal<Out, Bits<16>>,
    /// `slot` is there.
    pub valid: Signal<Out, Bit>,
    /// It is taken.
    pub ready: Signal<In, Bit>,
    /// High for one cycle: a read failed. Nothing that it brought is handed out.
    pub error: Signal<Out, Bit>,
    /// No read is under way.
    pub idle: Signal<Out, Bit>,
    /// Something is under way.
    pub busy: Signal<Out, Bit>,
    ram: RAM<Bits<32>, 6>,
    fill: DFF<Bits<6>>,
    upper: DFF<Bit>,
    left: DFF<Bits<7>>,
    size: DFF<Bits<15>>,
    line: DFF<Bits<7>>,
    wanted: DFF<Bits<15>>,
    fetched: DFF<Bits<15>>,
    arrived: DFF<Bits<15>>,
    landed: DFF<Bit>,
    taken: DFF<Bits<15>>,
    show: DFF<Bits<6>>,
    show_next: Signal<Local, Bits<6>>,
    slot_q: DFF<Bits<16>>,
    have: DFF<Bit>,
    asking: DFF<Bit>,
    flying: DFF<Bit>,
    req_lo: DFF<Bits<32>>,
    req_hi: DFF<Bits<32>>,
    dwords: DFF<Bits<7>>,
    one: Signal<Local, Bits<15>>,
    even_mask: Signal<Local, Bits<15>>,
    mask: Signal<Local, Bits<15>>,
    index: Signal<Local, Bits<15>>,
    asked: Signal<Local, Bits<15>>,
    known: Signal<Local, Bits<15>>,
    ahead: Signal<Local, Bits<15>>,
    stock: Signal<Local, Bits<15>>,
    past: Signal<Local, Bits<7>>,
    to_line: Signal<Local, Bits<7>>,
    count: Signal<Local, Bits<7>>,
    count_q: DFF<Bits<7>>,
    span: Signal<Local, Bits<8>>,
    plan: Signal<Local, Bit>,
    planned: DFF<Bit>,
    compute: Signal<Local, Bit>,
    /// Where in the ring the next read begins, in entries.
    place: DFF<Bits<15>>,
    sum: Signal<Local, Bits<32>>,
    load: Signal<Local, Bit>,
}

impl Logic for SlotFetcher {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, fill, upper, left, size, line, wanted, fetched, arrived, landed, taken,
            show, slot_q, have, planned, count_q, place, asking, flying, req_lo, req_hi, dwords
        );
        self.one.next = 1.into();
        self.even_mask.next = self.size.q.val() - 2;
        self.mask.next = self.size.q.val() - 1;
        self.index.next = self.taken.q.val() & self.mask.val();
        self.asked.next = self.producer.val() - self.retired.val();
        self.known.next = self.wanted.q.val() - self.retired.val();
        self.producer_bad.next =
            (self.asked.val() > self.size.q.val()) | (self.asked.val() < self.known.val());

        // Which slots to ask for next, in two cycles: how many from where, then the address. What changes between them can only make room.
        self.ahead.next = self.wanted.q.val() - self.fetched.q.val();
        self.stock.next = self.fetched.q.val() - self.taken.q.val();
        self.plan.next = self.run.val()
            & !self.planned.q.val()
            & !self.asking.q.val()
            & !self.flying.q.val()
            & !self.landed.q.val()
            & self.ahead.val().any()
            & !self.in_order.val()
            & (self.stock.val() < 64);
        self.compute.next = self.planned.q.val() & self.run.val();
        self.planned.d.next = self.plan.val();
        self.past.next = bit_cast::<7, 15>(self.fetched.q.val()) & (self.line.q.val() - 1);
        self.to_line.next = self.line.q.val() - self.past.val();
        self.count.next = self.to_line.val();
        if self.ahead.val() < bit_cast::<15, 7>(self.to_line.val()) {
            self.count.next = bit_cast::<7, 15>(self.ahead.val());
        }
        if self.plan.val() {
            self.count_q.d.next = self.count.val();
            self.place.d.next = self.fetched.q.val() & self.even_mask.val();
        }
        self.span.next = bit_cast::<8, 7>(self.count_q.q.val())
            + (bit_cast::<8, 15>(self.fetched.q.val()) & 1)
            + 1;
        self.sum.next = self.base_lo.val() + (bit_cast::<32, 15>(self.place.q.val()) << 1);
        if self.compute.val() {
            self.asking.d.next = true;
            self.req_lo.d.next = self.sum.val();
            self.req_hi.d.next = self.base_hi.val();
            // The place is small: the sum wraps where its top bit falls.
            if self.base_lo.val().get_bit(31) & !self.sum.val().get_bit(31) {
                self.req_hi.d.next = self.base_hi.val() + 1;
            }
            self.dwords.d.next = self.span.val().get_bits::<7>(1);
            self.left.d.next = self.span.val().get_bits::<7>(1);
            self.fill.d.next = self.fetched.q.val().get_bits::<6>(1);
            self.fetched.d.next = self.fetched.q.val() + bit_cast::<15, 7>(self.count_q.q.val());
        }
        self.req.addr_lo.next = self.req_lo.q.val();
        self.req.addr_hi.next = self.req_hi.q.val();
        self.req.dwords.next = self.dwords.q.val();
        self.req.valid.next = self.asking.q.val();
        if self.asking.q.val() & self.req.ready.val() {
            self.asking.d.next = false;
            self.flying.d.next = true;
        }

        // Answers: a DW a cycle into the window.
        self.ram.read_clock.next = self.clock.val();
        self.ram.write_clock.next = self.clock.val();
        self.ram.write_address.next = self.fill.q.val();
        self.ram.write_data.next = self.data.d0.val();
        if self.upper.q.val() {
            self.ram.write_data.next = self.data.d1.val();
        }
        self.ram.write_enable.next = self.data.valid.val() & self.left.q.val().any();
        self.data.ready.next = self.upper.q.val() | (self.left.q.val() < 2);
        self.error.next = false;
        if self.data.valid.val() {
            self.fill.d.next = self.fill.q.val() + 1;
            self.left.d.next = self.left.q.val() - 1;
            self.upper.d.next = !self.upper.q.val();
            if self.upper.q.val() | (self.left.q.val() < 2) {
                self.upper.d.next = false;
                if self.data.last.val() {
                    self.flying.d.next = false;
                    self.landed.d.next = !self.data.err.val();
                    self.error.next = self.data.err.val();
                }
            }
        }
        // The RAM shows old contents: what was written last may be read from the next cycle on.
        if self.landed.q.val() {
            self.arrived.d.next = self.fetched.q.val();
            self.landed.d.next = false;
        }
        if self.in_order.val() {
            self.arrived.d.next = self.wanted.q.val();
        }

        // Slot by slot out of the window.
        self.load.next = !self.have.q.val() & (self.arrived.q.val() != self.taken.q.val());
        self.show_next.next = self.show.q.val();
        if self.load.val() {
            self.slot_q.d.next = bit_cast::<16, 32>(self.ram.read_data.val());
            if self.taken.q.val().get_bit(0) {
                self.slot_q.d.next = self.ram.read_data.val().get_bits::<16>(16);
                self.show_next.next = self.show.q.val() + 1;
            }
            if self.in_order.val() {
                self.slot_q.d.next = bit_cast::<16, 15>(self.index.val());
            }
            self.have.d.next = true;
            self.taken.d.next = self.taken.q.val() + 1;
        }
        self.show.d.next = self.show_next.val();
        self.ram.read_address.next = self.show_next.val();
        self.slot.next = self.slot_q.q.val();
        self.valid.next = self.have.q.val() & self.run.val();
        if self.have.q.val() & self.run.val() & self.ready.val() {
            self.have.d.next = false;
        }
        self.idle.next = !self.asking.q.val() & !self.flying.q.val() & !self.landed.q.val();
        self.busy.next = (self.in_order.val() & (self.arrived.q.val() != self.wanted.q.val()))
            | self.plan.val()
            | self.planned.q.val()
            | (self.asking.q.val() & self.req.ready.val())
            | self.landed.q.val()
            | self.load.val()
            | self.data.valid.val();

        if self.update_idx.val() {
            self.wanted.d.next = self.producer.val();
        }
        if self.start.val() {
            self.size.d.next = self.one.val() << bit_cast::<15, 4>(self.log2.val());
            self.line.d.next = 64.into();
            if self.log2.val() == 4 {
                self.line.d.next = 16.into();
            } else if self.log2.val() == 5 {
                self.line.d.next = 32.into();
            }
        }
        if self.start.val() | self.reset.val() {
            self.upper.d.next = false;
            self.left.d.next = 0.into();
            self.wanted.d.next = 0.into();
            self.fetched.d.next = 0.into();
            self.arrived.d.next = 0.into();
            self.landed.d.next = false;
            self.taken.d.next = 0.into();
            self.show.d.next = 0.into();
            self.have.d.next = false;
            self.planned.d.next = false;
            self.asking.d.next = false;
            self.flying.d.next = false;
        }
    }
}
