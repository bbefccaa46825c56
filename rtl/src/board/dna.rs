//! A MAC address out of the FPGA's own number.
use rust_hdl::prelude::*;

/// Reads the 57 bits of DNA_PORT (UG470, UG953) once, and makes a locally administered address of them.
///
/// The first byte is 02; the other 40 bits are those of the number in the order in which they come out, the last 17 laid over the first. The cell's clock is a
/// sixteenth of ours: 8 MHz at 125, where it may have 100.
#[derive(LogicBlock, Default)]
pub struct DnaReader {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Its reset; the number is read anew.
    pub reset: Signal<In, Bit>,
    /// Pin CLK of the cell.
    pub dna_clk: Signal<Out, Bit>,
    /// Pin READ.
    pub dna_read: Signal<Out, Bit>,
    /// Pin SHIFT.
    pub dna_shift: Signal<Out, Bit>,
    /// Pin DOUT.
    pub dna_dout: Signal<In, Bit>,
    /// The address is there, and stays.
    pub done: Signal<Out, Bit>,
    /// Bytes 0 to 3, byte 0 in bits 7:0.
    pub mac_lo: Signal<Out, Bits<32>>,
    /// Bytes 4 and 5.
    pub mac_hi: Signal<Out, Bits<16>>,
    /// Place in a period of the cell's clock, which is high in its second half.
    phase: DFF<Bits<4>>,
    high: DFF<Bit>,
    /// 0: the number is loaded; then the bit that is shown, counted from 1.
    place: DFF<Bits<6>>,
    load: DFF<Bit>,
    shift: DFF<Bit>,
    over: DFF<Bit>,
    lo: DFF<Bits<32>>,
    hi: DFF<Bits<8>>,
    /// The bit that goes in: the one that comes, and the oldest one over it.
    entering: Signal<Local, Bits<32>>,
}

impl Logic for DnaReader {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, phase, high, place, load, shift, over, lo, hi);
        self.dna_clk.next = self.high.q.val();
        self.dna_read.next = self.load.q.val();
        self.dna_shift.next = self.shift.q.val();
        self.done.next = self.over.q.val();
        self.mac_lo.next = (self.lo.q.val() << 8) | 2;
        self.mac_hi.next = bit_cast::<16, 8>(self.lo.q.val().get_bits::<8>(24))
            | (bit_cast::<16, 8>(self.hi.q.val()) << 8);
        self.entering.next = 0.into();
        if self.dna_dout.val() ^ self.hi.q.val().get_bit(7) {
            self.entering.next = 1.into();
        }
        if !self.over.q.val() {
            self.phase.d.next = self.phase.q.val() + 1;
            self.high.d.next = self.phase.q.val().get_bit(3);
            if self.phase.q.val() == 0 {
                self.load.d.next = self.place.q.val() == 0;
                self.shift.d.next = self.place.q.val() != 0;
            }
            // Just before the rise.
            if self.phase.q.val() == 7 {
                self.place.d.next = self.place.q.val() + 1;
                if self.place.q.val() != 0 {
                    self.lo.d.next = (self.lo.q.val() << 1) | self.entering.val();
                    self.hi.d.next = (self.hi.q.val() << 1)
                        | bit_cast::<8, 1>(self.lo.q.val().get_bits::<1>(31));
                }
                if self.place.q.val() == 57 {
                    self.over.d.next = true;
                }
            }
        }
        if self.reset.val() {
            self.phase.d.next = 0.into();
            self.high.d.next = false;
            self.place.d.next = 0.into();
            self.load.d.next = false;
            self.shift.d.next = false;
            self.over.d.next = false;
            self.lo.d.next = 0.into();
            self.hi.d.next = 0.into();
        }
    }
}
