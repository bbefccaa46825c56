// The transmitter (mac/tx.rs): each frame in is one carrier on the wire, at least 64 bytes behind its preamble and with a gap of at least
// 12 byte times before the next; only a frame that ends with TX_ER is shorter. On the MII a byte time is two clocks, and bits 3:0 come first.
module mac_tx(
    input clock,
    input reset,
    input s$last,
    input s$valid,
    input s$ready,
    input [1:0] s$count,
    input [7:0] txd,
    input tx_en,
    input tx_er,
    input is_there$q,
    input is_bad$q,
    input is_fcs$q,
    input [7:0] octet$q,
    input step,
    input by_nibbles,
    input [2:0] state$q,
    input [5:0] count$q
);
    localparam IDLE = 0, PREAMBLE = 1, DATA = 2, PAD = 3, CHECK = 4, FLUSH = 5, GAP = 6;
    // What the pins show one clock later: the frames are followed here.
    wire there = is_there$q, bad = is_bad$q;
    reg there_was = 0, bad_was = 0;
    reg started = 0;
    always @(posedge clock) started <= 1;
    always @* if (!started) assume (reset);
    always @* assume (s$last || s$count == 3);
    reg [2:0] word_was;
    reg waits = 0;

    // A carrier was there, with an error; clocks that it and the gap have lasted, up to a limit.
    reg carrier = 0, spoilt = 0;
    reg [6:0] length = 0;
    reg [3:0] gap = 12;
    // Frames that came to their end and carriers that did, which wrap.
    reg [1:0] frames = 0, carriers = 0;
    wire frame_ends = s$valid && s$ready && s$last;
    wire carrier_ends = carrier && !there;
    // What a byte time before was chosen to be shown in this one, and whether it is its second half.
    reg second = 0, shown = 0;
    reg [7:0] octet_was;
    always @(posedge clock) begin
        second <= !step && !reset;
        waits <= s$valid && !s$ready && !reset;
        word_was <= {s$count, s$last};
    end
    always @(posedge clock) if (step || reset) begin
        there_was <= there && !reset;
        bad_was <= bad && !reset;
        shown <= there && !is_fcs$q && !reset;
        octet_was <= octet$q;
        carrier <= there && !reset;
        length <= !there ? 7'd0 : length == 72 ? 7'd72 : length + 7'd1;
        spoilt <= there && (spoilt || bad);
        gap <= there ? 4'd0 : gap == 12 ? 4'd12 : gap + 4'd1;
        frames <= frames + frame_ends;
        carriers <= carriers + carrier_ends;
        if (reset) begin
            frames <= 0;
            carriers <= 0;
            length <= 0;
            gap <= 12;
            spoilt <= 0;
        end
    end
    always @* if (waits) assume (s$valid && {s$count, s$last} == word_was);
    wire [1:0] lead = frames - carriers;

    always @* if (started && !reset) begin
        pins: assert (tx_en == there_was && tx_er == bad_was);
        halves: assert (step == (!by_nibbles || second) || state$q == IDLE);
        low_first: assert (!shown || (second ? txd[3:0] == octet_was[7:4] : txd == octet_was));
        one_each: assert (state$q != IDLE || lead == 0);
        long_enough: assert (!carrier_ends || spoilt || length == 72);
        gap_kept: assert (carrier || !there || gap == 12);
`ifdef INVARIANTS
        inv_idle: assert (state$q != IDLE || !there && !carrier && gap >= 11);
        inv_preamble: assert (state$q != PREAMBLE || there && lead == 0 && count$q != 0 && count$q <= 7 && length + 7'd1 == count$q
            && carrier == (count$q != 1) && (carrier || gap == 12));
        inv_data: assert (state$q != DATA || there && carrier && lead == 0 && count$q <= 60 && length >= count$q + 7'd7);
        inv_pad: assert (state$q != PAD || there && carrier && lead == 1 && count$q <= 59 && length >= count$q + 7'd7);
        inv_check: assert (state$q != CHECK || there && carrier && lead == 1 && count$q <= 3 && length >= count$q + 7'd67);
        inv_flush: assert (state$q != FLUSH || lead == (there || carrier ? 2'd0 : 2'd3) && (!there || bad && carrier)
            && (there || !carrier || spoilt));
        inv_gap: assert (state$q != GAP || count$q <= 11 && gap + 6'd1 >= count$q && lead == (there || carrier)
            && (!there || count$q == 0 && carrier && length >= 71) && (there || !carrier || spoilt || length == 72));
        inv_state: assert (state$q <= GAP && length <= 72 && gap <= 12);
`endif
    end
endmodule
