//! The whole MAC: frame streams in the core's clock on one side, GMII or MII in its two clocks on the other.
use super::fifo::AsyncFifo;
use super::loopback::Loopback;
use super::mii::MiiRx;
use super::narrow::Narrow;
use super::reset::ResetSync;
use super::rx::MacRx;
use super::sync::Sync;
use super::tx::MacTx;
use super::widen::Widen;
use super::word::*;
use crate::rx::ports::*;
use crate::stream::*;
use ferrule_abi::counter::TX_UNDERRUN;
use rust_hdl::prelude::*;

/// MAC for 10, 100 and 1000 Mbit/s, full duplex.
///
/// The core's clock may have any frequency from half that of the GMII clocks on. Frames travel between the clocks as 32-bit words.
/// At 10 and 100 Mbit/s the GMII pins are those of an MII (IEEE 802.3 clause 22): nibbles in bits 3:0, clocks of 2.5 or 25 MHz.
#[derive(LogicBlock)]
pub struct Mac {
    /// The core's clock; all ports but the GMII ones belong to it.
    pub clock: Signal<In, Clock>,
    /// GMII RX_CLK.
    pub gmii_rx_clk: Signal<In, Clock>,
    /// GMII GTX_CLK.
    pub gmii_tx_clk: Signal<In, Clock>,
    /// Reset of the core's domain, out of a flip-flop, for one clock or more. Each GMII side is in reset until its clock has run.
    pub reset: Signal<In, Bit>,
    /// Longest received frame in bytes, with FCS. A frame that is under way while it changes may be cut anywhere.
    pub max_frame: Signal<In, Bits<14>>,
    /// 2: GMII; else MII. Each direction follows between its frames.
    pub link_speed: Signal<In, Bits<2>>,
    /// Receive what is sent; nothing goes to or comes from the wire. Takes effect between frames.
    pub loopback: Signal<In, Bit>,
    /// Received frames.
    pub rx: RxBeatSource,
    /// Frames to send, without FCS and padding; a frame's beats must come without gaps.
    pub tx: FrameSink,
    /// The frame at `tx` is marked; counts at its first beat.
    pub mark: Signal<In, Bit>,
    /// High for one cycle: the SFD of a marked frame is on its way to the pins, or its first bytes are in the loopback.
    pub left: Signal<Out, Bit>,
    /// GMII RXD.
    pub gmii_rxd: Signal<In, Bits<8>>,
    /// GMII RX_DV.
    pub gmii_rx_dv: Signal<In, Bit>,
    /// GMII RX_ER.
    pub gmii_rx_er: Signal<In, Bit>,
    /// GMII TXD.
    pub gmii_txd: Signal<Out, Bits<8>>,
    /// GMII TX_EN.
    pub gmii_tx_en: Signal<Out, Bit>,
    /// GMII TX_ER.
    pub gmii_tx_er: Signal<Out, Bit>,
    /// A frame comes in from the wire, or came until a moment ago: another one may follow in the shortest gap.
    pub receiving: Signal<Out, Bit>,
    /// Counter pulses: TX_UNDERRUN.
    pub events: Signal<Out, Bits<32>>,
    /// A clock must go on. For a simulator only: it looks into all three clock domains without synchronisers.
    pub busy: Signal<Out, Bit>,

    rx_reset: ResetSync,
    tx_reset: ResetSync,
    rx_core_reset: ResetSync,
    tx_core_reset: ResetSync,
    max_frame_seen: Sync<14>,
    /// 1: MII. In the core's clock, then in each of the others.
    nibbles: DFF<Bits<1>>,
    rx_nibbles: Sync<1>,
    tx_nibbles: Sync<1>,
    mii_rx: MiiRx,
    mac_rx: MacRx,
    rx_fifo: AsyncFifo,
    widen: Widen,
    narrow: Narrow,
    tx_fifo: AsyncFifo,
    mac_tx: MacTx,
    looper: Loopback,
    /// `loopback`, in effect.
    looped: DFF<Bit>,
    /// Within a frame from the wire.
    wire_open: DFF<Bit>,
    /// RX_DV in the receive clock.
    carrier: DFF<Bits<1>>,
    carrier_seen: Sync<1>,
    /// Clocks for which `receiving` outlasts the carrier.
    linger: DFF<Bits<4>>,
    underruns_seen: Sync<1>,
    underruns_counted: DFF<Bits<1>>,
    marks_seen: Sync<1>,
    marks_counted: DFF<Bits<1>>,
    underrun_event: Constant<Bits<32>>,
}

impl Default for Mac {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            gmii_rx_clk: Default::default(),
            gmii_tx_clk: Default::default(),
            reset: Default::default(),
            max_frame: Default::default(),
            link_speed: Default::default(),
            loopback: Default::default(),
            rx: Default::default(),
            tx: Default::default(),
            mark: Default::default(),
            left: Default::default(),
            gmii_rxd: Default::default(),
            gmii_rx_dv: Default::default(),
            gmii_rx_er: Default::default(),
            gmii_txd: Default::default(),
            gmii_tx_en: Default::default(),
            gmii_tx_er: Default::default(),
            receiving: Default::default(),
            events: Default::default(),
            busy: Default::default(),
            rx_reset: Default::default(),
            tx_reset: Default::default(),
            rx_core_reset: Default::default(),
            tx_core_reset: Default::default(),
            max_frame_seen: Default::default(),
            nibbles: Default::default(),
            rx_nibbles: Default::default(),
            tx_nibbles: Default::default(),
            mii_rx: Default::default(),
            mac_rx: Default::default(),
            rx_fifo: Default::default(),
            widen: Default::default(),
            narrow: Default::default(),
            tx_fifo: Default::default(),
            mac_tx: Default::default(),
            looper: Default::default(),
            looped: Default::default(),
            wire_open: Default::default(),
            carrier: Default::default(),
            carrier_seen: Default::default(),
            linger: Default::default(),
            underruns_seen: Default::default(),
            underruns_counted: Default::default(),
            marks_seen: Default::default(),
            marks_counted: Default::default(),
            underrun_event: Constant::new((1u64 << TX_UNDERRUN).into()),
        }
    }
}

impl Logic for Mac {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            nibbles,
            looped,
            wire_open,
            linger,
            underruns_counted,
            marks_counted
        );
        dff_setup!(self, gmii_rx_clk, carrier);

        // A reset goes out to each GMII clock and back, so that the core's side of a crossing leaves it last.
        self.rx_reset.clock.next = self.gmii_rx_clk.val();
        self.rx_reset.d.next = self.reset.val();
        self.rx_core_reset.clock.next = self.clock.val();
        self.rx_core_reset.d.next = self.rx_reset.q.val();
        self.tx_reset.clock.next = self.gmii_tx_clk.val();
        self.tx_reset.d.next = self.reset.val();
        self.tx_core_reset.clock.next = self.clock.val();
        self.tx_core_reset.d.next = self.tx_reset.q.val();

        self.nibbles.d.next = 1.into();
        if self.link_speed.val() == 2 {
            self.nibbles.d.next = 0.into();
        }

        // Receive: GMII clock.
        self.max_frame_seen.clock.next = self.gmii_rx_clk.val();
        self.max_frame_seen.d.next = self.max_frame.val();
        self.mac_rx.clock.next = self.gmii_rx_clk.val();
        self.mac_rx.reset.next = self.rx_reset.q.val();
        self.mac_rx.max_frame.next = self.max_frame_seen.q.val();
        self.rx_nibbles.clock.next = self.gmii_rx_clk.val();
        self.rx_nibbles.d.next = self.nibbles.q.val();
        self.mii_rx.clock.next = self.gmii_rx_clk.val();
        self.mii_rx.nibbles.next = self.rx_nibbles.q.val().any();
        self.mii_rx.rxd.next = self.gmii_rxd.val();
        self.mii_rx.rx_dv.next = self.gmii_rx_dv.val();
        self.mii_rx.rx_er.next = self.gmii_rx_er.val();
        self.mii_rx.in_frame.next = self.mac_rx.in_frame.val();
        self.mii_rx.in_carrier.next = self.mac_rx.busy.val();
        self.mac_rx.strobe.next = self.mii_rx.strobe.val();
        self.mac_rx.rxd.next = self.mii_rx.data.val();
        self.mac_rx.rx_dv.next = self.mii_rx.valid.val();
        self.mac_rx.rx_er.next = self.mii_rx.error.val();
        self.rx_fifo.write_clock.next = self.gmii_rx_clk.val();
        self.rx_fifo.write_reset.next = self.rx_reset.q.val();
        WordSource::join(&mut self.mac_rx.m, &mut self.rx_fifo.s);

        // Receive: core's clock; from the wire or from the loopback.
        self.rx_fifo.read_clock.next = self.clock.val();
        self.rx_fifo.read_reset.next = self.rx_core_reset.q.val();
        self.rx_fifo.m.ready.next = true;
        if self.rx_fifo.m.valid.val() {
            self.wire_open.d.next = !self.rx_fifo.m.last.val();
        }
        self.widen.clock.next = self.clock.val();
        self.widen.reset.next = self.rx_core_reset.q.val();
        self.looper.m.ready.next = true;
        if self.looped.q.val() {
            self.widen.s.data.next = self.looper.m.data.val();
            self.widen.s.last.next = self.looper.m.last.val();
            self.widen.s.count.next = self.looper.m.count.val();
            self.widen.s.bad.next = self.looper.m.bad.val();
            self.widen.s.valid.next = self.looper.m.valid.val();
        } else {
            self.widen.s.data.next = self.rx_fifo.m.data.val();
            self.widen.s.last.next = self.rx_fifo.m.last.val();
            self.widen.s.count.next = self.rx_fifo.m.count.val();
            self.widen.s.bad.next = self.rx_fifo.m.bad.val();
            self.widen.s.valid.next = self.rx_fifo.m.valid.val();
        }
        RxBeatSource::link(&mut self.rx, &mut self.widen.m);

        // Transmit: core's clock; to the wire or to the loopback.
        self.narrow.clock.next = self.clock.val();
        self.narrow.reset.next = self.tx_core_reset.q.val();
        FrameSink::link(&mut self.tx, &mut self.narrow.s);
        self.tx_fifo.write_clock.next = self.clock.val();
        self.tx_fifo.write_reset.next = self.tx_core_reset.q.val();
        self.tx_fifo.s.data.next = self.narrow.m.data.val();
        self.tx_fifo.s.last.next = self.narrow.m.last.val();
        self.tx_fifo.s.count.next = self.narrow.m.count.val();
        self.tx_fifo.s.bad.next = bit_cast::<4, 1>(self.mark.val().into());
        self.tx_fifo.s.valid.next = self.narrow.m.valid.val() & !self.looped.q.val();
        self.looper.clock.next = self.clock.val();
        self.looper.reset.next = self.tx_core_reset.q.val();
        self.looper.s.data.next = self.narrow.m.data.val();
        self.looper.s.last.next = self.narrow.m.last.val();
        self.looper.s.count.next = self.narrow.m.count.val();
        self.looper.s.bad.next = 0.into();
        self.looper.s.valid.next = self.narrow.m.valid.val() & self.looped.q.val();
        // One assignment only: with a default first, an event-driven simulator would chase the glitch between here and `narrow` for ever.
        if self.looped.q.val() {
            self.narrow.m.ready.next = self.looper.s.ready.val();
        } else {
            self.narrow.m.ready.next = self.tx_fifo.s.ready.val();
        }

        // Transmit: GMII clock.
        self.tx_fifo.read_clock.next = self.gmii_tx_clk.val();
        self.tx_fifo.read_reset.next = self.tx_reset.q.val();
        self.mac_tx.clock.next = self.gmii_tx_clk.val();
        self.mac_tx.reset.next = self.tx_reset.q.val();
        self.tx_nibbles.clock.next = self.gmii_tx_clk.val();
        self.tx_nibbles.d.next = self.nibbles.q.val();
        self.mac_tx.nibbles.next = self.tx_nibbles.q.val().any();
        WordSource::join(&mut self.tx_fifo.m, &mut self.mac_tx.s);
        self.gmii_txd.next = self.mac_tx.txd.val();
        self.gmii_tx_en.next = self.mac_tx.tx_en.val();
        self.gmii_tx_er.next = self.mac_tx.tx_er.val();

        // The loopback comes and goes where no frame is cut in two, in either direction.
        self.narrow.hold.next = self.loopback.val() ^ self.looped.q.val();
        if self.narrow.hold.val()
            & !self.narrow.open.val()
            & !self.looper.busy.val()
            & !self.wire_open.q.val()
            & !self.rx_fifo.m.valid.val()
        {
            self.looped.d.next = self.loopback.val();
        }

        // With GMII and a core's clock no faster, the shortest gap is less than sixteen clocks.
        self.carrier.d.next = 0.into();
        if self.gmii_rx_dv.val() {
            self.carrier.d.next = 1.into();
        }
        self.carrier_seen.clock.next = self.clock.val();
        self.carrier_seen.d.next = self.carrier.q.val();
        if self.carrier_seen.q.val().any() {
            self.linger.d.next = 15.into();
        } else if self.linger.q.val().any() {
            self.linger.d.next = self.linger.q.val() - 1;
        }
        self.receiving.next = self.linger.q.val().any();

        self.underruns_seen.clock.next = self.clock.val();
        self.underruns_seen.d.next = self.mac_tx.underruns.val();
        self.underruns_counted.d.next = self.underruns_seen.q.val();
        self.events.next = 0.into();
        if self.underruns_seen.q.val() != self.underruns_counted.q.val() {
            self.events.next = self.underrun_event.val();
        }

        self.marks_seen.clock.next = self.clock.val();
        self.marks_seen.d.next = self.mac_tx.marks.val();
        self.marks_counted.d.next = self.marks_seen.q.val();
        self.left.next = (self.marks_seen.q.val() != self.marks_counted.q.val())
            | (self.looped.q.val()
                & self.mark.val()
                & self.narrow.m.valid.val()
                & self.looper.s.ready.val()
                & !self.narrow.open.val());

        self.busy.next = self.rx_core_reset.q.val()
            | self.tx_core_reset.q.val()
            | self.narrow.hold.val()
            | self.narrow.open.val()
            | self.tx_fifo.busy.val()
            | self.mac_tx.busy.val()
            | (self.mac_tx.underruns.val() != self.underruns_counted.q.val())
            | self.looper.busy.val()
            | self.carrier.q.val().any()
            | self.carrier_seen.q.val().any()
            | self.linger.q.val().any()
            | (self.max_frame.val() != self.max_frame_seen.q.val())
            | ((self.link_speed.val() == 2) == self.nibbles.q.val().any())
            | (self.mii_rx.by_nibbles.val() != self.nibbles.q.val().any())
            | (self.mac_tx.by_nibbles.val() != self.nibbles.q.val().any())
            | self.mac_rx.busy.val()
            | self.rx_fifo.busy.val()
            | self.widen.busy.val();

        if self.rx_core_reset.q.val() {
            self.wire_open.d.next = false;
            self.linger.d.next = 0.into();
        }
        if self.tx_core_reset.q.val() {
            self.looped.d.next = false;
        }
    }
}
