// Top of an Arty A7: a UART to the host, a PHY on MII; clocks and cells.
`default_nettype none

module __TOP__ #(
    // For simulation: the PHY's milliseconds are 4 us.
    parameter FAST = 1'b0,
    // The PHY's address on its management interface.
    parameter [4:0] PHY = 5'd__PHY__,
    // The UART's rate, times 65536 by 62.5 MHz: 3 Mbaud.
    parameter [15:0] RATE = 16'd3146
) (
    input  wire       clk_100,
    input  wire       reset_n,
    output wire       uart_tx,
    input  wire       uart_rx,
    output wire       eth_ref_clk,
    output wire       eth_reset_n,
    output wire       eth_mdc,
    inout  wire       eth_mdio,
    input  wire       eth_tx_clk,
    (* IOB = "TRUE" *) output reg [3:0] eth_txd,
    (* IOB = "TRUE" *) output reg eth_tx_en,
    input  wire       eth_rx_clk,
    input  wire [3:0] eth_rxd,
    input  wire       eth_rx_dv,
    input  wire       eth_rx_er,
    // Link, activity, error, heartbeat.
    output wire [3:0] led,
    output wire       led_host
);

wire       feedback, locked, mmcm_62_5, mmcm_25, clk, tx_clk, rx_clk;
wire [3:0] txd;
wire       tx_en;
wire       mdio_i, mdio_o, mdio_oe;
wire       dna_clk, dna_read, dna_shift, dna_dout;

// The core's clock, and the PHY's. The VCO runs at 1 GHz.
MMCME2_BASE #(
    .CLKIN1_PERIOD(10.0),
    .DIVCLK_DIVIDE(1),
    .CLKFBOUT_MULT_F(10.0),
    .CLKOUT0_DIVIDE_F(16.0),
    .CLKOUT1_DIVIDE(40)
) mmcm (
    .CLKIN1(clk_100),
    .CLKFBIN(feedback),
    .CLKFBOUT(feedback),
    .CLKFBOUTB(),
    .CLKOUT0(mmcm_62_5),
    .CLKOUT0B(),
    .CLKOUT1(mmcm_25),
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

BUFG clk_buffer (.I(mmcm_62_5), .O(clk));
BUFG ref_buffer (.I(mmcm_25), .O(eth_ref_clk));
BUFG tx_buffer (.I(eth_tx_clk), .O(tx_clk));
BUFG rx_buffer (.I(eth_rx_clk), .O(rx_clk));

// Flip-flops at the pins.
(* IOB = "TRUE" *) reg [3:0] rxd;
(* IOB = "TRUE" *) reg       rx_dv, rx_er;
always @(posedge rx_clk) begin
    rxd <= eth_rxd;
    rx_dv <= eth_rx_dv;
    rx_er <= eth_rx_er;
end
always @(posedge tx_clk) begin
    eth_txd <= txd;
    eth_tx_en <= tx_en;
end

DNA_PORT dna (
    .CLK(dna_clk),
    .READ(dna_read),
    .SHIFT(dna_shift),
    .DIN(1'b0),
    .DOUT(dna_dout)
);

IOBUF mdio_buffer (
    .IO(eth_mdio),
    .I(mdio_o),
    .O(mdio_i),
    .T(!mdio_oe)
);

ferrule_core core (
    .clock(clk),
    .mii_rx_clk(rx_clk),
    .mii_tx_clk(tx_clk),
    .hold(!locked || !reset_n),
    .fast(FAST),
    .rate(RATE),
    .uart_rx(uart_rx),
    .uart_tx(uart_tx),
    .mii_rxd(rxd),
    .mii_rx_dv(rx_dv),
    .mii_rx_er(rx_er),
    .mii_txd(txd),
    .mii_tx_en(tx_en),
    .phy(PHY),
    .phy_reset_n(eth_reset_n),
    .mdc(eth_mdc),
    .mdio_o(mdio_o),
    .mdio_oe(mdio_oe),
    .mdio_i(mdio_i),
    .dna_clk(dna_clk),
    .dna_read(dna_read),
    .dna_shift(dna_shift),
    .dna_dout(dna_dout),
    .leds(led),
    .host_alive(led_host)
);

endmodule

`default_nettype wire
