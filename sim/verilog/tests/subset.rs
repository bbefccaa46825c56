//! What is refused, by name and place; and what a design does that needs no oracle.
#![allow(missing_docs, reason = "a test has no readers from outside")]
use ferrule_verilog::{Options, Program};
use proptest::prelude::*;

fn compile(text: &str) -> Result<Program, String> {
    Program::compile("d.v", text, "m", Options::default()).map_err(|e| e.to_string())
}

/// A module with two inputs, an output and these items, from line 2 on.
fn items(items: &str) -> String {
    format!(
        "module m(input wire c, input wire [7:0] a, output wire [7:0] y);\n{items}\nendmodule\n"
    )
}

#[test]
fn constructs_outside_the_subset_are_refused_with_their_place() {
    for (text, want) in [
        (
            "function f; endfunction",
            "d.v:2:1: `function` is outside the subset",
        ),
        ("generate endgenerate", "d.v:2:1: `generate` is outside"),
        ("parameter P = 1;", "d.v:2:1: `parameter` is outside"),
        ("integer i;", "d.v:2:1: `integer` is outside"),
        ("inout wire z;", "d.v:2:1: `inout` is outside"),
        ("assign y = a / 2;", "d.v:2:14: the operator `/` is outside"),
        ("assign y = a % 2;", "d.v:2:14: the operator `%` is outside"),
        (
            "assign y = 4'bx;",
            "d.v:2:12: the four-state literal `x` is outside",
        ),
        ("assign y = $random;", "d.v:2:12: `$random` is outside"),
        ("assign y = \"text\";", "d.v:2:12: a string is outside"),
        (
            "assign #3 y = a;",
            "d.v:2:8: a delay or parameter list `#` is outside",
        ),
        (
            "reg r;\nalways @(negedge c) r <= 1;",
            "d.v:3:10: `negedge` is outside",
        ),
        (
            "reg r;\nalways @(c) r = 1;",
            "d.v:3:10: `c` in a sensitivity list without `posedge` is outside",
        ),
        (
            "reg r;\nalways @(posedge c) r = 1;",
            "d.v:3:21: a blocking assignment in a clocked block is outside",
        ),
        (
            "reg r;\nalways @(*) r <= c;",
            "d.v:3:13: a non-blocking assignment without a clock is outside",
        ),
        (
            "reg r;\nalways @(*) begin casez (a) endcase end",
            "d.v:3:19: `casez` is outside",
        ),
        (
            "reg r;\nalways @(posedge c) for (r = 0; r; r = 1) ;",
            "d.v:3:21: `for` is outside",
        ),
        (
            "reg [7:0] m [0:3];\nalways @(*) m[a] = 1;",
            "d.v:3:1: a write to the memory `m` without a clock is outside",
        ),
        (
            "reg [7:0] m [0:3];\nassign y = m;",
            "d.v:3:12: the memory `m` without an index is outside",
        ),
        (
            "reg r;\nreg q;\nalways @(posedge c or posedge a[0]) r <= 1;",
            "d.v:4:32: `[` where ) should be",
        ),
        (
            "wire [8:1] z;",
            "d.v:2:6: a vector whose last bit is not 0 is outside",
        ),
        (
            "m m(c, a, y);",
            "d.v:2:5: a connection by position is outside",
        ),
        (
            "assign y = a[1][2];",
            "d.v:2:16: a select of a select is outside",
        ),
        (
            "`include \"x\"",
            "d.v:2:1: the directive ``include` is outside",
        ),
    ] {
        let error = compile(&items(text))
            .err()
            .unwrap_or_else(|| panic!("taken: {text}"));
        assert!(
            error.contains(want),
            "{text}\n  gives {error}\n  not   {want}"
        );
    }
}

#[test]
fn faults_of_a_design_are_named() {
    for (text, want) in [
        ("assign y = b;", "2:12: `b` is not declared"),
        ("wire b; wire b;", "`b` is declared twice"),
        (
            "assign y = a; assign y = 1;",
            "`y` is driven here and at 2:8 too",
        ),
        (
            "reg [7:0] r; assign y = r;\nalways @(*) if (c) r = a;",
            "3:1: `r` is not assigned on every path through this block: a latch",
        ),
        ("assign y = a[9:2];", "bits 9:2 of `a`, which has 8"),
        ("other o(.a(a));", "2:1: there is no module `other`"),
        (
            "m inner(.c(c), .a(a), .y(y));",
            "module `m` contains itself",
        ),
        (
            "wire k; reg r; assign k = c & a[0];\nalways @(posedge k) r <= 1;",
            "3:1: the clock `k` is no input of the top module",
        ),
        (
            "wire p, q; assign p = q & c; assign q = p | c; assign y = p;",
            "combinational loop: ",
        ),
        (
            "wire p, q; assign p = q; assign q = p; assign y = p;",
            "combinational loop: ",
        ),
        ("assign y = a +;", "`;` where a name should be"),
        ("assign a = 1;", "`a` is driven here and at 1:"),
        ("localparam p = a;", "a localparam must be a constant"),
    ] {
        let error = compile(&items(text))
            .err()
            .unwrap_or_else(|| panic!("taken: {text}"));
        assert!(
            error.contains(want),
            "{text}\n  gives {error}\n  not   {want}"
        );
    }
}

#[test]
fn a_loop_is_named_signal_by_signal_with_its_hierarchy() {
    let text = "module m(input wire a, output wire y);
        wire p, q; inner i(.x(q), .z(p)); assign q = p ^ a; assign y = p;
        endmodule
        module inner(input wire x, output wire z); wire deep; assign deep = ~x; assign z = ~deep; endmodule";
    let error = compile(text).err().unwrap();
    assert!(
        error.contains("combinational loop: q -> i.deep -> p -> q"),
        "{error}"
    );
}

#[test]
fn registers_swap_and_clocks_that_rise_at_once_see_what_was_before() {
    let text = "module m(input wire c, input wire d, output reg [3:0] p, output reg [3:0] q, output reg [3:0] r);
        initial begin p = 1; q = 2; r = 3; end
        always @(posedge c) begin p <= q; q <= p; end
        always @(posedge d) r <= q;
        endmodule";
    let program = compile(text).unwrap();
    let mut model = program.start();
    let [p, q, r] = ["p", "q", "r"].map(|name| program.port(name).unwrap());
    let bit = |name| 1 << program.clocks().iter().position(|c| c.0 == name).unwrap();
    let see = |m: &ferrule_verilog::Model| (m.get(p), m.get(q), m.get(r));
    model.rise(bit("c") | bit("d"));
    assert_eq!(see(&model), (2, 1, 2));
    model.rise(bit("d"));
    assert_eq!(see(&model), (2, 1, 1));
    model.rise(bit("c"));
    assert_eq!(see(&model), (1, 2, 1));
    let fresh = program.start();
    assert_eq!(see(&fresh), (1, 2, 3), "another copy starts anew");
}

#[test]
fn a_memory_reads_what_was_before_a_write_and_ignores_what_is_beyond_it() {
    let text = "module m(input wire c, input wire we, input wire [3:0] at, input wire [99:0] d, output reg [99:0] q, output wire [99:0] now);
        reg [99:0] words [2:7];
        assign now = words[at];
        always @(posedge c) begin if (we) words[at] <= d; q <= words[at]; end
        endmodule";
    let program = compile(text).unwrap();
    let mut model = program.start();
    let port = |name: &str| program.port(name).unwrap();
    let mut step = |we, at, d: [u64; 2]| {
        model.set(port("we"), we);
        model.set(port("at"), at);
        model.set_words(port("d"), &d);
        model.settle();
        let now = model.words(port("now"));
        model.rise(1);
        (now, model.words(port("q")))
    };
    let (zero, a, b) = (vec![0, 0], [5, 0xF_0000_0001], [7, 9]);
    assert_eq!(step(1, 7, a), (zero.clone(), zero.clone()));
    assert_eq!(step(1, 7, b), (a.to_vec(), a.to_vec()));
    assert_eq!(
        step(1, 1, a),
        (zero.clone(), zero.clone()),
        "below the first word"
    );
    assert_eq!(
        step(1, 8, a),
        (zero.clone(), zero.clone()),
        "beyond the last"
    );
    assert_eq!(step(0, 7, a), (b.to_vec(), b.to_vec()));
}

#[test]
fn an_asynchronous_reset_acts_without_its_clock_even_if_it_is_gone_before_the_next_pass() {
    let text = "module m(input wire c, input wire hold, output wire [1:0] q);
        reg [1:0] q0 = 2'd3; reg armed = 0; wire reset = armed & hold;
        always @(posedge c) armed <= 1;
        always @(posedge c or posedge reset) if (reset) q0 <= 2'd1; else q0 <= 2'd2;
        assign q = q0;
        endmodule";
    let program = compile(text).unwrap();
    let (hold, q) = (program.port("hold").unwrap(), program.port("q").unwrap());
    let mut model = program.start();
    model.set(hold, 1);
    model.settle();
    assert_eq!(model.get(q), 3);
    // The edge sets `armed`, and with it `reset`, after `q0` has taken 2.
    model.rise(1);
    model.set(hold, 0);
    model.settle();
    assert_eq!(model.get(q), 1);
}

/// By the letter of IEEE 1364-2005 clauses 5.1.12 and 5.5; Icarus 11 takes `a[0]` for -1 here.
#[test]
fn a_signed_operand_is_extended_with_its_sign_before_it_is_shifted() {
    let text = "module m(input wire signed [0:0] a, output reg [5:0] left, output reg [5:0] right, output wire [5:0] mixed);
        always @(*) begin left = a <<< a[0]; right = a >>> a[0]; end
        assign mixed = (a <<< a[0]) | 1'b0;
        endmodule";
    let program = compile(text).unwrap();
    let mut model = program.start();
    model.set(program.port("a").unwrap(), 1);
    model.settle();
    let value = |name| model.get(program.port(name).unwrap());
    assert_eq!(
        (value("left"), value("right"), value("mixed")),
        (0b11_1110, 0b11_1111, 0b00_0010)
    );
}

/// IEEE 1364-2005 clause 9.5: subject and items have one size, and a sign if all have one.
#[test]
fn a_case_whose_subject_and_items_are_signed_compares_them_so() {
    let text =
        "module m(input wire signed [0:0] a, output reg [1:0] mixed, output reg [1:0] signs);
        always @(*) begin
            case (a) 0: signs = 0; 1: signs = 1; default: signs = 2; endcase
            case (a) 0: mixed = 0; 32'd1: mixed = 1; default: mixed = 2; endcase
        end
        endmodule";
    let program = compile(text).unwrap();
    let mut model = program.start();
    model.set(program.port("a").unwrap(), 1);
    model.settle();
    let value = |name| model.get(program.port(name).unwrap());
    assert_eq!((value("signs"), value("mixed")), (2, 1));
}

#[test]
fn signals_are_listed_by_instance() {
    let text = "module m(input wire c, output wire q); wire inner; leaf one(.d(c), .q(inner)); leaf two(.d(inner), .q(q)); endmodule
        module leaf(input wire d, output wire q); assign q = ~d; endmodule";
    let program = Program::compile("d.v", text, "m", Options { keep_all: true }).unwrap();
    let scopes: Vec<_> = program
        .scopes()
        .iter()
        .map(|s| (s.name.as_str(), s.parent, s.signals.len()))
        .collect();
    assert_eq!(
        scopes,
        [("m", None, 3), ("one", Some(0), 2), ("two", Some(0), 2)]
    );
    let mut model = program.start();
    model.settle();
    let value = |scope: usize, name: &str| {
        let signal = program.scopes()[scope]
            .signals
            .iter()
            .find(|s| s.0 == name)
            .unwrap()
            .1;
        model.get(signal)
    };
    assert_eq!(
        (
            value(0, "inner"),
            value(1, "q"),
            value(2, "d"),
            value(2, "q")
        ),
        (1, 1, 1, 0)
    );
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-z0-9 '\\[\\]\\(\\)\\{\\};:,.=<>+*&|^~!?@#`\"/$\\\\\n-]{0,200}") {
        let _ = compile(&text);
        let _ = compile(&items(&text));
    }

    #[test]
    fn no_mixture_of_its_words_makes_it_panic(words in prop::collection::vec(prop::sample::select(vec![
        "module", "endmodule", "m", "(", ")", "input", "output", "wire", "reg", "signed", "[7:0]", "[", "]", ":", ";", ",", "a", "y", "c", "assign", "=", "<=", "always",
        "@", "(*)", "posedge", "or", "begin", "end", "if", "else", "case", "endcase", "default", "initial", "localparam", "+", "-", "*", "<<", ">>>", "?", "{", "}", "3", "8'hff",
        "4'sd7", "65536'h1", "99999999", "+:", "-:", "$signed", ".", "q", "&", "!", "==",
    ]), 0..60)) {
        let text = words.join(" ");
        let _ = compile(&text);
        let _ = compile(&items(&text));
        let _ = compile(&items(&format!("assign y = {text};")));
        let _ = compile(&items(&format!("reg [7:0] q; always @(posedge c) {text}")));
    }

    #[test]
    fn deep_nesting_is_refused_and_long_chains_too(depth in 1usize..3000) {
        let nested = format!("assign y = {}a{};", "(".repeat(depth), ")".repeat(depth));
        prop_assert_eq!(compile(&items(&nested)).is_ok(), depth < 200, "{}", depth);
        let chain = format!("assign y = a{};", " + a".repeat(depth));
        prop_assert_eq!(compile(&items(&chain)).is_ok(), depth <= 499, "{}", depth);
    }
}
