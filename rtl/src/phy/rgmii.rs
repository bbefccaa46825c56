//! RGMII (Reduced Gigabit Media Independent Interface, version 2.0) to GMII and MII, for the 7-series.
use super::cells::*;
use crate::mac::sync::Sync;
use rust_hdl::prelude::*;

/// Joins the pins of an RGMII with those of [`crate::mac::Mac`]: both halves of a byte in a clock of 125 MHz, and at 10 and 100 Mbit/s a nibble
/// twice in one of 2.5 or 25 MHz. `TAPS` delays the data that comes in; 0 where the PHY delays RXC.
///
/// CTL carries DV or EN at a rise and its exclusive or with ER at a fall (table 1, section 3.4.2). Two clocks of the receive clock lie between pins and GMII,
/// one of the transmit clock the other way.
#[derive(LogicBlock, Default)]
pub struct Rgmii<const TAPS: usize> {
    /// RXC, through its clock buffer.
    pub gmii_rx_clk: Signal<In, Clock>,
    /// Transmit clock: 125, 25 or 2.5 MHz.
    pub gmii_tx_clk: Signal<In, Clock>,
    /// The same a quarter of a period later; `gmii_tx_clk` itself where the PHY delays TXC.
    pub txc_clk: Signal<In, Clock>,
    /// 2: 1000 Mbit/s, else 10 or 100; out of a flip-flop of any clock.
    pub link_speed: Signal<In, Bits<2>>,
    /// Pins RD.
    pub rgmii_rd: Signal<In, Bits<4>>,
    /// Pin RX_CTL.
    pub rgmii_rx_ctl: Signal<In, Bit>,
    /// Pin TXC.
    pub rgmii_txc: Signal<Out, Bit>,
    /// Pins TD.
    pub rgmii_td: Signal<Out, Bits<4>>,
    /// Pin TX_CTL.
    pub rgmii_tx_ctl: Signal<Out, Bit>,
    /// GMII RXD; of MII in bits 3:0.
    pub gmii_rxd: Signal<Out, Bits<8>>,
    /// GMII RX_DV.
    pub gmii_rx_dv: Signal<Out, Bit>,
    /// GMII RX_ER.
    pub gmii_rx_er: Signal<Out, Bit>,
    /// GMII TXD; of MII in bits 3:0.
    pub gmii_txd: Signal<In, Bits<8>>,
    /// GMII TX_EN.
    pub gmii_tx_en: Signal<In, Bit>,
    /// GMII TX_ER.
    pub gmii_tx_er: Signal<In, Bit>,
    /// What the PHY said last between frames (section 3.4.1, optional for a PHY): bit 0 link, bits 2:1 speed as STATUS.SPEED, bit 3 full duplex. In the
    /// receive clock.
    pub in_band: Signal<Out, Bits<4>>,
    delay: Idelay<5, TAPS>,
    rx_ddr: Iddr<5>,
    tx_ddr: Oddr<5>,
    txc_ddr: Oddr<1>,
    speed: Sync<2>,
    status: DFF<Bits<4>>,
    pins: Signal<Local, Bits<5>>,
    low: Signal<Local, Bits<4>>,
    high: Signal<Local, Bits<4>>,
    valid: Signal<Local, Bit>,
    control: Signal<Local, Bit>,
    out_low: Signal<Local, Bits<4>>,
    out_high: Signal<Local, Bits<4>>,
    out_control: Signal<Local, Bit>,
    /// Bit 4 of what goes out in each half.
    out_en: Signal<Local, Bits<5>>,
    out_en_er: Signal<Local, Bits<5>>,
    out: Signal<Local, Bits<5>>,
}

impl<const TAPS: usize> Logic for Rgmii<TAPS> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, gmii_rx_clk, status);
        self.pins.next = bit_cast::<5, 4>(self.rgmii_rd.val());
        if self.rgmii_rx_ctl.val() {
            self.pins.next = bit_cast::<5, 4>(self.rgmii_rd.val()) | 16;
        }
        self.delay.d.next = self.pins.val();
        self.rx_ddr.clock.next = self.gmii_rx_clk.val();
        self.rx_ddr.d.next = self.delay.q.val();
        self.low.next = bit_cast::<4, 5>(self.rx_ddr.q1.val());
        self.high.next = bit_cast::<4, 5>(self.rx_ddr.q2.val());
        self.valid.next = self.rx_ddr.q1.val().get_bit(4);
        self.control.next = self.rx_ddr.q2.val().get_bit(4);
        self.gmii_rxd.next =
            (bit_cast::<8, 4>(self.high.val()) << 4) | bit_cast::<8, 4>(self.low.val());
        self.gmii_rx_dv.next = self.valid.val();
        self.gmii_rx_er.next = self.valid.val() ^ self.control.val();
        self.in_band.next = self.status.q.val();
        if !self.valid.val() & !self.control.val() {
            self.status.d.next = self.low.val();
        }

        self.speed.clock.next = self.gmii_tx_clk.val();
        self.speed.d.next = self.link_speed.val();
        self.out_low.next = bit_cast::<4, 8>(self.gmii_txd.val());
        self.out_high.next = self.gmii_txd.val().get_bits::<4>(4);
        if self.speed.q.val() != 2 {
            self.out_high.next = self.out_low.val();
        }
        self.out_control.next = self.gmii_tx_en.val() ^ self.gmii_tx_er.val();
        self.out_en.next = 0.into();
        if self.gmii_tx_en.val() {
            self.out_en.next = 16.into();
        }
        self.out_en_er.next = 0.into();
        if self.out_control.val() {
            self.out_en_er.next = 16.into();
        }
        self.tx_ddr.clock.next = self.gmii_tx_clk.val();
        self.tx_ddr.d1.next = bit_cast::<5, 4>(self.out_low.val()) | self.out_en.val();
        self.tx_ddr.d2.next = bit_cast::<5, 4>(self.out_high.val()) | self.out_en_er.val();
        self.out.next = self.tx_ddr.q.val();
        self.rgmii_td.next = bit_cast::<4, 5>(self.out.val());
        self.rgmii_tx_ctl.next = self.out.val().get_bit(4);
        self.txc_ddr.clock.next = self.txc_clk.val();
        self.txc_ddr.d1.next = 1.into();
        self.txc_ddr.d2.next = 0.into();
        self.rgmii_txc.next = self.txc_ddr.q.val().any();
    }
}
