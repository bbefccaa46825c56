// The prefetcher of slots (queue/slot_fetcher.rs) reads only inside the ring and what the host has filled, across no 128-byte border, in
// requests that stay until they are taken; its window never overflows or underflows, and each slot is handed out once.
module slot_fetcher(
    input clock,
    input reset,
    input start,
    input run,
    input [31:0] base_lo,
    input [31:0] base_hi,
    input [3:0] log2,
    input in_order,
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
    input load,
    input plan,
    input planned$q,
    input compute,
    input [6:0] count,
    input [6:0] count_q$q,
    input [14:0] place$q,
    input [14:0] size$q,
    input [6:0] line$q,
    input [14:0] wanted$q,
    input [14:0] fetched$q,
    input [14:0] arrived$q,
    input landed$q,
    input [14:0] taken$q,
    input have$q,
    input asking$q,
    input flying$q
);
    (* anyconst *) reg [63:0] base;
    (* anyconst *) reg [3:0] bits;
    reg started = 0, running = 0, offered = 0, failed = 0;
    reg [70:0] request_was;
    wire [70:0] request = {req$addr_hi, req$addr_lo, req$dwords};
    // Where in the ring the request belongs, and DWs of the answer that are still to come.
    reg [15:0] offset = 0;
    reg [6:0] owed = 0;
    reg [14:0] handed = 0;
    wire [6:0] rest_after = owed - (owed == 1 ? 7'd1 : 7'd2);
    always @(posedge clock) begin
        started <= 1;
        offered <= req$valid && !req$ready && !reset && !start;
        request_was <= request;
        if (start) running <= 1;
        if (compute) offset <= {fetched$q & (size$q - 15'd2), 1'd0};
        if (req$valid && req$ready) owed <= req$dwords;
        if (data$valid && data$ready) owed <= rest_after;
        if (error) failed <= 1;
        if (valid && ready) handed <= handed + 15'd1;
        if (start || reset) begin
            owed <= 0;
            failed <= 0;
            handed <= 0;
        end
        if (reset) running <= 0;
    end
    always @* if (!started) assume (reset);
    always @* assume ({base_hi, base_lo} == base && base[6:0] == 0 && base[63:32] != 32'hFFFFFFFF);
    always @* assume (log2 == bits && bits >= 4 && bits <= 14);
    // Where slots are used in their order there is no ring to read.
    always @* assume (!in_order);
    // A queue starts when no read is under way, and after an error only anew.
    always @* if (start) assume (!asking$q && !flying$q && !landed$q && !update_idx);
    always @* if (!running || failed) assume (!run);
    always @* if (!running) assume (!update_idx);
    always @* if (update_idx) assume (!producer_bad);
    // Answers come to what was asked, whole.
    always @* if (data$valid) assume (owed != 0 && flying$q && data$last == (owed <= 2));
    reg data_waits = 0;
    always @(posedge clock) data_waits <= data$valid && !data$ready && !reset && !start;
    always @* if (data_waits) assume (data$valid);

    wire [14:0] stock = fetched$q - taken$q;
    wire [14:0] here = arrived$q - taken$q;
    wire [63:0] address = {req$addr_hi, req$addr_lo};
    wire [63:0] expected = base + {48'd0, offset};
    wire live = started && running && !reset && !start;
    always @* if (live) begin
        in_place: assert (!req$valid || address == expected);
        inside: assert (!req$valid || {1'd0, offset} + {req$dwords, 2'd0} <= {1'd0, size$q, 1'd0});
        border: assert (!req$valid || req$dwords != 0 && {1'd0, offset[6:0]} + {req$dwords, 2'd0} <= 10'd128);
        filled: assert (!plan || {8'd0, count} <= wanted$q - fetched$q);
        stays: assert (!offered || req$valid && request == request_was);
        one_flight: assert (!(req$valid && flying$q));
        overflow: assert (stock <= 127);
        underflow: assert (here <= stock && (!load || here != 0));
        each_once: assert (taken$q - handed == have$q);
        no_slot_of_failed: assert (!failed || !valid);
`ifdef INVARIANTS
        inv_size: assert (size$q == (15'd1 << bits) && line$q == (bits == 4 ? 7'd16 : bits == 5 ? 7'd32 : 7'd64));
        inv_one: assert (planned$q + asking$q + flying$q + landed$q <= 1);
        inv_planned: assert (!planned$q || count_q$q != 0 && {1'd0, fetched$q[6:0] & (line$q - 7'd1)} + {1'd0, count_q$q} <= {1'd0, line$q}
            && place$q == (fetched$q & (size$q - 15'd2)) && stock < 64);
        inv_arrived: assert (asking$q || flying$q || landed$q || failed || arrived$q == fetched$q);
        inv_owed: assert (flying$q ? owed != 0 || failed : owed == 0);
`endif
    end
`ifdef INVARIANTS
    always @* if (started && !reset && !running)
        inv_stopped: assert (!planned$q && !asking$q && !flying$q && !landed$q && !have$q && wanted$q == 0 && fetched$q == 0 && arrived$q == 0
            && taken$q == 0 && owed == 0 && handed == 0);
    always @* if (started && !reset && start) inv_start: assert (owed == 0 || failed);
`endif
endmodule
