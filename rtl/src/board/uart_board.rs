//! An Arty but for its cells: the NIC behind a UART, with the board's services.
use super::phy_port::PhyPort;
use super::services::Services;
use crate::phy::ports::MdioSource;
use crate::uart::nic::UartNic;
use rust_hdl::prelude::*;

/// All ports belong to `clock`, of 62.5 MHz, but those of the MII and the UART's line.
#[derive(LogicBlock, Default)]
pub struct UartBoard {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// MII RX_CLK.
    pub mii_rx_clk: Signal<In, Clock>,
    /// MII TX_CLK.
    pub mii_tx_clk: Signal<In, Clock>,
    /// The board's clocks are not good yet, or its reset button is pressed; without glitches.
    pub hold: Signal<In, Bit>,
    /// For simulation: the PHY's milliseconds are 4 us.
    pub fast: Signal<In, Bit>,
    /// The UART's rate in bits a clock, in units of 2^-16.
    pub rate: Signal<In, Bits<16>>,
    /// The line from the host.
    pub uart_rx: Signal<In, Bit>,
    /// The line to the host.
    pub uart_tx: Signal<Out, Bit>,
    /// MII RXD.
    pub mii_rxd: Signal<In, Bits<4>>,
    /// MII RX_DV.
    pub mii_rx_dv: Signal<In, Bit>,
    /// MII RX_ER.
    pub mii_rx_er: Signal<In, Bit>,
    /// MII TXD.
    pub mii_txd: Signal<Out, Bits<4>>,
    /// MII TX_EN.
    pub mii_tx_en: Signal<Out, Bit>,
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
    /// The host is there.
    pub host_alive: Signal<Out, Bit>,
    nic: UartNic,
    services: Services<16>,
    port: PhyPort,
    reset: DFF<Bit>,
}

impl Logic for UartBoard {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, reset);
        clock!(self, clock, nic, services, port);
        self.reset.d.next = !self.services.ready.val();
        self.nic.reset.next = self.reset.q.val();
        self.nic.mii_rx_clk.next = self.mii_rx_clk.val();
        self.nic.mii_tx_clk.next = self.mii_tx_clk.val();
        self.nic.time_lo.next = self.services.time_lo.val();
        self.nic.time_hi.next = self.services.time_hi.val();
        self.nic.mac_lo.next = self.services.mac_lo.val();
        self.nic.mac_hi.next = self.services.mac_hi.val();
        self.nic.link_up.next = self.port.link_up.val();
        self.nic.link_fast.next = self.port.link_speed.val() == 1;
        MdioSource::join(&mut self.nic.mdio, &mut self.port.host);
        self.nic.rate.next = self.rate.val();
        self.nic.uart_rx.next = self.uart_rx.val();
        self.uart_tx.next = self.nic.uart_tx.val();
        self.nic.mii_rxd.next = self.mii_rxd.val();
        self.nic.mii_rx_dv.next = self.mii_rx_dv.val();
        self.nic.mii_rx_er.next = self.mii_rx_er.val();
        self.mii_txd.next = self.nic.mii_txd.val();
        self.mii_tx_en.next = self.nic.mii_tx_en.val();
        self.host_alive.next = self.nic.host_alive.val();

        self.services.hold.next = self.hold.val();
        self.services.fast.next = self.fast.val();
        self.services.dna_dout.next = self.dna_dout.val();
        self.dna_clk.next = self.services.dna_clk.val();
        self.dna_read.next = self.services.dna_read.val();
        self.dna_shift.next = self.services.dna_shift.val();
        self.port.reset.next = self.services.power_reset.val();
        self.port.tick.next = self.services.tick.val();
        self.port.phy.next = self.phy.val();
        self.port.gigabit.next = false;
        self.phy_reset_n.next = self.port.phy_reset_n.val();
        self.mdc.next = self.port.mdc.val();
        self.mdio_o.next = self.port.mdio_o.val();
        self.mdio_oe.next = self.port.mdio_oe.val();
        self.port.mdio_i.next = self.mdio_i.val();
        self.port.gmii_rx_clk.next = self.mii_rx_clk.val();
        self.port.gmii_tx_clk.next = self.mii_tx_clk.val();
        self.port.gmii_rx_dv.next = self.mii_rx_dv.val();
        self.port.gmii_tx_en.next = self.nic.mii_tx_en.val();
        self.services.link.next = self.port.link_up.val();
        self.services.activity.next = self.port.active.val();
        self.services.error.next = self.nic.damaged.val() | self.port.link_error.val();
        self.leds.next = self.services.leds.val();
    }
}
