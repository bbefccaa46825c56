// The loopback (mac/loopback.rs): each frame in is a frame out before the next one begins, and comes to its end within a bound.
module loopback(
    input clock,
    input reset,
    input s$last,
    input [1:0] s$count,
    input s$valid,
    input s$ready,
    input m$last,
    input [1:0] m$count,
    input m$valid,
    input busy,
    input [4:0] pace$q,
    input [3:0] words$q,
    input padding$q
);
    reg started = 0;
    always @(posedge clock) started <= 1;
    always @* if (!started) assume (reset);
    reg waits = 0, last_was = 0;
    // Words of the frame at the output, up to 15, and whether its last word has come in.
    reg [3:0] words = 0;
    reg ended = 0;
    // Clocks since anything moved in, up to the end of the frame.
    reg [6:0] idle = 0;
    wire takes = s$valid && s$ready;
    always @(posedge clock) begin
        waits <= s$valid && !s$ready && !reset;
        last_was <= s$last;
        if (m$valid) words <= m$last ? 4'd0 : words == 15 ? 4'd15 : words + 4'd1;
        if (takes) ended <= s$last;
        if (m$valid && m$last) ended <= 0;
        idle <= takes || !ended || m$valid && m$last ? 7'd0 : idle + 7'd1;
        if (reset) begin
            words <= 0;
            ended <= 0;
            idle <= 0;
        end
    end
    always @* if (waits) assume (s$valid && s$last == last_was);
    always @* assume (s$last || s$count == 3);

    always @* if (started) begin
        one_out: assert (!(m$valid && m$last) || ended || takes && s$last);
        one_in: assert (!takes || !ended);
        padded: assert (!(m$valid && m$last) || words >= 14);
        full_words: assert (!m$valid || m$last || m$count == 3);
        never_ends: assert (idle <= 57);
        busy_means: assert (words == 0 || busy);
`ifdef INVARIANTS
        inv_words: assert (words == words$q && padding$q == ended);
        inv_idle: assert (!ended || words < 15 && words != 0 && pace$q <= 3 && idle + (7'd14 - {3'd0, words}) * 7'd4 + pace$q <= 57);
`endif
    end
endmodule
