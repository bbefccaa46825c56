// The reader of payloads (queue/payload_reader.rs) reads only the bytes of the SQE, of a segment first the whole of the first SQE again,
// across no border of its reads, in requests that stay until they are taken; each frame that is begun ends once in the list, with its
// queue and the index of its last SQE, and the list is never overfilled.
module payload_reader(
    input clock,
    input reset,
    input run,
    input [2:0] max_read,
    input [31:0] addr_lo,
    input [31:0] addr_hi,
    input [31:0] len_flags,
    input [14:0] index,
    input [1:0] owner,
    input valid,
    input ready,
    input [31:0] req$addr_lo,
    input [31:0] req$addr_hi,
    input [6:0] req$dwords,
    input req$valid,
    input req$ready,
    input [31:0] word,
    input push,
    input full,
    input idle,
    input [2:0] state$q,
    input [31:0] lo$q,
    input [31:0] hi$q,
    input [15:0] left$q,
    input [8:0] bytes$q,
    input [6:0] dwords$q,
    input midframe$q,
    input bad$q,
    input tso$q,
    input first$q,
    input [15:0] mss$q,
    input [31:0] head_lo$q,
    input [31:0] head_hi$q,
    input [6:0] head_bytes$q,
    input heading$q,
    input [31:0] next_lo$q,
    input [31:0] next_hi$q,
    input [15:0] todo$q,
    input [15:0] segment$q,
    input [15:0] behind$q,
    input more$q,
    input forget$q,
    input [14:0] last_index$q
);
    localparam ENTRY = 0, SEGMENT = 1, HEAD = 2, NUMBERS = 3, SPLIT = 4, ASK = 5, PIECE = 6, FINISH = 7;
    (* anyconst *) reg [2:0] read_size;
    reg started = 0, offered = 0, was_full = 0, pushed = 0, open = 0;
    // Where the next read of the SQE belongs, and the bytes from there on.
    reg [63:0] expected = 0;
    reg [15:0] rest = 0;
    // The first SQE, and while it is read again, where the payload goes on.
    reg [63:0] head = 0;
    reg [6:0] head_bytes = 0;
    reg again = 0;
    reg [63:0] payload = 0;
    reg [15:0] payload_rest = 0;
    // Whose the frame is, and the index of the last SQE taken.
    reg [1:0] whose = 0;
    reg [14:0] newest = 0;
    reg [70:0] request_was;
    wire [70:0] request = {req$addr_hi, req$addr_lo, req$dwords};
    // A frame's end, and that of a segment with another behind it.
    wire closes = push && word[31];
    wire ends = closes && !word[18];
    wire begins_segment = push && word[31:29] == 3;
    always @(posedge clock) begin
        started <= 1;
        offered <= req$valid && !req$ready && !reset;
        request_was <= request;
        was_full <= full;
        pushed <= push;
        if (valid && ready) begin
            expected <= {addr_hi, addr_lo};
            rest <= len_flags[15:0];
            newest <= index;
            if (!open) begin
                whose <= owner;
                head <= {addr_hi, addr_lo};
                head_bytes <= len_flags[6:0];
            end
        end else if (begins_segment) begin
            payload <= expected;
            payload_rest <= rest;
            expected <= head;
            rest <= {9'd0, head_bytes};
            again <= 1;
        end else if (req$valid && req$ready) begin
            expected <= expected + {55'd0, bytes$q};
            rest <= rest - {7'd0, bytes$q};
            if (again && rest == {7'd0, bytes$q}) begin
                expected <= payload;
                rest <= payload_rest;
                again <= 0;
            end
        end
        if (reset || ends) again <= 0;
        open <= !reset && (open || valid && ready) && !ends;
    end
    always @* if (!started) assume (reset);
    always @* assume (max_read == read_size);
    // A frame's SQEs are those of one queue, which has its turn until the frame has ended.
    always @* if (open) assume (owner == whose);
    // The list fills up only by what is pushed.
    always @* if (started && !pushed && !was_full) assume (!full);

    wire [63:0] address = {req$addr_hi, req$addr_lo};
    wire [63:0] at = {hi$q, lo$q};
    wire [8:0] block = read_size == 0 ? 9'd128 : 9'd256;
    wire [8:0] offset = req$addr_lo[7:0] & (block - 9'd1);
    wire [8:0] in_block = lo$q[7:0] & (block - 9'd1);
    always @* if (started && !reset) begin
        in_place: assert (!req$valid || address == {expected[63:2], 2'd0});
        // The DWs that hold the bytes from there on, as far as the SQE reaches.
        inside: assert (!req$valid || {8'd0, req$dwords} <= ({2'd0, rest} + {15'd0, expected[1:0]} + 17'd3) >> 2);
        border: assert (!req$valid || req$dwords != 0 && offset + {req$dwords, 2'd0} <= block);
        stays: assert (!offered || req$valid && request == request_was);
        overfills: assert (!push || !full);
        ends_once: assert (!closes || open);
        says_whose: assert (!closes || word[20:19] == whose && word[14:0] == newest && word[30:21] == 0);
        segment_of_frame: assert (!begins_segment || open && !again);
        no_read_outside: assert (!req$valid || open);
        listed: assert (!(req$valid && req$ready) || push && !word[31] && word[10:2] == bytes$q);
        idle_means: assert (!idle || !open);
`ifdef INVARIANTS
        inv_open: assert (midframe$q == open && (state$q == ENTRY || open));
        inv_at: assert (state$q != SPLIT && state$q != ASK || at == expected && left$q != 0
            && (tso$q && !again ? left$q + behind$q == rest && left$q <= rest : left$q == rest));
        inv_head_at: assert (state$q != HEAD || tso$q || at == expected && left$q == rest && rest != 0);
        inv_tso: assert (!tso$q || open && mss$q != 0 && head_bytes$q >= 40);
        inv_newest: assert (!open || last_index$q == newest);
        inv_first: assert (!open || head == {head_hi$q, head_lo$q} && head_bytes == head_bytes$q);
        inv_again: assert (again == (tso$q && heading$q && (state$q == SPLIT || state$q == ASK))
            || again && forget$q && state$q == FINISH);
        inv_again_payload: assert (!(again && state$q != FINISH) || payload == {next_hi$q, next_lo$q} && payload_rest == behind$q && behind$q != 0 && segment$q != 0);
        inv_segment: assert (state$q != SEGMENT || tso$q && at == expected && rest == behind$q && behind$q != 0 && todo$q != 0);
        inv_numbers: assert (!((state$q == HEAD && tso$q) || state$q == NUMBERS) || tso$q && heading$q && expected == {next_hi$q, next_lo$q} && rest == behind$q
            && behind$q != 0 && segment$q != 0 && at == head && left$q == {9'd0, head_bytes});
        inv_piece: assert (state$q != PIECE || tso$q && at == expected && rest == behind$q && behind$q != 0 && segment$q != 0);
        inv_finish: assert (!(state$q == FINISH && more$q) || tso$q && !bad$q && !forget$q && !first$q && !heading$q && segment$q == 0 && at == expected && rest == behind$q);
        inv_more: assert (!more$q || state$q == FINISH);
        inv_entry: assert (!(state$q == ENTRY && tso$q && !first$q && !bad$q) || segment$q != 0 || todo$q != 0);
        inv_heading: assert (!(state$q == PIECE || state$q == ENTRY && tso$q && segment$q != 0) || !heading$q);
        inv_begun: assert (!(tso$q && first$q) || state$q == ENTRY || state$q == SEGMENT || state$q == HEAD || state$q == NUMBERS
            || state$q == FINISH && (bad$q || forget$q) && !more$q);
        inv_good: assert (state$q == ENTRY || state$q == FINISH || !bad$q && !forget$q);
        inv_entry_good: assert (state$q != ENTRY || !forget$q);
        inv_entry_first: assert (!(state$q == ENTRY && tso$q && first$q) || segment$q == 0);
        inv_bytes: assert (state$q != ASK || bytes$q != 0 && bytes$q <= left$q && in_block + bytes$q <= block
            && dwords$q == (bytes$q + {7'd0, lo$q[1:0]} + 10'd3) >> 2);
        inv_offered: assert (!offered || state$q == ASK && !full);
`endif
    end
endmodule
