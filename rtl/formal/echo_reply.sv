// The maker of answers to echo requests (icmp/reply.rs) gives for each request that is committed one answer of its length, in order, keeps
// the stream protocol, and writes over no answer that is not sent.
module echo_reply(
    input clock,
    input reset,
    input [10:0] beat,
    input valid,
    input last,
    input commit,
    input [10:0] len,
    input captured,
    input busy,
    input [8:0] ram0$write_address,
    input ram0$write_enable,
    input [8:0] ram1$write_address,
    input ram1$write_enable,
    input [8:0] ram0$read_address,
    input [8:0] ram1$read_address,
    input [7:0] frame$keep,
    input frame$last,
    input frame$valid,
    input frame$ready,
    input [10:0] len_a$q,
    input [10:0] len_b$q,
    input held_a$q,
    input held_b$q,
    input side_in$q,
    input side_out$q,
    input flush$q,
    input sends$q,
    input [7:0] rd$q
);
    reg started = 0;
    always @(posedge clock) started <= 1;
    always @* if (!started) assume (reset);

    // The answers that are owed, the older one first.
    reg [1:0] owed = 0;
    reg [10:0] first = 0, second = 0;
    // Bytes of the first that have gone; where what is shown was read.
    reg [10:0] gone = 0;
    reg [8:0] read_was = 0;
    // Of the frame that comes in: beats so far, in a frame, when its last came; whether it was committed.
    reg [10:0] beats = 0;
    reg open = 0, ended = 0, just_ended = 0;
    reg offered = 0;
    reg [8:0] was;
    wire moves = frame$valid && frame$ready;
    wire [3:0] bytes = frame$keep[0] + frame$keep[1] + frame$keep[2] + frame$keep[3]
        + frame$keep[4] + frame$keep[5] + frame$keep[6] + frame$keep[7];
    wire done = moves && frame$last;
    always @(posedge clock) begin
        read_was <= ram0$read_address;
        offered <= frame$valid && !frame$ready && !reset;
        was <= {frame$keep, frame$last};
        if (moves) gone <= frame$last ? 11'd0 : gone + bytes;
        if (done && owed != 0) first <= second;
        if (commit && (owed == 0 || owed == 1 && done)) first <= len;
        if (commit && !(owed == 0 || owed == 1 && done)) second <= len;
        owed <= owed + commit - (done && owed != 0);
        just_ended <= valid && last;
        if (valid) begin
            beats <= beat == 0 ? 11'd1 : beats + (beats != 11'h7FF);
            open <= !last;
            ended <= last;
        end
        if (commit) ended <= 0;
        if (reset) begin
            owed <= 0;
            gone <= 0;
            beats <= 0;
            open <= 0;
            ended <= 0;
            just_ended <= 0;
        end
    end
    // As the verdict gives them: beats are numbered from 0, a frame ends before the next one begins, and is committed once at most, when
    // all of it is written.
    always @* if (valid && beat != 0 || just_ended) assume (beat == beats);
    always @* if (valid) assume (beat != 0 ? open : !open && !just_ended);
    always @* if (commit) assume (ended && !just_ended && !valid && captured && len >= 42 && len <= 1514);

    always @* if (started && !reset) begin
        stays: assert (!offered || frame$valid && {frame$keep, frame$last} == was);
        owed_only: assert (!frame$valid || owed != 0);
        in_order: assert (!moves || frame$last == (gone + bytes == first));
        no_longer: assert (!moves || gone + bytes <= first);
        whole_beats: assert (!moves || frame$last || bytes == 8);
        shown: assert (!frame$valid || read_was == {side_out$q, gone[10:3]});
        same_place: assert (ram0$write_address == ram1$write_address && ram0$write_enable == ram1$write_enable
            && ram0$read_address == ram1$read_address);
        no_overwriting: assert (!ram0$write_enable || !(ram0$write_address[8] ? held_b$q : held_a$q));
        busy_means: assert (owed == 0 || busy);
        room: assert (!commit || owed != 2);
`ifdef INVARIANTS
        inv_owed: assert (owed <= 2 && owed == held_a$q + held_b$q);
        inv_sides: assert (owed == 1 ? side_in$q != side_out$q : side_in$q == side_out$q);
        inv_held: assert (owed != 1 || (side_out$q ? held_b$q : held_a$q));
        inv_first: assert (owed == 0 || first == (side_out$q ? len_b$q : len_a$q));
        inv_second: assert (owed != 2 || second == (side_out$q ? len_a$q : len_b$q));
        inv_lengths: assert ((owed == 0 || first >= 42 && first <= 1514) && (owed != 2 || second >= 42 && second <= 1514));
        inv_gone: assert (gone[2:0] == 0 && (sends$q ? gone[10:3] == rd$q : gone == 0) && (owed == 0 ? gone == 0 : gone < first));
        inv_sends: assert (!sends$q || owed != 0);
        inv_read: assert (!sends$q || read_was == {side_out$q, rd$q});
        inv_captured: assert (!captured || !open && !ended || owed != 2);
        inv_flush: assert (flush$q == just_ended && (!just_ended || ended) && !(open && ended));
`endif
    end
endmodule
