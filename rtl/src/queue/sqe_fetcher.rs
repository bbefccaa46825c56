//! Prefetches SQEs of four queues in turn, up to eight a read, and hands them out one at a time.
use super::bank::Bank;
use super::ring_base::RingBase;
use crate::pcie::ports::{ReadDataSink, ReadReqSource};
use rust_hdl::prelude::*;

#[doc(hidden)]
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum SqeState {
    Wait,
    Low,
    High,
}

/// Fetches an SQ line by line (128 bytes), at most two reads in flight and sixteen SQEs in its buffer.
///
/// While another queue has SQEs, a queue's turn is over after two reads; but never within a frame, and not before all that was fetched
/// is handed out.
#[derive(LogicBlock, Default)]
pub struct SqeFetcher {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// Bit i is high for one cycle: queue i begins with index 0. Nothing of it is under way.
    pub start: Signal<In, Bits<4>>,
    /// Bit i: of queue i new reads may begin and SQEs may be handed out.
    pub run: Signal<In, Bits<4>>,
    /// The host writes CFG of the queue `set_place`: SQ_LOG2 in bits 3:0, 4 to 14. Such writes are for queues that do not run.
    pub set_cfg: Signal<In, Bit>,
    /// SQ_BASE_LO, 128-byte aligned.
    pub set_lo: Signal<In, Bit>,
    /// SQ_BASE_HI.
    pub set_hi: Signal<In, Bit>,
    /// Which queue's.
    pub set_place: Signal<In, Bits<2>>,
    /// What is written.
    pub set_data: Signal<In, Bits<32>>,
    /// Whose doorbell it is.
    pub bell: Signal<In, Bits<2>>,
    /// How far the host has written, from the doorbell.
    pub producer: Signal<In, Bits<15>>,
    /// High for one cycle: `producer` holds, and `producer_bad` is low.
    pub update_idx: Signal<In, Bit>,
    /// `producer` is behind the last one or more than a ring beyond `retired`.
    pub producer_bad: Signal<Out, Bit>,
    /// Index after the last SQE of queue `retire_place` that is done with; up to a ring beyond it the host may write.
    pub retired: Signal<In, Bits<15>>,
    /// `retired` holds.
    pub retire: Signal<In, Bit>,
    /// Which queue's.
    pub retire_place: Signal<In, Bits<2>>,
    /// Reads of the ring.
    pub req: ReadReqSource,
    /// Their answers.
    pub data: ReadDataSink,
    /// Whose turn it is.
    pub whose_turn: Signal<Out, Bits<2>>,
    /// Its bit of `run`.
    pub runs: Signal<Out, Bit>,
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
    /// Who takes them is between two frames.
    pub between: Signal<In, Bit>,
    /// High for one cycle: a read for the queue whose turn it is failed. Nothing that it brought is handed out.
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
    ring: RingBase,
    /// Whose turn it is, and the index after the last SQE of each other queue that was handed out.
    turn: DFF<Bits<2>>,
    turn_next: Signal<Local, Bits<2>>,
    left_at: Bank<15>,
    wanted: Bank<15>,
    retires: Bank<15>,
    /// Bit i: queue i may have SQEs that are not handed out.
    work: DFF<Bits<4>>,
    /// The turn has just changed: the indices are that of the queue before.
    turned: DFF<Bit>,
    /// Reads of this turn, at most two are counted.
    reads: DFF<Bits<2>>,
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
    answered: Signal<Local, Bit>,
    lowest: Signal<Local, Bits<4>>,
    flag: Signal<Local, Bits<4>>,
    rest: Signal<Local, Bits<4>>,
    bell_flag: Signal<Local, Bits<4>>,
    running: Signal<Local, Bit>,
    others: Signal<Local, Bits<4>>,
    beyond: Signal<Local, Bits<4>>,
    pick: Signal<Local, Bits<4>>,
    over: Signal<Local, Bit>,
    calm: Signal<Local, Bit>,
    turns: Signal<Local, Bit>,
    kept: Signal<Local, Bits<4>>,
    clears: Signal<Local, Bits<4>>,
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
            turn,
            work,
            turned,
            reads,
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
        clock!(self, clock, ring, left_at, wanted, retires);
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

        // What is kept for each queue.
        self.clears.next = self.start.val();
        if self.reset.val() {
            self.clears.next = 15.into();
        }
        self.ring.set_cfg.next = self.set_cfg.val();
        self.ring.set_log2.next = bit_cast::<4, 32>(self.set_data.val());
        self.ring.set_lo.next = self.set_lo.val();
        self.ring.set_hi.next = self.set_hi.val();
        self.ring.set_place.next = self.set_place.val();
        self.ring.set_data.next = self.set_data.val();
        self.ring.whose_turn.next = self.turn.q.val();
        self.ring.bell.next = self.bell.val();
        self.ring.offset.next = bit_cast::<18, 15>(self.place.q.val()) << 4;
        self.left_at.clear.next = self.clears.val();
        self.left_at.place.next = self.turn.q.val();
        self.left_at.other.next = self.turn.q.val();
        self.left_at.target.next = self.turn.q.val();
        self.left_at.d.next = self.taken.q.val();
        self.wanted.clear.next = self.clears.val();
        self.wanted.place.next = self.turn.q.val();
        self.wanted.other.next = self.bell.val();
        self.wanted.target.next = self.bell.val();
        self.wanted.d.next = self.producer.val();
        self.wanted.write.next = self.update_idx.val();
        self.retires.clear.next = self.clears.val();
        self.retires.place.next = self.bell.val();
        self.retires.other.next = self.bell.val();
        self.retires.target.next = self.retire_place.val();
        self.retires.d.next = self.retired.val();
        self.retires.write.next = self.retire.val();

        self.asked.next = self.producer.val() - self.retires.q.val();
        self.known.next = self.wanted.other_q.val() - self.retires.q.val();
        self.producer_bad.next =
            (self.asked.val() > self.ring.bell_size.val()) | (self.asked.val() < self.known.val());

        self.mask_now.next = self.ring.size.val() - 1;
        self.left.next = self.wanted.q.val() - self.fetched.q.val();
        self.stock.next = self.fetched.q.val() - self.taken.q.val();
        // Whose turn it is: the next one's after this that has work.
        self.lowest.next = 1.into();
        self.flag.next = self.lowest.val() << bit_cast::<4, 2>(self.turn.q.val());
        self.rest.next = !self.flag.val();
        self.bell_flag.next = self.lowest.val() << bit_cast::<4, 2>(self.bell.val());
        self.running.next = (self.run.val() & self.flag.val()).any();
        self.others.next = self.work.q.val() & self.run.val() & self.rest.val();
        self.beyond.next = 0.into();
        if self.turn.q.val() == 0 {
            self.beyond.next = self.others.val() & 14;
        } else if self.turn.q.val() == 1 {
            self.beyond.next = self.others.val() & 12;
        } else if self.turn.q.val() == 2 {
            self.beyond.next = self.others.val() & 8;
        }
        self.pick.next = self.others.val();
        if self.beyond.val().any() {
            self.pick.next = self.beyond.val();
        }
        self.over.next = self.others.val().any()
            & self.reads.q.val().get_bit(1)
            & (self.between.val() | self.stock.val().any());
        self.calm.next = !self.asking.q.val()
            & !self.flying.q.val().any()
            & !self.planned.q.val()
            & !self.turned.q.val()
            & self.between.val()
            & (!self.running.val()
                | ((self.state.q.val() == SqeState::Wait)
                    & !self.have.q.val()
                    & (self.arrived.q.val() == self.taken.q.val())
                    & (!self.left.val().any() | self.reads.q.val().get_bit(1))));
        self.turns.next = self.calm.val() & self.others.val().any();
        self.turn_next.next = self.turn.q.val();
        self.turned.d.next = self.turns.val();
        if self.turns.val() {
            self.turn_next.next = 3.into();
            if self.pick.val().get_bit(0) {
                self.turn_next.next = 0.into();
            } else if self.pick.val().get_bit(1) {
                self.turn_next.next = 1.into();
            } else if self.pick.val().get_bit(2) {
                self.turn_next.next = 2.into();
            }
        }
        self.ring.next_turn.next = self.turn_next.val();
        self.left_at.write.next = self.turns.val();
        self.turn.d.next = self.turn_next.val();
        self.kept.next = self.work.q.val();
        if self.turns.val() & !self.left.val().any() {
            self.kept.next = self.work.q.val() & self.rest.val();
        }
        self.work.d.next = self.kept.val();
        if self.update_idx.val() {
            self.work.d.next = self.kept.val() | self.bell_flag.val();
        }

        // In two cycles: how many from where, then the address. What changes between them can only make room.
        self.eight.next = 8.into();
        self.to_line.next = self.eight.val() - (bit_cast::<4, 15>(self.fetched.q.val()) & 7);
        self.plan.next = self.running.val()
            & !self.planned.q.val()
            & !self.turned.q.val()
            & !self.asking.q.val()
            & !self.flying.q.val().get_bit(1)
            & self.left.val().any()
            & !self.over.val()
            & (self.stock.val() <= 8);
        self.compute.next = self.planned.q.val() & self.running.val();
        self.planned.d.next = self.plan.val();
        if self.plan.val() {
            self.place.d.next = self.fetched.q.val() & self.mask_now.val();
            self.count.d.next = self.to_line.val();
            if self.left.val() < bit_cast::<15, 4>(self.to_line.val()) {
                self.count.d.next = bit_cast::<4, 15>(self.left.val());
            }
        }
        self.answered.next = self.data.valid.val() & self.data.last.val();
        self.error.next = self.answered.val() & self.data.err.val();
        self.idle.next = !self.asking.q.val() & !self.flying.q.val().any();
        self.whose_turn.next = self.turn.q.val();
        // Written without `running`: what asks for SQEs must not depend, as a block, on what it takes.
        self.runs.next = self.run.val().get_bit(0);
        if self.turn.q.val() == 1 {
            self.runs.next = self.run.val().get_bit(1);
        } else if self.turn.q.val() == 2 {
            self.runs.next = self.run.val().get_bit(2);
        } else if self.turn.q.val() == 3 {
            self.runs.next = self.run.val().get_bit(3);
        }
        self.busy.next = (self.asking.q.val() & self.req.ready.val())
            | self.plan.val()
            | self.planned.q.val()
            | self.turned.q.val()
            | self.turns.val()
            | self.data.valid.val()
            | (self.state.q.val() != SqeState::Wait)
            | (self.running.val()
                & !self.have.q.val()
                & (self.arrived.q.val() != self.taken.q.val()));

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
        self.valid.next = self.have.q.val() & self.run.val().get_bit(0);
        if self.turn.q.val() == 1 {
            self.valid.next = self.have.q.val() & self.run.val().get_bit(1);
        } else if self.turn.q.val() == 2 {
            self.valid.next = self.have.q.val() & self.run.val().get_bit(2);
        } else if self.turn.q.val() == 3 {
            self.valid.next = self.have.q.val() & self.run.val().get_bit(3);
        }

        if self.compute.val() {
            self.asking.d.next = true;
            self.req_lo.d.next = self.ring.addr_lo.val();
            self.req_hi.d.next = self.ring.addr_hi.val();
        }
        if self.asking.q.val() & self.req.ready.val() {
            self.asking.d.next = false;
            self.fetched.d.next = self.fetched.q.val() + bit_cast::<15, 4>(self.count.q.val());
            self.flying.d.next = self.flying.q.val() + 1;
            if !self.reads.q.val().get_bit(1) {
                self.reads.d.next = self.reads.q.val() + 1;
            }
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
                if self.running.val()
                    & !self.have.q.val()
                    & !self.turned.q.val()
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
        if self.have.q.val() & self.running.val() & self.ready.val() {
            self.have.d.next = false;
            self.taken.d.next = self.taken.q.val() + 1;
        }
        // What was fetched and not handed out, of a queue that has stopped, is forgotten.
        if self.turns.val() {
            self.state.d.next = SqeState::Wait;
            self.have.d.next = false;
        }
        if self.turned.q.val() {
            self.fill.d.next = 0.into();
            self.next_pair.d.next = 0.into();
            self.fetched.d.next = self.left_at.q.val();
            self.filled.d.next = self.left_at.q.val();
            self.arrived.d.next = self.left_at.q.val();
            self.taken.d.next = self.left_at.q.val();
            self.reads.d.next = 0.into();
        }
        if (self.start.val() & self.flag.val()).any() | self.reset.val() {
            self.state.d.next = SqeState::Wait;
            self.fill.d.next = 0.into();
            self.next_pair.d.next = 0.into();
            self.reads.d.next = 0.into();
            self.fetched.d.next = 0.into();
            self.filled.d.next = 0.into();
            self.arrived.d.next = 0.into();
            self.taken.d.next = 0.into();
            self.planned.d.next = false;
            self.asking.d.next = false;
            self.flying.d.next = 0.into();
            self.have.d.next = false;
        }
        if self.reset.val() {
            self.turn.d.next = 0.into();
            self.turned.d.next = false;
            self.work.d.next = 0.into();
        }
    }
}
