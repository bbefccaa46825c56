//! What every board has once around its NIC: the time, a MAC address, LEDs.
use super::dna::DnaReader;
use super::leds::Leds;
use super::time::TimeCounter;
use crate::mac::reset::ResetSync;
use rust_hdl::prelude::*;

/// The services of a board whose core's clock has a period of `NS` nanoseconds. They begin when the clocks are good, and no reset of the NIC stops them: a
/// link stays up while its host starts again.
#[derive(LogicBlock, Default)]
pub struct Services<const NS: u64> {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// The board's clocks are not good yet; without glitches.
    pub hold: Signal<In, Bit>,
    /// For simulation: the PHY's milliseconds are 4 us.
    pub fast: Signal<In, Bit>,
    /// `hold` in the core's clock: the reset of what no reset of the NIC stops.
    pub power_reset: Signal<Out, Bit>,
    /// The time in nanoseconds, bits 31:0.
    pub time_lo: Signal<Out, Bits<32>>,
    /// Bits 63:32.
    pub time_hi: Signal<Out, Bits<32>>,
    /// Pulse: a millisecond has passed, as the management of a PHY counts them.
    pub tick: Signal<Out, Bit>,
    /// Pin CLK of DNA_PORT.
    pub dna_clk: Signal<Out, Bit>,
    /// Pin READ.
    pub dna_read: Signal<Out, Bit>,
    /// Pin SHIFT.
    pub dna_shift: Signal<Out, Bit>,
    /// Pin DOUT.
    pub dna_dout: Signal<In, Bit>,
    /// The MAC address is there; until then the NIC is to be held in reset.
    pub ready: Signal<Out, Bit>,
    /// Bytes 0 to 3 of the MAC address.
    pub mac_lo: Signal<Out, Bits<32>>,
    /// Bytes 4 and 5.
    pub mac_hi: Signal<Out, Bits<16>>,
    /// A link is up, for the LED.
    pub link: Signal<In, Bit>,
    /// Something is on a wire, for the LED.
    pub activity: Signal<In, Bit>,
    /// Something went wrong, for the LED.
    pub error: Signal<In, Bit>,
    /// See [`Leds`].
    pub leds: Signal<Out, Bits<4>>,
    power: ResetSync,
    counter: TimeCounter<NS>,
    dna: DnaReader,
    show: Leds,
    /// The bit of the time that a millisecond is taken from.
    beat: DFF<Bit>,
    half: Signal<Local, Bit>,
}

impl<const NS: u64> Logic for Services<NS> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, beat);
        clock!(self, clock, power, counter, dna, show);
        self.power.d.next = self.hold.val();
        self.power_reset.next = self.power.q.val();
        self.time_lo.next = self.counter.time_lo.val();
        self.time_hi.next = self.counter.time_hi.val();

        self.dna.reset.next = self.power.q.val();
        self.dna_clk.next = self.dna.dna_clk.val();
        self.dna_read.next = self.dna.dna_read.val();
        self.dna_shift.next = self.dna.dna_shift.val();
        self.dna.dna_dout.next = self.dna_dout.val();
        self.ready.next = self.dna.done.val();
        self.mac_lo.next = self.dna.mac_lo.val();
        self.mac_hi.next = self.dna.mac_hi.val();

        self.half.next = self.counter.time_lo.val().get_bit(20);
        if self.fast.val() {
            self.half.next = self.counter.time_lo.val().get_bit(12);
        }
        self.beat.d.next = self.half.val();
        self.tick.next = self.beat.q.val() != self.half.val();

        self.show.reset.next = self.power.q.val();
        self.show.time_lo.next = self.counter.time_lo.val();
        self.show.link.next = self.link.val();
        self.show.activity.next = self.activity.val();
        self.show.error.next = self.error.val();
        self.leds.next = self.show.leds.val();
    }
}
