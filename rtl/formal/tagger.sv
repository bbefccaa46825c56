// The tagger (tx/tagger.rs) keeps the stream protocol, and of each frame that comes in one goes out, with all its bytes and its tag in
// its place.
module tagger(
    input clock,
    input reset,
    input describes,
    input tag,
    input [15:0] tci,
    input [31:0] data$d0,
    input [31:0] data$d1,
    input [7:0] data$keep,
    input data$last,
    input data$valid,
    input data$ready,
    input [31:0] frame$d0,
    input [31:0] frame$d1,
    input [7:0] frame$keep,
    input frame$last,
    input frame$valid,
    input frame$ready,
    input busy,
    input [1:0] number$q,
    input r_tag$q,
    input [15:0] r_tci$q,
    input [31:0] held$q,
    input flush$q,
    input [3:0] flush_keep$q
);
    function [3:0] bytes(input [7:0] keep);
        bytes = {3'd0, keep[0]} + {3'd0, keep[1]} + {3'd0, keep[2]} + {3'd0, keep[3]}
            + {3'd0, keep[4]} + {3'd0, keep[5]} + {3'd0, keep[6]} + {3'd0, keep[7]};
    endfunction
    reg started = 0, offered = 0, waits = 0, described = 0, next_tag = 0;
    reg [15:0] next_tci;
    reg [72:0] frame_was, data_was;
    wire [72:0] frame = {frame$d0, frame$d1, frame$keep, frame$last};
    wire [72:0] data = {data$d0, data$d1, data$keep, data$last};
    wire took = data$valid && data$ready;
    wire gave = frame$valid && frame$ready;
    // Beats taken of the frame that comes in, up to 2; the frame that goes out: whether it gets a tag, whether it has come in whole,
    // bytes in and out, beats out, up to 2, and the word that a tag has pushed out of its beat.
    reg [1:0] beats_in = 0, beats_out = 0;
    reg is_tagged = 0, whole = 0;
    reg [15:0] its_tci;
    reg [15:0] bytes_in = 0, bytes_out = 0;
    reg [31:0] pushed_out;
    wire [15:0] now_in = bytes_in + (took ? {12'd0, bytes(data$keep)} : 16'd0);
    wire [15:0] now_out = bytes_out + (gave ? {12'd0, bytes(frame$keep)} : 16'd0);
    wire tagged_now = beats_out == 0 ? next_tag : is_tagged;
    always @(posedge clock) begin
        started <= 1;
        offered <= frame$valid && !frame$ready && !reset;
        waits <= data$valid && !data$ready && !reset;
        frame_was <= frame;
        data_was <= data;
        if (describes) begin
            described <= 1;
            next_tag <= tag;
            next_tci <= tci;
        end
        if (took) begin
            beats_in <= data$last ? 0 : beats_in == 2 ? 2 : beats_in + 2'd1;
            pushed_out <= data$d1;
            whole <= data$last;
            if (beats_in == 0) begin
                is_tagged <= next_tag;
                its_tci <= next_tci;
            end
            if (data$last) described <= 0;
        end
        bytes_in <= now_in;
        bytes_out <= now_out;
        if (gave) beats_out <= beats_out == 2 ? 2 : beats_out + 2'd1;
        if (gave && frame$last) begin
            bytes_in <= 0;
            bytes_out <= 0;
            beats_out <= 0;
            whole <= 0;
        end
        if (reset) begin
            described <= 0;
            beats_in <= 0;
            beats_out <= 0;
            whole <= 0;
            bytes_in <= 0;
            bytes_out <= 0;
        end
    end
    always @* if (!started) assume (reset);
    // The store: each frame is described, then comes without a gap; it has 14 bytes or more.
    always @* if (waits) assume (data$valid && data == data_was);
    always @* assume (!data$valid || described);
    always @* assume (!describes || !described);
    always @* if (beats_in != 0) assume (data$valid);
    always @* assume ((data$keep & (data$keep + 8'd1)) == 0 && data$keep != 0);
    always @* assume (data$last || data$keep == 8'hFF);
    always @* if (beats_in == 0) assume (!data$last);
    always @* if (beats_in == 1) assume (data$keep[5]);

    always @* if (started && !reset) begin
        stays: assert (!offered || frame$valid && frame == frame_was);
        full_beats: assert (!frame$valid || frame$last || frame$keep == 8'hFF);
        no_gap: assert (beats_out == 0 || frame$valid);
        whole_frame: assert (!(gave && frame$last) || whole || took && data$last);
        all_bytes: assert (!(gave && frame$last) || now_out == now_in + (tagged_now ? 16'd4 : 16'd0));
        tag_in_place: assert (!(gave && tagged_now && beats_out == 1) || frame$d0 == data$d0
            && frame$d1 == {its_tci[7:0], its_tci[15:8], 16'h0081});
        words_in_order: assert (!(gave && tagged_now && beats_out == 2) || frame$d0 == pushed_out
            && (frame$last && whole || frame$d1 == data$d0));
        busy_means: assert (busy == whole);
        untouched: assert (!(gave && !tagged_now) || frame == data);
`ifdef INVARIANTS
        inv_in: assert (number$q == beats_in);
        inv_flush: assert (flush$q == whole && !(flush$q && beats_in != 0));
        inv_range: assert (beats_in != 3);
        inv_flush_tag: assert (!flush$q || is_tagged && beats_out == 2 && flush_keep$q != 0);
        inv_keep: assert (!flush$q || (flush_keep$q & (flush_keep$q + 4'd1)) == 0);
        inv_bytes: assert (flush$q || bytes_out == bytes_in);
        inv_flush_bytes: assert (!flush$q || bytes_out + {12'd0, bytes({4'd0, flush_keep$q})} == bytes_in + 16'd4);
        inv_beats: assert (flush$q || beats_out == beats_in);
        inv_started: assert (beats_in == 0 || described && is_tagged == next_tag && its_tci == next_tci);
        inv_described: assert (!described || r_tag$q == next_tag && r_tci$q == next_tci);
        inv_held: assert (beats_in == 0 && !flush$q || held$q == pushed_out);
        inv_offered: assert (!offered || flush$q || waits);
`endif
    end
endmodule
