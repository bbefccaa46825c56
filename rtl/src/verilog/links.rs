//! The nets that a module joins whole: ports of its own with ports of its children, and children with each other.
use std::collections::{HashMap, HashSet};

use rust_hdl::core::ast::{VerilogLink, VerilogLinkDetails};
use rust_hdl::core::verilog_gen::verilog_link_extraction;
use rust_hdl::prelude::*;

use super::modules::Module;

/// The links of one module, by the nets that they join.
///
/// A child's net that is linked to a port of the module needs no net of its own: the instance is attached to the port.
#[derive(Default)]
pub(super) struct Links {
    /// What the first link of a net joins it with.
    partner: HashMap<String, String>,
    /// Nets that some link joins with a port of the module.
    at_port: HashSet<String>,
    /// The links that do not touch a port of the module, as statements.
    pub(super) statements: Vec<String>,
}

impl Links {
    /// The links of `module`.
    pub(super) fn of(module: &Module) -> Self {
        let Verilog::Combinatorial(code) = &module.code else {
            return Self::default();
        };
        let found = verilog_link_extraction(code);
        let ports: HashSet<&str> = module.ports.iter().map(|p| p.name.as_str()).collect();
        let mut links = Self::default();
        for link in &found {
            let (driven, driver) = ends(link);
            let ended = [&driven, &driver].map(|net| ports.contains(net.as_str()));
            if ended == [false; 2] {
                links.statements.push(statement(link, &driven, &driver));
            }
            for (net, other, other_is_port) in
                [(&driven, &driver, ended[1]), (&driver, &driven, ended[0])]
            {
                links
                    .partner
                    .entry(net.clone())
                    .or_insert_with(|| other.clone());
                if other_is_port {
                    links.at_port.insert(net.clone());
                }
            }
        }
        links
    }

    /// Whether `stub` gives way to a port of the module.
    pub(super) fn replaces(&self, stub: &str) -> bool {
        self.at_port.contains(stub)
    }

    /// What the first link of `net` joins it with.
    pub(super) fn partner(&self, net: &str) -> Option<&str> {
        self.partner.get(net).map(String::as_str)
    }
}

/// The two nets of a link: the driven one and its driver.
fn ends(link: &VerilogLink) -> (String, String) {
    let owner = |l: &VerilogLinkDetails| field(&l.owner_name, &l.my_name);
    let other = |l: &VerilogLinkDetails| field(&l.other_name, &l.my_name);
    match link {
        VerilogLink::Forward(l) => (other(l), owner(l)),
        VerilogLink::Backward(l) => (owner(l), other(l)),
        VerilogLink::Bidirectional(l) if l.my_name.is_empty() => {
            (l.owner_name.clone(), l.other_name.clone())
        }
        VerilogLink::Bidirectional(l) => (owner(l), other(l)),
    }
}

/// The net of `field` in the interface `of`.
fn field(of: &str, field: &str) -> String {
    format!("{of}${field}")
}

/// The statement that does what a link says.
fn statement(link: &VerilogLink, driven: &str, driver: &str) -> String {
    // rust-hdl has resolved the first index of a name; those of an array within an array are left.
    let flat = |net: &str| net.replace('[', "$").replace(']', "");
    match link {
        VerilogLink::Bidirectional(_) => format!("assign {driven} = {driver};"),
        VerilogLink::Forward(_) | VerilogLink::Backward(_) => {
            format!("always @(*) {} = {};", flat(driven), flat(driver))
        }
    }
}
