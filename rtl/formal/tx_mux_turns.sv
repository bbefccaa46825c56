// The multiplexer before the MAC (tx/mux.rs) lets a data frame wait for one ARP frame at most, so that neither side starves the other.
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
    input frame$ready
);
    reg started = 0;
    always @(posedge clock) started <= 1;
    always @* assume (reset == !started);
    // Sending is on, the MAC takes a beat a clock, and frames of at most four beats have no gaps.
    always @* assume (enable && frame$ready);
    reg [2:0] data_beats = 0, arp_beats = 0;
    reg data_waits = 0, arp_waits = 0;
    reg [3:0] data_waited = 0, arp_waited = 0;
    always @(posedge clock) if (started) begin
        data_waits <= data$valid && !data$ready;
        arp_waits <= arp$valid && !arp$ready;
        if (data$valid && data$ready) data_beats <= data$last ? 3'd0 : data_beats + 3'd1;
        if (arp$valid && arp$ready) arp_beats <= arp$last ? 3'd0 : arp_beats + 3'd1;
        data_waited <= data$valid && !data$ready ? data_waited + (data_waited != 15) : 4'd0;
        arp_waited <= arp$valid && !arp$ready ? arp_waited + (arp_waited != 15) : 4'd0;
    end
    always @* if (data_waits || data_beats != 0) assume (data$valid);
    always @* if (arp_waits || arp_beats != 0) assume (arp$valid);
    always @* if (data_beats == 3) assume (data$last);
    always @* if (arp_beats == 3) assume (arp$last);

    always @* if (started) begin
        data_starves: assert (data_waited <= 8);
        arp_starves: assert (arp_waited <= 8);
    end
endmodule
