//! For how long a received PAUSE frame silences the transmitter (IEEE 802.3 annex 31B.3.3).
use rust_hdl::prelude::*;

/// Counts pause quanta of 512 bit times: 0.512 us at a gigabit, 5.12 us at 100 Mbit/s, 51.2 us at 10.
///
/// It works on the NIC's time in units of 512 ns, rounded up, so that a pause is never shorter than asked for and at most 512 ns longer; the
/// time must not jump by 4 s or more while `active`. A new pause time replaces what is left of the last; 0 ends the pause.
#[derive(LogicBlock, Default)]
pub struct PauseTimer {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// FLOW.RX_PAUSE; without it a pause ends.
    pub enable: Signal<In, Bit>,
    /// A PAUSE frame came.
    pub set: Signal<In, Bit>,
    /// Its pause time in quanta.
    pub quanta: Signal<In, Bits<16>>,
    /// 0: 10, 1: 100, 2: 1000 Mbit/s.
    pub link_speed: Signal<In, Bits<2>>,
    /// The time in nanoseconds, bits 31:0.
    pub time_lo: Signal<In, Bits<32>>,
    /// The time in nanoseconds, bits 63:32.
    pub time_hi: Signal<In, Bits<32>>,
    /// No frame of a MAC client may begin.
    pub active: Signal<Out, Bit>,
    /// A pause time is being taken.
    pub busy: Signal<Out, Bit>,
    taking: DFF<Bit>,
    running: DFF<Bit>,
    /// The pause in units.
    span: DFF<Bits<24>>,
    /// The unit with which it ends.
    expires: DFF<Bits<24>>,
    now: Signal<Local, Bits<24>>,
    wide: Signal<Local, Bits<24>>,
    left: Signal<Local, Bits<24>>,
}

impl Logic for PauseTimer {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, taking, running, span, expires);
        self.now.next = bit_cast::<24, 23>(self.time_lo.val().get_bits::<23>(9))
            | (bit_cast::<24, 1>(self.time_hi.val().get_bits::<1>(0)) << 23);
        self.left.next = self.expires.q.val() - self.now.val();
        self.wide.next = bit_cast::<24, 16>(self.quanta.val());
        self.active.next = self.running.q.val();
        self.busy.next = self.taking.q.val()
            | (self.running.q.val() & ((self.left.val() == 0) | self.left.val().get_bit(23)));
        if (self.left.val() == 0) | self.left.val().get_bit(23) {
            self.running.d.next = false;
        }
        self.taking.d.next = false;
        if self.set.val() {
            self.taking.d.next = true;
            if self.link_speed.val() == 0 {
                // By 100.
                self.span.d.next =
                    (self.wide.val() << 6) + (self.wide.val() << 5) + (self.wide.val() << 2);
            } else if self.link_speed.val() == 1 {
                self.span.d.next = (self.wide.val() << 3) + (self.wide.val() << 1);
            } else {
                self.span.d.next = self.wide.val();
            }
        }
        if self.taking.q.val() {
            self.running.d.next = self.span.q.val().any();
            self.expires.d.next = self.now.val() + self.span.q.val() + 1;
        }
        if self.reset.val() | !self.enable.val() {
            self.taking.d.next = false;
            self.running.d.next = false;
        }
    }
}
