//! GMII and MII transmitter: preamble, padding, FCS, inter-frame gap, words to bytes; all in the transmit clock.
use super::fcs::Fcs;
use super::word::*;
use rust_hdl::prelude::*;

/// What goes onto the wire next.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum TxState {
    /// Nothing; a word starts a frame.
    Idle,
    /// Preamble and SFD.
    Preamble,
    /// Bytes of words.
    Data,
    /// Zeros up to 60 bytes.
    Pad,
    /// Frame check sequence.
    Check,
    /// Words that came too late, thrown away.
    Flush,
    /// Inter-frame gap.
    Gap,
}

/// Puts frames onto the GMII (IEEE 802.3 clauses 4.2.8 and 35.2.2): seven bytes of preamble and the SFD, the frame padded to 60 bytes, its
/// FCS, and a gap of at least 12 byte times, exactly that when the next frame waits. Or onto the MII (clause 22.2.3): a byte in two clocks, bits 3:0
/// first, on `txd` 3:0.
///
/// When words come too late, the frame ends with TX_ER, the rest of it is thrown away, and `underruns` moves on.
#[derive(LogicBlock, Default)]
pub struct MacTx {
    /// GMII GTX_CLK.
    pub clock: Signal<In, Clock>,
    /// Reset of this clock's domain. A frame on the wire is cut off.
    pub reset: Signal<In, Bit>,
    /// MII instead of GMII. Takes effect between frames, in which nothing is lost.
    pub nibbles: Signal<In, Bit>,
    /// The frame's words. Bit 0 of `bad` of the first one marks the frame.
    pub s: WordSink,
    /// GMII TXD.
    pub txd: Signal<Out, Bits<8>>,
    /// GMII TX_EN.
    pub tx_en: Signal<Out, Bit>,
    /// GMII TX_ER.
    pub tx_er: Signal<Out, Bit>,
    /// Changes with each underrun.
    pub underruns: Signal<Out, Bits<1>>,
    /// Changes with the SFD of each marked frame, two clocks before it is at the pins.
    pub marks: Signal<Out, Bits<1>>,
    /// Within a frame or the gap after it.
    pub busy: Signal<Out, Bit>,
    /// `nibbles`, in effect.
    pub by_nibbles: Signal<Out, Bit>,
    fcs: Fcs,
    mode: DFF<Bit>,
    /// Second clock of a byte; stays so while there is nothing to send.
    half: DFF<Bit>,
    /// The last clock of a byte, in which everything moves.
    step: Signal<Local, Bit>,
    state: DFF<TxState>,
    /// Bytes in this state, up to 60.
    count: DFF<Bits<6>>,
    /// Byte within the word.
    phase: DFF<Bits<2>>,
    /// The next byte, and what it is. Between its choice and the pins lies a cycle for the FCS.
    octet: DFF<Bits<8>>,
    is_there: DFF<Bit>,
    is_bad: DFF<Bit>,
    is_covered: DFF<Bit>,
    is_fcs: DFF<Bit>,
    fcs_byte: DFF<Bits<2>>,
    starts: DFF<Bit>,
    data: DFF<Bits<8>>,
    enable: DFF<Bit>,
    error: DFF<Bit>,
    underrun: DFF<Bits<1>>,
    marked: DFF<Bits<1>>,
}

impl Logic for MacTx {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, mode, half, state, count, phase, octet, is_there, is_bad, is_covered,
            is_fcs, fcs_byte, starts, data, enable, error, underrun, marked
        );
        self.txd.next = self.data.q.val();
        self.tx_en.next = self.enable.q.val();
        self.tx_er.next = self.error.q.val();
        self.underruns.next = self.underrun.q.val();
        self.marks.next = self.marked.q.val();
        self.busy.next = self.state.q.val() != TxState::Idle;
        self.by_nibbles.next = self.mode.q.val();
        self.step.next = !self.mode.q.val() | self.half.q.val();
        self.half.d.next = !self.half.q.val();
        self.s.ready.next = false;
        self.fcs.clock.next = self.clock.val();
        self.octet.d.next = 0.into();
        self.is_there.d.next = false;
        self.is_bad.d.next = false;
        self.is_covered.d.next = false;
        self.is_fcs.d.next = false;
        self.fcs_byte.d.next = bit_cast::<2, 6>(self.count.q.val());
        self.starts.d.next = false;
        match self.state.q.val() {
            TxState::Idle => {
                self.mode.d.next = self.nibbles.val();
                self.half.d.next = !self.step.val() | !self.s.valid.val();
                if self.s.valid.val() {
                    self.octet.d.next = 0x55.into();
                    self.is_there.d.next = true;
                    self.count.d.next = 1.into();
                    self.state.d.next = TxState::Preamble;
                }
            }
            TxState::Preamble => {
                self.starts.d.next = true;
                self.octet.d.next = 0x55.into();
                self.is_there.d.next = true;
                self.count.d.next = self.count.q.val() + 1;
                if self.count.q.val() == 7 {
                    self.octet.d.next = 0xD5.into();
                    if self.s.bad.val().get_bit(0) {
                        self.marked.d.next = self.marked.q.val() + 1;
                    }
                    self.count.d.next = 0.into();
                    self.phase.d.next = 0.into();
                    self.state.d.next = TxState::Data;
                }
            }
            TxState::Data => {
                self.is_there.d.next = true;
                self.is_covered.d.next = true;
                self.phase.d.next = self.phase.q.val() + 1;
                if self.count.q.val() != 60 {
                    self.count.d.next = self.count.q.val() + 1;
                }
                if self.phase.q.val() == 0 {
                    self.octet.d.next = bit_cast::<8, 32>(self.s.data.val());
                }
                if self.phase.q.val() == 1 {
                    self.octet.d.next = self.s.data.val().get_bits::<8>(8);
                }
                if self.phase.q.val() == 2 {
                    self.octet.d.next = self.s.data.val().get_bits::<8>(16);
                }
                if self.phase.q.val() == 3 {
                    self.octet.d.next = self.s.data.val().get_bits::<8>(24);
                }
                if self.phase.q.val() == self.s.count.val() {
                    self.s.ready.next = true;
                    self.phase.d.next = 0.into();
                    if self.s.last.val() {
                        self.state.d.next = TxState::Pad;
                        if self.count.q.val() >= 59 {
                            self.count.d.next = 0.into();
                            self.state.d.next = TxState::Check;
                        }
                    }
                }
                if !self.s.valid.val() {
                    self.is_bad.d.next = true;
                    self.underrun.d.next = self.underrun.q.val() + 1;
                    self.state.d.next = TxState::Flush;
                }
            }
            TxState::Pad => {
                self.is_there.d.next = true;
                self.is_covered.d.next = true;
                self.count.d.next = self.count.q.val() + 1;
                if self.count.q.val() == 59 {
                    self.count.d.next = 0.into();
                    self.state.d.next = TxState::Check;
                }
            }
            TxState::Check => {
                self.is_there.d.next = true;
                self.count.d.next = self.count.q.val() + 1;
                self.is_fcs.d.next = true;
                if self.count.q.val() == 3 {
                    self.count.d.next = 0.into();
                    self.state.d.next = TxState::Gap;
                }
            }
            TxState::Flush => {
                self.s.ready.next = true;
                self.count.d.next = 0.into();
                if self.s.valid.val() & self.s.last.val() {
                    self.state.d.next = TxState::Gap;
                }
            }
            TxState::Gap => {
                self.count.d.next = self.count.q.val() + 1;
                if self.count.q.val() == 11 {
                    self.state.d.next = TxState::Idle;
                }
            }
            _ => {
                self.state.d.next = TxState::Idle;
            }
        }
        self.fcs.clear.next = self.starts.q.val();
        self.fcs.enable.next = self.is_covered.q.val();
        self.fcs.data.next = self.octet.q.val();
        self.data.d.next = self.octet.q.val();
        if self.is_fcs.q.val() {
            self.data.d.next = bit_cast::<8, 32>(self.fcs.value.val());
            if self.fcs_byte.q.val() == 1 {
                self.data.d.next = self.fcs.value.val().get_bits::<8>(8);
            }
            if self.fcs_byte.q.val() == 2 {
                self.data.d.next = self.fcs.value.val().get_bits::<8>(16);
            }
            if self.fcs_byte.q.val() == 3 {
                self.data.d.next = self.fcs.value.val().get_bits::<8>(24);
            }
        }
        self.enable.d.next = self.is_there.q.val();
        self.error.d.next = self.is_bad.q.val();
        if !self.step.val() {
            self.s.ready.next = false;
            self.fcs.enable.next = false;
            self.state.d.next = self.state.q.val();
            self.count.d.next = self.count.q.val();
            self.phase.d.next = self.phase.q.val();
            self.octet.d.next = self.octet.q.val();
            self.is_there.d.next = self.is_there.q.val();
            self.is_bad.d.next = self.is_bad.q.val();
            self.is_covered.d.next = self.is_covered.q.val();
            self.is_fcs.d.next = self.is_fcs.q.val();
            self.fcs_byte.d.next = self.fcs_byte.q.val();
            self.starts.d.next = self.starts.q.val();
            self.data.d.next = self.data.q.val() >> 4;
            self.enable.d.next = self.enable.q.val();
            self.error.d.next = self.error.q.val();
            self.underrun.d.next = self.underrun.q.val();
            self.marked.d.next = self.marked.q.val();
        }
        if self.reset.val() {
            self.state.d.next = TxState::Idle;
            self.is_there.d.next = false;
            self.is_bad.d.next = false;
            self.enable.d.next = false;
            self.error.d.next = false;
            self.underrun.d.next = 0.into();
            self.marked.d.next = 0.into();
        }
    }
}
