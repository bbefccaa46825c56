//! Receiver: preamble, FCS, lengths, bytes to words; all in the receive clock.
use super::fcs::Fcs;
use super::word::*;
use rust_hdl::prelude::*;

/// Where the receiver is in a frame.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum RxState {
    /// RX_DV is low.
    Idle,
    /// Bytes of the preamble came, no SFD yet.
    Preamble,
    /// Between SFD and the end of the frame.
    Data,
    /// The rest is of no interest, until RX_DV falls.
    Skip,
    /// A word had no place; the frame's last word waits for one.
    Lost,
}

/// Takes frames off the GMII (IEEE 802.3 clause 35.2.3) or off an MII whose nibbles `super::mii` has joined.
///
/// A frame is any number of preamble bytes, none included, then the SFD; a carrier that starts with anything else is ignored until it
/// drops. Every frame yields at least one word. The four bytes of the FCS are cut off; the word with `last` says what is wrong:
/// bit 0 FCS (or `m` had no place), 1 RX_ER, 2 shorter than 64 bytes, 3 longer than `max_frame`, in which case the frame is cut off there and
/// bit 0 is clear. A frame of four bytes or less yields one word without meaning, with bit 2.
#[derive(LogicBlock, Default)]
pub struct MacRx {
    /// GMII RX_CLK.
    pub clock: Signal<In, Clock>,
    /// Reset of this clock's domain. A carrier that is there when it ends is ignored.
    pub reset: Signal<In, Bit>,
    /// Longest frame in bytes, with FCS.
    pub max_frame: Signal<In, Bits<14>>,
    /// A byte, or its absence, is at `rxd`, `rx_dv` and `rx_er`; else nothing moves in this clock.
    pub strobe: Signal<In, Bit>,
    /// GMII RXD.
    pub rxd: Signal<In, Bits<8>>,
    /// GMII RX_DV.
    pub rx_dv: Signal<In, Bit>,
    /// GMII RX_ER.
    pub rx_er: Signal<In, Bit>,
    /// The frame's words, the last one aside at most one in four bytes. `ready` is not waited for: without it the frame ends as bad.
    pub m: WordSource,
    /// Between SFD and the end of the frame.
    pub in_frame: Signal<Out, Bit>,
    /// Within a carrier, or a word waits.
    pub busy: Signal<Out, Bit>,
    fcs: Fcs,
    state: DFF<RxState>,
    /// The newest four bytes; the newest in bits 31:24.
    newest: DFF<Bits<32>>,
    /// The word that goes out when it is known whether it is the last.
    held: DFF<Bits<32>>,
    /// Bytes since the SFD.
    length: DFF<Bits<14>>,
    error: DFF<Bit>,
    /// `length` has reached `max_frame`. Known a clock ahead: a comparison before the FIFO's flags is too long a way.
    at_limit: DFF<Bit>,
    length_after: Signal<Local, Bits<14>>,
    phase: Signal<Local, Bits<2>>,
    over: Signal<Local, Bit>,
    wrong: Signal<Local, Bit>,
    short: Signal<Local, Bit>,
    send: Signal<Local, Bit>,
}

impl Logic for MacRx {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, state, newest, held, length, error, at_limit);
        self.fcs.clock.next = self.clock.val();
        self.fcs.clear.next = true;
        self.fcs.enable.next = false;
        self.fcs.data.next = self.rxd.val();
        self.length_after.next = self.length.q.val() + 1;
        self.phase.next = bit_cast::<2, 14>(self.length.q.val());
        self.over.next = self.rx_dv.val() & self.at_limit.q.val();
        self.wrong.next = !self.fcs.good.val() & !self.over.val();
        self.short.next = self.length.q.val() < 64;
        self.send.next = false;
        self.m.data.next = self.held.q.val();
        self.m.last.next = false;
        self.m.count.next = 3.into();
        self.m.bad.next = 0.into();
        self.in_frame.next = self.state.q.val() == RxState::Data;
        self.busy.next = self.state.q.val() != RxState::Idle;
        match self.state.q.val() {
            RxState::Idle => {
                self.length.d.next = 0.into();
                self.at_limit.d.next = self.max_frame.val() == 0;
                self.error.d.next = self.rx_er.val();
                if self.rx_dv.val() {
                    self.state.d.next = RxState::Skip;
                    if self.rxd.val() == 0x55 {
                        self.state.d.next = RxState::Preamble;
                    }
                    if self.rxd.val() == 0xD5 {
                        self.state.d.next = RxState::Data;
                    }
                }
            }
            RxState::Preamble => {
                self.error.d.next = self.error.q.val() | self.rx_er.val();
                if self.rxd.val() != 0x55 {
                    self.state.d.next = RxState::Skip;
                }
                if self.rxd.val() == 0xD5 {
                    self.state.d.next = RxState::Data;
                }
                if !self.rx_dv.val() {
                    self.state.d.next = RxState::Idle;
                }
            }
            RxState::Data => {
                self.fcs.clear.next = false;
                if self.rx_dv.val() & !self.over.val() {
                    self.fcs.enable.next = true;
                    self.error.d.next = self.error.q.val() | self.rx_er.val();
                    self.length.d.next = self.length_after.val();
                    self.at_limit.d.next = self.length_after.val() >= self.max_frame.val();
                    self.newest.d.next =
                        (self.newest.q.val() >> 8) | (bit_cast::<32, 8>(self.rxd.val()) << 24);
                    if self.phase.val() == 0 {
                        // Four bytes more than `held` are there, which are not the FCS since another one comes.
                        self.held.d.next = self.newest.q.val();
                        self.send.next = self.length.q.val() >= 8;
                    }
                } else {
                    self.send.next = true;
                    self.m.last.next = true;
                    self.m.count.next = self.phase.val() - 1;
                    self.m.bad.next = bit_cast::<4, 1>(self.wrong.val().into())
                        | (bit_cast::<4, 1>(self.error.q.val().into()) << 1)
                        | (bit_cast::<4, 1>(self.short.val().into()) << 2)
                        | (bit_cast::<4, 1>(self.over.val().into()) << 3);
                    self.state.d.next = RxState::Skip;
                    if !self.rx_dv.val() {
                        self.state.d.next = RxState::Idle;
                    }
                }
            }
            RxState::Skip => {
                if !self.rx_dv.val() {
                    self.state.d.next = RxState::Idle;
                }
            }
            RxState::Lost => {
                self.send.next = true;
                self.m.last.next = true;
                self.m.bad.next = 1.into();
                self.state.d.next = RxState::Skip;
                if !self.rx_dv.val() {
                    self.state.d.next = RxState::Idle;
                }
            }
            _ => {
                self.state.d.next = RxState::Skip;
            }
        }
        self.m.valid.next = self.send.val() & self.strobe.val();
        if self.send.val() & !self.m.ready.val() {
            self.state.d.next = RxState::Lost;
        }
        if !self.strobe.val() {
            self.fcs.enable.next = false;
            self.state.d.next = self.state.q.val();
            self.newest.d.next = self.newest.q.val();
            self.held.d.next = self.held.q.val();
            self.length.d.next = self.length.q.val();
            self.error.d.next = self.error.q.val();
            self.at_limit.d.next = self.at_limit.q.val();
        }
        if self.reset.val() {
            self.state.d.next = RxState::Skip;
        }
    }
}
