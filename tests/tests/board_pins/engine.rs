//! A whole board as an engine: its Verilog with models of the vendor's cells, driven at its pins in steps of a nanosecond.
//!
//! What an engine takes and gives beat by beat and byte by byte goes through the PCI Express block's AXI4-Streams and the PHY's pins, MDIO included.
use std::path::Path;

use ferrule_rtl::board::description::{Board, Top};
use ferrule_rtl::board::export::files;
use ferrule_rtl::pins::{Clocks, Gmii, Inputs, Outputs, TlpBeat};
use ferrule_sim::engine::verilated::{Module, Pin};
use ferrule_sim::engine::{verilator, Engine, EngineError};

use crate::phy_model::{Partner, PhyModel};

pub(crate) const CELLS: &str = include_str!("../../../rtl/tests/boards/cells.v");
const BLOCK: &str = include_str!("../../../rtl/tests/boards/pcie_7x_0.v");
const INSIDE: &str = include_str!("inside.v");
/// Nanoseconds in a period of 125 MHz.
const SLOTS: u32 = 8;
/// Nanoseconds by which the PHY delays its receive clock.
const DELAY: u32 = 2;
/// The partner at the other end of the cable: 10, 100 and 1000 Mbit/s, full duplex, as IEEE 802.3 clauses 28 and 40 have them in ANLPAR and GBSR.
pub(crate) const PARTNER: Partner = Partner::Negotiates {
    base: 0x41E1,
    gigabit: 0x0800,
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
    pub(crate) phy: PhyModel,
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
            },
            Top::Uart(_) => panic!("{} has no PCI Express", board.name),
        };
        let mut phy = PhyModel::new(address);
        phy.connect(Some(PARTNER));
        Ok(Self {
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
        if link != self.phy.partner.is_some() {
            self.phy.connect(link.then_some(PARTNER));
        }
        let driven = self.is(|p| p.mdio_oe).then(|| self.is(|p| p.mdio_o));
        let mdc = self.is(|p| p.mdc);
        let level = self.phy.clock(mdc, driven);
        self.set(|p| p.mdio_drive, driven.is_none().into());
        self.set(|p| p.mdio_i, level.into());
    }

    /// What the PHY shows in a slot: data at each edge, its clock later (RGMII) or in the middle (GMII, which changes data at a fall).
    fn receive(&mut self, slot: u32, line: Gmii) {
        match self.media {
            Media::Rgmii { rx_ctl, .. } => {
                let second = slot >= SLOTS / 2;
                let data = if second { line.data >> 4 } else { line.data };
                let ctl = if second {
                    line.valid != line.error
                } else {
                    line.valid
                };
                self.set(|p| p.phy_rxd, u32::from(data & 0xF));
                self.module.set(rx_ctl, ctl.into());
                let high = (DELAY..DELAY + SLOTS / 2).contains(&slot);
                self.set(|p| p.phy_rx_clk, high.into());
            }
            Media::Gmii { dv, er, .. } => {
                self.set(|p| p.phy_rxd, line.data.into());
                self.module.set(dv, line.valid.into());
                self.module.set(er, line.error.into());
                self.set(|p| p.phy_rx_clk, (slot >= SLOTS / 2).into());
            }
        }
    }

    /// What the PHY takes at an edge of the board's transmit clock.
    fn transmit(&mut self) {
        let txc = self.is(|p| p.phy_tx_clk);
        if txc == self.txc {
            return;
        }
        self.txc = txc;
        let data = self.module.get(self.pins.phy_txd);
        match self.media {
            Media::Rgmii { tx_ctl, .. } => {
                let bits = data | self.module.get(tx_ctl) << 4;
                if txc {
                    self.low = bits;
                } else {
                    // RGMII 2.0 table 1: EN with the rise, EN xor ER with the fall.
                    let [en, other] = [self.low, bits].map(|b| b & 16 != 0);
                    self.sent = Gmii {
                        data: (self.low & 0xF | (bits & 0xF) << 4) as u8,
                        valid: en,
                        error: en != other,
                    };
                }
            }
            Media::Gmii { en, tx_er, .. } if txc => {
                self.sent = Gmii {
                    data: data as u8,
                    valid: self.module.get(en) != 0,
                    error: self.module.get(tx_er) != 0,
                };
            }
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
        for slot in 0..SLOTS {
            self.set(|p| p.user_clk, (slot >= SLOTS / 2).into());
            self.set(|p| p.vco, slot & 1);
            self.receive(slot, inputs.gmii_rx);
            self.module.settle();
            self.transmit();
            if slot == 0 {
                self.sample_block(inputs, &mut outputs);
            }
        }
        outputs.gmii_tx = std::mem::take(&mut self.sent);
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
