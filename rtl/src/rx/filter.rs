//! Destination address filter.
use super::multicast::MulticastFilter;
use rust_hdl::prelude::*;

/// Judges the destination address, which is in the first beat of a frame: own address and broadcast at once, multicast by tables within 19
/// cycles.
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
    /// The host writes a word of the multicast tables; see [`MulticastFilter`].
    pub table_write: Signal<In, Bit>,
    /// Its place.
    pub table_place: Signal<In, Bits<6>>,
    /// The word.
    pub table_data: Signal<In, Bits<32>>,
    /// The frame is for this station; steady from the 19th cycle after `first`.
    pub pass: Signal<Out, Bit>,
    /// It goes to the own address; steady from the cycle after `first`.
    pub own: Signal<Out, Bit>,
    hit: DFF<Bit>,
    r_own: DFF<Bit>,
    multicast: MulticastFilter,
    high: Signal<Local, Bits<16>>,
    is_own: Signal<Local, Bit>,
    is_group: Signal<Local, Bit>,
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
            table_write: Default::default(),
            table_place: Default::default(),
            table_data: Default::default(),
            pass: Default::default(),
            own: Default::default(),
            hit: Default::default(),
            r_own: Default::default(),
            multicast: Default::default(),
            high: Default::default(),
            is_own: Default::default(),
            is_group: Default::default(),
            is_broadcast: Default::default(),
            ones32: Constant::new(0xFFFF_FFFF_u64.into()),
            ones16: Constant::new(0xFFFF.into()),
        }
    }
}

impl Logic for MacFilter {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, hit, r_own);
        self.pass.next = self.hit.q.val();
        self.own.next = self.r_own.q.val();
        self.high.next = 0.into();
        self.is_own.next = false;
        self.is_group.next = false;
        clock!(self, clock, multicast);
        self.multicast.d0.next = self.d0.val();
        self.multicast.high.next = bit_cast::<16, 32>(self.d1.val());
        self.multicast.table_write.next = self.table_write.val();
        self.multicast.table_place.next = self.table_place.val();
        self.multicast.table_data.next = self.table_data.val();
        if self.multicast.hit.val() {
            self.hit.d.next = true;
        }
        self.is_broadcast.next = false;
        if self.first.val() {
            self.high.next = self.d1.val().get_bits::<16>(0);
            self.is_own.next =
                (self.d0.val() == self.mac_lo.val()) & (self.high.val() == self.mac_hi.val());
            self.is_broadcast.next =
                (self.d0.val() == self.ones32.val()) & (self.high.val() == self.ones16.val());
            self.is_group.next = self.d0.val().get_bit(0) & !self.is_broadcast.val();
            self.r_own.d.next = self.is_own.val();
            self.hit.d.next = self.promiscuous.val()
                | self.is_own.val()
                | (self.broadcast.val() & self.is_broadcast.val())
                | (self.all_multicast.val() & self.is_group.val());
        }
        self.multicast.first.next = self.first.val();
        self.multicast.group.next = self.is_group.val();
    }
}
