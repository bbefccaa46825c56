// Around the top of a board with RGMII: the PCI Express block's inside, the PLL's oscillator and the end of MDIO of each PHY, as plain ports.
module around (
    input  wire        vco,
    input  wire        user_clk, user_reset, user_lnk_up,
    input  wire [31:0] rx_d0, rx_d1,
    input  wire [7:0]  rx_keep,
    input  wire        rx_last, rx_valid,
    output wire        rx_ready,
    input  wire [21:0] rx_user,
    output wire [31:0] tx_d0, tx_d1,
    output wire [7:0]  tx_keep,
    output wire        tx_last, tx_valid,
    input  wire        tx_ready,
    input  wire [15:0] completer_id, command, dcommand,
    input  wire        msix_enable, msix_mask,
    output wire        pending,
//: each port
    input  wire        mdio%_i, mdio%_drive,
    output wire        mdc%, mdio%_o, mdio%_oe, phy%_reset_n,
    input  wire        phy%_rx_clk,
    input  wire [3:0]  phy%_rxd,
    input  wire        phy%_rx_ctl,
    output wire        phy%_tx_clk,
    output wire [3:0]  phy%_txd,
    output wire        phy%_tx_ctl,
//: end
    output wire [3:0]  led
);
//: each port
tri1 mdio%;
assign mdio% = mdio%_drive ? mdio%_i : 1'bz;
assign mdio%_o = dut.nic.mdio%_o;
assign mdio%_oe = dut.nic.mdio%_oe;
//: end

board dut (
    .clk_200_p(1'b1), .clk_200_n(1'b0), .pcie_clk_p(1'b1), .pcie_clk_n(1'b0), .pcie_perst_n(!user_reset),
    .pcie_rx_p(4'd0), .pcie_rx_n(4'd0), .pcie_tx_p(), .pcie_tx_n(),
//: each port
    .rgmii%_rx_clk(phy%_rx_clk), .rgmii%_rxd(phy%_rxd), .rgmii%_rx_ctl(phy%_rx_ctl),
    .rgmii%_tx_clk(phy%_tx_clk), .rgmii%_txd(phy%_txd), .rgmii%_tx_ctl(phy%_tx_ctl),
    .phy%_reset_n(phy%_reset_n), .phy%_mdc(mdc%), .phy%_mdio(mdio%),
//: end
    .led(led)
);
`INSIDE
endmodule
