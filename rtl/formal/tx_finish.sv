// The transmit path's finisher (tx/finish.rs) gives each packet that ends one verdict, which stays until it is taken; it commits the frame
// if and only if the verdict is good, before it, and writes nothing into it afterwards. The verdict of a frame whose time is wanted comes when
// the frame has left, and says so, and no other verdict does. What follows a segment that was bad or missed has the same verdict.
module tx_finish(
    input clock,
    input reset,
    input valid,
    input ended,
    input forget,
    input [14:0] len,
    input too_long,
    input raw,
    input ipcs,
    input l4cs,
    input [10:0] beat,
    input [2:0] next_hop,
    input stamp,
    input segment,
    input follows,
    input enable,
    input left,
    input [31:0] lookup$ip,
    input [2:0] lookup$next_hop,
    input lookup$valid,
    input lookup$done,
    input lookup$hit,
    input [31:0] lookup$address,
    input verdict$arp_miss,
    input verdict$bad,
    input verdict$stamped,
    input [31:0] verdict$address,
    input verdict$valid,
    input verdict$ready,
    input write0,
    input write1,
    input commit,
    input restart,
    input busy,
    input [3:0] state$q,
    input bad_frame$q,
    input r_bad$q,
    input r_miss$q,
    input r_stamped$q
);
    localparam STORE = 0, LENGTHS = 1, CHECKSUMS = 6, LOOKUP = 7, WRITE_L4 = 10, COMMIT = 11, LEAVE = 12, TELL = 13;
    reg started = 0, offered = 0, asked = 0, finishing = 0, committed = 0, missed = 0;
    // The packet is to leave; it has left.
    reg leaving = 0, gone = 0;
    // The last verdict.
    reg last_bad = 0, last_missed = 0;
    reg [34:0] verdict_was;
    reg [34:0] question_was;
    reg [31:0] hop;
    reg [10:0] last_beat = 0;
    // Cycles in which the packet waited for nobody.
    reg [3:0] waits = 0;
    wire [34:0] verdict = {verdict$arp_miss, verdict$bad, verdict$stamped, verdict$address};
    wire [34:0] question = {lookup$ip, lookup$next_hop};
    wire writes = write0 || write1;
    reg [22:0] packet_was;
    wire [22:0] packet = {len, too_long, raw, ipcs, l4cs, forget, stamp, segment, follows};
    reg [2:0] hop_was;
    always @(posedge clock) begin
        started <= 1;
        offered <= verdict$valid && !verdict$ready && !reset;
        verdict_was <= verdict;
        asked <= lookup$valid && !lookup$done && !reset;
        question_was <= question;
        packet_was <= packet;
        hop_was <= next_hop;
        if (valid) last_beat <= beat;
        if (ended && !forget) begin
            finishing <= 1;
            committed <= 0;
            missed <= follows && last_missed;
            leaving <= 0;
            gone <= 0;
            waits <= 0;
        end
        if (lookup$valid && lookup$done && !lookup$hit) begin
            missed <= 1;
            hop <= lookup$address;
        end
        if (verdict$valid && verdict$ready) begin
            last_bad <= verdict$bad;
            last_missed <= verdict$arp_miss;
        end
        if (commit) committed <= 1;
        if (commit && stamp && enable) leaving <= 1;
        if (leaving && left) begin
            leaving <= 0;
            gone <= 1;
        end
        if (finishing && !lookup$valid && !verdict$valid && !leaving) waits <= waits + 4'd1;
        if (restart || reset) begin
            finishing <= 0;
            leaving <= 0;
            last_beat <= 0;
        end
        if (reset) begin
            missed <= 0;
            last_bad <= 0;
            last_missed <= 0;
        end
    end
    always @* if (!started) assume (reset);
    // The aligner: after a packet's end nothing until the restart; what it says of the packet stays.
    always @* if (finishing) assume (!valid && !ended && packet == packet_was && next_hop == hop_was);
    always @* if (valid) assume (beat >= last_beat);

    always @* if (started && !reset) begin
        stays: assert (!offered || verdict$valid && verdict == verdict_was);
        question_stays: assert (!asked || lookup$valid && question == question_was);
        told: assert (!verdict$valid || finishing);
        told_means_restart: assert (restart == (verdict$valid && verdict$ready || ended && forget && !finishing));
        good_is_committed: assert (!verdict$valid || committed == (!verdict$bad && !verdict$arp_miss));
        commits_once: assert (!commit || finishing && !committed && !verdict$valid);
        no_write_with_commit: assert (!commit || !writes);
        no_write_after_commit: assert (!(finishing && committed) || !writes);
        bad_or_missed: assert (!(verdict$bad && verdict$arp_miss && verdict$valid));
        miss_means: assert (!verdict$valid || verdict$arp_miss == missed && (!missed || verdict$address == hop));
        raw_asks_nobody: assert (!(lookup$valid && raw));
        lengths: assert (!commit || !too_long && len >= 14 && len <= 9018);
        in_time: assert (!finishing || waits < 4'd12);
        stamped_means: assert (!verdict$valid || !leaving && verdict$stamped == gone);
        shares_fate: assert (!(verdict$valid && follows && (last_bad || last_missed))
            || verdict$bad == last_bad && verdict$arp_miss == last_missed);
        busy_means: assert (!finishing || busy || leaving);
`ifdef INVARIANTS
        inv_state: assert (state$q <= TELL && finishing == (state$q != STORE));
        inv_committed: assert (!finishing || committed == (state$q == LEAVE || state$q == TELL && !r_bad$q && !r_miss$q));
        inv_leaving: assert (leaving == (finishing && state$q == LEAVE));
        inv_gone: assert (!finishing || (state$q <= LENGTHS ? !gone : gone == r_stamped$q));
        inv_stamped: assert (!finishing || state$q <= LENGTHS || !r_stamped$q || state$q == TELL && !r_bad$q && !r_miss$q);
        inv_missed: assert (missed == (r_miss$q && (state$q != LENGTHS || follows)));
        inv_one: assert (!(r_bad$q && r_miss$q));
        inv_hop: assert (!r_miss$q || verdict$address == hop);
        inv_last: assert (state$q == TELL || state$q > LENGTHS && !follows || r_bad$q == last_bad && r_miss$q == last_missed);
        inv_tell: assert (state$q != TELL || !(follows && (last_bad || last_missed)) || r_bad$q == last_bad && r_miss$q == last_missed);
        inv_waits: assert (!finishing || waits + 4'd1 == state$q - (state$q > LOOKUP && !raw ? 4'd1 : 4'd0)
            || state$q >= LEAVE && waits < 4'd12 || state$q == WRITE_L4 && raw && waits == 4'd6
            || state$q == COMMIT && raw && (waits == 4'd6 || waits == 4'd7));
        inv_forget: assert (!finishing || !forget);
        inv_bad: assert (state$q <= LENGTHS || state$q == TELL || state$q <= CHECKSUMS && follows || !r_bad$q && !r_miss$q);
        inv_frame: assert (state$q <= 2 || state$q > CHECKSUMS || bad_frame$q == (too_long || len < 14 || len > 9018));
        inv_fits: assert (state$q < LOOKUP || state$q == TELL || !too_long && len >= 14 && len <= 9018);
        inv_raw: assert (state$q < LOOKUP || state$q >= WRITE_L4 || !raw);
`endif
    end
endmodule
