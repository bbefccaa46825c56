//! Destination address filter.
use rust_hdl::prelude::*;

/// Judges the destination address, which is in the first beat of a frame.
#[derive(LogicBlock)]
pub struct MacFilter {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Own address, bytes 0 to 3, byte 0 in bits 7:0.
    pub mac_lo: Signal<In, Bits<32>>,
    /// Own address, bytes 4 and 5.
    pub mac_hi: Signal<In, Bits<16>>,
    /// RXCTL.PROMISC.
    pub promiscuous: Signal<In, Bit>,
    /// RXCTL.BROADCAST.
    pub broadcast: Signal<In, Bit>,
    /// RXCTL.ALL_MULTICAST; the broadcast address is not one of these.
    pub all_multicast: Signal<In, Bit>,
    /// Bytes 0 to 3 of the beat.
    pub d0: Signal<In, Bits<32>>,
    /// Bytes 4 to 7.
    pub d1: Signal<In, Bits<32>>,
    /// The first beat of a frame is there.
    pub first: Signal<In, Bit>,
    /// The frame is for this station; steady from the cycle after `first`.
    pub pass: Signal<Out, Bit>,
    hit: DFF<Bit>,
    high: Signal<Local, Bits<16>>,
    is_own: Signal<Local, Bit>,
    is_broadcast: Signal<Local, Bit>,
    ones32: Constant<Bits<32>>,
    ones16: Constant<Bits<16>>,
}

impl Default for MacFilter {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            mac_lo: Default::default(),
            mac_hi: Default::default(),
            promiscuous: Default::default(),
            broadcast: Default::default(),
            all_multicast: Default::default(),
            d0: Default::default(),
            d1: Default::default(),
            first: Default::default(),
            pass: Default::default(),
            hit: Default::default(),
            high: Default::default(),
            is_own: Default::default(),
            is_broadcast: Default::default(),
            ones32: Constant::new(0xFFFF_FFFF_u64.into()),
            ones16: Constant::new(0xFFFF.into()),
        }
    }
}

impl Logic for MacFilter {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, hit);
        self.pass.next = self.hit.q.val();
        self.high.next = 0.into();
        self.is_own.next = false;
        self.is_broadcast.next = false;
        if self.first.val() {
            self.high.next = self.d1.val().get_bits::<16>(0);
            self.is_own.next =
                (self.d0.val() == self.mac_lo.val()) & (self.high.val() == self.mac_hi.val());
            self.is_broadcast.next =
                (self.d0.val() == self.ones32.val()) & (self.high.val() == self.ones16.val());
            self.hit.d.next = self.promiscuous.val()
                | self.is_own.val()
                | (self.broadcast.val() & self.is_broadcast.val())
                | (self.all_multicast.val() & self.d0.val().get_bit(0) & !self.is_broadcast.val());
        }
    }
}
