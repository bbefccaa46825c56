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
    /// Local addresses; 0.0.0.0 is unused.
    pub local_addr: [Signal<In, Bits<32>>; 8],
    /// Their masks, contiguous ones from bit 31.
    pub local_mask: [Signal<In, Bits<32>>; 8],
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
    pick: DFF<Bits<8>>,
    live: DFF<Bit>,
    finished: DFF<Bit>,
    addr: DFF<Bits<32>>,
    mask: DFF<Bits<32>>,
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
            local_addr: array_init::array_init(|_| Default::default()),
            local_mask: array_init::array_init(|_| Default::default()),
            ip: Default::default(),
            start: Default::default(),
            done: Default::default(),
            own: Default::default(),
            onlink: Default::default(),
            broadcast: Default::default(),
            source: Default::default(),
            busy: Default::default(),
            pick: Default::default(),
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
            live,
            finished,
            addr,
            mask,
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
        self.busy.next = self.pick.q.val().any() | self.live.q.val() | self.finished.q.val();
        self.live.d.next = false;
        self.finished.d.next = self.live.q.val() & !self.pick.q.val().any();

        // First stage: `pick` is one-hot and selects the address.
        if self.pick.q.val().any() {
            self.pick.d.next = self.pick.q.val() << 1;
            self.live.d.next = true;
            for i in 0..8 {
                if self.pick.q.val().get_bit(i) {
                    self.addr.d.next = self.local_addr[i].val();
                    self.mask.d.next = self.local_mask[i].val();
                }
            }
        }
        // Second stage: compare.
        if self.live.q.val() & (self.addr.q.val() != 0) {
            if self.addr.q.val() == self.ip.val() {
                self.is_own.d.next = true;
            }
            if ((self.addr.q.val() ^ self.ip.val()) & self.mask.q.val()) == 0 {
                self.is_onlink.d.next = true;
                if !self.is_onlink.q.val() {
                    self.from.d.next = self.addr.q.val();
                }
                // Bit 1 of the mask is clear when two or more bits are left for hosts.
                if ((self.ip.val() | self.mask.q.val()) == self.ones.val())
                    & !self.mask.q.val().get_bit(1)
                {
                    self.is_broadcast.d.next = true;
                }
            } else if self.from.q.val() == 0 {
                self.from.d.next = self.addr.q.val();
            }
        }
        if self.start.val() {
            self.pick.d.next = 1.into();
            self.is_own.d.next = false;
            self.is_onlink.d.next = false;
            self.is_broadcast.d.next = false;
            self.from.d.next = 0.into();
        }
        if self.reset.val() {
            self.pick.d.next = 0.into();
            self.live.d.next = false;
            self.finished.d.next = false;
        }
    }
}
