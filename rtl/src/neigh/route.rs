//! Classifies an IPv4 address against the local addresses, one of them a cycle.
#![allow(missing_docs, reason = "LogicBlock derives methods without docs")]
use rust_hdl::prelude::*;

/// Finds out what an address is to this host.
///
/// `ip` is steady from the cycle after `start` until `done`; the answers are steady from `done` until the next `start`.
#[derive(LogicBlock)]
pub struct Route {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// The host writes a local address or its mask; see [`crate::pcie::reg_file::RegFile`].
    pub local_write: Signal<In, Bit>,
    /// Which: address n is 2n, 0.0.0.0 if it is unused; its mask, contiguous ones from bit 31, is 2n + 1.
    pub local_place: Signal<In, Bits<4>>,
    /// It.
    pub local_data: Signal<In, Bits<32>>,
    /// The address in question.
    pub ip: Signal<In, Bits<32>>,
    /// High for one cycle: begin.
    pub start: Signal<In, Bit>,
    /// High for one cycle: the answers are there.
    pub done: Signal<Out, Bit>,
    /// It is a local address.
    pub own: Signal<Out, Bit>,
    /// It lies in the subnet of a local address.
    pub onlink: Signal<Out, Bit>,
    /// It is the broadcast address of such a subnet. Subnets of /31 and /32 have none (RFC 3021).
    pub broadcast: Signal<Out, Bit>,
    /// The first local address whose subnet holds it, else the first local address, else 0.
    pub source: Signal<Out, Bits<32>>,
    /// A question is being worked on.
    pub busy: Signal<Out, Bit>,
    addresses: RAM<Bits<32>, 3>,
    masks: RAM<Bits<32>, 3>,
    /// Which address comes out of the memories next, while one does.
    pick: DFF<Bits<3>>,
    picks: DFF<Bit>,
    live: DFF<Bit>,
    finished: DFF<Bit>,
    addr: Signal<Local, Bits<32>>,
    mask: Signal<Local, Bits<32>>,
    is_own: DFF<Bit>,
    is_onlink: DFF<Bit>,
    is_broadcast: DFF<Bit>,
    from: DFF<Bits<32>>,
    ones: Constant<Bits<32>>,
}

impl Default for Route {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            local_write: Default::default(),
            local_place: Default::default(),
            local_data: Default::default(),
            addresses: Default::default(),
            masks: Default::default(),
            ip: Default::default(),
            start: Default::default(),
            done: Default::default(),
            own: Default::default(),
            onlink: Default::default(),
            broadcast: Default::default(),
            source: Default::default(),
            busy: Default::default(),
            pick: Default::default(),
            picks: Default::default(),
            live: Default::default(),
            finished: Default::default(),
            addr: Default::default(),
            mask: Default::default(),
            is_own: Default::default(),
            is_onlink: Default::default(),
            is_broadcast: Default::default(),
            from: Default::default(),
            ones: Constant::new(0xFFFF_FFFF_u64.into()),
        }
    }
}

impl Logic for Route {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            pick,
            picks,
            live,
            finished,
            is_own,
            is_onlink,
            is_broadcast,
            from
        );
        self.done.next = self.finished.q.val();
        self.own.next = self.is_own.q.val();
        self.onlink.next = self.is_onlink.q.val();
        self.broadcast.next = self.is_broadcast.q.val();
        self.source.next = self.from.q.val();
        self.busy.next = self.picks.q.val() | self.live.q.val() | self.finished.q.val();
        self.live.d.next = false;
        self.finished.d.next = self.live.q.val() & !self.picks.q.val();

        // First stage: the memories.
        self.addresses.read_clock.next = self.clock.val();
        self.addresses.write_clock.next = self.clock.val();
        self.addresses.read_address.next = self.pick.q.val();
        self.addresses.write_address.next = self.local_place.val().get_bits::<3>(1);
        self.addresses.write_data.next = self.local_data.val();
        self.addresses.write_enable.next =
            self.local_write.val() & !self.local_place.val().get_bit(0);
        self.masks.read_clock.next = self.clock.val();
        self.masks.write_clock.next = self.clock.val();
        self.masks.read_address.next = self.pick.q.val();
        self.masks.write_address.next = self.local_place.val().get_bits::<3>(1);
        self.masks.write_data.next = self.local_data.val();
        self.masks.write_enable.next = self.local_write.val() & self.local_place.val().get_bit(0);
        self.addr.next = self.addresses.read_data.val();
        self.mask.next = self.masks.read_data.val();
        if self.picks.q.val() {
            self.pick.d.next = self.pick.q.val() + 1;
            self.picks.d.next = self.pick.q.val() != 7;
            self.live.d.next = true;
        }
        // Second stage: compare.
        if self.live.q.val() & (self.addr.val() != 0) {
            if self.addr.val() == self.ip.val() {
                self.is_own.d.next = true;
            }
            if ((self.addr.val() ^ self.ip.val()) & self.mask.val()) == 0 {
                self.is_onlink.d.next = true;
                if !self.is_onlink.q.val() {
                    self.from.d.next = self.addr.val();
                }
                // Bit 1 of the mask is clear when two or more bits are left for hosts.
                if ((self.ip.val() | self.mask.val()) == self.ones.val())
                    & !self.mask.val().get_bit(1)
                {
                    self.is_broadcast.d.next = true;
                }
            } else if self.from.q.val() == 0 {
                self.from.d.next = self.addr.val();
            }
        }
        if self.start.val() {
            self.pick.d.next = 0.into();
            self.picks.d.next = true;
            self.is_own.d.next = false;
            self.is_onlink.d.next = false;
            self.is_broadcast.d.next = false;
            self.from.d.next = 0.into();
        }
        if self.reset.val() {
            self.picks.d.next = false;
            self.live.d.next = false;
            self.finished.d.next = false;
        }
    }
}
