// The queue of received ARP packets (neigh/inbox.rs) never overflows, never underflows, and shows a packet until it is done with.
module inbox(
    input clock,
    input reset,
    input arp$valid,
    input valid,
    input take,
    input spa_ram$write_enable,
    input [2:0] spa_ram$write_address,
    input [2:0] spa_ram$read_address,
    input [2:0] head$q,
    input [2:0] tail$q
);
    reg started = 0;
    always @(posedge clock) started <= 1;
    always @* if (!started) assume (reset);
    always @* assume (!take || valid);

    // What comes in is what is written: a packet for which there is no place is lost.
    reg [3:0] level = 0;
    reg shown = 0;
    reg [2:0] read_address = 0;
    always @(posedge clock) begin
        level <= reset ? 4'd0 : level + spa_ram$write_enable - take;
        shown <= valid && !take && !reset;
        read_address <= spa_ram$read_address;
    end
    wire [2:0] written = spa_ram$write_address - head$q;

    always @* if (started) begin
        overflow: assert (level <= 7);
        underflow: assert (!valid || level != 0);
        overwrites: assert (!spa_ram$write_enable || reset || written == level[2:0]);
        front: assert (!valid || read_address == head$q);
        stays: assert (!shown || valid);
        invents: assert (!spa_ram$write_enable || arp$valid);
`ifdef INVARIANTS
        inv_level: assert (tail$q - head$q == level[2:0]);
`endif
    end
endmodule
