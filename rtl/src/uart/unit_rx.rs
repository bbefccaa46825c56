//! Takes a unit apart: its DWs go to the stream's buffer as they come, and once it has shown to be whole, what it says is told.
use super::fcs::SerialFcs;
use super::ports::*;
use rust_hdl::prelude::*;

/// Writes the DWs behind what has been accepted already, as if the unit were the next one; if it is not, they are written over.
///
/// The FCS is such a DW, too, so that its end needs not be known: the buffer has room for one more than was promised.
#[derive(LogicBlock, Default)]
pub struct UnitRx {
    /// The clock.
    pub clock: Signal<In, Clock>,
    /// Its reset.
    pub reset: Signal<In, Bit>,
    /// A byte of a unit.
    pub octet: Signal<In, Bits<8>>,
    /// Pulse: `octet` is there; at most every tenth clock, flags included.
    pub octet_valid: Signal<In, Bit>,
    /// Pulse: a flag; what came since the last one is over.
    pub flag: Signal<In, Bit>,
    /// With `flag`: it is not whole.
    pub bad: Signal<In, Bit>,
    /// The position that is expected next.
    pub expected: Signal<In, Bits<12>>,
    /// The position that is read next from the buffer, which has 1,024 places.
    pub worked: Signal<In, Bits<12>>,
    /// Place in the buffer.
    pub place: Signal<Out, Bits<10>>,
    /// What to write there.
    pub word: Signal<Out, Bits<32>>,
    /// Write it.
    pub write: Signal<Out, Bit>,
    /// What the unit says.
    pub m: HeardSource,
    /// Pulse: something came that was no whole unit.
    pub damaged: Signal<Out, Bit>,
    fcs: SerialFcs,
    /// The first three bytes.
    head: DFF<Bits<24>>,
    /// And the next four.
    tail: DFF<Bits<32>>,
    /// Bytes of these seven that came.
    count: DFF<Bits<3>>,
    /// The last three bytes of a DW.
    bytes: DFF<Bits<24>>,
    phase: DFF<Bits<2>>,
    /// A DW came: the FCS, if nothing follows it.
    some: DFF<Bit>,
    /// There was no room.
    over: DFF<Bit>,
    at: DFF<Bits<12>>,
    /// Where the last DW was written, which is the FCS if nothing follows it.
    check_at: DFF<Bits<12>>,
    full: Signal<Local, Bit>,
    whole: Signal<Local, Bit>,
}

impl Logic for UnitRx {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, head, tail, count, bytes, phase, some, over, at, check_at);
        clock!(self, clock, fcs);
        self.fcs.data.next = self.octet.val();
        self.fcs.enable.next = self.octet_valid.val();
        self.fcs.clear.next = self.flag.val() | self.reset.val();
        self.m.session.next = self.head.q.val().get_bits::<8>(16);
        self.m.open.next = self.head.q.val().get_bit(15);
        self.m.back.next = self.head.q.val().get_bit(14);
        self.m.turn.next = self.head.q.val().get_bit(13);
        self.m.of_turn.next = self.head.q.val().get_bit(12);
        self.m.position.next = bit_cast::<12, 24>(self.head.q.val());
        self.m.ack.next = self.tail.q.val().get_bits::<12>(16);
        self.m.limit.next = bit_cast::<12, 32>(self.tail.q.val());
        self.m.beyond.next = self.check_at.q.val();
        self.place.next = bit_cast::<10, 12>(self.at.q.val());
        self.word.next =
            (bit_cast::<32, 24>(self.bytes.q.val()) << 8) | bit_cast::<32, 8>(self.octet.val());
        self.write.next = false;
        // 1,024 places ahead of the reader.
        self.full.next = (self.at.q.val() != self.worked.val())
            & (bit_cast::<10, 12>(self.at.q.val()) == bit_cast::<10, 12>(self.worked.val()));
        if self.octet_valid.val() {
            if self.count.q.val() == 7 {
                self.phase.d.next = self.phase.q.val() + 1;
                self.bytes.d.next = (self.bytes.q.val() << 8) | bit_cast::<24, 8>(self.octet.val());
                if self.phase.q.val() == 3 {
                    self.some.d.next = true;
                    self.check_at.d.next = self.at.q.val();
                    if self.full.val() {
                        self.over.d.next = true;
                    } else {
                        self.write.next = true;
                        self.at.d.next = self.at.q.val() + 1;
                    }
                }
            } else {
                self.count.d.next = self.count.q.val() + 1;
                self.head.d.next = (self.head.q.val() << 8)
                    | bit_cast::<24, 8>(self.tail.q.val().get_bits::<8>(24));
                self.tail.d.next = (self.tail.q.val() << 8) | bit_cast::<32, 8>(self.octet.val());
                self.at.d.next = self.expected.val();
            }
        }
        self.whole.next = self.fcs.good.val()
            & self.some.q.val()
            & (self.phase.q.val() == 0)
            & !self.over.q.val()
            & !self.bad.val()
            & (self.tail.q.val().get_bits::<4>(28) == 1);
        self.m.valid.next = false;
        self.damaged.next = false;
        if self.flag.val() {
            self.m.valid.next = self.whole.val();
            // Nothing between two flags is nothing.
            self.damaged.next = !self.whole.val() & (self.count.q.val().any() | self.bad.val());
            self.count.d.next = 0.into();
            self.phase.d.next = 0.into();
            self.some.d.next = false;
            self.over.d.next = false;
        }
        if self.reset.val() {
            self.count.d.next = 0.into();
            self.phase.d.next = 0.into();
            self.some.d.next = false;
            self.over.d.next = false;
            self.check_at.d.next = 0.into();
        }
    }
}
