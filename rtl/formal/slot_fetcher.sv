// The prefetcher of slots (queue/slot_fetcher.rs), seen by any one of its queues, reads only inside the queue's ring and what the host has
// filled, across no 128-byte border, in requests that stay until they are taken. The turn stays while a read is under way and while a frame is
// written; the queue's window never overflows or underflows and holds nothing of another queue; each slot is handed out once, at whatever turn.
module slot_fetcher(
    input clock,
    input reset,
    input [3:0] start,
    input [3:0] run,
    input [3:0] in_order,
    input set_cfg,
    input set_lo,
    input set_hi,
    input [1:0] set_place,
    input [31:0] set_data,
    input [1:0] bell,
    input update_idx,
    input producer_bad,
    input retire,
    input writing,
    input waits,
    input [1:0] aim,
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
    input [1:0] whose_turn,
    input load,
    input plan,
    input planned$q,
    input compute,
    input [6:0] count,
    input [6:0] count_q$q,
    input [14:0] place$q,
    input [14:0] ring$size,
    input [6:0] line,
    input [14:0] wanted$q,
    input [14:0] fetched$q,
    input [14:0] arrived$q,
    input landed$q,
    input [14:0] taken$q,
    input have$q,
    input asking$q,
    input flying$q,
    input upper$q,
    input [6:0] left$q,
    input [5:0] fill$q,
    input [6:0] dwords$q,
    input turned$q,
    input shown$q,
    input ram$write_enable,
    input [7:0] ram$write_address,
    input [7:0] ram$read_address,
    input [14:0] \left_fetched.word$0$q ,
    input [14:0] \left_fetched.word$1$q ,
    input [14:0] \left_fetched.word$2$q ,
    input [14:0] \left_fetched.word$3$q ,
    input [14:0] \left_taken.word$0$q ,
    input [14:0] \left_taken.word$1$q ,
    input [14:0] \left_taken.word$2$q ,
    input [14:0] \left_taken.word$3$q ,
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
    // The queue that is looked at, and when it stops.
    (* anyconst *) reg [1:0] q;
    (* anyconst *) reg [3:0] ordered;
    (* anyseq *) reg stop;
    wire [14:0] left_fetched = q == 0 ? \left_fetched.word$0$q : q == 1 ? \left_fetched.word$1$q : q == 2 ? \left_fetched.word$2$q : \left_fetched.word$3$q ;
    wire [14:0] left_taken = q == 0 ? \left_taken.word$0$q : q == 1 ? \left_taken.word$1$q : q == 2 ? \left_taken.word$2$q : \left_taken.word$3$q ;
    wire [3:0] log2_kept = q == 0 ? \ring.log2.word$0$q : q == 1 ? \ring.log2.word$1$q : q == 2 ? \ring.log2.word$2$q : \ring.log2.word$3$q ;
    wire mine = whose_turn == q;
    wire here_now = mine && !turned$q;
    wire starts = start[q];
    wire runs = run[q];
    wire reading = asking$q || flying$q || landed$q;
    // The queue's indices: in the registers while it has its turn, and else where they were left.
    wire [14:0] fetched = here_now ? fetched$q : left_fetched;
    wire [14:0] taken = here_now ? taken$q : left_taken;

    reg started = 0, running = 0, offered = 0, failed = 0, reset_was = 1, start_was = 0, steady = 0;
    reg [1:0] turn_was = 0;
    reg [70:0] request_was;
    wire [70:0] request = {req$addr_hi, req$addr_lo, req$dwords};
    // What the host has set, and what the memories hold and show.
    reg [63:0] base = 0;
    reg [3:0] log2 = 0;
    reg [31:0] kept_lo = 0, kept_hi = 0, shown_lo = 0, shown_hi = 0;
    reg shows_lo = 0, shows_hi = 0;
    // Where in the ring the request belongs, where in the window its next DW, and DWs of the answer that are still to come.
    reg [15:0] offset = 0;
    reg [5:0] spot = 0;
    reg [6:0] owed = 0;
    // Slots asked for and handed out, since the start.
    reg [14:0] ordered_to = 0, handed = 0;
    reg [7:0] ram_read_was = 0;
    wire [6:0] rest_after = owed - (owed == 1 ? 7'd1 : 7'd2);
    wire hands = valid && ready;
    always @(posedge clock) begin
        started <= 1;
        offered <= req$valid && !req$ready && !reset;
        request_was <= request;
        turn_was <= whose_turn;
        // The turn is not to change from this cycle to the next.
        steady <= (planned$q || reading || writing || hands) && !reset;
        ram_read_was <= ram$read_address;
        reset_was <= reset;
        start_was <= start[whose_turn];
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
        if (compute) spot <= fetched$q[6:1];
        if (ram$write_enable) spot <= spot + 6'd1;
        if (compute && mine) begin
            offset <= {fetched & ((15'd1 << log2) - 15'd2), 1'd0};
            ordered_to <= ordered_to + {8'd0, count_q$q};
        end
        if (req$valid && req$ready) owed <= req$dwords;
        if (data$valid && data$ready) owed <= rest_after;
        if (error && mine) failed <= 1;
        if (hands && mine) handed <= handed + 15'd1;
        if (starts) begin
            failed <= 0;
            ordered_to <= 0;
            handed <= 0;
        end
        if (reset) begin
            owed <= 0;
            failed <= 0;
            ordered_to <= 0;
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
    // Where slots are used in their order there is no ring to read: this queue is not one of those.
    always @* assume (in_order == ordered && !in_order[q]);
    // A queue starts and stops when no read of it is under way, and runs after an error only anew.
    always @* if (starts) assume (!running && !reset && log2 >= 4 && log2 <= 14);
    always @* if (starts || stop) assume (!runs && !(mine && reading));
    always @* if (start[whose_turn]) assume (!reading && !run[whose_turn]);
    always @* if (!running || failed) assume (!runs);
    always @* if ((starts || !running) && bell == q) assume (!update_idx);
    always @* if (update_idx) assume (!producer_bad && !start[bell]);
    // A frame that waits is for a queue that runs; a slot is taken for such a frame, and comes back while the frame is written.
    always @* if (waits) assume (run[aim] && !writing);
    always @* if (ready) assume (waits && aim == whose_turn);
    always @* if (retire) assume (writing);
    // Answers come to what was asked, whole.
    always @* if (data$valid) assume (owed != 0 && flying$q && data$last == (owed <= 2));
    reg data_waits = 0;
    always @(posedge clock) data_waits <= data$valid && !data$ready && !reset;
    always @* if (data_waits) assume (data$valid);

    wire [14:0] size = 15'd1 << log2;
    wire [14:0] stock = fetched - taken;
    wire [14:0] arrived = here_now ? arrived$q : fetched;
    wire [14:0] here = arrived - taken;
    wire [63:0] address = {req$addr_hi, req$addr_lo};
    wire asks = req$valid && mine;
    wire [6:0] piece = log2 == 4 ? 7'd16 : log2 == 5 ? 7'd32 : 7'd64;
    always @* if (started && !reset) begin
        stays: assert (!offered || req$valid && request == request_was);
        one_flight: assert (!(req$valid && flying$q));
        turn_stays: assert (!steady || whose_turn == turn_was);
        asks_running: assert (!asks || running);
        hands_running: assert (!(valid && mine) || running && !failed);
        if (running) begin
            in_place: assert (!asks || address == base + {48'd0, offset});
            inside: assert (!asks || {1'd0, offset} + {req$dwords, 2'd0} <= {1'd0, size, 1'd0});
            border: assert (!asks || req$dwords != 0 && {1'd0, offset[6:0]} + {req$dwords, 2'd0} <= 10'd128);
            filled: assert (!(plan && mine) || {8'd0, count} <= wanted$q - fetched);
            overflow: assert (stock <= 127);
            underflow: assert (here <= stock && (!(load && mine) || here != 0));
            each_once: assert (taken == handed);
            asked_once: assert (fetched == ordered_to);
            own_window: assert (!(ram$write_enable && mine) || ram$write_address == {q, spot});
            from_own_window: assert (!(load && mine) || ram_read_was == {q, taken[6:1]});
            keeps_all: assert (!(data$valid && mine) || ram$write_enable);
        end
`ifdef INVARIANTS
        inv_one: assert (planned$q + asking$q + flying$q + landed$q + turned$q <= 1);
        inv_turned: assert (!turned$q || !have$q && !shown$q);
        inv_sees: assert (!mine || ring$size == size);
        inv_owed: assert (flying$q ? owed != 0 : owed == 0);
        inv_asking: assert (!asking$q || left$q == dwords$q && !upper$q && fill$q == spot && dwords$q != 0);
        inv_flying: assert (!flying$q || left$q + upper$q == owed && left$q != 0 && fill$q == spot);
        inv_idle: assert (asking$q || flying$q || !upper$q);
        inv_offered: assert (!offered || asking$q);
        inv_read: assert (!shown$q || start_was || ram_read_was == {whose_turn, taken$q[6:1]});
        inv_shown: assert (!running || !mine || {shown_hi, shown_lo} == base);
        if (running) begin
            inv_log2: assert (log2 >= 4 && log2 <= 14);
            inv_line: assert (!mine || line == piece);
            inv_planned: assert (!(planned$q && mine) || count_q$q != 0 && {1'd0, fetched[6:0] & (piece - 7'd1)} + {1'd0, count_q$q} <= {1'd0, piece}
                && place$q == (fetched & (size - 15'd2)) && stock < 64);
            inv_arrived: assert (mine && reading || failed || arrived == fetched);
            inv_have: assert (!(have$q && mine) || here != 0);
            inv_failed: assert (!(failed && mine) || !reading && !planned$q);
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
