// The sender of TLPs (pcie/tlp_tx.rs) keeps the stream protocol at the PCIe block, sends one TLP after the other without another in
// between, and each as long as its header says (PCIe base specification 2.1, section 2.2.1).
module tlp_tx(
    input clock,
    input reset,
    input quiet,
    input [31:0] reply$dw0,
    input [31:0] reply$dw1,
    input [31:0] reply$dw2,
    input [31:0] reply$data,
    input reply$valid,
    input reply$ready,
    input [31:0] read$addr_lo,
    input [31:0] read$addr_hi,
    input [6:0] read$dwords,
    input [2:0] read$tag,
    input read$valid,
    input read$ready,
    input read$refuse,
    input [31:0] tlp$d0,
    input [31:0] tlp$d1,
    input tlp$half,
    input tlp$last,
    input tlp$valid,
    input tlp$ready,
    input [31:0] addr_lo,
    input [31:0] addr_hi,
    input [9:0] dwords,
    input [3:0] last_be,
    input last,
    input valid,
    input take,
    input [3:0] state$q,
    input [2:0] client$q,
    input out_valid$q,
    input out_last$q
);
    localparam PICK = 0, REPLY_HEAD = 1, REPLY_TAIL = 2, READ_HEAD = 3, READ_TAIL = 4, WRITE_HEAD = 5, WRITE_ADDR = 6, CARRIED = 7,
        CARRIED_TAIL = 8, STRAIGHT = 9, SWALLOW = 10;
    reg started = 0, offered = 0, reply_waits = 0, read_waits = 0, write_waits = 0, write_open = 0;
    reg [65:0] beat_was;
    reg [127:0] reply_was;
    reg [73:0] read_was;
    reg [77:0] write_was;
    wire [65:0] beat = {tlp$d0, tlp$d1, tlp$half, tlp$last};
    wire [127:0] reply = {reply$dw0, reply$dw1, reply$dw2, reply$data};
    wire [73:0] read = {read$addr_lo, read$addr_hi, read$dwords, read$tag};
    wire [77:0] write = {addr_lo, addr_hi, dwords, last_be};
    wire moves = tlp$valid && tlp$ready;
    wire writing = state$q >= WRITE_HEAD;
    // DWs of the TLP on the port that are still to come, this beat included, and those of the write that its client has still to give.
    reg open = 0;
    reg [11:0] due = 0;
    reg [10:0] rest = 0;
    wire [11:0] announced = 12'd3 + {11'd0, tlp$d0[29]} + (tlp$d0[30] ? {2'd0, tlp$d0[9:0]} : 12'd0);
    wire [11:0] due_now = open ? due : announced;
    wire [11:0] here = tlp$half ? 12'd1 : 12'd2;
    // What is behind the beat that is offered.
    wire [11:0] behind = tlp$valid ? due_now - here : open ? due : 12'd0;
    wire [10:0] to_give = write_open ? rest : {1'd0, dwords};
    always @(posedge clock) begin
        started <= 1;
        offered <= tlp$valid && !tlp$ready && !reset;
        beat_was <= beat;
        reply_waits <= reply$valid && !reply$ready && !reset;
        reply_was <= reply;
        read_waits <= read$valid && !read$ready && !read$refuse && !reset;
        read_was <= read;
        // From the cycle in which a write is picked on, its client is known.
        write_waits <= writing && !(valid && take && last) && !reset;
        write_was <= write;
        if (moves) begin
            open <= !tlp$last;
            due <= due_now - here;
        end
        if (writing && valid && take) begin
            write_open <= !last;
            rest <= to_give - 11'd2;
        end
        if (reset) begin
            open <= 0;
            write_open <= 0;
        end
    end
    always @* if (!started) assume (reset);
    // Who asks keeps asking, and gives as much as it says.
    always @* if (reply_waits) assume (reply$valid && reply == reply_was);
    always @* if (state$q == REPLY_HEAD || state$q == REPLY_TAIL) assume (reply$valid);
    always @* assume (!reply$dw0[29] && (!reply$dw0[30] || reply$dw0[9:0] == 1) && reply$dw0[28:24] == 5'b01010);
    always @* if (read_waits) assume (read$valid && read == read_was);
    always @* if (state$q == READ_HEAD || state$q == READ_TAIL) assume (read$valid);
    always @* assume (read$dwords != 0);
    always @* if (write_waits) assume (write == write_was);
    always @* if (state$q == WRITE_HEAD || state$q == WRITE_ADDR) assume (valid);
    always @* assume (dwords != 0 && last_be != 0);
    always @* if (writing) assume (last == (to_give <= 2));

    always @* if (started && !reset) begin
        stays: assert (!offered || tlp$valid && beat == beat_was);
        ends_where_it_says: assert (!moves || tlp$last == (due_now == here));
        // Section 2.2.5: the last DW's enables are 0 with one DW and only then, the first one's never.
        byte_enables: assert (!(tlp$valid && !open && tlp$d0[28:24] == 0)
            || (tlp$d1[7:4] == 0) == (tlp$d0[9:0] == 1) && tlp$d1[3:0] != 0);
        half_is_last: assert (!tlp$valid || !tlp$half || tlp$last);
        quiet_means: assert (!quiet || !writing && state$q != READ_HEAD && state$q != READ_TAIL);
        once: assert (!(reply$ready && read$ready) && !(take && (reply$ready || read$ready)));
        // A read is answered for by its TLP, and by no other.
        read_goes: assert (!read$ready || state$q == READ_TAIL && !read$refuse);
`ifdef INVARIANTS
        inv_state: assert (state$q <= SWALLOW);
        inv_client: assert (state$q == PICK || (writing ? client$q <= 4 : client$q == (state$q <= REPLY_TAIL ? 6 : 5)));
        inv_between: assert (state$q != PICK && state$q != REPLY_HEAD && state$q != READ_HEAD && state$q != WRITE_HEAD && state$q != SWALLOW
            || behind == 0);
        inv_reply: assert (state$q != REPLY_TAIL || behind == (reply$dw0[30] ? 12'd2 : 12'd1));
        inv_read: assert (state$q != READ_TAIL || behind == (read$addr_hi != 0 ? 12'd2 : 12'd1));
        inv_write: assert (state$q != WRITE_ADDR || behind == (addr_hi != 0 ? 12'd2 : 12'd1) + {2'd0, dwords});
        inv_carried: assert (state$q != CARRIED || behind == {1'd0, rest} + 12'd1);
        inv_tail: assert (state$q != CARRIED_TAIL || behind == 1);
        inv_straight: assert (state$q != STRAIGHT || behind == {1'd0, to_give});
        inv_open: assert (write_open == (state$q == CARRIED) || state$q == STRAIGHT || state$q == SWALLOW);
        inv_rest: assert (!write_open || rest != 0 && rest[0] == dwords[0] && rest < {1'd0, dwords});
        inv_last: assert (!out_valid$q || out_last$q == (behind == 0));
        inv_due: assert (!open || due != 0 && due <= 12'd1027);
        inv_offered: assert (!offered || out_valid$q);
`endif
    end
endmodule
