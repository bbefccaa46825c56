//! A PCIe board but for its cells: the NIC between the 7-series integrated block's interfaces and GMII, with the board's services.
use super::gmii_port::GmiiPort;
use super::services::Services;
use crate::pcie::axi::PcieAxi;
use crate::pcie::ports::TlpSource;
use rust_hdl::prelude::*;

/// All ports belong to `clock`, the block's user_clk_out of 125 MHz, but those of the GMII. Names of the block's side: see [`PcieAxi`].
#[derive(LogicBlock, Default)]
pub struct PcieNic {
    /// user_clk_out.
    pub clock: Signal<In, Clock>,
    /// GMII or MII RX_CLK, behind its buffer.
    pub gmii_rx_clk: Signal<In, Clock>,
    /// GMII or MII TX_CLK.
    pub gmii_tx_clk: Signal<In, Clock>,
    /// The board's clocks are not good yet; without glitches.
    pub hold: Signal<In, Bit>,
    /// For simulation: the PHY's milliseconds are 4 us.
    pub fast: Signal<In, Bit>,
    /// user_reset_out: power-up, PERST# or a hot reset.
    pub user_reset: Signal<In, Bit>,
    /// user_lnk_up.
    pub user_lnk_up: Signal<In, Bit>,
    /// m_axis_rx_tdata, bits 31:0.
    pub rx_d0: Signal<In, Bits<32>>,
    /// m_axis_rx_tdata, bits 63:32.
    pub rx_d1: Signal<In, Bits<32>>,
    /// m_axis_rx_tkeep.
    pub rx_keep: Signal<In, Bits<8>>,
    /// m_axis_rx_tlast.
    pub rx_last: Signal<In, Bit>,
    /// m_axis_rx_tvalid.
    pub rx_valid: Signal<In, Bit>,
    /// m_axis_rx_tready.
    pub rx_ready: Signal<Out, Bit>,
    /// m_axis_rx_tuser.
    pub rx_user: Signal<In, Bits<22>>,
    /// s_axis_tx_tdata, bits 31:0.
    pub tx_d0: Signal<Out, Bits<32>>,
    /// s_axis_tx_tdata, bits 63:32.
    pub tx_d1: Signal<Out, Bits<32>>,
    /// s_axis_tx_tkeep.
    pub tx_keep: Signal<Out, Bits<8>>,
    /// s_axis_tx_tlast.
    pub tx_last: Signal<Out, Bit>,
    /// s_axis_tx_tvalid.
    pub tx_valid: Signal<Out, Bit>,
    /// s_axis_tx_tready.
    pub tx_ready: Signal<In, Bit>,
    /// tx_err_drop.
    pub tx_dropped: Signal<In, Bit>,
    /// cfg_bus_number.
    pub cfg_bus: Signal<In, Bits<8>>,
    /// cfg_device_number.
    pub cfg_device: Signal<In, Bits<5>>,
    /// cfg_function_number.
    pub cfg_function: Signal<In, Bits<3>>,
    /// cfg_command.
    pub cfg_command: Signal<In, Bits<16>>,
    /// cfg_dcommand.
    pub cfg_dcommand: Signal<In, Bits<16>>,
    /// cfg_interrupt_msixenable.
    pub msix_enable: Signal<In, Bit>,
    /// cfg_interrupt_msixfm.
    pub msix_mask: Signal<In, Bit>,
    /// cfg_trn_pending.
    pub pending: Signal<Out, Bit>,
    /// GMII RXD; of MII in bits 3:0.
    pub gmii_rxd: Signal<In, Bits<8>>,
    /// GMII RX_DV.
    pub gmii_rx_dv: Signal<In, Bit>,
    /// GMII RX_ER.
    pub gmii_rx_er: Signal<In, Bit>,
    /// GMII TXD; of MII in bits 3:0.
    pub gmii_txd: Signal<Out, Bits<8>>,
    /// GMII TX_EN.
    pub gmii_tx_en: Signal<Out, Bit>,
    /// GMII TX_ER.
    pub gmii_tx_er: Signal<Out, Bit>,
    /// 0: 10, 1: 100, 2: 1000 Mbit/s: which clocks the board is to give.
    pub link_speed: Signal<Out, Bits<2>>,
    /// The PHY's address, or where to begin to look for it.
    pub phy: Signal<In, Bits<5>>,
    /// Pin RESET_N of the PHY.
    pub phy_reset_n: Signal<Out, Bit>,
    /// Pin MDC.
    pub mdc: Signal<Out, Bit>,
    /// Pin MDIO, driven value.
    pub mdio_o: Signal<Out, Bit>,
    /// Pin MDIO, drive it.
    pub mdio_oe: Signal<Out, Bit>,
    /// Pin MDIO, value.
    pub mdio_i: Signal<In, Bit>,
    /// Pin CLK of DNA_PORT.
    pub dna_clk: Signal<Out, Bit>,
    /// Pin READ.
    pub dna_read: Signal<Out, Bit>,
    /// Pin SHIFT.
    pub dna_shift: Signal<Out, Bit>,
    /// Pin DOUT.
    pub dna_dout: Signal<In, Bit>,
    /// Bit 0 link, 1 activity, 2 error, 3 heartbeat; 1: lit.
    pub leds: Signal<Out, Bits<4>>,
    axi: PcieAxi,
    port: GmiiPort,
    services: Services<8>,
    reset: DFF<Bit>,
}

impl Logic for PcieNic {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, reset);
        clock!(self, clock, axi, port, services);
        // A hot reset shows in both, at the latest when the link goes down.
        self.reset.d.next =
            self.user_reset.val() | !self.user_lnk_up.val() | !self.services.ready.val();

        self.axi.reset.next = self.reset.q.val();
        self.axi.rx_d0.next = self.rx_d0.val();
        self.axi.rx_d1.next = self.rx_d1.val();
        self.axi.rx_keep.next = self.rx_keep.val();
        self.axi.rx_last.next = self.rx_last.val();
        self.axi.rx_valid.next = self.rx_valid.val();
        self.axi.rx_user.next = self.rx_user.val();
        self.rx_ready.next = self.axi.rx_ready.val();
        self.tx_d0.next = self.axi.tx_d0.val();
        self.tx_d1.next = self.axi.tx_d1.val();
        self.tx_keep.next = self.axi.tx_keep.val();
        self.tx_last.next = self.axi.tx_last.val();
        self.tx_valid.next = self.axi.tx_valid.val();
        self.axi.tx_ready.next = self.tx_ready.val();
        self.axi.tx_dropped.next = self.tx_dropped.val();
        self.axi.cfg_bus.next = self.cfg_bus.val();
        self.axi.cfg_device.next = self.cfg_device.val();
        self.axi.cfg_function.next = self.cfg_function.val();
        self.axi.cfg_command.next = self.cfg_command.val();
        self.axi.cfg_dcommand.next = self.cfg_dcommand.val();
        TlpSource::join(&mut self.axi.from_host, &mut self.port.tlp_rx);
        TlpSource::join(&mut self.port.tlp_tx, &mut self.axi.to_host);

        self.port.reset.next = self.reset.q.val();
        self.port.power_reset.next = self.services.power_reset.val();
        self.port.tick.next = self.services.tick.val();
        self.port.time_lo.next = self.services.time_lo.val();
        self.port.time_hi.next = self.services.time_hi.val();
        self.port.mac_lo.next = self.services.mac_lo.val();
        self.port.mac_hi.next = self.services.mac_hi.val();
        self.port.completer_id.next = self.axi.completer_id.val();
        self.port.bus_master.next = self.axi.bus_master.val();
        self.port.max_payload.next = self.axi.max_payload.val();
        self.port.max_read.next = self.axi.max_read.val();
        self.port.msix_enable.next = self.msix_enable.val();
        self.port.msix_mask.next = self.msix_mask.val();
        self.port.gmii_rx_clk.next = self.gmii_rx_clk.val();
        self.port.gmii_tx_clk.next = self.gmii_tx_clk.val();
        self.port.gmii_rxd.next = self.gmii_rxd.val();
        self.port.gmii_rx_dv.next = self.gmii_rx_dv.val();
        self.port.gmii_rx_er.next = self.gmii_rx_er.val();
        self.port.phy.next = self.phy.val();
        self.port.mdio_i.next = self.mdio_i.val();
        self.gmii_txd.next = self.port.gmii_txd.val();
        self.gmii_tx_en.next = self.port.gmii_tx_en.val();
        self.gmii_tx_er.next = self.port.gmii_tx_er.val();
        self.link_speed.next = self.port.link_speed.val();
        self.phy_reset_n.next = self.port.phy_reset_n.val();
        self.mdc.next = self.port.mdc.val();
        self.mdio_o.next = self.port.mdio_o.val();
        self.mdio_oe.next = self.port.mdio_oe.val();
        self.port.msix_others.next = 0.into();
        self.pending.next = self.port.reading.val();

        self.services.hold.next = self.hold.val();
        self.services.fast.next = self.fast.val();
        self.services.dna_dout.next = self.dna_dout.val();
        self.dna_clk.next = self.services.dna_clk.val();
        self.dna_read.next = self.services.dna_read.val();
        self.dna_shift.next = self.services.dna_shift.val();
        self.services.link.next = self.port.link_up.val();
        self.services.activity.next = self.port.active.val();
        self.services.error.next = self.axi.error.val() | self.port.link_error.val();
        self.leds.next = self.services.leds.val();
    }
}
