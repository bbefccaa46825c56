//! An Arty at its pins: its clocks, the PHY's link by MDIO, and a unit on the UART at 3 Mbaud that it answers.
use std::path::Path;
use std::sync::Mutex;

use ferrule_rtl::board::arty_a7::ARTY_A7_35;
use ferrule_rtl::board::export::files;
use ferrule_sim::engine::verilated::{Module, Pin};
use ferrule_sim::engine::{verilator, EngineError};

use crate::engine::{CELLS, PARTNER};
use crate::phy_model::PhyModel;

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
    phy_tx_clk
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

struct Bench {
    module: Module,
    pins: Pins,
    phy: PhyModel,
    now_ns: u64,
    uart: Uart,
    /// Bits to the board, and since when the first of them is sent.
    to_board: Vec<bool>,
    sent_from_ns: u64,
    ref_edges: u64,
    ref_level: bool,
}

impl Bench {
    fn open() -> Option<Self> {
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
        let module = match Module::build(&text, "around", Path::new(&verilator::cache_dir())) {
            Ok(module) => module,
            Err(e @ EngineError::ToolMissing { .. }) => {
                ferrule_test_tools::missing(&e.to_string());
                return None;
            }
            Err(e) => panic!("{e}"),
        };
        let mut phy = PhyModel::new(ARTY_A7_35.phy.address);
        phy.connect(Some(PARTNER));
        let pins = Pins::of(&module);
        let mut bench = Self {
            module,
            pins,
            phy,
            now_ns: 0,
            uart: Uart::default(),
            to_board: vec![],
            sent_from_ns: 0,
            ref_edges: 0,
            ref_level: false,
        };
        bench.set(|p| p.button_n, true);
        bench.set(|p| p.uart_rx, true);
        Some(bench)
    }

    fn set(&mut self, pin: impl Fn(&Pins) -> Pin, value: bool) {
        let pin = pin(&self.pins);
        self.module.set(pin, value.into());
    }

    fn get(&self, pin: impl Fn(&Pins) -> Pin) -> u32 {
        self.module.get(pin(&self.pins))
    }

    /// One period of the core's clock, 16 ns.
    fn cycle(&mut self) {
        for _ in 0..2 {
            if self.get(|p| p.phy_reset_n) == 0 {
                self.phy.held = true;
            } else if std::mem::take(&mut self.phy.held) {
                self.phy.reset();
            }
            let driven = (self.get(|p| p.mdio_oe) != 0).then(|| self.get(|p| p.mdio_o) != 0);
            let level = self.phy.clock(self.get(|p| p.mdc) != 0, driven);
            self.set(|p| p.mdio_drive, driven.is_none());
            self.set(|p| p.mdio_i, level);
            let bit = (self.now_ns - self.sent_from_ns) * 1_000 / BIT_PS;
            let line = self.to_board.get(bit as usize).copied().unwrap_or(true);
            self.set(|p| p.uart_rx, line);
            for slot in 0..8 {
                // The PHY's clocks at 100 Mbit/s: 40 ns.
                let high = (self.now_ns + slot) % 40 < 20;
                self.set(|p| p.phy_rx_clk, high);
                self.set(|p| p.phy_tx_clk, !high);
                self.set(|p| p.vco, slot % 2 == 1);
                self.module.settle();
                let level = self.get(|p| p.ref_clk) != 0;
                self.ref_edges += u64::from(level && !self.ref_level);
                self.ref_level = level;
            }
            self.now_ns += 8;
        }
        self.uart.sample(self.now_ns, self.get(|p| p.uart_tx) != 0);
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
    let Some(mut b) = Bench::open() else {
        return;
    };
    for round in 0..2 {
        // 25 MHz for the PHY.
        let before = (b.ref_edges, b.now_ns);
        b.run(100_000);
        let edges = b.ref_edges - before.0;
        assert!((2_495..=2_500).contains(&edges), "{edges} edges in 100 us");
        // Milliseconds of 4 us: reset, rest, negotiation, a round of reads at 66 us each.
        let until = b.now_ns + 4_000_000;
        while b.get(|p| p.led) & 1 == 0 {
            assert!(b.now_ns < until, "round {round}: no link");
            b.run(10_000);
        }
        assert_eq!(b.get(|p| p.led) & 4, 0, "round {round}: an error");
        // Nothing of 1000 Mbit/s is advertised (GBCR, register 9).
        assert_eq!(b.phy.register(9), 0);

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
        assert_eq!(b.get(|p| p.led_host), 0, "there is no session");

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
        b.set(|p| p.button_n, false);
        b.run(1_000);
        b.set(|p| p.button_n, true);
        b.run(1_000);
        assert_eq!(b.get(|p| p.led) & 1, 0, "the PHY is reset with the board");
    }
}
