//! PUSH mode of a transmit queue: frames that the host writes into the device go to the transmit path without a read of host memory.
use super::push_window::PushWindow;
use crate::pcie::ports::PushSink;
use crate::tx::ports::TxPacketSource;
use rust_hdl::prelude::*;

#[doc(hidden)]
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum PushStep {
    Head,
    Bytes,
}

/// The list that the [`PushWindow`] fills, 512 entries, and its reader. A frame is read while it is still written.
///
/// Of each frame it hands on a word `index[14:0] | bad << 15 | completion << 16`, in the cycle in which the last beat is
/// taken; frames are counted from 0. A frame that ended badly is aborted if anything of it has been sent, and one that is to be
/// forgotten too, of which there is no word.
#[derive(LogicBlock, Default)]
pub struct Push {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// High for one cycle: begin with index 0 and nothing in the list.
    pub start: Signal<In, Bit>,
    /// The queue runs in PUSH mode.
    pub run: Signal<In, Bit>,
    /// Writes of the host.
    pub writes: PushSink,
    /// Packets.
    pub m: TxPacketSource,
    /// Word about a frame that has ended.
    pub done: Signal<Out, Bits<32>>,
    /// Append `done`.
    pub done_push: Signal<Out, Bit>,
    /// There is no room for `done`.
    pub done_full: Signal<In, Bit>,
    /// Pulse: a write to the window was for nothing.
    pub stray: Signal<Out, Bit>,
    /// Between frames, nothing in the list.
    pub idle: Signal<Out, Bit>,
    /// Something is under way.
    pub busy: Signal<Out, Bit>,
    window: PushWindow,
    even: RAM<Bits<32>, 9>,
    odd: RAM<Bits<32>, 9>,
    marks: RAM<Bits<2>, 9>,
    /// Entries written, and those of them that the RAMs show.
    wr: DFF<Bits<10>>,
    seen: DFF<Bits<10>>,
    rd: DFF<Bits<10>>,
    rd_next: Signal<Local, Bits<10>>,
    used: Signal<Local, Bits<10>>,
    step: DFF<PushStep>,
    index: DFF<Bits<15>>,
    /// Bytes of the frame's last beat, 0 for 8.
    rest: DFF<Bits<3>>,
    report: DFF<Bit>,
    /// A beat of the frame has been sent.
    sent: DFF<Bit>,
    flags: DFF<Bits<7>>,
    tag: DFF<Bit>,
    tci: DFF<Bits<16>>,
    /// The oldest entry, out of the RAMs: what they show comes late in the cycle.
    shown0: DFF<Bits<32>>,
    shown1: DFF<Bits<32>>,
    mark: DFF<Bits<2>>,
    shown: DFF<Bit>,
    /// The entry ends its frame; it is a beat on the port.
    ends: Signal<Local, Bit>,
    beat: Signal<Local, Bit>,
    pop: Signal<Local, Bit>,
    load: Signal<Local, Bit>,
}

impl Logic for Push {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, wr, seen, rd, step, index, rest, report, sent, flags, tag, tci, shown0,
            shown1, mark, shown
        );
        clock!(self, clock, window);
        self.window.reset.next = self.reset.val() | self.start.val();
        self.window.run.next = self.run.val();
        PushSink::link(&mut self.writes, &mut self.window.writes);
        self.stray.next = self.window.stray.val();

        // The list.
        self.used.next = self.wr.q.val() - self.rd.q.val();
        self.window.space.next = !self.used.val().get_bit(9);
        self.window.room.next = self.used.val() < 511;
        self.even.read_clock.next = self.clock.val();
        self.even.write_clock.next = self.clock.val();
        self.odd.read_clock.next = self.clock.val();
        self.odd.write_clock.next = self.clock.val();
        self.marks.read_clock.next = self.clock.val();
        self.marks.write_clock.next = self.clock.val();
        self.even.write_address.next = bit_cast::<9, 10>(self.wr.q.val());
        self.odd.write_address.next = bit_cast::<9, 10>(self.wr.q.val());
        self.marks.write_address.next = bit_cast::<9, 10>(self.wr.q.val());
        self.even.write_data.next = self.window.d0.val();
        self.odd.write_data.next = self.window.d1.val();
        self.marks.write_data.next = self.window.mark.val();
        self.even.write_enable.next = self.window.push.val();
        self.odd.write_enable.next = self.window.push.val();
        self.marks.write_enable.next = self.window.push.val();
        if self.window.push.val() {
            self.wr.d.next = self.wr.q.val() + 1;
        }
        // The RAM shows old contents: what was written last may be read from the next cycle on.
        self.seen.d.next = self.wr.q.val();

        // The reader. Of a beat that ends its frame there is room for a word.
        self.ends.next = self.mark.q.val().any();
        self.beat.next = self.shown.q.val()
            & ((!self.ends.val() & (self.step.q.val() == PushStep::Bytes))
                | (self.ends.val()
                    & !self.done_full.val()
                    & ((self.mark.q.val() == 1) | self.sent.q.val())));
        self.pop.next = self.shown.q.val()
            & ((self.beat.val() & self.m.ready.val())
                | (!self.ends.val() & (self.step.q.val() == PushStep::Head))
                | (self.ends.val()
                    & !self.done_full.val()
                    & (self.mark.q.val() != 1)
                    & !self.sent.q.val()));
        self.m.d0.next = self.shown0.q.val();
        self.m.d1.next = self.shown1.q.val();
        self.m.keep.next = 255.into();
        if self.mark.q.val() == 1 {
            if self.rest.q.val() == 1 {
                self.m.keep.next = 1.into();
            } else if self.rest.q.val() == 2 {
                self.m.keep.next = 3.into();
            } else if self.rest.q.val() == 3 {
                self.m.keep.next = 7.into();
            } else if self.rest.q.val() == 4 {
                self.m.keep.next = 15.into();
            } else if self.rest.q.val() == 5 {
                self.m.keep.next = 31.into();
            } else if self.rest.q.val() == 6 {
                self.m.keep.next = 63.into();
            } else if self.rest.q.val() == 7 {
                self.m.keep.next = 127.into();
            }
        }
        self.m.last.next = self.ends.val();
        self.m.abort.next = self.mark.q.val().get_bit(1);
        self.m.raw.next = self.flags.q.val().get_bit(0);
        self.m.ipcs.next = self.flags.q.val().get_bit(1);
        self.m.l4cs.next = self.flags.q.val().get_bit(2);
        self.m.next_hop.next = 0.into();
        if self.beat.val() {
            self.m.next_hop.next = self.flags.q.val().get_bits::<3>(3);
        }
        self.m.stamp.next = self.flags.q.val().get_bit(6);
        self.m.segment.next = false;
        self.m.follows.next = false;
        self.m.tag.next = self.tag.q.val();
        self.m.tci.next = self.tci.q.val();
        self.m.valid.next = self.beat.val();
        self.done.next = bit_cast::<32, 15>(self.index.q.val()) | 0x8000;
        if self.mark.q.val() == 1 {
            self.done.next = bit_cast::<32, 15>(self.index.q.val())
                | (bit_cast::<32, 1>(self.report.q.val().into()) << 16);
        }
        self.done_push.next = self.pop.val() & self.ends.val() & (self.mark.q.val() != 3);
        if self.pop.val() {
            self.shown.d.next = false;
            if self.ends.val() {
                self.sent.d.next = false;
                self.step.d.next = PushStep::Head;
                if self.mark.q.val() != 3 {
                    self.index.d.next = self.index.q.val() + 1;
                }
            } else if self.step.q.val() == PushStep::Head {
                self.rest.d.next = bit_cast::<3, 32>(self.shown0.q.val());
                // RAW, IPCS, L4CS, the three bits of NEXT_HOP, TS_REQ.
                self.flags.d.next = (bit_cast::<7, 1>(self.shown0.q.val().get_bits::<1>(24)) << 6)
                    | (bit_cast::<7, 3>(self.shown0.q.val().get_bits::<3>(26)) << 3)
                    | bit_cast::<7, 3>(self.shown0.q.val().get_bits::<3>(18));
                self.tag.d.next = self.shown0.q.val().get_bit(22);
                self.tci.d.next = bit_cast::<16, 32>(self.shown1.q.val());
                // TS_REQ, CPL_REQ.
                self.report.d.next = (self.shown0.q.val() & 0x300_0000).any();
                self.step.d.next = PushStep::Bytes;
            } else {
                self.sent.d.next = true;
            }
        }
        self.load.next =
            (!self.shown.q.val() | self.pop.val()) & (self.seen.q.val() != self.rd.q.val());
        self.rd_next.next = self.rd.q.val();
        if self.load.val() {
            self.rd_next.next = self.rd.q.val() + 1;
            self.shown.d.next = true;
            self.shown0.d.next = self.even.read_data.val();
            self.shown1.d.next = self.odd.read_data.val();
            self.mark.d.next = self.marks.read_data.val();
        }
        self.rd.d.next = self.rd_next.val();
        self.even.read_address.next = bit_cast::<9, 10>(self.rd_next.val());
        self.odd.read_address.next = bit_cast::<9, 10>(self.rd_next.val());
        self.marks.read_address.next = bit_cast::<9, 10>(self.rd_next.val());
        self.idle.next =
            self.window.idle.val() & (self.wr.q.val() == self.rd.q.val()) & !self.shown.q.val();
        // What waits for the transmit path, for room for `done` or for the host is not under way.
        self.busy.next = (self.wr.q.val() != self.seen.q.val()) | self.load.val() | self.pop.val();

        if self.start.val() | self.reset.val() {
            self.wr.d.next = 0.into();
            self.seen.d.next = 0.into();
            self.rd.d.next = 0.into();
            self.step.d.next = PushStep::Head;
            self.index.d.next = 0.into();
            self.sent.d.next = false;
            self.shown.d.next = false;
        }
    }
}
