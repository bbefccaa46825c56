// The transmit buffer (tx/buffer.rs) keeps what `room` promises: four more beats find places that hold nothing committed and not yet read.
// Each frame lies behind its description, and a commit gives the whole of it, and nothing else, to the reader.
module tx_buffer(
    input clock,
    input reset,
    input [10:0] beat,
    input write0,
    input write1,
    input commit,
    input [14:0] len,
    input room,
    input [11:0] memory$rd,
    input [11:0] memory$base,
    input [11:0] memory$place,
    input memory$write0,
    input memory$write1,
    input [11:0] start$q,
    input [11:0] free$q
);
    reg started = 0, reset_was = 1, commit_was = 0, commit_before = 0;
    reg [11:0] rd_was, base_was, used_was, free_was, beats_was;
    reg [10:0] beat_was = 0;
    wire [11:0] rd = memory$rd;
    wire [11:0] base = memory$base;
    // Places that hold what is committed and not read, and behind them those up to the last beat that `room` speaks of; there are 4096.
    wire [11:0] used = base - rd;
    wire [12:0] promised = {1'd0, used} + {2'd0, beat_was} + 13'd5;
    wire [15:0] filled_up = {1'd0, len} + 16'd7;
    always @(posedge clock) begin
        started <= 1;
        reset_was <= reset;
        rd_was <= rd;
        base_was <= base;
        used_was <= used;
        free_was <= free$q;
        beat_was <= beat;
        commit_was <= commit && !reset;
        commit_before <= commit_was && !reset;
        beats_was <= filled_up[14:3];
    end
    always @* if (!started) assume (reset);
    always @* assume (!commit || !write0 && !write1);
    // The reading side moves by one place at most, and not beyond what is committed: the property frame_store.
    always @* if (!reset_was) assume (rd == rd_was || rd == rd_was + 12'd1 && used_was != 0);
    always @* if (reset_was) assume (rd == 0);

    always @* if (started && !reset) begin
        // Just behind a commit it may still speak of the frame before.
        room_means: assert (!room || commit_was || commit_before || promised <= 13'd4095);
        behind_its_description: assert (commit || memory$write0 == write0 && memory$write1 == write1
            && memory$place == base + 12'd1 + {1'd0, beat});
        describes: assert (!commit || memory$write0 && memory$write1 && memory$place == base);
        whole: assert (reset_was || base == (commit_was ? base_was + beats_was + 12'd1 : base_was));
`ifdef INVARIANTS
        inv_start: assert (start$q == base + 12'd1);
        inv_used: assert (reset_was || used == used_was + (commit_was ? beats_was + 12'd1 : 12'd0) - {11'd0, rd != rd_was});
        inv_free: assert (free$q == (reset_was ? 12'd0 : ~used_was));
        inv_room: assert (room == (!reset_was && {1'd0, beat_was} + 12'd8 < free_was));
`endif
    end
endmodule
