//! Management interface (IEEE 802.3 clause 22.2.4.5): one transfer, bit by bit.
use super::ports::*;
use crate::mac::sync::Sync;
use rust_hdl::prelude::*;

/// Does transfers: 32 ones of preamble, ST, OP, PHYAD, REGAD, TA, 16 bits of data, each bit 64 clocks long.
///
/// MDC is low for the first half of a bit and stands low between transfers, for a bit's time at least; at 125 MHz it runs at 1.95 MHz, where clause 22.2.2.13 allows 2.5.
/// MDIO changes when MDC falls, and is read just before it rises, when what the PHY drove after the last rise has stood for 100 ns and more.
#[derive(LogicBlock, Default)]
pub struct Mdio {
    /// The clock, 160 MHz at most.
    pub clock: Signal<In, Clock>,
    /// Its reset. A transfer is cut off.
    pub reset: Signal<In, Bit>,
    /// What to do.
    pub s: MdioSink,
    /// With `done` after a read: a PHY drove the second bit of the turnaround low.
    pub answered: Signal<Out, Bit>,
    /// Pin MDC.
    pub mdc: Signal<Out, Bit>,
    /// Pin MDIO, driven value.
    pub mdio_o: Signal<Out, Bit>,
    /// Pin MDIO, drive it.
    pub mdio_oe: Signal<Out, Bit>,
    /// Pin MDIO, value; pulled up.
    pub mdio_i: Signal<In, Bit>,
    pin: Sync<1>,
    running: DFF<Bit>,
    finished: DFF<Bit>,
    /// Clock within the bit.
    phase: DFF<Bits<6>>,
    /// The bit: 0 to 31 the preamble, 32 to 63 the frame.
    number: DFF<Bits<6>>,
    high: DFF<Bit>,
    value: DFF<Bit>,
    drive: DFF<Bit>,
    /// The last bits read, the newest in bit 0.
    read: DFF<Bits<17>>,
    place: Signal<Local, Bits<6>>,
    /// The frame of clause 22.2.4.5, its first bit in bit 31.
    frame: Signal<Local, Bits<32>>,
    whole: Signal<Local, Bits<32>>,
    /// From the bit on that is shown.
    ahead: Signal<Local, Bits<32>>,
}

impl Logic for Mdio {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, running, finished, phase, number, high, value, drive, read);
        self.pin.clock.next = self.clock.val();
        self.pin.d.next = 0.into();
        if self.mdio_i.val() {
            self.pin.d.next = 1.into();
        }
        self.mdc.next = self.high.q.val();
        self.mdio_o.next = self.value.q.val();
        self.mdio_oe.next = self.drive.q.val();
        self.s.rdata.next = bit_cast::<16, 17>(self.read.q.val());
        self.s.done.next = self.finished.q.val();
        self.answered.next = !self.read.q.val().get_bit(16);

        // ST 01, OP 10 for a read, TA 10.
        self.frame.next = 0x6002_0000.into();
        if self.s.write.val() {
            // OP 01
            self.frame.next = 0x5002_0000.into();
        }
        self.whole.next = self.frame.val()
            | (bit_cast::<32, 5>(self.s.phy.val()) << 23)
            | (bit_cast::<32, 5>(self.s.register.val()) << 18)
            | bit_cast::<32, 16>(self.s.wdata.val());
        self.place.next = self.number.q.val() & 0x1F;
        self.ahead.next = self.whole.val() << self.place.val();

        self.high.d.next = self.running.q.val() & self.phase.q.val().get_bit(5);
        self.value.d.next = !self.number.q.val().get_bit(5) | self.ahead.val().get_bit(31);
        self.drive.d.next =
            self.running.q.val() & (self.s.write.val() | (self.number.q.val() < 46));
        // Between transfers a bit's time passes, in which the PHY lets go of MDIO.
        if self.phase.q.val() != 63 {
            self.phase.d.next = self.phase.q.val() + 1;
        }
        if self.running.q.val() {
            if self.phase.q.val() == 31 {
                self.read.d.next = (self.read.q.val() << 1) | bit_cast::<17, 1>(self.pin.q.val());
            }
            if self.phase.q.val() == 63 {
                self.phase.d.next = 0.into();
                self.number.d.next = self.number.q.val() + 1;
                if self.number.q.val() == 63 {
                    self.running.d.next = false;
                    self.finished.d.next = true;
                }
            }
        } else if self.finished.q.val() {
            self.finished.d.next = self.s.valid.val();
        } else if self.s.valid.val() & (self.phase.q.val() == 63) {
            self.running.d.next = true;
            self.phase.d.next = 0.into();
        }
        if self.reset.val() {
            self.running.d.next = false;
            self.finished.d.next = false;
            self.phase.d.next = 0.into();
            self.number.d.next = 0.into();
        }
    }
}
