//! Prefetches SQEs, up to eight a read, and hands them out one at a time.
use crate::pcie::ports::{ReadDataSink, ReadReqSource};
use rust_hdl::prelude::*;

#[doc(hidden)]
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum SqeState {
    Wait,
    Low,
    High,
}

/// Fetches the SQ line by line (128 bytes), at most two reads in flight and sixteen SQEs in its buffer.
#[derive(LogicBlock, Default)]
pub struct SqeFetcher {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// High for one cycle: begin with index 0 on the ring that the next inputs describe; they are steady from then on.
    pub start: Signal<In, Bit>,
    /// New reads may begin and SQEs may be handed out.
    pub run: Signal<In, Bit>,
    /// IOVA of the SQ, low half, 128-byte aligned.
    pub base_lo: Signal<In, Bits<32>>,
    /// High half.
    pub base_hi: Signal<In, Bits<32>>,
    /// Ring size, log2 of entries, 4 to 14.
    pub log2: Signal<In, Bits<4>>,
    /// How far the host has written, from a doorbell.
    pub producer: Signal<In, Bits<15>>,
    /// High for one cycle: `producer` holds, and `producer_bad` is low.
    pub update_idx: Signal<In, Bit>,
    /// Index after the last SQE that is done with; up to a ring beyond it the host may write.
    pub retired: Signal<In, Bits<15>>,
    /// `producer` is behind the last one or more than a ring beyond `retired`.
    pub producer_bad: Signal<Out, Bit>,
    /// Reads of the ring.
    pub req: ReadReqSource,
    /// Their answers.
    pub data: ReadDataSink,
    /// The SQE: IOVA, low half.
    pub addr_lo: Signal<Out, Bits<32>>,
    /// High half.
    pub addr_hi: Signal<Out, Bits<32>>,
    /// Length in bits 15:0, flags in bits 31:16.
    pub len_flags: Signal<Out, Bits<32>>,
    /// VLAN tag control information in bits 15:0, MSS in bits 31:16.
    pub options: Signal<Out, Bits<32>>,
    /// Its free-running index.
    pub index: Signal<Out, Bits<15>>,
    /// The SQE is there.
    pub valid: Signal<Out, Bit>,
    /// It is taken.
    pub ready: Signal<In, Bit>,
    /// High for one cycle: a read failed. Nothing that it brought is handed out.
    pub error: Signal<Out, Bit>,
    /// No read is under way.
    pub idle: Signal<Out, Bit>,
    /// Something is under way.
    pub busy: Signal<Out, Bit>,
    state: DFF<SqeState>,
    even: RAM<Bits<32>, 5>,
    odd: RAM<Bits<32>, 5>,
    fill: DFF<Bits<5>>,
    next_pair: DFF<Bits<5>>,
    pair: Signal<Local, Bits<5>>,
    size: DFF<Bits<15>>,
    wanted: DFF<Bits<15>>,
    fetched: DFF<Bits<15>>,
    filled: DFF<Bits<15>>,
    arrived: DFF<Bits<15>>,
    taken: DFF<Bits<15>>,
    asking: DFF<Bit>,
    req_lo: DFF<Bits<32>>,
    req_hi: DFF<Bits<32>>,
    count: DFF<Bits<4>>,
    flying: DFF<Bits<2>>,
    sqe_lo: DFF<Bits<32>>,
    sqe_hi: DFF<Bits<32>>,
    sqe_lf: DFF<Bits<32>>,
    sqe_options: DFF<Bits<32>>,
    have: DFF<Bit>,
    one: Signal<Local, Bits<15>>,
    mask_now: Signal<Local, Bits<15>>,
    asked: Signal<Local, Bits<15>>,
    known: Signal<Local, Bits<15>>,
    left: Signal<Local, Bits<15>>,
    stock: Signal<Local, Bits<15>>,
    eight: Signal<Local, Bits<4>>,
    to_line: Signal<Local, Bits<4>>,
    plan: Signal<Local, Bit>,
    planned: DFF<Bit>,
    compute: Signal<Local, Bit>,
    /// Where in the ring the next read begins, in entries.
    place: DFF<Bits<15>>,
    sum: Signal<Local, Bits<32>>,
    answered: Signal<Local, Bit>,
}

impl Logic for SqeFetcher {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            state,
            fill,
            next_pair,
            size,
            wanted,
            fetched,
            filled,
            arrived,
            taken,
            planned,
            place,
            asking,
            req_lo,
            req_hi,
            count,
            flying,
            sqe_lo,
            sqe_hi,
            sqe_lf,
            sqe_options,
            have
        );
        self.even.read_clock.next = self.clock.val();
        self.even.write_clock.next = self.clock.val();
        self.odd.read_clock.next = self.clock.val();
        self.odd.write_clock.next = self.clock.val();
        self.even.write_address.next = self.fill.q.val();
        self.odd.write_address.next = self.fill.q.val();
        self.even.write_data.next = self.data.d0.val();
        self.odd.write_data.next = self.data.d1.val();
        self.even.write_enable.next = self.data.valid.val();
        self.odd.write_enable.next = self.data.valid.val();
        self.data.ready.next = true;

        self.one.next = 1.into();
        self.mask_now.next = self.size.q.val() - 1;
        self.asked.next = self.producer.val() - self.retired.val();
        self.known.next = self.wanted.q.val() - self.retired.val();
        self.producer_bad.next =
            (self.asked.val() > self.size.q.val()) | (self.asked.val() < self.known.val());
        self.left.next = self.wanted.q.val() - self.fetched.q.val();
        self.stock.next = self.fetched.q.val() - self.taken.q.val();
        self.eight.next = 8.into();
        self.to_line.next = self.eight.val() - (bit_cast::<4, 15>(self.fetched.q.val()) & 7);
        // In two cycles: how many from where, then the address. What changes between them can only make room.
        self.plan.next = self.run.val()
            & !self.planned.q.val()
            & !self.asking.q.val()
            & !self.flying.q.val().get_bit(1)
            & self.left.val().any()
            & (self.stock.val() <= 8);
        self.compute.next = self.planned.q.val() & self.run.val();
        self.planned.d.next = self.plan.val();
        if self.plan.val() {
            self.place.d.next = self.fetched.q.val() & self.mask_now.val();
            self.count.d.next = self.to_line.val();
            if self.left.val() < bit_cast::<15, 4>(self.to_line.val()) {
                self.count.d.next = bit_cast::<4, 15>(self.left.val());
            }
        }
        self.sum.next = self.base_lo.val() + (bit_cast::<32, 15>(self.place.q.val()) << 4);
        self.answered.next = self.data.valid.val() & self.data.last.val();
        self.error.next = self.answered.val() & self.data.err.val();
        self.idle.next = !self.asking.q.val() & !self.flying.q.val().any();
        self.busy.next = (self.asking.q.val() & self.req.ready.val())
            | self.plan.val()
            | self.planned.q.val()
            | self.data.valid.val()
            | (self.state.q.val() != SqeState::Wait)
            | (self.run.val() & !self.have.q.val() & (self.arrived.q.val() != self.taken.q.val()));

        self.req.addr_lo.next = self.req_lo.q.val();
        self.req.addr_hi.next = self.req_hi.q.val();
        self.req.dwords.next = 0.into();
        if self.asking.q.val() {
            self.req.dwords.next = bit_cast::<7, 4>(self.count.q.val()) << 2;
        }
        self.req.valid.next = self.asking.q.val();
        self.addr_lo.next = self.sqe_lo.q.val();
        self.addr_hi.next = self.sqe_hi.q.val();
        self.len_flags.next = self.sqe_lf.q.val();
        self.options.next = self.sqe_options.q.val();
        self.index.next = self.taken.q.val();
        self.valid.next = self.have.q.val() & self.run.val();

        if self.compute.val() {
            self.asking.d.next = true;
            self.req_lo.d.next = self.sum.val();
            self.req_hi.d.next = self.base_hi.val();
            // The place is small: the sum wraps where its top bit falls.
            if self.base_lo.val().get_bit(31) & !self.sum.val().get_bit(31) {
                self.req_hi.d.next = self.base_hi.val() + 1;
            }
        }
        if self.asking.q.val() & self.req.ready.val() {
            self.asking.d.next = false;
            self.fetched.d.next = self.fetched.q.val() + bit_cast::<15, 4>(self.count.q.val());
            self.flying.d.next = self.flying.q.val() + 1;
        }
        if self.data.valid.val() {
            self.fill.d.next = self.fill.q.val() + 1;
            if self.fill.q.val().get_bit(0) {
                self.filled.d.next = self.filled.q.val() + 1;
            }
            if self.data.last.val() {
                self.flying.d.next = self.flying.q.val() - 1;
                if self.asking.q.val() & self.req.ready.val() {
                    self.flying.d.next = self.flying.q.val();
                }
                if !self.data.err.val() {
                    self.arrived.d.next = self.filled.q.val() + 1;
                }
            }
        }

        // Entry by entry out of the buffer: word pairs (0, 1) and (2, 3).
        self.pair.next = self.next_pair.q.val();
        match self.state.q.val() {
            SqeState::Wait => {
                if self.run.val()
                    & !self.have.q.val()
                    & (self.arrived.q.val() != self.taken.q.val())
                {
                    self.state.d.next = SqeState::Low;
                }
            }
            SqeState::Low => {
                self.sqe_lo.d.next = self.even.read_data.val();
                self.sqe_hi.d.next = self.odd.read_data.val();
                self.pair.next = self.next_pair.q.val() + 1;
                self.state.d.next = SqeState::High;
            }
            SqeState::High => {
                self.sqe_lf.d.next = self.even.read_data.val();
                self.sqe_options.d.next = self.odd.read_data.val();
                self.pair.next = self.next_pair.q.val() + 1;
                self.have.d.next = true;
                self.state.d.next = SqeState::Wait;
            }
            _ => {
                self.state.d.next = SqeState::Wait;
            }
        }
        self.next_pair.d.next = self.pair.val();
        self.even.read_address.next = self.pair.val();
        self.odd.read_address.next = self.pair.val();
        if self.have.q.val() & self.run.val() & self.ready.val() {
            self.have.d.next = false;
            self.taken.d.next = self.taken.q.val() + 1;
        }
        if self.update_idx.val() {
            self.wanted.d.next = self.producer.val();
        }
        if self.start.val() {
            self.size.d.next = self.one.val() << bit_cast::<15, 4>(self.log2.val());
        }
        if self.start.val() | self.reset.val() {
            self.state.d.next = SqeState::Wait;
            self.fill.d.next = 0.into();
            self.next_pair.d.next = 0.into();
            self.wanted.d.next = 0.into();
            self.fetched.d.next = 0.into();
            self.filled.d.next = 0.into();
            self.arrived.d.next = 0.into();
            self.taken.d.next = 0.into();
            self.planned.d.next = false;
            self.asking.d.next = false;
            self.flying.d.next = 0.into();
            self.have.d.next = false;
        }
    }
}
