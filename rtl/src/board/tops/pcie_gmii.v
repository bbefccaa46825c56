// Top of a board with PCI Express and a PHY on GMII, MII at 10 and 100 Mbit/s: clocks and cells.
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
    input  wire       gmii_rx_clk,
    input  wire [7:0] gmii_rxd,
    input  wire       gmii_rx_dv,
    input  wire       gmii_rx_er,
    output wire       gmii_gtx_clk,
    input  wire       mii_tx_clk,
    (* IOB = "TRUE" *) output reg [7:0] gmii_txd,
    (* IOB = "TRUE" *) output reg gmii_tx_en,
    (* IOB = "TRUE" *) output reg gmii_tx_er,
    output wire       phy_reset_n,
    output wire       phy_mdc,
    inout  wire       phy_mdio,
    output wire [3:0] led
);

wire       clk_200, feedback, locked, mmcm_125, tx_clk, rx_clk;
wire [1:0] speed;
wire [7:0] txd;
wire       tx_en, tx_er;
wire [3:0] lit;

IBUFDS clk_200_buffer (.I(clk_200_p), .IB(clk_200_n), .O(clk_200));

// The transmit clock at 1000 Mbit/s. The VCO runs at 1 GHz.
MMCME2_BASE #(
    .CLKIN1_PERIOD(5.0),
    .DIVCLK_DIVIDE(1),
    .CLKFBOUT_MULT_F(5.0),
    .CLKOUT0_DIVIDE_F(8.0)
) mmcm (
    .CLKIN1(clk_200),
    .CLKFBIN(feedback),
    .CLKFBOUT(feedback),
    .CLKFBOUTB(),
    .CLKOUT0(mmcm_125),
    .CLKOUT0B(),
    .CLKOUT1(),
    .CLKOUT1B(),
    .CLKOUT2(),
    .CLKOUT2B(),
    .CLKOUT3(),
    .CLKOUT3B(),
    .CLKOUT4(),
    .CLKOUT5(),
    .CLKOUT6(),
    .LOCKED(locked),
    .PWRDWN(1'b0),
    .RST(1'b0)
);

BUFGMUX_CTRL tx_buffer (.I0(mmcm_125), .I1(mii_tx_clk), .S(speed != 2'd2), .O(tx_clk));

// Near the pins: a clock region's buffer adds less delay than a global one.
BUFR #(.BUFR_DIVIDE("BYPASS")) rx_buffer (.I(gmii_rx_clk), .CE(1'b1), .CLR(1'b0), .O(rx_clk));

// GTX_CLK rises in the middle of what it clocks; at 10 and 100 Mbit/s the PHY takes no notice of it.
ODDR #(.DDR_CLK_EDGE("SAME_EDGE"), .INIT(1'b0), .SRTYPE("SYNC")) gtx_clk (
    .C(tx_clk),
    .CE(1'b1),
    .R(1'b0),
    .S(1'b0),
    .D1(1'b0),
    .D2(1'b1),
    .Q(gmii_gtx_clk)
);

// Flip-flops at the pins.
(* IOB = "TRUE" *) reg [7:0] rxd;
(* IOB = "TRUE" *) reg       rx_dv, rx_er;
always @(posedge rx_clk) begin
    rxd <= gmii_rxd;
    rx_dv <= gmii_rx_dv;
    rx_er <= gmii_rx_er;
end
always @(posedge tx_clk) begin
    gmii_txd <= txd;
    gmii_tx_en <= tx_en;
    gmii_tx_er <= tx_er;
end

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
    .gmii_rxd(rxd),
    .gmii_rx_dv(rx_dv),
    .gmii_rx_er(rx_er),
    .gmii_txd(txd),
    .gmii_tx_en(tx_en),
    .gmii_tx_er(tx_er),
    .link_speed(speed),
    .phy_reset_n(phy_reset_n),
    .phy_mdc(phy_mdc),
    .phy_mdio(phy_mdio),
    .led(lit)
);

assign led = LED_LOW ? ~lit : lit;

endmodule

`default_nettype wire
