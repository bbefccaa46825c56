//! Digilent Arty A7, with an XC7A35T or an XC7A100T: DP83848J on MII, USB-UART to the host.
use super::description::*;

const SOURCES: &[&str] = &[
    "Digilent/digilent-xdc Arty-A7-35-Master.xdc and Arty-A7-100-Master.xdc (snapshot 2024-11): all pins, the same in both",
    "alexforencich/verilog-ethernet example/Arty/fpga/fpga.xdc: SLEW and DRIVE, the FPGA gives the PHY its 25 MHz",
];
const PORTS: &[Port] = &[
    Port::input("clk_100", &["E3"], "LVCMOS33"),
    Port::input("reset_n", &["C2"], "LVCMOS33").untimed(),
    Port::output("uart_tx", &["D10"], "LVCMOS33").untimed(),
    Port::input("uart_rx", &["A9"], "LVCMOS33").untimed(),
    Port::output("eth_ref_clk", &["G18"], "LVCMOS33").untimed(),
    Port::output("eth_reset_n", &["C16"], "LVCMOS33").untimed(),
    Port::output("eth_mdc", &["F16"], "LVCMOS33").untimed(),
    Port::inout("eth_mdio", &["K13"], "LVCMOS33").untimed(),
    Port::input("eth_tx_clk", &["H16"], "LVCMOS33"),
    Port::output("eth_txd", &["H14", "J14", "J13", "H17"], "LVCMOS33").fast(12),
    Port::output("eth_tx_en", &["H15"], "LVCMOS33").fast(12),
    Port::input("eth_rx_clk", &["F15"], "LVCMOS33"),
    Port::input("eth_rxd", &["D18", "E17", "E18", "G17"], "LVCMOS33"),
    Port::input("eth_rx_dv", &["G16"], "LVCMOS33"),
    Port::input("eth_rx_er", &["C17"], "LVCMOS33"),
    Port::output("led", &["H5", "J5", "T9", "T10"], "LVCMOS33").untimed(),
    Port::output("led_host", &["F6"], "LVCMOS33").untimed(),
];
const CLOCKS: &[Clock] = &[
    Clock::at_port("clk_100", 10_000, "clk_100"),
    Clock::at_port("rx", 40_000, "eth_rx_clk"),
    Clock::at_port("tx", 40_000, "eth_tx_clk"),
    Clock::on_net("core", 16_000, "clk"),
];
const PHY: Phy = Phy {
    chip: "TI DP83848J",
    interface: "MII",
    address: 1,
};
const INPUTS: &[InputDelay] = &[InputDelay {
    clock: "rx",
    ports: &["eth_rxd", "eth_rx_dv", "eth_rx_er"],
    min_ps: 10_000,
    max_ps: 30_000,
    both_edges: false,
    source: "IEEE 802.3 clause 22.3.2: 10 ns of setup and hold at the receiver, of 40 ns",
}];

/// With an XC7A35T.
pub const ARTY_A7_35: Board = Board {
    name: "arty-a7-35",
    title: "Digilent Arty A7-35T",
    part: "xc7a35ticsg324-1L",
    size: Size {
        lut: 20_800,
        ff: 41_600,
        bram36: 50,
    },
    sources: SOURCES,
    phy: PHY,
    top: Top::Uart(Open {
        part: "xc7a35tcsg324-1",
        die: "xc7a35t",
        loader: "arty_a7_35t",
    }),
    ports: PORTS,
    clocks: CLOCKS,
    exclusive: &[],
    crossings: &[["core", "rx"], ["core", "tx"]],
    inputs: INPUTS,
    config_voltage: "3.3",
};

/// With an XC7A100T.
pub const ARTY_A7_100: Board = Board {
    name: "arty-a7-100",
    title: "Digilent Arty A7-100T",
    part: "xc7a100tcsg324-1",
    size: Size {
        lut: 63_400,
        ff: 126_800,
        bram36: 135,
    },
    sources: SOURCES,
    phy: PHY,
    top: Top::Uart(Open {
        part: "xc7a100tcsg324-1",
        die: "xc7a100t",
        loader: "arty_a7_100t",
    }),
    ports: PORTS,
    clocks: CLOCKS,
    exclusive: &[],
    crossings: &[["core", "rx"], ["core", "tx"]],
    inputs: INPUTS,
    config_voltage: "3.3",
};
