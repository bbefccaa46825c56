// The realigner (queue/realigner.rs) keeps the stream protocol, tells of each frame of the list once, whose it is and whether it is to be
// forgotten, with a packet that ends once, and never overfills the list of what is done.
module realigner(
    input clock,
    input reset,
    input [31:0] item,
    input item_valid,
    input item_pop,
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
    input [1:0] state$q,
    input began$q,
    input sent$q,
    input out_valid$q,
    input out_last$q
);
    localparam ITEM = 0, BEAT = 1, MERGE = 2, CLOSE = 3;
    reg started = 0, offered = 0, item_waits = 0, item_was_end = 0;
    reg [31:0] item_was;
    reg [96:0] beat_was;
    wire [96:0] beat = {m$d0, m$d1, m$keep, m$last, m$abort, m$raw, m$ipcs, m$l4cs, m$next_hop, m$tag, m$tci};
    wire ends = item_valid && item_pop && item[31];
    wire moves = m$valid && m$ready;
    // Packets that a good end owes, less those that ended; a packet has begun and not ended.
    reg open = 0;
    reg owes = 0;
    always @(posedge clock) begin
        started <= 1;
        offered <= m$valid && !m$ready && !reset;
        beat_was <= beat;
        item_waits <= item_valid && !item_pop && !reset;
        item_was <= item;
        if (moves) open <= !m$last;
        if (moves && m$last) owes <= 0;
        if (ends && !item[15] && !item[17] && !(done_push && done[17])) owes <= 1;
        if (reset) begin
            open <= 0;
            owes <= 0;
        end
    end
    always @* if (!started) assume (reset);
    always @* if (item_waits) assume (item_valid && item == item_was);

    always @* if (started && !reset) begin
        stays: assert (!offered || m$valid && beat == beat_was);
        retired_once: assert (done_push == ends);
        same_frame: assert (!done_push || done[16:0] == item[16:0] && done[20:18] == item[20:18] && done[31:22] == 0);
        forgotten: assert (!done_push || done[21] == item[17]);
        overfills: assert (!done_push || !done_full);
        pops_what_is_there: assert (!item_pop || item_valid);
        packet_of_frame: assert (!owes || m$valid && m$last && !m$abort);
        whole: assert (!idle || !open);
`ifdef INVARIANTS
        inv_owes: assert (!owes || out_valid$q && out_last$q);
        inv_open: assert (!open || sent$q || out_valid$q && out_last$q);
        inv_beat: assert (!out_valid$q || out_last$q || sent$q);
        inv_sent: assert (!sent$q || began$q);
        inv_sent_open: assert (!sent$q || open || out_valid$q && !out_last$q);
        inv_out: assert (!(sent$q && out_valid$q) || !out_last$q);
        inv_began: assert (state$q != BEAT && state$q != MERGE || began$q);
        inv_close: assert (state$q != CLOSE || item_valid && item[31]);
        inv_offered: assert (!offered || out_valid$q);
`endif
    end
endmodule
