//! Plays what a native simulation saw back to the exported Verilog in Icarus Verilog: every output must be the same in every cycle.
use ferrule_rtl::verilog::emit;
use ferrule_test_tools::have;
use rust_hdl::prelude::*;
use std::fmt::Write;
use std::process::Command;

/// The values at a design's ports, cycle by cycle.
#[derive(Default)]
pub(crate) struct Replay {
    ports: Vec<Port>,
    /// Inputs and outputs of each cycle as binary digits.
    cycles: Vec<(String, String)>,
}

struct Port {
    name: String,
    bits: usize,
    input: bool,
}

/// Walks the ports of the top block.
#[derive(Default)]
struct Walk {
    depth: usize,
    path: Vec<String>,
    ports: Vec<Port>,
    inputs: String,
    outputs: String,
}

impl Probe for Walk {
    fn visit_start_scope(&mut self, _name: &str, _node: &dyn Block) {
        self.depth += 1;
    }
    fn visit_end_scope(&mut self, _name: &str, _node: &dyn Block) {
        self.depth -= 1;
    }
    fn visit_start_namespace(&mut self, name: &str, _node: &dyn Block) {
        self.path.push(name.to_string());
    }
    fn visit_end_namespace(&mut self, _name: &str, _node: &dyn Block) {
        self.path.pop();
    }
    fn visit_atom(&mut self, name: &str, signal: &dyn Atom) {
        let input = match signal.kind() {
            AtomKind::InputParameter => true,
            AtomKind::OutputParameter => false,
            _ => return,
        };
        if self.depth != 1 || name == "clock" {
            return;
        }
        let bits = signal.bits();
        // Written as WIDTH'hDIGITS.
        let text = format!("{:x}", signal.verilog());
        let digits = text.rsplit('h').next().expect("a literal");
        let value = u64::from_str_radix(digits.trim(), 16)
            .unwrap_or_else(|e| panic!("port {name} = {text}: {e}"));
        let line = if input {
            &mut self.inputs
        } else {
            &mut self.outputs
        };
        write!(line, "{value:0bits$b}").expect("a string");
        let name = self
            .path
            .iter()
            .map(String::as_str)
            .chain([name])
            .collect::<Vec<_>>()
            .join("$");
        self.ports.push(Port { name, bits, input });
    }
}

impl Replay {
    /// Notes the ports of `design`, which has settled with its clock low.
    pub(crate) fn record<B: Block>(&mut self, design: &B) {
        let mut walk = Walk::default();
        design.accept("top", &mut walk);
        self.ports = walk.ports;
        self.cycles.push((walk.inputs, walk.outputs));
    }

    /// Runs the Verilog of a fresh `B` through the same inputs.
    ///
    /// # Panics
    /// If an output differs.
    pub(crate) fn check<B: Block + Default>(&self, top: &str) {
        if !have(&["iverilog"]) {
            return;
        }
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = |name: &str| dir.path().join(name);
        let write = |name: &str, text: String| std::fs::write(path(name), text).expect("write");
        write(
            "dut.v",
            with_clear_memories(&emit::<B>(top).expect("emits")),
        );
        let column = |pick: fn(&(String, String)) -> &String| {
            self.cycles
                .iter()
                .map(pick)
                .fold(String::new(), |text, line| text + line + "\n")
        };
        write("in.txt", column(|c| &c.0));
        write("out.txt", column(|c| &c.1));
        write("bench.v", self.bench(top));
        let compiled = Command::new("iverilog")
            .args(["-g2012", "-o"])
            .args([path("bench"), path("bench.v"), path("dut.v")])
            .output()
            .expect("iverilog runs");
        assert!(
            compiled.status.success(),
            "{}",
            String::from_utf8_lossy(&compiled.stderr)
        );
        let ran = Command::new("vvp")
            .arg(path("bench"))
            .current_dir(dir.path())
            .output()
            .expect("vvp runs");
        let log = String::from_utf8_lossy(&ran.stdout);
        assert!(
            log.contains("SAME"),
            "{top}: native and Verilog differ:\n{log}"
        );
    }

    fn bench(&self, top: &str) -> String {
        let width = |input: bool| -> usize {
            self.ports
                .iter()
                .filter(|p| p.input == input)
                .map(|p| p.bits)
                .sum()
        };
        let (ins, outs, cycles) = (width(true), width(false), self.cycles.len());
        let (mut at_in, mut at_out) = (ins, outs);
        let mut connections = String::from(".clock(clock)");
        let mut report = String::new();
        for port in &self.ports {
            let (vector, at) = if port.input {
                ("stim", &mut at_in)
            } else {
                ("got", &mut at_out)
            };
            *at -= port.bits;
            let slice = format!("[{}:{}]", *at + port.bits - 1, *at);
            write!(connections, ", .{}({vector}{slice})", port.name).expect("a string");
            if !port.input {
                writeln!(
                    report,
                    "if (got{slice} !== want{slice}) $display(\"cycle %0d: {} is %h, native %h\", i, got{slice}, want{slice});",
                    port.name
                )
                .expect("a string");
            }
        }
        format!(
            "module bench;
reg clock = 0; integer i;
reg [{ins}-1:0] stim; reg [{outs}-1:0] want; wire [{outs}-1:0] got;
reg [{ins}-1:0] ins [0:{cycles}-1]; reg [{outs}-1:0] outs [0:{cycles}-1];
{top} dut({connections});
initial begin
  $readmemb(\"in.txt\", ins); $readmemb(\"out.txt\", outs);
  for (i = 0; i < {cycles}; i = i + 1) begin
    stim = ins[i]; want = outs[i]; #1;
    if (got !== want) begin
{report}
      $finish;
    end
    clock = 1; #1; clock = 0; #1;
  end
  if (i == {cycles}) $display(\"SAME\");
end
endmodule
"
        )
    }
}

/// The native memories and their outputs read zero before the first write; those of the Verilog are undefined there.
fn with_clear_memories(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        out += line;
        out.push('\n');
        if let Some(rest) = line.trim().split(" mem[").nth(1) {
            if let Some(top) = rest.strip_suffix(":0];") {
                writeln!(
                    out,
                    "integer clear; initial read_data = 0; initial for (clear = 0; clear <= {top}; clear = clear + 1) mem[clear] = 0;"
                )
                .expect("a string");
            }
        }
    }
    out
}

/// All registers of a design, to see whether any changes.
pub(crate) fn registers<B: Block>(design: &B) -> Vec<String> {
    #[derive(Default)]
    struct All(Vec<String>);
    impl Probe for All {
        fn visit_atom(&mut self, name: &str, signal: &dyn Atom) {
            if name == "q" {
                self.0.push(format!("{:x}", signal.verilog()));
            }
        }
    }
    let mut all = All::default();
    design.accept("top", &mut all);
    all.0
}
