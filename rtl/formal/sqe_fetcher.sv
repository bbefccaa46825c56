// The prefetcher of SQEs (queue/sqe_fetcher.rs), seen by any one of its queues, reads only inside the queue's ring and what the host has
// filled, across no 128-byte border, in requests that stay until they are taken; at most two reads are in flight, and its buffer of sixteen
// neither overflows nor underflows. The turn stays within a frame, while a read is under way and until all that came is handed out; what is
// handed out was fetched for the queue whose turn it is, once, at whatever turn.
module sqe_fetcher(
    input clock,
    input reset,
    input [3:0] start,
    input [3:0] run,
    input set_cfg,
    input set_lo,
    input set_hi,
    input [1:0] set_place,
    input [31:0] set_data,
    input [1:0] bell,
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
    input [1:0] whose_turn,
    input runs,
    input [14:0] index,
    input valid,
    input ready,
    input between,
    input error,
    input plan,
    input planned$q,
    input compute,
    input [14:0] place$q,
    input [1:0] state$q,
    input [3:0] count$d,
    input [3:0] count$q,
    input [14:0] ring$size,
    input [14:0] wanted$q,
    input [14:0] fetched$q,
    input [14:0] arrived$q,
    input [14:0] filled$q,
    input [4:0] fill$q,
    input [4:0] next_pair$q,
    input [14:0] taken$q,
    input asking$q,
    input [31:0] req_lo$q,
    input [31:0] req_hi$q,
    input have$q,
    input turned$q,
    input [1:0] flying$q,
    input even$write_enable,
    input odd$write_enable,
    input [4:0] even$write_address,
    input [4:0] odd$write_address,
    input [4:0] even$read_address,
    input [4:0] odd$read_address,
    input [14:0] \left_at.word$0$q ,
    input [14:0] \left_at.word$1$q ,
    input [14:0] \left_at.word$2$q ,
    input [14:0] \left_at.word$3$q ,
    input [3:0] \ring.log2.word$0$q ,
    input [3:0] \ring.log2.word$1$q ,
    input [3:0] \ring.log2.word$2$q ,
    input [3:0] \ring.log2.word$3$q ,
    input [1:0] \ring.base_lo$read_address ,
    input [31:0] \ring.base_lo$read_data ,
    input [1:0] \ring.base_hi$read_address ,
    input [31:0] \ring.base_hi$read_data ,
    input \ring.base_lo$write_enable ,
    input [1:0] \ring.base_lo$write_address ,
    input [31:0] \ring.base_lo$write_data ,
    input \ring.base_hi$write_enable ,
    input [1:0] \ring.base_hi$write_address ,
    input [31:0] \ring.base_hi$write_data
);
    localparam WAIT = 0, LOW = 1, HIGH = 2;
    // The queue that is looked at, and when it stops.
    (* anyconst *) reg [1:0] q;
    (* anyseq *) reg stop;
    wire [14:0] left_at = q == 0 ? \left_at.word$0$q : q == 1 ? \left_at.word$1$q : q == 2 ? \left_at.word$2$q : \left_at.word$3$q ;
    wire [3:0] log2_kept = q == 0 ? \ring.log2.word$0$q : q == 1 ? \ring.log2.word$1$q : q == 2 ? \ring.log2.word$2$q : \ring.log2.word$3$q ;
    wire mine = whose_turn == q;
    wire here_now = mine && !turned$q;
    wire starts = start[q];
    wire reading = asking$q || flying$q != 0;
    // The queue's indices: in the registers while it has its turn, and else where it was left.
    wire [14:0] fetched = here_now ? fetched$q : left_at;
    wire [14:0] filled = here_now ? filled$q : left_at;
    wire [14:0] arrived = here_now ? arrived$q : left_at;
    wire [14:0] taken = here_now ? taken$q : left_at;

    reg started = 0, running = 0, offered = 0, failed = 0, reset_was = 1, start_was = 0, turned_was = 0, steady = 0, left_some = 0;
    reg [1:0] turn_was = 0;
    reg [70:0] request_was;
    wire [70:0] request = {req$addr_hi, req$addr_lo, req$dwords};
    // What the host has set, and what the memories hold and show.
    reg [63:0] base = 0;
    reg [3:0] log2 = 0;
    reg [31:0] kept_lo = 0, kept_hi = 0, shown_lo = 0, shown_hi = 0;
    reg shows_lo = 0, shows_hi = 0;
    // Where in the ring the request belongs; SQEs that the reads in flight, the older first, are still to bring, in beats of half an SQE.
    reg [17:0] offset = 0;
    reg [4:0] first = 0, second = 0;
    // The index with which the turn began, for which the buffer's first place is; the second half of an SQE comes next.
    reg [14:0] origin = 0;
    reg half = 0;
    reg [4:0] read_was = 0, odd_read_was = 0;
    // SQEs handed out since the start.
    reg [14:0] handed = 0;
    wire asks = req$valid && req$ready;
    wire beat = data$valid && data$ready;
    wire hands = valid && ready;
    wire [4:0] rest = first - 5'd1;
    wire [4:0] asked = {req$dwords[5:2], 1'd0};
    always @(posedge clock) begin
        started <= 1;
        offered <= req$valid && !req$ready && !reset;
        request_was <= request;
        turn_was <= whose_turn;
        // The turn is not to change from this cycle to the next.
        steady <= (planned$q || reading || hands || !between || valid) && !reset;
        // Nor while the queue runs and has SQEs in the buffer.
        left_some <= here_now && run[q] && fetched$q != taken$q && !reset;
        reset_was <= reset;
        start_was <= start[whose_turn];
        turned_was <= turned$q;
        read_was <= even$read_address;
        odd_read_was <= odd$read_address;
        if (starts) running <= 1;
        if (stop) running <= 0;
        if (set_cfg && set_place == q) log2 <= set_data[3:0];
        if (set_lo && set_place == q) base[31:0] <= set_data;
        if (set_hi && set_place == q) base[63:32] <= set_data;
        if (\ring.base_lo$write_enable && \ring.base_lo$write_address == q) kept_lo <= \ring.base_lo$write_data ;
        if (\ring.base_hi$write_enable && \ring.base_hi$write_address == q) kept_hi <= \ring.base_hi$write_data ;
        shown_lo <= kept_lo;
        shown_hi <= kept_hi;
        shows_lo <= \ring.base_lo$read_address == q;
        shows_hi <= \ring.base_hi$read_address == q;
        if (compute && mine) offset <= {fetched[13:0] & ((14'd1 << log2) - 14'd1), 4'd0};
        if (beat && rest == 0) begin
            first <= second != 0 ? second : asks ? asked : 5'd0;
            second <= second != 0 && asks ? asked : 5'd0;
        end else begin
            if (beat) first <= rest;
            if (asks && first == 0) first <= asked;
            if (asks && first != 0) second <= asked;
        end
        if (beat) half <= !half;
        if (turned$q) begin
            half <= 0;
            if (mine) origin <= left_at;
        end
        if (start[whose_turn]) half <= 0;
        if (error && mine) failed <= 1;
        if (hands && mine) handed <= handed + 15'd1;
        if (starts) begin
            failed <= 0;
            handed <= 0;
            origin <= 0;
        end
        if (reset) begin
            first <= 0;
            second <= 0;
            half <= 0;
            origin <= 0;
            failed <= 0;
            handed <= 0;
            running <= 0;
        end
    end
    always @* if (!started) assume (reset);
    // The memories show what was written last.
    always @* if (shows_lo) assume (\ring.base_lo$read_data == shown_lo);
    always @* if (shows_hi) assume (\ring.base_hi$read_data == shown_hi);
    // The ring is aligned, and does not wrap at the end of memory. It is set while the queue does not run.
    always @* if ((set_cfg || set_lo || set_hi) && set_place == q) assume (!running && !starts && !reset);
    always @* if (set_lo) assume (set_data[6:0] == 0);
    always @* if (set_hi) assume (set_data != 32'hFFFFFFFF);
    // A queue starts and stops when no read of it is under way, and runs after an error only anew.
    always @* if (starts) assume (!running && !reset && log2 >= 4 && log2 <= 14);
    always @* if (starts || stop) assume (!run[q] && !(mine && reading));
    always @* if (start[whose_turn]) assume (!reading && !run[whose_turn]);
    always @* if (!running || failed) assume (!run[q]);
    always @* if ((starts || !running) && bell == q) assume (!update_idx);
    always @* if (update_idx) assume (!producer_bad && !start[bell]);
    // Answers come to what was asked, whole and in order.
    always @* if (data$valid) assume (first != 0 && data$last == (rest == 0));

    wire [14:0] size = 15'd1 << log2;
    wire [14:0] stock = fetched - taken;
    wire [14:0] here = arrived - taken;
    wire [14:0] ahead = wanted$q - fetched;
    wire [63:0] address = {req$addr_hi, req$addr_lo};
    wire [5:0] owed = {1'd0, first} + {1'd0, second};
    wire [14:0] unfilled = fetched - filled;
    wire [14:0] new_place = filled - origin;
    wire [14:0] old_place = taken - origin;
    wire requests = req$valid && mine;
    always @* if (started && !reset) begin
        stays: assert (!offered || req$valid && request == request_was);
        two_flights: assert (flying$q == (first != 0) + (second != 0));
        turn_stays: assert (!(steady || left_some) || whose_turn == turn_was);
        asks_running: assert (!requests || running);
        hands_running: assert (!(valid && mine) || running && !failed && runs);
        if (running) begin
            in_place: assert (!requests || address == base + {46'd0, offset});
            inside: assert (!requests || {1'd0, offset} + {req$dwords, 2'd0} <= {size, 4'd0});
            border: assert (!requests || req$dwords != 0 && {3'd0, offset[6:0]} + {req$dwords, 2'd0} <= 10'd128);
            filled_by_host: assert (!(plan && mine) || {11'd0, count$d} <= ahead);
            overflow: assert (stock + (asking$q && mine ? {11'd0, count$q} : 15'd0) <= 16);
            underflow: assert (here <= stock && (!(valid && mine) || here != 0));
            each_once: assert (taken == handed && (!(valid && mine) || index == handed));
            kept_in_place: assert (!(even$write_enable && here_now) || odd$write_enable && even$write_address == {new_place[3:0], half}
                && odd$write_address == even$write_address);
            keeps_all: assert (!(beat && here_now) || even$write_enable);
            shows_its_place: assert (!(here_now && (state$q == LOW || state$q == HIGH)) || read_was == {old_place[3:0], state$q == HIGH} && odd_read_was == read_was);
        end
`ifdef INVARIANTS
        inv_sees: assert (!mine || ring$size == size);
        inv_turned: assert (!turned$q || !planned$q && !reading && !have$q && state$q == WAIT);
        inv_flights: assert ((first != 0 || second == 0) && flying$q == (first != 0) + (second != 0));
        inv_asked: assert (first <= 16 && second <= 16 && second[0] == 0);
        inv_planned: assert (!planned$q || !asking$q && flying$q != 2 && count$q != 0 && count$q <= 8);
        inv_asking: assert (!asking$q || flying$q != 2 && count$q != 0 && count$q <= 8);
        inv_offered: assert (!offered || asking$q);
        inv_state: assert (state$q <= HIGH && (!have$q || state$q == WAIT));
        inv_read: assert (start_was || reset_was || turned_was || read_was == next_pair$q && odd_read_was == read_was);
        inv_shown: assert (!running || !mine || {shown_hi, shown_lo} == base);
        if (running) begin
            inv_log2: assert (log2 >= 4 && log2 <= 14);
            inv_plan: assert (!(planned$q && mine) || {1'd0, fetched[2:0]} + count$q <= 8
                && place$q == (fetched & (size - 15'd1)) && stock <= 8);
            inv_count: assert (!(asking$q && mine) || offset[6:4] == fetched[2:0] && {1'd0, fetched[2:0]} + count$q <= 8
                && offset == {fetched[13:0] & (size[13:0] - 14'd1), 4'd0} && {req_hi$q, req_lo$q} == base + {46'd0, offset});
            inv_fill: assert (!here_now || fill$q == {new_place[3:0], half});
            inv_filled: assert (!here_now || {unfilled, 1'd0} == {10'd0, owed} + half);
            inv_arrived: assert (arrived - taken <= filled - taken && filled - taken <= stock);
            inv_landed: assert (failed || !here_now || flying$q != 0 || arrived == fetched);
            inv_have: assert (!here_now || !have$q && state$q == WAIT || here != 0);
            inv_pair: assert (!here_now || next_pair$q == {old_place[3:0], 1'b0} + (have$q ? 5'd2 : state$q == HIGH ? 5'd1 : 5'd0));
            inv_half: assert (!here_now || first[0] == half);
        end else begin
            inv_stopped: assert (!(mine && (planned$q || reading)));
        end
`endif
    end
`ifdef INVARIANTS
    // What is set outlasts a reset.
    always @* if (started) begin
        inv_kept: assert ({kept_hi, kept_lo} == base && log2_kept == log2 && base[6:0] == 0 && base[63:32] != 32'hFFFFFFFF);
        inv_looks: assert (reset_was || shows_lo == mine && shows_hi == mine);
    end
`endif
endmodule
