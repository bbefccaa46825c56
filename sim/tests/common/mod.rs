//! What the tests share: a small core with the NIC's ports.
#![allow(
    missing_docs,
    dead_code,
    reason = "derives make items without docs; not every test uses all of this"
)]
use ferrule_rtl::pcie::ports::{TlpSink, TlpSource};
use ferrule_rtl::phy::ports::MdioSource;
use rust_hdl::prelude::*;

/// What happened to the beat.
#[derive(Clone, Copy, Debug, PartialEq, LogicState)]
pub(crate) enum Step {
    Empty,
    Taken,
    Held,
}

/// Holds one beat from `tlp_rx` to `tlp_tx` and adds mac_lo to its second DW; counts GMII bytes in their own clock domains.
#[derive(LogicBlock, Default)]
pub(crate) struct Mini {
    pub clock: Signal<In, Clock>,
    pub gmii_rx_clk: Signal<In, Clock>,
    pub gmii_tx_clk: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub time_lo: Signal<In, Bits<32>>,
    pub time_hi: Signal<In, Bits<32>>,
    pub mac_lo: Signal<In, Bits<32>>,
    pub mac_hi: Signal<In, Bits<16>>,
    pub link_up: Signal<In, Bit>,
    pub link_speed: Signal<In, Bits<2>>,
    pub mdio: MdioSource,
    pub completer_id: Signal<In, Bits<16>>,
    pub bus_master: Signal<In, Bit>,
    pub max_payload: Signal<In, Bits<3>>,
    pub max_read: Signal<In, Bits<3>>,
    pub msix_enable: Signal<In, Bit>,
    pub msix_mask: Signal<In, Bit>,
    pub tlp_rx: TlpSink,
    pub tlp_tx: TlpSource,
    pub gmii_rxd: Signal<In, Bits<8>>,
    pub gmii_rx_dv: Signal<In, Bit>,
    pub gmii_rx_er: Signal<In, Bit>,
    pub gmii_txd: Signal<Out, Bits<8>>,
    pub gmii_tx_en: Signal<Out, Bit>,
    pub gmii_tx_er: Signal<Out, Bit>,
    pub busy: Signal<Out, Bit>,
    pub deadline: Signal<Out, Bits<32>>,
    pub deadline_valid: Signal<Out, Bit>,
    full: DFF<Bit>,
    d0: DFF<Bits<32>>,
    d1: DFF<Bits<32>>,
    half: DFF<Bit>,
    last: DFF<Bit>,
    bar: DFF<Bits<3>>,
    rx_sum: DFF<Bits<8>>,
    tx_sum: DFF<Bits<8>>,
    step: DFF<Step>,
    history: [DFF<Bits<3>>; 2],
    pins: Signal<Local, Bits<8>>,
    sum: Signal<Local, Bits<32>>,
    rx_next: Signal<Local, Bits<8>>,
    tx_next: Signal<Local, Bits<8>>,
}

impl Logic for Mini {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, full, d0, d1, half, last, bar, step);
        for i in 0..2 {
            self.history[i].clock.next = self.clock.val();
            self.history[i].d.next = self.history[i].q.val();
        }
        dff_setup!(self, gmii_rx_clk, rx_sum);
        dff_setup!(self, gmii_tx_clk, tx_sum);
        self.sum.next = self.tlp_rx.d1.val() + self.mac_lo.val();
        self.pins.next = bit_cast::<8, 2>(self.link_speed.val())
            ^ (bit_cast::<8, 3>(self.max_payload.val()) << 2)
            ^ (bit_cast::<8, 3>(self.max_read.val()) << 5);
        self.mdio.write.next = false;
        self.mdio.phy.next = 0.into();
        self.mdio.register.next = 0.into();
        self.mdio.wdata.next = 0.into();
        self.mdio.valid.next = false;
        self.tlp_rx.ready.next = !self.full.q.val();
        self.tlp_tx.valid.next = self.full.q.val();
        self.tlp_tx.d0.next = self.d0.q.val();
        self.tlp_tx.d1.next = self.d1.q.val();
        self.tlp_tx.half.next = self.half.q.val();
        self.tlp_tx.last.next = self.last.q.val();
        self.tlp_tx.bar.next = self.bar.q.val();
        self.busy.next = self.full.q.val();
        self.deadline.next = (self.time_hi.val() ^ self.time_lo.val())
            ^ bit_cast::<32, 16>(self.mac_hi.val() ^ self.completer_id.val());
        self.deadline_valid.next = (self.link_up.val() ^ self.bus_master.val())
            & (self.msix_enable.val() | self.msix_mask.val());
        if self.full.q.val() {
            self.step.d.next = Step::Held;
        } else {
            self.step.d.next = Step::Empty;
        }
        if self.tlp_rx.valid.val() & !self.full.q.val() {
            self.step.d.next = Step::Taken;
            self.history[0].d.next = self.bar.q.val();
            self.history[1].d.next = self.history[0].q.val();
            self.full.d.next = true;
            self.d0.d.next = self.tlp_rx.d0.val();
            self.d1.d.next = self.sum.val();
            self.half.d.next = self.tlp_rx.half.val();
            self.last.d.next = self.tlp_rx.last.val();
            self.bar.d.next = self.tlp_rx.bar.val();
        }
        if self.full.q.val() & self.tlp_tx.ready.val() {
            self.full.d.next = false;
        }
        if self.reset.val() {
            self.full.d.next = false;
        }
        self.rx_next.next = self.rx_sum.q.val() + self.gmii_rxd.val();
        if self.gmii_rx_dv.val() {
            self.rx_sum.d.next = self.rx_next.val();
        }
        self.tx_next.next = self.tx_sum.q.val() + self.rx_sum.q.val();
        self.tx_sum.d.next = self.tx_next.val();
        self.gmii_txd.next = self.tx_sum.q.val() ^ self.pins.val();
        self.gmii_tx_en.next = self.tx_sum.q.val().get_bit(0);
        self.gmii_tx_er.next = self.gmii_rx_er.val();
    }
}

ferrule_sim::bind_top!(Mini);
