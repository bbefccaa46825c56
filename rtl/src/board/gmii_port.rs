//! One port of a PCIe board: the NIC core with its PHY's management.
use super::phy_port::PhyPort;
use crate::nic::Nic;
use crate::pcie::ports::{TlpSink, TlpSource};
use crate::phy::ports::MdioSource;
use rust_hdl::prelude::*;

/// Between the function's TLPs and the pins of a PHY on GMII; what it has of the function, see [`Nic`], of the board, see [`super::services::Services`].
#[derive(LogicBlock, Default)]
pub struct GmiiPort {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// GMII or MII RX_CLK.
    pub gmii_rx_clk: Signal<In, Clock>,
    /// GMII or MII TX_CLK.
    pub gmii_tx_clk: Signal<In, Clock>,
    /// Of the NIC.
    pub reset: Signal<In, Bit>,
    /// Of the PHY's management.
    pub power_reset: Signal<In, Bit>,
    /// Pulse: a millisecond has passed, for the PHY.
    pub tick: Signal<In, Bit>,
    /// The time in nanoseconds, bits 31:0.
    pub time_lo: Signal<In, Bits<32>>,
    /// Bits 63:32.
    pub time_hi: Signal<In, Bits<32>>,
    /// Bytes 0 to 3 of the MAC address to start with.
    pub mac_lo: Signal<In, Bits<32>>,
    /// Bytes 4 and 5.
    pub mac_hi: Signal<In, Bits<16>>,
    /// Bus, device, function.
    pub completer_id: Signal<In, Bits<16>>,
    /// Bus master enable.
    pub bus_master: Signal<In, Bit>,
    /// Maximum payload size code.
    pub max_payload: Signal<In, Bits<3>>,
    /// Maximum read request size code.
    pub max_read: Signal<In, Bits<3>>,
    /// MSI-X enable.
    pub msix_enable: Signal<In, Bit>,
    /// MSI-X function mask.
    pub msix_mask: Signal<In, Bit>,
    /// What is pending of another port's vectors.
    pub msix_others: Signal<In, Bits<8>>,
    /// What is pending of its own.
    pub msix_waits: Signal<Out, Bits<8>>,
    /// TLPs from the host.
    pub tlp_rx: TlpSink,
    /// TLPs to the host.
    pub tlp_tx: TlpSource,
    /// A TLP from the host is being worked on.
    pub answering: Signal<Out, Bit>,
    /// A read of memory has not been answered whole.
    pub reading: Signal<Out, Bit>,
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
    /// The link is up.
    pub link_up: Signal<Out, Bit>,
    /// The link is one that cannot be used.
    pub link_error: Signal<Out, Bit>,
    /// Something is on the wire.
    pub active: Signal<Out, Bit>,
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
    nic: Nic,
    port: PhyPort,
}

impl Logic for GmiiPort {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, nic, port);
        self.nic.reset.next = self.reset.val();
        self.nic.gmii_rx_clk.next = self.gmii_rx_clk.val();
        self.nic.gmii_tx_clk.next = self.gmii_tx_clk.val();
        self.nic.time_lo.next = self.time_lo.val();
        self.nic.time_hi.next = self.time_hi.val();
        self.nic.mac_lo.next = self.mac_lo.val();
        self.nic.mac_hi.next = self.mac_hi.val();
        self.nic.link_up.next = self.port.link_up.val();
        self.nic.link_speed.next = self.port.link_speed.val();
        MdioSource::join(&mut self.nic.mdio, &mut self.port.host);
        self.nic.completer_id.next = self.completer_id.val();
        self.nic.bus_master.next = self.bus_master.val();
        self.nic.max_payload.next = self.max_payload.val();
        self.nic.max_read.next = self.max_read.val();
        self.nic.msix_enable.next = self.msix_enable.val();
        self.nic.msix_mask.next = self.msix_mask.val();
        self.nic.msix_others.next = self.msix_others.val();
        self.msix_waits.next = self.nic.msix_waits.val();
        TlpSink::link(&mut self.tlp_rx, &mut self.nic.tlp_rx);
        TlpSource::link(&mut self.tlp_tx, &mut self.nic.tlp_tx);
        self.answering.next = self.nic.answering.val();
        self.reading.next = self.nic.reading.val();
        self.nic.gmii_rxd.next = self.gmii_rxd.val();
        self.nic.gmii_rx_dv.next = self.gmii_rx_dv.val();
        self.nic.gmii_rx_er.next = self.gmii_rx_er.val();
        self.gmii_txd.next = self.nic.gmii_txd.val();
        self.gmii_tx_en.next = self.nic.gmii_tx_en.val();
        self.gmii_tx_er.next = self.nic.gmii_tx_er.val();

        self.port.reset.next = self.power_reset.val();
        self.port.tick.next = self.tick.val();
        self.port.gigabit.next = true;
        self.link_speed.next = self.port.link_speed.val();
        self.link_up.next = self.port.link_up.val();
        self.link_error.next = self.port.link_error.val();
        self.active.next = self.port.active.val();
        self.port.phy.next = self.phy.val();
        self.phy_reset_n.next = self.port.phy_reset_n.val();
        self.mdc.next = self.port.mdc.val();
        self.mdio_o.next = self.port.mdio_o.val();
        self.mdio_oe.next = self.port.mdio_oe.val();
        self.port.mdio_i.next = self.mdio_i.val();
        self.port.gmii_rx_clk.next = self.gmii_rx_clk.val();
        self.port.gmii_tx_clk.next = self.gmii_tx_clk.val();
        self.port.gmii_rx_dv.next = self.gmii_rx_dv.val();
        self.port.gmii_tx_en.next = self.nic.gmii_tx_en.val();
    }
}
