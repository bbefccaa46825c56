//! Alinx AX7203: XC7A200T, two PHYs on RGMII of which the first is used, PCI Express x4.
use super::description::*;

/// The board.
pub const BOARD: Board = Board {
    name: "ax7203",
    title: "Alinx AX7203",
    part: "xc7a200tfbg484-2",
    size: Size {
        lut: 134_600,
        ff: 269_200,
        bram36: 365,
    },
    sources: &[
        "litex-hub/litex-boards platforms/alinx_ax7203.py (snapshot 2026-07): clock, PCI Express, LEDs, configuration",
        "the same file of an earlier state: RGMII; no second source was found",
    ],
    phy: Phy {
        chip: "Micrel KSZ9031RNX (two; the first is used)",
        interface: "RGMII",
        address: 1,
    },
    // The KSZ9031 delays its clock by 1.2 ns, less than the FPGA's clock buffer: the data is delayed too.
    top: Top::PcieRgmii { delayed: true },
    ports: &[
        Port::input("clk_200_p", &["R4"], "DIFF_SSTL15"),
        Port::input("clk_200_n", &["T4"], "DIFF_SSTL15"),
        Port::receiver("pcie_clk_p", &["F10"]),
        Port::receiver("pcie_clk_n", &["E10"]),
        Port::input("pcie_perst_n", &["J20"], "LVCMOS33").untimed(),
        Port::receiver("pcie_rx_p", &["D11", "B8", "B10", "D9"]),
        Port::receiver("pcie_rx_n", &["C11", "A8", "A10", "C9"]),
        Port::transmitter("pcie_tx_p", &["D5", "B4", "B6", "D7"]),
        Port::transmitter("pcie_tx_n", &["C5", "A4", "A6", "C7"]),
        Port::input("rgmii_rx_clk", &["B17"], "LVCMOS33"),
        Port::input("rgmii_rxd", &["A16", "B18", "C18", "C19"], "LVCMOS33"),
        Port::input("rgmii_rx_ctl", &["A15"], "LVCMOS33"),
        Port::output("rgmii_tx_clk", &["E18"], "LVCMOS33").fast(16),
        Port::output("rgmii_txd", &["C20", "D20", "A19", "A18"], "LVCMOS33").fast(16),
        Port::output("rgmii_tx_ctl", &["F18"], "LVCMOS33").fast(16),
        Port::output("phy_reset_n", &["D16"], "LVCMOS33").untimed(),
        Port::output("phy_mdc", &["B16"], "LVCMOS33").untimed(),
        Port::inout("phy_mdio", &["B15"], "LVCMOS33").untimed(),
        Port::output("led", &["B13", "C13", "D14", "D15"], "LVCMOS33").untimed(),
    ],
    clocks: &RGMII_CLOCKS,
    exclusive: &[&["mmcm/CLKOUT0", "mmcm/CLKOUT1"], &["mmcm/CLKOUT2", "mmcm/CLKOUT3"], &["clk_2_5"]],
    crossings: &[["user", "rx"], ["user", "tx"]],
    inputs: &[rgmii_inputs("rx")],
    config_voltage: "3.3",
};
