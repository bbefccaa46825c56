//! The script that has Vivado make a bitstream, without a project.
use ferrule_abi::{
    BAR_MSIX, BAR_MSIX_SIZE, BAR_REGS, BAR_REGS_SIZE, MSIX_PBA_OFFSET, MSIX_VECTORS, PCI_CLASS,
    PCI_DEVICE, PCI_VENDOR,
};
use std::fmt::Write as _;

use super::description::{Board, Top};

// The properties' names have the BARs' numbers in them.
const _: () = assert!(BAR_REGS == 0 && BAR_MSIX == 2);

/// The properties of the integrated block (`pcie_7x`, PG054) that make it the function with so many ports which the driver expects: name and
/// value.
///
/// Gen1 x4 and 64 bits give a user clock of 125 MHz. Offsets and the number of vectors are hexadecimal.
pub fn pcie_properties(ports: u8) -> Vec<(&'static str, String)> {
    let flag = |on: bool| on.to_string();
    let mut all = vec![
        ("mode_selection", "Advanced".to_owned()),
        ("Device_Port_Type", "PCI_Express_Endpoint_device".to_owned()),
        ("Maximum_Link_Width", "X4".to_owned()),
        ("Link_Speed", "2.5_GT/s".to_owned()),
        ("Interface_Width", "64_bit".to_owned()),
        ("User_Clk_Freq", "125".to_owned()),
        ("Ref_Clk_Freq", "100_MHz".to_owned()),
        ("Max_Payload_Size", "256_bytes".to_owned()),
        ("Extended_Tag_Field", flag(false)),
        ("Vendor_ID", format!("{PCI_VENDOR:04x}")),
        ("Device_ID", format!("{PCI_DEVICE:04x}")),
        ("Revision_ID", "01".to_owned()),
        ("Subsystem_Vendor_ID", format!("{PCI_VENDOR:04x}")),
        ("Subsystem_ID", "0001".to_owned()),
        ("Use_Class_Code_Lookup_Assistant", flag(false)),
        ("Class_Code_Base", format!("{:02x}", PCI_CLASS >> 16)),
        ("Class_Code_Sub", format!("{:02x}", PCI_CLASS >> 8 & 0xFF)),
        ("Class_Code_Interface", format!("{:02x}", PCI_CLASS & 0xFF)),
    ];
    all.extend([
        ("Bar0_Enabled", flag(true)),
        ("Bar0_Type", "Memory".to_owned()),
        ("Bar0_64bit", flag(false)),
        ("Bar0_Prefetchable", flag(false)),
        ("Bar0_Scale", "Megabytes".to_owned()),
        (
            "Bar0_Size",
            (u32::from(ports) * (BAR_REGS_SIZE >> 20)).to_string(),
        ),
        ("Bar1_Enabled", flag(false)),
        ("Bar2_Enabled", flag(true)),
        ("Bar2_Type", "Memory".to_owned()),
        ("Bar2_64bit", flag(false)),
        ("Bar2_Prefetchable", flag(false)),
        ("Bar2_Scale", "Kilobytes".to_owned()),
        ("Bar2_Size", (BAR_MSIX_SIZE >> 10).to_string()),
        ("Bar3_Enabled", flag(false)),
        ("Bar4_Enabled", flag(false)),
        ("Bar5_Enabled", flag(false)),
        ("Expansion_Rom_Enabled", flag(false)),
        ("IntX_Generation", flag(false)),
        ("Legacy_Interrupt", "NONE".to_owned()),
        ("MSI_Enabled", flag(false)),
        ("MSIx_Enabled", flag(true)),
        (
            "MSIx_Table_Size",
            format!("{:x}", u16::from(ports) * MSIX_VECTORS),
        ),
        ("MSIx_Table_BIR", format!("BAR_{BAR_MSIX}")),
        ("MSIx_Table_Offset", "0".to_owned()),
        ("MSIx_PBA_BIR", format!("BAR_{BAR_MSIX}")),
        ("MSIx_PBA_Offset", format!("{MSIX_PBA_OFFSET:x}")),
        ("D1_Support", flag(false)),
        ("D2_Support", flag(false)),
        ("DSN_Enabled", flag(false)),
        ("cfg_status_if", flag(true)),
        ("cfg_ctl_if", flag(true)),
        ("cfg_mgmt_if", flag(false)),
        ("cfg_fc_if", flag(false)),
        ("rcv_msg_if", flag(false)),
        ("err_reporting_if", flag(false)),
        ("pl_interface", flag(false)),
        ("PCIe_Debug_Ports", flag(false)),
    ]);
    all
}

/// The script of a board; `sources` are its Verilog files.
pub fn script(board: &Board, sources: &[String]) -> String {
    let Board { title, part, .. } = board;
    let module = board.module();
    let mut t = format!(
        "# {title}: Verilog to bitstream, without a project. Nothing of this has run on silicon.\n\
         #\n\
         #   vivado -mode batch -source {module}.tcl\n\
         #\n\
         # Leaves {module}.bit, {module}_timing.rpt and {module}_utilization.rpt; fails where the timing is not met.\n\
         set here [file dirname [file normalize [info script]]]\n\
         cd $here\n\
         create_project -in_memory -part {part}\n\
         set_property target_language Verilog [current_project]\n\n"
    );
    if matches!(board.top, Top::PcieRgmii { .. } | Top::PcieGmii) {
        t += "# The integrated block, as abi/ and the driver have the function.\n\
              file mkdir ip\n\
              create_ip -vendor xilinx.com -library ip -name pcie_7x -module_name pcie_7x_0 -dir ip -force\n\
              set_property -dict [list \\\n";
        for (name, value) in pcie_properties(board.top.ports()) {
            let _ = writeln!(t, "    CONFIG.{name} {{{value}}} \\");
        }
        t += "] [get_ips pcie_7x_0]\n\
              generate_target all [get_ips pcie_7x_0]\n\
              synth_ip [get_ips pcie_7x_0]\n\n";
    }
    for source in sources {
        let _ = writeln!(t, "read_verilog {source}");
    }
    let _ = write!(
        t,
        "read_xdc {module}.xdc\n\
         synth_design -top {module} -part {part}\n\
         set_property CFGBVS VCCO [current_design]\n\
         set_property CONFIG_VOLTAGE {voltage} [current_design]\n\
         set_property BITSTREAM.GENERAL.COMPRESS TRUE [current_design]\n\
         opt_design\n\
         place_design\n\
         phys_opt_design\n\
         route_design\n\
         report_timing_summary -file {module}_timing.rpt\n\
         report_utilization -file {module}_utilization.rpt\n\
         write_checkpoint -force {module}.dcp\n\
         set slack [get_property SLACK [get_timing_paths -delay_type min_max]]\n\
         if {{$slack < 0}} {{\n    error \"timing is not met: slack of $slack ns, see {module}_timing.rpt; {module}.dcp is the routed design\"\n}}\n\
         write_bitstream -force {module}.bit\n",
        voltage = board.config_voltage,
    );
    t
}
