//! Statements: targets of assignments, blocks, clocked processes.
use super::{expr::in_range, Names, Symbol};
use crate::ast::{self, Assignment, Expr as Ast, ExprKind};
use crate::error::{At, Pos, Result};
use crate::netlist::{Expr, Kind, Process, Reset, Stmt, Target};
use crate::value::Bits;

impl Names<'_> {
    /// What an assignment assigns, the parts of a concatenation one by one.
    pub(super) fn targets(&self, assignment: &Assignment) -> Result<Vec<(Target, Expr)>> {
        let slots = self.slots(&assignment.target)?;
        let width = slots.iter().map(|s| s.1).sum();
        let value = self.assigned(&assignment.value, width)?;
        Ok(deal(slots, value))
    }

    /// As [`Names::targets`], of the value of an output port.
    pub(super) fn connect(&self, target: &Ast, value: Expr) -> Result<Vec<Stmt>> {
        let slots = self.slots(target)?;
        let width = slots.iter().map(|s| s.1).sum();
        Ok(statements(deal(slots, value.resize(width, false))))
    }

    /// What an expression on the left names, and how many bits each has; the highest first.
    fn slots(&self, target: &Ast) -> Result<Vec<(Target, u32)>> {
        let pos = target.pos;
        let net = |name: &str| match self.symbol(pos, name)? {
            Symbol::Net(net) => Ok(*net),
            Symbol::Memory(_) => Err(At::outside(
                pos,
                format!("an assignment to all of the memory `{name}`"),
            )),
            Symbol::Constant(..) => Err(At::outside(
                pos,
                format!("an assignment to the constant `{name}`"),
            )),
        };
        let whole = |net: usize| Expr {
            width: self.nets[net].width,
            kind: Kind::Net(net),
        };
        Ok(vec![match &target.kind {
            ExprKind::Name(name) => {
                let net = net(name)?;
                (Target::Net(net), self.nets[net].width)
            }
            ExprKind::Index(name, index) => match self.symbol(pos, name)? {
                Symbol::Memory(memory) => {
                    let index = self.word_index(*memory, index)?;
                    let width = self.memories[*memory].width;
                    (
                        Target::Word {
                            memory: *memory,
                            index,
                        },
                        width,
                    )
                }
                _ => {
                    let net = net(name)?;
                    (self.part(pos, name, net, self.own(index)?, 1)?, 1)
                }
            },
            ExprKind::Part(name, _, lsb) => {
                let net = net(name)?;
                let width = self.shape(target)?.width;
                let lsb = in_range(pos, name, &whole(net), self.constant_u64(lsb)?, width)?;
                (Target::Part { net, lsb }, width)
            }
            ExprKind::IndexedPart {
                name,
                base,
                up: true,
                ..
            } => {
                let net = net(name)?;
                let width = self.shape(target)?.width;
                (self.part(pos, name, net, self.own(base)?, width)?, width)
            }
            ExprKind::Concat(parts) => {
                let slots = parts
                    .iter()
                    .map(|part| self.slots(part))
                    .collect::<Result<Vec<_>>>()?;
                return Ok(slots.into_iter().flatten().collect());
            }
            _ => return Err(At::outside(pos, "this on the left of an assignment")),
        }])
    }

    /// Bits of a net from an index on.
    fn part(&self, pos: Pos, name: &str, net: usize, index: Expr, width: u32) -> Result<Target> {
        let whole = Expr {
            width: self.nets[net].width,
            kind: Kind::Net(net),
        };
        match index.as_const().map(Bits::to_u64) {
            Some(lsb) => {
                let lsb = in_range(pos, name, &whole, lsb.unwrap_or(u64::MAX), width)?;
                Ok(Target::Part { net, lsb })
            }
            None => Ok(Target::Dynamic { net, index }),
        }
    }

    pub(super) fn assignment(&self, assignment: &Assignment) -> Result<Vec<Stmt>> {
        Ok(statements(self.targets(assignment)?))
    }

    pub(super) fn combinational(&self, body: &ast::Stmt) -> Result<Vec<Stmt>> {
        self.statement(body, &|stmt| match stmt {
            ast::Stmt::NonBlocking(a) => Err(At::outside(
                a.pos,
                "a non-blocking assignment without a clock",
            )),
            _ => Ok(()),
        })
    }

    fn clocked(&self, body: &ast::Stmt) -> Result<Vec<Stmt>> {
        self.statement(body, &|stmt| match stmt {
            ast::Stmt::Blocking(a) => Err(At::outside(
                a.pos,
                "a blocking assignment in a clocked block",
            )),
            _ => Ok(()),
        })
    }

    fn statement(
        &self,
        body: &ast::Stmt,
        check: &dyn Fn(&ast::Stmt) -> Result<()>,
    ) -> Result<Vec<Stmt>> {
        check(body)?;
        match body {
            ast::Stmt::Block(body) => {
                let mut all = vec![];
                for stmt in body {
                    all.extend(self.statement(stmt, check)?);
                }
                Ok(all)
            }
            ast::Stmt::Blocking(a) | ast::Stmt::NonBlocking(a) => self.assignment(a),
            ast::Stmt::If {
                condition,
                then,
                otherwise,
            } => {
                let condition = self.truth(condition)?;
                let (then, otherwise) = (
                    self.statement(then, check)?,
                    self.statement(otherwise, check)?,
                );
                Ok(match condition.as_const() {
                    Some(bits) if bits.bit(0) => then,
                    Some(_) => otherwise,
                    None => vec![Stmt::If {
                        condition,
                        then,
                        otherwise,
                    }],
                })
            }
            ast::Stmt::Case(case) => {
                // All of them have the largest size, and a sign if all have one (clause 9.5).
                let mut context = self.shape(&case.subject)?;
                for item in case.arms.iter().flat_map(|arm| &arm.0) {
                    let shape = self.shape(item)?;
                    context.width = context.width.max(shape.width);
                    context.signed &= shape.signed;
                }
                let mut arms = vec![];
                for (items, body) in &case.arms {
                    let items = items
                        .iter()
                        .map(|item| self.sized(item, context))
                        .collect::<Result<_>>()?;
                    arms.push((items, self.statement(body, check)?));
                }
                let default = match &case.default {
                    Some(body) => Some(self.statement(body, check)?),
                    None => None,
                };
                Ok(vec![Stmt::Case {
                    subject: self.sized(&case.subject, context)?,
                    arms,
                    default,
                }])
            }
        }
    }

    /// `always @(posedge clock)`, or with an asynchronous reset: `always @(posedge clock or posedge reset) if (reset) ... else ...`.
    pub(super) fn process(
        &self,
        pos: Pos,
        edges: &[(Pos, String)],
        body: &ast::Stmt,
    ) -> Result<Process> {
        let net = |(pos, name): &(Pos, String)| match self.symbol(*pos, name)? {
            Symbol::Net(net) if self.nets[*net].width == 1 => Ok(*net),
            _ => Err(At::outside(
                *pos,
                format!("an edge of `{name}`, which is no net of one bit"),
            )),
        };
        let not_a_reset = || {
            At::outside(pos, "a block on two edges that is not `if (reset) ... else ...` with constants for the registers")
        };
        match edges {
            [clock] => Ok(Process {
                pos,
                clock: net(clock)?,
                reset: None,
                body: self.clocked(body)?,
            }),
            [one, other] => {
                let mut body = body;
                while let ast::Stmt::Block(inner) = body {
                    let [only] = inner.as_slice() else {
                        return Err(not_a_reset());
                    };
                    body = only;
                }
                let ast::Stmt::If {
                    condition,
                    then,
                    otherwise,
                } = body
                else {
                    return Err(not_a_reset());
                };
                let tested = match &condition.kind {
                    ExprKind::Name(name) => name,
                    _ => return Err(not_a_reset()),
                };
                let (clock, reset) = match () {
                    () if *tested == other.1 => (net(one)?, net(other)?),
                    () if *tested == one.1 => (net(other)?, net(one)?),
                    () => return Err(not_a_reset()),
                };
                let mut values = vec![];
                for stmt in self.clocked(then)? {
                    match stmt {
                        Stmt::Assign {
                            target: Target::Net(register),
                            value:
                                Expr {
                                    kind: Kind::Const(bits),
                                    ..
                                },
                        } => values.push((register, bits)),
                        _ => return Err(not_a_reset()),
                    }
                }
                let body = self.clocked(otherwise)?;
                for register in crate::netlist::assigned(&body) {
                    if !values.iter().any(|(r, _)| *r == register) {
                        return Err(At::outside(
                            pos,
                            format!(
                                "the register `{}`, which this reset does not set,",
                                self.nets[register].name
                            ),
                        ));
                    }
                }
                Ok(Process {
                    pos,
                    clock,
                    reset: Some(Reset { net: reset, values }),
                    body,
                })
            }
            _ => Err(At::outside(pos, "a block on more than two edges")),
        }
    }
}

fn statements(assignments: Vec<(Target, Expr)>) -> Vec<Stmt> {
    let assign = |(target, value)| Stmt::Assign { target, value };
    assignments.into_iter().map(assign).collect()
}

/// Cuts a value to the targets, the highest bits to the first.
fn deal(slots: Vec<(Target, u32)>, value: Expr) -> Vec<(Target, Expr)> {
    let mut left = value.width;
    let mut all = vec![];
    for (target, width) in slots {
        left -= width;
        all.push((target, value.clone().slice(left, width)));
    }
    all
}
