// The completion writer (queue/cq_writer.rs) takes an entry for which its queue's ring has room within a bound, and leaves none unwritten.
module cq_writer_moves(
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
    input valid,
    input ready,
    input more,
    input hold,
    input discard,
    input update_idx,
    input [3:0] unwritten,
    input [14:0] \head.word$0$q ,
    input [14:0] \head.word$1$q ,
    input m$ready
);
    reg [2:0] age = 0;
    reg waits = 0, owner_was = 0;
    wire running = age == 4;
    always @(posedge clock) begin
        if (!running) age <= age + 3'd1;
        waits <= valid && !ready;
        owner_was <= owner[0];
    end
    // Two queues are set up and started, then entries come; host memory takes a beat a clock; the host reads nothing, so rings of sixteen fill up.
    always @* assume (!alone);
    always @* assume (reset == (age == 0) && start == (age == 3 ? 4'd3 : 4'd0));
    always @* assume (set_cfg == (age == 1 || age == 2) && set_place == (age == 2) && set_data[11:8] == 4 && !set_lo && !set_hi);
    always @* assume (m$ready && !update_idx && !hold && !discard && !owner[1]);
    always @* if (!running) assume (!valid);
    always @* if (waits) assume (valid && owner[0] == owner_was);
    // Whose entry comes next does not change while none comes.
    always @* if (!valid) assume (owner[0] == owner_was);

    wire [14:0] head = owner[0] ? \head.word$1$q : \head.word$0$q ;
    reg [4:0] waited = 0, unwritten_for = 0;
    always @(posedge clock) begin
        waited <= valid && !ready && head != 16 ? waited + (waited != 31) : 5'd0;
        unwritten_for <= unwritten != 0 && !valid && !more ? unwritten_for + (unwritten_for != 31) : 5'd0;
    end
    always @* if (running) begin
        entry_waits: assert (waited <= 22);
        stays_unwritten: assert (unwritten_for <= 22);
    end
endmodule
