//! The border to PCIe.
use super::super::modules::Module;
use super::super::property::{Mode, Mutant, Property, Reach, Set};

pub(super) const PROPERTIES: &[Property] = &[
    Property {
        name: "tlp_tx",
        promise: "TLPs keep the stream protocol at the PCIe block, one after the other, each as long as its header says",
        module: Module::TlpTx,
        checker: include_str!("../../../../rtl/formal/tlp_tx.sv"),
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
                from: "state$d = TxState$Straight;",
                to: "state$d = TxState$Pick;",
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
        name: "tlp_rx",
        promise: "only whole requests become register accesses, each once; each that wants an answer gets one; completions and pushes are as long as they say, or bad",
        module: Module::TlpRx,
        checker: include_str!("../../../../rtl/formal/tlp_rx.sv"),
        set: Set::Deep,
        mode: Mode::Induction(2),
        several_clocks: false,
        mutants: &[
            Mutant {
                name: "takes_two_dwords",
                from: "if ((length == 32'h1) & ((dw1$q",
                to: "if (((dw1$q",
                breaks: "only_whole",
                reach: Reach::Reset(6),
            },
            Mutant {
                name: "forgets_an_access",
                from: "with_data$d = 1'b1; state$d = RxState$Access;",
                to: "with_data$d = 1'b1; state$d = RxState$Head;",
                breaks: "busy_means",
                reach: Reach::Reset(6),
            },
            Mutant {
                name: "wrong_word",
                from: "data$d = swap1$y; first_count$d",
                to: "data$d = swap0$y; first_count$d",
                breaks: "value",
                reach: Reach::Reset(6),
            },
            Mutant {
                name: "passes_more",
                from: "forward = ((one_left$q) & 2'h3);",
                to: "forward = count;",
                breaks: "never_more",
                reach: Reach::Reset(6),
            },
            Mutant {
                name: "believes_completions",
                from: "completion$bad = ~fits;",
                to: "completion$bad = 1'b0;",
                breaks: "completion_whole",
                reach: Reach::Reset(6),
            },
        ],
    },
];
