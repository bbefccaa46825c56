// The 7-series integrated block for PCI Express (PG054), the FPGA's number (UG470), and the NIC between them and GMII.
// pcie_7x_0 is what the board's Tcl script has Vivado make.
`default_nettype none

module ferrule_pcie #(
    // For simulation: the PHY's milliseconds are 4 us.
    parameter FAST = 1'b0,
    // The address of each PHY on its management interface.
    parameter [4:0] PHY = 5'd0
) (
    input  wire       pcie_clk_p,
    input  wire       pcie_clk_n,
    input  wire       pcie_perst_n,
    input  wire [3:0] pcie_rx_p,
    input  wire [3:0] pcie_rx_n,
    output wire [3:0] pcie_tx_p,
    output wire [3:0] pcie_tx_n,
    // The board's clocks are not good yet.
    input  wire       hold,
//: each port
    input  wire       gmii%_rx_clk,
    input  wire       gmii%_tx_clk,
    input  wire [7:0] gmii%_rxd,
    input  wire       gmii%_rx_dv,
    input  wire       gmii%_rx_er,
    output wire [7:0] gmii%_txd,
    output wire       gmii%_tx_en,
    output wire       gmii%_tx_er,
    // 0: 10, 1: 100, 2: 1000 Mbit/s.
    output wire [1:0] link%_speed,
    output wire       phy%_reset_n,
    output wire       phy%_mdc,
    inout  wire       phy%_mdio,
//: end
    // Link, activity, error, heartbeat.
    output wire [3:0] led
);

wire        pcie_clk;
wire        user_clk, user_reset, user_lnk_up;
wire [63:0] rx_data, tx_data;
wire [7:0]  rx_keep, tx_keep;
wire        rx_last, rx_valid, rx_ready, tx_last, tx_valid, tx_ready, tx_dropped;
wire [21:0] rx_user;
wire [7:0]  cfg_bus;
wire [4:0]  cfg_device;
wire [2:0]  cfg_function;
wire [15:0] cfg_command, cfg_dcommand;
wire        msix_enable, msix_mask, pending, turnoff;
//: each port
wire        mdio%_i, mdio%_o, mdio%_oe;
//: end
wire        dna_clk, dna_read, dna_shift, dna_dout;

IBUFDS_GTE2 pcie_clk_buffer (
    .I(pcie_clk_p),
    .IB(pcie_clk_n),
    .CEB(1'b0),
    .O(pcie_clk),
    .ODIV2()
);

// The function has no PME, no INTx and no MSI; MSI-X messages are memory writes of the NIC's own. It agrees at once to be switched off.
pcie_7x_0 pcie (
    .sys_clk(pcie_clk),
    .sys_rst_n(pcie_perst_n),
    .pci_exp_txp(pcie_tx_p),
    .pci_exp_txn(pcie_tx_n),
    .pci_exp_rxp(pcie_rx_p),
    .pci_exp_rxn(pcie_rx_n),
    .user_clk_out(user_clk),
    .user_reset_out(user_reset),
    .user_lnk_up(user_lnk_up),
    .s_axis_tx_tdata(tx_data),
    .s_axis_tx_tkeep(tx_keep),
    .s_axis_tx_tlast(tx_last),
    .s_axis_tx_tvalid(tx_valid),
    .s_axis_tx_tready(tx_ready),
    .s_axis_tx_tuser(4'b0000),
    .m_axis_rx_tdata(rx_data),
    .m_axis_rx_tkeep(rx_keep),
    .m_axis_rx_tlast(rx_last),
    .m_axis_rx_tvalid(rx_valid),
    .m_axis_rx_tready(rx_ready),
    .m_axis_rx_tuser(rx_user),
    .tx_err_drop(tx_dropped),
    .tx_cfg_gnt(1'b1),
    .rx_np_ok(1'b1),
    .rx_np_req(1'b1),
    .cfg_bus_number(cfg_bus),
    .cfg_device_number(cfg_device),
    .cfg_function_number(cfg_function),
    .cfg_command(cfg_command),
    .cfg_dcommand(cfg_dcommand),
    .cfg_interrupt(1'b0),
    .cfg_interrupt_assert(1'b0),
    .cfg_interrupt_di(8'd0),
    .cfg_interrupt_stat(1'b0),
    .cfg_pciecap_interrupt_msgnum(5'd0),
    .cfg_interrupt_msixenable(msix_enable),
    .cfg_interrupt_msixfm(msix_mask),
    .cfg_trn_pending(pending),
    .cfg_to_turnoff(turnoff),
    .cfg_turnoff_ok(turnoff),
    .cfg_pm_halt_aspm_l0s(1'b0),
    .cfg_pm_halt_aspm_l1(1'b0),
    .cfg_pm_force_state_en(1'b0),
    .cfg_pm_force_state(2'b00),
    .cfg_pm_wake(1'b0),
    .cfg_pm_send_pme_to(1'b0),
    .cfg_dsn(64'd0),
    .cfg_ds_bus_number(8'd0),
    .cfg_ds_device_number(5'd0),
    .cfg_ds_function_number(3'd0)
);

DNA_PORT dna (
    .CLK(dna_clk),
    .READ(dna_read),
    .SHIFT(dna_shift),
    .DIN(1'b0),
    .DOUT(dna_dout)
);

//: each port
IOBUF mdio%_buffer (
    .IO(phy%_mdio),
    .I(mdio%_o),
    .O(mdio%_i),
    .T(!mdio%_oe)
);
//: end

ferrule_core core (
    .clock(user_clk),
    .hold(hold),
    .fast(FAST),
    .user_reset(user_reset),
    .user_lnk_up(user_lnk_up),
    .rx_d0(rx_data[31:0]),
    .rx_d1(rx_data[63:32]),
    .rx_keep(rx_keep),
    .rx_last(rx_last),
    .rx_valid(rx_valid),
    .rx_ready(rx_ready),
    .rx_user(rx_user),
    .tx_d0(tx_data[31:0]),
    .tx_d1(tx_data[63:32]),
    .tx_keep(tx_keep),
    .tx_last(tx_last),
    .tx_valid(tx_valid),
    .tx_ready(tx_ready),
    .tx_dropped(tx_dropped),
    .cfg_bus(cfg_bus),
    .cfg_device(cfg_device),
    .cfg_function(cfg_function),
    .cfg_command(cfg_command),
    .cfg_dcommand(cfg_dcommand),
    .msix_enable(msix_enable),
    .msix_mask(msix_mask),
    .pending(pending),
//: each port
    .gmii_rx_clk[%](gmii%_rx_clk),
    .gmii_tx_clk[%](gmii%_tx_clk),
    .gmii_rxd[%](gmii%_rxd),
    .gmii_rx_dv[%](gmii%_rx_dv),
    .gmii_rx_er[%](gmii%_rx_er),
    .gmii_txd[%](gmii%_txd),
    .gmii_tx_en[%](gmii%_tx_en),
    .gmii_tx_er[%](gmii%_tx_er),
    .link_speed[%](link%_speed),
    .phy[%](PHY),
    .phy_reset_n[%](phy%_reset_n),
    .mdc[%](phy%_mdc),
    .mdio_o[%](mdio%_o),
    .mdio_oe[%](mdio%_oe),
    .mdio_i[%](mdio%_i),
//: end
    .dna_clk(dna_clk),
    .dna_read(dna_read),
    .dna_shift(dna_shift),
    .dna_dout(dna_dout),
    .leds(led)
);

endmodule

`default_nettype wire
