//! Octet stuffing (RFC 1662 section 4.2): a flag ends a unit, and no byte within looks like one.
use super::ports::*;
use rust_hdl::prelude::*;

/// Puts flags and escapes in.
#[derive(LogicBlock, Default)]
pub struct Stuff {
    /// The clock.
    pub clock: Signal<In, Clock>,
    /// Its reset.
    pub reset: Signal<In, Bit>,
    /// Bytes of units, and flags.
    pub s: OctetSink,
    /// To the line.
    pub data: Signal<Out, Bits<8>>,
    /// `data` is there.
    pub valid: Signal<Out, Bit>,
    /// It is taken.
    pub ready: Signal<In, Bit>,
    /// The escape of the byte has gone.
    escaped: DFF<Bit>,
    special: Signal<Local, Bit>,
}

impl Logic for Stuff {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, escaped);
        self.special.next = (self.s.data.val() == 0x7E) | (self.s.data.val() == 0x7D);
        self.valid.next = self.s.valid.val();
        self.data.next = self.s.data.val();
        self.s.ready.next = self.ready.val();
        if self.s.flag.val() {
            self.data.next = 0x7E.into();
        } else if self.special.val() {
            self.data.next = self.s.data.val() ^ 0x20;
            if !self.escaped.q.val() {
                self.data.next = 0x7D.into();
                self.s.ready.next = false;
            }
            if self.s.valid.val() & self.ready.val() {
                self.escaped.d.next = !self.escaped.q.val();
            }
        }
        if self.reset.val() {
            self.escaped.d.next = false;
        }
    }
}

/// Takes them out again.
#[derive(LogicBlock, Default)]
pub struct Unstuff {
    /// The clock.
    pub clock: Signal<In, Clock>,
    /// Its reset.
    pub reset: Signal<In, Bit>,
    /// From the line.
    pub data: Signal<In, Bits<8>>,
    /// Pulse: `data` is there.
    pub valid: Signal<In, Bit>,
    /// Pulse: there was a byte, and it is not known which.
    pub broken: Signal<In, Bit>,
    /// A byte of a unit.
    pub octet: Signal<Out, Bits<8>>,
    /// Pulse: `octet` is there.
    pub octet_valid: Signal<Out, Bit>,
    /// Pulse: a flag; what came since the last one is over.
    pub flag: Signal<Out, Bit>,
    /// With `flag`: it is not whole.
    pub bad: Signal<Out, Bit>,
    escaped: DFF<Bit>,
    spoilt: DFF<Bit>,
}

impl Logic for Unstuff {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, escaped, spoilt);
        self.octet.next = self.data.val();
        if self.escaped.q.val() {
            self.octet.next = self.data.val() ^ 0x20;
        }
        self.octet_valid.next = false;
        self.flag.next = false;
        self.bad.next = self.spoilt.q.val() | self.escaped.q.val();
        if self.valid.val() {
            self.escaped.d.next = false;
            if self.data.val() == 0x7E {
                self.flag.next = true;
                self.spoilt.d.next = false;
            } else if (self.data.val() == 0x7D) & !self.escaped.q.val() {
                self.escaped.d.next = true;
            } else {
                self.octet_valid.next = true;
            }
        }
        if self.broken.val() {
            self.spoilt.d.next = true;
        }
        if self.reset.val() {
            self.escaped.d.next = false;
            self.spoilt.d.next = false;
        }
    }
}
