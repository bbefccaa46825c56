// The reading side of the frame buffers (store.rs) keeps the stream protocol, reads no place that is not committed, and gives of each
// frame as many beats as its description says.
module frame_store(
    input clock,
    input reset,
    input [11:0] base,
    input [11:0] rd,
    input [31:0] q0,
    input describes,
    input valid,
    input last,
    input ready,
    input busy,
    input [11:0] rd_next,
    input [11:0] left$q,
    input [2:0] tail$q,
    input [1:0] state$q
);
    localparam EMPTY = 0, DESCRIBE = 1, DATA = 2;
    reg started = 0, offered = 0, last_was = 0;
    reg [11:0] base_was, rd_was, read_was;
    // Beats of the frame that are still to go.
    reg [11:0] rest = 0;
    wire [14:0] last_byte = q0[14:0] - 15'd1;
    wire [11:0] beats = last_byte[14:3] + 12'd1;
    wire moves = valid && ready;
    always @(posedge clock) begin
        started <= 1;
        offered <= valid && !ready && !reset;
        last_was <= last;
        base_was <= base;
        rd_was <= rd;
        read_was <= rd_next;
        if (describes) rest <= beats;
        if (moves) rest <= rest - 12'd1;
        if (reset) rest <= 0;
    end
    always @* if (!started) assume (reset);
    // Committed places; the buffer only adds to them, up to what is free, and what is described is there.
    wire [11:0] unread = base - rd;
    wire [11:0] unread_was = base_was - rd_was;
    wire [11:0] gone = rd - rd_was;
    reg reset_was = 1;
    always @(posedge clock) reset_was <= reset;
    always @* if (reset_was) assume (base == 0);
    always @* if (started && !reset_was) assume (unread >= unread_was - gone);
    always @* if (describes) assume (q0[14:0] != 0 && beats < unread && last_byte[14]== 0);

    always @* if (started && !reset) begin
        committed: assert (!moves && !describes || unread != 0);
        stays: assert (!offered || valid && rd == rd_was && last == last_was);
        shown: assert (!valid && !describes || read_was == rd);
        one_step: assert (reset_was || rd == rd_was || gone == 1 && unread_was != 0);
        counted: assert (!valid || rest != 0 && last == (rest == 1));
        busy_means: assert (!valid && !describes || busy);
`ifdef INVARIANTS
        inv_state: assert (state$q <= DATA && (state$q == DATA) == (rest != 0));
        inv_left: assert (state$q != DATA || left$q + {11'd0, tail$q != 0} == rest);
        inv_rest: assert (rest <= unread);
        inv_describe: assert (state$q != DESCRIBE || unread != 0);
        inv_read: assert (reset_was || read_was == rd);
`endif
    end
endmodule
