//! The exported Verilog, to say of a point where it is: modules are named after their place in the design, and registers and memories,
//! which are modules of their own there, belong to the module that has them.
use std::collections::BTreeMap;

/// The Verilog.
pub(super) struct Design {
    lines: Vec<String>,
    /// Name and ports of each module.
    modules: BTreeMap<String, String>,
    top: String,
}

impl Design {
    /// Of a text whose uppermost module is `top`.
    pub(super) fn new(text: &str, top: &str) -> Self {
        let lines: Vec<String> = text.lines().map(|l| l.trim().to_owned()).collect();
        let modules = lines.iter().filter_map(|line| {
            let (name, ports) = line.strip_prefix("module ")?.split_once('(')?;
            Some((name.to_owned(), ports.to_owned()))
        });
        Self {
            modules: modules.collect(),
            lines,
            top: top.to_owned(),
        }
    }

    /// Whether a module is a register, a memory or something else of the library, without logic of its own.
    fn is_cell(&self, module: &str) -> bool {
        self.modules.get(module).is_some_and(|ports| {
            let ports = ports.trim_end_matches(");");
            ["d,q,clock", "clock,d,q", "address,clock,data", "x,y"].contains(&ports)
                || ports.starts_with("read_address,read_clock")
        })
    }

    /// Where a module's points belong: the place in the design, such as `host.regs`, and what comes before their names.
    pub(super) fn place(&self, module: &str) -> (String, String) {
        let path = |module: &str| match module.strip_prefix(&self.top) {
            Some(rest) => rest.trim_start_matches('$').replace('$', "."),
            None => module.replace('$', "."),
        };
        let mut of = module;
        while self.is_cell(of) {
            // Of an array of cells the number is no module.
            match of.rsplit_once('$') {
                Some((rest, _)) if self.modules.contains_key(rest) => of = rest,
                Some((rest, _)) => match rest.rsplit_once('$') {
                    Some((rest, _)) if self.modules.contains_key(rest) => of = rest,
                    _ => break,
                },
                None => break,
            }
        }
        let within = path(module[of.len()..].trim_start_matches('$'));
        let place = path(of);
        let place = if place.is_empty() {
            "nic".into()
        } else {
            place
        };
        (place, within)
    }

    /// A line of the text, counted from 1.
    pub(super) fn line(&self, number: usize) -> &str {
        let line = number.checked_sub(1).and_then(|n| self.lines.get(n));
        line.map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_belong_to_the_module_that_has_them() {
        let text = "module top(clock,d);\nmodule top$host(clock);\n  x = 1;\nmodule top$host$r(d,q,clock);\nmodule top$host$many$3(d,q,clock);\n\
                    module top$host$mem(read_address,read_clock,read_data);\n";
        let design = Design::new(text, "top");
        let place = |module| {
            let (place, within) = design.place(module);
            format!("{place} {within}")
        };
        assert_eq!(place("top"), "nic ");
        assert_eq!(place("top$host"), "host ");
        assert_eq!(place("top$host$r"), "host r");
        assert_eq!(place("top$host$many$3"), "host many.3");
        assert_eq!(place("top$host$mem"), "host mem");
        assert_eq!(design.line(3), "x = 1;");
        assert_eq!(design.line(0), "");
    }
}
