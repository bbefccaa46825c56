//! A whole board as an engine: its Verilog with models of the vendor's cells, driven at its pins in steps of a nanosecond.
//!
//! What an engine takes and gives beat by beat and byte by byte goes through the PCI Express block's AXI4-Streams and the PHY's pins, MDIO included.
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ferrule_rtl::board::description::{Board, Top};
use ferrule_rtl::board::export::{each_port, files};
use ferrule_rtl::pins::{Clocks, Gmii, Inputs, Outputs, TlpBeat};
use ferrule_sim::engine::verilated::{Module, Pin};
use ferrule_sim::engine::{verilator, Engine, EngineError};

use crate::phy_model::Partner;
use crate::phy_pins::PhyPins;

pub(crate) const CELLS: &str = include_str!("../../../rtl/tests/boards/cells.v");
const BLOCK: &str = include_str!("../../../rtl/tests/boards/pcie_7x_0.v");
const INSIDE: &str = include_str!("inside.v");
/// Nanoseconds in a period of 125 MHz.
const SLOTS: u64 = 8;
/// Nanoseconds in a period of the PHY's clocks at 10, 100 and 1000 Mbit/s.
pub(crate) const PERIODS: [u64; 3] = [400, 40, 8];
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
    led
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
    phys: Vec<PhyPins>,
    /// What each PHY of a board with two has put on the cable that joins them.
    joined: Vec<Gmii>,
    outside: Arc<Outside>,
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
    cycles: u64,
}

impl BoardEngine {
    /// The board's top with what is around it; its PHYs are at `address`, and the cable in: of a board with two ports it joins them.
    pub(crate) fn open(
        board: &'static Board,
        address: u8,
        gaps: Gaps,
    ) -> Result<Self, EngineError> {
        let files = files(board).map_err(EngineError::Export)?;
        let (around, rgmii) = match board.top {
            Top::PcieRgmii { .. } => (include_str!("around_rgmii.v"), true),
            Top::PcieGmii => (include_str!("around_gmii.v"), false),
            Top::Uart(_) => panic!("{} has no PCI Express", board.name),
        };
        let ports = board.top.ports();
        // Milliseconds of the PHY's management would be half an hour.
        let top = format!("{} #(.FAST(1'b1)) dut", board.module());
        let around = each_port(around, ports);
        let around = around.replace("`INSIDE", INSIDE).replace("board dut", &top);
        let verilog = files.iter().filter(|f| f.name.ends_with(".v"));
        let text: String = verilog
            .map(|f| f.text.as_str())
            .chain([CELLS, BLOCK, &around])
            .collect();
        let module = Module::build(&text, "around", Path::new(&verilator::cache_dir()))?;
        let phys: Vec<PhyPins> = (0..usize::from(ports))
            .map(|port| PhyPins::new(&module, port, rgmii, address, PARTNER))
            .collect();
        Ok(Self {
            outside: Outside::new(PARTNER),
            joined: vec![Gmii::default(); phys.len()],
            phys,
            pins: Pins::of(&module),
            module,
            random: gaps.seed | 1,
            of_eight: gaps.of_eight,
            shown: false,
            first: true,
            hit: None,
            poison: false,
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
}

impl Engine for BoardEngine {
    fn step(&mut self, clocks: Clocks, inputs: &Inputs) -> Outputs {
        assert_eq!(clocks, Clocks::ALL, "all clocks have 125 MHz");
        let mut outputs = Outputs {
            busy: true,
            ..Outputs::default()
        };
        let partner = inputs.link_up.then(|| self.outside.partner());
        for phy in &mut self.phys {
            phy.manage(&mut self.module, partner);
        }
        self.drive_block(inputs);
        // A cable between the board's own two ports, or to whatever the engine is plugged into.
        let coming: Vec<Gmii> = match self.joined[..] {
            [first, second] => vec![second, first],
            _ => vec![inputs.gmii_rx],
        };
        let phys = self.phys.iter_mut().zip(coming);
        let lines: Vec<Gmii> = phys.map(|(phy, line)| phy.begin(line)).collect();
        for slot in 0..SLOTS {
            self.set(|p| p.user_clk, (slot >= SLOTS / 2).into());
            self.set(|p| p.vco, (slot & 1) as u32);
            for (phy, line) in self.phys.iter_mut().zip(&lines) {
                phy.receive(&mut self.module, self.cycles * SLOTS + slot, *line);
            }
            self.module.settle();
            for phy in &mut self.phys {
                phy.transmit(&self.module);
            }
            if slot == 0 {
                self.sample_block(inputs, &mut outputs);
            }
        }
        let sent = self.phys.iter_mut().map(PhyPins::end);
        self.joined = sent.collect();
        if let [sent] = self.joined[..] {
            outputs.gmii_tx = sent;
        }
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
