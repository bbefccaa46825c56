// The multiplexer before the MAC (tx/mux.rs) lets a frame wait for one frame of each other kind at most, so that none starves another.
module tx_mux_turns(
    input clock,
    input reset,
    input enable,
    input data$last,
    input data$valid,
    input data$ready,
    input arp$last,
    input arp$valid,
    input arp$ready,
    input echo$last,
    input echo$valid,
    input echo$ready,
    input hold,
    input pause$valid,
    input frame$ready
);
    reg started = 0;
    always @(posedge clock) started <= 1;
    always @* assume (reset == !started);
    // Sending is on, the MAC takes a beat a clock, frames of at most three beats have no gaps, and nobody wants a pause.
    always @* assume (enable && frame$ready && !hold && !pause$valid);
    reg [1:0] data_beats = 0, arp_beats = 0, echo_beats = 0;
    reg data_waits = 0, arp_waits = 0, echo_waits = 0;
    reg [3:0] data_waited = 0, arp_waited = 0, echo_waited = 0;
    always @(posedge clock) if (started) begin
        data_waits <= data$valid && !data$ready;
        arp_waits <= arp$valid && !arp$ready;
        echo_waits <= echo$valid && !echo$ready;
        if (data$valid && data$ready) data_beats <= data$last ? 2'd0 : data_beats + 2'd1;
        if (arp$valid && arp$ready) arp_beats <= arp$last ? 2'd0 : arp_beats + 2'd1;
        if (echo$valid && echo$ready) echo_beats <= echo$last ? 2'd0 : echo_beats + 2'd1;
        data_waited <= data$valid && !data$ready ? data_waited + (data_waited != 15) : 4'd0;
        arp_waited <= arp$valid && !arp$ready ? arp_waited + (arp_waited != 15) : 4'd0;
        echo_waited <= echo$valid && !echo$ready ? echo_waited + (echo_waited != 15) : 4'd0;
    end
    always @* if (data_waits || data_beats != 0) assume (data$valid);
    always @* if (arp_waits || arp_beats != 0) assume (arp$valid);
    always @* if (echo_waits || echo_beats != 0) assume (echo$valid);
    always @* if (data_beats == 2) assume (data$last);
    always @* if (arp_beats == 2) assume (arp$last);
    always @* if (echo_beats == 2) assume (echo$last);

    // Two frames of three beats, and a clock before each frame in which it is chosen.
    always @* if (started) begin
        data_starves: assert (data_waited <= 9);
        arp_starves: assert (arp_waited <= 9);
        echo_starves: assert (echo_waited <= 9);
    end
endmodule
