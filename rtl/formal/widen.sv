// The width conversion behind the crossing (mac/widen.rs): each frame in is a frame out a clock later, with all its bytes and its verdict.
module widen(
    input clock,
    input reset,
    input s$last,
    input [1:0] s$count,
    input [3:0] s$bad,
    input s$valid,
    input s$ready,
    input [7:0] m$keep,
    input m$last,
    input [3:0] m$bad,
    input m$valid,
    input busy,
    input upper$q
);
    reg started = 0;
    always @(posedge clock) started <= 1;
    always @* if (!started) assume (reset);
    // A word is full but for a frame's last one.
    always @* assume (s$last || s$count == 3);

    reg ended = 0, open = 0;
    reg [3:0] bad_was = 0;
    // Bytes that came and went, which wrap.
    reg [5:0] bytes_in = 0, bytes_out = 0;
    wire [3:0] kept = m$keep[0] + m$keep[1] + m$keep[2] + m$keep[3] + m$keep[4] + m$keep[5] + m$keep[6] + m$keep[7];
    wire [5:0] bytes_now = bytes_out + (m$valid ? {2'd0, kept} : 6'd0);
    always @(posedge clock) begin
        ended <= s$valid && s$last && !reset;
        bad_was <= s$bad;
        if (s$valid) bytes_in <= bytes_in + {4'd0, s$count} + 6'd1;
        if (s$valid) open <= !s$last;
        bytes_out <= bytes_now;
        if (reset) begin
            bytes_in <= 0;
            bytes_out <= 0;
            open <= 0;
        end
    end

    always @* if (started) begin
        always_ready: assert (s$ready);
        frames: assert ((m$valid && m$last) == ended);
        verdict: assert (!ended || m$bad == bad_was);
        bytes: assert (bytes_in == bytes_now + (upper$q ? 6'd4 : 6'd0));
        contiguous: assert (!m$valid || m$keep[0] && (m$keep & (m$keep + 8'd1)) == 0 && (m$last || m$keep == 8'hFF));
        inside: assert (!open || busy || upper$q);
`ifdef INVARIANTS
        inv_upper: assert (!upper$q || open && !m$valid);
`endif
    end
endmodule
