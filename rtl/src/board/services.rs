//! What every board has around its NIC: the time, a MAC address, the management of its PHY, LEDs.
use super::dna::DnaReader;
use super::leds::Leds;
use super::time::TimeCounter;
use crate::mac::reset::ResetSync;
use crate::mac::sync::Sync;
use crate::phy::manager::PhyManager;
use crate::phy::ports::MdioSink;
use crate::phy::search::PhySearch;
use rust_hdl::prelude::*;

/// The services of a board whose core's clock has a period of `NS` nanoseconds. They begin when the clocks are good, and no reset of the NIC stops them: a
/// link stays up while its host starts again.
#[derive(LogicBlock, Default)]
pub struct Services<const NS: u64> {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// The board's clocks are not good yet; without glitches.
    pub hold: Signal<In, Bit>,
    /// For simulation: the PHY's milliseconds are 4 us.
    pub fast: Signal<In, Bit>,
    /// The time in nanoseconds, bits 31:0.
    pub time_lo: Signal<Out, Bits<32>>,
    /// Bits 63:32.
    pub time_hi: Signal<Out, Bits<32>>,
    /// Pin CLK of DNA_PORT.
    pub dna_clk: Signal<Out, Bit>,
    /// Pin READ.
    pub dna_read: Signal<Out, Bit>,
    /// Pin SHIFT.
    pub dna_shift: Signal<Out, Bit>,
    /// Pin DOUT.
    pub dna_dout: Signal<In, Bit>,
    /// The MAC address is there; until then the NIC is to be held in reset.
    pub ready: Signal<Out, Bit>,
    /// Bytes 0 to 3 of the MAC address.
    pub mac_lo: Signal<Out, Bits<32>>,
    /// Bytes 4 and 5.
    pub mac_hi: Signal<Out, Bits<16>>,
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
    /// Something went wrong, for the LED.
    pub error: Signal<In, Bit>,
    /// See [`Leds`].
    pub leds: Signal<Out, Bits<4>>,
    power: ResetSync,
    counter: TimeCounter<NS>,
    dna: DnaReader,
    manager: PhyManager,
    search: PhySearch,
    show: Leds,
    receives: DFF<Bits<1>>,
    sends: DFF<Bits<1>>,
    receives_seen: Sync<1>,
    sends_seen: Sync<1>,
    /// The bit of the time that a millisecond is taken from.
    beat: DFF<Bit>,
    half: Signal<Local, Bit>,
}

impl<const NS: u64> Logic for Services<NS> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, beat);
        dff_setup!(self, gmii_rx_clk, receives);
        dff_setup!(self, gmii_tx_clk, sends);
        clock!(
            self,
            clock,
            power,
            counter,
            dna,
            manager,
            search,
            show,
            receives_seen,
            sends_seen
        );
        self.power.d.next = self.hold.val();
        self.time_lo.next = self.counter.time_lo.val();
        self.time_hi.next = self.counter.time_hi.val();

        self.dna.reset.next = self.power.q.val();
        self.dna_clk.next = self.dna.dna_clk.val();
        self.dna_read.next = self.dna.dna_read.val();
        self.dna_shift.next = self.dna.dna_shift.val();
        self.dna.dna_dout.next = self.dna_dout.val();
        self.ready.next = self.dna.done.val();
        self.mac_lo.next = self.dna.mac_lo.val();
        self.mac_hi.next = self.dna.mac_hi.val();

        self.half.next = self.counter.time_lo.val().get_bit(20);
        if self.fast.val() {
            self.half.next = self.counter.time_lo.val().get_bit(12);
        }
        self.beat.d.next = self.half.val();
        self.manager.tick.next = self.beat.q.val() != self.half.val();
        self.manager.reset.next = self.power.q.val() | self.search.restart.val();
        self.manager.gigabit.next = self.gigabit.val();
        self.manager.phy.next = self.search.phy.val();
        self.manager.mdio_i.next = self.mdio_i.val();
        self.search.reset.next = self.power.q.val();
        self.search.first.next = self.phy.val();
        self.search.asked.next = self.manager.asked.val();
        self.search.answered.next = self.manager.answered.val();
        MdioSink::link(&mut self.host, &mut self.manager.host);
        self.link_up.next = self.manager.link_up.val();
        self.link_speed.next = self.manager.link_speed.val();
        self.phy_reset_n.next = self.manager.phy_reset_n.val();
        self.mdc.next = self.manager.mdc.val();
        self.mdio_o.next = self.manager.mdio_o.val();
        self.mdio_oe.next = self.manager.mdio_oe.val();

        self.receives.d.next = bit_cast::<1, 1>(self.gmii_rx_dv.val().into());
        self.sends.d.next = bit_cast::<1, 1>(self.gmii_tx_en.val().into());
        self.receives_seen.d.next = self.receives.q.val();
        self.sends_seen.d.next = self.sends.q.val();
        self.show.reset.next = self.power.q.val();
        self.show.time_lo.next = self.counter.time_lo.val();
        self.show.link.next = self.manager.link_up.val();
        self.show.activity.next = self.receives_seen.q.val().any() | self.sends_seen.q.val().any();
        self.show.error.next = self.error.val() | self.manager.link_error.val();
        self.leds.next = self.show.leds.val();
    }
}
