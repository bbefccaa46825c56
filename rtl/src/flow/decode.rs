//! PAUSE frames (IEEE 802.3 annex 31B) picked out of the stream of beats.
use rust_hdl::prelude::*;

/// Tells a PAUSE frame, to the group address for it or to the own one, and its pause time while the frame goes by.
#[derive(LogicBlock)]
pub struct PauseDecode {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// The frame goes to this station's own address; steady from its second beat on.
    pub own: Signal<In, Bit>,
    /// Bytes 0 to 3 of the beat.
    pub d0: Signal<In, Bits<32>>,
    /// Bytes 4 to 7.
    pub d1: Signal<In, Bits<32>>,
    /// Number of the beat in its frame, from 0.
    pub beat: Signal<In, Bits<11>>,
    /// The beat is there.
    pub valid: Signal<In, Bit>,
    /// The frame seen last is one; steady from its beat 2 on.
    pub is_pause: Signal<Out, Bit>,
    /// For how long the sender of frames is to be silent, in pause quanta of 512 bit times.
    pub quanta: Signal<Out, Bits<16>>,
    ok: DFF<Bit>,
    asked: DFF<Bits<16>>,
    high: Signal<Local, Bits<16>>,
    /// The group address 01-80-C2-00-00-01 as it lies in the words.
    group_lo: Constant<Bits<32>>,
    group_hi: Constant<Bits<16>>,
    /// EtherType 0x8808 and opcode 1.
    type_word: Constant<Bits<32>>,
}

impl Default for PauseDecode {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            own: Default::default(),
            d0: Default::default(),
            d1: Default::default(),
            beat: Default::default(),
            valid: Default::default(),
            is_pause: Default::default(),
            quanta: Default::default(),
            ok: Default::default(),
            asked: Default::default(),
            high: Default::default(),
            group_lo: Constant::new(0x00C2_8001.into()),
            group_hi: Constant::new(0x0100.into()),
            type_word: Constant::new(0x0100_0888.into()),
        }
    }
}

impl Logic for PauseDecode {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, ok, asked);
        self.is_pause.next = self.ok.q.val();
        self.quanta.next = self.asked.q.val();
        self.high.next = self.d1.val().get_bits::<16>(0);
        if self.valid.val() {
            if self.beat.val() == 0 {
                self.ok.d.next = (self.d0.val() == self.group_lo.val())
                    & (self.high.val() == self.group_hi.val());
            }
            if self.beat.val() == 1 {
                self.ok.d.next =
                    (self.ok.q.val() | self.own.val()) & (self.d1.val() == self.type_word.val());
            }
            if self.beat.val() == 2 {
                self.asked.d.next = (bit_cast::<16, 8>(self.d0.val().get_bits::<8>(0)) << 8)
                    | bit_cast::<16, 8>(self.d0.val().get_bits::<8>(8));
            }
        }
    }
}
