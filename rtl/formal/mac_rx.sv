// The receiver (mac/rx.rs): each frame that begins gives exactly one last word, at once when its carrier ends, and nothing else gives a
// word; a word that finds no place ends its frame as bad. A carrier that begins before such a last word has its place is not heard.
module mac_rx(
    input clock,
    input reset,
    input strobe,
    input [7:0] rxd,
    input rx_dv,
    input m$last,
    input [3:0] m$bad,
    input [1:0] m$count,
    input m$valid,
    input m$ready,
    input [2:0] state$q
);
    localparam IDLE = 0, PREAMBLE = 1, DATA = 2, SKIP = 3, LOST = 4;
    reg started = 0;
    always @(posedge clock) started <= 1;
    always @* if (!started) assume (reset);

    // The receiver's wire side, said again: in a carrier, in its preamble, in its frame.
    reg carrier = 1, preamble = 0;
    reg frame = 0;
    // The frame has had its last word; a word had no place.
    reg lost = 0;
    wire begins = rx_dv && (!carrier || preamble) && rxd == 8'hD5 && !frame;
    wire last = m$valid && m$last && m$ready;
    always @(posedge clock) begin
        if (strobe) carrier <= rx_dv;
        if (strobe) preamble <= rx_dv && (!carrier || preamble) && rxd == 8'h55 && !frame;
        frame <= (frame || strobe && begins) && !last;
        lost <= (lost || m$valid && !m$ready) && !last;
        if (reset) begin
            carrier <= 1;
            preamble <= 0;
            frame <= 0;
            lost <= 0;
        end
    end

    always @* if (started && !reset) begin
        only_frames: assert (!m$valid || frame);
        lost_is_bad: assert (!last || !lost || m$bad[0]);
        quiet: assert (strobe || !m$valid);
        ends: assert (!strobe || !frame || rx_dv || !m$ready || last);
        full_words: assert (!m$valid || m$last || m$count == 3);
`ifdef INVARIANTS
        inv_state: assert (state$q <= LOST);
        inv_frame: assert (frame == (state$q == DATA || state$q == LOST));
        inv_lost: assert (lost == (state$q == LOST));
        inv_preamble: assert (state$q != PREAMBLE || preamble && carrier);
        inv_no_preamble: assert (state$q == PREAMBLE || !preamble);
        inv_idle: assert (state$q != IDLE || !carrier);
        inv_skip: assert (state$q != SKIP || carrier && !preamble);
        inv_data: assert (state$q != DATA || carrier);
`endif
    end
endmodule
