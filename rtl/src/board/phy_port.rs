//! What a board has around each PHY: its management, the search for it, and whether anything is on its wire.
use crate::mac::sync::Sync;
use crate::phy::manager::PhyManager;
use crate::phy::ports::MdioSink;
use crate::phy::search::PhySearch;
use rust_hdl::prelude::*;

/// A PHY's management interface, and what its data pins tell the LEDs.
#[derive(LogicBlock, Default)]
pub struct PhyPort {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Power-up: no other reset takes a link down.
    pub reset: Signal<In, Bit>,
    /// Pulse: a millisecond has passed.
    pub tick: Signal<In, Bit>,
    /// The PHY's address, or where to begin to look for it.
    pub phy: Signal<In, Bits<5>>,
    /// The board can do 1000 Mbit/s.
    pub gigabit: Signal<In, Bit>,
    /// Transfers of the host.
    pub host: MdioSink,
    /// The link is up.
    pub link_up: Signal<Out, Bit>,
    /// 0: 10, 1: 100, 2: 1000 Mbit/s.
    pub link_speed: Signal<Out, Bits<2>>,
    /// The link is one that cannot be used.
    pub link_error: Signal<Out, Bit>,
    /// Something is on the wire.
    pub active: Signal<Out, Bit>,
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
    /// GMII or MII RX_CLK.
    pub gmii_rx_clk: Signal<In, Clock>,
    /// GMII or MII TX_CLK.
    pub gmii_tx_clk: Signal<In, Clock>,
    /// RX_DV, in the first.
    pub gmii_rx_dv: Signal<In, Bit>,
    /// TX_EN, in the second.
    pub gmii_tx_en: Signal<In, Bit>,
    manager: PhyManager,
    search: PhySearch,
    receives: DFF<Bits<1>>,
    sends: DFF<Bits<1>>,
    receives_seen: Sync<1>,
    sends_seen: Sync<1>,
}

impl Logic for PhyPort {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, gmii_rx_clk, receives);
        dff_setup!(self, gmii_tx_clk, sends);
        clock!(self, clock, manager, search, receives_seen, sends_seen);
        self.manager.tick.next = self.tick.val();
        self.manager.reset.next = self.reset.val() | self.search.restart.val();
        self.manager.gigabit.next = self.gigabit.val();
        self.manager.phy.next = self.search.phy.val();
        self.manager.mdio_i.next = self.mdio_i.val();
        self.search.reset.next = self.reset.val();
        self.search.first.next = self.phy.val();
        self.search.asked.next = self.manager.asked.val();
        self.search.answered.next = self.manager.answered.val();
        MdioSink::link(&mut self.host, &mut self.manager.host);
        self.link_up.next = self.manager.link_up.val();
        self.link_speed.next = self.manager.link_speed.val();
        self.link_error.next = self.manager.link_error.val();
        self.phy_reset_n.next = self.manager.phy_reset_n.val();
        self.mdc.next = self.manager.mdc.val();
        self.mdio_o.next = self.manager.mdio_o.val();
        self.mdio_oe.next = self.manager.mdio_oe.val();

        self.receives.d.next = bit_cast::<1, 1>(self.gmii_rx_dv.val().into());
        self.sends.d.next = bit_cast::<1, 1>(self.gmii_tx_en.val().into());
        self.receives_seen.d.next = self.receives.q.val();
        self.sends_seen.d.next = self.sends.q.val();
        self.active.next = self.receives_seen.q.val().any() | self.sends_seen.q.val().any();
    }
}
