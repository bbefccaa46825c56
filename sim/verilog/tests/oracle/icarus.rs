//! Runs a design under Icarus Verilog.
use std::fmt::Write as _;
use std::process::Command;

use crate::designs::Design;

/// What a test bench around the design prints before each edge: `name=value` of every output.
pub(crate) fn run(design: &Design) -> Result<Vec<String>, String> {
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let (source, program) = (dir.path().join("bench.v"), dir.path().join("bench.vvp"));
    std::fs::write(&source, format!("{}\n{}", design.text, bench(design)))
        .map_err(|e| e.to_string())?;
    tool(
        Command::new("iverilog")
            .args(["-g2005", "-s", "bench", "-o"])
            .arg(&program)
            .arg(&source),
    )?;
    let printed = tool(Command::new("vvp").arg("-n").arg(&program))?;
    Ok(printed
        .lines()
        .filter(|l| l.contains('='))
        .map(|l| l.trim_end().to_owned())
        .collect())
}

fn tool(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn bench(design: &Design) -> String {
    let mut text = String::from("module bench;\n  reg clock = 0, clock2 = 0;\n");
    let mut connections = vec![".clock(clock)".to_owned(), ".clock2(clock2)".to_owned()];
    for (name, width) in &design.inputs {
        let _ = writeln!(text, "  reg [{}:0] {name};", width - 1);
        connections.push(format!(".{name}({name})"));
    }
    for (name, width) in &design.outputs {
        let _ = writeln!(text, "  wire [{}:0] {name};", width - 1);
        connections.push(format!(".{name}({name})"));
    }
    let _ = writeln!(
        text,
        "  dut dut({});\n  initial begin",
        connections.join(", ")
    );
    let formats: Vec<String> = design
        .outputs
        .iter()
        .map(|(name, _)| format!("{name}=%h"))
        .collect();
    let names: Vec<&str> = design
        .outputs
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    for step in &design.steps {
        for (name, words) in &step.inputs {
            let digits: String = words.iter().rev().map(|w| format!("{w:016x}")).collect();
            let _ = writeln!(text, "    {name} = {}'h{digits};", 64 * words.len());
        }
        let _ = writeln!(
            text,
            "    #1 $display(\"{}\", {});",
            formats.join(" "),
            names.join(", ")
        );
        let rises = match step.clocks {
            (true, true) => "{clock, clock2} = 2'b11",
            (true, false) => "clock = 1",
            (false, true) => "clock2 = 1",
            (false, false) => "clock = 0",
        };
        let _ = writeln!(text, "    {rises}; #1 {{clock, clock2}} = 2'b00;");
    }
    text + "    $finish;\n  end\nendmodule\n"
}
