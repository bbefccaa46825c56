//! Writes completions into rings in host memory, up to four to a 64-byte line, and raises the queues' interrupts.
use super::bank::Bank;
use super::ring_base::RingBase;
use crate::pcie::ports::WriteSource;
use rust_hdl::prelude::*;

#[doc(hidden)]
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum CqState {
    Collect,
    Second,
    Turn,
    Write,
}

/// Collects 16-byte entries in a line buffer for each of four queues, adds the phase, and writes a line when it is full, when nothing further
/// is on its way, or when the host waits for an interrupt. Never writes an entry that the host has not read yet.
///
/// A line that waits while entries for other queues come is written after 512 cycles at the latest, but for the line that is under way.
#[derive(LogicBlock, Default)]
pub struct CqWriter {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// There is queue 0 alone: constant, so that what the others would take is not built.
    pub alone: Signal<In, Bit>,
    /// Bit i is high for one cycle: queue i begins with index 0 and phase 1. Nothing of it is under way.
    pub start: Signal<In, Bits<4>>,
    /// The host writes CFG of the queue `set_place`: CQ_LOG2 in bits 11:8, 4 to 14, VECTOR in bits 19:16, of which those of 8 and more raise nothing. Such writes are for queues that do not run.
    pub set_cfg: Signal<In, Bit>,
    /// CQ_BASE_LO, 64-byte aligned.
    pub set_lo: Signal<In, Bit>,
    /// CQ_BASE_HI.
    pub set_hi: Signal<In, Bit>,
    /// Which queue's.
    pub set_place: Signal<In, Bits<2>>,
    /// What is written.
    pub set_data: Signal<In, Bits<32>>,
    /// Whose entry comes next.
    pub owner: Signal<In, Bits<2>>,
    /// First word of the entry.
    pub w0: Signal<In, Bits<32>>,
    /// Second word.
    pub w1: Signal<In, Bits<32>>,
    /// Third word.
    pub w2: Signal<In, Bits<32>>,
    /// Last word, bit 31 clear.
    pub w3: Signal<In, Bits<32>>,
    /// An entry is there; it stays until `ready`, and its queue too.
    pub valid: Signal<In, Bit>,
    /// The entry is taken.
    pub ready: Signal<Out, Bit>,
    /// The ring of `owner` has room, as far as is known.
    pub room: Signal<Out, Bit>,
    /// It has none.
    pub full: Signal<Out, Bit>,
    /// Another entry is on its way and needs nothing from the host: a partial line may wait for it.
    pub more: Signal<In, Bit>,
    /// What the newest entry tells of is not in host memory yet: no line is begun.
    pub hold: Signal<In, Bit>,
    /// The queue is stopping: an entry for which the ring has no room is taken and forgotten.
    pub discard: Signal<In, Bit>,
    /// Whose doorbell it is.
    pub bell: Signal<In, Bits<2>>,
    /// How far the host has read, from the doorbell.
    pub consumer: Signal<In, Bits<15>>,
    /// The host asks for an interrupt at the next entry beyond `consumer`.
    pub arm: Signal<In, Bit>,
    /// High for one cycle: `consumer` and `arm` hold, and `consumer_bad` is low.
    pub update_idx: Signal<In, Bit>,
    /// `consumer` is not between the last one and what has been written.
    pub consumer_bad: Signal<Out, Bit>,
    /// Bit i: queue i has entries that are taken and not written.
    pub unwritten: Signal<Out, Bits<4>>,
    /// MSI-X vectors to raise, one pulse bit each. The entries they are about have been accepted by `m`.
    pub irq: Signal<Out, Bits<8>>,
    /// Writes to host memory.
    pub m: WriteSource,
    /// Something is under way.
    pub busy: Signal<Out, Bit>,
    state: DFF<CqState>,
    /// Whose line is looked at.
    line: DFF<Bits<2>>,
    ring: RingBase,
    vector: Bank<4>,
    /// Index after the last entry taken, after the last one written, and how far the host has read.
    head: Bank<15>,
    tail: Bank<15>,
    seen: Bank<15>,
    partial: DFF<Bits<4>>,
    armed: DFF<Bits<4>>,
    /// The host waits for an interrupt or has just been given one: the line does not wait.
    urgent: DFF<Bits<4>>,
    /// For how long a line of another queue than that of `line` has waited.
    age: DFF<Bits<10>>,
    even: RAM<Bits<32>, 5>,
    odd: RAM<Bits<32>, 5>,
    write_at: Signal<Local, Bits<5>>,
    read_at: Signal<Local, Bits<5>>,
    next_beat: DFF<Bits<3>>,
    beats: DFF<Bits<4>>,
    dwords: DFF<Bits<10>>,
    addr_lo: DFF<Bits<32>>,
    addr_hi: DFF<Bits<32>>,
    irq_q: DFF<Bits<8>>,
    mask: Signal<Local, Bits<15>>,
    unread: Signal<Local, Bits<15>>,
    owed: Signal<Local, Bits<15>>,
    held: Signal<Local, Bits<15>>,
    kept_back: Signal<Local, Bits<15>>,
    ahead: Signal<Local, Bits<15>>,
    open: Signal<Local, Bits<3>>,
    next_head: Signal<Local, Bits<15>>,
    lowest: Signal<Local, Bits<4>>,
    lowest_of_eight: Signal<Local, Bits<8>>,
    flag: Signal<Local, Bits<4>>,
    rest: Signal<Local, Bits<4>>,
    bell_flag: Signal<Local, Bits<4>>,
    line_next: Signal<Local, Bits<2>>,
    pair: Signal<Local, Bits<3>>,
    kept: Signal<Local, Bits<4>>,
    hurried: Signal<Local, Bits<4>>,
    clears: Signal<Local, Bits<4>>,
    begun: Signal<Local, Bits<4>>,
    /// The line that ends is that of the queue whose doorbell it is.
    meets: Signal<Local, Bit>,
    others: Signal<Local, Bits<4>>,
    settled: Signal<Local, Bit>,
    has_room: Signal<Local, Bit>,
    taken: Signal<Local, Bit>,
    flush: Signal<Local, Bit>,
    aside: Signal<Local, Bit>,
    begins: Signal<Local, Bit>,
    ends: Signal<Local, Bit>,
    rings: Signal<Local, Bit>,
    fires: Signal<Local, Bit>,
    line_irq: Signal<Local, Bits<8>>,
    bell_irq: Signal<Local, Bits<8>>,
    offset: Signal<Local, Bits<18>>,
}

impl Logic for CqWriter {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, state, line, partial, armed, urgent, age, next_beat, beats, dwords,
            addr_lo, addr_hi, irq_q
        );
        clock!(self, clock, ring, vector, head, tail, seen);
        self.lowest.next = 1.into();
        self.lowest_of_eight.next = 1.into();
        self.clears.next = self.start.val();
        if self.reset.val() {
            self.clears.next = 15.into();
        }

        // What the host has set, and the indices of the line that is looked at and of the queue whose doorbell it is.
        self.ring.set_cfg.next = self.set_cfg.val();
        self.ring.set_log2.next = self.set_data.val().get_bits::<4>(8);
        self.ring.set_lo.next = self.set_lo.val();
        self.ring.set_hi.next = self.set_hi.val();
        self.ring.set_place.next = self.set_place.val();
        self.ring.set_data.next = self.set_data.val();
        self.ring.whose_turn.next = self.line.q.val();
        self.ring.bell.next = self.line.q.val();
        self.vector.clear.next = 0.into();
        self.vector.place.next = self.line.q.val();
        self.vector.other.next = self.bell.val();
        self.vector.target.next = self.set_place.val();
        self.vector.d.next = self.set_data.val().get_bits::<4>(16);
        self.vector.write.next = self.set_cfg.val();
        self.next_head.next = self.head.q.val() + 1;
        self.head.clear.next = self.clears.val();
        self.head.place.next = self.line.q.val();
        self.head.other.next = self.bell.val();
        self.head.target.next = self.line.q.val();
        self.head.d.next = self.next_head.val();
        self.head.write.next = self.state.q.val() == CqState::Second;
        self.tail.clear.next = self.clears.val();
        self.tail.place.next = self.line.q.val();
        self.tail.other.next = self.bell.val();
        self.tail.target.next = self.line.q.val();
        self.tail.d.next = self.head.q.val();
        self.seen.clear.next = self.clears.val();
        self.seen.place.next = self.line.q.val();
        self.seen.other.next = self.bell.val();
        self.seen.target.next = self.bell.val();
        self.seen.d.next = self.consumer.val();
        self.seen.write.next = self.update_idx.val();

        self.mask.next = self.ring.size.val() - 1;
        self.unread.next = self.head.q.val() - self.seen.q.val();
        // Never more than a ring is unread: it is full where that bit stands.
        self.has_room.next = !(self.unread.val() & self.ring.size.val()).any();
        self.ahead.next = self.tail.other_q.val() - self.consumer.val();
        // No more may be left to read than before. Written without `ahead`, for the reason below.
        self.held.next = self.tail.other_q.val() - self.seen.other_q.val();
        self.kept_back.next = self.tail.other_q.val() - self.consumer.val();
        self.consumer_bad.next = self.kept_back.val() > self.held.val();
        self.open.next =
            bit_cast::<3, 15>(self.head.q.val()) - bit_cast::<3, 15>(self.tail.q.val());
        self.flag.next = self.lowest.val() << bit_cast::<4, 2>(self.line.q.val());
        self.rest.next = !self.flag.val();
        self.bell_flag.next = self.lowest.val() << bit_cast::<4, 2>(self.bell.val());
        self.others.next = self.partial.q.val() & self.rest.val();
        self.unwritten.next = self.partial.q.val();
        self.offset.next = bit_cast::<18, 15>(self.tail.q.val() & self.mask.val()) << 4;
        self.ring.offset.next = self.offset.val();

        // What is to be done. Once `line` has followed `owner`, its address is made, long before it is written.
        self.settled.next =
            (self.state.q.val() == CqState::Collect) & (self.line.q.val() == self.owner.val());
        // Written without the names above: what says whether an entry comes must not depend, as a block, on what it gives.
        self.owed.next = self.head.q.val() - self.seen.q.val();
        self.room.next = (self.state.q.val() == CqState::Collect)
            & (self.line.q.val() == self.owner.val())
            & !(self.owed.val() & self.ring.size.val()).any();
        self.full.next = (self.state.q.val() == CqState::Collect)
            & (self.line.q.val() == self.owner.val())
            & (self.owed.val() & self.ring.size.val()).any();
        self.flush.next = (self.partial.q.val() & self.flag.val()).any()
            & (!self.more.val() | (self.urgent.q.val() & self.flag.val()).any());
        self.aside.next = self.others.val().any()
            & (!self.more.val()
                | self.age.q.val().get_bit(9)
                | (self.others.val() & self.urgent.q.val()).any());
        self.age.d.next = 0.into();
        if self.others.val().any() {
            self.age.d.next = self.age.q.val();
            if !self.age.q.val().get_bit(9) {
                self.age.d.next = self.age.q.val() + 1;
            }
        }
        self.taken.next = false;
        self.begins.next = false;
        self.ends.next = false;
        self.even.read_clock.next = self.clock.val();
        self.even.write_clock.next = self.clock.val();
        self.odd.read_clock.next = self.clock.val();
        self.odd.write_clock.next = self.clock.val();
        self.write_at.next = (bit_cast::<5, 2>(self.line.q.val()) << 3)
            | (bit_cast::<5, 2>(self.head.q.val().get_bits::<2>(0)) << 1);
        self.even.write_enable.next = false;
        self.odd.write_enable.next = false;
        self.even.write_data.next = self.w0.val();
        self.odd.write_data.next = self.w1.val();
        self.line_next.next = self.line.q.val();
        self.pair.next = bit_cast::<3, 2>(self.tail.q.val().get_bits::<2>(0)) << 1;
        self.m.addr_lo.next = self.addr_lo.q.val();
        self.m.addr_hi.next = self.addr_hi.q.val();
        self.m.dwords.next = self.dwords.q.val();
        self.m.last_be.next = 15.into();
        self.m.d0.next = self.even.read_data.val();
        self.m.d1.next = self.odd.read_data.val();
        self.m.valid.next = false;
        self.m.last.next = self.beats.q.val() == 1;
        if self.state.q.val() != CqState::Write {
            self.addr_lo.d.next = self.ring.addr_lo.val();
            self.addr_hi.d.next = self.ring.addr_hi.val();
            self.beats.d.next = bit_cast::<4, 3>(self.open.val()) << 1;
            self.dwords.d.next = bit_cast::<10, 3>(self.open.val()) << 2;
        }
        match self.state.q.val() {
            CqState::Collect => {
                self.line_next.next = self.owner.val();
                if self.settled.val() {
                    if (self.partial.q.val() & self.flag.val()).any()
                        & (self.head.q.val().get_bits::<2>(0) == 0)
                    {
                        self.begins.next = true;
                    } else if self.valid.val() & self.has_room.val() {
                        self.even.write_enable.next = true;
                        self.odd.write_enable.next = true;
                        self.state.d.next = CqState::Second;
                    } else if self.flush.val()
                        | ((self.partial.q.val() & self.flag.val()).any() & self.valid.val())
                    {
                        self.begins.next = true;
                    } else if self.valid.val() & self.discard.val() {
                        self.taken.next = true;
                    } else if self.aside.val() {
                        self.line_next.next = 3.into();
                        if self.others.val().get_bit(0) {
                            self.line_next.next = 0.into();
                        } else if self.others.val().get_bit(1) {
                            self.line_next.next = 1.into();
                        } else if self.others.val().get_bit(2) {
                            self.line_next.next = 2.into();
                        }
                        self.state.d.next = CqState::Turn;
                    }
                }
            }
            CqState::Second => {
                self.write_at.next = (bit_cast::<5, 2>(self.line.q.val()) << 3)
                    | (bit_cast::<5, 2>(self.head.q.val().get_bits::<2>(0)) << 1)
                    | 1;
                self.even.write_data.next = self.w2.val();
                self.odd.write_data.next = self.w3.val();
                if !(self.head.q.val() & self.ring.size.val()).any() {
                    self.odd.write_data.next = self.w3.val() | 0x8000_0000_u64;
                }
                self.even.write_enable.next = true;
                self.odd.write_enable.next = true;
                self.taken.next = true;
                self.state.d.next = CqState::Collect;
            }
            CqState::Turn => {
                self.begins.next = true;
            }
            CqState::Write => {
                self.m.valid.next = true;
                self.pair.next = self.next_beat.q.val();
                if self.m.ready.val() {
                    self.pair.next = self.next_beat.q.val() + 1;
                    self.beats.d.next = self.beats.q.val() - 1;
                    if self.beats.q.val() == 1 {
                        self.ends.next = true;
                        self.line_next.next = self.owner.val();
                        self.state.d.next = CqState::Collect;
                    }
                }
            }
            _ => {
                self.state.d.next = CqState::Collect;
            }
        }
        if self.begins.val() & !self.hold.val() {
            self.state.d.next = CqState::Write;
        }
        if self.alone.val() {
            self.line_next.next = 0.into();
        }
        self.line.d.next = self.line_next.val();
        self.read_at.next =
            (bit_cast::<5, 2>(self.line.q.val()) << 3) | bit_cast::<5, 3>(self.pair.val());
        self.ring.next_turn.next = self.line_next.val();
        self.tail.write.next = self.ends.val();
        self.next_beat.d.next = self.pair.val();
        self.even.read_address.next = self.read_at.val();
        self.odd.read_address.next = self.read_at.val();
        self.even.write_address.next = self.write_at.val();
        self.odd.write_address.next = self.write_at.val();

        // Interrupts: a line that is written while the host waits for its queue, or a doorbell that is behind what is written.
        self.rings.next = self.update_idx.val() & self.arm.val() & self.ahead.val().any();
        self.meets.next = self.ends.val() & (self.bell.val() == self.line.q.val());
        self.fires.next = self.ends.val()
            & ((self.armed.q.val() & self.flag.val()).any()
                | (self.meets.val() & self.update_idx.val() & self.arm.val()));
        self.begun.next = !self.start.val();
        self.kept.next = self.armed.q.val() & self.begun.val();
        self.hurried.next = self.urgent.q.val() & self.begun.val();
        self.partial.d.next = self.partial.q.val();
        if self.ends.val() {
            self.kept.next = self.armed.q.val() & self.begun.val() & self.rest.val();
            self.hurried.next = self.urgent.q.val() & self.begun.val() & self.rest.val();
            self.partial.d.next = self.partial.q.val() & self.rest.val();
        }
        if self.state.q.val() == CqState::Second {
            self.partial.d.next = self.partial.q.val() | self.flag.val();
        }
        self.armed.d.next = self.kept.val();
        self.urgent.d.next = self.hurried.val();
        if self.update_idx.val() & self.arm.val() {
            self.urgent.d.next = self.hurried.val() | self.bell_flag.val();
        }
        if self.update_idx.val() & self.arm.val() & !self.ahead.val().any() & !self.meets.val() {
            self.armed.d.next = self.kept.val() | self.bell_flag.val();
        }
        self.line_irq.next = 0.into();
        if self.fires.val() {
            self.line_irq.next =
                self.lowest_of_eight.val() << bit_cast::<8, 4>(self.vector.q.val());
        }
        self.bell_irq.next = 0.into();
        if self.rings.val() {
            self.bell_irq.next =
                self.lowest_of_eight.val() << bit_cast::<8, 4>(self.vector.other_q.val());
        }
        self.irq_q.d.next = self.line_irq.val() | self.bell_irq.val();
        self.irq.next = self.irq_q.q.val();

        self.busy.next = (self.state.q.val() != CqState::Collect)
            | self.partial.q.val().any()
            | (self.valid.val()
                & ((self.line.q.val() != self.owner.val())
                    | self.has_room.val()
                    | self.discard.val()))
            | self.irq_q.q.val().any();
        // Written once: the queues write twice what they give to this block, and if it did the same to what they wait for, an
        // event-driven simulator of the Verilog would wake both for ever.
        self.ready.next = self.taken.val();
        if self.reset.val() {
            self.state.d.next = CqState::Collect;
            self.partial.d.next = 0.into();
            self.armed.d.next = 0.into();
            self.urgent.d.next = 0.into();
            self.irq_q.d.next = 0.into();
        }
    }
}
