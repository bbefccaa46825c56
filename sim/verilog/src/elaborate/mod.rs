//! From modules to one flat design: instances, names, ports, widths, drivers.
use std::collections::HashMap;

use crate::ast::{self, ConstantDecl, ExprKind, Instance, Item, Module, NetDecl, Sensitivity};
use crate::error::{At, Fault, Pos, Result};
use crate::lex::MAX_WIDTH;
use crate::netlist::*;
use crate::value::Bits;

mod alias;
mod expr;
mod stmt;

use alias::Union;

/// Deepest hierarchy.
const MAX_DEPTH: usize = 100;
/// Most words of a memory.
const MAX_WORDS: u64 = 1 << 24;
/// Most nets: beyond, the text is taken for an attack.
const MAX_NETS: usize = 1 << 22;

/// What a name stands for.
#[derive(Clone, Debug)]
enum Symbol {
    Net(NetId),
    Memory(MemoryId),
    /// With its sign.
    Constant(Bits, bool),
}

/// Names in one instance, and what they stand for.
struct Names<'a> {
    symbols: &'a HashMap<String, Symbol>,
    nets: &'a [Net],
    memories: &'a [Memory],
}

impl Names<'_> {
    fn symbol(&self, pos: Pos, name: &str) -> Result<&Symbol> {
        self.symbols
            .get(name)
            .ok_or_else(|| At::new(pos, Fault::Undeclared(name.into())))
    }
}

struct Elaborator<'a> {
    modules: HashMap<&'a str, &'a Module>,
    design: Design,
    union: Union,
}

/// One instance while it is made.
struct Frame<'a> {
    module: &'a Module,
    scope: usize,
    /// Hierarchy of names, ending in a dot.
    path: String,
    symbols: HashMap<String, Symbol>,
}

/// The design whose top module is called `top`.
pub(crate) fn elaborate(modules: &[Module], top: &str) -> Result<Design> {
    let mut by_name = HashMap::new();
    for module in modules {
        if by_name.insert(module.name.as_str(), module).is_some() {
            return Err(At::new(module.pos, Fault::Redeclared(module.name.clone())));
        }
    }
    let mut elaborator = Elaborator {
        modules: by_name,
        design: Design::default(),
        union: Union::default(),
    };
    let start = Pos { line: 1, column: 1 };
    let frame = elaborator.instance(start, top, top, None, &mut vec![])?;
    for port in &frame.module.ports {
        let Some(Symbol::Net(net)) = frame.symbols.get(port) else {
            return Err(At::new(frame.module.pos, Fault::Undeclared(port.clone())));
        };
        let list = match direction(frame.module, port) {
            Some(ast::Direction::Input) => &mut elaborator.design.inputs,
            _ => &mut elaborator.design.outputs,
        };
        list.push((port.clone(), *net));
    }
    alias::resolve(elaborator.design, elaborator.union)
}

fn direction(module: &Module, port: &str) -> Option<ast::Direction> {
    module.items.iter().find_map(|item| match item {
        Item::Net(decl) if decl.name == port => decl.direction,
        _ => None,
    })
}

impl<'a> Elaborator<'a> {
    /// Makes an instance and all below it.
    fn instance(
        &mut self,
        pos: Pos,
        module: &str,
        name: &str,
        parent: Option<(usize, &str)>,
        stack: &mut Vec<&'a str>,
    ) -> Result<Frame<'a>> {
        let module: &'a Module = self
            .modules
            .get(module)
            .ok_or_else(|| At::new(pos, Fault::NoModule(module.into())))?;
        if stack.contains(&module.name.as_str()) || stack.len() >= MAX_DEPTH {
            return Err(At::new(pos, Fault::Recursive(module.name.clone())));
        }
        let scope = self.design.scopes.len();
        self.design.scopes.push(Scope {
            name: name.into(),
            parent: parent.map(|p| p.0),
            nets: vec![],
        });
        let mut frame = Frame {
            module,
            scope,
            path: parent.map_or_else(String::new, |p| format!("{}{name}.", p.1)),
            symbols: HashMap::new(),
        };
        for item in &module.items {
            match item {
                Item::Net(decl) => self.declare(&mut frame, decl)?,
                Item::Constant(decl) => self.constant(&mut frame, decl)?,
                _ => {}
            }
        }
        for port in &module.ports {
            if direction(module, port).is_none() {
                return Err(At::new(module.pos, Fault::Undeclared(port.clone())));
            }
        }
        stack.push(&module.name);
        for item in &module.items {
            match item {
                Item::Net(_) | Item::Constant(_) => {}
                Item::Assign(assignment) => {
                    let body = self.names(&frame).assignment(assignment)?;
                    self.block(assignment.pos, body)?;
                }
                Item::Always {
                    pos,
                    on: Sensitivity::Combinational,
                    body,
                } => {
                    let body = self.names(&frame).combinational(body)?;
                    self.block(*pos, body)?;
                }
                Item::Always {
                    pos,
                    on: Sensitivity::Edges(edges),
                    body,
                } => {
                    let process = self.names(&frame).process(*pos, edges, body)?;
                    self.design.processes.push(process);
                }
                Item::Initial(body) => self.initial(&frame, body)?,
                Item::Instance(instance) => self.child(&frame, instance, stack)?,
            }
        }
        stack.pop();
        Ok(frame)
    }

    fn names<'b>(&'b self, frame: &'b Frame<'_>) -> Names<'b> {
        Names {
            symbols: &frame.symbols,
            nets: &self.design.nets,
            memories: &self.design.memories,
        }
    }

    fn add_symbol(
        &self,
        frame: &mut Frame<'_>,
        pos: Pos,
        name: &str,
        symbol: Symbol,
    ) -> Result<()> {
        match frame.symbols.insert(name.into(), symbol) {
            None => Ok(()),
            Some(_) => Err(At::new(pos, Fault::Redeclared(name.into()))),
        }
    }

    /// Width of a declared vector.
    fn width(&self, frame: &Frame<'_>, range: Option<&ast::Range>) -> Result<u32> {
        let Some(range) = range else {
            return Ok(1);
        };
        let names = self.names(frame);
        let (msb, lsb) = (
            names.constant_u64(&range.first)?,
            names.constant_u64(&range.second)?,
        );
        match msb {
            _ if lsb != 0 => Err(At::outside(range.pos, "a vector whose last bit is not 0")),
            msb if msb < u64::from(MAX_WIDTH) => Ok(msb as u32 + 1),
            _ => Err(At::outside(range.pos, "a vector of more than 65536 bits")),
        }
    }

    fn declare(&mut self, frame: &mut Frame<'_>, decl: &NetDecl) -> Result<()> {
        // `output y; reg y;` declares one net in two places.
        if let (Some(Symbol::Net(net)), None) = (frame.symbols.get(&decl.name), decl.direction) {
            let net = *net;
            let is_port = frame.module.ports.contains(&decl.name);
            let width = self.width(frame, decl.range.as_ref())?;
            if is_port
                && decl.words.is_none()
                && decl.init.is_none()
                && self.design.nets[net].width == width
                && self.design.nets[net].pos != decl.pos
            {
                return Ok(());
            }
        }
        let width = self.width(frame, decl.range.as_ref())?;
        let name = format!("{}{}", frame.path, decl.name);
        if let Some(words) = &decl.words {
            if decl.init.is_some() || decl.direction.is_some() {
                return Err(At::outside(
                    decl.pos,
                    format!("the memory `{}` as a port or with a value", decl.name),
                ));
            }
            let names = self.names(frame);
            let (a, b) = (
                names.constant_u64(&words.first)?,
                names.constant_u64(&words.second)?,
            );
            let (first, last) = (a.min(b), a.max(b));
            if last - first >= MAX_WORDS {
                return Err(At::outside(
                    words.pos,
                    "a memory of more than 16777216 words",
                ));
            }
            let memory = self.design.memories.len();
            self.add_symbol(frame, decl.pos, &decl.name, Symbol::Memory(memory))?;
            self.design.memories.push(Memory {
                name,
                width,
                signed: decl.signed,
                first,
                words: last - first + 1,
                init: vec![],
            });
            return Ok(());
        }
        let init = match &decl.init {
            Some(value) => Some(self.names(frame).assigned(value, width)?),
            None => None,
        };
        let init = match init {
            None => None,
            Some(value) => match value.as_const() {
                Some(bits) => Some(bits.clone()),
                None => {
                    return Err(At::new(
                        decl.pos,
                        Fault::NotConstant("the value of a declaration"),
                    ))
                }
            },
        };
        if self.design.nets.len() >= MAX_NETS {
            return Err(At::outside(decl.pos, "a design of more than 4194304 nets"));
        }
        let net = self.design.nets.len();
        self.add_symbol(frame, decl.pos, &decl.name, Symbol::Net(net))?;
        self.design.scopes[frame.scope]
            .nets
            .push((decl.name.clone(), net));
        self.design.nets.push(Net {
            name,
            pos: decl.pos,
            width,
            signed: decl.signed,
            init,
        });
        Ok(())
    }

    fn constant(&mut self, frame: &mut Frame<'_>, decl: &ConstantDecl) -> Result<()> {
        let names = self.names(frame);
        // Without a type, a constant has that of its value.
        let own = names.shape(&decl.value)?;
        let (width, signed) = match &decl.range {
            Some(range) => (self.width(frame, Some(range))?, decl.signed),
            None => (own.width, own.signed || decl.signed),
        };
        let value = names.assigned(&decl.value, width)?;
        match value.as_const() {
            Some(bits) => self.add_symbol(
                frame,
                decl.pos,
                &decl.name,
                Symbol::Constant(bits.clone(), signed),
            ),
            None => Err(At::new(decl.pos, Fault::NotConstant("a localparam"))),
        }
    }

    fn block(&mut self, pos: Pos, body: Vec<Stmt>) -> Result<()> {
        let mut memory = None;
        each_target(&body, &mut |target| {
            if let Target::Word { memory: m, .. } = target {
                memory = Some(*m);
            }
        });
        if let Some(memory) = memory {
            let name = &self.design.memories[memory].name;
            return Err(At::outside(
                pos,
                format!("a write to the memory `{name}` without a clock"),
            ));
        }
        self.design.blocks.push(Block { pos, body });
        Ok(())
    }

    fn initial(&mut self, frame: &Frame<'_>, body: &ast::Stmt) -> Result<()> {
        match body {
            ast::Stmt::Block(body) => body.iter().try_for_each(|stmt| self.initial(frame, stmt)),
            ast::Stmt::Blocking(assignment) | ast::Stmt::NonBlocking(assignment) => {
                let names = self.names(frame);
                for (target, value) in names.targets(assignment)? {
                    let Some(bits) = value.as_const().cloned() else {
                        return Err(At::new(
                            assignment.pos,
                            Fault::NotConstant("an initial value"),
                        ));
                    };
                    match target {
                        Target::Net(net) => self.design.nets[net].init = Some(bits),
                        Target::Word { memory, index } => {
                            match index.as_const().and_then(Bits::to_u64) {
                                Some(at) if at < self.design.memories[memory].words => {
                                    self.design.memories[memory].init.push((at, bits))
                                }
                                _ => {
                                    return Err(At::new(
                                        assignment.pos,
                                        Fault::NotConstant(
                                            "the index of an initial value, within the memory,",
                                        ),
                                    ))
                                }
                            }
                        }
                        _ => {
                            return Err(At::outside(
                                assignment.pos,
                                "an initial value of a part of a vector",
                            ))
                        }
                    }
                }
                Ok(())
            }
            ast::Stmt::If { condition, .. } => {
                Err(At::outside(condition.pos, "`if` in an initial block"))
            }
            ast::Stmt::Case(case) => {
                Err(At::outside(case.subject.pos, "`case` in an initial block"))
            }
        }
    }

    fn child(
        &mut self,
        frame: &Frame<'a>,
        instance: &Instance,
        stack: &mut Vec<&'a str>,
    ) -> Result<()> {
        let child = self.instance(
            instance.pos,
            &instance.module,
            &instance.name,
            Some((frame.scope, &frame.path)),
            stack,
        )?;
        let mut seen = vec![];
        for (pos, port, connected) in &instance.ports {
            let (Some(direction), Some(Symbol::Net(net))) =
                (direction(child.module, port), child.symbols.get(port))
            else {
                return Err(At::new(
                    *pos,
                    Fault::NoPort {
                        module: child.module.name.clone(),
                        port: port.clone(),
                    },
                ));
            };
            if seen.contains(&port) {
                return Err(At::new(*pos, Fault::Redeclared(port.clone())));
            }
            seen.push(port);
            let Some(connected) = connected else {
                continue;
            };
            let width = self.design.nets[*net].width;
            if let ExprKind::Name(name) = &connected.kind {
                if let Symbol::Net(outer) = self.names(frame).symbol(connected.pos, name)? {
                    if self.design.nets[*outer].width == width {
                        self.union.join(*outer, *net);
                        continue;
                    }
                }
            }
            let names = self.names(frame);
            let shape = names.shape(connected)?;
            let (of, to) = match direction {
                ast::Direction::Input => (shape.signed.then_some(shape.width), width),
                ast::Direction::Output => {
                    (self.design.nets[*net].signed.then_some(width), shape.width)
                }
            };
            if of.is_some_and(|of| of < to) {
                // Simulators differ in whether the sign fills the rest.
                return Err(At::outside(
                    *pos,
                    format!(
                        "a signed value at the port `{port}` that is narrower than what it drives"
                    ),
                ));
            }
            let body = match direction {
                ast::Direction::Input => vec![Stmt::Assign {
                    target: Target::Net(*net),
                    value: names.assigned(connected, width)?,
                }],
                ast::Direction::Output => {
                    let value = Expr {
                        width,
                        kind: Kind::Net(*net),
                    };
                    names.connect(connected, value)?
                }
            };
            self.block(*pos, body)?;
        }
        Ok(())
    }
}
