//! A checker bound to the module under test, as SystemVerilog's `bind` would with `.*`, which yosys does not read.
//!
//! Each port of a checker is an input that has the name of a net of the module under test; `\child.net ` is a net of an instance in it.
use super::error::FormalError;

/// A port of a checker.
#[derive(Debug, PartialEq)]
struct Port {
    range: String,
    name: String,
}

/// `text` without what follows `//`.
fn without_comments(text: &str) -> String {
    let code = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    text.lines().map(code).collect::<Vec<_>>().join("\n")
}

/// The ports of the module `name` in `checker`.
fn ports(name: &'static str, checker: &str) -> Result<Vec<Port>, FormalError> {
    let wrong = |reason: String| FormalError::Checker { name, reason };
    let code = without_comments(checker);
    let header = code
        .split_once(&format!("module {name}("))
        .and_then(|(_, rest)| rest.split_once(");"))
        .map(|(header, _)| header)
        .ok_or_else(|| wrong(format!("no `module {name}(`")))?;
    header
        .split(',')
        .map(|port| {
            let rest = port
                .trim()
                .strip_prefix("input ")
                .ok_or_else(|| wrong(format!("`{}` is no input", port.trim())))?
                .trim();
            let (range, net) = match rest.split_once(']') {
                Some((range, net)) => (format!("{range}]"), net.trim()),
                None => (String::new(), rest),
            };
            match net.contains(char::is_whitespace) || net.is_empty() {
                true => Err(wrong(format!("`{}`", port.trim()))),
                false => Ok(Port {
                    range,
                    name: net.into(),
                }),
            }
        })
        .collect()
}

/// The Verilog of `design`, whose top module is `top`, with an instance of `checker` in that module.
pub(super) fn bind(
    design: &str,
    top: &'static str,
    name: &'static str,
    checker: &str,
) -> Result<String, FormalError> {
    let end = format!("endmodule // {top}\n");
    let (before, after) = design
        .split_once(&end)
        .ok_or_else(|| FormalError::Checker {
            name,
            reason: format!("the export has no module {top}"),
        })?;
    let ports = ports(name, checker)?;
    let mut bound = format!("`default_nettype none\n{before}");
    // yosys joins such a wire with the net of the instance when it flattens the design.
    for port in ports.iter().filter(|p| p.name.starts_with('\\')) {
        bound += &format!("    (* hierconn *) wire {} {} ;\n", port.range, port.name);
    }
    let connections: Vec<_> = ports
        .iter()
        .map(|p| format!("        .{0} ({0} )", p.name))
        .collect();
    bound += &format!(
        "    {name} bound(\n{}\n    );\n{end}{after}",
        connections.join(",\n")
    );
    Ok(bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKER: &str = "// Says what.\nmodule c(\n    input clock, // of all\n    input [3:0] wr$q,\n    input [4:0] \\ram.first \n);\nendmodule\n";

    #[test]
    fn each_port_watches_the_net_of_its_name() {
        let bound = bind("module t(clock);\nendmodule // t\n", "t", "c", CHECKER).expect("binds");
        assert!(bound.contains(".clock (clock )"), "{bound}");
        assert!(bound.contains(".wr$q (wr$q )"), "{bound}");
        assert!(
            bound.contains("(* hierconn *) wire [4:0] \\ram.first ;"),
            "{bound}"
        );
        assert!(bound.ends_with(");\nendmodule // t\n"), "{bound}");
    }

    #[test]
    fn what_is_no_input_is_refused() {
        for header in ["output x", "input [1:0]", "input a b", "x"] {
            let checker = format!("module c({header});");
            assert!(ports("c", &checker).is_err(), "{header}");
        }
        assert!(ports("d", CHECKER).is_err());
    }
}
