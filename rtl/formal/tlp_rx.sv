// The receiver of TLPs (pcie/tlp_rx.rs) makes a register access of each whole request for one and of nothing else, answers each request
// that wants an answer once, and passes completions and pushes on with as many DWs as their headers say, or as bad (PCIe base
// specification 2.1, sections 2.2.1, 2.2.7 and 2.3.1).
module tlp_rx(
    input clock,
    input reset,
    input [15:0] completer_id,
    input [31:0] tlp$d0,
    input [31:0] tlp$d1,
    input tlp$half,
    input tlp$last,
    input [2:0] tlp$bar,
    input tlp$valid,
    input tlp$ready,
    input [2:0] regs$bar,
    input [19:0] regs$addr,
    input regs$write,
    input [31:0] regs$wdata,
    input regs$valid,
    input [31:0] regs$rdata,
    input regs$done,
    input msix$valid,
    input [31:0] msix$rdata,
    input msix$done,
    input [8:0] push$offset,
    input [1:0] push$count,
    input push$first,
    input push$last,
    input push$bad,
    input push$valid,
    input push$open,
    input [31:0] reply$dw0,
    input [31:0] reply$dw2,
    input [31:0] reply$data,
    input reply$valid,
    input reply$ready,
    input [31:0] completion$dw0,
    input [31:0] completion$dw1,
    input [2:0] completion$tag,
    input [1:0] completion$count,
    input completion$last,
    input completion$bad,
    input completion$valid,
    input completion$ready,
    input [31:0] events,
    input busy,
    input [3:0] state$q,
    input [31:0] dw0$q,
    input [31:0] dw1$q,
    input [31:0] addr$q,
    input [31:0] data$q,
    input [2:0] bar$q,
    input [2:0] tag$q,
    input [10:0] left$q,
    input none_left$q,
    input one_left$q,
    input two_left$q,
    input malformed$q,
    input [1:0] first_count$q,
    input first_last$q,
    input with_data$q
);
    localparam HEAD = 0, ADDRESS = 1, REST = 2, JUDGE = 3, ACCESS = 4, TRIM_FIRST = 5, TRIM_LAST = 6, REPLY = 7, FIRST_BEAT = 8, BEATS = 9,
        FIRST_PUSH = 10, PUSHES = 11, DRAIN = 12;
    localparam BAR_REGS = 0, BAR_MSIX = 2, WINDOW = 9'h23, UNEXPECTED = 24;
    function [31:0] swap(input [31:0] x);
        swap = {x[7:0], x[15:8], x[23:16], x[31:24]};
    endfunction
    reg started = 0, tlp_waits = 0, reply_waits = 0, completion_waits = 0;
    reg [68:0] tlp_was;
    reg [95:0] reply_was;
    wire [68:0] beat = {tlp$d0, tlp$d1, tlp$half, tlp$last, tlp$bar};
    wire [95:0] reply = {reply$dw0, reply$dw2, reply$data};

    // The TLP that comes in, or the last one: beats taken, up to 2; its DWs, without end; its header; where it goes; its first payload DW.
    reg [1:0] beats = 0;
    reg [11:0] dws = 0;
    reg [31:0] h0, h1, target, payload;
    reg [2:0] bar;
    reg ours = 0, window = 0, ended_well = 0, ended_ill = 0;
    wire moves = tlp$valid && tlp$ready;
    wire head = moves && beats == 0;
    wire second = moves && beats == 1;
    wire ends = moves && tlp$last;
    wire [11:0] now_dws = dws + (tlp$half && tlp$last ? 12'd1 : 12'd2);
    wire [31:0] h = head ? tlp$d0 : h0;
    wire [31:0] be = head ? tlp$d1 : h1;
    wire [10:0] length = h[9:0] == 0 ? 11'd1024 : {1'd0, h[9:0]};
    wire [10:0] announced = h[30] ? length : 11'd0;
    wire [11:0] whole_dws = 12'd3 + {11'd0, h[29]} + {1'd0, announced} + {11'd0, h[15]};
    wire whole = now_dws == whole_dws;
    wire [31:0] place = second ? (h[29] ? tlp$d1 : tlp$d0) : target;

    // What it asks for.
    wire completes = (h & 32'hBF00_0000) == 32'h0A00_0000;
    wire for_us = completes && (second ? tlp$d0[31:11] == {completer_id, 5'd0} : ours);
    wire to_window = (h & 32'hDF00_0000) == 32'h4000_0000 && bar == BAR_REGS && (second ? place[19:11] == WINDOW && push$open : window);
    wire all_bytes = be[7:0] == (h[9:0] == 1 ? 8'h0F : 8'hFF);
    wire pushes = to_window && all_bytes && !h[14];
    wire memory = (h & 32'h9F00_0000) == 0 && !to_window;
    wire wants_answer = {h[31], h[28:24]} == 6'h01 || {h[31], h[28:24]} == 6'h02 || {h[31], h[28:24]} == 6'h04 || {h[31], h[28:24]} == 6'h05
        || {h[31], h[28:24]} == 6'h1B || {h[31], h[28:24]} == 6'h0C || {h[31], h[28:24]} == 6'h0D || {h[31], h[28:24]} == 6'h0E;
    wire one = memory && h[9:0] == 1 && be[7:0] == 8'h0F && !(h[30] && h[14]);
    // What is still to be done of it: an access, an answer, the last beat of a completion or a push.
    reg owes_regs = 0, owes_msix = 0, owes_reply = 0, owes_completion = 0, owes_push = 0;
    reg [31:0] answer;
    reg accessed = 0;
    // DWs passed on, and whether it has been counted as unexpected.
    reg [10:0] given = 0;
    reg counted = 0, pushing = 0;
    wire [1:0] count = completion$valid ? completion$count : push$count;
    wire [10:0] now_given = given + {9'd0, count};
    wire passes = completion$valid && completion$ready || push$valid;
    wire good = ended_well || beats != 0 && tlp$valid && tlp$last && whole;
    // Cycles since the TLP came in in which it waited for nobody.
    reg [2:0] waits = 0;
    always @(posedge clock) begin
        started <= 1;
        tlp_waits <= tlp$valid && !tlp$ready && !reset;
        tlp_was <= beat;
        reply_waits <= reply$valid && !reply$ready && !reset;
        reply_was <= reply;
        completion_waits <= completion$valid && !completion$ready && !reset;
        if (moves) begin
            beats <= tlp$last ? 2'd0 : beats == 2 ? 2'd2 : beats + 2'd1;
            dws <= tlp$last ? 12'd0 : dws == 12'd4094 ? dws : now_dws;
            ended_well <= ends && whole;
            ended_ill <= ends && !whole;
        end
        if (head) begin
            {h0, h1, bar} <= {tlp$d0, tlp$d1, tlp$bar};
            ours <= 0;
            window <= 0;
            given <= 0;
            counted <= 0;
            pushing <= 0;
            accessed <= 0;
        end
        if (second) begin
            target <= place;
            payload <= tlp$d1;
            ours <= for_us;
            window <= to_window;
            owes_completion <= for_us;
            owes_push <= pushes;
        end
        if (moves && dws == 4 && h0[29]) payload <= tlp$d0;
        if (ends && whole) begin
            owes_regs <= one && bar == BAR_REGS;
            owes_msix <= one && bar == BAR_MSIX;
            owes_reply <= memory && !h[30] || wants_answer;
        end
        if (regs$valid && regs$done || msix$valid && msix$done) begin
            owes_regs <= 0;
            owes_msix <= 0;
            accessed <= 1;
            answer <= owes_regs ? regs$rdata : msix$rdata;
        end
        if (reply$valid && reply$ready) owes_reply <= 0;
        if (passes) given <= now_given;
        if (push$valid) pushing <= 1;
        if (completion$valid && completion$ready && completion$last) owes_completion <= 0;
        if (push$valid && push$last) owes_push <= 0;
        if (events[UNEXPECTED]) counted <= 1;
        if (moves) waits <= 0;
        else if (beats == 0 && !tlp$ready && !regs$valid && !msix$valid && !reply$valid && !completion$valid) waits <= waits + 3'd1;
        if (reset) begin
            beats <= 0;
            dws <= 0;
            {owes_regs, owes_msix, owes_reply, owes_completion, owes_push} <= 0;
            {ended_well, ended_ill} <= 0;
            waits <= 0;
        end
    end
    always @* if (!started) assume (reset);
    // Who gives TLPs keeps a beat until it is taken.
    always @* if (tlp_waits) assume (tlp$valid && beat == tlp_was);

    wire idle = !owes_regs && !owes_msix && !owes_reply && !owes_completion && !owes_push;
    // What the invariants look at: a beat passes through, the first one waits in registers; payload DWs that came, and those passed on.
    wire through = state$q == REST || state$q == BEATS || state$q == PUSHES || state$q == DRAIN;
    wire starts = state$q == FIRST_BEAT || state$q == FIRST_PUSH;
    wire [11:0] came = dws - 12'd3 - {11'd0, h0[29]};
    wire [11:0] passed = came < {1'd0, announced} ? came : {1'd0, announced};
    always @* if (started && !reset) begin
        only_whole: assert ((!regs$valid || owes_regs) && (!msix$valid || owes_msix) && (!regs$valid && !msix$valid || ended_well));
        as_asked: assert (!regs$valid && !msix$valid || regs$write == h0[30] && regs$bar == bar && regs$addr == {target[19:2], 2'd0});
        value: assert (!regs$valid && !msix$valid || !h0[30] || regs$wdata == swap(payload));
        once: assert (!head || idle);
        answers: assert (!reply$valid || owes_reply && !owes_regs && !owes_msix && ended_well);
        answer_is: assert (!reply$valid || reply$dw0[30] == accessed && reply$dw2[31:8] == h1[31:8] && (!accessed || reply$data == answer));
        answer_stays: assert (!reply_waits || reply$valid && reply == reply_was);
        completion_is: assert (!completion$valid
            || owes_completion && ours && completion$dw0 == h0 && completion$dw1 == h1 && completion$tag == target[10:8]);
        completion_stays: assert (!completion_waits || completion$valid);
        completion_whole: assert (!completion$valid || !completion$last || completion$bad == !good);
        push_is: assert (!push$valid || owes_push && window && push$offset == target[10:2] && push$first == !pushing);
        push_whole: assert (!push$valid || !push$last || push$bad == !good);
        never_more: assert (!passes || now_given <= announced);
        all_of_it: assert (!completion$valid && !push$valid || !(completion$valid ? completion$last : push$last) || !good || now_given == announced);
        ill_is_counted: assert (!head || !ended_ill || ours || counted || window);
        in_time: assert (waits < 4);
        busy_means: assert (idle && beats == 0 || busy);
`ifdef INVARIANTS
        inv_state: assert (state$q <= DRAIN);
        inv_beats: assert (beats == (state$q == ADDRESS ? 2'd1 : through || starts && !first_last$q ? 2'd2 : 2'd0));
        inv_dws: assert (beats == 2 ? dws >= 4 && dws <= 4094 && !dws[0] : dws == {10'd0, beats[0], 1'd0});
        inv_ended: assert (beats == 0 ? state$q == HEAD || ended_well == !ended_ill : !ended_well && !ended_ill);
        inv_header: assert (state$q == HEAD || dw0$q == h0 && dw1$q == h1 && bar$q == bar);
        inv_address: assert (state$q < REST || addr$q == target);
        inv_left: assert (state$q == DRAIN || (beats == 1 ? left$q == announced
            : beats != 2 || (malformed$q ? came > {1'd0, announced} && left$q == 0
                : came <= {1'd0, announced} && came + {1'd0, left$q} == {1'd0, announced})));
        inv_flags: assert (none_left$q == (left$q == 0) && one_left$q == (left$q == 1) && two_left$q == (left$q == 2));
        inv_fresh: assert (state$q != ADDRESS || !malformed$q && given == 0 && !accessed && !pushing && !window && !ours);
        inv_malformed: assert (state$q != JUDGE && !(starts && first_last$q) || malformed$q == ended_ill);
        inv_asked: assert (state$q != REST && state$q != JUDGE || !window && !ours && !completes && !accessed);
        inv_data: assert (!(state$q == REST && (!h0[29] || dws > 4)) && state$q != JUDGE && state$q != ACCESS
            || h0[9:0] != 1 || !h0[30] || state$q != REST && !ended_well || data$q == swap(payload));
        inv_idle: assert (state$q != HEAD && state$q != ADDRESS && state$q != REST && state$q != DRAIN || idle);
        inv_judge: assert (state$q != JUDGE || owes_regs == (ended_well && one && bar == BAR_REGS)
            && owes_msix == (ended_well && one && bar == BAR_MSIX) && owes_reply == (ended_well && (memory && !h0[30] || wants_answer))
            && !owes_completion && !owes_push);
        inv_access: assert (state$q != ACCESS || ended_well && one && !accessed && owes_regs == (bar == BAR_REGS)
            && owes_msix == (bar == BAR_MSIX) && (owes_regs || owes_msix) && owes_reply == !h0[30] && !owes_completion && !owes_push
            && with_data$q);
        inv_refused: assert (state$q != TRIM_FIRST && state$q != TRIM_LAST || !with_data$q);
        inv_reply: assert (state$q != TRIM_FIRST && state$q != TRIM_LAST && state$q != REPLY
            || ended_well && owes_reply && !owes_regs && !owes_msix && !owes_completion && !owes_push
            && with_data$q == accessed && (!accessed || data$q == answer));
        inv_starts: assert (!starts || (first_last$q || dws == 4) && given == 0 && !pushing && !owes_regs && !owes_msix && !owes_reply && first_count$q <= announced
            && (first_last$q ? ended_ill || first_count$q == announced : first_count$q == passed));
        inv_completion: assert (state$q != FIRST_BEAT && state$q != BEATS || completes && ours && owes_completion && !owes_push
            && tag$q == target[10:8]);
        inv_push: assert (state$q != FIRST_PUSH && state$q != PUSHES || to_window && !ours && !owes_completion && owes_push == pushes);
        inv_pushes: assert (state$q != PUSHES || pushes && pushing);
        inv_given: assert (state$q != BEATS && state$q != PUSHES || given == passed && !owes_regs && !owes_msix && !owes_reply);
        inv_counted: assert (state$q != HEAD && state$q != DRAIN || state$q == HEAD && !ended_ill || ours || counted || window);
        inv_drain: assert (state$q != DRAIN || !ours && (completes || to_window && !pushes));
        inv_waits: assert (waits <= (state$q == JUDGE || starts ? 3'd0 : state$q == TRIM_FIRST ? 3'd1 : state$q == TRIM_LAST ? 3'd2 : 3'd3));
`endif
    end
endmodule
