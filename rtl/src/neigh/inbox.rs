//! Queue of received ARP packets, seven deep; what does not fit is lost, as ARP packets may be.
#![allow(missing_docs, reason = "LogicBlock derives methods without docs")]
use crate::rx::ports::ArpPacketSink;
use rust_hdl::prelude::*;

/// ARP packets that wait for the cache. Operations other than request and reply are left out.
#[derive(LogicBlock, Default)]
pub struct Inbox {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// From the receive path.
    pub arp: ArpPacketSink,
    /// A packet is there.
    pub valid: Signal<Out, Bit>,
    /// It is a request; otherwise a reply.
    pub is_request: Signal<Out, Bit>,
    /// Sender hardware address, bytes 0 to 3.
    pub sha_lo: Signal<Out, Bits<32>>,
    /// Sender hardware address, bytes 4 and 5.
    pub sha_hi: Signal<Out, Bits<16>>,
    /// Sender protocol address.
    pub spa: Signal<Out, Bits<32>>,
    /// Target protocol address.
    pub tpa: Signal<Out, Bits<32>>,
    /// High for one cycle while `valid`: done with it.
    pub take: Signal<In, Bit>,
    /// Something waits or arrives.
    pub busy: Signal<Out, Bit>,
    head: DFF<Bits<3>>,
    tail: DFF<Bits<3>>,
    loaded: DFF<Bit>,
    tail_next: Signal<Local, Bits<3>>,
    request_ram: RAM<Bit, 3>,
    lo_ram: RAM<Bits<32>, 3>,
    hi_ram: RAM<Bits<16>, 3>,
    spa_ram: RAM<Bits<32>, 3>,
    tpa_ram: RAM<Bits<32>, 3>,
}

impl Logic for Inbox {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, head, tail, loaded);
        self.request_ram.read_clock.next = self.clock.val();
        self.request_ram.write_clock.next = self.clock.val();
        self.lo_ram.read_clock.next = self.clock.val();
        self.lo_ram.write_clock.next = self.clock.val();
        self.hi_ram.read_clock.next = self.clock.val();
        self.hi_ram.write_clock.next = self.clock.val();
        self.spa_ram.read_clock.next = self.clock.val();
        self.spa_ram.write_clock.next = self.clock.val();
        self.tpa_ram.read_clock.next = self.clock.val();
        self.tpa_ram.write_clock.next = self.clock.val();
        self.request_ram.read_address.next = self.head.q.val();
        self.lo_ram.read_address.next = self.head.q.val();
        self.hi_ram.read_address.next = self.head.q.val();
        self.spa_ram.read_address.next = self.head.q.val();
        self.tpa_ram.read_address.next = self.head.q.val();
        self.request_ram.write_address.next = self.tail.q.val();
        self.lo_ram.write_address.next = self.tail.q.val();
        self.hi_ram.write_address.next = self.tail.q.val();
        self.spa_ram.write_address.next = self.tail.q.val();
        self.tpa_ram.write_address.next = self.tail.q.val();
        self.request_ram.write_data.next = self.arp.op.val() == 1;
        self.lo_ram.write_data.next = self.arp.sha_lo.val();
        self.hi_ram.write_data.next = self.arp.sha_hi.val();
        self.spa_ram.write_data.next = self.arp.spa.val();
        self.tpa_ram.write_data.next = self.arp.tpa.val();
        self.request_ram.write_enable.next = false;
        self.lo_ram.write_enable.next = false;
        self.hi_ram.write_enable.next = false;
        self.spa_ram.write_enable.next = false;
        self.tpa_ram.write_enable.next = false;

        self.valid.next = self.loaded.q.val();
        self.is_request.next = self.request_ram.read_data.val();
        self.sha_lo.next = self.lo_ram.read_data.val();
        self.sha_hi.next = self.hi_ram.read_data.val();
        self.spa.next = self.spa_ram.read_data.val();
        self.tpa.next = self.tpa_ram.read_data.val();
        self.busy.next = (self.head.q.val() != self.tail.q.val()) | self.arp.valid.val();
        self.tail_next.next = self.tail.q.val() + 1;

        if self.arp.valid.val()
            & ((self.arp.op.val() == 1) | (self.arp.op.val() == 2))
            & (self.tail_next.val() != self.head.q.val())
        {
            self.request_ram.write_enable.next = true;
            self.lo_ram.write_enable.next = true;
            self.hi_ram.write_enable.next = true;
            self.spa_ram.write_enable.next = true;
            self.tpa_ram.write_enable.next = true;
            self.tail.d.next = self.tail_next.val();
        }
        // The memories answer a cycle after `head` has moved.
        self.loaded.d.next = self.head.q.val() != self.tail.q.val();
        if self.take.val() {
            self.head.d.next = self.head.q.val() + 1;
            self.loaded.d.next = false;
        }
        if self.reset.val() {
            self.head.d.next = 0.into();
            self.tail.d.next = 0.into();
            self.loaded.d.next = false;
        }
    }
}
