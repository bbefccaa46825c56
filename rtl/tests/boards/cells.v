// The vendor's cells in the boards' tops, for lint and simulation: their ports, and as much of what UG471, UG472, UG470 and UG953 say of them as the tops
// use. What is driven from outside (a VCO, the PCI Express block) is driven by whoever simulates, by name.
/* verilator lint_off WIDTH */
/* verilator lint_off UNDRIVEN */
/* verilator lint_off UNUSED */
/* verilator lint_off DECLFILENAME */
/* verilator lint_off REALCVT */
/* verilator lint_off MULTITOP */
/* verilator lint_off UNSIGNED */

module IBUFDS (input I, input IB, output O);
assign O = I & !IB;
endmodule

module IBUFDS_GTE2 (input I, input IB, input CEB, output O, output ODIV2);
assign O = I & !IB & !CEB;
assign ODIV2 = 1'b0;
endmodule

module BUFG (input I, output O);
assign O = I;
endmodule

module BUFR #(parameter BUFR_DIVIDE = "BYPASS") (input I, input CE, input CLR, output O);
assign O = I;
endmodule

// UG472: once S has changed, the output is low from the next fall of the clock that it had to the next fall of the other one.
module BUFGMUX_CTRL (input I0, input I1, input S, output O);
reg on0 = 1'b1, on1 = 1'b0;
always @(negedge I0) on0 <= !S && !on1;
always @(negedge I1) on1 <= S && !on0;
assign O = (I0 && on0) || (I1 && on1);
endmodule

module IDELAYCTRL (input REFCLK, input RST, output RDY);
assign RDY = !RST;
endmodule

module IOBUF (inout IO, input I, output O, input T);
assign IO = T ? 1'bz : I;
assign O = IO;
endmodule

// The VCO is driven from outside: a change is a period of its 1 GHz.
module MMCME2_BASE #(
    parameter real CLKIN1_PERIOD = 0.0, parameter integer DIVCLK_DIVIDE = 1, parameter real CLKFBOUT_MULT_F = 5.0,
    parameter real CLKOUT0_DIVIDE_F = 1.0, parameter integer CLKOUT1_DIVIDE = 1, parameter integer CLKOUT2_DIVIDE = 1,
    parameter integer CLKOUT3_DIVIDE = 1, parameter integer CLKOUT4_DIVIDE = 1,
    parameter real CLKOUT1_PHASE = 0.0, parameter real CLKOUT3_PHASE = 0.0
) (
    input CLKIN1, input CLKFBIN, output CLKFBOUT, output CLKFBOUTB, output CLKOUT0, output CLKOUT0B, output CLKOUT1, output CLKOUT1B,
    output CLKOUT2, output CLKOUT2B, output CLKOUT3, output CLKOUT3B, output CLKOUT4, output CLKOUT5, output CLKOUT6, output LOCKED,
    input PWRDWN, input RST
);
reg vco = 1'b0;
localparam integer D0 = CLKOUT0_DIVIDE_F;
// A quarter of a period, where it is one.
localparam integer P1 = CLKOUT1_PHASE == 90.0 ? CLKOUT1_DIVIDE / 4 : 0;
localparam integer P3 = CLKOUT3_PHASE == 90.0 ? CLKOUT3_DIVIDE / 4 : 0;
initial if (CLKIN1_PERIOD * DIVCLK_DIVIDE != CLKFBOUT_MULT_F) begin
    $display("the VCO does not run at 1 GHz");
    $finish;
end
reg [7:0] n0 = 0, n1 = (CLKOUT1_DIVIDE - P1) % CLKOUT1_DIVIDE, n2 = 0, n3 = (CLKOUT3_DIVIDE - P3) % CLKOUT3_DIVIDE, n4 = 0;
reg [5:0] since = 0;
reg o0 = 0, o1 = 0, o2 = 0, o3 = 0, o4 = 0;
always @(posedge vco or negedge vco) begin
    n0 <= n0 == D0 - 1 ? 0 : n0 + 1;
    n1 <= n1 == CLKOUT1_DIVIDE - 1 ? 0 : n1 + 1;
    n2 <= n2 == CLKOUT2_DIVIDE - 1 ? 0 : n2 + 1;
    n3 <= n3 == CLKOUT3_DIVIDE - 1 ? 0 : n3 + 1;
    n4 <= n4 == CLKOUT4_DIVIDE - 1 ? 0 : n4 + 1;
    o0 <= n0 < D0 / 2;
    o1 <= n1 < CLKOUT1_DIVIDE / 2;
    o2 <= n2 < CLKOUT2_DIVIDE / 2;
    o3 <= n3 < CLKOUT3_DIVIDE / 2;
    o4 <= n4 < CLKOUT4_DIVIDE / 2;
    if (!LOCKED) since <= since + 1;
end
assign CLKFBOUT = CLKIN1;
assign CLKFBOUTB = !CLKIN1;
assign {CLKOUT0, CLKOUT1, CLKOUT2, CLKOUT3, CLKOUT4} = {o0, o1, o2, o3, o4};
assign {CLKOUT0B, CLKOUT1B, CLKOUT2B, CLKOUT3B, CLKOUT5, CLKOUT6} = 6'd0;
assign LOCKED = &since;
endmodule

// UG470: READ loads the number, SHIFT moves it on; DOUT shows its upper end.
module DNA_PORT (input CLK, input READ, input SHIFT, input DIN, output DOUT);
reg [56:0] bits = 57'd0;
always @(posedge CLK) if (READ) bits <= 57'h155AA33CC0FF177; else if (SHIFT) bits <= {bits[55:0], DIN};
assign DOUT = bits[56];
endmodule

module IDDR #(parameter DDR_CLK_EDGE = "OPPOSITE_EDGE", parameter INIT_Q1 = 1'b0, parameter INIT_Q2 = 1'b0, parameter SRTYPE = "SYNC")
    (input C, input CE, input D, input R, input S, output reg Q1, output reg Q2);
reg rise = 0, fall = 0;
initial begin Q1 = INIT_Q1; Q2 = INIT_Q2; end
always @(posedge C) begin rise <= D; Q1 <= rise; Q2 <= fall; end
always @(negedge C) fall <= D;
endmodule

module ODDR #(parameter DDR_CLK_EDGE = "OPPOSITE_EDGE", parameter INIT = 1'b0, parameter SRTYPE = "SYNC")
    (input C, input CE, input D1, input D2, input R, input S, output Q);
reg first = INIT, second = INIT, later = INIT;
always @(posedge C) begin first <= D1; later <= D2; end
always @(negedge C) second <= later;
assign Q = C ? first : second;
endmodule

// Without the delay: simulation is by halves of a nanosecond.
module IDELAYE2 #(parameter IDELAY_TYPE = "FIXED", parameter IDELAY_VALUE = 0, parameter DELAY_SRC = "IDATAIN", parameter REFCLK_FREQUENCY = 200.0,
    parameter SIGNAL_PATTERN = "DATA", parameter HIGH_PERFORMANCE_MODE = "FALSE", parameter CINVCTRL_SEL = "FALSE", parameter PIPE_SEL = "FALSE")
    (input IDATAIN, output DATAOUT, input DATAIN, input C, input CE, input INC, input LD, input LDPIPEEN, input REGRST, input CINVCTRL,
     input [4:0] CNTVALUEIN, output [4:0] CNTVALUEOUT);
assign DATAOUT = IDATAIN;
assign CNTVALUEOUT = IDELAY_VALUE;
endmodule
