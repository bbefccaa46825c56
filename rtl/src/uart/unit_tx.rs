//! Puts a unit together: what it says, the DWs that there are, FCS; flags around it.
use super::fcs::SerialFcs;
use super::ports::*;
use rust_hdl::prelude::*;

/// What [`UnitTx`] sends.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum UnitTxState {
    /// Nothing.
    Idle,
    /// The flag before a unit.
    Open,
    /// Its first seven bytes.
    Head,
    /// The next DW comes out of the buffer, if there is one.
    Fetch,
    /// Its bytes.
    Data,
    /// The FCS.
    Check,
    /// The flag behind it.
    Close,
}

/// Sends units when told to. A unit goes on for as long as there is data that may be sent, up to 640 DWs; a brief one up to 32.
#[derive(LogicBlock, Default)]
pub struct UnitTx {
    /// The clock.
    pub clock: Signal<In, Clock>,
    /// Its reset. A unit under way is cut off.
    pub reset: Signal<In, Bit>,
    /// What to send.
    pub s: SayingSink,
    /// Place in the stream's buffer, whose DW is at `word` in the next clock.
    pub place: Signal<Out, Bits<11>>,
    /// The DW.
    pub word: Signal<In, Bits<32>>,
    /// The unit; a byte is taken at most every tenth clock.
    pub m: OctetSource,
    fcs: SerialFcs,
    state: DFF<UnitTxState>,
    /// Byte of the head, of a DW or of the FCS.
    count: DFF<Bits<3>>,
    /// DWs in this unit.
    dwords: DFF<Bits<10>>,
    next: DFF<Bits<12>>,
    session: DFF<Bits<8>>,
    back: DFF<Bit>,
    turn: DFF<Bit>,
    of_turn: DFF<Bit>,
    brief: DFF<Bit>,
    position: DFF<Bits<12>>,
    ack: DFF<Bits<12>>,
    limit: DFF<Bits<12>>,
    head: Signal<Local, Bits<8>>,
    /// The flags beside the position.
    back_flag: Signal<Local, Bits<8>>,
    turn_flag: Signal<Local, Bits<8>>,
    of_turn_flag: Signal<Local, Bits<8>>,
    /// What FCS or DW the bytes are of.
    long: Signal<Local, Bits<32>>,
    part: Signal<Local, Bits<8>>,
}

impl Logic for UnitTx {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, state, count, dwords, next, session, back, turn, of_turn, brief, position,
            ack, limit
        );
        clock!(self, clock, fcs);
        self.place.next = bit_cast::<11, 12>(self.next.q.val());
        self.s.idle.next = self.state.q.val() == UnitTxState::Idle;
        self.s.sent.next = self.next.q.val();
        self.s.taken.next = false;
        self.back_flag.next = 0.into();
        if self.back.q.val() {
            self.back_flag.next = 0x40.into();
        }
        self.turn_flag.next = 0.into();
        if self.turn.q.val() {
            self.turn_flag.next = 0x20.into();
        }
        self.of_turn_flag.next = 0.into();
        if self.of_turn.q.val() {
            self.of_turn_flag.next = 0x10.into();
        }
        self.head.next = self.session.q.val();
        if self.count.q.val() == 1 {
            self.head.next = bit_cast::<8, 4>(self.position.q.val().get_bits::<4>(8))
                | self.back_flag.val()
                | self.turn_flag.val()
                | self.of_turn_flag.val();
        }
        if self.count.q.val() == 2 {
            self.head.next = bit_cast::<8, 12>(self.position.q.val());
        }
        if self.count.q.val() == 3 {
            // Version 1.
            self.head.next = bit_cast::<8, 4>(self.ack.q.val().get_bits::<4>(8)) | 0x10;
        }
        if self.count.q.val() == 4 {
            self.head.next = bit_cast::<8, 12>(self.ack.q.val());
        }
        if self.count.q.val() == 5 {
            self.head.next = bit_cast::<8, 4>(self.limit.q.val().get_bits::<4>(8));
        }
        if self.count.q.val() == 6 {
            self.head.next = bit_cast::<8, 12>(self.limit.q.val());
        }
        // A DW's bytes go from the highest, the FCS' from the lowest.
        self.long.next = self.word.val();
        if self.state.q.val() == UnitTxState::Check {
            self.long.next = (self.fcs.value.val() << 24)
                | ((self.fcs.value.val() & 0xFF00) << 8)
                | ((self.fcs.value.val() >> 8) & 0xFF00)
                | (self.fcs.value.val() >> 24);
        }
        self.part.next = self.long.val().get_bits::<8>(24);
        if self.count.q.val() == 1 {
            self.part.next = self.long.val().get_bits::<8>(16);
        }
        if self.count.q.val() == 2 {
            self.part.next = self.long.val().get_bits::<8>(8);
        }
        if self.count.q.val() == 3 {
            self.part.next = bit_cast::<8, 32>(self.long.val());
        }
        self.m.data.next = self.part.val();
        self.m.flag.next = false;
        self.m.valid.next = false;
        self.fcs.clear.next = false;
        self.fcs.enable.next = false;
        match self.state.q.val() {
            UnitTxState::Idle => {
                self.count.d.next = 0.into();
                self.dwords.d.next = 0.into();
                self.fcs.clear.next = true;
                if self.s.valid.val() {
                    self.s.taken.next = true;
                    self.next.d.next = self.s.from.val();
                    self.session.d.next = self.s.session.val();
                    self.back.d.next = self.s.back.val();
                    self.turn.d.next = self.s.turn.val();
                    self.of_turn.d.next = self.s.of_turn.val();
                    self.brief.d.next = self.s.brief.val();
                    self.position.d.next = self.s.from.val();
                    self.ack.d.next = self.s.ack.val();
                    self.limit.d.next = self.s.limit.val();
                    self.state.d.next = UnitTxState::Open;
                }
            }
            UnitTxState::Open => {
                self.m.flag.next = true;
                self.m.valid.next = true;
                if self.m.ready.val() {
                    self.state.d.next = UnitTxState::Head;
                }
            }
            UnitTxState::Head => {
                self.m.data.next = self.head.val();
                self.m.valid.next = true;
                if self.m.ready.val() {
                    self.fcs.enable.next = true;
                    self.count.d.next = self.count.q.val() + 1;
                    if self.count.q.val() == 6 {
                        self.count.d.next = 0.into();
                        self.state.d.next = UnitTxState::Fetch;
                    }
                }
            }
            UnitTxState::Fetch => {
                self.state.d.next = UnitTxState::Data;
                if (self.next.q.val() == self.s.written.val())
                    | (self.next.q.val() == self.s.room.val())
                    | (self.dwords.q.val() == 640)
                    | (self.brief.q.val() & self.dwords.q.val().get_bit(5))
                {
                    self.state.d.next = UnitTxState::Check;
                }
            }
            UnitTxState::Data => {
                self.m.valid.next = true;
                if self.m.ready.val() {
                    self.fcs.enable.next = true;
                    self.count.d.next = self.count.q.val() + 1;
                    if self.count.q.val() == 3 {
                        self.count.d.next = 0.into();
                        self.next.d.next = self.next.q.val() + 1;
                        self.dwords.d.next = self.dwords.q.val() + 1;
                        self.state.d.next = UnitTxState::Fetch;
                    }
                }
            }
            UnitTxState::Check => {
                self.m.valid.next = true;
                if self.m.ready.val() {
                    self.count.d.next = self.count.q.val() + 1;
                    if self.count.q.val() == 3 {
                        self.state.d.next = UnitTxState::Close;
                    }
                }
            }
            UnitTxState::Close => {
                self.m.flag.next = true;
                self.m.valid.next = true;
                if self.m.ready.val() {
                    self.state.d.next = UnitTxState::Idle;
                }
            }
            _ => {
                self.state.d.next = UnitTxState::Idle;
            }
        }
        self.fcs.data.next = self.m.data.val();
        if self.reset.val() {
            self.state.d.next = UnitTxState::Idle;
            self.next.d.next = 0.into();
        }
    }
}
