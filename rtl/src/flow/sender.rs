//! PAUSE frames (IEEE 802.3 annex 31B) that ask the link partner to be silent while the receive buffer is full.
use crate::stream::FrameSource;
use rust_hdl::prelude::*;

/// What is on its way.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum PauseState {
    /// Nothing.
    Idle,
    /// Destination, and the source's first two bytes.
    First,
    /// The rest of the source, EtherType, opcode.
    Second,
    /// The pause time.
    Third,
}

/// Asks for the longest pause when the buffer is `high`, asks anew about every 8 ms, a quarter of that pause at a gigabit, and ends it
/// with a pause time of 0 when the buffer is `low`.
#[derive(LogicBlock)]
pub struct PauseSender {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// FLOW.TX_PAUSE; without it a pause that was asked for is ended.
    pub enable: Signal<In, Bit>,
    /// Frames may start (CTRL.TX_EN).
    pub sending: Signal<In, Bit>,
    /// The link partner should be silent.
    pub high: Signal<In, Bit>,
    /// It need not be any more.
    pub low: Signal<In, Bit>,
    /// The time in nanoseconds, bits 31:0.
    pub time_lo: Signal<In, Bits<32>>,
    /// Own address, bytes 0 to 3, byte 0 in bits 7:0.
    pub mac_lo: Signal<In, Bits<32>>,
    /// Own address, bytes 4 and 5.
    pub mac_hi: Signal<In, Bits<16>>,
    /// The frames, without padding.
    pub frame: FrameSource,
    /// A frame is on its way, or is to be.
    pub busy: Signal<Out, Bit>,
    state: DFF<PauseState>,
    /// A pause was asked for last.
    asked: DFF<Bit>,
    /// The frame on its way asks for one.
    asks: DFF<Bit>,
    /// In which half of the time between two requests the last frame was made.
    half: DFF<Bit>,
    ask: Signal<Local, Bit>,
    ends: Signal<Local, Bit>,
    group_lo: Constant<Bits<32>>,
    group_hi: Constant<Bits<32>>,
    type_word: Constant<Bits<32>>,
    longest: Constant<Bits<32>>,
    all: Constant<Bits<8>>,
    two: Constant<Bits<8>>,
}

impl Default for PauseSender {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            enable: Default::default(),
            sending: Default::default(),
            high: Default::default(),
            low: Default::default(),
            time_lo: Default::default(),
            mac_lo: Default::default(),
            mac_hi: Default::default(),
            frame: Default::default(),
            busy: Default::default(),
            state: Default::default(),
            asked: Default::default(),
            asks: Default::default(),
            half: Default::default(),
            ask: Default::default(),
            ends: Default::default(),
            group_lo: Constant::new(0x00C2_8001.into()),
            group_hi: Constant::new(0x0100.into()),
            type_word: Constant::new(0x0100_0888.into()),
            longest: Constant::new(0xFFFF.into()),
            all: Constant::new(0xFF.into()),
            two: Constant::new(3.into()),
        }
    }
}

impl Logic for PauseSender {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, state, asked, asks, half);
        self.ask.next = self.enable.val()
            & ((self.high.val() & !self.asked.q.val())
                | (self.asked.q.val()
                    & !self.low.val()
                    & (self.time_lo.val().get_bit(23) ^ self.half.q.val())));
        self.ends.next = self.asked.q.val() & (self.low.val() | !self.enable.val());
        self.busy.next = self.sending.val()
            & ((self.state.q.val() != PauseState::Idle) | self.ask.val() | self.ends.val());
        self.frame.d0.next = 0.into();
        self.frame.d1.next = 0.into();
        self.frame.keep.next = self.all.val();
        self.frame.last.next = false;
        self.frame.valid.next = self.state.q.val() != PauseState::Idle;
        match self.state.q.val() {
            PauseState::Idle => {
                if self.sending.val() & (self.ask.val() | self.ends.val()) {
                    self.asks.d.next = self.ask.val();
                    self.half.d.next = self.time_lo.val().get_bit(23);
                    self.state.d.next = PauseState::First;
                }
            }
            PauseState::First => {
                self.frame.d0.next = self.group_lo.val();
                self.frame.d1.next = self.group_hi.val()
                    | (bit_cast::<32, 16>(self.mac_lo.val().get_bits::<16>(0)) << 16);
                if self.frame.ready.val() {
                    self.state.d.next = PauseState::Second;
                }
            }
            PauseState::Second => {
                self.frame.d0.next = bit_cast::<32, 16>(self.mac_lo.val().get_bits::<16>(16))
                    | (bit_cast::<32, 16>(self.mac_hi.val()) << 16);
                self.frame.d1.next = self.type_word.val();
                if self.frame.ready.val() {
                    self.state.d.next = PauseState::Third;
                }
            }
            PauseState::Third => {
                if self.asks.q.val() {
                    self.frame.d0.next = self.longest.val();
                }
                self.frame.keep.next = self.two.val();
                self.frame.last.next = true;
                if self.frame.ready.val() {
                    self.asked.d.next = self.asks.q.val();
                    self.state.d.next = PauseState::Idle;
                }
            }
            _ => {
                self.state.d.next = PauseState::Idle;
            }
        }
        if self.reset.val() {
            self.state.d.next = PauseState::Idle;
            self.asked.d.next = false;
        }
    }
}
