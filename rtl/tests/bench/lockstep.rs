//! Plays what a native simulation saw back to the exported Verilog in Icarus Verilog: every output must be the same at every instant.
use ferrule_rtl::verilog::emit;
use ferrule_test_tools::have;
use rust_hdl::prelude::*;
use std::fmt::Write;
use std::process::Command;

/// The values at a design's ports, instant by instant, with its clocks low and everything settled.
#[derive(Default)]
pub(crate) struct Trace {
    ports: Vec<Port>,
    rows: Vec<Row>,
}

struct Port {
    name: String,
    bits: usize,
    role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Clock,
    Input,
    Output,
}

/// Binary digits, ports in the order of the block.
#[derive(Default)]
struct Row {
    /// The clocks that rise after this instant.
    rises: String,
    inputs: String,
    outputs: String,
    /// Ones where an output counts.
    cares: String,
}

/// What the memories of the Verilog hold at the start; the native ones read zero.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Memories {
    Zero,
    Unknown,
}

/// Walks the ports of the top block; names as in the Verilog.
struct Walk<R, C> {
    rises: R,
    counts: C,
    depth: usize,
    path: Vec<String>,
    ports: Vec<Port>,
    row: Row,
}

impl<R: Fn(&str) -> bool, C: Fn(&str) -> bool> Probe for Walk<R, C> {
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
        let input = signal.kind() == AtomKind::InputParameter;
        if self.depth != 1 || !(input || signal.kind() == AtomKind::OutputParameter) {
            return;
        }
        let above = self.path.iter().map(String::as_str);
        let name = above.chain([name]).collect::<Vec<_>>().join("$");
        let bits = signal.bits();
        let role = if input && (name == "clock" || name.ends_with("_clk")) {
            self.row.rises += if (self.rises)(&name) { "1" } else { "0" };
            Role::Clock
        } else {
            // Written as WIDTH'hDIGITS.
            let text = format!("{:x}", signal.verilog());
            let digits = text.rsplit('h').next().expect("a literal");
            let value = u64::from_str_radix(digits.trim(), 16)
                .unwrap_or_else(|e| panic!("port {name} = {text}: {e}"));
            let row = if input {
                &mut self.row.inputs
            } else {
                let care = if (self.counts)(&name) { "1" } else { "0" };
                self.row.cares += &care.repeat(bits);
                &mut self.row.outputs
            };
            write!(row, "{value:0bits$b}").expect("a string");
            if input {
                Role::Input
            } else {
                Role::Output
            }
        };
        self.ports.push(Port { name, bits, role });
    }
}

impl Trace {
    /// Notes the ports of `design`; then all its clocks rise.
    pub(crate) fn record(&mut self, design: &impl Block) {
        self.record_where(design, |_| true, |_| true);
    }

    /// The same, where only some clocks rise and only some outputs mean anything in this instant.
    pub(crate) fn record_where(
        &mut self,
        design: &impl Block,
        rises: impl Fn(&str) -> bool,
        counts: impl Fn(&str) -> bool,
    ) {
        let mut walk = Walk {
            rises,
            counts,
            depth: 0,
            path: vec![],
            ports: vec![],
            row: Row::default(),
        };
        design.accept("top", &mut walk);
        self.ports = walk.ports;
        self.rows.push(walk.row);
    }

    /// Runs the Verilog of a fresh `B` through the same inputs.
    ///
    /// # Panics
    /// If an output differs.
    pub(crate) fn check<B: Block + Default>(&self, top: &str) {
        self.expect_same::<B>(top, Memories::Zero);
    }

    /// The same with memories of which nothing is known: no output that counts may depend on what was never written.
    pub(crate) fn check_with_unknown_memories<B: Block + Default>(&self, top: &str) {
        self.expect_same::<B>(top, Memories::Unknown);
    }

    fn expect_same<B: Block + Default>(&self, top: &str, memories: Memories) {
        if have(&["iverilog"]) {
            let text = emit::<B>(top).expect("emits");
            if let Err(e) = self.compare(top, &text, memories) {
                panic!("{top}: {e}");
            }
        }
    }

    fn width(&self, role: Role) -> usize {
        let of = self.ports.iter().filter(|p| p.role == role);
        of.map(|p| p.bits).sum()
    }

    /// Whether module `top` of `text` does the same; if not, what differs first.
    fn compare(&self, top: &str, text: &str, memories: Memories) -> Result<(), String> {
        assert!(!self.rows.is_empty(), "nothing was recorded");
        let dir = tempfile::tempdir().expect("temporary folder");
        let write = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).expect("write");
        };
        match memories {
            Memories::Zero => write("dut.v", &with_clear_memories(text)),
            Memories::Unknown => write("dut.v", text),
        }
        write("lockstep.v", &self.testbench(top));
        let rows = self.rows.iter();
        let rows = rows.map(|r| [&r.rises, &*r.inputs, &r.outputs, &r.cares].concat() + "\n");
        write("rows", &rows.collect::<String>());
        let run = |program: &str, args: &[&str]| {
            let out = Command::new(program)
                .current_dir(dir.path())
                .args(args)
                .output()
                .unwrap_or_else(|e| panic!("{program}: {e}"));
            let log = String::from_utf8_lossy(&out.stderr).into_owned();
            assert!(out.status.success(), "{program} fails:\n{log}");
            String::from_utf8_lossy(&out.stdout).into_owned()
        };
        let files = ["dut.v", "lockstep.v"];
        run(
            "iverilog",
            &[&["-g2005", "-o", "sim", "-s", "lockstep"][..], &files].concat(),
        );
        let said = run("vvp", &["-n", "sim"]);
        let last = said.lines().last().unwrap_or_default();
        match last.split_whitespace().collect::<Vec<_>>()[..] {
            ["SAME"] => Ok(()),
            ["DIFFERS", instant, got] => {
                Err(self.difference(instant.parse().expect("a number"), got))
            }
            _ => panic!("vvp says: {said}"),
        }
    }

    fn difference(&self, instant: usize, got: &str) -> String {
        let row = &self.rows[instant];
        let mut at = 0;
        let mut text = format!("instant {instant}:");
        for p in self.ports.iter().filter(|p| p.role == Role::Output) {
            let of = at..at + p.bits;
            at += p.bits;
            let (want, got) = (&row.outputs[of.clone()], &got[of.clone()]);
            if want != got && row.cares[of].contains('1') {
                write!(text, " {} is {got}, native {want};", p.name).expect("a string");
            }
        }
        text
    }

    fn testbench(&self, top: &str) -> String {
        let mut pins = vec![];
        for (role, vector) in [
            (Role::Clock, "clocks"),
            (Role::Input, "stimulus"),
            (Role::Output, "got"),
        ] {
            let mut at = self.width(role);
            for p in self.ports.iter().filter(|p| p.role == role) {
                at -= p.bits;
                let upper = at + p.bits - 1;
                pins.push(format!(".{}({vector}[{upper}:{at}])", p.name));
            }
        }
        let [c, i, o] = [Role::Clock, Role::Input, Role::Output].map(|r| self.width(r));
        format!(
            "module lockstep;
reg [{all}-1:0] rows [0:{n}-1];
reg [{c}-1:0] rises, clocks; reg [{i}-1:0] stimulus; reg [{o}-1:0] want, care; wire [{o}-1:0] got;
integer k;
{top} dut({pins});
initial begin
  $readmemb(\"rows\", rows);
  for (k = 0; k < {n}; k = k + 1) begin
    clocks = 0; {{rises, stimulus, want, care}} = rows[k]; #1;
    if (((got ^ want) & care) !== 0) begin $display(\"DIFFERS %0d %b\", k, got); $finish; end
    clocks = rises; #1;
  end
  if (k == {n}) $display(\"SAME\");
  $finish;
end
endmodule
",
            all = c + i + 2 * o,
            n = self.rows.len(),
            pins = pins.join(", "),
        )
    }
}

/// Native memories and their outputs read zero before the first write; those of the Verilog are undefined there.
fn with_clear_memories(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        out += line;
        out.push('\n');
        let range = line.trim().split(" mem[").nth(1);
        if let Some(top) = range.and_then(|r| r.strip_suffix(":0];")) {
            writeln!(
                out,
                "integer clear; initial read_data = 0; initial for (clear = 0; clear <= {top}; clear = clear + 1) mem[clear] = 0;"
            )
            .expect("a string");
        }
    }
    out
}

/// Two registers in a row with an output that means something when `valid` is high.
#[derive(LogicBlock, Default)]
struct Sample {
    clock: Signal<In, Clock>,
    other_clk: Signal<In, Clock>,
    data: Signal<In, Bits<4>>,
    valid: Signal<Out, Bit>,
    delayed: Signal<Out, Bits<4>>,
    ram: RAM<Bits<4>, 2>,
    first: DFF<Bits<4>>,
    second: DFF<Bits<4>>,
}

impl Logic for Sample {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, first);
        dff_setup!(self, other_clk, second);
        self.ram.read_clock.next = self.clock.val();
        self.ram.write_clock.next = self.clock.val();
        self.ram.read_address.next = 1.into();
        self.ram.write_address.next = 0.into();
        self.ram.write_data.next = self.data.val();
        self.ram.write_enable.next = true;
        self.first.d.next = self.data.val();
        self.second.d.next = self.first.q.val();
        self.valid.next = self.second.q.val().any();
        self.delayed.next = self.second.q.val() ^ self.ram.read_data.val();
    }
}

/// A run of `Sample`, whose `other_clk` rises every third time, and in which `delayed` counts where `counts` says so.
fn sample(counts: impl Fn(&Sample) -> bool) -> Trace {
    let mut dut = ferrule_rtl::native::Native::<Sample>::default();
    let mut trace = Trace::default();
    for k in 0..40_u64 {
        dut.u.clock.next = false.into();
        dut.u.other_clk.next = false.into();
        dut.u.data.next = (k * 7 % 16).into();
        dut.settle();
        let counted = counts(&dut.u);
        trace.record_where(
            &*dut.u,
            |clock| clock == "clock" || k % 3 == 0,
            |port| port != "delayed" || counted,
        );
        dut.u.clock.next = true.into();
        dut.u.other_clk.next = (k % 3 == 0).into();
        dut.settle();
    }
    trace
}

#[test]
fn one_wrong_bit_is_found_at_its_instant_and_only_where_it_counts() {
    if !have(&["iverilog"]) {
        return;
    }
    let text = emit::<Sample>("sample").expect("emits");
    let mut trace = sample(|_| true);
    assert_eq!(trace.compare("sample", &text, Memories::Zero), Ok(()));
    let output = &mut trace.rows[33].outputs;
    assert!(output.starts_with('1'));
    output.replace_range(..1, "0");
    assert_eq!(
        trace.compare("sample", &text, Memories::Zero),
        Err("instant 33: valid is 1, native 0;".into())
    );
    trace.rows[33].cares.replace_range(..1, "0");
    assert_eq!(trace.compare("sample", &text, Memories::Zero), Ok(()));
}

#[test]
fn a_memory_that_was_never_written_is_found() {
    if !have(&["iverilog"]) {
        return;
    }
    let text = emit::<Sample>("sample").expect("emits");
    let unknown = sample(|_| true).compare("sample", &text, Memories::Unknown);
    let e = unknown.expect_err("the memory's output counts");
    assert!(e.contains("delayed is xxxx"), "{e}");
    let hidden = sample(|_| false).compare("sample", &text, Memories::Unknown);
    assert_eq!(hidden, Ok(()));
}
