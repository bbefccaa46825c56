//! TLPs of the core into the stream to the host, which is kept until it is acknowledged: 8 KiB.
use crate::pcie::ports::TlpSink;
use rust_hdl::prelude::*;

/// Writes a DW a clock; a beat takes as many clocks as it has DWs.
#[derive(LogicBlock, Default)]
pub struct Packer {
    /// The clock.
    pub clock: Signal<In, Clock>,
    /// Its reset: the stream begins anew.
    pub reset: Signal<In, Bit>,
    /// From the core.
    pub tlp: TlpSink,
    /// The position up to which the host has acknowledged.
    pub acknowledged: Signal<In, Bits<12>>,
    /// The position that is written next.
    pub written: Signal<Out, Bits<12>>,
    /// Place to read.
    pub place: Signal<In, Bits<11>>,
    /// What is there, in the next clock.
    pub word: Signal<Out, Bits<32>>,
    ram: RAM<Bits<32>, 11>,
    at: DFF<Bits<12>>,
    /// The second DW of the beat is to be written.
    second: DFF<Bit>,
    used: Signal<Local, Bits<12>>,
    full: Signal<Local, Bit>,
    /// The DW to be written is the beat's last.
    ends: Signal<Local, Bit>,
}

impl Logic for Packer {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, at, second);
        self.ram.read_clock.next = self.clock.val();
        self.ram.write_clock.next = self.clock.val();
        self.ram.read_address.next = self.place.val();
        self.word.next = self.ram.read_data.val();
        self.written.next = self.at.q.val();
        // With 16 places to spare: positions must not be 2,048 apart.
        self.used.next = self.at.q.val() - self.acknowledged.val();
        self.full.next = self.used.val().get_bits::<7>(4) == 0x7F;
        self.ends.next = self.second.q.val() | (self.tlp.half.val() & self.tlp.last.val());
        self.ram.write_address.next = bit_cast::<11, 12>(self.at.q.val());
        self.ram.write_data.next = self.tlp.d0.val();
        if self.second.q.val() {
            self.ram.write_data.next = self.tlp.d1.val();
        }
        self.ram.write_enable.next = self.tlp.valid.val() & !self.full.val();
        self.tlp.ready.next = self.ends.val() & !self.full.val();
        if self.tlp.valid.val() & !self.full.val() {
            self.at.d.next = self.at.q.val() + 1;
            self.second.d.next = !self.ends.val();
        }
        if self.reset.val() {
            self.at.d.next = 0.into();
            self.second.d.next = false;
        }
    }
}
