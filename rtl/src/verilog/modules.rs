//! The modules of a design, as one walk through it finds them.
use std::collections::BTreeMap;

use rust_hdl::prelude::*;

use super::indices;

/// All modules by path: the names from the top down with `$` between them. A module is written for each instance.
pub(super) type Modules = BTreeMap<String, Module>;

/// One module before it is written.
#[derive(Default)]
pub(super) struct Module {
    /// Its arguments.
    pub(super) ports: Vec<Net>,
    /// For each port of a child the net that it is attached to.
    pub(super) stubs: Vec<Net>,
    /// Its constants.
    pub(super) constants: Vec<Net>,
    /// Its local signals.
    pub(super) locals: Vec<Net>,
    /// Values of the enumerations that its signals and its children's ports have, each once: `Type::Variant` and its code.
    pub(super) variants: Vec<(String, usize)>,
    /// Its instances.
    pub(super) children: Vec<Child>,
    /// What it does.
    pub(super) code: Verilog,
}

/// One instance in a module.
pub(super) struct Child {
    /// Name in the parent.
    pub(super) name: String,
    /// Path of its module.
    pub(super) path: String,
}

/// A signal or constant of a module.
#[derive(Clone)]
pub(super) struct Net {
    /// Name in the module; fields of an interface have `$` between interface and field.
    pub(super) name: String,
    /// What it is to the module.
    pub(super) kind: AtomKind,
    /// Width in bits.
    pub(super) bits: usize,
    /// Whether it is of a signed type.
    pub(super) signed: bool,
    /// The value, of a constant.
    pub(super) value: Option<VerilogLiteral>,
}

/// The modules of `design`, whose top module is called `top`.
pub(super) fn collect(top: &str, design: &dyn Block) -> Modules {
    let mut walk = Walk::default();
    design.accept(top, &mut walk);
    walk.done
}

/// A module whose signals and children are being visited.
struct Open {
    path: String,
    name: String,
    /// The interfaces around the next signal, outermost first.
    interfaces: Vec<String>,
    module: Module,
}

/// The walk: modules that it is in, outermost first, and modules that it has left.
#[derive(Default)]
struct Walk {
    open: Vec<Open>,
    done: Modules,
}

impl Probe for Walk {
    fn visit_start_scope(&mut self, name: &str, node: &dyn Block) {
        let path = match self.open.last_mut() {
            Some(parent) => {
                let path = format!("{}${name}", parent.path);
                parent.module.children.push(Child {
                    name: name.into(),
                    path: path.clone(),
                });
                path
            }
            None => name.into(),
        };
        let mut code = node.hdl();
        if let Verilog::Combinatorial(kernel) = &mut code {
            indices::resolve(kernel);
        }
        self.open.push(Open {
            path,
            name: name.into(),
            interfaces: Vec::new(),
            module: Module {
                code,
                ..Module::default()
            },
        });
    }

    fn visit_end_scope(&mut self, _name: &str, _node: &dyn Block) {
        self.done
            .extend(self.open.pop().map(|left| (left.path, left.module)));
    }

    fn visit_start_namespace(&mut self, name: &str, _node: &dyn Block) {
        if let Some(here) = self.open.last_mut() {
            here.interfaces.push(name.into());
        }
    }

    fn visit_end_namespace(&mut self, _name: &str, _node: &dyn Block) {
        if let Some(here) = self.open.last_mut() {
            here.interfaces.pop();
        }
    }

    fn visit_atom(&mut self, name: &str, signal: &dyn Atom) {
        let Some((here, above)) = self.open.split_last_mut() else {
            return;
        };
        let descriptor = signal.descriptor();
        let kind = signal.kind();
        let net = Net {
            name: qualified(&here.interfaces, name),
            kind,
            bits: signal.bits(),
            signed: matches!(descriptor.kind, TypeKind::Signed(_)),
            value: (kind == AtomKind::Constant).then(|| signal.verilog()),
        };
        here.module.add_variants(&descriptor);
        if let Some(parent) = above.last_mut() {
            parent.module.add_variants(&descriptor);
            if kind.is_parameter() {
                parent.module.stubs.push(net.stub(&here.name));
            }
        }
        match kind {
            AtomKind::Constant => here.module.constants.push(net),
            AtomKind::LocalSignal => here.module.locals.push(net),
            _ => here.module.ports.push(net),
        }
    }
}

/// `name` within `interfaces`.
fn qualified(interfaces: &[String], name: &str) -> String {
    let mut qualified = String::new();
    for interface in interfaces {
        qualified.push_str(interface);
        qualified.push('$');
    }
    qualified + name
}

impl Net {
    /// Of a port: the net in the parent for the instance called `child`.
    fn stub(&self, child: &str) -> Self {
        Self {
            name: stub_name(child, &self.name),
            kind: match self.kind {
                AtomKind::InputParameter => AtomKind::StubInputSignal,
                _ => AtomKind::StubOutputSignal,
            },
            ..self.clone()
        }
    }
}

/// Name of the parent's net at the port `port` of its instance `child`.
pub(super) fn stub_name(child: &str, port: &str) -> String {
    format!("{child}${port}")
}

impl Module {
    /// Takes over the enumerations in a type.
    fn add_variants(&mut self, descriptor: &TypeDescriptor) {
        match &descriptor.kind {
            TypeKind::Enum(variants) => {
                for (code, variant) in variants.iter().enumerate() {
                    let known = self
                        .variants
                        .iter()
                        .any(|(name, value)| *value == code && name == variant);
                    if !known {
                        self.variants.push((variant.clone(), code));
                    }
                }
            }
            TypeKind::Composite(fields) => {
                for field in fields {
                    self.add_variants(&field.kind);
                }
            }
            TypeKind::Bits(_) | TypeKind::Signed(_) => {}
        }
    }
}
