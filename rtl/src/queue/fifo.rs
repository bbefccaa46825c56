//! A first-in first-out list of sixteen 32-bit words.
use rust_hdl::prelude::*;

/// Sixteen words in a RAM; the oldest one is shown at the output.
#[derive(LogicBlock, Default)]
pub struct Fifo {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset: empties the list.
    pub reset: Signal<In, Bit>,
    /// Word to append.
    pub word: Signal<In, Bits<32>>,
    /// Append `word`; only while `full` is low.
    pub push: Signal<In, Bit>,
    /// There is no room.
    pub full: Signal<Out, Bit>,
    /// Oldest word.
    pub front: Signal<Out, Bits<32>>,
    /// `front` is there.
    pub valid: Signal<Out, Bit>,
    /// Remove `front`; only while `valid` is high.
    pub pop: Signal<In, Bit>,
    /// How many words are in the list, shown or not.
    pub count: Signal<Out, Bits<5>>,
    ram: RAM<Bits<32>, 4>,
    wr: DFF<Bits<5>>,
    rd: DFF<Bits<5>>,
    shown: DFF<Bit>,
    used: Signal<Local, Bits<5>>,
    rd_next: Signal<Local, Bits<5>>,
}

impl Logic for Fifo {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, wr, rd, shown);
        self.ram.read_clock.next = self.clock.val();
        self.ram.write_clock.next = self.clock.val();
        self.ram.write_address.next = bit_cast::<4, 5>(self.wr.q.val());
        self.ram.write_data.next = self.word.val();
        self.ram.write_enable.next = self.push.val();
        self.front.next = self.ram.read_data.val();
        self.valid.next = self.shown.q.val();
        self.used.next = self.wr.q.val() - self.rd.q.val();
        self.count.next = self.used.val();
        self.full.next = self.used.val().get_bit(4);
        self.rd_next.next = self.rd.q.val();
        if self.pop.val() {
            self.rd_next.next = self.rd.q.val() + 1;
        }
        self.ram.read_address.next = bit_cast::<4, 5>(self.rd_next.val());
        self.rd.d.next = self.rd_next.val();
        // The RAM shows old contents: a word can be read from the cycle after its write on.
        self.shown.d.next = self.rd_next.val() != self.wr.q.val();
        if self.push.val() {
            self.wr.d.next = self.wr.q.val() + 1;
        }
        if self.reset.val() {
            self.wr.d.next = 0.into();
            self.rd.d.next = 0.into();
            self.shown.d.next = false;
        }
    }
}
