// Top of a board with PCI Express and a PHY on RGMII: clocks and cells.
`default_nettype none

module __TOP__ #(
    // For simulation: the PHY's milliseconds are 4 us.
    parameter FAST = 1'b0,
    // The PHY's address on its management interface.
    parameter [4:0] PHY = 5'd__PHY__,
    // An LED is lit by a low level.
    parameter LED_LOW = 1'b0
) (
    input  wire       clk_200_p,
    input  wire       clk_200_n,
    input  wire       pcie_clk_p,
    input  wire       pcie_clk_n,
    input  wire       pcie_perst_n,
    input  wire [3:0] pcie_rx_p,
    input  wire [3:0] pcie_rx_n,
    output wire [3:0] pcie_tx_p,
    output wire [3:0] pcie_tx_n,
    input  wire       rgmii_rx_clk,
    input  wire [3:0] rgmii_rxd,
    input  wire       rgmii_rx_ctl,
    output wire       rgmii_tx_clk,
    output wire [3:0] rgmii_txd,
    output wire       rgmii_tx_ctl,
    output wire       phy_reset_n,
    output wire       phy_mdc,
    inout  wire       phy_mdio,
    output wire [3:0] led
);

wire       clk_200, feedback, locked;
wire       mmcm_125, mmcm_125_late, mmcm_25, mmcm_25_late, mmcm_200;
wire       clk_25, delay_clk, slow_clk, slow_clk_late, tx_clk, tx_clk_late, rx_clk;
wire [1:0] speed;
wire [7:0] gmii_rxd, gmii_txd;
wire       gmii_rx_dv, gmii_rx_er, gmii_tx_en, gmii_tx_er;
wire [3:0] lit;

IBUFDS clk_200_buffer (.I(clk_200_p), .IB(clk_200_n), .O(clk_200));

// The transmit clock at 1000 and at 100 Mbit/s, each with one a quarter of a period later for TXC, and the clock of the input delays. The VCO runs at 1 GHz.
MMCME2_BASE #(
    .CLKIN1_PERIOD(5.0),
    .DIVCLK_DIVIDE(1),
    .CLKFBOUT_MULT_F(5.0),
    .CLKOUT0_DIVIDE_F(8.0),
    .CLKOUT1_DIVIDE(8),
    .CLKOUT1_PHASE(90.0),
    .CLKOUT2_DIVIDE(40),
    .CLKOUT3_DIVIDE(40),
    .CLKOUT3_PHASE(90.0),
    .CLKOUT4_DIVIDE(5)
) mmcm (
    .CLKIN1(clk_200),
    .CLKFBIN(feedback),
    .CLKFBOUT(feedback),
    .CLKFBOUTB(),
    .CLKOUT0(mmcm_125),
    .CLKOUT0B(),
    .CLKOUT1(mmcm_125_late),
    .CLKOUT1B(),
    .CLKOUT2(mmcm_25),
    .CLKOUT2B(),
    .CLKOUT3(mmcm_25_late),
    .CLKOUT3B(),
    .CLKOUT4(mmcm_200),
    .CLKOUT5(),
    .CLKOUT6(),
    .LOCKED(locked),
    .PWRDWN(1'b0),
    .RST(1'b0)
);

BUFG delay_clk_buffer (.I(mmcm_200), .O(delay_clk));

(* IODELAY_GROUP = "rgmii" *)
IDELAYCTRL delay_control (.REFCLK(delay_clk), .RST(!locked), .RDY());

// 2.5 MHz for 10 Mbit/s: a tenth of 25 MHz, and the same three tenths of a period later.
BUFG clk_25_buffer (.I(mmcm_25), .O(clk_25));
reg [3:0] tenth = 4'd0;
reg       clk_2_5 = 1'b0, clk_2_5_late = 1'b0;
always @(posedge clk_25) begin
    tenth <= tenth == 4'd9 ? 4'd0 : tenth + 4'd1;
    clk_2_5 <= tenth < 4'd5;
    clk_2_5_late <= tenth >= 4'd3 && tenth < 4'd8;
end

BUFGMUX_CTRL slow_buffer (.I0(mmcm_25), .I1(clk_2_5), .S(speed == 2'd0), .O(slow_clk));
BUFGMUX_CTRL slow_late_buffer (.I0(mmcm_25_late), .I1(clk_2_5_late), .S(speed == 2'd0), .O(slow_clk_late));
BUFGMUX_CTRL tx_buffer (.I0(mmcm_125), .I1(slow_clk), .S(speed != 2'd2), .O(tx_clk));
BUFGMUX_CTRL tx_late_buffer (.I0(mmcm_125_late), .I1(slow_clk_late), .S(speed != 2'd2), .O(tx_clk_late));

// Near the pins: a clock region's buffer adds less delay than a global one.
BUFR #(.BUFR_DIVIDE("BYPASS")) rx_buffer (.I(rgmii_rx_clk), .CE(1'b1), .CLR(1'b0), .O(rx_clk));

ferrule_rgmii rgmii (
    .gmii_rx_clk(rx_clk),
    .gmii_tx_clk(tx_clk),
    .txc_clk(tx_clk_late),
    .link_speed(speed),
    .rgmii_rd(rgmii_rxd),
    .rgmii_rx_ctl(rgmii_rx_ctl),
    .rgmii_txc(rgmii_tx_clk),
    .rgmii_td(rgmii_txd),
    .rgmii_tx_ctl(rgmii_tx_ctl),
    .gmii_rxd(gmii_rxd),
    .gmii_rx_dv(gmii_rx_dv),
    .gmii_rx_er(gmii_rx_er),
    .gmii_txd(gmii_txd),
    .gmii_tx_en(gmii_tx_en),
    .gmii_tx_er(gmii_tx_er),
    .in_band()
);

ferrule_pcie #(.FAST(FAST), .PHY(PHY)) nic (
    .pcie_clk_p(pcie_clk_p),
    .pcie_clk_n(pcie_clk_n),
    .pcie_perst_n(pcie_perst_n),
    .pcie_rx_p(pcie_rx_p),
    .pcie_rx_n(pcie_rx_n),
    .pcie_tx_p(pcie_tx_p),
    .pcie_tx_n(pcie_tx_n),
    .hold(!locked),
    .gmii_rx_clk(rx_clk),
    .gmii_tx_clk(tx_clk),
    .gmii_rxd(gmii_rxd),
    .gmii_rx_dv(gmii_rx_dv),
    .gmii_rx_er(gmii_rx_er),
    .gmii_txd(gmii_txd),
    .gmii_tx_en(gmii_tx_en),
    .gmii_tx_er(gmii_tx_er),
    .link_speed(speed),
    .phy_reset_n(phy_reset_n),
    .phy_mdc(phy_mdc),
    .phy_mdio(phy_mdio),
    .led(lit)
);

assign led = LED_LOW ? ~lit : lit;

endmodule

`default_nettype wire
