// The reader of payloads (queue/payload_reader.rs) reads only the bytes of the SQE, across no border of its reads, in requests that stay
// until they are taken; each frame that is begun ends once in the list, and the list is never overfilled.
module payload_reader(
    input clock,
    input reset,
    input run,
    input [2:0] max_read,
    input [31:0] addr_lo,
    input [31:0] addr_hi,
    input [31:0] len_flags,
    input valid,
    input ready,
    input [31:0] req$addr_lo,
    input [31:0] req$addr_hi,
    input [6:0] req$dwords,
    input req$valid,
    input req$ready,
    input [31:0] word,
    input push,
    input full,
    input idle,
    input [2:0] state$q,
    input [31:0] lo$q,
    input [31:0] hi$q,
    input [15:0] left$q,
    input [8:0] bytes$q,
    input [6:0] dwords$q,
    input midframe$q
);
    localparam ENTRY = 0, TAG = 1, SPLIT = 2, ASK = 3, FINISH = 4;
    (* anyconst *) reg [2:0] read_size;
    reg started = 0, offered = 0, waits = 0, was_full = 0, pushed = 0, open = 0;
    // Where the next read of the SQE belongs, and the bytes from there on.
    reg [63:0] expected = 0;
    reg [15:0] rest = 0;
    reg [127:0] sqe_was;
    reg [70:0] request_was;
    wire [95:0] sqe = {addr_hi, addr_lo, len_flags};
    wire [70:0] request = {req$addr_hi, req$addr_lo, req$dwords};
    wire ends = push && word[31];
    always @(posedge clock) begin
        started <= 1;
        offered <= req$valid && !req$ready && !reset;
        waits <= valid && !ready && run && !reset;
        sqe_was <= sqe;
        request_was <= request;
        was_full <= full;
        pushed <= push;
        if (valid && ready) begin
            expected <= {addr_hi, addr_lo};
            rest <= len_flags[15:0];
        end else if (req$valid && req$ready) begin
            expected <= expected + {55'd0, bytes$q};
            rest <= rest - {7'd0, bytes$q};
        end
        open <= !reset && (open || valid && ready) && !ends;
    end
    always @* if (!started) assume (reset);
    always @* assume (max_read == read_size);
    // The list fills up only by what is pushed.
    always @* if (started && !pushed && !was_full) assume (!full);

    wire [63:0] address = {req$addr_hi, req$addr_lo};
    wire [63:0] at = {hi$q, lo$q};
    wire [8:0] block = read_size == 0 ? 9'd128 : 9'd256;
    wire [8:0] offset = req$addr_lo[7:0] & (block - 9'd1);
    wire [8:0] in_block = lo$q[7:0] & (block - 9'd1);
    always @* if (started && !reset) begin
        in_place: assert (!req$valid || address == {expected[63:2], 2'd0});
        // The DWs that hold the bytes from there on, as far as the SQE reaches.
        inside: assert (!req$valid || {8'd0, req$dwords} <= ({2'd0, rest} + {15'd0, expected[1:0]} + 17'd3) >> 2);
        border: assert (!req$valid || req$dwords != 0 && offset + {req$dwords, 2'd0} <= block);
        stays: assert (!offered || req$valid && request == request_was);
        overfills: assert (!push || !full);
        ends_once: assert (!ends || open);
        no_read_outside: assert (!req$valid || open);
        listed: assert (!(req$valid && req$ready) || push && !word[31] && word[10:2] == bytes$q);
        idle_means: assert (!idle || !open);
`ifdef INVARIANTS
        inv_open: assert (midframe$q == open && (state$q == ENTRY || open));
        inv_at: assert (state$q != TAG && state$q != SPLIT && state$q != ASK || at == expected && left$q == rest && rest != 0);
        inv_bytes: assert (state$q != ASK || bytes$q != 0 && bytes$q <= left$q && in_block + bytes$q <= block
            && dwords$q == (bytes$q + {7'd0, lo$q[1:0]} + 10'd3) >> 2);
        inv_offered: assert (!offered || state$q == ASK && !full);
`endif
    end
endmodule
