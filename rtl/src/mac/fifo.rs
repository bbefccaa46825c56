//! Clock crossing of a word stream: a FIFO of 16 words with gray pointers and registered flags.
use super::sync::Sync;
use super::word::*;
use rust_hdl::prelude::*;

/// The words of the FIFO: written with a clock, read without one, as the distributed RAM of an FPGA is.
#[derive(LogicBlock, Default)]
pub struct WordRam {
    /// Clock of the write port.
    pub clock: Signal<In, Clock>,
    /// Write.
    pub write: Signal<In, Bit>,
    /// Where to write.
    pub write_address: Signal<In, Bits<4>>,
    /// Written: [`WordSource::data`].
    pub write_data: Signal<In, Bits<32>>,
    /// Written: [`WordSource::last`].
    pub write_last: Signal<In, Bit>,
    /// Written: [`WordSource::count`].
    pub write_count: Signal<In, Bits<2>>,
    /// Written: [`WordSource::bad`].
    pub write_bad: Signal<In, Bits<4>>,
    /// Where to read.
    pub read_address: Signal<In, Bits<4>>,
    /// Read: [`WordSource::data`].
    pub read_data: Signal<Out, Bits<32>>,
    /// Read: [`WordSource::last`].
    pub read_last: Signal<Out, Bit>,
    /// Read: [`WordSource::count`].
    pub read_count: Signal<Out, Bits<2>>,
    /// Read: [`WordSource::bad`].
    pub read_bad: Signal<Out, Bits<4>>,
    _words: [(Bits<32>, bool, Bits<2>, Bits<4>); 16],
}

impl Logic for WordRam {
    fn update(&mut self) {
        if self.clock.pos_edge() && self.write.val() {
            self._words[self.write_address.val().index()] = (
                self.write_data.val(),
                self.write_last.val(),
                self.write_count.val(),
                self.write_bad.val(),
            );
        }
        let (data, last, count, bad) = self._words[self.read_address.val().index()];
        self.read_data.next = data;
        self.read_last.next = last;
        self.read_count.next = count;
        self.read_bad.next = bad;
    }

    fn connect(&mut self) {
        self.read_data.connect();
        self.read_last.connect();
        self.read_count.connect();
        self.read_bad.connect();
    }

    // A cell of its own because rust-hdl has no memory that is read without a clock.
    fn hdl(&self) -> Verilog {
        Verilog::Wrapper(Wrapper {
            code: "(* ram_style = \"distributed\" *) reg [38:0] words [0:15];\n\
                   always @(posedge clock)\n   \
                   if (write) words[write_address] <= {write_bad, write_count, write_last, write_data};\n\
                   assign {read_bad, read_count, read_last, read_data} = words[read_address];\n"
                .into(),
            cores: String::new(),
        })
    }
}

/// Carries words from the domain of `write_clock` to that of `read_clock`; any ratio of frequencies.
///
/// Only gray-coded pointers out of flip-flops cross. Both flags are registered and err on the safe side. Both resets must overlap.
#[derive(LogicBlock, Default)]
pub struct AsyncFifo {
    /// Clock of `s`.
    pub write_clock: Signal<In, Clock>,
    /// Reset of that domain.
    pub write_reset: Signal<In, Bit>,
    /// Clock of `m`.
    pub read_clock: Signal<In, Clock>,
    /// Reset of that domain.
    pub read_reset: Signal<In, Bit>,
    /// Words in.
    pub s: WordSink,
    /// Words out.
    pub m: WordSource,
    /// Holds a word, or the two sides do not yet know of each other's last move. For a simulator: it looks into both domains.
    pub busy: Signal<Out, Bit>,
    ram: WordRam,
    write_at: DFF<Bits<5>>,
    write_gray: DFF<Bits<5>>,
    full: DFF<Bit>,
    read_seen: Sync<5>,
    read_at: DFF<Bits<5>>,
    read_gray: DFF<Bits<5>>,
    valid: DFF<Bit>,
    write_seen: Sync<5>,
    write_after: Signal<Local, Bits<5>>,
    write_gray_after: Signal<Local, Bits<5>>,
    read_after: Signal<Local, Bits<5>>,
    read_gray_after: Signal<Local, Bits<5>>,
}

impl Logic for AsyncFifo {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, write_clock, write_at, write_gray, full);
        self.ram.clock.next = self.write_clock.val();
        self.read_seen.clock.next = self.write_clock.val();
        self.read_seen.d.next = self.read_gray.q.val();
        self.ram.write.next = false;
        self.ram.write_address.next = bit_cast::<4, 5>(self.write_at.q.val());
        self.ram.write_data.next = self.s.data.val();
        self.ram.write_last.next = self.s.last.val();
        self.ram.write_count.next = self.s.count.val();
        self.ram.write_bad.next = self.s.bad.val();
        self.s.ready.next = !self.full.q.val();
        self.write_after.next = self.write_at.q.val() + 1;
        self.write_gray_after.next = self.write_gray.q.val();
        if self.s.valid.val() & !self.full.q.val() {
            self.ram.write.next = true;
            self.write_at.d.next = self.write_after.val();
            self.write_gray_after.next = self.write_after.val() ^ (self.write_after.val() >> 1);
        }
        self.write_gray.d.next = self.write_gray_after.val();
        // Sixteen words ahead: in gray code the two upper bits differ and the others are the same.
        self.full.d.next = self.write_gray_after.val() == (self.read_seen.q.val() ^ 0x18);
        if self.write_reset.val() {
            self.write_at.d.next = 0.into();
            self.write_gray.d.next = 0.into();
            self.full.d.next = false;
        }

        dff_setup!(self, read_clock, read_at, read_gray, valid);
        self.write_seen.clock.next = self.read_clock.val();
        self.write_seen.d.next = self.write_gray.q.val();
        self.ram.read_address.next = bit_cast::<4, 5>(self.read_at.q.val());
        self.m.data.next = self.ram.read_data.val();
        self.m.last.next = self.ram.read_last.val();
        self.m.count.next = self.ram.read_count.val();
        self.m.bad.next = self.ram.read_bad.val();
        self.m.valid.next = self.valid.q.val();
        self.read_after.next = self.read_at.q.val() + 1;
        self.read_gray_after.next = self.read_gray.q.val();
        if self.valid.q.val() & self.m.ready.val() {
            self.read_at.d.next = self.read_after.val();
            self.read_gray_after.next = self.read_after.val() ^ (self.read_after.val() >> 1);
        }
        self.read_gray.d.next = self.read_gray_after.val();
        self.valid.d.next = self.read_gray_after.val() != self.write_seen.q.val();
        if self.read_reset.val() {
            self.read_at.d.next = 0.into();
            self.read_gray.d.next = 0.into();
            self.valid.d.next = false;
        }

        self.busy.next = (self.write_gray.q.val() != self.read_gray.q.val())
            | (self.write_seen.q.val() != self.write_gray.q.val())
            | (self.read_seen.q.val() != self.read_gray.q.val())
            | self.valid.q.val()
            | self.full.q.val();
    }
}
