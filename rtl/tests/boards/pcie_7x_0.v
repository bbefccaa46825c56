// The PCI Express block's interface as Vivado gives it (PG054), as far as the tops use it. A box for lint and synthesis; a simulation drives its outputs and
// reads its inputs by name.
/* verilator lint_off UNDRIVEN */
/* verilator lint_off UNUSED */
/* verilator lint_off DECLFILENAME */
(* blackbox *)
module pcie_7x_0 (
    input sys_clk, input sys_rst_n,
    output [3:0] pci_exp_txp, output [3:0] pci_exp_txn, input [3:0] pci_exp_rxp, input [3:0] pci_exp_rxn,
    output reg user_clk_out, output reg user_reset_out, output reg user_lnk_up,
    input [63:0] s_axis_tx_tdata, input [7:0] s_axis_tx_tkeep, input s_axis_tx_tlast, input s_axis_tx_tvalid, output reg s_axis_tx_tready,
    input [3:0] s_axis_tx_tuser,
    output reg [63:0] m_axis_rx_tdata, output reg [7:0] m_axis_rx_tkeep, output reg m_axis_rx_tlast, output reg m_axis_rx_tvalid,
    input m_axis_rx_tready, output reg [21:0] m_axis_rx_tuser,
    output reg tx_err_drop, input tx_cfg_gnt, input rx_np_ok, input rx_np_req,
    output reg [7:0] cfg_bus_number, output reg [4:0] cfg_device_number, output reg [2:0] cfg_function_number,
    output reg [15:0] cfg_command, output reg [15:0] cfg_dcommand,
    input cfg_interrupt, input cfg_interrupt_assert, input [7:0] cfg_interrupt_di, input cfg_interrupt_stat, input [4:0] cfg_pciecap_interrupt_msgnum,
    output reg cfg_interrupt_msixenable, output reg cfg_interrupt_msixfm,
    input cfg_trn_pending, output reg cfg_to_turnoff, input cfg_turnoff_ok,
    input cfg_pm_halt_aspm_l0s, input cfg_pm_halt_aspm_l1, input cfg_pm_force_state_en, input [1:0] cfg_pm_force_state, input cfg_pm_wake,
    input cfg_pm_send_pme_to, input [63:0] cfg_dsn, input [7:0] cfg_ds_bus_number, input [4:0] cfg_ds_device_number, input [2:0] cfg_ds_function_number
);
assign pci_exp_txp = 4'd0;
assign pci_exp_txn = 4'd0;
endmodule
