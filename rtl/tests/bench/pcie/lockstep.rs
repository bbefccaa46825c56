//! Replays what the native simulation saw at a design's ports in its exported Verilog, under Icarus Verilog, cycle by cycle.
use ferrule_test_tools::have;
use rust_hdl::prelude::*;
use std::process::Command;

/// The values at the ports in each cycle, with the clock low and everything settled.
#[derive(Default)]
pub(crate) struct Trace {
    ports: Vec<Port>,
    stimuli: Vec<String>,
    wanted: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Port {
    name: String,
    bits: usize,
    driven: bool,
}

/// Visits the ports of the top block: names as in the Verilog.
#[derive(Default)]
struct Ports {
    depth: usize,
    path: Vec<String>,
    ports: Vec<(Port, String)>,
}

impl Probe for Ports {
    fn visit_start_scope(&mut self, _name: &str, _node: &dyn Block) {
        self.depth += 1;
    }
    fn visit_end_scope(&mut self, _name: &str, _node: &dyn Block) {
        self.depth -= 1;
    }
    fn visit_start_namespace(&mut self, name: &str, _node: &dyn Block) {
        self.path.push(name.to_owned());
    }
    fn visit_end_namespace(&mut self, _name: &str, _node: &dyn Block) {
        self.path.pop();
    }
    fn visit_atom(&mut self, name: &str, signal: &dyn Atom) {
        let driven = signal.kind() == AtomKind::InputParameter;
        if self.depth != 1 || !(driven || signal.kind() == AtomKind::OutputParameter) {
            return;
        }
        let mut path = self.path.clone();
        path.push(name.to_owned());
        let text = format!("{:x}", signal.verilog());
        let digits = text.rsplit('h').next().expect("a literal");
        let value = u64::from_str_radix(digits, 16).expect("a value of at most 64 bits");
        let bits = signal.bits();
        let port = Port {
            name: path.join("$"),
            bits,
            driven,
        };
        self.ports.push((port, format!("{value:0bits$b}")));
    }
}

impl Trace {
    /// Notes the ports of `top`, once a cycle.
    pub(crate) fn record(&mut self, top: &impl Block) {
        let mut probe = Ports::default();
        top.accept("top", &mut probe);
        let join = |driven: bool| {
            let of = probe
                .ports
                .iter()
                .filter(|(p, _)| p.driven == driven && p.name != "clock");
            of.map(|(_, v)| v.as_str()).collect::<String>()
        };
        self.stimuli.push(join(true));
        self.wanted.push(join(false));
        self.ports = probe.ports.into_iter().map(|(p, _)| p).collect();
    }

    /// The Verilog `text` of module `top` does the same.
    pub(crate) fn replay(&self, top: &str, text: &str) {
        if !have(&["iverilog"]) {
            return;
        }
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = |name: &str| dir.path().join(name);
        let width = |driven: bool| {
            let of = self
                .ports
                .iter()
                .filter(|p| p.driven == driven && p.name != "clock");
            of.map(|p| p.bits).sum::<usize>()
        };
        let (ins, outs) = (width(true), width(false));
        let mut wires = String::new();
        let (mut at_in, mut at_out) = (ins, outs);
        for p in self.ports.iter().filter(|p| p.name != "clock") {
            let (vector, at) = if p.driven {
                ("s", &mut at_in)
            } else {
                ("o", &mut at_out)
            };
            *at -= p.bits;
            wires += &format!(", .{}({vector}[{}:{}])", p.name, *at + p.bits - 1, *at);
        }
        let bench = format!(
            "module bench;
reg [{i}:0] stimuli[0:{n}]; reg [{o}:0] wanted[0:{n}]; reg [{i}:0] s; wire [{o}:0] o; reg clock; integer k;
{top} dut(.clock(clock){wires});
initial begin
  $readmemb(\"stimuli\", stimuli); $readmemb(\"wanted\", wanted); clock = 0; s = 0;
  for (k = 0; k <= {n}; k = k + 1) begin
    clock = 0; s = stimuli[k]; #5;
    if (o !== wanted[k]) begin $display(\"DIFFERS %0d %b\", k, o); $finish; end
    clock = 1; #5;
  end
  $display(\"SAME\"); $finish;
end
endmodule
",
            i = ins - 1,
            o = outs - 1,
            n = self.stimuli.len() - 1,
        );
        // Native memories start as zeros, those of the Verilog as X.
        let mut zeroed = String::new();
        for line in text.lines() {
            zeroed += &format!("{line}\n");
            if line.trim_start().starts_with("reg[") && line.contains("mem") {
                let last = line
                    .split("mem")
                    .nth(1)
                    .and_then(|l| l.split(['[', ':']).nth(1));
                let last = last.expect("the memory's range");
                zeroed += &format!("integer zero; initial for (zero = 0; zero <= {last}; zero = zero + 1) mem[zero] = 0;\n");
            }
        }
        std::fs::write(path("dut.v"), zeroed).expect("write");
        std::fs::write(path("bench.v"), bench).expect("write");
        std::fs::write(path("stimuli"), self.stimuli.join("\n")).expect("write");
        std::fs::write(path("wanted"), self.wanted.join("\n")).expect("write");
        let run = |program: &str, args: &[&str]| {
            let out = Command::new(program)
                .current_dir(dir.path())
                .args(args)
                .output();
            let out = out.unwrap_or_else(|e| panic!("{program}: {e}"));
            let log = String::from_utf8_lossy(&out.stderr).into_owned();
            assert!(out.status.success(), "{program} fails:\n{log}");
            String::from_utf8_lossy(&out.stdout).into_owned()
        };
        run(
            "iverilog",
            &["-g2005", "-o", "sim", "-s", "bench", "dut.v", "bench.v"],
        );
        let said = run("vvp", &["-n", "sim"]);
        if said.contains("SAME") {
            return;
        }
        let words: Vec<&str> = said.split_whitespace().collect();
        let [.., cycle, got] = words[..] else {
            panic!("vvp says: {said}");
        };
        let cycle: usize = cycle.parse().expect("a cycle");
        let mut differing = vec![];
        let mut at = 0;
        for p in self.ports.iter().filter(|p| !p.driven) {
            let (want, got) = (&self.wanted[cycle][at..at + p.bits], &got[at..at + p.bits]);
            if want != got {
                differing.push(format!("{}: native {want}, Verilog {got}", p.name));
            }
            at += p.bits;
        }
        panic!("cycle {cycle}: {}", differing.join("; "));
    }
}
