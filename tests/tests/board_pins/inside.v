always @(*) dut.mmcm.vco = vco;
always @(*) begin
    dut.nic.pcie.user_clk_out = user_clk;
end
always @(*) begin
    dut.nic.pcie.user_reset_out = user_reset;
    dut.nic.pcie.user_lnk_up = user_lnk_up;
    dut.nic.pcie.m_axis_rx_tdata = {rx_d1, rx_d0};
    dut.nic.pcie.m_axis_rx_tkeep = rx_keep;
    dut.nic.pcie.m_axis_rx_tlast = rx_last;
    dut.nic.pcie.m_axis_rx_tvalid = rx_valid;
    dut.nic.pcie.m_axis_rx_tuser = rx_user;
    dut.nic.pcie.s_axis_tx_tready = tx_ready;
    dut.nic.pcie.tx_err_drop = 1'b0;
    dut.nic.pcie.cfg_bus_number = completer_id[15:8];
    dut.nic.pcie.cfg_device_number = completer_id[7:3];
    dut.nic.pcie.cfg_function_number = completer_id[2:0];
    dut.nic.pcie.cfg_command = command;
    dut.nic.pcie.cfg_dcommand = dcommand;
    dut.nic.pcie.cfg_interrupt_msixenable = msix_enable;
    dut.nic.pcie.cfg_interrupt_msixfm = msix_mask;
    dut.nic.pcie.cfg_to_turnoff = 1'b0;
end
assign rx_ready = dut.nic.pcie.m_axis_rx_tready;
assign {tx_d1, tx_d0} = dut.nic.pcie.s_axis_tx_tdata;
assign tx_keep = dut.nic.pcie.s_axis_tx_tkeep;
assign tx_last = dut.nic.pcie.s_axis_tx_tlast;
assign tx_valid = dut.nic.pcie.s_axis_tx_tvalid;
assign pending = dut.nic.pcie.cfg_trn_pending;
