//! Xilinx AC701: XC7A200T, 88E1116R on RGMII, PCI Express x4.
use super::description::*;

/// The board.
pub const BOARD: Board = Board {
    name: "ac701",
    title: "Xilinx AC701",
    part: "xc7a200tfbg676-2",
    size: Size {
        lut: 134_600,
        ff: 269_200,
        bram36: 365,
    },
    sources: &[
        "fpganinja/taxi src/eth/example/AC701 (snapshot 2026-08): clock, RGMII, LEDs",
        "litex-hub/litex-boards platforms/xilinx_ac701.py (snapshot 2026-07): the same, and PCI Express",
    ],
    phy: Phy {
        chip: "Marvell 88E1116R",
        interface: "RGMII",
        address: 7,
    },
    // The PHY delays its clock; the transmit clock comes a quarter of a period late out of the FPGA (taxi).
    top: Top::PcieRgmii {
        delayed: false,
        two_ports: false,
    },
    ports: &[
        Port::input("clk_200_p", &["R3"], "LVDS_25"),
        Port::input("clk_200_n", &["P3"], "LVDS_25"),
        Port::receiver("pcie_clk_p", &["F11"]),
        Port::receiver("pcie_clk_n", &["E11"]),
        Port::input("pcie_perst_n", &["M20"], "LVCMOS25").untimed(),
        Port::receiver("pcie_rx_p", &["D12", "B13", "D14", "B11"]),
        Port::receiver("pcie_rx_n", &["C12", "A13", "C14", "A11"]),
        Port::transmitter("pcie_tx_p", &["D10", "B9", "D8", "B7"]),
        Port::transmitter("pcie_tx_n", &["C10", "A9", "C8", "A7"]),
        Port::input("rgmii_rx_clk", &["U21"], "LVCMOS18"),
        Port::input("rgmii_rxd", &["U17", "V17", "V16", "V14"], "LVCMOS18"),
        Port::input("rgmii_rx_ctl", &["U14"], "LVCMOS18"),
        Port::output("rgmii_tx_clk", &["U22"], "LVCMOS18").fast(16),
        Port::output("rgmii_txd", &["U16", "U15", "T18", "T17"], "LVCMOS18").fast(16),
        Port::output("rgmii_tx_ctl", &["T15"], "LVCMOS18").fast(16),
        Port::output("phy_reset_n", &["V18"], "LVCMOS18").untimed(),
        Port::output("phy_mdc", &["W18"], "LVCMOS18").untimed(),
        Port::inout("phy_mdio", &["T14"], "LVCMOS18").untimed(),
        Port::output("led", &["M26", "T24", "T25", "R26"], "LVCMOS33").untimed(),
    ],
    clocks: &[CLK_200, PCIE_CLK, RGMII_RX, USER, TX, CLK_2_5],
    exclusive: &[&["mmcm/CLKOUT0", "mmcm/CLKOUT1"], &["mmcm/CLKOUT2", "mmcm/CLKOUT3"], &["clk_2_5"]],
    crossings: &[["user", "rx"], ["user", "tx"]],
    inputs: &[rgmii_inputs("rx", &["rgmii_rxd", "rgmii_rx_ctl"])],
    config_voltage: "3.3",
};
