// Around the top of an Arty: the PLL's oscillator and the PHY's end of MDIO, as plain ports.
module around (
    input  wire        vco, button_n,
    input  wire        uart_rx,
    output wire        uart_tx,
    input  wire        mdio_i, mdio_drive,
    output wire        mdc, mdio_o, mdio_oe, phy_reset_n, ref_clk,
    output wire [3:0]  led,
    output wire        led_host,
    input  wire        phy_rx_clk, phy_tx_clk,
    input  wire [3:0]  phy_rxd,
    input  wire        phy_rx_dv, phy_rx_er,
    output wire [3:0]  phy_txd,
    output wire        phy_tx_en
);
tri1 mdio;
assign mdio = mdio_drive ? mdio_i : 1'bz;

board dut (
    .clk_100(1'b0), .reset_n(button_n), .uart_tx(uart_tx), .uart_rx(uart_rx), .eth_ref_clk(ref_clk), .eth_reset_n(phy_reset_n),
    .eth_mdc(mdc), .eth_mdio(mdio), .eth_tx_clk(phy_tx_clk), .eth_txd(phy_txd), .eth_tx_en(phy_tx_en), .eth_rx_clk(phy_rx_clk), .eth_rxd(phy_rxd),
    .eth_rx_dv(phy_rx_dv), .eth_rx_er(phy_rx_er), .led(led), .led_host(led_host)
);
always @(*) dut.mmcm.vco = vco;
assign mdio_o = dut.mdio_o;
assign mdio_oe = dut.mdio_oe;
endmodule
