//! Writes completions into a ring in host memory, up to four to a 64-byte line, and raises the queue's interrupt.
use crate::pcie::ports::WriteSource;
use rust_hdl::prelude::*;

#[doc(hidden)]
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum CqState {
    Collect,
    Second,
    Write,
}

/// Collects 16-byte entries in a line buffer, adds the phase, and writes the line when it is full, when nothing further is on its way,
/// or when the host waits for an interrupt. Never writes an entry that the host has not read yet.
#[derive(LogicBlock, Default)]
pub struct CqWriter {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// High for one cycle: begin with index 0 and phase 1 on the ring that the next inputs describe; they are steady from then on.
    pub start: Signal<In, Bit>,
    /// IOVA of the ring, low half, 64-byte aligned.
    pub base_lo: Signal<In, Bits<32>>,
    /// High half.
    pub base_hi: Signal<In, Bits<32>>,
    /// Ring size, log2 of entries, 4 to 14.
    pub log2: Signal<In, Bits<4>>,
    /// First word of the entry.
    pub w0: Signal<In, Bits<32>>,
    /// Second word.
    pub w1: Signal<In, Bits<32>>,
    /// Third word.
    pub w2: Signal<In, Bits<32>>,
    /// Last word, bit 31 clear.
    pub w3: Signal<In, Bits<32>>,
    /// An entry is there; it stays until `ready`.
    pub valid: Signal<In, Bit>,
    /// The entry is taken.
    pub ready: Signal<Out, Bit>,
    /// Another entry is on its way and needs nothing from the host: a partial line may wait for it.
    pub more: Signal<In, Bit>,
    /// What the newest entry tells of is not in host memory yet: no line is begun.
    pub hold: Signal<In, Bit>,
    /// The queue is stopping: an entry for which the ring has no room is taken and forgotten.
    pub discard: Signal<In, Bit>,
    /// How far the host has read, from a doorbell.
    pub consumer: Signal<In, Bits<15>>,
    /// The host asks for an interrupt at the next entry beyond `consumer`.
    pub arm: Signal<In, Bit>,
    /// High for one cycle: `consumer` and `arm` hold, and `consumer_bad` is low.
    pub update_idx: Signal<In, Bit>,
    /// `consumer` is not between the last one and what has been written.
    pub consumer_bad: Signal<Out, Bit>,
    /// Index after the last entry taken.
    pub head: Signal<Out, Bits<15>>,
    /// Index after the last entry written.
    pub tail: Signal<Out, Bits<15>>,
    /// High for one cycle: raise the vector. The entries it is about have been accepted by `m`.
    pub irq: Signal<Out, Bit>,
    /// Writes to host memory.
    pub m: WriteSource,
    /// Something is under way.
    pub busy: Signal<Out, Bit>,
    state: DFF<CqState>,
    even: RAM<Bits<32>, 3>,
    odd: RAM<Bits<32>, 3>,
    fill: DFF<Bits<3>>,
    next_beat: DFF<Bits<3>>,
    read_at: Signal<Local, Bits<3>>,
    beats: DFF<Bits<4>>,
    dwords: DFF<Bits<10>>,
    addr_lo: DFF<Bits<32>>,
    addr_hi: DFF<Bits<32>>,
    head_q: DFF<Bits<15>>,
    tail_q: DFF<Bits<15>>,
    seen: DFF<Bits<15>>,
    size: DFF<Bits<15>>,
    mask: Signal<Local, Bits<15>>,
    armed: DFF<Bit>,
    held: Signal<Local, Bits<15>>,
    unread: Signal<Local, Bits<15>>,
    step: Signal<Local, Bits<15>>,
    one: Signal<Local, Bits<15>>,
    taken: Signal<Local, Bit>,
    room: Signal<Local, Bit>,
    line_full: Signal<Local, Bit>,
    fire: Signal<Local, Bit>,
    place: Signal<Local, Bits<32>>,
    sum: Signal<Local, Bits<32>>,
}

impl Logic for CqWriter {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, state, fill, next_beat, beats, dwords, addr_lo, addr_hi, head_q, tail_q,
            seen, size, armed
        );
        self.even.read_clock.next = self.clock.val();
        self.even.write_clock.next = self.clock.val();
        self.odd.read_clock.next = self.clock.val();
        self.odd.write_clock.next = self.clock.val();
        self.even.write_address.next = self.fill.q.val();
        self.odd.write_address.next = self.fill.q.val();
        self.even.write_enable.next = false;
        self.odd.write_enable.next = false;
        self.even.write_data.next = self.w0.val();
        self.odd.write_data.next = self.w1.val();
        self.read_at.next = self.next_beat.q.val();

        self.taken.next = false;
        self.head.next = self.head_q.q.val();
        self.tail.next = self.tail_q.q.val();
        self.m.addr_lo.next = self.addr_lo.q.val();
        self.m.addr_hi.next = self.addr_hi.q.val();
        self.m.dwords.next = self.dwords.q.val();
        self.m.last_be.next = 15.into();
        self.m.d0.next = self.even.read_data.val();
        self.m.d1.next = self.odd.read_data.val();
        self.m.valid.next = false;
        self.m.last.next = self.beats.q.val() == 1;

        self.one.next = 1.into();
        self.mask.next = self.size.q.val() - 1;
        self.held.next = self.tail_q.q.val() - self.seen.q.val();
        self.step.next = self.consumer.val() - self.seen.q.val();
        self.unread.next = self.head_q.q.val() - self.seen.q.val();
        self.consumer_bad.next = self.step.val() > self.held.val();
        self.room.next = self.unread.val() < self.size.q.val();
        self.line_full.next =
            self.beats.q.val().any() & (bit_cast::<2, 15>(self.head_q.q.val()) == 0);
        self.fire.next = self.armed.q.val() & self.held.val().any();
        self.irq.next = self.fire.val();
        self.place.next = bit_cast::<32, 15>(self.tail_q.q.val() & self.mask.val()) << 4;
        self.sum.next = self.base_lo.val() + self.place.val();
        self.busy.next = (self.state.q.val() != CqState::Collect)
            | self.beats.q.val().any()
            | (self.valid.val() & (self.room.val() | self.discard.val()))
            | self.fire.val();

        match self.state.q.val() {
            CqState::Collect => {
                // An entry takes two cycles: the address stands long before there is a line.
                self.addr_lo.d.next = self.sum.val();
                self.addr_hi.d.next = self.base_hi.val();
                // The place is small: the sum wraps where its top bit falls.
                if self.base_lo.val().get_bit(31) & !self.sum.val().get_bit(31) {
                    self.addr_hi.d.next = self.base_hi.val() + 1;
                }
                if self.line_full.val() {
                    if !self.hold.val() {
                        self.state.d.next = CqState::Write;
                    }
                } else if self.valid.val() & self.room.val() {
                    self.even.write_enable.next = true;
                    self.odd.write_enable.next = true;
                    self.fill.d.next = self.fill.q.val() + 1;
                    self.state.d.next = CqState::Second;
                } else if self.beats.q.val().any()
                    & (!self.more.val() | self.armed.q.val() | self.valid.val())
                {
                    if !self.hold.val() {
                        self.state.d.next = CqState::Write;
                    }
                } else if self.valid.val() & self.discard.val() {
                    self.taken.next = true;
                }
            }
            CqState::Second => {
                self.even.write_data.next = self.w2.val();
                self.odd.write_data.next = self.w3.val();
                if !(self.head_q.q.val() & self.size.q.val()).any() {
                    self.odd.write_data.next = self.w3.val() | 0x8000_0000_u64;
                }
                self.even.write_enable.next = true;
                self.odd.write_enable.next = true;
                self.fill.d.next = self.fill.q.val() + 1;
                self.head_q.d.next = self.head_q.q.val() + 1;
                self.beats.d.next = self.beats.q.val() + 2;
                self.dwords.d.next = self.dwords.q.val() + 4;
                self.taken.next = true;
                self.state.d.next = CqState::Collect;
            }
            CqState::Write => {
                self.m.valid.next = true;
                if self.m.ready.val() {
                    self.read_at.next = self.next_beat.q.val() + 1;
                    self.beats.d.next = self.beats.q.val() - 1;
                    if self.beats.q.val() == 1 {
                        self.tail_q.d.next = self.head_q.q.val();
                        self.dwords.d.next = 0.into();
                        self.state.d.next = CqState::Collect;
                    }
                }
            }
            _ => {
                self.state.d.next = CqState::Collect;
            }
        }
        self.even.read_address.next = self.read_at.val();
        self.odd.read_address.next = self.read_at.val();
        self.next_beat.d.next = self.read_at.val();
        if self.fire.val() {
            self.armed.d.next = false;
        }
        if self.update_idx.val() {
            self.seen.d.next = self.consumer.val();
            self.armed.d.next = self.armed.q.val() | self.arm.val();
            if self.fire.val() {
                self.armed.d.next = self.arm.val();
            }
        }
        // Written once: the queues write twice what they give to this block, and if it did the same to what they wait for, an
        // event-driven simulator of the Verilog would wake both for ever.
        self.ready.next = self.taken.val();
        if self.start.val() {
            self.size.d.next = self.one.val() << bit_cast::<15, 4>(self.log2.val());
            self.fill.d.next = 0.into();
            self.next_beat.d.next = 0.into();
            self.head_q.d.next = 0.into();
            self.tail_q.d.next = 0.into();
            self.seen.d.next = 0.into();
            self.armed.d.next = false;
        }
        if self.reset.val() {
            self.state.d.next = CqState::Collect;
            self.fill.d.next = 0.into();
            self.next_beat.d.next = 0.into();
            self.beats.d.next = 0.into();
            self.dwords.d.next = 0.into();
            self.head_q.d.next = 0.into();
            self.tail_q.d.next = 0.into();
            self.seen.d.next = 0.into();
            self.armed.d.next = false;
        }
    }
}
