// The queue of events (neigh/outbox.rs) never overflows, never underflows, and an event once offered stays until it is taken.
module outbox(
    input clock,
    input reset,
    input push,
    input room,
    input source$valid,
    input source$ready,
    input address_ram$write_enable,
    input [3:0] address_ram$write_address,
    input [3:0] address_ram$read_address,
    input [3:0] head$q,
    input [3:0] tail$q,
    input has_room$q
);
    reg started = 0;
    always @(posedge clock) started <= 1;
    always @* if (!started) assume (reset);
    always @* assume (!push || room);

    reg [4:0] level = 0;
    reg offered = 0;
    reg [3:0] read_address = 0;
    always @(posedge clock) begin
        level <= reset ? 5'd0 : level + push - (source$valid && source$ready);
        offered <= source$valid && !source$ready && !reset;
        read_address <= address_ram$read_address;
    end
    wire [3:0] written = address_ram$write_address - head$q;

    always @* if (started) begin
        overflow: assert (level <= 15);
        underflow: assert (!source$valid || level != 0);
        overwrites: assert (!address_ram$write_enable || reset || written == level[3:0]);
        front: assert (!source$valid || read_address == head$q);
        stays: assert (!offered || source$valid);
`ifdef INVARIANTS
        inv_level: assert (tail$q - head$q == level[3:0]);
        inv_room: assert (!has_room$q || level <= 14);
`endif
    end
endmodule
