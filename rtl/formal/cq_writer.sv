// The completion writer (queue/cq_writer.rs), seen by any one of its queues, never overruns the queue's ring, never writes outside it, writes
// each entry taken at its place, once, with its phase and no other queue's, in whole TLPs that stay until they are taken. Interrupts are those
// of the queues that were armed, or asked, and have entries.
module cq_writer(
    input clock,
    input reset,
    input alone,
    input [3:0] start,
    input set_cfg,
    input set_lo,
    input set_hi,
    input [1:0] set_place,
    input [31:0] set_data,
    input [1:0] owner,
    input [31:0] w0,
    input [31:0] w1,
    input [31:0] w2,
    input [31:0] w3,
    input valid,
    input ready,
    input room,
    input full,
    input hold,
    input discard,
    input [1:0] bell,
    input [14:0] consumer,
    input arm,
    input update_idx,
    input consumer_bad,
    input [3:0] unwritten,
    input [7:0] irq,
    input [31:0] m$addr_lo,
    input [31:0] m$addr_hi,
    input [9:0] m$dwords,
    input m$last,
    input m$valid,
    input m$ready,
    input even$write_enable,
    input odd$write_enable,
    input [4:0] even$write_address,
    input [4:0] odd$write_address,
    input [31:0] even$write_data,
    input [31:0] odd$write_data,
    input [4:0] even$read_address,
    input [4:0] odd$read_address,
    input [2:0] next_beat$q,
    input [3:0] beats$q,
    input [9:0] dwords$q,
    input [31:0] addr_lo$q,
    input [31:0] addr_hi$q,
    input [1:0] state$q,
    input [1:0] line$q,
    input [3:0] armed$q,
    input [14:0] head$q,
    input [14:0] tail$q,
    input [14:0] seen$q,
    input [14:0] tail$other_q,
    input [14:0] seen$other_q,
    input [14:0] ring$size,
    input [14:0] \head.word$0$q ,
    input [14:0] \head.word$1$q ,
    input [14:0] \head.word$2$q ,
    input [14:0] \head.word$3$q ,
    input [14:0] \tail.word$0$q ,
    input [14:0] \tail.word$1$q ,
    input [14:0] \tail.word$2$q ,
    input [14:0] \tail.word$3$q ,
    input [14:0] \seen.word$0$q ,
    input [14:0] \seen.word$1$q ,
    input [14:0] \seen.word$2$q ,
    input [14:0] \seen.word$3$q ,
    input [3:0] \vector.word$0$q ,
    input [3:0] \vector.word$1$q ,
    input [3:0] \vector.word$2$q ,
    input [3:0] \vector.word$3$q ,
    input [3:0] \ring.log2.word$0$q ,
    input [3:0] \ring.log2.word$1$q ,
    input [3:0] \ring.log2.word$2$q ,
    input [3:0] \ring.log2.word$3$q ,
    input [1:0] \ring.base_lo$read_address ,
    input [31:0] \ring.base_lo$read_data ,
    input [1:0] \ring.base_hi$read_address ,
    input [31:0] \ring.base_hi$read_data ,
    input \ring.base_lo$write_enable ,
    input [1:0] \ring.base_lo$write_address ,
    input [31:0] \ring.base_lo$write_data ,
    input \ring.base_hi$write_enable ,
    input [1:0] \ring.base_hi$write_address ,
    input [31:0] \ring.base_hi$write_data
);
    localparam COLLECT = 0, SECOND = 1, TURN = 2, WRITE = 3;
    // The queue that is looked at, and when it stops.
    (* anyconst *) reg [1:0] q;
    (* anyseq *) reg stop;
    wire [14:0] head = q == 0 ? \head.word$0$q : q == 1 ? \head.word$1$q : q == 2 ? \head.word$2$q : \head.word$3$q ;
    wire [14:0] tail = q == 0 ? \tail.word$0$q : q == 1 ? \tail.word$1$q : q == 2 ? \tail.word$2$q : \tail.word$3$q ;
    wire [14:0] seen = q == 0 ? \seen.word$0$q : q == 1 ? \seen.word$1$q : q == 2 ? \seen.word$2$q : \seen.word$3$q ;
    wire [3:0] log2_kept = q == 0 ? \ring.log2.word$0$q : q == 1 ? \ring.log2.word$1$q : q == 2 ? \ring.log2.word$2$q : \ring.log2.word$3$q ;
    wire mine = line$q == q;
    wire starts = start[q];
    wire sets = (set_cfg || set_lo || set_hi) && set_place == q;

    reg started = 0, running = 0;
    // What the host has set, and what the memories hold and show.
    reg [63:0] base = 0;
    reg [3:0] log2 = 0;
    reg [31:0] kept_lo = 0, kept_hi = 0, shown_lo = 0, shown_hi = 0;
    reg shows_lo = 0, shows_hi = 0;
    reg [3:0] vector_0 = 0, vector_1 = 0, vector_2 = 0, vector_3 = 0;
    reg offered = 0, entry_waits = 0, hold_was = 0, write_was = 0, takes_was = 0, stopped_was = 1, second_due = 0;
    reg [14:0] head_was = 0, unread_due = 0;
    reg [1:0] line_was = 0, owner_was = 0, turn_was = 0;
    reg [74:0] tlp_was;
    wire [74:0] tlp = {m$addr_hi, m$addr_lo, m$dwords, m$last};
    reg [4:0] read_was = 0, odd_read_was = 0;
    // DWs of the TLP that have gone.
    reg [9:0] gone = 0;
    // Which queues wait for an interrupt, and which interrupts are due.
    reg [3:0] waiting = 0;
    reg [7:0] due = 0;
    reg told = 0;
    wire ends = m$valid && m$ready && m$last;
    wire asks = update_idx && arm;
    wire behind = tail$other_q != consumer;
    wire fires = ends && (waiting[line$q] || asks && bell == line$q);
    wire rings = asks && behind;
    wire [3:0] vector_line = line$q == 0 ? vector_0 : line$q == 1 ? vector_1 : line$q == 2 ? vector_2 : vector_3;
    wire [3:0] vector_bell = bell == 0 ? vector_0 : bell == 1 ? vector_1 : bell == 2 ? vector_2 : vector_3;
    wire [7:0] one = 1;
    integer i;
    always @(posedge clock) begin
        started <= 1;
        if (starts) running <= 1;
        if (stop) running <= 0;
        if (set_cfg && set_place == q) log2 <= set_data[11:8];
        if (set_lo && set_place == q) base[31:0] <= set_data;
        if (set_hi && set_place == q) base[63:32] <= set_data;
        if (set_cfg && set_place == 0) vector_0 <= set_data[19:16];
        if (set_cfg && set_place == 1) vector_1 <= set_data[19:16];
        if (set_cfg && set_place == 2) vector_2 <= set_data[19:16];
        if (set_cfg && set_place == 3) vector_3 <= set_data[19:16];
        if (\ring.base_lo$write_enable && \ring.base_lo$write_address == q) kept_lo <= \ring.base_lo$write_data ;
        if (\ring.base_hi$write_enable && \ring.base_hi$write_address == q) kept_hi <= \ring.base_hi$write_data ;
        shown_lo <= kept_lo;
        shown_hi <= kept_hi;
        shows_lo <= \ring.base_lo$read_address == q;
        shows_hi <= \ring.base_hi$read_address == q;
        offered <= m$valid && !m$ready && !reset;
        tlp_was <= tlp;
        line_was <= line$q;
        entry_waits <= valid && !ready && !reset;
        owner_was <= owner;
        read_was <= even$read_address;
        odd_read_was <= odd$read_address;
        hold_was <= hold;
        write_was <= state$q == WRITE;
        unread_due <= starts ? 15'd0 : (update_idx && bell == q ? head - consumer : unread) + (second_due && mine);
        head_was <= starts ? 15'd0 : head;
        takes_was <= ready && valid && owner == q && even$write_enable;
        stopped_was <= !running || reset;
        // The first half of the entry has been kept.
        second_due <= even$write_enable && !second_due && !reset;
        if (m$valid && m$ready) gone <= m$last ? 10'd0 : gone + 10'd2;
        for (i = 0; i < 4; i = i + 1) begin
            if (ends && line$q == i) waiting[i] <= 0;
            if (asks && bell == i && !behind && !(ends && line$q == i)) waiting[i] <= 1;
            if (start[i]) waiting[i] <= 0;
        end
        due <= (fires ? one << vector_line : 8'd0) | (rings ? one << vector_bell : 8'd0);
        told <= fires && mine || rings && bell == q;
        if (reset) begin
            running <= 0;
            gone <= 0;
            waiting <= 0;
            due <= 0;
            told <= 0;
        end
    end
    always @* if (!started) assume (reset);
    // One of four queues: the writer of events alone is the same with the others left out.
    always @* assume (!alone);
    // The memories show what was written last.
    always @* if (shows_lo) assume (\ring.base_lo$read_data == shown_lo);
    always @* if (shows_hi) assume (\ring.base_hi$read_data == shown_hi);
    // The ring is aligned, and does not wrap at the end of memory. It is set while the queue does not run.
    always @* if (sets) assume (!running && !starts && !reset);
    always @* if (set_lo) assume (set_data[5:0] == 0);
    always @* if (set_hi) assume (set_data != 32'hFFFFFFFF);
    // A queue starts and stops when nothing of it is under way.
    always @* if (starts) assume (!running && !reset && log2 >= 4 && log2 <= 14);
    always @* if (starts || stop) assume (!unwritten[q] && !(valid && owner == q));
    always @* if (!running) assume (!(valid && owner == q) && !(update_idx && bell == q));
    always @* if (stop) assume (!(update_idx && bell == q));
    always @* if (entry_waits) assume (valid && owner == owner_was);
    always @* if (update_idx) assume (!consumer_bad && !start[bell]);
    // No other queue's line ends either in the cycle in which that queue starts.
    always @* if (m$valid) assume (!start[line$q]);

    wire [14:0] size = 15'd1 << log2;
    wire [14:0] unread = head - seen;
    wire [14:0] written = tail - seen;
    wire [14:0] open = head - tail;
    wire [14:0] mask = size - 15'd1;
    wire [14:0] place = tail & mask;
    wire [63:0] address = {m$addr_hi, m$addr_lo};
    wire [19:0] offset = {1'd0, place, 4'd0};
    wire writes = m$valid && mine;
    wire keeps = even$write_enable && mine;
    wire phase = !(|(head & size));

    always @* if (started && !reset) begin
        writes_running: assert (!writes || running);
        stays: assert (!offered || m$valid && tlp == tlp_was && line$q == line_was);
        whole: assert (!writes || m$last == (gone + 10'd2 == m$dwords));
        held: assert (!m$valid || write_was || !hold_was);
        data_stays: assert (!m$valid || !even$write_enable && !odd$write_enable);
        // An entry is kept in the line of its queue.
        both_halves: assert (even$write_enable == odd$write_enable && even$write_address == odd$write_address);
        own_line: assert (!even$write_enable || valid && line$q == owner);
        taken_when_kept: assert (ready == second_due || ready && !second_due && discard && valid && !even$write_enable);
        interrupts: assert (irq == due);
        if (running) begin
            overrun: assert (unread <= size);
            in_place: assert (!writes || address == base + {44'd0, offset});
            inside: assert (!writes || offset + {8'd0, m$dwords, 2'd0} <= {1'd0, size, 4'd0});
            each_entry: assert (!writes || m$dwords == {open[7:0], 2'd0} && open != 0);
            line: assert (!writes || place[1:0] + open <= 4);
            shows_line: assert (!writes || read_was == {q, 3'd0} + {2'd0, tail[1:0], 1'b0} + gone[9:1] && odd_read_was == read_was);
            kept_in_place: assert (!keeps || even$write_address == {q, head[1:0], second_due});
            kept_as_given: assert (!keeps || even$write_data == (second_due ? w2 : w0) && odd$write_data == (second_due ? w3 | {phase, 31'd0} : w1));
            counted: assert (stopped_was || head == head_was + takes_was);
            takes_with_room: assert (!(ready && owner == q) || (even$write_enable ? unread < size : discard && unread == size));
            room_is: assert (!(room && owner == q) || unread < size);
            full_is: assert (!(full && owner == q) || unread == size);
            irq_has_entries: assert (!told || written != 0);
        end
`ifdef INVARIANTS
        inv_shown: assert (!running || {shown_hi, shown_lo} == base);
        inv_waiting: assert (waiting == armed$q);
        inv_second: assert (second_due == (state$q == SECOND));
        inv_entry: assert (state$q != SECOND || valid && line$q == owner);
        inv_gone: assert (state$q == WRITE ? !mine || beats$q != 0 && gone + {5'd0, beats$q, 1'd0} == dwords$q : gone == 0);
        inv_offered: assert (!offered || state$q == WRITE);
        inv_read: assert (!m$valid || read_was == {line$q, next_beat$q} && odd_read_was == read_was);
        inv_partial: assert (unwritten[q] == (open != 0) && open <= 4);
        inv_busy: assert (!(mine && (state$q == WRITE || state$q == TURN)) || running && open != 0);
        if (running) begin
            // What the module sees of the queue is the queue's.
            inv_sees: assert (!mine || head$q == head && tail$q == tail && seen$q == seen && ring$size == size);
            inv_bell: assert (bell != q || tail$other_q == tail && seen$other_q == seen);
            inv_consumer: assert (!(update_idx && bell == q) || consumer - seen <= written);
            inv_read_on: assert (!(update_idx && bell == q) || head - consumer <= unread && tail - consumer <= head - consumer);
            inv_log2: assert (log2 >= 4 && log2 <= 14);
            inv_unread: assert (unread == unread_due || stopped_was);
            inv_unread_due: assert (unread_due <= size || stopped_was);
            inv_order: assert (written <= unread);
            inv_room: assert (!(state$q == SECOND && mine) || unread < size);
            inv_line: assert (tail[1:0] + open <= (state$q == SECOND && mine ? 3 : 4));
            inv_write: assert (!(state$q == WRITE && mine) || dwords$q == {open[7:0], 2'd0} && {addr_hi$q, addr_lo$q} == base + {44'd0, offset}
                && next_beat$q == {tail[1:0], 1'b0} + gone[9:1]);
        end else begin
            inv_stopped: assert (open == 0);
        end
`endif
    end
`ifdef INVARIANTS
    // What is set outlasts a reset.
    always @* if (started) begin
        inv_kept: assert ({kept_hi, kept_lo} == base && log2_kept == log2 && base[5:0] == 0 && base[63:32] != 32'hFFFFFFFF);
        inv_vectors: assert (vector_0 == \vector.word$0$q && vector_1 == \vector.word$1$q && vector_2 == \vector.word$2$q && vector_3 == \vector.word$3$q );
        inv_looks: assert (shows_lo == mine && shows_hi == mine);
    end
`endif
endmodule
