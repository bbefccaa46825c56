// The receive path's judge (rx/verdict.rs) commits or rolls back each frame that it takes, once, in time, and counts each frame that
// comes once; a damaged, short or long one reaches the host only if it asked for such.
module rx_verdict(
    input clock,
    input reset,
    input [31:0] rxctl,
    input valid,
    input last,
    input [3:0] bad,
    input pass,
    input lost,
    input hashing,
    input take,
    input [10:0] beat,
    input commit,
    input rollback,
    input arp,
    input fcs_err,
    input [31:0] events,
    input busy,
    input skipped_last,
    input [2:0] state$q,
    input skip$q,
    input [10:0] number$q,
    input [3:0] r_bad$q,
    input deliver$q,
    input give_arp$q,
    input [31:0] reason$q,
    input r_fcs_err$q
);
    localparam RX_FRAMES = 0, RX_ARP = 13;
    localparam RECEIVE = 0, DECIDE = 5, ACT = 6;
    reg started = 0, judging = 0, skipping = 0, told = 0, committed = 0, was_lost = 0, gave_arp = 0;
    // Of the frame that is judged: what the MAC says, and what the host wants, as it was when the frame was decided on.
    reg [3:0] its_bad = 0;
    reg asked = 0, passed = 0;
    // Beats taken of it; cycles since its last in which it could have been dealt with.
    reg [10:0] beats = 0;
    reg [3:0] waits = 0;
    wire acts = commit || rollback;
    wire held_up = hashing || skipped_last;
    wire [31:0] fate = events & ~(32'd1 << RX_ARP);
    always @(posedge clock) begin
        started <= 1;
        told <= (acts || skipped_last) && !reset;
        committed <= commit;
        was_lost <= lost;
        gave_arp <= arp;
        if (take) begin
            beats <= beats + (beats != 11'h7FF);
            if (last) begin
                judging <= 1;
                its_bad <= bad;
                waits <= 0;
            end
        end
        if (state$q == DECIDE) begin
            asked <= rxctl[3];
            passed <= pass;
        end
        if (judging && !(state$q == ACT && held_up)) waits <= waits + 4'd1;
        if (acts) begin
            judging <= 0;
            beats <= 0;
        end
        if (valid && !take) skipping <= !last;
        if (reset) begin
            judging <= 0;
            skipping <= 0;
            beats <= 0;
        end
    end
    always @* if (!started) assume (reset);

    always @* if (started && !reset) begin
        one_fate: assert (!(commit && rollback));
        once: assert (!acts || judging);
        one_at_a_time: assert (!take || !judging && !skipping);
        in_time: assert (!judging || waits < 4'd7);
        counted: assert ((events != 0) == told);
        counted_once: assert ((fate & (fate - 32'd1)) == 0);
        good_ones: assert (!events[RX_FRAMES] || committed && !was_lost);
        lost_ones: assert (!(told && committed) || was_lost || events[RX_FRAMES]);
        arp_counted: assert (!events[RX_ARP] || gave_arp);
        arp_with_a_fate: assert (!arp || acts);
        no_runt_no_giant: assert (!commit || !its_bad[3] && !its_bad[2]);
        damaged_on_request: assert (!commit || !(its_bad[0] || its_bad[1]) || asked && fcs_err);
        filtered: assert (!commit || passed);
        no_damaged_arp: assert (!arp || !(its_bad[0] || its_bad[1]));
        numbered: assert (!take || beat == beats);
        busy_means: assert (!judging && beats == 0 && !skipping || busy);
`ifdef INVARIANTS
        inv_state: assert (state$q <= ACT && judging == (state$q != RECEIVE));
        inv_skip: assert (skip$q == skipping);
        inv_number: assert (number$q == beats);
        inv_waits: assert (!judging || {1'b0, state$q} == waits + 4'd1);
        inv_bad: assert (!judging || (r_bad$q & ~4'd4) == (its_bad & ~4'd4) && (r_bad$q[2] || !its_bad[2]));
        inv_reason: assert (state$q != ACT || reason$q != 0
            || !r_bad$q[3] && !r_bad$q[2] && passed && (!(its_bad[0] || its_bad[1]) || asked && r_fcs_err$q));
        inv_arp: assert (state$q != ACT || !give_arp$q || !(its_bad[0] || its_bad[1]));
        inv_give: assert (state$q != ACT || give_arp$q || deliver$q);
        inv_one_reason: assert (state$q != ACT || (reason$q & (reason$q - 32'd1)) == 0 && !reason$q[RX_FRAMES] && !reason$q[RX_ARP]);
`endif
    end
endmodule
