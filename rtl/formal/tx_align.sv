// The transmit path's aligner (tx/align.rs) takes the beats of one packet, then none until it is restarted; it tells of the packet's end
// once, with its length, and gives all its beats in order.
module tx_align(
    input clock,
    input reset,
    input room,
    input restart,
    input [7:0] packet$keep,
    input packet$last,
    input packet$abort,
    input packet$raw,
    input packet$valid,
    input packet$ready,
    input [10:0] beat,
    input valid,
    input ended,
    input forget,
    input [14:0] len,
    input too_long,
    input raw,
    input busy,
    input [10:0] number$q,
    input closed$q,
    input flush$q,
    input r_raw$q
);
    function [3:0] bytes(input [7:0] keep);
        bytes = {3'd0, keep[0]} + {3'd0, keep[1]} + {3'd0, keep[2]} + {3'd0, keep[3]}
            + {3'd0, keep[4]} + {3'd0, keep[5]} + {3'd0, keep[6]} + {3'd0, keep[7]};
    endfunction
    localparam MOST = 1128;
    reg started = 0;
    // The packet: beats taken, up to the most; bytes of those; whether more came, whether its last came, and whether it has been told of.
    reg [10:0] taken = 0;
    reg [14:0] size = 0;
    reg more = 0, closed = 0, told = 0, aborted = 0, is_raw = 0;
    // Beats given.
    reg [10:0] given = 0;
    wire takes = packet$valid && packet$ready;
    wire [14:0] whole = is_raw ? size : size + 15'd14;
    wire [14:0] last_byte = whole - 15'd1;
    // An IPv4 packet's frame lacks its first beat here.
    wire [11:0] beats = last_byte[14:3] + (is_raw ? 12'd1 : 12'd0);
    wire [10:0] now_given = given + {10'd0, valid};
    always @(posedge clock) begin
        started <= 1;
        if (takes) begin
            if (taken != MOST) begin
                taken <= taken + 11'd1;
                size <= size + {11'd0, bytes(packet$keep)};
            end else more <= 1;
            closed <= packet$last;
            aborted <= packet$last && packet$abort;
            is_raw <= packet$raw;
        end
        if (valid) given <= given + 11'd1;
        if (ended) told <= 1;
        if (restart || reset) begin
            taken <= 0;
            size <= 0;
            more <= 0;
            closed <= 0;
            told <= 0;
            given <= 0;
        end
    end
    always @* if (!started) assume (reset);
    always @* assume ((packet$keep & (packet$keep + 8'd1)) == 0 && packet$keep != 0);
    always @* assume (packet$last || packet$keep == 8'hFF);
    always @* if (taken != 0) assume (packet$raw == is_raw);
    // The packet is dealt with when its end has been told of.
    always @* assume (!restart || told);

    always @* if (started && !reset) begin
        waits: assert (!packet$ready || room && !closed);
        once: assert (!ended || closed && !told);
        told_in_time: assert (!closed || told || ended || valid || more);
        counted: assert (!ended || more || !told && len == whole);
        too_long_means: assert (too_long == more);
        in_order: assert (!valid || beat == (raw ? given : given + 11'd1));
        all_beats: assert (!ended || forget || more || {1'd0, given} + 12'd1 == beats);
        nothing_else: assert (!valid || taken != 0);
        forgets: assert (!ended || forget == aborted);
        busy_means: assert (taken == 0 || busy);
`ifdef INVARIANTS
        inv_number: assert (number$q == taken && taken <= MOST);
        inv_closed: assert (closed$q == closed && (!closed || taken != 0));
        inv_raw: assert (taken == 0 || r_raw$q == is_raw);
        inv_size: assert (closed || size == {1'd0, taken, 3'd0});
        inv_last: assert (!closed || more || size <= {1'd0, taken, 3'd0} && size + 15'd8 > {1'd0, taken, 3'd0});
        inv_more: assert (!more || taken == MOST);
        inv_told: assert (closed == (flush$q || ended || told) && !(ended && told) && !(flush$q && (ended || told)));
        inv_flush: assert (!flush$q || !is_raw && !aborted);
        inv_given: assert (now_given == taken || closed && !flush$q && now_given == taken + 11'd1);
        // Three bytes or more of the last beat do not find a place behind the header.
        inv_beats: assert (!closed || more || aborted
            || (flush$q || now_given != taken) == (!is_raw && size + 15'd5 >= {1'd0, taken, 3'd0}));
        inv_ended: assert (!ended || valid || more);
        inv_valid: assert (!valid || taken != 0 && !told);
        inv_forget: assert (!closed || forget == aborted);
        inv_len: assert (!closed || more || len == whole);
`endif
    end
endmodule
