// The list of PUSH mode and its reader (queue/push.rs, with queue/push_window.rs) neither overflow nor underflow, keep the protocol, and
// tell of each frame of the list once, in the cycle in which its packet ends, if it has one.
module push(
    input clock,
    input reset,
    input start,
    input run,
    input [31:0] m$d0,
    input [31:0] m$d1,
    input [7:0] m$keep,
    input m$last,
    input m$abort,
    input m$raw,
    input m$ipcs,
    input m$l4cs,
    input [2:0] m$next_hop,
    input m$tag,
    input [15:0] m$tci,
    input m$valid,
    input m$ready,
    input [31:0] done,
    input done_push,
    input done_full,
    input idle,
    input window$push,
    input [1:0] window$mark,
    input [1:0] \window.state$q ,
    input pop,
    input load,
    input [9:0] wr$q,
    input [9:0] seen$q,
    input [9:0] rd$q,
    input shown$q,
    input [1:0] mark$q,
    input [0:0] step$q,
    input sent$q,
    input [14:0] index$q
);
    localparam CLOSED = 0, BYTES = 3;
    localparam HEAD = 0;
    reg started = 0, offered = 0, full_was = 0, pushed = 0;
    reg [96:0] beat_was;
    wire [96:0] beat = {m$d0, m$d1, m$keep, m$last, m$abort, m$raw, m$ipcs, m$l4cs, m$next_hop, m$tag, m$tci};
    wire moves = m$valid && m$ready;
    wire [9:0] used = wr$q - rd$q;
    wire anew = reset || start;
    // Frames that the window has ended, by fate: told or forgotten; those told of; a packet has begun and not ended.
    wire ends = pop && mark$q != 0;
    reg open = 0;
    // What the window has open of a frame in the list: its entries are there, its end is not.
    reg window_open = 0;
    reg [14:0] told = 0;
    always @(posedge clock) begin
        started <= 1;
        offered <= m$valid && !m$ready && !anew;
        beat_was <= beat;
        full_was <= done_full;
        pushed <= done_push;
        if (moves) open <= !m$last;
        if (window$push) window_open <= window$mark == 0;
        if (done_push) told <= told + 15'd1;
        if (anew) begin
            open <= 0;
            window_open <= 0;
            told <= 0;
        end
    end
    always @* if (!started) assume (reset);
    // The list of what is done fills up only by what is pushed.
    always @* if (started && !pushed && !full_was) assume (!done_full);

    always @* if (started && !reset) begin
        overflows: assert (!window$push || start || used < 10'd512);
        underflows: assert (!load || used != 0);
        stays: assert (!offered || m$valid && beat == beat_was);
        overfills: assert (!done_push || !done_full);
        told_once: assert (done_push == (ends && mark$q != 3));
        in_order: assert (!done_push || done[14:0] == told);
        good_end: assert (!(done_push && !done[15]) || moves && m$last && !m$abort);
        packet_ends: assert (!(ends && open) || moves && m$last);
        aborted: assert (!(ends && open && mark$q != 1) || m$abort);
        idle_means: assert (!idle || used == 0 && !shown$q && !window_open);
        // What does not end in the list is told to the host at once.
        no_silence: assert (!(window_open && !window$push && run && \window.state$q == CLOSED));
`ifdef INVARIANTS
        inv_used: assert (used <= 10'd512);
        inv_seen: assert (seen$q - rd$q <= used);
        inv_open: assert (open == sent$q);
        inv_head: assert (step$q != HEAD || !sent$q);
        inv_told: assert (index$q == told);
        inv_window: assert (\window.state$q != BYTES || used < 10'd512);
        inv_window_open: assert (window_open == (\window.state$q == BYTES));
        inv_offered: assert (!offered || shown$q);
`endif
    end
endmodule
