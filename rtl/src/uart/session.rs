//! What is sent when: sessions, acknowledgement, room, sending again.
use super::ports::*;
use rust_hdl::prelude::*;

/// The device's end of a session (`docs/uart.md`).
#[derive(LogicBlock, Default)]
pub struct Session {
    /// The clock.
    pub clock: Signal<In, Clock>,
    /// Its reset: there is no session.
    pub reset: Signal<In, Bit>,
    /// The time in nanoseconds, bits 31:0.
    pub time_lo: Signal<In, Bits<32>>,
    /// The units that come.
    pub s: HeardSink,
    /// The units that go.
    pub m: SayingSource,
    /// The position that the packer writes next.
    pub written: Signal<In, Bits<12>>,
    /// The position that the unpacker reads next.
    pub worked: Signal<In, Bits<12>>,
    /// The position that is expected next from the host.
    pub expected: Signal<Out, Bits<12>>,
    /// The position up to which the host has acknowledged.
    pub acknowledged: Signal<Out, Bits<12>>,
    /// High for 32 clocks at the beginning of a session: everything but the line is to be reset.
    pub renew: Signal<Out, Bit>,
    /// A unit of this session came within the last 67 to 134 ms.
    pub alive: Signal<Out, Bit>,
    /// Something is not acknowledged or not sent.
    pub busy: Signal<Out, Bit>,
    session: DFF<Bits<8>>,
    /// Clocks of `renew` that are left.
    renewing: DFF<Bits<5>>,
    next_in: DFF<Bits<12>>,
    base: DFF<Bits<12>>,
    room: DFF<Bits<12>>,
    /// A unit is owed.
    owes: DFF<Bit>,
    /// Something is missing, and nothing has been accepted since that was seen: BACK.
    missing: DFF<Bit>,
    /// The host's turn in which it was seen.
    of_turn: DFF<Bit>,
    /// To be sent from `base` on again.
    again: DFF<Bit>,
    /// Changes with that.
    turn: DFF<Bit>,
    /// Units with data that are to be short.
    brief: DFF<Bits<5>>,
    /// Ticks without acknowledgement.
    waited: DFF<Bits<7>>,
    /// Bits 20 and 26 of the time, and bit 8 of `worked`, a clock ago.
    tick_was: DFF<Bit>,
    beat_was: DFF<Bit>,
    worked_was: DFF<Bit>,
    heard: DFF<Bit>,
    living: DFF<Bit>,
    tick: Signal<Local, Bit>,
    beat: Signal<Local, Bit>,
    same: Signal<Local, Bit>,
    begins: Signal<Local, Bit>,
    ahead: Signal<Local, Bits<12>>,
    gained: Signal<Local, Bits<12>>,
    beyond: Signal<Local, Bits<12>>,
    behind: Signal<Local, Bits<12>>,
    from: Signal<Local, Bits<12>>,
}

impl Logic for Session {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, session, renewing, next_in, base, room, owes, missing, of_turn, again,
            turn, brief, waited, tick_was, beat_was, worked_was, heard, living
        );
        self.expected.next = self.next_in.q.val();
        self.acknowledged.next = self.base.q.val();
        self.renew.next = self.renewing.q.val().any();
        self.alive.next = self.living.q.val();

        self.tick_was.d.next = self.time_lo.val().get_bit(20);
        self.beat_was.d.next = self.time_lo.val().get_bit(26);
        self.worked_was.d.next = self.worked.val().get_bit(8);
        self.tick.next = self.time_lo.val().get_bit(20) ^ self.tick_was.q.val();
        self.beat.next = self.time_lo.val().get_bit(26) ^ self.beat_was.q.val();

        // What goes.
        self.behind.next = self.m.sent.val() - self.base.q.val();
        self.from.next = self.m.sent.val();
        if self.behind.val().get_bit(11) | self.again.q.val() {
            self.from.next = self.base.q.val();
        }
        self.m.brief.next = self.again.q.val() | self.brief.q.val().any();
        self.m.turn.next = self.turn.q.val() ^ self.again.q.val();
        self.m.session.next = self.session.q.val();
        self.m.back.next = self.missing.q.val();
        self.m.of_turn.next = self.of_turn.q.val();
        self.m.ack.next = self.next_in.q.val();
        self.m.limit.next = self.worked.val() + 1023;
        self.m.from.next = self.from.val();
        self.m.written.next = self.written.val();
        self.m.room.next = self.room.q.val();
        self.m.valid.next = !self.renewing.q.val().any()
            & (self.owes.q.val()
                | ((self.from.val() != self.written.val())
                    & (self.from.val() != self.room.q.val())));
        self.busy.next = (self.base.q.val() != self.written.val())
            | self.owes.q.val()
            | !self.m.idle.val()
            | self.renewing.q.val().any();
        if self.m.taken.val() {
            self.owes.d.next = false;
            self.again.d.next = false;
            self.turn.d.next = self.turn.q.val() ^ self.again.q.val();
            // One without data does not count.
            if self.again.q.val() {
                self.brief.d.next = 31.into();
            } else if (self.m.sent.val() != self.written.val())
                & (self.m.sent.val() != self.room.q.val())
                & self.brief.q.val().any()
            {
                self.brief.d.next = self.brief.q.val() - 1;
            }
        }
        if self.beat.val() | (self.worked.val().get_bit(8) ^ self.worked_was.q.val()) {
            self.owes.d.next = true;
        }

        // Time without acknowledgement counts while nothing is being sent.
        if self.tick.val() & self.m.idle.val() {
            self.waited.d.next = self.waited.q.val() + 1;
        }
        if self.waited.q.val().get_bit(6) {
            self.again.d.next = true;
            self.waited.d.next = 0.into();
        }
        if self.base.q.val() == self.m.sent.val() {
            self.waited.d.next = 0.into();
        }
        if self.beat.val() {
            self.heard.d.next = false;
            self.living.d.next = self.heard.q.val();
        }

        // What comes.
        self.same.next = (self.s.session.val() == self.session.q.val())
            & self.session.q.val().any()
            & !self.s.open.val();
        self.begins.next = (self.s.session.val() != self.session.q.val())
            & self.s.session.val().any()
            & self.s.open.val();
        self.ahead.next = self.s.position.val() - self.next_in.q.val();
        self.gained.next = self.s.ack.val() - self.base.q.val();
        self.beyond.next = self.written.val() - self.s.ack.val();
        if self.renewing.q.val().any() {
            self.renewing.d.next = self.renewing.q.val() - 1;
        }
        if self.s.valid.val() {
            if self.same.val() {
                self.heard.d.next = true;
                self.living.d.next = true;
                self.room.d.next = self.s.limit.val();
                if self.s.back.val() & (self.s.of_turn.val() == self.turn.q.val()) {
                    self.again.d.next = true;
                }
                if self.s.beyond.val() != self.next_in.q.val() {
                    self.owes.d.next = true;
                    if !self.ahead.val().any() {
                        self.next_in.d.next = self.s.beyond.val();
                        self.missing.d.next = false;
                    }
                }
                if self.ahead.val().any() & !self.ahead.val().get_bit(11) {
                    self.missing.d.next = true;
                    self.of_turn.d.next = self.s.turn.val();
                    // What was sent again is missing as well.
                    if !self.missing.q.val() | (self.of_turn.q.val() != self.s.turn.val()) {
                        self.owes.d.next = true;
                    }
                }
                if self.gained.val().any()
                    & !self.gained.val().get_bit(11)
                    & !self.beyond.val().get_bit(11)
                {
                    self.base.d.next = self.s.ack.val();
                    self.waited.d.next = 0.into();
                }
            } else {
                self.owes.d.next = true;
            }
            if self.begins.val() {
                self.session.d.next = self.s.session.val();
                self.room.d.next = self.s.limit.val();
                self.renewing.d.next = 31.into();
            }
        }
        if self.reset.val() {
            self.session.d.next = 0.into();
            self.renewing.d.next = 0.into();
            self.room.d.next = 0.into();
            self.living.d.next = false;
        }
        if self.reset.val() | self.renewing.q.val().any() {
            self.next_in.d.next = 0.into();
            self.base.d.next = 0.into();
            self.missing.d.next = false;
            self.of_turn.d.next = false;
            self.again.d.next = false;
            self.turn.d.next = false;
            self.brief.d.next = 0.into();
            self.waited.d.next = 0.into();
            self.heard.d.next = false;
            // The answer to OPEN.
            self.owes.d.next = self.renewing.q.val().any();
            self.tick_was.d.next = self.time_lo.val().get_bit(20);
        }
    }
}
