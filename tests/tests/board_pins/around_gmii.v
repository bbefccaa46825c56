// Around the top of a board with GMII: the PCI Express block's inside, the PLL's oscillator and the PHY's end of MDIO, as plain ports.
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
    input  wire        mdio_i, mdio_drive,
    output wire        mdc, mdio_o, mdio_oe, phy_reset_n,
    output wire [3:0]  led,
    input  wire        phy_rx_clk,
    input  wire [7:0]  phy_rxd,
    input  wire        phy_rx_dv, phy_rx_er,
    input  wire        phy_mii_tx_clk,
    output wire        phy_tx_clk,
    output wire [7:0]  phy_txd,
    output wire        phy_tx_en, phy_tx_er
);
tri1 mdio;
assign mdio = mdio_drive ? mdio_i : 1'bz;
assign mdio_o = dut.nic.mdio_o;
assign mdio_oe = dut.nic.mdio_oe;

board dut (
    .clk_200_p(1'b1), .clk_200_n(1'b0), .pcie_clk_p(1'b1), .pcie_clk_n(1'b0), .pcie_perst_n(!user_reset),
    .pcie_rx_p(4'd0), .pcie_rx_n(4'd0), .pcie_tx_p(), .pcie_tx_n(),
    .gmii_rx_clk(phy_rx_clk), .gmii_rxd(phy_rxd), .gmii_rx_dv(phy_rx_dv), .gmii_rx_er(phy_rx_er),
    .gmii_gtx_clk(phy_tx_clk), .mii_tx_clk(phy_mii_tx_clk), .gmii_txd(phy_txd), .gmii_tx_en(phy_tx_en), .gmii_tx_er(phy_tx_er),
    .phy_reset_n(phy_reset_n), .phy_mdc(mdc), .phy_mdio(mdio), .led(led)
);
`INSIDE
endmodule
