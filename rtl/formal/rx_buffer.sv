// The receive buffer (rx/buffer.rs) never overflows: no frame is written over one that is committed and not yet read, and only a whole
// frame is committed.
module rx_buffer(
    input clock,
    input reset,
    input write,
    input commit,
    input rollback,
    input lost,
    input [11:0] memory$rd,
    input [11:0] memory$base,
    input [11:0] memory$place,
    input memory$write0,
    input memory$write1,
    input [11:0] wr$q
);
    reg started = 0, reset_was = 1;
    reg [11:0] rd_was, base_was;
    // Beats that came for the frame, up to a limit, and whether one found no place.
    reg [12:0] beats = 0;
    reg missed = 0;
    // Where the frame's places begin.
    wire [11:0] rd = memory$rd;
    wire [11:0] base = memory$base;
    wire [11:0] used = base - rd;
    wire [11:0] open = wr$q - base;
    wire [11:0] at = memory$place - rd;
    wire stores = memory$write0 && !commit;
    always @(posedge clock) begin
        started <= 1;
        reset_was <= reset;
        rd_was <= rd;
        base_was <= base;
        if (write) beats <= beats + (beats != 13'h1FFF);
        if (write && !stores) missed <= 1;
        if (commit || rollback || reset) begin
            beats <= 0;
            missed <= 0;
        end
    end
    always @* if (!started) assume (reset);
    always @* assume (!write || !commit && !rollback);
    // The reading side moves by one place at most, and not beyond what is committed: the property frame_store.
    always @* if (!reset_was) assume (rd == rd_was || rd == rd_was + 12'd1 && base_was != rd_was);
    always @* if (reset_was) assume (rd == 0);

    reg committed = 0;
    reg [11:0] open_was = 0;
    always @(posedge clock) begin
        committed <= commit && !lost && !reset;
        open_was <= open;
    end
    always @* if (started && !reset) begin
        overwrites: assert (!memory$write0 || at >= used);
        both: assert (memory$write0 == memory$write1);
        lost_means: assert (lost == missed);
        // What is committed is one place for the description and one for each beat.
        whole: assert (!commit || lost || {1'd0, open} == beats + 13'd1);
        moves_on_commit: assert (reset_was || base == (committed ? base_was + open_was : base_was));
`ifdef INVARIANTS
        inv_open: assert (open != 0 && {1'd0, used} + {1'd0, open} <= 13'd4096);
        inv_beats: assert (missed || {1'd0, open} == beats + 13'd1);
`endif
    end
endmodule
