//! A PHY at the pins of a board with PCI Express: RGMII or GMII in steps of a nanosecond, MDIO, a partner at the other end of the cable.
use ferrule_rtl::pins::Gmii;
use ferrule_sim::engine::verilated::{Module, Pin};

use crate::converter::Converter;
use crate::engine::PERIODS;
use crate::phy_model::{Partner, PhyModel};

/// STATUS.SPEED of 1000 Mbit/s.
const SPEED_1000: u8 = 2;
/// Nanoseconds by which the PHY delays its receive clock.
const DELAY: u64 = 2;

/// The pins of a PHY's data that its kind of interface has.
enum Media {
    Rgmii {
        rx_ctl: Pin,
        tx_ctl: Pin,
    },
    Gmii {
        dv: Pin,
        er: Pin,
        en: Pin,
        tx_er: Pin,
        /// The transmit clock that it gives.
        tx_clk: Pin,
    },
}

/// The PHY.
pub(crate) struct PhyPins {
    rx_clk: Pin,
    rxd: Pin,
    tx_clk: Pin,
    txd: Pin,
    mdio_i: Pin,
    mdio_drive: Pin,
    mdc: Pin,
    mdio_o: Pin,
    mdio_oe: Pin,
    reset_n: Pin,
    media: Media,
    phy: PhyModel,
    /// The speed that the PHY's clocks have: the last one that was negotiated.
    speed: u8,
    converter: Converter,
    /// What the PHY shows at 10 and 100 Mbit/s.
    nibble: Gmii,
    txc: bool,
    /// The half of a byte that came at TXC's rise, with its CTL.
    low: u32,
    sent: Gmii,
}

impl PhyPins {
    /// The PHY of port `port` at `address`, its cable in, with `partner` at its other end.
    pub(crate) fn new(
        module: &Module,
        port: usize,
        rgmii: bool,
        address: u8,
        partner: Partner,
    ) -> Self {
        let number = match port {
            0 => String::new(),
            _ => port.to_string(),
        };
        let pin = |prefix: &str, name: &str| {
            let name = format!("{prefix}{number}{name}");
            module.pin(&name).unwrap_or_else(|| panic!("no pin {name}"))
        };
        let media = match rgmii {
            true => Media::Rgmii {
                rx_ctl: pin("phy", "_rx_ctl"),
                tx_ctl: pin("phy", "_tx_ctl"),
            },
            false => Media::Gmii {
                dv: pin("phy", "_rx_dv"),
                er: pin("phy", "_rx_er"),
                en: pin("phy", "_tx_en"),
                tx_er: pin("phy", "_tx_er"),
                tx_clk: pin("phy", "_mii_tx_clk"),
            },
        };
        let mut phy = PhyModel::new(address);
        phy.connect(Some(partner));
        Self {
            rx_clk: pin("phy", "_rx_clk"),
            rxd: pin("phy", "_rxd"),
            tx_clk: pin("phy", "_tx_clk"),
            txd: pin("phy", "_txd"),
            mdio_i: pin("mdio", "_i"),
            mdio_drive: pin("mdio", "_drive"),
            mdc: pin("mdc", ""),
            mdio_o: pin("mdio", "_o"),
            mdio_oe: pin("mdio", "_oe"),
            reset_n: pin("phy", "_reset_n"),
            media,
            phy,
            speed: SPEED_1000,
            converter: Converter::new(),
            nibble: Gmii::default(),
            txc: false,
            low: 0,
            sent: Gmii::default(),
        }
    }

    /// MDIO and the PHY's reset, once a cycle; `partner` is at the other end of the cable, if it is in.
    pub(crate) fn manage(&mut self, module: &mut Module, partner: Option<Partner>) {
        if module.get(self.reset_n) != 0 {
            if self.phy.held {
                self.phy.reset();
            }
            self.phy.held = false;
        } else {
            self.phy.held = true;
        }
        if partner != self.phy.partner {
            self.phy.connect(partner);
        }
        let driven = (module.get(self.mdio_oe) != 0).then(|| module.get(self.mdio_o) != 0);
        let mdc = module.get(self.mdc) != 0;
        let level = self.phy.clock(mdc, driven);
        module.set(self.mdio_drive, driven.is_none().into());
        module.set(self.mdio_i, level.into());
        let speed = self.phy.speed().unwrap_or(self.speed);
        if speed != self.speed {
            self.speed = speed;
            (self.converter, self.nibble) = (Converter::new(), Gmii::default());
        }
    }

    /// What comes over the cable in a cycle, as the PHY passes it on: nothing without a link.
    pub(crate) fn begin(&mut self, line: Gmii) -> Gmii {
        let line = match self.phy.speed() {
            Some(_) => line,
            None => Gmii::default(),
        };
        if self.speed != SPEED_1000 {
            self.converter.give(line);
        }
        line
    }

    /// What the PHY has put on the cable in a cycle.
    pub(crate) fn end(&mut self) -> Gmii {
        let sent = std::mem::take(&mut self.sent);
        match self.speed {
            _ if self.phy.speed().is_none() => Gmii::default(),
            SPEED_1000 => sent,
            _ => self.converter.byte(),
        }
    }

    /// What the PHY shows in a nanosecond: data at each edge, its clock later (RGMII) or in the middle (GMII, which changes data at a fall). At 10 and 100
    /// Mbit/s a nibble, in RGMII at both edges (RGMII 2.0 section 3.4).
    pub(crate) fn receive(&mut self, module: &mut Module, now_ns: u64, line: Gmii) {
        let period = PERIODS[usize::from(self.speed)];
        let at = now_ns % period;
        let slow = self.speed != SPEED_1000;
        if slow && at == 0 {
            self.nibble = self.converter.nibble();
        }
        let line = if slow { self.nibble } else { line };
        match self.media {
            Media::Rgmii { rx_ctl, .. } => {
                let second = at >= period / 2;
                let data = match second && !slow {
                    true => line.data >> 4,
                    false => line.data,
                };
                let ctl = if second {
                    line.valid != line.error
                } else {
                    line.valid
                };
                module.set(self.rxd, u32::from(data & 0xF));
                module.set(rx_ctl, ctl.into());
                let high = (DELAY..DELAY + period / 2).contains(&at);
                module.set(self.rx_clk, high.into());
            }
            Media::Gmii { dv, er, tx_clk, .. } => {
                module.set(self.rxd, line.data.into());
                module.set(dv, line.valid.into());
                module.set(er, line.error.into());
                let high = at >= period / 2;
                module.set(self.rx_clk, high.into());
                // At 1000 Mbit/s this one is not used; it keeps the 25 MHz that the PHY has after its reset.
                let period = PERIODS[usize::from(self.speed.min(1))];
                let at = now_ns % period;
                if slow && at == period / 2 {
                    let nibble = self.shown(module);
                    self.converter.take(nibble);
                }
                module.set(tx_clk, (at >= period / 2).into());
            }
        }
    }

    /// What is on the pins of a GMII's transmitter.
    fn shown(&self, module: &Module) -> Gmii {
        let Media::Gmii { en, tx_er, .. } = self.media else {
            return Gmii::default();
        };
        Gmii {
            data: module.get(self.txd) as u8,
            valid: module.get(en) != 0,
            error: module.get(tx_er) != 0,
        }
    }

    /// What the PHY takes at an edge of the board's transmit clock.
    pub(crate) fn transmit(&mut self, module: &Module) {
        let txc = module.get(self.tx_clk) != 0;
        if txc == self.txc {
            return;
        }
        self.txc = txc;
        match self.media {
            Media::Rgmii { tx_ctl, .. } => {
                let bits = module.get(self.txd) | module.get(tx_ctl) << 4;
                if txc {
                    self.low = bits;
                    return;
                }
                // RGMII 2.0 table 1: EN with the rise, EN xor ER with the fall.
                let [en, other] = [self.low, bits].map(|b| b & 16 != 0);
                let sent = Gmii {
                    data: (self.low & 0xF | (bits & 0xF) << 4) as u8,
                    valid: en,
                    error: en != other,
                };
                match self.speed {
                    SPEED_1000 => self.sent = sent,
                    _ => self.converter.take(sent),
                }
            }
            Media::Gmii { .. } if txc && self.speed == SPEED_1000 => self.sent = self.shown(module),
            Media::Gmii { .. } => {}
        }
    }
}
