//! Merges data frames, ARP frames, answers to echo requests and PAUSE frames on their way to the MAC, and counts them.
use crate::stream::{FrameSink, FrameSource};
use ferrule_abi::counter;
use rust_hdl::prelude::*;

/// Whose frame is on its way.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum MuxState {
    /// Nobody's.
    Idle,
    /// A data frame.
    Data,
    /// An ARP frame.
    Arp,
    /// An answer to an echo request.
    Echo,
    /// An ARP frame that is not sent.
    Drop,
    /// An answer that is not sent.
    DropEcho,
    /// A PAUSE frame.
    Pause,
}

/// Frame by frame; where several wait, they take turns: data, ARP, echo, so that each waits for one of each of the others at most. PAUSE
/// frames come before all of them, and they alone may start while `hold`.
///
/// Without `enable`, data frames wait. ARP frames are dropped: their news would be old, and the neighbour block asks again; so are answers
/// to echo requests, for which nobody waits that long.
#[derive(LogicBlock)]
pub struct TxMux {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// Frames may start.
    pub enable: Signal<In, Bit>,
    /// Data frames.
    pub data: FrameSink,
    /// The data frame is marked.
    pub data_mark: Signal<In, Bit>,
    /// ARP frames.
    pub arp: FrameSink,
    /// The link partner asked for a pause.
    pub hold: Signal<In, Bit>,
    /// PAUSE frames.
    pub pause: FrameSink,
    /// Answers to echo requests.
    pub echo: FrameSink,
    /// To the MAC.
    pub frame: FrameSource,
    /// The frame at `frame` is marked; counts at its first beat.
    pub mark: Signal<Out, Bit>,
    /// Counters to raise, bits in the positions of [`ferrule_abi::counter`].
    pub events: Signal<Out, Bits<32>>,
    /// With event TX_FRAMES: the frame's length in bytes.
    pub tx_bytes: Signal<Out, Bits<16>>,
    /// A frame is on its way.
    pub busy: Signal<Out, Bit>,
    state: DFF<MuxState>,
    /// The last frame was an ARP frame.
    arp_was: DFF<Bit>,
    /// The last frame was an answer to an echo request.
    echo_was: DFF<Bit>,
    /// Bytes of the frame that have gone.
    bytes: DFF<Bits<16>>,
    sent: DFF<Bit>,
    total: DFF<Bits<16>>,
    count: Signal<Local, Bits<16>>,
    sum: Signal<Local, Bits<16>>,
    keep: Signal<Local, Bits<8>>,
    last: Signal<Local, Bit>,
    valid: Signal<Local, Bit>,
    ev_frames: Constant<Bits<32>>,
}

impl Default for TxMux {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            enable: Default::default(),
            data: Default::default(),
            data_mark: Default::default(),
            arp: Default::default(),
            hold: Default::default(),
            pause: Default::default(),
            echo: Default::default(),
            frame: Default::default(),
            mark: Default::default(),
            events: Default::default(),
            tx_bytes: Default::default(),
            busy: Default::default(),
            state: Default::default(),
            arp_was: Default::default(),
            echo_was: Default::default(),
            bytes: Default::default(),
            sent: Default::default(),
            total: Default::default(),
            count: Default::default(),
            sum: Default::default(),
            keep: Default::default(),
            last: Default::default(),
            valid: Default::default(),
            ev_frames: Constant::new((1_u64 << counter::TX_FRAMES).into()),
        }
    }
}

impl Logic for TxMux {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, state, arp_was, echo_was, bytes, sent, total);
        self.events.next = 0.into();
        if self.sent.q.val() {
            self.events.next = self.ev_frames.val();
        }
        self.tx_bytes.next = self.total.q.val();
        self.busy.next = (self.state.q.val() != MuxState::Idle)
            | self.sent.q.val()
            | ((self.arp.valid.val() | self.echo.valid.val())
                & !(self.enable.val() & self.hold.val()))
            | (self.enable.val() & self.data.valid.val() & !self.hold.val())
            | (self.enable.val() & self.pause.valid.val());
        self.frame.d0.next = self.data.d0.val();
        self.frame.d1.next = self.data.d1.val();
        self.mark.next = self.data_mark.val() & (self.state.q.val() == MuxState::Data);
        self.keep.next = self.data.keep.val();
        self.last.next = self.data.last.val();
        self.valid.next = false;
        self.data.ready.next = false;
        self.arp.ready.next = false;
        self.pause.ready.next = false;
        self.echo.ready.next = false;
        self.count.next = 8.into();
        self.sum.next = 0.into();
        self.sent.d.next = false;
        match self.state.q.val() {
            MuxState::Idle => {
                if self.enable.val() & self.pause.valid.val() {
                    self.state.d.next = MuxState::Pause;
                } else if self.enable.val() & self.hold.val() {
                    self.state.d.next = MuxState::Idle;
                } else if self.enable.val() {
                    if self.data.valid.val()
                        & (self.echo_was.q.val()
                            | (!self.echo.valid.val()
                                & (self.arp_was.q.val() | !self.arp.valid.val())))
                    {
                        self.state.d.next = MuxState::Data;
                        self.arp_was.d.next = false;
                        self.echo_was.d.next = false;
                    } else if self.arp.valid.val()
                        & (!self.arp_was.q.val() | !self.echo.valid.val())
                    {
                        self.state.d.next = MuxState::Arp;
                        self.arp_was.d.next = true;
                        self.echo_was.d.next = false;
                    } else if self.echo.valid.val() {
                        self.state.d.next = MuxState::Echo;
                        self.arp_was.d.next = false;
                        self.echo_was.d.next = true;
                    }
                } else if self.arp.valid.val() {
                    self.state.d.next = MuxState::Drop;
                } else if self.echo.valid.val() {
                    self.state.d.next = MuxState::DropEcho;
                }
            }
            MuxState::Data => {
                self.valid.next = self.data.valid.val();
                self.data.ready.next = self.frame.ready.val();
            }
            MuxState::Arp => {
                self.frame.d0.next = self.arp.d0.val();
                self.frame.d1.next = self.arp.d1.val();
                self.keep.next = self.arp.keep.val();
                self.last.next = self.arp.last.val();
                self.valid.next = self.arp.valid.val();
                self.arp.ready.next = self.frame.ready.val();
            }
            MuxState::Echo => {
                self.frame.d0.next = self.echo.d0.val();
                self.frame.d1.next = self.echo.d1.val();
                self.keep.next = self.echo.keep.val();
                self.last.next = self.echo.last.val();
                self.valid.next = self.echo.valid.val();
                self.echo.ready.next = self.frame.ready.val();
            }
            MuxState::Drop => {
                self.arp.ready.next = true;
                if self.arp.valid.val() & self.arp.last.val() {
                    self.state.d.next = MuxState::Idle;
                }
            }
            MuxState::DropEcho => {
                self.echo.ready.next = true;
                if self.echo.valid.val() & self.echo.last.val() {
                    self.state.d.next = MuxState::Idle;
                }
            }
            MuxState::Pause => {
                self.frame.d0.next = self.pause.d0.val();
                self.frame.d1.next = self.pause.d1.val();
                self.keep.next = self.pause.keep.val();
                self.last.next = self.pause.last.val();
                self.valid.next = self.pause.valid.val();
                self.pause.ready.next = self.frame.ready.val();
            }
            _ => {
                self.state.d.next = MuxState::Idle;
            }
        }
        self.frame.keep.next = self.keep.val();
        self.frame.last.next = self.last.val();
        self.frame.valid.next = self.valid.val();
        if self.valid.val() & self.frame.ready.val() {
            if self.last.val() {
                if !self.keep.val().get_bit(7) {
                    self.count.next = 7.into();
                }
                if !self.keep.val().get_bit(6) {
                    self.count.next = 6.into();
                }
                if !self.keep.val().get_bit(5) {
                    self.count.next = 5.into();
                }
                if !self.keep.val().get_bit(4) {
                    self.count.next = 4.into();
                }
                if !self.keep.val().get_bit(3) {
                    self.count.next = 3.into();
                }
                if !self.keep.val().get_bit(2) {
                    self.count.next = 2.into();
                }
                if !self.keep.val().get_bit(1) {
                    self.count.next = 1.into();
                }
            }
            self.sum.next = self.bytes.q.val() + self.count.val();
            self.bytes.d.next = self.sum.val();
            if self.last.val() {
                self.bytes.d.next = 0.into();
                self.total.d.next = self.sum.val();
                self.sent.d.next = true;
                self.state.d.next = MuxState::Idle;
            }
        }
        if self.reset.val() {
            self.state.d.next = MuxState::Idle;
            self.arp_was.d.next = false;
            self.echo_was.d.next = false;
            self.bytes.d.next = 0.into();
            self.sent.d.next = false;
        }
    }
}
