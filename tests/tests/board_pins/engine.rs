//! A whole board as an engine: its Verilog with models of the vendor's cells, driven at its pins in steps of a nanosecond.
//!
//! What an engine takes and gives beat by beat and byte by byte goes through the PCI Express block's AXI4-Streams and the PHY's pins, MDIO included.
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ferrule_rtl::board::description::{Board, Top};
use ferrule_rtl::board::export::files;
use ferrule_rtl::pins::{Clocks, Gmii, Inputs, Outputs, TlpBeat};
use ferrule_sim::engine::verilated::{Module, Pin};
use ferrule_sim::engine::{verilator, Engine, EngineError};

use crate::converter::Converter;
use crate::phy_model::{Partner, PhyModel};

pub(crate) const CELLS: &str = include_str!("../../../rtl/tests/boards/cells.v");
const BLOCK: &str = include_str!("../../../rtl/tests/boards/pcie_7x_0.v");
const INSIDE: &str = include_str!("inside.v");
/// Nanoseconds in a period of 125 MHz.
const SLOTS: u64 = 8;
/// Nanoseconds in a period of the PHY's clocks at 10, 100 and 1000 Mbit/s.
pub(crate) const PERIODS: [u64; 3] = [400, 40, 8];
/// STATUS.SPEED of 1000 Mbit/s.
const SPEED_1000: u8 = 2;
/// Nanoseconds by which the PHY delays its receive clock.
const DELAY: u64 = 2;
/// The partner at the other end of the cable: 10, 100 and 1000 Mbit/s, full duplex, as IEEE 802.3 clauses 28 and 40 have them in ANLPAR and GBSR.
pub(crate) const PARTNER: Partner = Partner::Negotiates {
    base: 0x41E1,
    gigabit: 0x0800,
};
/// One with 100 Mbit/s alone, full and half duplex.
pub(crate) const PARTNER_100: Partner = Partner::Negotiates {
    base: 0x4181,
    gigabit: 0,
};
/// One with 10 Mbit/s alone.
pub(crate) const PARTNER_10: Partner = Partner::Negotiates {
    base: 0x4061,
    gigabit: 0,
};

macro_rules! pins {
    ($($name:ident),*) => {
        struct Pins { $($name: Pin),* }
        impl Pins {
            fn of(module: &Module) -> Self {
                let pin = |name: &str| module.pin(name).unwrap_or_else(|| panic!("no pin {name}"));
                Self { $($name: pin(stringify!($name))),* }
            }
        }
    };
}
pins!(
    vco,
    user_clk,
    user_reset,
    user_lnk_up,
    rx_d0,
    rx_d1,
    rx_keep,
    rx_last,
    rx_valid,
    rx_ready,
    rx_user,
    tx_d0,
    tx_d1,
    tx_keep,
    tx_last,
    tx_valid,
    tx_ready,
    completer_id,
    command,
    dcommand,
    msix_enable,
    msix_mask,
    mdio_i,
    mdio_drive,
    mdc,
    mdio_o,
    mdio_oe,
    phy_reset_n,
    led,
    phy_rx_clk,
    phy_rxd,
    phy_tx_clk,
    phy_txd
);

/// What whoever holds the simulator sees and changes of a board.
pub(crate) struct Outside {
    partner: Mutex<Partner>,
    leds: AtomicU32,
}

impl Outside {
    pub(crate) fn new(partner: Partner) -> Arc<Self> {
        Arc::new(Self {
            partner: Mutex::new(partner),
            leds: AtomicU32::new(0),
        })
    }

    /// Who will be at the other end of the cable when it is plugged in.
    pub(crate) fn set_partner(&self, partner: Partner) {
        *self.partner.lock().unwrap_or_else(PoisonError::into_inner) = partner;
    }

    pub(crate) fn partner(&self) -> Partner {
        *self.partner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Link, activity, error, heartbeat.
    pub(crate) fn leds(&self) -> u32 {
        self.leds.load(Ordering::Relaxed)
    }

    pub(crate) fn show(&self, leds: u32) {
        self.leds.store(leds, Ordering::Relaxed);
    }
}

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

/// How often the PCI Express block shows a beat that it has, and takes one that it is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gaps {
    pub(crate) seed: u64,
    /// Of eight cycles, in how many it goes on.
    pub(crate) of_eight: u64,
}

/// The board.
pub(crate) struct BoardEngine {
    module: Module,
    pins: Pins,
    media: Media,
    phy: PhyModel,
    outside: Arc<Outside>,
    /// The speed that the PHY's clocks have: the last one that was negotiated.
    speed: u8,
    converter: Converter,
    /// What the PHY shows at 10 and 100 Mbit/s.
    nibble: Gmii,
    random: u64,
    of_eight: u64,
    /// The beat at the block's output stays until it is taken.
    shown: bool,
    /// The next beat from the host is the first of a TLP.
    first: bool,
    /// What the next TLP's beats are said to have hit, in place of what their type and BAR say.
    pub(crate) hit: Option<u32>,
    /// The block marks what it gives as poisoned, whatever the header says.
    pub(crate) poison: bool,
    txc: bool,
    /// The half of a byte that came at TXC's rise, with its CTL.
    low: u32,
    sent: Gmii,
    cycles: u64,
}

impl BoardEngine {
    /// The board's top with what is around it; the PHY is at `address`, and the cable in.
    pub(crate) fn open(
        board: &'static Board,
        address: u8,
        gaps: Gaps,
    ) -> Result<Self, EngineError> {
        let files = files(board).map_err(EngineError::Export)?;
        let around = match board.top {
            Top::PcieRgmii { .. } => include_str!("around_rgmii.v"),
            Top::PcieGmii => include_str!("around_gmii.v"),
            Top::Uart(_) => panic!("{} has no PCI Express", board.name),
        };
        // Milliseconds of the PHY's management would be half an hour.
        let top = format!("{} #(.FAST(1'b1)) dut", board.module());
        let around = around.replace("`INSIDE", INSIDE).replace("board dut", &top);
        let verilog = files.iter().filter(|f| f.name.ends_with(".v"));
        let text: String = verilog
            .map(|f| f.text.as_str())
            .chain([CELLS, BLOCK, &around])
            .collect();
        let module = Module::build(&text, "around", Path::new(&verilator::cache_dir()))?;
        let pin = |name: &str| module.pin(name).unwrap_or_else(|| panic!("no pin {name}"));
        let media = match board.top {
            Top::PcieRgmii { .. } => Media::Rgmii {
                rx_ctl: pin("phy_rx_ctl"),
                tx_ctl: pin("phy_tx_ctl"),
            },
            Top::PcieGmii => Media::Gmii {
                dv: pin("phy_rx_dv"),
                er: pin("phy_rx_er"),
                en: pin("phy_tx_en"),
                tx_er: pin("phy_tx_er"),
                tx_clk: pin("phy_mii_tx_clk"),
            },
            Top::Uart(_) => panic!("{} has no PCI Express", board.name),
        };
        let mut phy = PhyModel::new(address);
        phy.connect(Some(PARTNER));
        Ok(Self {
            outside: Outside::new(PARTNER),
            speed: SPEED_1000,
            converter: Converter::new(),
            nibble: Gmii::default(),
            pins: Pins::of(&module),
            module,
            media,
            phy,
            random: gaps.seed | 1,
            of_eight: gaps.of_eight,
            shown: false,
            first: true,
            hit: None,
            poison: false,
            txc: false,
            low: 0,
            sent: Gmii::default(),
            cycles: 0,
        })
    }

    /// What can be seen and changed from outside.
    pub(crate) fn outside(&self) -> Arc<Outside> {
        Arc::clone(&self.outside)
    }

    /// Link, activity, error, heartbeat.
    pub(crate) fn leds(&self) -> u32 {
        self.module.get(self.pins.led)
    }

    fn go(&mut self) -> bool {
        // xorshift64 (Marsaglia 2003).
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 32) % 8 < self.of_eight
    }

    fn set(&mut self, pin: impl Fn(&Pins) -> Pin, value: u32) {
        let pin = pin(&self.pins);
        self.module.set(pin, value);
    }

    fn is(&self, pin: impl Fn(&Pins) -> Pin) -> bool {
        self.module.get(pin(&self.pins)) != 0
    }

    /// What the block shows and takes in this cycle.
    fn drive_block(&mut self, inputs: &Inputs) {
        self.set(|p| p.user_reset, inputs.reset.into());
        self.set(|p| p.user_lnk_up, (!inputs.reset).into());
        self.set(|p| p.completer_id, inputs.completer_id.into());
        self.set(|p| p.command, u32::from(inputs.bus_master) << 2);
        // PCIe 2.1, section 7.8.4.
        let control = u32::from(inputs.max_payload) << 5 | u32::from(inputs.max_read) << 12;
        self.set(|p| p.dcommand, control);
        self.set(|p| p.msix_enable, inputs.msix_enable.into());
        self.set(|p| p.msix_mask, inputs.msix_mask.into());
        if inputs.reset {
            (self.shown, self.first) = (false, true);
        }
        self.shown = inputs.tlp_rx.is_some() && (self.shown || self.go());
        let beat = inputs.tlp_rx.filter(|_| self.shown).unwrap_or_default();
        // A completion is for no BAR (PG054, m_axis_rx_tuser).
        if self.shown && self.first {
            let completion = beat.d0 >> 24 & 0x1E == 0x0A;
            let hit = if completion { 0 } else { 1 << beat.bar };
            let user = self.hit.unwrap_or(hit) << 2 | u32::from(self.poison) << 1;
            self.set(|p| p.rx_user, user);
        }
        self.set(|p| p.rx_d0, beat.d0);
        self.set(|p| p.rx_d1, beat.d1);
        self.set(|p| p.rx_keep, if beat.half { 0x0F } else { 0xFF });
        self.set(|p| p.rx_last, beat.last.into());
        self.set(|p| p.rx_valid, self.shown.into());
        let takes = inputs.tlp_tx_ready && self.go();
        self.set(|p| p.tx_ready, takes.into());
    }

    /// What moves on the block's streams in this cycle.
    fn sample_block(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        outputs.tlp_rx_ready = self.shown && self.is(|p| p.rx_ready);
        if outputs.tlp_rx_ready {
            self.shown = false;
            self.first = inputs.tlp_rx.is_some_and(|beat| beat.last);
        }
        if self.is(|p| p.tx_valid) && self.is(|p| p.tx_ready) {
            let keep = self.module.get(self.pins.tx_keep);
            assert!(keep == 0xFF || keep == 0x0F, "tkeep {keep:02x}");
            outputs.tlp_tx = Some(TlpBeat {
                d0: self.module.get(self.pins.tx_d0),
                d1: self.module.get(self.pins.tx_d1),
                half: keep == 0x0F,
                last: self.is(|p| p.tx_last),
                bar: 0,
            });
        }
    }

    /// MDIO and the PHY's reset, once a cycle.
    fn manage(&mut self, link: bool) {
        if self.is(|p| p.phy_reset_n) {
            if self.phy.held {
                self.phy.reset();
            }
            self.phy.held = false;
        } else {
            self.phy.held = true;
        }
        let partner = link.then(|| self.outside.partner());
        if partner != self.phy.partner {
            self.phy.connect(partner);
        }
        let driven = self.is(|p| p.mdio_oe).then(|| self.is(|p| p.mdio_o));
        let mdc = self.is(|p| p.mdc);
        let level = self.phy.clock(mdc, driven);
        self.set(|p| p.mdio_drive, driven.is_none().into());
        self.set(|p| p.mdio_i, level.into());
        let speed = self.phy.speed().unwrap_or(self.speed);
        if speed != self.speed {
            self.speed = speed;
            (self.converter, self.nibble) = (Converter::new(), Gmii::default());
        }
    }

    /// What the PHY shows in a nanosecond: data at each edge, its clock later (RGMII) or in the middle (GMII, which changes data at a fall). At 10 and 100
    /// Mbit/s a nibble, in RGMII at both edges (RGMII 2.0 section 3.4).
    fn receive(&mut self, now_ns: u64, line: Gmii) {
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
                self.set(|p| p.phy_rxd, u32::from(data & 0xF));
                self.module.set(rx_ctl, ctl.into());
                let high = (DELAY..DELAY + period / 2).contains(&at);
                self.set(|p| p.phy_rx_clk, high.into());
            }
            Media::Gmii { dv, er, tx_clk, .. } => {
                self.set(|p| p.phy_rxd, line.data.into());
                self.module.set(dv, line.valid.into());
                self.module.set(er, line.error.into());
                let high = at >= period / 2;
                self.set(|p| p.phy_rx_clk, high.into());
                // At 1000 Mbit/s this one is not used; it keeps the 25 MHz that the PHY has after its reset.
                let period = PERIODS[usize::from(self.speed.min(1))];
                let at = now_ns % period;
                if slow && at == period / 2 {
                    let nibble = self.shown();
                    self.converter.take(nibble);
                }
                self.module.set(tx_clk, (at >= period / 2).into());
            }
        }
    }

    /// What is on the pins of a GMII's transmitter.
    fn shown(&self) -> Gmii {
        let Media::Gmii { en, tx_er, .. } = self.media else {
            return Gmii::default();
        };
        Gmii {
            data: self.module.get(self.pins.phy_txd) as u8,
            valid: self.module.get(en) != 0,
            error: self.module.get(tx_er) != 0,
        }
    }

    /// What the PHY takes at an edge of the board's transmit clock.
    fn transmit(&mut self) {
        let txc = self.is(|p| p.phy_tx_clk);
        if txc == self.txc {
            return;
        }
        self.txc = txc;
        match self.media {
            Media::Rgmii { tx_ctl, .. } => {
                let bits = self.module.get(self.pins.phy_txd) | self.module.get(tx_ctl) << 4;
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
            Media::Gmii { .. } if txc && self.speed == SPEED_1000 => self.sent = self.shown(),
            Media::Gmii { .. } => {}
        }
    }
}

impl Engine for BoardEngine {
    fn step(&mut self, clocks: Clocks, inputs: &Inputs) -> Outputs {
        assert_eq!(clocks, Clocks::ALL, "all clocks have 125 MHz");
        let mut outputs = Outputs {
            busy: true,
            ..Outputs::default()
        };
        self.manage(inputs.link_up);
        self.drive_block(inputs);
        // Nothing goes through a PHY without a link.
        let linked = self.phy.speed().is_some();
        let line = if linked {
            inputs.gmii_rx
        } else {
            Gmii::default()
        };
        if self.speed != SPEED_1000 {
            self.converter.give(line);
        }
        for slot in 0..SLOTS {
            self.set(|p| p.user_clk, (slot >= SLOTS / 2).into());
            self.set(|p| p.vco, (slot & 1) as u32);
            self.receive(self.cycles * SLOTS + slot, line);
            self.module.settle();
            self.transmit();
            if slot == 0 {
                self.sample_block(inputs, &mut outputs);
            }
        }
        let sent = std::mem::take(&mut self.sent);
        outputs.gmii_tx = match self.speed {
            _ if !linked => Gmii::default(),
            SPEED_1000 => sent,
            _ => self.converter.byte(),
        };
        self.outside.show(self.leds());
        self.cycles += 1;
        outputs
    }

    fn name(&self) -> &'static str {
        "board"
    }

    fn cycles(&self) -> u64 {
        self.cycles
    }

    fn trace_start(&mut self, _path: &Path) -> Result<(), EngineError> {
        Err(EngineError::NoTracing)
    }

    fn trace_stop(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
}
