// The maker of ARP frames (neigh/frame.rs) keeps the stream protocol: each order is one frame of 42 bytes, told of when it has gone.
module arp_frame(
    input clock,
    input reset,
    input [31:0] mac_lo,
    input [15:0] mac_hi,
    input start,
    input reply,
    input free,
    input [31:0] frame$d0,
    input [31:0] frame$d1,
    input [7:0] frame$keep,
    input frame$last,
    input frame$valid,
    input frame$ready,
    input sent_reply,
    input sent_request,
    input [2:0] beat$q,
    input is_reply$q
);
    reg started = 0, offered = 0, ordered = 0, as_reply = 0;
    reg [2:0] given = 0;
    reg [47:0] mac_was;
    reg [72:0] beat_was;
    wire [72:0] beat = {frame$d0, frame$d1, frame$keep, frame$last};
    wire moves = frame$valid && frame$ready;
    always @(posedge clock) begin
        started <= 1;
        offered <= frame$valid && !frame$ready && !reset;
        beat_was <= beat;
        mac_was <= {mac_hi, mac_lo};
        if (moves) given <= given + 3'd1;
        if (moves && frame$last) ordered <= 0;
        if (start) begin
            ordered <= 1;
            as_reply <= reply;
            given <= 0;
        end
        if (reset) ordered <= 0;
    end
    always @* if (!started) assume (reset);
    always @* assume (!start || free);
    // The host changes its MAC address while nothing is sent.
    always @* if (offered) assume ({mac_hi, mac_lo} == mac_was);

    always @* if (started && !reset) begin
        stays: assert (!offered || frame$valid && beat == beat_was);
        one_order_one_frame: assert (free == !ordered && frame$valid == ordered);
        six_beats: assert (!frame$valid || frame$last == (given == 5));
        bytes_42: assert (!frame$valid || frame$keep == (frame$last ? 8'h03 : 8'hFF));
        told: assert ({sent_reply, sent_request} == (moves && frame$last ? {as_reply, !as_reply} : 2'b00));
`ifdef INVARIANTS
        inv_beat: assert (beat$q == (ordered ? given + 3'd1 : 3'd0));
        inv_given: assert (!ordered || given < 6);
        inv_reply: assert (!ordered || is_reply$q == as_reply);
`endif
    end
endmodule
