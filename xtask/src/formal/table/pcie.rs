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
];
