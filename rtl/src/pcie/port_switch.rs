//! Two ports behind one function: TLPs from the host go to the port that they are for, those of both ports to the host.
use super::ports::{TlpSink, TlpSource};
use ferrule_abi::{BAR_MSIX, BAR_REGS, BAR_REGS_SIZE, MSIX_VECTORS};
use rust_hdl::prelude::*;

// Bit 20 of a register's address is its port, bit 7 that of an entry in the table.
const _: () = assert!(BAR_REGS_SIZE == 1 << 20 && MSIX_VECTORS == 8);

/// Between the PCIe block and two NIC cores, which know nothing of each other.
///
/// Port p's registers are at p MiB in BAR0, its vectors are 8p to 8p+7 in the MSI-X table; the pending bits are port 0's to tell, which sees those of port 1
/// ([`crate::pcie::msix::Msix`]). Reads by port 1 go with bit 3 of their tag set (a core uses 3), by which their completions find it; within the 5 bits of a
/// function without extended tags (PCIe 2.1 section 2.2.6.2). What is no request for a register of a port is port 0's to refuse and count.
///
/// A request for one port waits until the other has done what it was asked before: what has been written to the function takes effect in its order, as
/// section 2.4 has it of one function, and a mask that was set in one port's half of the table holds when a read of the other half is answered.
#[derive(LogicBlock)]
pub struct PortSwitch {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset: what is in it is lost.
    pub reset: Signal<In, Bit>,
    /// TLPs from the host.
    pub from_host: TlpSink,
    /// TLPs to the host.
    pub to_host: TlpSource,
    /// TLPs to each port.
    pub to_port: [TlpSource; 2],
    /// TLPs of each port.
    pub from_port: [TlpSink; 2],
    /// The port works on a TLP from the host.
    pub answering: [Signal<In, Bit>; 2],
    /// A beat from the host is held; where the first one of a TLP goes shows in the second.
    held: DFF<Bit>,
    d0: DFF<Bits<32>>,
    d1: DFF<Bits<32>>,
    half: DFF<Bit>,
    last: DFF<Bit>,
    bar: DFF<Bits<3>>,
    /// The held beat is the first of its TLP.
    first: DFF<Bit>,
    /// The TLP whose first beat has gone is port 1's.
    chosen: DFF<Bit>,
    /// Port 1 sends to the host.
    turn: DFF<Bit>,
    /// The next beat to the host is not the first of its TLP.
    sends: DFF<Bit>,
    address: Signal<Local, Bits<32>>,
    is_request: Signal<Local, Bit>,
    is_completion: Signal<Local, Bit>,
    for_vector: Signal<Local, Bit>,
    for_second: Signal<Local, Bit>,
    goes_second: Signal<Local, Bit>,
    waits: Signal<Local, Bit>,
    shows: Signal<Local, Bit>,
    goes: Signal<Local, Bit>,
    offers: Signal<Local, Bit>,
    ends: Signal<Local, Bit>,
    leaves: Signal<Local, Bit>,
    bar_regs: Constant<Bits<3>>,
    bar_msix: Constant<Bits<3>>,
}

impl Default for PortSwitch {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            from_host: Default::default(),
            to_host: Default::default(),
            to_port: Default::default(),
            from_port: Default::default(),
            answering: Default::default(),
            held: Default::default(),
            d0: Default::default(),
            d1: Default::default(),
            half: Default::default(),
            last: Default::default(),
            bar: Default::default(),
            first: Default::default(),
            chosen: Default::default(),
            turn: Default::default(),
            sends: Default::default(),
            address: Default::default(),
            is_request: Default::default(),
            is_completion: Default::default(),
            for_vector: Default::default(),
            for_second: Default::default(),
            goes_second: Default::default(),
            waits: Default::default(),
            shows: Default::default(),
            goes: Default::default(),
            offers: Default::default(),
            ends: Default::default(),
            leaves: Default::default(),
            bar_regs: Constant::new(u64::from(BAR_REGS).into()),
            bar_msix: Constant::new(u64::from(BAR_MSIX).into()),
        }
    }
}

impl Logic for PortSwitch {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, held, d0, d1, half, last, bar, first, chosen, turn, sends);
        // The first beat is held, the second comes: what the TLP is and whose.
        self.is_request.next = (self.d0.q.val() & 0x9F00_0000_u64) == 0;
        self.is_completion.next = (self.d0.q.val() & 0xBF00_0000_u64) == 0x0A00_0000;
        self.address.next = self.from_host.d0.val();
        if self.d0.q.val().get_bit(29) {
            self.address.next = self.from_host.d1.val();
        }
        // Entries 8 to 15 of the table, 16 bytes each.
        self.for_vector.next = self.is_request.val()
            & (self.bar.q.val() == self.bar_msix.val())
            & ((self.address.val() & 0xF80) == 0x80);
        self.for_second.next = self.for_vector.val()
            | (self.is_request.val()
                & (self.bar.q.val() == self.bar_regs.val())
                & self.address.val().get_bit(20))
            | (self.is_completion.val() & self.from_host.d0.val().get_bit(11));
        if self.last.q.val() {
            self.for_second.next = false;
        }
        self.goes_second.next = self.chosen.q.val();
        self.waits.next = false;
        self.shows.next = self.held.q.val();
        if self.first.q.val() {
            self.goes_second.next = self.for_second.val();
            self.waits.next = self.answering[1].val();
            if self.for_second.val() {
                self.waits.next = self.answering[0].val();
            }
            if self.is_completion.val() {
                self.waits.next = false;
            }
            self.shows.next = self.held.q.val()
                & (self.last.q.val() | self.from_host.valid.val())
                & !self.waits.val();
        }
        self.to_port[0].valid.next = self.shows.val() & !self.goes_second.val();
        self.to_port[1].valid.next = self.shows.val() & self.goes_second.val();
        for i in 0..2 {
            self.to_port[i].d0.next = self.d0.q.val();
            self.to_port[i].d1.next = self.d1.q.val();
            self.to_port[i].half.next = self.half.q.val();
            self.to_port[i].last.next = self.last.q.val();
            self.to_port[i].bar.next = self.bar.q.val();
        }
        self.goes.next = self.shows.val() & self.to_port[0].ready.val();
        if self.goes_second.val() {
            self.goes.next = self.shows.val() & self.to_port[1].ready.val();
        }
        self.from_host.ready.next = !self.held.q.val() | self.goes.val();
        if self.goes.val() {
            self.held.d.next = false;
            self.chosen.d.next = self.goes_second.val();
        }
        if self.from_host.valid.val() & (!self.held.q.val() | self.goes.val()) {
            self.held.d.next = true;
            self.d0.d.next = self.from_host.d0.val();
            self.d1.d.next = self.from_host.d1.val();
            self.half.d.next = self.from_host.half.val();
            self.last.d.next = self.from_host.last.val();
            self.bar.d.next = self.from_host.bar.val();
            self.first.d.next = self.last.q.val();
            // A second beat comes while the first goes: what only this function's host knows is taken out of it.
            if self.first.q.val() & self.for_second.val() {
                if self.is_completion.val() {
                    self.d0.d.next = self.from_host.d0.val() & 0xFFFF_F7FF_u64;
                } else if self.for_vector.val() {
                    if self.d0.q.val().get_bit(29) {
                        self.d1.d.next = self.from_host.d1.val() & 0xFFFF_FF7F_u64;
                    } else {
                        self.d0.d.next = self.from_host.d0.val() & 0xFFFF_FF7F_u64;
                    }
                }
            }
        }

        // One TLP after the other, in turn where both have one.
        for i in 0..2 {
            self.from_port[i].ready.next = false;
        }
        self.to_host.bar.next = 0.into();
        self.to_host.d0.next = self.from_port[0].d0.val();
        self.to_host.d1.next = self.from_port[0].d1.val();
        self.to_host.half.next = self.from_port[0].half.val();
        self.ends.next = self.from_port[0].last.val();
        self.offers.next = self.from_port[0].valid.val();
        if self.turn.q.val() {
            self.to_host.d0.next = self.from_port[1].d0.val();
            self.to_host.d1.next = self.from_port[1].d1.val();
            // DW1 of a memory read.
            if !self.sends.q.val() & ((self.from_port[1].d0.val() & 0xDF00_0000_u64) == 0) {
                self.to_host.d1.next = self.from_port[1].d1.val() | 0x800;
            }
            self.to_host.half.next = self.from_port[1].half.val();
            self.ends.next = self.from_port[1].last.val();
            self.offers.next = self.from_port[1].valid.val();
            self.from_port[1].ready.next = self.to_host.ready.val();
        } else {
            self.from_port[0].ready.next = self.to_host.ready.val();
        }
        self.to_host.last.next = self.ends.val();
        self.to_host.valid.next = self.offers.val();
        self.leaves.next = self.offers.val() & self.to_host.ready.val();
        if self.leaves.val() {
            self.sends.d.next = !self.ends.val();
        }
        if (self.leaves.val() & self.ends.val()) | (!self.offers.val() & !self.sends.q.val()) {
            if self.turn.q.val() {
                self.turn.d.next = !self.from_port[0].valid.val();
            } else {
                self.turn.d.next = self.from_port[1].valid.val();
            }
        }
        if self.reset.val() {
            self.held.d.next = false;
            self.last.d.next = true;
            self.turn.d.next = false;
            self.sends.d.next = false;
        }
    }
}
