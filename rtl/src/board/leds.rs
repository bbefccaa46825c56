//! What a board's four LEDs show.
use rust_hdl::prelude::*;

/// Bit 0 link, 1 activity, 2 error, 3 heartbeat.
///
/// Activity is lit for 34 to 67 ms after the last frame, an error for 0.5 to 1.1 s; the heartbeat changes every 0.54 s while the clock runs.
#[derive(LogicBlock, Default)]
pub struct Leds {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Its reset.
    pub reset: Signal<In, Bit>,
    /// The time in nanoseconds, bits 31:0.
    pub time_lo: Signal<In, Bits<32>>,
    /// The link is up.
    pub link: Signal<In, Bit>,
    /// Something is on the wire.
    pub activity: Signal<In, Bit>,
    /// Something went wrong.
    pub error: Signal<In, Bit>,
    /// 1: lit.
    pub leds: Signal<Out, Bits<4>>,
    bit25: DFF<Bit>,
    bit29: DFF<Bit>,
    active: DFF<Bit>,
    wrong: DFF<Bit>,
    show_active: DFF<Bit>,
    show_wrong: DFF<Bit>,
    out: DFF<Bits<4>>,
}

impl Logic for Leds {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            bit25,
            bit29,
            active,
            wrong,
            show_active,
            show_wrong,
            out
        );
        self.leds.next = self.out.q.val();
        self.bit25.d.next = self.time_lo.val().get_bit(25);
        self.bit29.d.next = self.time_lo.val().get_bit(29);
        if self.bit25.q.val() != self.time_lo.val().get_bit(25) {
            self.show_active.d.next = self.active.q.val();
            self.active.d.next = false;
        }
        if self.bit29.q.val() != self.time_lo.val().get_bit(29) {
            self.show_wrong.d.next = self.wrong.q.val();
            self.wrong.d.next = false;
        }
        if self.activity.val() {
            self.active.d.next = true;
            self.show_active.d.next = true;
        }
        if self.error.val() {
            self.wrong.d.next = true;
            self.show_wrong.d.next = true;
        }
        self.out.d.next = bit_cast::<4, 1>(self.link.val().into())
            | (bit_cast::<4, 1>(self.show_active.q.val().into()) << 1)
            | (bit_cast::<4, 1>(self.show_wrong.q.val().into()) << 2)
            | (bit_cast::<4, 1>(self.bit29.q.val().into()) << 3);
        if self.reset.val() {
            self.active.d.next = false;
            self.wrong.d.next = false;
            self.show_active.d.next = false;
            self.show_wrong.d.next = false;
        }
    }
}
