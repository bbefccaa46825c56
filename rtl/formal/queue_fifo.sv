// The list of words (queue/fifo.rs) never overflows, never underflows, and reads only what was written and not yet read.
module queue_fifo(
    input clock,
    input reset,
    input push,
    input pop,
    input full,
    input valid,
    input [4:0] count,
    input ram$write_enable,
    input [3:0] ram$write_address,
    input [3:0] ram$read_address,
    input [4:0] wr$q,
    input [4:0] rd$q
);
    reg started = 0;
    always @(posedge clock) started <= 1;
    always @* if (!started) assume (reset);
    // The users' part: see the ports of the module.
    always @* assume (!push || !full);
    always @* assume (!pop || valid);

    reg [4:0] level = 0;
    reg [3:0] read_address = 0;
    always @(posedge clock) begin
        level <= reset ? 5'd0 : level + push - pop;
        read_address <= ram$read_address;
    end
    wire [3:0] written = ram$write_address - rd$q[3:0];

    always @* if (started) begin
        overflow: assert (level <= 16);
        underflow: assert (!valid || level != 0);
        counted: assert (count == level);
        overwrites: assert (!ram$write_enable || reset || written == level[3:0]);
        front: assert (!valid || read_address == rd$q[3:0]);
`ifdef INVARIANTS
        inv_write: assert (wr$q - rd$q == level);
`endif
    end
endmodule
