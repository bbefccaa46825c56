// Top of a board with PCI Express and PHYs on RGMII: clocks and cells.
`default_nettype none

module __TOP__ #(
    // For simulation: the PHY's milliseconds are 4 us.
    parameter FAST = 1'b0,
    // The address of each PHY on its management interface.
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
//: each port
    input  wire       rgmii%_rx_clk,
    input  wire [3:0] rgmii%_rxd,
    input  wire       rgmii%_rx_ctl,
    output wire       rgmii%_tx_clk,
    output wire [3:0] rgmii%_txd,
    output wire       rgmii%_tx_ctl,
    output wire       phy%_reset_n,
    output wire       phy%_mdc,
    inout  wire       phy%_mdio,
//: end
    output wire [3:0] led
);

wire       clk_200, feedback, locked;
wire       mmcm_125, mmcm_125_late, mmcm_25, mmcm_25_late, mmcm_200;
wire       clk_25, delay_clk;
//: each port
wire       slow%_clk, slow%_clk_late, tx%_clk, tx%_clk_late, rx%_clk;
wire [1:0] speed%;
wire [7:0] gmii%_rxd, gmii%_txd;
wire       gmii%_rx_dv, gmii%_rx_er, gmii%_tx_en, gmii%_tx_er;
//: end
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

//: each port
BUFGMUX_CTRL slow%_buffer (.I0(mmcm_25), .I1(clk_2_5), .S(speed% == 2'd0), .O(slow%_clk));
BUFGMUX_CTRL slow%_late_buffer (.I0(mmcm_25_late), .I1(clk_2_5_late), .S(speed% == 2'd0), .O(slow%_clk_late));
BUFGMUX_CTRL tx%_buffer (.I0(mmcm_125), .I1(slow%_clk), .S(speed% != 2'd2), .O(tx%_clk));
BUFGMUX_CTRL tx%_late_buffer (.I0(mmcm_125_late), .I1(slow%_clk_late), .S(speed% != 2'd2), .O(tx%_clk_late));

// Near the pins: a clock region's buffer adds less delay than a global one.
BUFR #(.BUFR_DIVIDE("BYPASS")) rx%_buffer (.I(rgmii%_rx_clk), .CE(1'b1), .CLR(1'b0), .O(rx%_clk));

ferrule_rgmii rgmii% (
    .gmii_rx_clk(rx%_clk),
    .gmii_tx_clk(tx%_clk),
    .txc_clk(tx%_clk_late),
    .link_speed(speed%),
    .rgmii_rd(rgmii%_rxd),
    .rgmii_rx_ctl(rgmii%_rx_ctl),
    .rgmii_txc(rgmii%_tx_clk),
    .rgmii_td(rgmii%_txd),
    .rgmii_tx_ctl(rgmii%_tx_ctl),
    .gmii_rxd(gmii%_rxd),
    .gmii_rx_dv(gmii%_rx_dv),
    .gmii_rx_er(gmii%_rx_er),
    .gmii_txd(gmii%_txd),
    .gmii_tx_en(gmii%_tx_en),
    .gmii_tx_er(gmii%_tx_er),
    .in_band()
);

//: end
ferrule_pcie #(.FAST(FAST), .PHY(PHY)) nic (
    .pcie_clk_p(pcie_clk_p),
    .pcie_clk_n(pcie_clk_n),
    .pcie_perst_n(pcie_perst_n),
    .pcie_rx_p(pcie_rx_p),
    .pcie_rx_n(pcie_rx_n),
    .pcie_tx_p(pcie_tx_p),
    .pcie_tx_n(pcie_tx_n),
    .hold(!locked),
//: each port
    .gmii%_rx_clk(rx%_clk),
    .gmii%_tx_clk(tx%_clk),
    .gmii%_rxd(gmii%_rxd),
    .gmii%_rx_dv(gmii%_rx_dv),
    .gmii%_rx_er(gmii%_rx_er),
    .gmii%_txd(gmii%_txd),
    .gmii%_tx_en(gmii%_tx_en),
    .gmii%_tx_er(gmii%_tx_er),
    .link%_speed(speed%),
    .phy%_reset_n(phy%_reset_n),
    .phy%_mdc(phy%_mdc),
    .phy%_mdio(phy%_mdio),
//: end
    .led(lit)
);

assign led = LED_LOW ? ~lit : lit;

endmodule

`default_nettype wire
