// The width conversion before the crossing (mac/narrow.rs) keeps the stream protocol; a frame in is a frame out, with all its bytes.
module narrow(
    input clock,
    input reset,
    input hold,
    input open,
    input [31:0] s$d0,
    input [31:0] s$d1,
    input [7:0] s$keep,
    input s$last,
    input s$valid,
    input s$ready,
    input [31:0] m$data,
    input m$last,
    input [1:0] m$count,
    input m$valid,
    input m$ready,
    input upper$q
);
    reg started = 0;
    always @(posedge clock) started <= 1;
    always @* if (!started) assume (reset);
    // The stream's rules.
    wire [7:0] gaps = s$keep & (s$keep + 8'd1);
    always @* assume (s$keep[0] && gaps == 0 && (s$last || s$keep == 8'hFF));
    wire [72:0] beat = {s$d0, s$d1, s$keep, s$last};
    wire [34:0] word = {m$data, m$last, m$count};
    reg waits = 0, offered = 0;
    reg [72:0] beat_was;
    reg [34:0] word_was;
    // Bytes that came and that went, and frames: both wrap, and are compared.
    reg [5:0] bytes_in = 0, bytes_out = 0;
    reg [1:0] frames_in = 0, frames_out = 0;
    wire [3:0] kept = s$keep[0] + s$keep[1] + s$keep[2] + s$keep[3] + s$keep[4] + s$keep[5] + s$keep[6] + s$keep[7];
    always @(posedge clock) begin
        waits <= s$valid && !s$ready && !reset;
        offered <= m$valid && !m$ready && !reset;
        beat_was <= beat;
        word_was <= word;
        if (s$valid && s$ready) bytes_in <= bytes_in + kept;
        if (m$valid && m$ready) bytes_out <= bytes_out + m$count + 1;
        frames_in <= frames_in + (s$valid && s$ready && s$last);
        frames_out <= frames_out + (m$valid && m$ready && m$last);
        if (reset) begin
            bytes_in <= 0;
            bytes_out <= 0;
            frames_in <= 0;
            frames_out <= 0;
        end
    end
    always @* if (waits) assume (s$valid && beat == beat_was);

    always @* if (started) begin
        // `hold` takes the first word of a frame back; within a frame it has no effect.
        stays: assert (!offered || hold && !open || m$valid && word == word_was);
        no_gap: assert (!open || m$valid == s$valid);
        frames: assert (frames_in == frames_out);
        bytes: assert (bytes_out == bytes_in + (upper$q ? 6'd4 : 6'd0));
`ifdef INVARIANTS
        inv_upper: assert (!upper$q || open && (!started || waits));
        inv_long: assert (!upper$q || beat_was[4+1]);
        inv_offered: assert (!offered || waits && beat_was == beat);
`endif
    end
endmodule
