// The multiplexer before the MAC (tx/mux.rs) keeps the stream protocol, and each frame that comes in goes out once, whole; only ARP
// frames and answers to echo requests that come while sending is off do not. While a pause is wanted, PAUSE frames alone begin.
module tx_mux(
    input clock,
    input reset,
    input [31:0] data$d0,
    input [31:0] data$d1,
    input [7:0] data$keep,
    input data$last,
    input data$valid,
    input data$ready,
    input [31:0] arp$d0,
    input [31:0] arp$d1,
    input [7:0] arp$keep,
    input arp$last,
    input arp$valid,
    input arp$ready,
    input [31:0] echo$d0,
    input [31:0] echo$d1,
    input [7:0] echo$keep,
    input echo$last,
    input echo$valid,
    input echo$ready,
    input enable,
    input hold,
    input [31:0] pause$d0,
    input [31:0] pause$d1,
    input [7:0] pause$keep,
    input pause$last,
    input pause$valid,
    input pause$ready,
    input [31:0] frame$d0,
    input [31:0] frame$d1,
    input [7:0] frame$keep,
    input frame$last,
    input frame$valid,
    input frame$ready,
    input [2:0] state$q
);
    reg started = 0;
    always @(posedge clock) started <= 1;
    always @* if (!started) assume (reset);

    wire [72:0] data = {data$d0, data$d1, data$keep, data$last};
    wire [72:0] arp = {arp$d0, arp$d1, arp$keep, arp$last};
    wire [72:0] echo = {echo$d0, echo$d1, echo$keep, echo$last};
    wire [72:0] pause = {pause$d0, pause$d1, pause$keep, pause$last};
    wire [72:0] frame = {frame$d0, frame$d1, frame$keep, frame$last};
    reg data_waits = 0, arp_waits = 0, echo_waits = 0, pause_waits = 0, offered = 0;
    reg [72:0] data_was, arp_was, echo_was, pause_was, frame_was;
    // Whose frame is open at each of the five ports.
    reg data_open = 0, arp_open = 0, echo_open = 0, pause_open = 0, frame_open = 0;
    reg of_arp = 0, of_echo = 0, of_pause = 0, idle_held = 0;
    reg dropping = 0, dropping_echo = 0;
    wire data_moves = data$valid && data$ready;
    wire arp_moves = arp$valid && arp$ready;
    wire echo_moves = echo$valid && echo$ready;
    wire pause_moves = pause$valid && pause$ready;
    wire frame_moves = frame$valid && frame$ready;
    always @(posedge clock) begin
        data_waits <= data$valid && !data$ready && !reset;
        arp_waits <= arp$valid && !arp$ready && !reset;
        echo_waits <= echo$valid && !echo$ready && !reset;
        pause_waits <= pause$valid && !pause$ready && !reset;
        idle_held <= state$q == 0 && enable && hold && !reset;
        offered <= frame$valid && !frame$ready && !reset;
        data_was <= data;
        arp_was <= arp;
        echo_was <= echo;
        pause_was <= pause;
        frame_was <= frame;
        if (data_moves) data_open <= !data$last;
        if (arp_moves) arp_open <= !arp$last;
        if (arp_moves) dropping <= !arp$last && !frame_moves;
        if (echo_moves) echo_open <= !echo$last;
        if (echo_moves) dropping_echo <= !echo$last && !frame_moves;
        if (pause_moves) pause_open <= !pause$last;
        if (frame_moves) frame_open <= !frame$last;
        if (frame_moves) of_arp <= arp_moves;
        if (frame_moves) of_echo <= echo_moves;
        if (frame_moves) of_pause <= pause_moves;
        if (reset) begin
            data_open <= 0;
            arp_open <= 0;
            echo_open <= 0;
            pause_open <= 0;
            dropping <= 0;
            dropping_echo <= 0;
            frame_open <= 0;
        end
    end
    always @* if (data_waits) assume (data$valid && data == data_was);
    always @* if (arp_waits) assume (arp$valid && arp == arp_was);
    always @* if (echo_waits) assume (echo$valid && echo == echo_was);
    always @* if (pause_waits) assume (pause$valid && pause == pause_was);

    always @* if (started && !reset) begin
        stays: assert (!offered || frame$valid && frame == frame_was);
        forwards: assert (!data_moves || frame_moves && frame == data);
        one_source: assert (!frame_moves || data_moves + arp_moves + echo_moves + pause_moves == 3'd1);
        forwards_arp: assert (!frame_moves || !arp_moves || frame == arp);
        forwards_echo: assert (!frame_moves || !echo_moves || frame == echo);
        forwards_pause: assert (!pause_moves || frame_moves && frame == pause);
        whole: assert (!frame_moves || !frame_open
            || arp_moves == of_arp && echo_moves == of_echo && pause_moves == of_pause);
        holds: assert (!idle_held || state$q == 0 || state$q == 6);
        // A frame that is dropped is dropped whole.
        drops_whole: assert (!arp_moves || !arp_open || dropping == !frame_moves);
        drops_echo_whole: assert (!echo_moves || !echo_open || dropping_echo == !frame_moves);
`ifdef INVARIANTS
        inv_open: assert (frame_open == (data_open || arp_open && !dropping || echo_open && !dropping_echo || pause_open));
        inv_dropping: assert ((!dropping || arp_open) && (!dropping_echo || echo_open));
        inv_owner: assert (!frame_open || of_arp == arp_open && of_echo == echo_open && of_pause == pause_open);
        inv_state: assert (state$q == 0 && !data_open && !arp_open && !echo_open && !pause_open
            || state$q == 1 && !arp_open && !echo_open && !pause_open
            || state$q == 2 && !data_open && !echo_open && !pause_open && !dropping
            || state$q == 3 && !data_open && !arp_open && !pause_open && !dropping_echo
            || state$q == 4 && !frame_open && !echo_open && (!arp_open || dropping)
            || state$q == 5 && !frame_open && !arp_open && (!echo_open || dropping_echo)
            || state$q == 6 && !data_open && !arp_open && !echo_open);
        inv_waits: assert (!offered || state$q == 1 && data_waits && frame_was == data_was
            || state$q == 2 && arp_waits && frame_was == arp_was || state$q == 3 && echo_waits && frame_was == echo_was
            || state$q == 6 && pause_waits && frame_was == pause_was);
`endif
    end
endmodule
