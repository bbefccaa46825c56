//! Queue of events for the host, fifteen deep, so that a host that is slow to read them holds up nothing.
#![allow(missing_docs, reason = "LogicBlock derives methods without docs")]
use super::ports::NeighEventSource;
use rust_hdl::prelude::*;

/// Events that wait for the event queue. Nothing is pushed without `room`.
#[derive(LogicBlock, Default)]
pub struct Outbox {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// High for one cycle: put in an event.
    pub push: Signal<In, Bit>,
    /// With `push`: NEIGH_FAILED; otherwise NEIGH_RESOLVED.
    pub failed: Signal<In, Bit>,
    /// With `push`: ADDRESS_CONFLICT; only while not `conflict_waits`, since there is one place for its MAC address.
    pub conflict: Signal<In, Bit>,
    /// With `conflict`: the MAC address, bytes 0 to 3.
    pub mac_lo: Signal<In, Bits<32>>,
    /// With `conflict`: bytes 4 and 5.
    pub mac_hi: Signal<In, Bits<16>>,
    /// An ADDRESS_CONFLICT waits.
    pub conflict_waits: Signal<Out, Bit>,
    /// With `push`: whose.
    pub address: Signal<In, Bits<32>>,
    /// One more fits in. Low in the cycle after a push.
    pub room: Signal<Out, Bit>,
    /// While high, no further event is offered.
    pub hold: Signal<In, Bit>,
    /// To the event queue.
    pub source: NeighEventSource,
    /// Events wait.
    pub busy: Signal<Out, Bit>,
    head: DFF<Bits<4>>,
    tail: DFF<Bits<4>>,
    loaded: DFF<Bit>,
    has_room: DFF<Bit>,
    tail_next: Signal<Local, Bits<4>>,
    conflict_in: DFF<Bit>,
    lo: DFF<Bits<32>>,
    hi: DFF<Bits<16>>,
    failed_ram: RAM<Bit, 4>,
    conflict_ram: RAM<Bit, 4>,
    address_ram: RAM<Bits<32>, 4>,
}

impl Logic for Outbox {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            head,
            tail,
            loaded,
            has_room,
            conflict_in,
            lo,
            hi
        );
        self.conflict_ram.read_clock.next = self.clock.val();
        self.conflict_ram.write_clock.next = self.clock.val();
        self.conflict_ram.read_address.next = self.head.q.val();
        self.conflict_ram.write_address.next = self.tail.q.val();
        self.conflict_ram.write_data.next = self.conflict.val();
        self.conflict_ram.write_enable.next = self.push.val();
        self.conflict_waits.next = self.conflict_in.q.val();
        self.source.conflict.next = self.conflict_ram.read_data.val();
        self.source.mac_lo.next = self.lo.q.val();
        self.source.mac_hi.next = self.hi.q.val();
        self.failed_ram.read_clock.next = self.clock.val();
        self.failed_ram.write_clock.next = self.clock.val();
        self.address_ram.read_clock.next = self.clock.val();
        self.address_ram.write_clock.next = self.clock.val();
        self.failed_ram.read_address.next = self.head.q.val();
        self.address_ram.read_address.next = self.head.q.val();
        self.failed_ram.write_address.next = self.tail.q.val();
        self.address_ram.write_address.next = self.tail.q.val();
        self.failed_ram.write_data.next = self.failed.val();
        self.address_ram.write_data.next = self.address.val();
        self.failed_ram.write_enable.next = self.push.val();
        self.address_ram.write_enable.next = self.push.val();

        self.source.valid.next = self.loaded.q.val();
        self.source.failed.next = self.failed_ram.read_data.val();
        self.source.address.next = self.address_ram.read_data.val();
        self.busy.next = self.head.q.val() != self.tail.q.val();
        self.tail_next.next = self.tail.q.val() + 1;
        self.room.next = self.has_room.q.val();
        self.has_room.d.next = (self.tail_next.val() != self.head.q.val()) & !self.push.val();

        if self.push.val() {
            self.tail.d.next = self.tail_next.val();
            if self.conflict.val() {
                self.conflict_in.d.next = true;
                self.lo.d.next = self.mac_lo.val();
                self.hi.d.next = self.mac_hi.val();
            }
        }
        // The memories answer a cycle after `head` has moved; an event once offered stays.
        if (self.head.q.val() != self.tail.q.val()) & !self.hold.val() {
            self.loaded.d.next = true;
        }
        if self.loaded.q.val() & self.source.ready.val() {
            self.head.d.next = self.head.q.val() + 1;
            self.loaded.d.next = false;
            if self.conflict_ram.read_data.val() {
                self.conflict_in.d.next = false;
            }
        }
        if self.reset.val() {
            self.head.d.next = 0.into();
            self.tail.d.next = 0.into();
            self.loaded.d.next = false;
            self.has_room.d.next = false;
            self.conflict_in.d.next = false;
        }
    }
}
