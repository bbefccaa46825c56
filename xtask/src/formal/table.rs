//! What is checked: each property with its module, its checker, how it is proved, and the faults that must break it.
use super::modules::Module;
use super::property::{Mode, Mutant, Property, Reach, Set};

/// All properties.
pub(super) const PROPERTIES: &[Property] = &[
    Property {
        name: "queue_fifo",
        promise: "the list of words neither overflows nor underflows and shows the oldest word",
        module: Module::QueueFifo,
        checker: include_str!("../../../rtl/formal/queue_fifo.sv"),
        set: Set::Core,
        mode: Mode::Induction(3),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "full_late",
                from: "full = used[32'h4];",
                to: "full = used == 32'h11;",
                breaks: "overflow",
                reach: Reach::Reset(20),
            },
            Mutant {
                name: "shown_long",
                from: "shown$d = rd_next != wr$q;",
                to: "shown$d = rd$q != wr$q;",
                breaks: "underflow",
                reach: Reach::Reset(6),
            },
            Mutant {
                name: "write_place",
                from: "ram$write_address = ((wr$q) & 4'hf);",
                to: "ram$write_address = ((wr$q) & 4'h7);",
                breaks: "overwrites",
                reach: Reach::Reset(12),
            },
            Mutant {
                name: "read_place",
                from: "ram$read_address = ((rd_next) & 4'hf);",
                to: "ram$read_address = ((rd$q) & 4'hf);",
                breaks: "front",
                reach: Reach::Reset(8),
            },
        ],
    },
    Property {
        name: "inbox",
        promise: "the queue of ARP packets neither overflows nor underflows; a packet stays until it is done with",
        module: Module::Inbox,
        checker: include_str!("../../../rtl/formal/inbox.sv"),
        set: Set::Core,
        mode: Mode::Induction(3),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "always_room",
                from: "(tail_next != head$q)",
                to: "1'b1",
                breaks: "overflow",
                reach: Reach::Reset(12),
            },
            Mutant {
                name: "shown_long",
                from: "head$d = head$q + 32'h1; loaded$d = 1'b0;",
                to: "head$d = head$q + 32'h1;",
                breaks: "underflow",
                reach: Reach::Reset(6),
            },
            Mutant {
                name: "forgets",
                from: "loaded$d = head$q != tail$q;",
                to: "loaded$d = (head$q != tail$q) & ~arp$valid;",
                breaks: "stays",
                reach: Reach::Reset(8),
            },
        ],
    },
    Property {
        name: "outbox",
        promise: "the queue of events neither overflows nor underflows; an event offered stays until it is taken",
        module: Module::Outbox,
        checker: include_str!("../../../rtl/formal/outbox.sv"),
        set: Set::Core,
        mode: Mode::Induction(3),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "always_room",
                from: "has_room$d = (tail_next != head$q) & ~push;",
                to: "has_room$d = 1'b1;",
                breaks: "inv_room",
                reach: Reach::Step,
            },
            Mutant {
                name: "offers_nothing",
                from: "if ((head$q != tail$q) & ~hold) begin",
                to: "if (~hold) begin",
                breaks: "underflow",
                reach: Reach::Reset(5),
            },
            Mutant {
                name: "takes_back",
                from: "loaded$d = loaded$q;",
                to: "loaded$d = 1'b0;",
                breaks: "stays",
                reach: Reach::Reset(8),
            },
        ],
    },
    Property {
        name: "arp_frame",
        promise: "the maker of ARP frames keeps the stream protocol; each order is one frame, told of when it has gone",
        module: Module::ArpFrame,
        checker: include_str!("../../../rtl/formal/arp_frame.sv"),
        set: Set::Core,
        mode: Mode::Induction(2),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "moves_alone",
                from: "if ((beat$q != 32'h0) & frame$ready) begin",
                to: "if (beat$q != 32'h0) begin",
                breaks: "stays",
                reach: Reach::Reset(6),
            },
            Mutant {
                name: "five_beats",
                from: "if (beat$q == 32'h6) begin beat$d = 32'h0;",
                to: "if (beat$q == 32'h5) begin beat$d = 32'h0;",
                breaks: "one_order_one_frame",
                reach: Reach::Reset(10),
            },
            Mutant {
                name: "told_too_soon",
                from: "if (frame$ready) begin sent_reply",
                to: "if (1'b1) begin sent_reply",
                breaks: "told",
                reach: Reach::Reset(10),
            },
        ],
    },
    Property {
        name: "async_fifo",
        promise: "the crossing between clocks neither overflows nor underflows, whatever the clocks do; a word offered stays",
        module: Module::AsyncFifo,
        checker: include_str!("../../../rtl/formal/async_fifo.sv"),
        set: Set::Core,
        mode: Mode::Induction(3),
        several_clocks: true,
        mutants: &[
            Mutant {
                name: "valid_long",
                from: "valid$d = read_gray_after != write_seen$q;",
                to: "valid$d = read_gray$q != write_seen$q;",
                breaks: "underflow",
                reach: Reach::Reset(16),
            },
            Mutant {
                name: "moves_alone",
                from: "if (valid$q & m$ready) begin",
                to: "if (valid$q) begin",
                breaks: "stays",
                reach: Reach::Reset(16),
            },
            Mutant {
                name: "full_late",
                from: "full$d = write_gray_after == (read_seen$q ^ 32'h18);",
                to: "full$d = write_gray$q == (read_seen$q ^ 32'h18);",
                breaks: "inv_full",
                reach: Reach::Step,
            },
            Mutant {
                name: "one_flop",
                from: "full$d = write_gray_after == (read_seen$q ^ 32'h18);",
                to: "full$d = 1'b0;",
                breaks: "inv_full",
                reach: Reach::Step,
            },
        ],
    },
    Property {
        name: "frame_store",
        promise: "the reading side of the frame buffers keeps the stream protocol, reads only what is committed, and gives all beats",
        module: Module::FrameStore,
        checker: include_str!("../../../rtl/formal/frame_store.sv"),
        set: Set::Core,
        mode: Mode::Induction(2),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "moves_alone",
                from: "if (ready) begin",
                to: "if (1'b1) begin",
                breaks: "stays",
                reach: Reach::Reset(8),
            },
            Mutant {
                name: "a_beat_less",
                from: "is_last = (left$q == 32'h0) | ((left$q == 32'h1) & (tail$q == 32'h0));",
                to: "is_last = left$q <= 32'h1;",
                breaks: "counted",
                reach: Reach::Reset(8),
            },
            Mutant {
                name: "never_ends",
                from: "if (is_last) begin state$d = StoreState$Empty;",
                to: "if (1'b0) begin state$d = StoreState$Empty;",
                breaks: "counted",
                reach: Reach::Reset(10),
            },
        ],
    },
    Property {
        name: "rx_buffer",
        promise: "the receive buffer writes over nothing that is not yet read and commits only whole frames",
        module: Module::RxBuffer,
        checker: include_str!("../../../rtl/formal/rx_buffer.sv"),
        set: Set::Core,
        mode: Mode::Induction(2),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "full_late",
                from: "full = (wr$q == memory$rd) | (wr_after == memory$rd);",
                to: "full = wr$q == memory$rd;",
                breaks: "inv_open",
                reach: Reach::Step,
            },
            Mutant {
                name: "commits_the_lost",
                from: "if (commit & ~r_lost$q) begin",
                to: "if (commit) begin",
                breaks: "moves_on_commit",
                reach: Reach::Step,
            },
            Mutant {
                name: "commits_too_much",
                from: "base$d = wr$q;",
                to: "base$d = wr_after;",
                breaks: "moves_on_commit",
                reach: Reach::Reset(6),
            },
            Mutant {
                name: "writes_behind",
                from: "memory$place = wr$q;",
                to: "memory$place = wr$q - 32'h2;",
                breaks: "overwrites",
                reach: Reach::Reset(10),
            },
            Mutant {
                name: "rolls_too_far",
                from: "wr$d = base_after;",
                to: "wr$d = memory$rd;",
                breaks: "whole",
                reach: Reach::Reset(10),
            },
        ],
    },
    Property {
        name: "rx_verdict",
        promise: "each received frame is counted once, and committed or rolled back once; damaged ones are delivered on request only",
        module: Module::RxVerdict,
        checker: include_str!("../../../rtl/formal/rx_verdict.sv"),
        set: Set::Core,
        mode: Mode::Induction(2),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "loses_an_event",
                from: "if (~skipped_last & ~hashing) begin",
                to: "if (~hashing) begin",
                breaks: "counted_once",
                reach: Reach::Reset(14),
            },
            Mutant {
                name: "keeps_the_damaged",
                from: "else if (damaged & ~rxctl[32'h3]) begin",
                to: "else if (damaged & rxctl[32'h3]) begin",
                breaks: "damaged_on_request",
                reach: Reach::Reset(18),
            },
            Mutant {
                name: "believes_damaged_arp",
                from: "give_arp$d = is_arp & ~damaged;",
                to: "give_arp$d = is_arp;",
                breaks: "no_damaged_arp",
                reach: Reach::Reset(18),
            },
            Mutant {
                name: "hears_while_it_judges",
                from: "open = ~skip$q & (state$q == JudgeState$Receive);",
                to: "open = state$q == JudgeState$Receive;",
                breaks: "one_at_a_time",
                reach: Reach::Reset(12),
            },
        ],
    },
    Property {
        name: "tx_align",
        promise: "the aligner takes the beats of one packet until it is restarted, gives all of them in order, and tells of its end once",
        module: Module::TxAlign,
        checker: include_str!("../../../rtl/formal/tx_align.sv"),
        set: Set::Core,
        mode: Mode::Induction(2),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "takes_the_next",
                from: "packet$ready = room & ~closed$q;",
                to: "packet$ready = room;",
                breaks: "waits",
                reach: Reach::Reset(6),
            },
            Mutant {
                name: "no_room_for_two",
                from: "if (packet$keep[32'h2] & ~packet$abort & ~r_too_long$q) begin",
                to: "if (packet$keep[32'h3] & ~packet$abort & ~r_too_long$q) begin",
                breaks: "all_beats",
                reach: Reach::Reset(8),
            },
            Mutant {
                name: "ends_twice",
                from: "r_ended$d = 1'b0; if (take) begin",
                to: "if (take) begin",
                breaks: "once",
                reach: Reach::Reset(8),
            },
            Mutant {
                name: "header_of_13",
                from: "r_len$d = bytes_before + count + 32'he;",
                to: "r_len$d = bytes_before + count + 32'hd;",
                breaks: "counted",
                reach: Reach::Reset(8),
            },
        ],
    },
    Property {
        name: "tx_finish",
        promise: "each packet that ends gets one verdict; its frame is committed before that, once, if and only if the verdict is good",
        module: Module::TxFinish,
        checker: include_str!("../../../rtl/formal/tx_finish.sv"),
        set: Set::Core,
        mode: Mode::Induction(2),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "sends_the_bad",
                from: "if (bad_frame$q | bad_ip$q | bad_l4$q) begin",
                to: "if (bad_ip$q | bad_l4$q) begin",
                breaks: "lengths",
                reach: Reach::Reset(12),
            },
            Mutant {
                name: "says_nothing_of_it",
                from: "r_bad$d = 1'b1; state$d = FinishState$Tell;",
                to: "state$d = FinishState$Tell;",
                breaks: "good_is_committed",
                reach: Reach::Reset(12),
            },
            Mutant {
                name: "writes_to_the_end",
                from: "commit = 1'b1; state$d = FinishState$Tell;",
                to: "commit = 1'b1; write0 = raw; state$d = FinishState$Tell;",
                breaks: "no_write_with_commit",
                reach: Reach::Reset(12),
            },
            Mutant {
                name: "waits_for_nobody",
                from: "if (verdict$ready) begin restart = 1'b1;",
                to: "if (1'b1) begin restart = 1'b1;",
                breaks: "told_means_restart",
                reach: Reach::Reset(14),
            },
            Mutant {
                name: "forgets_the_miss",
                from: "r_miss$d = 1'b1; events",
                to: "events",
                breaks: "miss_means",
                reach: Reach::Reset(14),
            },
        ],
    },
    Property {
        name: "tx_mux",
        promise: "the multiplexer keeps the stream protocol; a frame in is a frame out, whole",
        module: Module::TxMux,
        checker: include_str!("../../../rtl/formal/tx_mux.sv"),
        set: Set::Core,
        mode: Mode::Induction(2),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "takes_alone",
                from: "data$ready = frame$ready;",
                to: "data$ready = 1'b1;",
                breaks: "forwards",
                reach: Reach::Reset(6),
            },
            Mutant {
                name: "last_flickers",
                from: "frame$last = last;",
                to: "frame$last = last & frame$ready;",
                breaks: "stays",
                reach: Reach::Reset(6),
            },
            Mutant {
                name: "beat_by_beat",
                from: "if (last) begin bytes$d = 32'h0;",
                to: "if (1'b1) begin bytes$d = 32'h0;",
                breaks: "whole",
                reach: Reach::Reset(10),
            },
        ],
    },
    Property {
        name: "tagger",
        promise: "the tagger keeps the stream protocol; a frame in is a frame out with all its bytes, and its tag in its place",
        module: Module::Tagger,
        checker: include_str!("../../../rtl/formal/tagger.sv"),
        set: Set::Core,
        mode: Mode::Induction(2),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "loses_the_rest",
                from: "flush$d = more;",
                to: "flush$d = 1'b0;",
                breaks: "no_gap",
                reach: Reach::Reset(8),
            },
            Mutant {
                name: "takes_alone",
                from: "data$ready = frame$ready & ~flush$q;",
                to: "data$ready = frame$ready;",
                breaks: "all_bytes",
                reach: Reach::Reset(10),
            },
            Mutant {
                name: "tags_the_wrong_frame",
                from: "if (describes) begin r_tag$d = tag;",
                to: "if (frame$ready) begin r_tag$d = tag;",
                breaks: "tag_in_place",
                reach: Reach::Reset(8),
            },
            Mutant {
                name: "flickers",
                from: "frame$d1 = held$q;",
                to: "frame$d1 = data$d1;",
                breaks: "stays",
                reach: Reach::Reset(10),
            },
        ],
    },
    Property {
        name: "narrow",
        promise: "8 to 4 bytes: the stream protocol; a frame in is a frame out with all its bytes",
        module: Module::Narrow,
        checker: include_str!("../../../rtl/formal/narrow.sv"),
        set: Set::Core,
        mode: Mode::Induction(2),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "loses_half",
                from: "upper$d = ~upper$q & ~ends;",
                to: "upper$d = ~upper$q & ~s$last;",
                breaks: "bytes",
                reach: Reach::Reset(6),
            },
            Mutant {
                name: "takes_alone",
                from: "s$ready = m$ready & run & (upper$q | ends);",
                to: "s$ready = run & (upper$q | ends);",
                breaks: "frames",
                reach: Reach::Reset(6),
            },
            Mutant {
                name: "data_flickers",
                from: "m$data = s$d0;",
                to: "m$data = s$d0 ^ {32{m$ready}};",
                breaks: "stays",
                reach: Reach::Reset(6),
            },
        ],
    },
    Property {
        name: "widen",
        promise: "4 to 8 bytes: a frame in is a frame out with all its bytes and its verdict",
        module: Module::Widen,
        checker: include_str!("../../../rtl/formal/widen.sv"),
        set: Set::Core,
        mode: Mode::Induction(2),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "loses_the_tail",
                from: "valid$d = s$last;",
                to: "valid$d = 1'b0;",
                breaks: "frames",
                reach: Reach::Reset(6),
            },
            Mutant {
                name: "keeps_too_much",
                from: "keep$d = 32'h7f;",
                to: "keep$d = 32'hff;",
                breaks: "bytes",
                reach: Reach::Reset(8),
            },
            Mutant {
                name: "wrong_verdict",
                from: "bad$d = s$bad;",
                to: "bad$d = 32'h0;",
                breaks: "verdict",
                reach: Reach::Reset(6),
            },
        ],
    },
    Property {
        name: "loopback",
        promise: "a frame in is a frame out, padded, before the next one begins and within a bound",
        module: Module::Loopback,
        checker: include_str!("../../../rtl/formal/loopback.sv"),
        set: Set::Core,
        mode: Mode::Induction(2),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "no_padding",
                from: "padding$d = 1'b1;",
                to: "padding$d = 1'b0;",
                breaks: "one_in",
                reach: Reach::Reset(10),
            },
            Mutant {
                name: "pads_less",
                from: "(words$q >= 32'he)",
                to: "(words$q >= 32'hd)",
                breaks: "padded",
                reach: Reach::Step,
            },
            Mutant {
                name: "pace",
                from: "pace$d = word_pace;",
                to: "pace$d = word_pace + 5'h8;",
                breaks: "inv_idle",
                reach: Reach::Step,
            },
        ],
    },
    Property {
        name: "cq_writer",
        promise: "the completion ring is never overrun, nothing is written outside it, each entry is written once at its place, when it may be",
        module: Module::CqWriter,
        checker: include_str!("../../../rtl/formal/cq_writer.sv"),
        set: Set::Core,
        mode: Mode::Induction(2),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "room_for_one_more",
                from: "room = unread < size$q;",
                to: "room = unread <= size$q;",
                breaks: "inv_room",
                reach: Reach::Step,
            },
            Mutant {
                name: "wrong_mask",
                from: "mask = size$q - 32'h1;",
                to: "mask = size$q;",
                breaks: "in_place",
                reach: Reach::Reset(16),
            },
            Mutant {
                name: "lost_carry",
                from: "addr_hi$d = base_hi + 32'h1;",
                to: "addr_hi$d = base_hi;",
                breaks: "inv_address",
                reach: Reach::Step,
            },
            Mutant {
                name: "valid_falls",
                from: "m$valid = 1'b1;",
                to: "m$valid = ~more;",
                breaks: "stays",
                reach: Reach::Reset(10),
            },
            Mutant {
                name: "holds_nothing",
                from: "if (line_full) begin",
                to: "if (line_full) begin state$d = CqState$Write;",
                breaks: "held",
                reach: Reach::Step,
            },
            Mutant {
                name: "forgets_the_tail",
                from: "tail_q$d = head_q$q;",
                to: "tail_q$d = tail_q$q + 32'h1;",
                breaks: "inv_beats",
                reach: Reach::Step,
            },
        ],
    },
    Property {
        name: "frame_writer",
        promise: "received frames are written only inside their slot, in legal TLPs; each frame ends once",
        module: Module::FrameWriter,
        checker: include_str!("../../../rtl/formal/frame_writer.sv"),
        set: Set::Core,
        mode: Mode::Induction(2),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "lost_carry",
                from: "addr_hi$d = addr_hi$q + 32'h1;",
                to: "addr_hi$d = addr_hi$q;",
                breaks: "inv_left",
                reach: Reach::Step,
            },
            Mutant {
                name: "not_cut",
                from: "left$d = capacity;",
                to: "left$d = s$len;",
                breaks: "inv_place",
                reach: Reach::Step,
            },
            Mutant {
                name: "a_dword_more",
                from: "span = amount + 32'h3;",
                to: "span = amount + 32'h7;",
                breaks: "whole",
                reach: Reach::Reset(8),
            },
            Mutant {
                name: "payload",
                from: "amount = limit;",
                to: "amount = 32'h800;",
                breaks: "payload_size",
                reach: Reach::Reset(8),
            },
        ],
    },
    Property {
        name: "slot_fetcher",
        promise: "RXQ reads stay inside the ring and what the host filled; the window neither overflows nor underflows",
        module: Module::SlotFetcher,
        checker: include_str!("../../../rtl/formal/slot_fetcher.sv"),
        set: Set::Core,
        mode: Mode::Induction(2),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "window_of_72",
                from: "(stock < 32'h40)",
                to: "(stock < 32'h48)",
                breaks: "inv_planned",
                reach: Reach::Step,
            },
            Mutant {
                name: "crosses",
                from: "to_line = line$q - past;",
                to: "to_line = line$q;",
                breaks: "border",
                reach: Reach::Reset(14),
            },
            Mutant {
                name: "lost_carry",
                from: "req_hi$d = base_hi + 32'h1;",
                to: "req_hi$d = base_hi;",
                breaks: "in_place",
                reach: Reach::Step,
            },
            Mutant {
                name: "valid_falls",
                from: "req$valid = asking$q;",
                to: "req$valid = asking$q & run;",
                breaks: "stays",
                reach: Reach::Reset(8),
            },
            Mutant {
                name: "loads_nothing",
                from: "load = ~have$q & (arrived$q != taken$q);",
                to: "load = ~have$q & run;",
                breaks: "underflow",
                reach: Reach::Reset(8),
            },
        ],
    },
    Property {
        name: "sqe_fetcher",
        promise: "SQ reads stay inside the ring and what the host filled, two in flight at most; the buffer neither overflows nor underflows",
        module: Module::SqeFetcher,
        checker: include_str!("../../../rtl/formal/sqe_fetcher.sv"),
        set: Set::Deep,
        mode: Mode::Induction(2),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "three_flights",
                from: "& ~flying$q[32'h1] & |left",
                to: "& |left",
                breaks: "two_flights",
                reach: Reach::Reset(14),
            },
            Mutant {
                name: "buffer_of_17",
                from: "(stock <= 32'h8)",
                to: "(stock <= 32'h9)",
                breaks: "inv_planned",
                reach: Reach::Step,
            },
            Mutant {
                name: "lost_carry",
                from: "req_hi$d = base_hi + 32'h1;",
                to: "req_hi$d = base_hi;",
                breaks: "in_place",
                reach: Reach::Step,
            },
            Mutant {
                name: "valid_falls",
                from: "req$valid = asking$q;",
                to: "req$valid = asking$q & run;",
                breaks: "stays",
                reach: Reach::Reset(8),
            },
        ],
    },
    Property {
        name: "payload_reader",
        promise: "payload reads stay inside the SQE and cross no border; each frame ends once in the list",
        module: Module::PayloadReader,
        checker: include_str!("../../../rtl/formal/payload_reader.sv"),
        set: Set::Core,
        mode: Mode::Induction(2),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "crosses",
                from: "room = block - past;",
                to: "room = block;",
                breaks: "border",
                reach: Reach::Reset(8),
            },
            Mutant {
                name: "lost_carry",
                from: "if (lo$q[32'h1f] & ~after[32'h1f]) begin",
                to: "if (1'b0) begin",
                breaks: "in_place",
                reach: Reach::Reset(12),
            },
            Mutant {
                name: "valid_falls",
                from: "req$valid = ~full;",
                to: "req$valid = ~full & valid;",
                breaks: "stays",
                reach: Reach::Reset(8),
            },
            Mutant {
                name: "ends_twice",
                from: "push = 1'b1; midframe$d = 1'b0;",
                to: "push = 1'b1;",
                breaks: "ends_once",
                reach: Reach::Reset(12),
            },
        ],
    },
    Property {
        name: "realigner",
        promise: "packets keep the stream protocol; each frame of the list is retired once",
        module: Module::Realigner,
        checker: include_str!("../../../rtl/formal/realigner.sv"),
        set: Set::Core,
        mode: Mode::Induction(2),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "retires_the_forgotten",
                from: "done_push = ~item[32'h11];",
                to: "done_push = 1'b1;",
                breaks: "retired_once",
                reach: Reach::Reset(6),
            },
            Mutant {
                name: "overfills",
                from: "if (free & ~done_full) begin",
                to: "if (free) begin",
                breaks: "overfills",
                reach: Reach::Reset(6),
            },
            Mutant {
                name: "overwrites",
                from: "free = ~out_valid$q | m$ready;",
                to: "free = 1'b1;",
                breaks: "stays",
                reach: Reach::Reset(14),
            },
        ],
    },
    Property {
        name: "push",
        promise: "the list of pushed frames neither overflows nor underflows; packets keep the stream protocol; each frame is told of once",
        module: Module::Push,
        checker: include_str!("../../../rtl/formal/push.sv"),
        set: Set::Core,
        mode: Mode::Induction(2),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "room_for_one_more",
                from: "window$room = used < 32'h1ff;",
                to: "window$room = used <= 32'h1ff;",
                breaks: "inv_window",
                reach: Reach::Step,
            },
            Mutant {
                name: "reads_what_is_not_there",
                from: "load = (~shown$q | pop) & (seen$q != rd$q);",
                to: "load = ~shown$q | pop;",
                breaks: "underflows",
                reach: Reach::Reset(6),
            },
            Mutant {
                name: "tells_of_the_forgotten",
                from: "done_push = pop & ends & (mark$q != 32'h3);",
                to: "done_push = pop & ends;",
                breaks: "told_once",
                reach: Reach::Reset(12),
            },
            Mutant {
                name: "overfills",
                from: "(ends & ~done_full & ((mark$q == 32'h1) | sent$q)));",
                to: "(ends & ((mark$q == 32'h1) | sent$q)));",
                breaks: "overfills",
                reach: Reach::Reset(12),
            },
            Mutant {
                name: "keeps_the_end_back",
                from: "m$last = ends;",
                to: "m$last = ends & ~m$abort;",
                breaks: "packet_ends",
                reach: Reach::Reset(12),
            },
        ],
    },
    Property {
        name: "tlp_tx",
        promise: "TLPs keep the stream protocol at the PCIe block, one after the other, each as long as its header says",
        module: Module::TlpTx,
        checker: include_str!("../../../rtl/formal/tlp_tx.sv"),
        set: Set::Core,
        mode: Mode::Induction(2),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "moves_alone",
                from: "if (tlp$ready) begin out_valid$d = 1'b0;",
                to: "if (1'b1) begin out_valid$d = 1'b0;",
                breaks: "stays",
                reach: Reach::Reset(8),
            },
            Mutant {
                name: "leaves_too_soon",
                from: "out1$d = addr_lo; state$d = TxState$Straight;",
                to: "out1$d = addr_lo; state$d = TxState$Pick;",
                breaks: "ends_where_it_says",
                reach: Reach::Reset(10),
            },
            Mutant {
                name: "a_dword_more",
                from: "out_half$d = last & dwords[32'h0];",
                to: "out_half$d = 1'b0;",
                breaks: "ends_where_it_says",
                reach: Reach::Reset(10),
            },
            Mutant {
                name: "enables_of_two",
                from: "first_be = last_be; tail_be = 32'h0;",
                to: "first_be = last_be;",
                breaks: "byte_enables",
                reach: Reach::Reset(8),
            },
        ],
    },
    Property {
        name: "mac_rx",
        promise: "each received frame that begins gives one last word, and nothing else gives any",
        module: Module::MacRx,
        checker: include_str!("../../../rtl/formal/mac_rx.sv"),
        set: Set::Core,
        mode: Mode::Induction(2),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "says_it_twice",
                from: "m$bad = 32'h1; state$d = RxState$Skip;",
                to: "m$bad = 32'h1; state$d = RxState$Data;",
                breaks: "only_frames",
                reach: Reach::Reset(12),
            },
            Mutant {
                name: "lost_is_good",
                from: "m$bad = 32'h1;",
                to: "m$bad = 32'h0;",
                breaks: "lost_is_bad",
                reach: Reach::Reset(16),
            },
            Mutant {
                name: "any_preamble",
                from: "if (rxd == 32'h55) begin",
                to: "if (1'b1) begin",
                breaks: "only_frames",
                reach: Reach::Reset(8),
            },
            Mutant {
                name: "without_strobe",
                from: "m$valid = send & strobe;",
                to: "m$valid = send;",
                breaks: "quiet",
                reach: Reach::Reset(16),
            },
        ],
    },
    Property {
        name: "mac_tx",
        promise: "each frame is one carrier of at least 64 bytes, with a gap of 12 before the next; nibbles go out low first",
        module: Module::MacTx,
        checker: include_str!("../../../rtl/formal/mac_tx.sv"),
        set: Set::Core,
        mode: Mode::Induction(2),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "pads_less",
                from: "if (count$q == 32'h3b) begin",
                to: "if (count$q >= 32'h3a) begin",
                breaks: "inv_check",
                reach: Reach::Step,
            },
            Mutant {
                name: "gap_of_11",
                from: "if (count$q == 32'hb) begin",
                to: "if (count$q == 32'ha) begin",
                breaks: "inv_gap",
                reach: Reach::Step,
            },
            Mutant {
                name: "pins_at_once",
                from: "enable$d = is_there$q;",
                to: "enable$d = is_there$d;",
                breaks: "pins",
                reach: Reach::Reset(6),
            },
            Mutant {
                name: "one_half_twice",
                from: "data$d = data$q >> 32'h4;",
                to: "data$d = data$q;",
                breaks: "low_first",
                reach: Reach::Reset(26),
            },
            Mutant {
                name: "one_half_only",
                from: "step = ~mode$q | half$q;",
                to: "step = 1'b1;",
                breaks: "halves",
                reach: Reach::Reset(8),
            },
        ],
    },
    Property {
        name: "tx_mux_turns",
        promise: "no starvation: data frames and ARP frames wait for one another once at most",
        module: Module::TxMux,
        checker: include_str!("../../../rtl/formal/tx_mux_turns.sv"),
        set: Set::Core,
        mode: Mode::Bounded(20),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "arp_first",
                from: "(arp_was$q | ~arp$valid)",
                to: "(~arp$valid)",
                breaks: "data_starves",
                reach: Reach::Reset(20),
            },
            Mutant {
                name: "data_first",
                from: "(arp_was$q | ~arp$valid)",
                to: "1'b1",
                breaks: "arp_starves",
                reach: Reach::Reset(20),
            },
        ],
    },
    Property {
        name: "cq_writer_moves",
        promise: "no deadlock: an entry with room is taken, and a taken one is written, within a bound",
        module: Module::CqWriter,
        checker: include_str!("../../../rtl/formal/cq_writer_moves.sv"),
        set: Set::Deep,
        mode: Mode::Bounded(24),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "never_done",
                from: "if (beats$q == 32'h1) begin",
                to: "if (beats$q == 32'hf) begin",
                breaks: "entry_waits",
                reach: Reach::Reset(24),
            },
            Mutant {
                name: "keeps_partial_lines",
                from: "(~more | armed$q | valid)",
                to: "(armed$q | valid)",
                breaks: "stays_unwritten",
                reach: Reach::Reset(24),
            },
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formal::{bind, modules::TOP, mutant};

    #[test]
    fn names_are_said_once() {
        for (number, property) in PROPERTIES.iter().enumerate() {
            let others = &PROPERTIES[..number];
            assert!(
                others.iter().all(|p| p.name != property.name),
                "{}",
                property.name
            );
            for (number, fault) in property.mutants.iter().enumerate() {
                let others = &property.mutants[..number];
                assert!(
                    others.iter().all(|m| m.name != fault.name),
                    "{}",
                    fault.name
                );
            }
        }
    }

    #[test]
    fn each_property_has_a_fault_that_breaks_one_of_its_assertions() {
        for property in PROPERTIES {
            assert!(!property.mutants.is_empty(), "{}", property.name);
            for fault in property.mutants {
                let label = format!(" {}: assert (", fault.breaks);
                assert!(
                    property.checker.contains(&label),
                    "{}: {label}",
                    property.name
                );
            }
        }
    }

    #[test]
    fn each_checker_binds_and_each_fault_finds_its_place_in_the_exported_verilog() {
        for property in PROPERTIES {
            let design = property.module.export().expect("exports");
            bind::bind(&design, TOP, property.name, property.checker).expect("binds");
            for fault in property.mutants {
                if let Err(e) = mutant::apply(&design, property.name, fault) {
                    panic!("{e}");
                }
            }
        }
    }

    #[test]
    fn each_checker_says_in_its_first_line_what_it_is() {
        for property in PROPERTIES {
            assert!(property.checker.starts_with("// The "), "{}", property.name);
        }
    }
}
