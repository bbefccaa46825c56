//! Xilinx KC705: XC7K325T, 88E1111 on GMII, PCI Express x8 of which four lanes are used.
use super::description::*;

/// The board.
pub const BOARD: Board = Board {
    name: "kc705",
    title: "Xilinx KC705",
    part: "xc7k325tffg900-2",
    size: Size {
        lut: 203_800,
        ff: 407_600,
        bram36: 445,
    },
    sources: &[
        "fpganinja/taxi src/eth/example/KC705 (snapshot 2026-08): clock, GMII, PCI Express",
        "litex-hub/litex-boards platforms/xilinx_kc705.py (snapshot 2026-07): the same, LEDs, PERST#",
        "alexforencich/verilog-ethernet example/KC705/fpga_gmii/fpga.xdc: GMII, LEDs, configuration",
    ],
    phy: Phy {
        chip: "Marvell 88E1111",
        interface: "GMII",
        address: 7,
    },
    top: Top::PcieGmii,
    ports: &[
        Port::input("clk_200_p", &["AD12"], "LVDS"),
        Port::input("clk_200_n", &["AD11"], "LVDS"),
        Port::receiver("pcie_clk_p", &["U8"]),
        Port::receiver("pcie_clk_n", &["U7"]),
        Port::input("pcie_perst_n", &["G25"], "LVCMOS25").untimed(),
        Port::receiver("pcie_rx_p", &["M6", "P6", "R4", "T6"]),
        Port::receiver("pcie_rx_n", &["M5", "P5", "R3", "T5"]),
        Port::transmitter("pcie_tx_p", &["L4", "M2", "N4", "P2"]),
        Port::transmitter("pcie_tx_n", &["L3", "M1", "N3", "P1"]),
        Port::input("gmii_rx_clk", &["U27"], "LVCMOS25"),
        Port::input(
            "gmii_rxd",
            &["U30", "U25", "T25", "U28", "R19", "T27", "T26", "T28"],
            "LVCMOS25",
        ),
        Port::input("gmii_rx_dv", &["R28"], "LVCMOS25"),
        Port::input("gmii_rx_er", &["V26"], "LVCMOS25"),
        Port::output("gmii_gtx_clk", &["K30"], "LVCMOS25").fast(16),
        Port::input("mii_tx_clk", &["M28"], "LVCMOS25"),
        Port::output(
            "gmii_txd",
            &["N27", "N25", "M29", "L28", "J26", "K26", "L30", "J28"],
            "LVCMOS25",
        )
        .fast(16),
        Port::output("gmii_tx_en", &["M27"], "LVCMOS25").fast(16),
        Port::output("gmii_tx_er", &["N29"], "LVCMOS25").fast(16),
        Port::output("phy_reset_n", &["L20"], "LVCMOS25").untimed(),
        Port::output("phy_mdc", &["R23"], "LVCMOS25").untimed(),
        Port::inout("phy_mdio", &["J21"], "LVCMOS25").untimed(),
        Port::output("led", &["AB8", "AA8", "AC9", "AB9"], "LVCMOS15").untimed(),
    ],
    clocks: &[
        CLK_200,
        PCIE_CLK,
        Clock::at_port("rx", 8_000, "gmii_rx_clk"),
        Clock::at_port("mii_tx", 40_000, "mii_tx_clk"),
        USER,
        TX,
    ],
    exclusive: &[&["mmcm/CLKOUT0"], &["mii_tx"]],
    crossings: &[["user", "rx"], ["user", "tx"]],
    inputs: &[InputDelay {
        clock: "rx",
        ports: &["gmii_rxd", "gmii_rx_dv", "gmii_rx_er"],
        min_ps: 0,
        max_ps: 6_000,
        both_edges: false,
        source: "IEEE 802.3 clause 35.4.2.3: 2 ns of setup and 0 of hold at the receiver, of 8 ns",
    }],
    config_voltage: "2.5",
};
