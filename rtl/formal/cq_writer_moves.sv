// The completion writer (queue/cq_writer.rs) takes an entry for which the ring has room within a bound, and leaves none unwritten.
module cq_writer_moves(
    input clock,
    input reset,
    input start,
    input [3:0] log2,
    input valid,
    input ready,
    input more,
    input hold,
    input discard,
    input update_idx,
    input [14:0] head,
    input [14:0] tail,
    input m$ready
);
    reg started = 0, running = 0, waits = 0;
    always @(posedge clock) begin
        started <= 1;
        running <= started;
        waits <= valid && !ready;
    end
    // One start, then entries; host memory takes a beat a clock; the host reads nothing, so the ring of sixteen fills up.
    always @* assume (reset == !started && start == (started && !running));
    always @* assume (log2 == 4 && m$ready && !update_idx && !hold && !discard);
    always @* if (!running) assume (!valid);
    always @* if (waits) assume (valid);

    reg [3:0] waited = 0, unwritten = 0;
    always @(posedge clock) begin
        waited <= valid && !ready && head != 16 ? waited + (waited != 15) : 4'd0;
        unwritten <= head != tail && !valid && !more ? unwritten + (unwritten != 15) : 4'd0;
    end
    always @* if (running) begin
        entry_waits: assert (waited <= 12);
        stays_unwritten: assert (unwritten <= 11);
    end
endmodule
