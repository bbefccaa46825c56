//! Prefetches receive slot numbers of four queues, up to sixty-four a read, and hands them out one at a time; or makes them up.
use super::bank::Bank;
use super::ring_base::RingBase;
use crate::pcie::ports::{ReadDataSink, ReadReqSource};
use rust_hdl::prelude::*;

/// Fetches an RXQ, a ring of u16, in pieces that end at 128-byte borders; one read in flight, at most 127 slots of each queue in its buffer.
///
/// The buffer is a window of 64 DWs of each ring, two slots each. A DW whose upper slot the host had not yet filled is read again later.
///
/// It turns to the queue that a frame waits for; while none does, to one that has got slots. For a queue that uses its slots in their order
/// nothing is fetched: slot numbers are the indices, modulo the ring's size.
#[derive(LogicBlock, Default)]
pub struct SlotFetcher {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// Bit i is high for one cycle: queue i begins with index 0. Nothing of it is under way.
    pub start: Signal<In, Bits<4>>,
    /// Bit i: of queue i new reads may begin and slots may be handed out.
    pub run: Signal<In, Bits<4>>,
    /// Bit i: queue i uses its slots in their order. Steady while it runs.
    pub in_order: Signal<In, Bits<4>>,
    /// The host writes CFG of the queue `set_place`: RXQ_LOG2 in bits 3:0, 4 to 14. Such writes are for queues that do not run.
    pub set_cfg: Signal<In, Bit>,
    /// RXQ_BASE_LO, 128-byte aligned.
    pub set_lo: Signal<In, Bit>,
    /// RXQ_BASE_HI.
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
    /// `producer` is behind the last one or more than a ring beyond what has come back.
    pub producer_bad: Signal<Out, Bit>,
    /// High for one cycle: the oldest slot of the queue whose turn it is that has not come back does so; the host may write behind it.
    pub retire: Signal<In, Bit>,
    /// A frame is being written: the turn does not change.
    pub writing: Signal<In, Bit>,
    /// A frame waits for a slot of queue `aim`, which runs.
    pub waits: Signal<In, Bit>,
    /// Which.
    pub aim: Signal<In, Bits<2>>,
    /// Reads of the ring.
    pub req: ReadReqSource,
    /// Their answers.
    pub data: ReadDataSink,
    /// Whose turn it is.
    pub whose_turn: Signal<Out, Bits<2>>,
    /// Whose turn it is in the next cycle.
    pub next_turn: Signal<Out, Bits<2>>,
    /// Slot number, unchecked.
    pub slot: Signal<Out, Bits<16>>,
    /// `slot` is there.
    pub valid: Signal<Out, Bit>,
    /// It is taken.
    pub ready: Signal<In, Bit>,
    /// The host has given no slot to the queue whose turn it is.
    pub empty: Signal<Out, Bit>,
    /// The turn has just changed, or a slot that is in the buffer is being loaded.
    pub soon: Signal<Out, Bit>,
    /// High for one cycle: a read for the queue whose turn it is failed. Nothing that it brought is handed out.
    pub error: Signal<Out, Bit>,
    /// The turn may change unless a frame is being written.
    pub settled: Signal<Out, Bit>,
    /// No read is under way.
    pub idle: Signal<Out, Bit>,
    /// Something is under way.
    pub busy: Signal<Out, Bit>,
    ram: RAM<Bits<32>, 8>,
    fill: DFF<Bits<6>>,
    upper: DFF<Bit>,
    left: DFF<Bits<7>>,
    ring: RingBase,
    /// Whose turn it is, and of each other queue the index after the last slot fetched and handed out.
    turn: DFF<Bits<2>>,
    turn_next: Signal<Local, Bits<2>>,
    left_fetched: Bank<15>,
    left_taken: Bank<15>,
    wanted: Bank<15>,
    retires: Bank<15>,
    next_retired: Signal<Local, Bits<15>>,
    /// Bit i: queue i may have slots that are not fetched.
    work: DFF<Bits<4>>,
    /// The turn has just changed: the indices are that of the queue before.
    turned: DFF<Bit>,
    /// The RAM shows what belongs to `taken`.
    shown: DFF<Bit>,
    fetched: DFF<Bits<15>>,
    arrived: DFF<Bits<15>>,
    landed: DFF<Bit>,
    taken: DFF<Bits<15>>,
    taken_next: Signal<Local, Bits<15>>,
    slot_q: DFF<Bits<16>>,
    have: DFF<Bit>,
    asking: DFF<Bit>,
    flying: DFF<Bit>,
    req_lo: DFF<Bits<32>>,
    req_hi: DFF<Bits<32>>,
    dwords: DFF<Bits<7>>,
    even_mask: Signal<Local, Bits<15>>,
    mask: Signal<Local, Bits<15>>,
    line: Signal<Local, Bits<7>>,
    order: Signal<Local, Bits<15>>,
    asked: Signal<Local, Bits<15>>,
    known: Signal<Local, Bits<15>>,
    ahead: Signal<Local, Bits<15>>,
    stock: Signal<Local, Bits<15>>,
    past: Signal<Local, Bits<7>>,
    to_line: Signal<Local, Bits<7>>,
    count: Signal<Local, Bits<7>>,
    count_q: DFF<Bits<7>>,
    span: Signal<Local, Bits<8>>,
    could: Signal<Local, Bit>,
    plan: Signal<Local, Bit>,
    planned: DFF<Bit>,
    compute: Signal<Local, Bit>,
    /// Where in the ring the next read begins, in entries.
    place: DFF<Bits<15>>,
    load: Signal<Local, Bit>,
    hands: Signal<Local, Bit>,
    lowest: Signal<Local, Bits<4>>,
    flag: Signal<Local, Bits<4>>,
    rest: Signal<Local, Bits<4>>,
    bell_flag: Signal<Local, Bits<4>>,
    running: Signal<Local, Bit>,
    ordered: Signal<Local, Bit>,
    others: Signal<Local, Bits<4>>,
    calm: Signal<Local, Bit>,
    turns: Signal<Local, Bit>,
    kept: Signal<Local, Bits<4>>,
    clears: Signal<Local, Bits<4>>,
}

impl Logic for SlotFetcher {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, fill, upper, left, turn, work, turned, shown, fetched, arrived, landed,
            taken, slot_q, have, planned, count_q, place, asking, flying, req_lo, req_hi, dwords
        );
        clock!(self, clock, ring, left_fetched, left_taken, wanted, retires);

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
        self.ring.offset.next = bit_cast::<18, 15>(self.place.q.val()) << 1;
        self.left_fetched.clear.next = self.clears.val();
        self.left_fetched.place.next = self.turn.q.val();
        self.left_fetched.other.next = self.turn.q.val();
        self.left_fetched.target.next = self.turn.q.val();
        self.left_fetched.d.next = self.fetched.q.val();
        self.left_taken.clear.next = self.clears.val();
        self.left_taken.place.next = self.turn.q.val();
        self.left_taken.other.next = self.turn.q.val();
        self.left_taken.target.next = self.turn.q.val();
        self.left_taken.d.next = self.taken.q.val();
        self.wanted.clear.next = self.clears.val();
        self.wanted.place.next = self.turn.q.val();
        self.wanted.other.next = self.bell.val();
        self.wanted.target.next = self.bell.val();
        self.wanted.d.next = self.producer.val();
        self.wanted.write.next = self.update_idx.val();
        self.next_retired.next = self.retires.q.val() + 1;
        self.retires.clear.next = self.clears.val();
        self.retires.place.next = self.turn.q.val();
        self.retires.other.next = self.bell.val();
        self.retires.target.next = self.turn.q.val();
        self.retires.d.next = self.next_retired.val();
        self.retires.write.next = self.retire.val();

        self.asked.next = self.producer.val() - self.retires.other_q.val();
        self.known.next = self.wanted.other_q.val() - self.retires.other_q.val();
        self.producer_bad.next =
            (self.asked.val() > self.ring.bell_size.val()) | (self.asked.val() < self.known.val());

        // Whose turn it is.
        self.lowest.next = 1.into();
        self.flag.next = self.lowest.val() << bit_cast::<4, 2>(self.turn.q.val());
        self.rest.next = !self.flag.val();
        self.bell_flag.next = self.lowest.val() << bit_cast::<4, 2>(self.bell.val());
        self.running.next = (self.run.val() & self.flag.val()).any();
        self.ordered.next = (self.in_order.val() & self.flag.val()).any();
        self.others.next = self.work.q.val() & self.run.val() & self.rest.val();
        self.even_mask.next = self.ring.size.val() - 2;
        self.mask.next = self.ring.size.val() - 1;
        self.order.next = self.taken.q.val() & self.mask.val();
        self.ahead.next = self.wanted.q.val() - self.fetched.q.val();
        self.stock.next = self.fetched.q.val() - self.taken.q.val();
        self.could.next = self.running.val()
            & !self.turned.q.val()
            & self.ahead.val().any()
            & !self.ordered.val()
            & (self.stock.val() < 64);
        self.calm.next = !self.writing.val()
            & !self.planned.q.val()
            & !self.asking.q.val()
            & !self.flying.q.val()
            & !self.landed.q.val()
            & !self.turned.q.val();
        self.turns.next = false;
        self.turn_next.next = self.turn.q.val();
        if self.calm.val() & self.waits.val() {
            if self.aim.val() != self.turn.q.val() {
                self.turns.next = true;
                self.turn_next.next = self.aim.val();
            }
        } else if self.calm.val() & !self.could.val() & self.others.val().any() {
            self.turns.next = true;
            self.turn_next.next = 3.into();
            if self.others.val().get_bit(0) {
                self.turn_next.next = 0.into();
            } else if self.others.val().get_bit(1) {
                self.turn_next.next = 1.into();
            } else if self.others.val().get_bit(2) {
                self.turn_next.next = 2.into();
            }
        }
        self.ring.next_turn.next = self.turn_next.val();
        self.left_fetched.write.next = self.turns.val();
        self.left_taken.write.next = self.turns.val();
        self.turn.d.next = self.turn_next.val();
        self.turned.d.next = self.turns.val();
        self.whose_turn.next = self.turn.q.val();
        self.next_turn.next = self.turn_next.val();
        // What a queue still has to fetch when its turn ends, its window takes in once slots of it are used: at its next turn, that is.
        self.kept.next = self.work.q.val();
        if self.turns.val() & !self.could.val() {
            self.kept.next = self.work.q.val() & self.rest.val();
        }
        self.work.d.next = self.kept.val();
        if self.update_idx.val() {
            self.work.d.next = self.kept.val() | self.bell_flag.val();
        }

        // Which slots to ask for next, in two cycles: how many from where, then the address. What changes between them can only make room.
        self.plan.next = self.could.val()
            & !self.planned.q.val()
            & !self.asking.q.val()
            & !self.flying.q.val()
            & !self.landed.q.val()
            & !self.turns.val();
        self.compute.next = self.planned.q.val() & self.running.val();
        self.planned.d.next = self.plan.val();
        self.line.next = 64.into();
        if self.ring.size.val().get_bit(4) {
            self.line.next = 16.into();
        } else if self.ring.size.val().get_bit(5) {
            self.line.next = 32.into();
        }
        self.past.next = bit_cast::<7, 15>(self.fetched.q.val()) & (self.line.val() - 1);
        self.to_line.next = self.line.val() - self.past.val();
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
        if self.compute.val() {
            self.asking.d.next = true;
            self.req_lo.d.next = self.ring.addr_lo.val();
            self.req_hi.d.next = self.ring.addr_hi.val();
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
        self.ram.write_address.next =
            (bit_cast::<8, 2>(self.turn.q.val()) << 6) | bit_cast::<8, 6>(self.fill.q.val());
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
        if self.ordered.val() {
            self.arrived.d.next = self.wanted.q.val();
        }

        // Slot by slot out of the window.
        self.hands.next = self.have.q.val() & self.running.val() & self.ready.val();
        self.taken_next.next = self.taken.q.val();
        if self.hands.val() {
            self.taken_next.next = self.taken.q.val() + 1;
            self.have.d.next = false;
        }
        self.taken.d.next = self.taken_next.val();
        self.ram.read_address.next = (bit_cast::<8, 2>(self.turn.q.val()) << 6)
            | bit_cast::<8, 6>(self.taken_next.val().get_bits::<6>(1));
        self.shown.d.next = !self.turns.val() & !self.turned.q.val();
        self.load.next = self.shown.q.val()
            & !self.have.q.val()
            & !self.turns.val()
            & !self.turned.q.val()
            & (self.arrived.q.val() != self.taken.q.val());
        if self.load.val() {
            self.slot_q.d.next = bit_cast::<16, 32>(self.ram.read_data.val());
            if self.taken.q.val().get_bit(0) {
                self.slot_q.d.next = self.ram.read_data.val().get_bits::<16>(16);
            }
            if self.ordered.val() {
                self.slot_q.d.next = bit_cast::<16, 15>(self.order.val());
            }
            self.have.d.next = true;
        }
        self.slot.next = self.slot_q.q.val();
        // Written without `running`: what says that a frame waits must not depend, as a block, on what it waits for.
        self.valid.next = self.have.q.val() & self.run.val().get_bit(0);
        if self.turn.q.val() == 1 {
            self.valid.next = self.have.q.val() & self.run.val().get_bit(1);
        } else if self.turn.q.val() == 2 {
            self.valid.next = self.have.q.val() & self.run.val().get_bit(2);
        } else if self.turn.q.val() == 3 {
            self.valid.next = self.have.q.val() & self.run.val().get_bit(3);
        }
        self.empty.next = !self.turned.q.val() & (self.wanted.q.val() == self.taken.q.val());
        self.soon.next = self.turned.q.val()
            | (!self.have.q.val() & (self.arrived.q.val() != self.taken.q.val()));
        self.settled.next = !self.planned.q.val()
            & !self.asking.q.val()
            & !self.flying.q.val()
            & !self.landed.q.val()
            & !self.turned.q.val();
        self.idle.next = !self.asking.q.val() & !self.flying.q.val() & !self.landed.q.val();
        self.busy.next = (self.ordered.val() & (self.arrived.q.val() != self.wanted.q.val()))
            | self.plan.val()
            | self.planned.q.val()
            | (self.asking.q.val() & self.req.ready.val())
            | self.landed.q.val()
            | (self.calm.val() & !self.could.val() & self.others.val().any())
            | self.turned.q.val()
            | !self.shown.q.val()
            | self.load.val()
            | self.data.valid.val();

        // The slot that was shown is handed out at the queue's next turn.
        if self.turns.val() {
            self.have.d.next = false;
        }
        if self.turned.q.val() {
            self.fetched.d.next = self.left_fetched.q.val();
            self.arrived.d.next = self.left_fetched.q.val();
            self.taken.d.next = self.left_taken.q.val();
        }
        if (self.start.val() & self.flag.val()).any() | self.reset.val() {
            self.upper.d.next = false;
            self.left.d.next = 0.into();
            self.fetched.d.next = 0.into();
            self.arrived.d.next = 0.into();
            self.landed.d.next = false;
            self.taken.d.next = 0.into();
            self.have.d.next = false;
            self.planned.d.next = false;
            self.asking.d.next = false;
            self.flying.d.next = false;
        }
        if self.reset.val() {
            self.turn.d.next = 0.into();
            self.turned.d.next = false;
            self.shown.d.next = false;
            self.work.d.next = 0.into();
        }
    }
}
