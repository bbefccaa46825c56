//! The Makefile that has open tools make a bitstream: Yosys, nextpnr-xilinx and the database of prjxray.
use super::description::{Board, Open};

/// The Makefile of a board; `sources` are its Verilog files.
pub fn write(board: &Board, open: &Open, sources: &[String]) -> String {
    let module = board.module();
    format!(
        "# {title}: Verilog to bitstream by open tools. Nothing of this has run on silicon.\n\
         #\n\
         #   make CHIPDB=.../{die}.bin PRJXRAY_DB=.../prjxray-db      the bitstream\n\
         #   make program                                            loads it over USB until the next power-up\n\
         #\n\
         # Needs yosys, nextpnr-xilinx, fasm2frames and xc7frames2bit of prjxray, and openFPGALoader.\n\
         PART := {part}\n\
         # The die's database for nextpnr-xilinx (bbaexport.py and bbasm), and prjxray's.\n\
         CHIPDB ?= {die}.bin\n\
         PRJXRAY_DB ?= prjxray-db\n\
         YOSYS ?= yosys\n\
         NEXTPNR ?= nextpnr-xilinx\n\
         FASM2FRAMES ?= fasm2frames\n\
         FRAMES2BIT ?= xc7frames2bit\n\
         LOADER ?= openFPGALoader\n\
         \n\
         .PHONY: all program clean\n\
         .DELETE_ON_ERROR:\n\
         all: {module}.bit\n\
         \n\
         {module}.json: {sources}\n\
         \t$(YOSYS) -p \"read_verilog $^; synth_xilinx -family xc7 -flatten -abc9 -top {module}; write_json $@\"\n\
         \n\
         {module}.fasm: {module}.json {module}.xdc\n\
         \t$(NEXTPNR) --chipdb $(CHIPDB) --xdc {module}.xdc --json $< --fasm $@\n\
         \n\
         {module}.frames: {module}.fasm\n\
         \t$(FASM2FRAMES) --part $(PART) --db-root $(PRJXRAY_DB)/artix7 $< > $@\n\
         \n\
         {module}.bit: {module}.frames\n\
         \t$(FRAMES2BIT) --part_file $(PRJXRAY_DB)/artix7/$(PART)/part.yaml --part_name $(PART) --frm_file $< --output_file $@\n\
         \n\
         program: {module}.bit\n\
         \t$(LOADER) -b {loader} $<\n\
         \n\
         clean:\n\
         \trm -f {module}.json {module}.fasm {module}.frames {module}.bit\n",
        title = board.title,
        part = open.part,
        die = open.die,
        loader = open.loader,
        sources = sources.join(" "),
    )
}
