// The crossing between clocks (mac/fifo.rs) never overflows, never underflows, and a word once offered stays until it is taken,
// whatever the two clocks do.
module async_fifo(
    input write_clock,
    input read_clock,
    input write_reset,
    input read_reset,
    input s$valid,
    input s$ready,
    input m$valid,
    input m$ready,
    input ram$write,
    input [3:0] ram$write_address,
    input [3:0] ram$read_address,
    input full$q,
    input [4:0] write_at$q,
    input [4:0] write_gray$q,
    input [4:0] \read_seen.first ,
    input [4:0] read_seen$q,
    input [4:0] read_at$q,
    input [4:0] read_gray$q,
    input [4:0] \write_seen.first ,
    input [4:0] write_seen$q
);
    // Registers start as a reset leaves them.
    always @* assume (!write_reset && !read_reset);
    initial assume (\read_seen.first == 0 && \write_seen.first == 0);

    reg [4:0] pushed = 0;
    always @(posedge write_clock) pushed <= pushed + (s$valid && s$ready);
    reg [4:0] popped = 0;
    reg offered = 0;
    reg [3:0] offered_at = 0;
    always @(posedge read_clock) begin
        popped <= popped + (m$valid && m$ready);
        offered <= m$valid && !m$ready;
        offered_at <= ram$read_address;
    end
    wire [4:0] level = pushed - popped;
    wire [3:0] written = ram$write_address - ram$read_address;

    always @* begin
        overflow: assert (level <= 16);
        underflow: assert (!m$valid || level != 0);
        overwrites: assert (!ram$write || level <= 15 && written == level[3:0]);
        stays: assert (!offered || m$valid && ram$read_address == offered_at);
    end

`ifdef INVARIANTS
    // How far behind a pointer is where the other side has last heard of it.
    wire [4:0] r1 = {^\read_seen.first [4:4], ^\read_seen.first [4:3], ^\read_seen.first [4:2], ^\read_seen.first [4:1], ^\read_seen.first };
    wire [4:0] r2 = {^read_seen$q[4:4], ^read_seen$q[4:3], ^read_seen$q[4:2], ^read_seen$q[4:1], ^read_seen$q};
    wire [4:0] w1 = {^\write_seen.first [4:4], ^\write_seen.first [4:3], ^\write_seen.first [4:2], ^\write_seen.first [4:1], ^\write_seen.first };
    wire [4:0] w2 = {^write_seen$q[4:4], ^write_seen$q[4:3], ^write_seen$q[4:2], ^write_seen$q[4:1], ^write_seen$q};
    wire [4:0] w = write_at$q;
    wire [4:0] r = read_at$q;
    wire [4:0] by_r2 = w - r2;
    wire [4:0] by_r1 = w - r1;
    wire [4:0] by_r = w - r;
    wire [4:0] w2_by_r = w2 - r;
    wire [4:0] w1_by_r = w1 - r;
    always @* begin
        inv_pushed: assert (pushed == w && popped == r);
        inv_gray: assert (write_gray$q == (w ^ (w >> 1)) && read_gray$q == (r ^ (r >> 1)));
        inv_read_seen: assert (by_r <= by_r1 && by_r1 <= by_r2 && by_r2 <= 16);
        inv_write_seen: assert (w2_by_r <= w1_by_r && w1_by_r <= by_r);
        inv_full: assert (full$q || by_r2 != 16);
        inv_valid: assert (!m$valid || w2_by_r != 0);
    end
`endif
endmodule
