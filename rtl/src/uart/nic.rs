//! The NIC behind a UART: the core with the link in the place of a PCIe block, and MII.
use super::link::UartLink;
use crate::nic::Nic;
use crate::pcie::ports::TlpSource;
use crate::phy::ports::MdioSource;
use rust_hdl::prelude::*;

/// What a board without PCIe holds, as the Arty A7 does, but for clocks, cells, the time, and the management of its PHY.
///
/// The core has PUSH mode and slots in their order alone: over a UART a read takes milliseconds.
#[derive(LogicBlock)]
pub struct UartNic {
    /// The core's clock: 62.5 MHz.
    pub clock: Signal<In, Clock>,
    /// MII RX_CLK.
    pub mii_rx_clk: Signal<In, Clock>,
    /// MII TX_CLK.
    pub mii_tx_clk: Signal<In, Clock>,
    /// Synchronous reset, of the link as well.
    pub reset: Signal<In, Bit>,
    /// The time in nanoseconds, bits 31:0.
    pub time_lo: Signal<In, Bits<32>>,
    /// The time in nanoseconds, bits 63:32.
    pub time_hi: Signal<In, Bits<32>>,
    /// The MAC address to start with, bytes 0 to 3.
    pub mac_lo: Signal<In, Bits<32>>,
    /// The MAC address to start with, bytes 4 and 5.
    pub mac_hi: Signal<In, Bits<16>>,
    /// The PHY reports a link.
    pub link_up: Signal<In, Bit>,
    /// The link has 100 Mbit/s, else 10.
    pub link_fast: Signal<In, Bit>,
    /// Transfers that the host wants on the PHY's management interface.
    pub mdio: MdioSource,
    /// The UART's rate in bits a clock, in units of 2^-16: 121 for 115,200, 3146 for 3 M, 12583 for 12 Mbaud.
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
    /// For a LED: the host is there.
    pub host_alive: Signal<Out, Bit>,
    /// Pulse, for a LED: something came from the host that was no whole unit.
    pub damaged: Signal<Out, Bit>,
    /// Something moves or waits inside.
    pub busy: Signal<Out, Bit>,
    /// The core's earliest timer, in ticks of 2^20 ns.
    pub deadline: Signal<Out, Bits<32>>,
    /// That timer runs.
    pub deadline_valid: Signal<Out, Bit>,
    link: UartLink,
    nic: Nic,
}

impl Default for UartNic {
    fn default() -> Self {
        let mut made = Self {
            clock: Default::default(),
            mii_rx_clk: Default::default(),
            mii_tx_clk: Default::default(),
            reset: Default::default(),
            time_lo: Default::default(),
            time_hi: Default::default(),
            mac_lo: Default::default(),
            mac_hi: Default::default(),
            link_up: Default::default(),
            link_fast: Default::default(),
            mdio: Default::default(),
            rate: Default::default(),
            uart_rx: Default::default(),
            uart_tx: Default::default(),
            mii_rxd: Default::default(),
            mii_rx_dv: Default::default(),
            mii_rx_er: Default::default(),
            mii_txd: Default::default(),
            mii_tx_en: Default::default(),
            host_alive: Default::default(),
            damaged: Default::default(),
            busy: Default::default(),
            deadline: Default::default(),
            deadline_valid: Default::default(),
            link: Default::default(),
            nic: Default::default(),
        };
        made.nic.only_push();
        made
    }
}

impl Logic for UartNic {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, link, nic);
        self.nic.gmii_rx_clk.next = self.mii_rx_clk.val();
        self.nic.gmii_tx_clk.next = self.mii_tx_clk.val();
        self.link.reset.next = self.reset.val();
        self.nic.reset.next = self.link.core_reset.val();
        self.link.time_lo.next = self.time_lo.val();
        self.nic.time_lo.next = self.time_lo.val();
        self.nic.time_hi.next = self.time_hi.val();
        self.nic.mac_lo.next = self.mac_lo.val();
        self.nic.mac_hi.next = self.mac_hi.val();
        self.nic.link_up.next = self.link_up.val();
        self.nic.link_speed.next = 0.into();
        if self.link_fast.val() {
            self.nic.link_speed.next = 1.into();
        }
        MdioSource::link(&mut self.mdio, &mut self.nic.mdio);

        self.link.rate.next = self.rate.val();
        self.link.uart_rx.next = self.uart_rx.val();
        self.uart_tx.next = self.link.uart_tx.val();
        TlpSource::join(&mut self.link.down, &mut self.nic.tlp_rx);
        TlpSource::join(&mut self.nic.tlp_tx, &mut self.link.up);
        self.nic.completer_id.next = self.link.completer_id.val();
        self.nic.bus_master.next = self.link.bus_master.val();
        self.nic.max_payload.next = self.link.max_payload.val();
        self.nic.max_read.next = self.link.max_read.val();
        self.nic.msix_enable.next = self.link.msix_enable.val();
        self.nic.msix_mask.next = self.link.msix_mask.val();
        self.nic.msix_others.next = 0.into();
        self.host_alive.next = self.link.alive.val();
        self.damaged.next = self.link.damaged.val();

        self.nic.gmii_rxd.next = bit_cast::<8, 4>(self.mii_rxd.val());
        self.nic.gmii_rx_dv.next = self.mii_rx_dv.val();
        self.nic.gmii_rx_er.next = self.mii_rx_er.val();
        self.mii_txd.next = bit_cast::<4, 8>(self.nic.gmii_txd.val());
        self.mii_tx_en.next = self.nic.gmii_tx_en.val();

        self.busy.next = self.nic.busy.val() | self.link.busy.val();
        self.deadline.next = self.nic.deadline.val();
        self.deadline_valid.next = self.nic.deadline_valid.val();
    }
}
