//! What is known of a board.

/// A board.
#[derive(Debug)]
pub struct Board {
    /// Its name on the command line and, with `_` for `-`, of its top module.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// The FPGA, as Vivado names it.
    pub part: &'static str,
    /// What the FPGA has.
    pub size: Size,
    /// Where pins and standards are from.
    pub sources: &'static [&'static str],
    /// Its PHY.
    pub phy: Phy,
    /// Its top module.
    pub top: Top,
    /// The ports of the top module.
    pub ports: &'static [Port],
    /// The clocks.
    pub clocks: &'static [Clock],
    /// Names of clocks of which one runs at a time, as a multiplexer chooses.
    pub exclusive: &'static [&'static [&'static str]],
    /// Pairs of clocks between which signals cross, in both directions.
    pub crossings: &'static [[&'static str; 2]],
    /// Ports clocked in: within what time of an edge of which clock they change.
    pub inputs: &'static [InputDelay],
    /// Voltage of the configuration bank; CFGBVS is VCCO.
    pub config_voltage: &'static str,
}

/// Resources of an FPGA (DS180).
#[derive(Debug)]
pub struct Size {
    /// LUTs.
    pub lut: u32,
    /// Flip-flops.
    pub ff: u32,
    /// Block RAMs of 36 Kbit.
    pub bram36: u32,
}

/// A PHY.
#[derive(Debug)]
pub struct Phy {
    /// The chip.
    pub chip: &'static str,
    /// What it is attached by.
    pub interface: &'static str,
    /// Its address on the management interface; others are tried where nobody answers.
    pub address: u8,
}

/// Which top module a board has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Top {
    /// PCI Express and RGMII.
    PcieRgmii {
        /// Data that comes in is delayed by [`DELAY_TAPS`] taps.
        delayed: bool,
        /// There are two PHYs: two NICs behind one function.
        two_ports: bool,
    },
    /// PCI Express and GMII.
    PcieGmii,
    /// A UART to the host, and MII; open tools can make the bitstream.
    Uart(Open),
}

/// What open tools want to know of a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// The FPGA, as prjxray names it.
    pub part: &'static str,
    /// The die, for nextpnr-xilinx.
    pub die: &'static str,
    /// The board, as openFPGALoader names it.
    pub loader: &'static str,
}

impl Top {
    /// How many ports the board's function has.
    pub fn ports(&self) -> u8 {
        match self {
            Self::PcieRgmii { two_ports, .. } => 1 + u8::from(*two_ports),
            Self::PcieGmii | Self::Uart(_) => 1,
        }
    }
}

/// Taps of 78 ps by which an RGMII's data is delayed where it must be: 2 ns.
pub const DELAY_TAPS: usize = 26;

/// Direction of a port, from the FPGA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// In.
    In,
    /// Out.
    Out,
    /// Both.
    InOut,
}

/// What the buffer at a pin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pad {
    /// Of a bank, with this I/O standard.
    Bank(&'static str),
    /// Of a gigabit transceiver, without one.
    Transceiver,
}

/// A port of a top module.
#[derive(Debug)]
pub struct Port {
    /// Its name.
    pub name: &'static str,
    /// Its pins, bit 0 first; one pin is a port without index.
    pub pins: &'static [&'static str],
    /// Its buffers.
    pub pad: Pad,
    /// Its direction.
    pub direction: Direction,
    /// SLEW FAST, with this DRIVE in mA; else what the standard has.
    pub fast: Option<u8>,
    /// Changes so seldom, or is so slow, that it has no timing.
    pub untimed: bool,
}

impl Port {
    const fn new(
        name: &'static str,
        pins: &'static [&'static str],
        pad: Pad,
        direction: Direction,
    ) -> Self {
        Self {
            name,
            pins,
            pad,
            direction,
            fast: None,
            untimed: false,
        }
    }
    /// An input.
    pub const fn input(
        name: &'static str,
        pins: &'static [&'static str],
        standard: &'static str,
    ) -> Self {
        Self::new(name, pins, Pad::Bank(standard), Direction::In)
    }
    /// An output.
    pub const fn output(
        name: &'static str,
        pins: &'static [&'static str],
        standard: &'static str,
    ) -> Self {
        Self::new(name, pins, Pad::Bank(standard), Direction::Out)
    }
    /// Both.
    pub const fn inout(
        name: &'static str,
        pins: &'static [&'static str],
        standard: &'static str,
    ) -> Self {
        Self::new(name, pins, Pad::Bank(standard), Direction::InOut)
    }
    /// A receiver or the clock of a transceiver.
    pub const fn receiver(name: &'static str, pins: &'static [&'static str]) -> Self {
        Self::new(name, pins, Pad::Transceiver, Direction::In)
    }
    /// A transmitter.
    pub const fn transmitter(name: &'static str, pins: &'static [&'static str]) -> Self {
        Self::new(name, pins, Pad::Transceiver, Direction::Out)
    }
    /// With fast edges, driven by so many mA.
    pub const fn fast(mut self, drive_ma: u8) -> Self {
        self.fast = Some(drive_ma);
        self
    }
    /// Without timing.
    pub const fn untimed(mut self) -> Self {
        self.untimed = true;
        self
    }
    /// Each of its bits as a constraint names it, with its pin.
    pub fn bits(&self) -> impl Iterator<Item = (String, &'static str)> + '_ {
        let name = |i| match self.pins {
            [_] => self.name.to_owned(),
            _ => format!("{}[{i}]", self.name),
        };
        self.pins
            .iter()
            .enumerate()
            .map(move |(i, pin)| (name(i), *pin))
    }
}

/// A clock.
#[derive(Debug)]
pub struct Clock {
    /// Its name.
    pub name: &'static str,
    /// Its period in picoseconds; of several that a multiplexer gives, the shortest.
    pub period_ps: u32,
    /// Where it is from.
    pub origin: Origin,
}

impl Clock {
    /// One that comes in at a port of the top module.
    pub const fn at_port(name: &'static str, period_ps: u32, port: &'static str) -> Self {
        Self {
            name,
            period_ps,
            origin: Origin::Port(port),
        }
    }

    /// One that a cell makes, by the net of the top module that carries it.
    pub const fn on_net(name: &'static str, period_ps: u32, net: &'static str) -> Self {
        Self {
            name,
            period_ps,
            origin: Origin::Net(net),
        }
    }
}

/// Where a clock comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A port of the top module.
    Port(&'static str),
    /// A cell on whose output the tools know it by themselves: a net of the top module that carries it.
    Net(&'static str),
    /// A flip-flop, by its name, and so many periods of its clock in one of this.
    Divided(&'static str, u32),
}

/// When the ports of a source-synchronous interface change.
#[derive(Debug)]
pub struct InputDelay {
    /// Their clock.
    pub clock: &'static str,
    /// The ports.
    pub ports: &'static [&'static str],
    /// At the earliest, in picoseconds after an edge.
    pub min_ps: u32,
    /// At the latest.
    pub max_ps: u32,
    /// On both edges; else on the rising one.
    pub both_edges: bool,
    /// Where the times are from.
    pub source: &'static str,
}

/// RGMII from a PHY that delays its clock, RGMII 2.0 table 2: 1 ns of setup and hold at the receiver, of 4 ns.
pub const fn rgmii_inputs(clock: &'static str, ports: &'static [&'static str]) -> InputDelay {
    InputDelay {
        clock,
        ports,
        min_ps: 1_000,
        max_ps: 3_000,
        both_edges: true,
        source: "RGMII 2.0 table 2, TsetupR and TholdR",
    }
}

/// The oscillator of a board with PCI Express.
pub const CLK_200: Clock = Clock::at_port("clk_200", 5_000, "clk_200_p");
/// The slot's reference clock.
pub const PCIE_CLK: Clock = Clock::at_port("pcie_clk", 10_000, "pcie_clk_p");
/// The clock that the PCI Express block gives the core.
pub const USER: Clock = Clock::on_net("user", 8_000, "nic/user_clk");
/// The transmit clock behind its multiplexers.
pub const TX: Clock = Clock::on_net("tx", 8_000, "tx_clk");

/// The receive clock of an RGMII.
pub const RGMII_RX: Clock = Clock::at_port("rx", 8_000, "rgmii_rx_clk");
/// A tenth of 25 MHz, for 10 Mbit/s.
pub const CLK_2_5: Clock = Clock {
    name: "clk_2_5",
    period_ps: 400_000,
    origin: Origin::Divided("clk_2_5_reg", 10),
};

impl Board {
    /// The name of the top module.
    pub fn module(&self) -> String {
        self.name.replace('-', "_")
    }
    /// A clock by name.
    pub fn clock(&self, name: &str) -> Option<&Clock> {
        self.clocks.iter().find(|clock| clock.name == name)
    }
}
