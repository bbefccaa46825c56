//! Modules as Verilog text.
use std::collections::HashSet;

use rust_hdl::core::verilog_gen::verilog_combinatorial;
use rust_hdl::prelude::*;

use super::links::Links;
use super::modules::{stub_name, Child, Module, Modules, Net};

/// The text of all modules by path, then that of cells from elsewhere.
pub(super) fn verilog(modules: &Modules) -> String {
    let mut text = Text::default();
    for (path, module) in modules {
        if !matches!(module.code, Verilog::Blackbox(_)) {
            write_module(&mut text, path, module, modules);
        }
    }
    for module in modules.values() {
        match &module.code {
            Verilog::Blackbox(cell) => text.add(&cell.code),
            Verilog::Wrapper(wrapper) => text.add(&wrapper.cores),
            Verilog::Combinatorial(_) | Verilog::Custom(_) | Verilog::Empty => {}
        }
    }
    text.written
}

/// Text with indentation.
#[derive(Default)]
struct Text {
    written: String,
    depth: usize,
}

impl Text {
    /// Adds lines; the line end of the last one may be missing.
    fn add(&mut self, lines: &str) {
        for line in lines.split_terminator('\n') {
            for _ in 0..self.depth {
                self.written.push_str("    ");
            }
            self.written.push_str(line);
            self.written.push('\n');
        }
    }

    /// Adds the title of a section.
    fn title(&mut self, title: &str) {
        self.add(&format!("\n// {title}"));
    }

    /// Adds a section with what `lines` says of each item, if there are any.
    fn section<T>(&mut self, title: &str, items: &[T], lines: impl Fn(&T) -> Option<String>) {
        if items.is_empty() {
            return;
        }
        self.title(title);
        for text in items.iter().filter_map(lines) {
            self.add(&text);
        }
    }
}

/// Adds the module at `path`.
fn write_module(text: &mut Text, path: &str, module: &Module, all: &Modules) {
    let links = Links::of(module);
    let wrapper = matches!(module.code, Verilog::Wrapper(_));
    if wrapper {
        text.add("\n// v-- Setting output parameters to net type for wrapped code.");
    }
    let names: Vec<&str> = module.ports.iter().map(|p| p.name.as_str()).collect();
    text.add(&format!("\n\nmodule {path}({});", names.join(",")));
    text.depth += 1;
    let from_children = ports_of_children(module, &links, all);
    text.section("Module arguments", &module.ports, |p| {
        // A port that an instance drives may not be a register.
        let driven_inside = wrapper || from_children.contains(p.name.as_str());
        Some(declaration(p, driven_inside))
    });
    text.section("Constant declarations", &module.constants, |c| {
        Some(declaration(c, false))
    });
    if !wrapper {
        text.section("Enums", &module.variants, |(name, code)| {
            Some(format!("localparam {} = {code};", name.replace("::", "$")))
        });
        text.section("Stub signals", &module.stubs, |s| {
            (!links.replaces(&s.name)).then(|| declaration(s, false))
        });
        text.section("Local signals", &module.locals, |l| {
            Some(declaration(l, false))
        });
        text.section("Sub module instances", &module.children, |child| {
            Some(instance(child, &all[&child.path], &links))
        });
    }
    match &module.code {
        Verilog::Combinatorial(code) => {
            text.title("Update code");
            text.add(&verilog_combinatorial(code));
        }
        Verilog::Custom(code) => {
            text.title("Update code (custom)");
            text.add(code);
        }
        Verilog::Wrapper(wrapper) => {
            text.title("Update code (wrapper)");
            text.add(&wrapper.code);
        }
        Verilog::Blackbox(_) | Verilog::Empty => {}
    }
    for statement in &links.statements {
        text.add(statement);
    }
    text.depth -= 1;
    text.add(&format!("endmodule // {path}"));
}

/// The nets that instances in `module` are attached to in place of nets of their own.
fn ports_of_children<'a>(module: &Module, links: &'a Links, all: &Modules) -> HashSet<&'a str> {
    module
        .children
        .iter()
        .flat_map(|child| {
            all[&child.path]
                .ports
                .iter()
                .filter_map(|port| links.partner(&stub_name(&child.name, &port.name)))
        })
        .collect()
}

/// The declaration of a net; an output that is `driven_inside` by an instance or foreign code is a wire.
fn declaration(net: &Net, driven_inside: bool) -> String {
    let signed = if net.signed { "signed" } else { "" };
    let class = match net.kind {
        AtomKind::InputParameter => "input wire",
        AtomKind::OutputParameter if driven_inside => "output wire",
        AtomKind::OutputParameter => "output reg",
        AtomKind::OutputPassthrough => "output wire",
        AtomKind::InOutParameter => "inout wire",
        AtomKind::StubInputSignal | AtomKind::LocalSignal => "reg",
        AtomKind::StubOutputSignal => "wire",
        AtomKind::Constant => "localparam",
    };
    let name = &net.name;
    match (&net.value, net.bits) {
        (Some(value), _) => format!("{class} {signed} {name} = {value};"),
        (None, 1) => format!("{class} {signed} {name};"),
        (None, bits) => format!("{class} {signed} [{}:0] {name};", bits - 1),
    }
}

/// The instance `child` of `module`, attached to nets of its own or, where `links` say so, to ports of its parent.
fn instance(child: &Child, module: &Module, links: &Links) -> String {
    let cell = match &module.code {
        Verilog::Blackbox(cell) => &cell.name,
        _ => &child.path,
    };
    let connections = module.ports.iter().map(|port| {
        let stub = stub_name(&child.name, &port.name);
        let net = match links.partner(&stub) {
            Some(partner) if links.replaces(&stub) => partner,
            _ => &stub,
        };
        format!("    .{}({net})", port.name)
    });
    let mut lines = vec![format!("{cell} {}(", child.name)];
    if !module.ports.is_empty() {
        lines.push(connections.collect::<Vec<_>>().join(",\n"));
    }
    lines.push(");".into());
    lines.join("\n")
}
