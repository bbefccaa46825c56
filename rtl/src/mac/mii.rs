//! MII receive side: nibbles to bytes, aligned at the SFD.
use rust_hdl::prelude::*;

/// Gives the receiver a byte at a time, of GMII in every clock, of MII (IEEE 802.3 clause 22.2.3) in every second one, the first nibble in bits 3:0.
///
/// Before the SFD the last two nibbles are shown in every clock, so that it is found wherever it starts. A nibble left over at the end of the frame
/// is dropped (clause 4.2.4.2.1: the frame is cut at the last whole byte, and its FCS decides).
#[derive(LogicBlock, Default)]
pub struct MiiRx {
    /// GMII or MII RX_CLK.
    pub clock: Signal<In, Clock>,
    /// MII instead of GMII. Takes effect between carriers.
    pub nibbles: Signal<In, Bit>,
    /// RXD; of MII in bits 3:0.
    pub rxd: Signal<In, Bits<8>>,
    /// RX_DV.
    pub rx_dv: Signal<In, Bit>,
    /// RX_ER.
    pub rx_er: Signal<In, Bit>,
    /// The receiver is between SFD and the end of a frame.
    pub in_frame: Signal<In, Bit>,
    /// The receiver is within a carrier.
    pub in_carrier: Signal<In, Bit>,
    /// The receiver is to look at what follows.
    pub strobe: Signal<Out, Bit>,
    /// The byte.
    pub data: Signal<Out, Bits<8>>,
    /// It is there.
    pub valid: Signal<Out, Bit>,
    /// RX_ER came with it.
    pub error: Signal<Out, Bit>,
    /// `nibbles`, in effect.
    pub by_nibbles: Signal<Out, Bit>,
    mode: DFF<Bit>,
    /// The nibble of the clock before, and its RX_DV and RX_ER.
    first: DFF<Bits<4>>,
    first_valid: DFF<Bit>,
    first_error: DFF<Bit>,
    /// A byte's second nibble comes.
    half: DFF<Bit>,
    nibble: Signal<Local, Bits<4>>,
    there: Signal<Local, Bit>,
}

impl Logic for MiiRx {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, mode, first, first_valid, first_error, half);
        self.by_nibbles.next = self.mode.q.val();
        self.nibble.next = bit_cast::<4, 8>(self.rxd.val());
        self.first.d.next = self.nibble.val();
        self.first_valid.d.next = self.rx_dv.val();
        self.first_error.d.next = self.rx_er.val();
        self.half.d.next = self.in_frame.val() & !self.half.q.val();
        if self.mode.q.val() {
            self.data.next =
                (bit_cast::<8, 4>(self.nibble.val()) << 4) | bit_cast::<8, 4>(self.first.q.val());
            self.there.next = self.rx_dv.val() & self.first_valid.q.val();
            self.error.next = self.rx_er.val() | self.first_error.q.val();
        } else {
            self.data.next = self.rxd.val();
            self.there.next = self.rx_dv.val();
            self.error.next = self.rx_er.val();
        }
        self.valid.next = self.there.val();
        self.strobe.next =
            !self.mode.q.val() | !self.in_frame.val() | self.half.q.val() | !self.there.val();
        // With no carrier now, neither its last nibble nor its first one is taken for what it is not.
        if !self.in_carrier.val() & !self.rx_dv.val() {
            self.mode.d.next = self.nibbles.val();
        }
    }
}
