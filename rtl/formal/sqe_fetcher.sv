// The prefetcher of SQEs (queue/sqe_fetcher.rs) reads only inside the ring and what the host has filled, across no 128-byte border, in
// requests that stay until they are taken; at most two reads are in flight, and its buffer of sixteen neither overflows nor underflows.
module sqe_fetcher(
    input clock,
    input reset,
    input start,
    input run,
    input [31:0] base_lo,
    input [31:0] base_hi,
    input [3:0] log2,
    input update_idx,
    input producer_bad,
    input [31:0] req$addr_lo,
    input [31:0] req$addr_hi,
    input [6:0] req$dwords,
    input req$valid,
    input req$ready,
    input data$last,
    input data$valid,
    input data$ready,
    input valid,
    input ready,
    input error,
    input plan,
    input planned$q,
    input compute,
    input [14:0] place$q,
    input [1:0] state$q,
    input [3:0] count$d,
    input [3:0] count$q,
    input [14:0] size$q,
    input [14:0] wanted$q,
    input [14:0] fetched$q,
    input [14:0] arrived$q,
    input [14:0] filled$q,
    input [4:0] fill$q,
    input [14:0] taken$q,
    input asking$q,
    input have$q,
    input [1:0] flying$q
);
    localparam WAIT = 0;
    (* anyconst *) reg [63:0] base;
    (* anyconst *) reg [3:0] bits;
    reg started = 0, running = 0, offered = 0, failed = 0, valid_waits = 0;
    reg [70:0] request_was;
    wire [70:0] request = {req$addr_hi, req$addr_lo, req$dwords};
    // Where in the ring the request belongs; SQEs that the reads in flight, the older first, are still to bring, in beats of half an SQE.
    reg [17:0] offset = 0;
    reg [4:0] first = 0, second = 0;
    wire asks = req$valid && req$ready;
    wire beat = data$valid && data$ready;
    wire [4:0] rest = first - 5'd1;
    wire [4:0] asked = {req$dwords[5:2], 1'd0};
    always @(posedge clock) begin
        started <= 1;
        offered <= req$valid && !req$ready && !reset && !start;
        valid_waits <= valid && !ready && !reset && !start;
        request_was <= request;
        if (start) running <= 1;
        if (compute) offset <= {fetched$q[13:0] & (size$q[13:0] - 14'd1), 4'd0};
        if (beat && rest == 0) begin
            first <= second != 0 ? second : asks ? asked : 5'd0;
            second <= second != 0 && asks ? asked : 5'd0;
        end else begin
            if (beat) first <= rest;
            if (asks && first == 0) first <= asked;
            if (asks && first != 0) second <= asked;
        end
        if (error) failed <= 1;
        if (start || reset) begin
            first <= 0;
            second <= 0;
            failed <= 0;
        end
        if (reset) running <= 0;
    end
    always @* if (!started) assume (reset);
    always @* assume ({base_hi, base_lo} == base && base[6:0] == 0 && base[63:32] != 32'hFFFFFFFF);
    always @* assume (log2 == bits && bits >= 4 && bits <= 14);
    // A queue starts when no read is under way, and after an error only anew.
    always @* if (start) assume (!asking$q && flying$q == 0 && !update_idx);
    always @* if (!running || failed) assume (!run);
    always @* if (!running) assume (!update_idx);
    always @* if (update_idx) assume (!producer_bad);
    // Answers come to what was asked, whole and in order.
    always @* if (data$valid) assume (first != 0 && data$last == (rest == 0));

    wire [14:0] stock = fetched$q - taken$q;
    wire [14:0] here = arrived$q - taken$q;
    wire [14:0] ahead = wanted$q - fetched$q;
    wire [63:0] address = {req$addr_hi, req$addr_lo};
    wire [5:0] owed = {1'd0, first} + {1'd0, second};
    wire [14:0] unfilled = fetched$q - filled$q;
    wire live = started && running && !reset && !start;
    always @* if (live) begin
        in_place: assert (!req$valid || address == base + {46'd0, offset});
        inside: assert (!req$valid || {1'd0, offset} + {req$dwords, 2'd0} <= {size$q, 4'd0});
        border: assert (!req$valid || req$dwords != 0 && {3'd0, offset[6:0]} + {req$dwords, 2'd0} <= 10'd128);
        filled: assert (!plan || {11'd0, count$d} <= ahead);
        stays: assert (!offered || req$valid && request == request_was);
        two_flights: assert (flying$q == (first != 0) + (second != 0));
        overflow: assert (stock + (asking$q ? {11'd0, count$q} : 15'd0) <= 16);
        underflow: assert (here <= stock && (!valid || here != 0));
`ifdef INVARIANTS
        inv_size: assert (size$q == (15'd1 << bits));
        inv_flights: assert (first != 0 || second == 0);
        inv_asked: assert (first <= 16 && second <= 16 && second[0] == 0);
        inv_planned: assert (!planned$q || !asking$q && count$q != 0 && count$q <= 8 && {1'd0, fetched$q[2:0]} + count$q <= 8 && flying$q != 2
            && place$q == (fetched$q & (size$q - 15'd1)) && stock <= 8);
        inv_count: assert (!asking$q || count$q != 0 && count$q <= 8 && flying$q != 2
            && offset[6:4] == fetched$q[2:0] && {1'd0, fetched$q[2:0]} + count$q <= 8
            && offset == {fetched$q[13:0] & (size$q[13:0] - 14'd1), 4'd0} && address == base + {46'd0, offset});
        inv_filled: assert ({unfilled, 1'd0} == {10'd0, owed} + fill$q[0]);
        inv_arrived: assert (arrived$q - taken$q <= filled$q - taken$q && filled$q - taken$q <= stock);
        inv_have: assert (!have$q && state$q == WAIT || here != 0);
`endif
    end
`ifdef INVARIANTS
    always @* if (started && !reset && !running)
        inv_stopped: assert (!planned$q && !asking$q && flying$q == 0 && !have$q && state$q == WAIT && wanted$q == 0 && fetched$q == 0
            && arrived$q == 0 && filled$q == 0 && taken$q == 0 && first == 0 && second == 0 && fill$q == 0);
`endif
endmodule
