// The completion writer (queue/cq_writer.rs) never overruns the ring, never writes outside it, writes each entry taken at its place,
// once, in whole TLPs that stay until they are taken.
module cq_writer(
    input clock,
    input reset,
    input start,
    input [31:0] base_lo,
    input [31:0] base_hi,
    input [3:0] log2,
    input valid,
    input ready,
    input hold,
    input discard,
    input update_idx,
    input consumer_bad,
    input [14:0] head,
    input [14:0] tail,
    input irq,
    input [31:0] m$addr_lo,
    input [31:0] m$addr_hi,
    input [9:0] m$dwords,
    input m$last,
    input m$valid,
    input m$ready,
    input even$write_enable,
    input odd$write_enable,
    input [2:0] read_at,
    input [2:0] next_beat$q,
    input [3:0] beats$q,
    input [9:0] dwords$q,
    input [14:0] seen$q,
    input [14:0] size$q,
    input [1:0] state$q
);
    localparam COLLECT = 0, SECOND = 1, WRITE = 2;
    reg started = 0, running = 0;
    reg [63:0] base = 0;
    reg [3:0] log2_was = 0;
    wire [63:0] base_now = {base_hi, base_lo};
    reg offered = 0, entry_waits = 0, start_was = 0, hold_was = 0, write_was = 0;
    reg [74:0] tlp_was;
    wire [74:0] tlp = {m$addr_hi, m$addr_lo, m$dwords, m$last};
    reg [2:0] read_was;
    // DWs of the TLP that have gone.
    reg [9:0] gone = 0;
    always @(posedge clock) begin
        started <= 1;
        if (start) begin
            running <= 1;
            base <= base_now;
            log2_was <= log2;
        end
        offered <= m$valid && !m$ready && !reset && !start;
        tlp_was <= tlp;
        entry_waits <= valid && !ready && !reset;
        read_was <= read_at;
        start_was <= start;
        hold_was <= hold;
        write_was <= state$q == WRITE;
        if (m$valid && m$ready) gone <= m$last ? 10'd0 : gone + 10'd2;
        if (reset) begin
            running <= 0;
            gone <= 0;
        end
    end
    always @* if (!started) assume (reset);
    // The ring is where the start said it was, aligned, and does not wrap at the end of memory.
    always @* assume (base_lo[5:0] == 0 && base_hi != 32'hFFFFFFFF && log2 >= 4 && log2 <= 14);
    always @* if (running && !start) assume (base_now == base && log2 == log2_was);
    // A queue starts when nothing is under way.
    always @* if (start) assume (state$q == COLLECT && head == tail && !valid);
    always @* if (!running) assume (!valid && !update_idx);
    always @* if (entry_waits) assume (valid);
    always @* if (update_idx) assume (!consumer_bad && !start);

    wire [14:0] unread = head - seen$q;
    wire [14:0] written = tail - seen$q;
    wire [14:0] open = head - tail;
    wire [14:0] mask = size$q - 15'd1;
    wire [14:0] place = tail & mask;
    wire [63:0] address = {m$addr_hi, m$addr_lo};
    wire [19:0] offset = {1'd0, place, 4'd0};

    always @* if (started && running && !reset && !start) begin
        overrun: assert (unread <= size$q);
        in_place: assert (!m$valid || address == base + {44'd0, offset});
        inside: assert (!m$valid || offset + {8'd0, m$dwords, 2'd0} <= {1'd0, size$q, 4'd0});
        each_entry: assert (!m$valid || m$dwords == {open[7:0], 2'd0} && open != 0);
        line: assert (!m$valid || place[1:0] + open <= 4);
        whole: assert (!m$valid || m$last == (gone + 10'd2 == m$dwords));
        stays: assert (!offered || m$valid && tlp == tlp_was);
        data_stays: assert (!m$valid || !even$write_enable && !odd$write_enable && read_was == next_beat$q);
        takes_with_room: assert (!ready || unread < size$q || discard);
        held: assert (!m$valid || write_was || !hold_was);
        irq_has_entries: assert (!irq || written != 0);
`ifdef INVARIANTS
        inv_size: assert (size$q == (15'd1 << log2));
        inv_order: assert (written <= unread && open <= 4);
        inv_room: assert (state$q != SECOND || unread < size$q);
        inv_line: assert (tail[1:0] + open <= (state$q == SECOND ? 3 : 4));
        inv_beats: assert (state$q == WRITE ? beats$q != 0 && gone + {5'd0, beats$q, 1'd0} == dwords$q
            : gone == 0 && beats$q == {open[2:0], 1'd0});
        inv_dwords: assert (dwords$q == {open[7:0], 2'd0});
        inv_address: assert (state$q != SECOND && open == 0 || address == base + {44'd0, offset});
        inv_states: assert (state$q <= WRITE && (state$q != WRITE || open != 0));
        inv_entry: assert (state$q != SECOND || valid);
        inv_read: assert (start_was || read_was == next_beat$q);
`endif
    end
`ifdef INVARIANTS
    always @* if (started && !running && !reset && !start)
        inv_stopped: assert (state$q == COLLECT && beats$q == 0 && dwords$q == 0 && head == 0 && tail == 0 && seen$q == 0 && gone == 0 && !offered);
    always @* if (started && running && !reset && start)
        inv_idle: assert (beats$q == 0 && dwords$q == 0 && gone == 0);
`endif
endmodule
