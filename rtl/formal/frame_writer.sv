// The writer of received frames (queue/frame_writer.rs) writes only inside the slot, in whole TLPs of at most the negotiated payload that
// cross no 4 KiB border and stay until they are taken, and ends with each frame once.
module frame_writer(
    input clock,
    input reset,
    input [2:0] max_payload,
    input [31:0] base_lo,
    input [31:0] base_hi,
    input [3:0] stride_log2,
    input [14:0] slot,
    input go,
    input skip,
    input [15:0] s$len,
    input s$last,
    input s$valid,
    input s$ready,
    input [31:0] m$addr_lo,
    input [31:0] m$addr_hi,
    input [9:0] m$dwords,
    input [3:0] m$last_be,
    input m$last,
    input m$valid,
    input m$ready,
    input idle,
    input truncated,
    input [2:0] state$q,
    input [14:0] slot_q$q,
    input [31:0] addr_lo$q,
    input [31:0] addr_hi$q,
    input [15:0] left$q,
    input [11:0] bytes$q,
    input [9:0] dwords$q,
    input [8:0] beats$q
);
    localparam IDLE = 0, PLACE = 1, SIZE = 2, BEAT = 3, SKIP = 4;
    (* anyconst *) reg [2:0] payload;
    (* anyconst *) reg [63:0] base;
    (* anyconst *) reg [3:0] stride;
    reg started = 0, offered = 0, writing = 0;
    reg [14:0] target = 0;
    reg [15:0] len = 0;
    // Beats of the frame that have been taken, and DWs of the TLP that have gone.
    reg [13:0] taken = 0;
    reg [9:0] gone = 0;
    reg open = 0;
    // Where the next TLP belongs: address, and offset in the slot.
    reg [63:0] expected = 0;
    reg [15:0] offset = 0;
    reg [78:0] tlp_was;
    wire [78:0] tlp = {m$addr_hi, m$addr_lo, m$dwords, m$last_be, m$last};
    always @(posedge clock) begin
        started <= 1;
        offered <= m$valid && !m$ready && !reset;
        tlp_was <= tlp;
        if (go || skip) begin
            target <= slot;
            len <= s$len;
            taken <= 0;
            open <= 1;
            writing <= go;
            expected <= base + {32'd0, {17'd0, slot} << stride};
            offset <= 0;
        end
        if (s$valid && s$ready) begin
            taken <= taken + 14'd1;
            if (s$last) open <= 0;
        end
        if (m$valid && m$ready) gone <= m$last ? 10'd0 : gone + 10'd2;
        if (m$valid && m$ready && m$last) begin
            expected <= expected + {52'd0, bytes$q};
            offset <= offset + {4'd0, bytes$q};
        end
        if (reset) begin
            open <= 0;
            gone <= 0;
        end
    end
    always @* if (!started) assume (reset);
    // What the host has programmed stands still; the slots do not wrap at the end of memory.
    always @* assume (max_payload == payload && payload <= 4 && {base_hi, base_lo} == base && base[10:0] == 0);
    always @* assume (base[63:32] != 32'hFFFFFFFF && stride_log2 == stride && stride >= 11 && stride <= 14);
    // A frame is at the sink when it is begun, and is as long as it says.
    always @* if (go || skip) assume (idle && s$valid && !(go && skip) && s$len != 0);
    always @* if (open) assume (s$len == len);
    wire [13:0] frame_beats = {1'd0, len[15:3]} + {13'd0, len[2:0] != 0};
    always @* if (open && s$valid) assume (s$last == (taken + 14'd1 == frame_beats));
    // A beat that is offered stays.
    reg waits = 0;
    always @(posedge clock) waits <= s$valid && !s$ready && !reset;
    always @* if (waits) assume (s$valid);

    wire [15:0] capacity = 16'd1 << stride;
    wire [11:0] limit = 12'd128 << payload;
    wire [63:0] address = {m$addr_hi, m$addr_lo};
    wire [15:0] wanted = len > capacity ? capacity : len;
    // Bytes from the TLP under way on.
    wire [15:0] rest = state$q == BEAT ? left$q + {4'd0, bytes$q} : left$q;
    always @* if (started && !reset) begin
        in_place: assert (!m$valid || address == expected);
        inside: assert (!m$valid || {1'd0, offset} + {m$dwords, 2'd0} <= capacity);
        payload_size: assert (!m$valid || m$dwords != 0 && {m$dwords, 2'd0} <= limit);
        border: assert (!m$valid || {1'd0, address[11:0]} + {m$dwords, 2'd0} <= 13'd4096);
        whole: assert (!m$valid || m$last == (gone + 10'd2 >= m$dwords));
        stays: assert (!offered || m$valid && tlp == tlp_was);
        only_frames: assert (!m$valid || open && writing);
        once: assert (idle == !open);
        no_half: assert (!idle || gone == 0);
        cut: assert (!open || !writing || truncated == (len > capacity));
        enables: assert (state$q != BEAT || m$last_be == 4'hF || m$last_be == 4'h7 || m$last_be == 4'h3 || m$last_be == 4'h1);
`ifdef INVARIANTS
        inv_states: assert (state$q <= SKIP && (state$q == IDLE || open) && (state$q == IDLE || state$q == SKIP || writing));
        inv_place: assert (state$q != PLACE || slot_q$q == target && left$q == wanted && gone == 0 && taken == 0 && offset == 0);
        inv_expected: assert (state$q != PLACE || expected == base + {32'd0, {17'd0, target} << stride});
        inv_left: assert (state$q != SIZE && state$q != BEAT || rest != 0 && rest <= wanted
            && {addr_hi$q, addr_lo$q} == expected && offset + rest == wanted);
        inv_aligned: assert (state$q != SIZE && state$q != BEAT || (addr_lo$q[10:0] & (limit[11:0] - 12'd1)) == 0);
        inv_bytes: assert (state$q != BEAT || bytes$q == (rest < limit ? rest[11:0] : limit)
            && dwords$q == ({1'd0, bytes$q} + 13'd3) >> 2);
        inv_beats: assert (state$q != BEAT || beats$q != 0
            && {4'd0, beats$q} + (gone >> 1) == (({1'd0, bytes$q} + 13'd7) >> 3) && gone[0] == 0);
        inv_gone: assert (state$q == BEAT || gone == 0);
        inv_taken: assert (state$q != SIZE && state$q != BEAT
            || {taken, 3'd0} == {1'd0, wanted} - {1'd0, rest} + {gone, 2'd0});
        inv_skip: assert (state$q != SKIP || !writing || len > capacity && taken >= (capacity >> 3) && taken < frame_beats);
        inv_open: assert (!open || taken < frame_beats);
        inv_offered: assert (!offered || state$q == BEAT && waits);
`endif
    end
endmodule
