//! Random designs of the subset: expressions of every operator, width and sign, blocks with half-made nets, registers, memories, two
//! clocks, an asynchronous reset, an instance below.
//!
//! Nothing in them is ever X: all state has initial values, and no select goes beyond what it selects from.
use std::fmt::Write as _;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub(crate) struct Step {
    /// Values by input, 64 bits a word.
    pub(crate) inputs: Vec<(String, Vec<u64>)>,
    /// Which of the two clocks rise.
    pub(crate) clocks: (bool, bool),
}

pub(crate) struct Design {
    pub(crate) text: String,
    pub(crate) inputs: Vec<(String, u32)>,
    pub(crate) outputs: Vec<(String, u32)>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone)]
struct Net {
    name: String,
    width: u32,
    signed: bool,
}

pub(crate) struct Generator {
    rng: StdRng,
    /// What an expression may read here.
    readable: Vec<Net>,
    has_memory: bool,
}

/// Address bits of the memory.
const ADDRESS: u32 = 3;
const MEMORY_WIDTH: u32 = 11;

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            readable: vec![],
            has_memory: false,
        }
    }

    fn width(&mut self) -> u32 {
        match self.rng.random_range(0..10) {
            0..=2 => 1,
            3..=6 => self.rng.random_range(2..=32),
            7..=8 => self.rng.random_range(33..=64),
            _ => self.rng.random_range(65..=150),
        }
    }

    fn net(&mut self, name: String) -> Net {
        let (width, signed) = (self.width(), self.rng.random_bool(0.3));
        Net {
            name,
            width,
            signed,
        }
    }

    fn declare(net: &Net, kind: &str) -> String {
        let signed = if net.signed { " signed" } else { "" };
        format!("{kind}{signed} [{}:0] {}", net.width - 1, net.name)
    }

    fn words(&mut self, width: u32) -> Vec<u64> {
        let mut words: Vec<u64> = (0..width.div_ceil(64)).map(|_| self.rng.random()).collect();
        match self.rng.random_range(0..8) {
            0 => words.fill(0),
            1 => words.fill(u64::MAX),
            2 => words.iter_mut().for_each(|w| *w &= 3),
            _ => {}
        }
        if !width.is_multiple_of(64) {
            if let Some(last) = words.last_mut() {
                *last &= (1 << (width % 64)) - 1;
            }
        }
        words
    }

    fn literal(&mut self) -> String {
        match self.rng.random_range(0..4) {
            0 => self.rng.random_range(0..40u32).to_string(),
            1 => {
                let width = self.rng.random_range(1..=40u32);
                let value = self.rng.random::<u64>() & ((1 << width) - 1);
                format!("{width}'h{value:x}")
            }
            2 => {
                let width = self.rng.random_range(1..=30u32);
                let value = self.rng.random::<u64>() & ((1 << width) - 1);
                format!("{width}'sd{value}")
            }
            _ => format!(
                "{}'b{}",
                self.rng.random_range(1..5u32),
                self.rng.random_range(0..2u32)
            ),
        }
    }

    fn pick(&mut self) -> Net {
        let at = self.rng.random_range(0..self.readable.len());
        self.readable[at].clone()
    }

    /// A part of a net that is all there.
    fn part(&mut self) -> String {
        let net = self.pick();
        let lsb = self.rng.random_range(0..net.width);
        let width = self.rng.random_range(1..=net.width - lsb);
        let name = &net.name;
        match self.rng.random_range(0..5) {
            0 => format!("{name}[{lsb}]"),
            1 => format!("{name}[{lsb} +: {width}]"),
            2 => format!("{name}[{} -: {width}]", lsb + width - 1),
            // An index of as many bits as keep it within.
            3 if net.width >= 4 => {
                let bits = (net.width - 1).ilog2().min(5);
                let rest = net.width - (1 << bits) + 1;
                let width = self.rng.random_range(1..=rest);
                format!("{name}[i1[{}:0] +: {width}]", bits - 1)
            }
            _ => format!("{name}[{}:{lsb}]", lsb + width - 1),
        }
    }

    fn leaf(&mut self) -> String {
        match self.rng.random_range(0..10) {
            0..=4 => self.pick().name,
            5..=6 => self.part(),
            7 if self.has_memory => format!("memory[i1[{}:0]]", ADDRESS - 1),
            _ => self.literal(),
        }
    }

    pub(crate) fn expression(&mut self, depth: u32) -> String {
        if depth == 0 {
            return self.leaf();
        }
        let inner = |g: &mut Self| {
            let less = g.rng.random_range(0..depth);
            g.expression(less)
        };
        match self.rng.random_range(0..22) {
            0..=10 => {
                const BINARY: [&str; 20] = [
                    "+", "-", "&", "|", "^", "~^", "==", "!=", "<", "<=", ">", ">=", "&&", "||",
                    "+", "-", "&", "|", "==", "<",
                ];
                let op = BINARY[self.rng.random_range(0..BINARY.len())];
                let (a, b) = (inner(self), inner(self));
                format!("({a} {op} {b})")
            }
            11..=12 => {
                let op = ["<<", ">>", "<<<", ">>>"][self.rng.random_range(0..4)];
                let by = match self.rng.random_range(0..3) {
                    0 => self.rng.random_range(0..70u32).to_string(),
                    1 => "i1".into(),
                    // In procedures Icarus 11 shifts by a negative number where the amount is a select of a signed net.
                    _ => format!("{{{}}}", self.part()),
                };
                format!("({} {op} {by})", inner(self))
            }
            13..=15 => {
                let op = ["~", "-", "!", "&", "|", "^", "~&", "~|", "~^", "+"]
                    [self.rng.random_range(0..10)];
                format!("({op}({}))", inner(self))
            }
            16..=17 => {
                // Icarus 11 forgets the other branch's sign where the condition is a constant.
                let (a, b, c) = (self.part(), inner(self), inner(self));
                format!("({a} ? {b} : {c})")
            }
            18 => {
                // Unsized literals may not be joined.
                let (a, b) = (self.pick().name, self.part());
                format!("{{{a}, {b}}}")
            }
            19 => format!("{{{}{{{}}}}}", self.rng.random_range(1..4u32), self.part()),
            // Not around each other: Icarus 11 takes both for neither.
            20 => format!("$signed({})", self.part()),
            _ => format!("$unsigned({})", self.part()),
        }
    }

    /// An assignment to a net that has been assigned as a whole.
    fn change(&mut self, net: &Net, assign: &str, depth: u32) -> String {
        let value = self.expression(depth);
        let name = &net.name;
        let lsb = self.rng.random_range(0..net.width);
        let width = self.rng.random_range(1..=net.width - lsb);
        match self.rng.random_range(0..7) {
            0 => format!("{name}[{}:{lsb}] {assign} {value};", lsb + width - 1),
            1 => format!("{name}[i1] {assign} {value};"),
            2 => format!("{name}[i1 +: {width}] {assign} {value};"),
            _ => format!("{name} {assign} {value};"),
        }
    }

    fn statements(&mut self, nets: &[Net], assign: &str, depth: u32, text: &mut String) {
        for _ in 0..self.rng.random_range(1..4) {
            let net = nets[self.rng.random_range(0..nets.len())].clone();
            match self.rng.random_range(0..6) {
                0 | 1 if depth > 0 => {
                    let condition = self.expression(2);
                    let _ = writeln!(text, "if ({condition}) begin");
                    self.statements(nets, assign, depth - 1, text);
                    if self.rng.random_bool(0.5) {
                        let _ = writeln!(text, "end else begin");
                        self.statements(nets, assign, depth - 1, text);
                    }
                    let _ = writeln!(text, "end");
                }
                2 if depth > 0 => {
                    // Icarus 11 does not always extend a signed subject with its sign.
                    let subject = match self.rng.random_bool(0.5) {
                        true => format!("{{{}}}", self.part()),
                        false => format!("({} < {})", self.expression(1), self.expression(1)),
                    };
                    let _ = writeln!(text, "case ({subject})");
                    for n in 0..self.rng.random_range(1..7u32) {
                        let item = match self.rng.random_bool(0.8) {
                            true => format!("{n}"),
                            false => self.expression(1),
                        };
                        let _ = writeln!(text, "{item}: begin");
                        self.statements(nets, assign, depth - 1, text);
                        let _ = writeln!(text, "end");
                    }
                    if self.rng.random_bool(0.7) {
                        let _ = writeln!(text, "default: begin");
                        self.statements(nets, assign, depth - 1, text);
                        let _ = writeln!(text, "end");
                    }
                    let _ = writeln!(text, "endcase");
                }
                _ => {
                    let change = self.change(&net, assign, 2);
                    let _ = writeln!(text, "{change}");
                }
            }
        }
    }

    pub(crate) fn design(mut self, cycles: usize) -> Design {
        let mut inputs: Vec<Net> = (0..5).map(|n| self.net(format!("i{n}"))).collect();
        // The index of selects: its low bits never exceed a net by themselves.
        inputs[1].width = 6;
        inputs[1].signed = false;
        let registers: Vec<Net> = (0..4).map(|n| self.net(format!("r{n}"))).collect();
        let resettable = self.net("s0".into());
        let mut body = String::new();
        for r in registers.iter().chain([&resettable]) {
            let value = self.words(r.width.min(32))[0];
            let _ = writeln!(
                body,
                "{} = {}'h{value:x};",
                Self::declare(r, "reg"),
                r.width.min(32)
            );
        }
        let _ = writeln!(
            body,
            "reg [{}:0] memory [0:{}];\ninitial begin",
            MEMORY_WIDTH - 1,
            (1 << ADDRESS) - 1
        );
        for n in 0..1 << ADDRESS {
            let _ = writeln!(
                body,
                "memory[{n}] = {MEMORY_WIDTH}'d{};",
                self.rng.random_range(0..2000)
            );
        }
        body += "end\n";
        self.readable = [inputs.clone(), registers.clone(), vec![resettable.clone()]].concat();
        self.has_memory = true;

        // The first half of a block feeds a wire that feeds its second half: only slices of it can be put in order.
        let halves: Vec<Net> = (0..2).map(|n| self.net(format!("h{n}"))).collect();
        for h in &halves {
            let _ = writeln!(body, "{};", Self::declare(h, "reg"));
        }
        let between = self.net("w0".into());
        let mut first = String::new();
        let _ = writeln!(first, "h0 = i0 ^ {};", self.expression(2));
        self.statements(&halves[..1], "=", 2, &mut first);
        self.readable.push(halves[0].clone());
        let _ = writeln!(
            body,
            "{} = {};",
            Self::declare(&between, "wire"),
            self.expression(3)
        );
        self.readable.push(between);
        let mut second = String::new();
        let _ = writeln!(second, "h1 = i0 + {};", self.expression(2));
        self.readable.push(halves[1].clone());
        self.statements(&halves[1..], "=", 2, &mut second);
        let _ = writeln!(body, "always @(*) begin\n{first}{second}end");

        // Nets of one block, each read while others are still changed.
        let blocks: Vec<Net> = (0..3).map(|n| self.net(format!("c{n}"))).collect();
        let mut inner = String::new();
        for c in &blocks {
            let _ = writeln!(body, "{};", Self::declare(c, "reg"));
            let _ = writeln!(inner, "{} = i0 ^ {};", c.name, self.expression(3));
            self.readable.push(c.clone());
        }
        self.statements(&blocks, "=", 3, &mut inner);
        let _ = writeln!(body, "always @(*) begin\n{inner}end");

        let below = self.net("below".into());
        let _ = writeln!(
            body,
            "{};\nchild child(.a(i0), .b({{{}}}), .y(below));",
            Self::declare(&below, "wire"),
            self.part()
        );
        let (a, mut y) = (&inputs[0], self.net("y".into()));
        y.signed = false;
        let child = format!(
            "module child({}, {}, {});\nalways @(*) y = a + b;\nendmodule\n",
            Self::declare(
                &Net {
                    name: "a".into(),
                    ..a.clone()
                },
                "input wire"
            ),
            Self::declare(&self.net("b".into()), "input wire"),
            Self::declare(&y, "output reg"),
        );
        self.readable.push(below);

        for (n, clock) in [(0, "clock"), (2, "clock2")] {
            let mut inner = String::new();
            self.statements(&registers[n..n + 2], "<=", 3, &mut inner);
            let _ = writeln!(body, "always @(posedge {clock}) begin\n{inner}end");
        }
        let condition = self.expression(2);
        let _ = writeln!(
            body,
            "always @(posedge clock) if ({condition}) memory[i1[5:3]] <= {};",
            self.expression(2)
        );
        // Assigned once: a register that is assigned twice at an edge is both values for a moment, and that moment is an edge of its own.
        let _ = writeln!(
            body,
            "reg armed = 0;\nalways @(posedge clock) armed <= {};",
            self.expression(2)
        );
        let reset = ["i2[0]", "armed", "(i2[0] & armed)"][self.rng.random_range(0..3)];
        let mut inner = String::new();
        self.statements(std::slice::from_ref(&resettable), "<=", 2, &mut inner);
        let _ = writeln!(
            body,
            "wire reset = {reset};\nalways @(posedge clock2 or posedge reset) if (reset) s0 <= {}; else begin\n{inner}end",
            self.literal()
        );

        let mut outputs = vec![];
        for n in 0..6 {
            let net = self.net(format!("o{n}"));
            let _ = writeln!(body, "assign o{n} = {};", self.expression(4));
            outputs.push(net);
        }
        for net in registers.iter().chain([&resettable]).chain(&blocks) {
            let name = format!("see_{}", net.name);
            let _ = writeln!(body, "assign {name} = {};", net.name);
            outputs.push(Net {
                name,
                ..net.clone()
            });
        }
        let mut ports = vec![
            "input wire clock".to_owned(),
            "input wire clock2".to_owned(),
        ];
        ports.extend(inputs.iter().map(|i| Self::declare(i, "input wire")));
        ports.extend(outputs.iter().map(|o| Self::declare(o, "output wire")));
        let text = format!(
            "module dut({});\n{body}endmodule\n{child}",
            ports.join(",\n")
        );
        let steps = (0..cycles)
            .map(|_| Step {
                inputs: inputs
                    .iter()
                    .map(|i| (i.name.clone(), self.words(i.width)))
                    .collect(),
                clocks: (self.rng.random_bool(0.7), self.rng.random_bool(0.6)),
            })
            .collect();
        let named = |nets: &[Net]| nets.iter().map(|n| (n.name.clone(), n.width)).collect();
        Design {
            text,
            inputs: named(&inputs),
            outputs: named(&outputs),
            steps,
        }
    }
}
