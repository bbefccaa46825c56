//! An Arty at its pins: its clocks, the PHY's link by MDIO, a unit on the UART at 3 Mbaud that it answers; and the driver behind that UART, with frames on
//! the MII at each speed.
use std::path::Path;
use std::sync::{Arc, Mutex};

use ferrule_rtl::board::arty_a7::ARTY_A7_35;
use ferrule_rtl::board::export::files;
use ferrule_rtl::pins::Gmii;
use ferrule_sim::arty::{AtPins, CYCLE_NS};
use ferrule_sim::engine::verilated::{Module, Pin};
use ferrule_sim::engine::{verilator, EngineError};
use ferrule_sim::local::{LocalSimulator, NicSetup};
use ferrule_sim::phy::{Phy, PhyStats, Sent};
use ferrule_sim::station::{ArtyStation, Core, Station, Surroundings};
use ferrule_sim::wire::loopback::Loopback;
use ferrule_sim::wire::Wire;

use crate::engine::{Outside, CELLS, PARTNER, PARTNER_10, PARTNER_100, PERIODS};
use crate::phy_model::PhyModel;
use crate::traffic::{frames, Bench, FEW_LENGTHS, LINK_NS};

/// The rate that the top has unless told otherwise.
const BAUD: u32 = 3_000_000;
/// STATUS.SPEED of 100 Mbit/s: the MII.
const SPEED_100: u8 = 1;
/// How long some frames may take over such a UART, both ways.
const FRAMES_NS: u64 = 30_000_000;
/// Nanoseconds of a bit, by thousandths: 3 Mbaud.
const BIT_PS: u64 = 333_333;

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
    button_n,
    uart_rx,
    uart_tx,
    mdio_i,
    mdio_drive,
    mdc,
    mdio_o,
    mdio_oe,
    phy_reset_n,
    ref_clk,
    led,
    led_host,
    phy_rx_clk,
    phy_tx_clk,
    phy_rxd,
    phy_rx_dv,
    phy_txd,
    phy_tx_en
);

/// A receiver of bytes, as a PC's: a start bit's edge, then each bit in its middle.
#[derive(Default)]
struct Uart {
    began_ns: Option<u64>,
    bits: u32,
    byte: u8,
    bytes: Vec<u8>,
}

impl Uart {
    fn sample(&mut self, now_ns: u64, level: bool) {
        let Some(began) = self.began_ns else {
            if !level {
                (self.began_ns, self.bits, self.byte) = (Some(now_ns), 0, 0);
            }
            return;
        };
        if (now_ns - began) * 1_000 < BIT_PS * u64::from(2 * self.bits + 1) / 2 {
            return;
        }
        match self.bits {
            0 => assert!(!level, "a start bit that is none"),
            9 => {
                assert!(level, "no stop bit");
                self.bytes.push(self.byte);
                self.began_ns = None;
            }
            _ => self.byte = self.byte >> 1 | u8::from(level) << 7,
        }
        self.bits += 1;
    }
}

/// The board with what is at its pins but for the UART: oscillator, PHY, cable.
struct Top {
    module: Module,
    pins: Pins,
    /// What of the PHY its management shows, and its data.
    management: PhyModel,
    phy: Phy,
    outside: Arc<Outside>,
    plugged: bool,
    speed: u8,
    wire: Box<dyn Wire>,
    cycles: u64,
    ref_edges: u64,
    ref_level: bool,
}

/// The top and what is around it, built once. Where Verilator is not installed: says so, and gives none.
fn module() -> Option<Module> {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one = BUILDING.lock();
    let files = files(&ARTY_A7_35).expect("the board is exported");
    let top = format!("{} #(.FAST(1'b1)) dut", ARTY_A7_35.module());
    let around = include_str!("around_arty.v").replace("board dut", &top);
    let verilog = files.iter().filter(|f| f.name.ends_with(".v"));
    let text: String = verilog
        .map(|f| f.text.as_str())
        .chain([CELLS, &around])
        .collect();
    match Module::build(&text, "around", Path::new(&verilator::cache_dir())) {
        Ok(module) => Some(module),
        Err(e @ EngineError::ToolMissing { .. }) => {
            ferrule_test_tools::missing(&e.to_string());
            None
        }
        Err(e) => panic!("{e}"),
    }
}

impl Top {
    fn new(module: Module, outside: Arc<Outside>, wire: Box<dyn Wire>) -> Self {
        let pins = Pins::of(&module);
        let mut phy = Phy::new();
        phy.set_speed(SPEED_100);
        let mut top = Self {
            module,
            pins,
            management: PhyModel::new(ARTY_A7_35.phy.address),
            phy,
            outside,
            plugged: true,
            speed: SPEED_100,
            wire,
            cycles: 0,
            ref_edges: 0,
            ref_level: false,
        };
        top.set(|p| p.button_n, true);
        top.set(|p| p.uart_rx, true);
        top
    }

    fn set(&mut self, pin: impl Fn(&Pins) -> Pin, value: bool) {
        let pin = pin(&self.pins);
        self.module.set(pin, value.into());
    }

    fn get(&self, pin: impl Fn(&Pins) -> Pin) -> u32 {
        self.module.get(pin(&self.pins))
    }

    /// MDIO and the PHY's reset, every 8 ns.
    fn manage(&mut self) {
        if self.get(|p| p.phy_reset_n) == 0 {
            self.management.held = true;
        } else if std::mem::take(&mut self.management.held) {
            self.management.reset();
        }
        let partner = self.plugged.then(|| self.outside.partner());
        if partner != self.management.partner {
            self.management.connect(partner);
        }
        let driven = (self.get(|p| p.mdio_oe) != 0).then(|| self.get(|p| p.mdio_o) != 0);
        let level = self.management.clock(self.get(|p| p.mdc) != 0, driven);
        self.set(|p| p.mdio_drive, driven.is_none());
        self.set(|p| p.mdio_i, level);
        self.speed = self.management.speed().unwrap_or(self.speed);
    }

    /// The MII at a nanosecond of the board's own time: RX changes with a fall of its clock, TX is taken at a rise of its own (IEEE 802.3 clause 22.3).
    fn mii(&mut self, now_ns: u64, at_ns: u64) {
        let period = PERIODS[usize::from(self.speed)];
        let linked = self.management.speed().is_some();
        let at = at_ns % period;
        if at == period / 2 {
            let rx = self.phy.next_rx();
            let rx = if linked { rx } else { Gmii::default() };
            let pin = self.pins.phy_rxd;
            self.module.set(pin, rx.data.into());
            self.set(|p| p.phy_rx_dv, rx.valid);
            let tx = Gmii {
                data: self.get(|p| p.phy_txd) as u8,
                valid: linked && self.get(|p| p.phy_tx_en) != 0,
                error: false,
            };
            if let Some(Sent::Frame(frame)) = self.phy.tx(tx) {
                self.wire.send(now_ns, &frame);
            }
        }
        self.set(|p| p.phy_rx_clk, at < period / 2);
        self.set(|p| p.phy_tx_clk, at >= period / 2);
    }
}

impl AtPins for Top {
    fn cycle(&mut self, now_ns: u64, uart_rx: bool) -> bool {
        if self.phy.receive_idle() {
            if let Some(frame) = self.wire.poll(now_ns) {
                self.phy.receive(&frame);
            }
        }
        self.set(|p| p.uart_rx, uart_rx);
        for slot in 0..CYCLE_NS {
            if slot % 8 == 0 {
                self.manage();
            }
            self.mii(now_ns, self.cycles * CYCLE_NS + slot);
            self.set(|p| p.vco, slot % 2 == 1);
            self.module.settle();
            let level = self.get(|p| p.ref_clk) != 0;
            self.ref_edges += u64::from(level && !self.ref_level);
            self.ref_level = level;
        }
        self.cycles += 1;
        self.outside.show(self.get(|p| p.led));
        self.get(|p| p.uart_tx) != 0
    }

    fn is_quiet(&self) -> bool {
        // Its time is its own: it runs all the while.
        false
    }

    fn is_still(&self) -> bool {
        false
    }

    fn deadline_ns(&self, now_ns: u64) -> u64 {
        now_ns
    }

    fn refresh(&mut self, _: u64) {}

    fn wire(&self) -> &dyn Wire {
        &*self.wire
    }

    fn receiver_on(&mut self, now_ns: u64) {
        self.wire.receiver_on(now_ns);
    }

    fn set_link(&mut self, up: bool) {
        self.plugged = up;
    }

    fn inject(&mut self, line: Vec<Gmii>) {
        self.phy.receive_raw(line);
    }

    fn phy_stats(&self) -> PhyStats {
        self.phy.stats()
    }

    fn cycles(&self) -> u64 {
        self.cycles
    }
}

/// The board and a line of bits, without anything that knows units.
struct Line {
    top: Top,
    now_ns: u64,
    uart: Uart,
    /// Bits to the board, and since when the first of them is sent.
    to_board: Vec<bool>,
    sent_from_ns: u64,
}

impl Line {
    fn open() -> Option<Self> {
        Some(Self {
            top: Top::new(module()?, Outside::new(PARTNER), Box::new(Loopback::new(0))),
            now_ns: 0,
            uart: Uart::default(),
            to_board: vec![],
            sent_from_ns: 0,
        })
    }

    /// One period of the core's clock, 16 ns.
    fn cycle(&mut self) {
        let bit = (self.now_ns - self.sent_from_ns) * 1_000 / BIT_PS;
        let level = self.to_board.get(bit as usize).copied().unwrap_or(true);
        let level = self.top.cycle(self.now_ns, level);
        self.now_ns += CYCLE_NS;
        self.uart.sample(self.now_ns, level);
    }

    fn run(&mut self, ns: u64) {
        let until = self.now_ns + ns;
        while self.now_ns < until {
            self.cycle();
        }
    }

    /// Sends bytes: a start bit, eight bits from the lowest on, a stop bit.
    fn send(&mut self, bytes: &[u8]) {
        let bits = |byte: &u8| {
            let byte = *byte;
            (0..10).map(move |i| i == 9 || i > 0 && byte >> (i - 1) & 1 != 0)
        };
        self.to_board = bytes.iter().flat_map(bits).collect();
        self.sent_from_ns = self.now_ns;
    }
}

/// A unit (docs/uart.md) between its flags: bytes 7E and 7D stuffed, its FCS that of RFC 1662 section C.3.
fn framed(unit: &[u8]) -> Vec<u8> {
    let whole = [unit, &crc32fast::hash(unit).to_le_bytes()].concat();
    let stuffed = whole.iter().flat_map(|&b| match b {
        0x7E | 0x7D => vec![0x7D, b ^ 0x20],
        _ => vec![b],
    });
    [0x7E].into_iter().chain(stuffed).chain([0x7E]).collect()
}

/// The units in a stream of bytes.
fn units(bytes: &[u8]) -> Vec<Vec<u8>> {
    let pieces = bytes.split(|b| *b == 0x7E).filter(|p| !p.is_empty());
    let whole = pieces.map(|piece| {
        let (mut unit, mut escaped) = (vec![], false);
        for &byte in piece {
            match byte {
                0x7D => escaped = true,
                _ => {
                    unit.push(if escaped { byte ^ 0x20 } else { byte });
                    escaped = false;
                }
            }
        }
        let data = unit.split_off(unit.len().saturating_sub(4));
        assert_eq!(
            data,
            crc32fast::hash(&unit).to_le_bytes(),
            "the FCS of {unit:02x?}"
        );
        unit
    });
    whole.collect()
}

#[test]
fn an_arty_has_a_link_and_answers_its_host_and_its_button_resets_it() {
    let Some(mut b) = Line::open() else {
        return;
    };
    for round in 0..2 {
        // 25 MHz for the PHY.
        let before = (b.top.ref_edges, b.now_ns);
        b.run(100_000);
        let edges = b.top.ref_edges - before.0;
        assert!((2_495..=2_500).contains(&edges), "{edges} edges in 100 us");
        // Milliseconds of 4 us: reset, rest, negotiation, a round of reads at 66 us each.
        let until = b.now_ns + 4_000_000;
        while b.top.get(|p| p.led) & 1 == 0 {
            assert!(b.now_ns < until, "round {round}: no link");
            b.run(10_000);
        }
        assert_eq!(b.top.get(|p| p.led) & 4, 0, "round {round}: an error");
        // Nothing of 1000 Mbit/s is advertised (GBCR, register 9).
        assert_eq!(b.top.management.register(9), 0);

        // A unit of a session that the board has not begun moves nothing; its answer has the board's own number: 0, none.
        b.uart.bytes.clear();
        b.send(&framed(&[5, 0, 0, 0x10, 0, 0, 0]));
        b.run(200_000);
        let answers = units(&b.uart.bytes);
        assert!(!answers.is_empty(), "round {round}: no answer");
        for unit in &answers {
            assert_eq!(
                (unit.len() % 4, unit[0]),
                (3, 0),
                "round {round}: {unit:02x?}"
            );
            assert_eq!(unit[3] >> 4, 1, "the version: {unit:02x?}");
        }
        assert_eq!(b.top.get(|p| p.led_host), 0, "there is no session");

        // OPEN begins one, and the answer has its number.
        b.uart.bytes.clear();
        b.send(&framed(&[5, 0x80, 0, 0x10, 0, 0, 0]));
        b.run(300_000);
        let answers = units(&b.uart.bytes);
        assert_eq!(
            answers.last().map(|u| u[0]),
            Some(5),
            "round {round}: {answers:02x?}"
        );

        // The button.
        b.top.set(|p| p.button_n, false);
        b.run(1_000);
        b.top.set(|p| p.button_n, true);
        b.run(1_000);
        assert_eq!(
            b.top.get(|p| p.led) & 1,
            0,
            "the PHY is reset with the board"
        );
    }
}

#[test]
fn an_arty_brings_frames_back_at_each_speed_of_its_cable() {
    let Some(module) = module() else {
        return;
    };
    let outside = Outside::new(PARTNER);
    let seen = Arc::clone(&outside);
    let make = move |around: Surroundings| {
        let top = Top::new(module, seen, around.wire);
        let station = ArtyStation::new(Box::new(top), BAUD, around.settings);
        Box::new(station) as Box<dyn Station>
    };
    let core = Core::Other("top", Box::new(make));
    let nic = NicSetup::new(core, Box::new(Loopback::new(1_000)));
    let simulator = LocalSimulator::builder().nic(nic).start().expect("starts");
    let clock = simulator.clock();
    let _attached = clock.attach();
    let mut bench = Bench::open(&simulator, &outside, FRAMES_NS, "an Arty".to_owned());
    assert_eq!(bench.wait_link(true, LINK_NS), 100);
    bench.exchange(&frames(1, &[60, 129, 1_514]));
    bench.change(PARTNER_10, 10, FEW_LENGTHS);
    bench.change(PARTNER_100, 100, FEW_LENGTHS);
    let stats = simulator.stats(0).expect("a NIC");
    let tlps = (stats.tlps.violations, stats.tlps.up.reads);
    assert_eq!((stats.phy.tx_faults, tlps), (0, (0, 0)), "{stats:?}");
    assert_eq!(stats.phy.rx_frames, 9, "three times three");
}
