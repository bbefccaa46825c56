//! A board with the NIC behind a UART, as the Arty A7, at its pins: the hardware description as machine code, an MII PHY and a cable.
use ferrule_abi::TICK_NS;
use ferrule_rtl::pins::Gmii;
use ferrule_rtl::uart::nic::UartNic;
use ferrule_verilog::{Model, Program, Signal};

use crate::capture::{CapturePort, Direction};
use crate::engine::binding::{halves, mac_halves};
use crate::engine::{compiled, EngineError};
use crate::phy::{Phy, PhyStats, Sent};
use crate::wire::{Arrival, Wire};

/// The core's clock: 62.5 MHz.
pub const CYCLE_NS: u64 = 16;
/// The MII's clocks: 25 MHz, 100 Mbit/s.
const MII_NS: u64 = 40;
/// STATUS.SPEED of 100 Mbit/s.
const SPEED_100: u8 = 1;
/// What the core's clock makes, of which the UART's rate is counted in units of 2^-16.
const CLOCK_HZ: u64 = 62_500_000;
/// Cycles to run after the last sign of life.
const GRACE_CYCLES: u32 = 16;
/// Cycles for which a reset is held.
const RESET_CYCLES: u32 = 16;

/// The UART's rate as the hardware takes it: bits a clock, in units of 2^-16.
pub fn rate_of(baud: u32) -> u64 {
    (u64::from(baud) * 65_536 + CLOCK_HZ / 2) / CLOCK_HZ
}

macro_rules! ports {
    ($($name:ident $bits:literal)*) => {
        /// Where the ports of the model are.
        #[derive(Clone, Copy)]
        struct Ports { $($name: Signal),* }

        impl Ports {
            fn find(program: &Program) -> Result<Self, EngineError> {
                Ok(Self { $($name: port(program, stringify!($name), $bits)?),* })
            }
        }
    };
}

fn port(program: &Program, name: &str, bits: u32) -> Result<Signal, EngineError> {
    let found = program.port(name);
    found
        .filter(|p| p.width() == bits)
        .ok_or_else(|| EngineError::Port {
            name: name.into(),
            bits,
            found: found.map(Signal::width),
        })
}

ports! {
    reset 1 time_lo 32 time_hi 32 mac_lo 32 mac_hi 16 link_up 1 link_fast 1 rate 16
    uart_rx 1 uart_tx 1 mii_rxd 4 mii_rx_dv 1 mii_rx_er 1 mii_txd 4 mii_tx_en 1 busy 1 deadline 32 deadline_valid 1
}

/// The hardware description, ready to run.
#[derive(Clone)]
pub struct Design {
    program: Program,
    ports: Ports,
    mdio_done: Signal,
    mdio_rdata: Signal,
}

impl Design {
    /// Machine code of it, which is made once in a process.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn compile() -> Result<Self, EngineError> {
        let program = compiled::program::<UartNic>(false)?;
        Ok(Self {
            ports: Ports::find(&program)?,
            mdio_done: port(&program, "mdio$done", 1)?,
            mdio_rdata: port(&program, "mdio$rdata", 16)?,
            program,
        })
    }
}

/// A board behind a UART at its pins: what is at the other end of its UART sees nothing else of it. Times are nanoseconds and never go back.
pub trait AtPins: Send {
    /// A cycle of the core's clock, which begins at `now_ns`, with the level of the line to the board in it; the level of the line from it.
    fn cycle(&mut self, now_ns: u64, uart_rx: bool) -> bool;
    /// Whether nothing moves on the board, as long as nothing moves on its lines.
    fn is_quiet(&self) -> bool;
    /// Whether nothing moves at its pins but for the UART's: less than quiet, as it may wait for a timer of 2^20 ns.
    fn is_still(&self) -> bool;
    /// When something happens on a quiet board.
    fn deadline_ns(&self, now_ns: u64) -> u64;
    /// Asks the cable anew what is next.
    fn refresh(&mut self, now_ns: u64);
    /// The cable.
    fn wire(&self) -> &dyn Wire;
    /// Tells the cable that the receiver was switched on.
    fn receiver_on(&mut self, now_ns: u64);
    /// Plugs the cable in or out.
    fn set_link(&mut self, up: bool);
    /// Puts byte times on the line towards the NIC.
    fn inject(&mut self, line: Vec<Gmii>);
    /// Frames on the wire.
    fn phy_stats(&self) -> PhyStats;
    /// Cycles of the core's clock so far.
    fn cycles(&self) -> u64;
}

/// The board.
pub struct Arty {
    model: Model,
    ports: Ports,
    /// Bits of the core's clock and of the MII's in a mask.
    core_clock: u32,
    mii_clocks: u32,
    phy: Phy,
    wire: Box<dyn Wire>,
    capture: Option<CapturePort>,
    wire_due_ns: Option<u64>,
    /// Cycles so far, from which the phase of the MII's clocks follows.
    cycles: u64,
    busy: bool,
    deadline: Option<u32>,
    quiet_cycles: u32,
    reset_cycles: u32,
}

impl Arty {
    /// A board in reset, its UART at so many baud, with the MAC address of its own and a cable.
    pub fn new(
        design: &Design,
        baud: u32,
        mac: [u8; 6],
        wire: Box<dyn Wire>,
        capture: Option<CapturePort>,
    ) -> Self {
        let (program, ports) = (&design.program, design.ports);
        let bit = |name| {
            let at = program.clocks().iter().position(|(clock, _)| clock == name);
            at.map_or(0, |at| 1u32 << at)
        };
        let mut model = program.start();
        let (mac_hi, mac_lo) = mac_halves(mac);
        model.set(ports.mac_lo, mac_lo.into());
        model.set(ports.mac_hi, mac_hi.into());
        model.set(ports.link_up, 1);
        model.set(ports.link_fast, 1);
        model.set(ports.rate, rate_of(baud));
        // No PHY's management is attached: a transfer is over at once, and what it reads is all ones.
        model.set(design.mdio_done, 1);
        model.set(design.mdio_rdata, 0xFFFF);
        let mut phy = Phy::new();
        phy.set_speed(SPEED_100);
        Self {
            core_clock: bit("clock"),
            mii_clocks: bit("mii_rx_clk") | bit("mii_tx_clk"),
            model,
            ports,
            phy,
            wire,
            capture,
            wire_due_ns: Some(0),
            cycles: 0,
            busy: true,
            deadline: None,
            quiet_cycles: 0,
            reset_cycles: RESET_CYCLES,
        }
    }

    /// Presses the board's reset button for a moment.
    pub fn press_reset(&mut self) {
        self.reset_cycles = RESET_CYCLES;
    }

    fn edge(&mut self, now_ns: u64, core: u32, mii: bool) {
        let (m, p) = (&mut self.model, &self.ports);
        if mii {
            let rx = self.phy.next_rx();
            m.set(p.mii_rxd, rx.data.into());
            m.set(p.mii_rx_dv, rx.valid.into());
            m.set(p.mii_rx_er, rx.error.into());
        }
        m.settle();
        if core != 0 {
            self.busy = m.get(p.busy) == 1;
            self.deadline = (m.get(p.deadline_valid) == 1).then(|| m.get(p.deadline) as u32);
        }
        let sent = mii.then(|| {
            self.phy.tx(Gmii {
                data: m.get(p.mii_txd) as u8,
                valid: m.get(p.mii_tx_en) == 1,
                error: false,
            })
        });
        m.rise(core | if mii { self.mii_clocks } else { 0 });
        if let Some(Some(Sent::Frame(frame))) = sent {
            self.record(now_ns, Direction::Sent, &frame);
            self.wire.send(now_ns, &frame);
            self.wire_due_ns = self.wire.next_deadline(now_ns);
        }
    }

    fn record(&self, now_ns: u64, direction: Direction, frame: &[u8]) {
        if let Some(capture) = &self.capture {
            capture.frame(now_ns, direction, frame);
        }
    }

    fn wire_in(&mut self, now_ns: u64) {
        if self.phy.receive_idle() && self.wire_due_ns.is_some_and(|at| at <= now_ns) {
            if let Some(Arrival { frame, fcs }) = self.wire.arrive(now_ns) {
                let direction = fcs.map_or(Direction::Received, |_| Direction::Damaged);
                self.record(now_ns, direction, &frame);
                self.phy.receive_with(&frame, fcs);
            }
            self.wire_due_ns = self.wire.next_deadline(now_ns);
        }
    }
}

impl AtPins for Arty {
    fn cycle(&mut self, now_ns: u64, uart_rx: bool) -> bool {
        self.wire_in(now_ns);
        let (time_hi, time_lo) = halves(now_ns);
        let (m, p) = (&mut self.model, &self.ports);
        m.set(p.reset, (self.reset_cycles > 0).into());
        m.set(p.time_lo, time_lo.into());
        m.set(p.time_hi, time_hi.into());
        m.set(p.uart_rx, uart_rx.into());
        self.reset_cycles = self.reset_cycles.saturating_sub(1);
        let begins_ns = self.cycles * CYCLE_NS;
        self.edge(now_ns, self.core_clock, begins_ns.is_multiple_of(MII_NS));
        let uart_tx = self.model.get(self.ports.uart_tx) == 1;
        if (begins_ns + CYCLE_NS / 2).is_multiple_of(MII_NS) {
            self.edge(now_ns, 0, true);
        }
        self.cycles += 1;
        let quiet = !self.busy && self.phy.receive_idle() && self.phy.transmit_idle();
        self.quiet_cycles = if quiet {
            self.quiet_cycles.saturating_add(1)
        } else {
            0
        };
        uart_tx
    }

    fn is_quiet(&self) -> bool {
        self.quiet_cycles >= GRACE_CYCLES && self.reset_cycles == 0
    }

    fn is_still(&self) -> bool {
        let phy = self.phy.receive_idle() && self.phy.transmit_idle();
        phy && self.reset_cycles == 0
    }

    fn deadline_ns(&self, now_ns: u64) -> u64 {
        let tick = now_ns / TICK_NS;
        // The 32 bits of the core's deadline are taken as the nearest such time.
        let core = self.deadline.map(|d| {
            let ahead = d.wrapping_sub(tick as u32) as i32;
            tick.saturating_add_signed(ahead.into()) * TICK_NS
        });
        // The link says something with each change of bit 26 of the time.
        let beat_ns = ((now_ns >> 26) + 1) << 26;
        [core, self.wire_due_ns]
            .into_iter()
            .flatten()
            .fold(beat_ns, u64::min)
    }

    fn refresh(&mut self, now_ns: u64) {
        self.wire_due_ns = self.wire.next_deadline(now_ns);
    }

    fn wire(&self) -> &dyn Wire {
        &*self.wire
    }

    fn receiver_on(&mut self, now_ns: u64) {
        self.wire.receiver_on(now_ns);
        self.wire_due_ns = self.wire.next_deadline(now_ns);
    }

    fn set_link(&mut self, up: bool) {
        self.model.set(self.ports.link_up, up.into());
        self.quiet_cycles = 0;
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
